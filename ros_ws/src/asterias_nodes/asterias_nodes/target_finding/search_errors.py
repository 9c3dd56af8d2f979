"""How a search ends without a find."""

from __future__ import annotations

from asterias_interfaces.action import FindTarget

from asterias_nodes.runtime.actions.event_action_server import GoalError


class SearchError(GoalError):
    """A search ends without a find."""


class DisobeyedError(SearchError):
    """The limb was sent somewhere and stayed where it was.

    Args:
        text: why, with the cure.
    """

    def __init__(self, text: str) -> None:
        super().__init__(FindTarget.Result.NO_ROBOT, text)
