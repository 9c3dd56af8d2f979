"""The base of nodes that serve one action, one goal at a time."""

from __future__ import annotations

import time
from typing import Any, ClassVar, Generic, TypeVar

from rclpy.action import CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle

from asterias_nodes.runtime.actions.event_action_server import EventActionServer, GoalError
from asterias_nodes.runtime.executor import soon
from asterias_nodes.runtime.lifecycle_node import ManagedNode

FEEDBACK_PERIOD_S = 0.2


class ActiveGoal:
    """A goal in progress; subclasses add what their node needs to know of it.

    Attributes:
        handle: the goal as rclpy has it.
        result: what the caller gets; the node fills it in.
        started_s: monotonic time of the start.
        is_stopped: whether the goal shall end: canceled, replaced, or its node is deactivated.
        is_replaced: whether a newer goal has taken its place.
    """

    canceled_text = "The goal was canceled."

    def __init__(self, handle: ServerGoalHandle, result: Any) -> None:
        self.handle = handle
        self.result = result
        self.started_s = time.monotonic()
        self.is_stopped = False
        self.is_replaced = False

    @property
    def request(self) -> Any:
        """What the caller asks for."""
        return self.handle.request

    @property
    def elapsed_s(self) -> float:
        """The wall time since the start."""
        return time.monotonic() - self.started_s

    def stop(self) -> None:
        """Ask the goal to end, once."""
        if not self.is_stopped:
            self.is_stopped = True
            self.on_stop()

    def on_stop(self) -> None:
        """End what the goal waits for; called once, in the node's thread."""

    def raise_if_stopped(self) -> None:
        """End the coroutine of a goal that shall end.

        Raises:
            GoalError: with the result's code CANCELED.
        """
        if self.is_stopped or self.handle.is_cancel_requested:
            raise GoalError(self.result.CANCELED, self.canceled_text)

    def send_feedback(self, feedback: Any) -> None:
        """Publish feedback, unless the goal has ended."""
        if self.handle.is_active:
            self.handle.publish_feedback(feedback)


GoalT = TypeVar("GoalT", bound=ActiveGoal)


class ActionNode(ManagedNode, Generic[GoalT]):
    """A managed node that serves one action; a goal is a coroutine over events.

    A subclass sets the class attributes and overrides :meth:`open`, :meth:`make_goal` and
    :meth:`on_goal`, which fills in the result or raises :class:`GoalError`. The action's result has
    the fields ``error_code`` (0: no error) and ``error_msg`` and a constant CANCELED; REPLACED or
    BUSY, too, as :attr:`replaces` says. Goals are refused while the node is not active.

    Attributes:
        action_type: the action.
        action_name: its name on the graph.
        replaces: whether a newer goal replaces the one in progress; otherwise it is refused.
        busy_text: the sentence of that refusal.
        internal_error: the result's code of a defect.
        goal: the goal in progress.
        is_active: whether goals are accepted.
    """

    action_type: ClassVar[Any]
    action_name: ClassVar[str]
    replaces: ClassVar[bool] = True
    busy_text: ClassVar[str] = "Another goal is in progress; cancel it or wait for its end."
    internal_error: ClassVar[int]

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.goal: GoalT | None = None
        self.is_active = False

    # -- what a subclass supplies ---------------------------------------------------------------

    def open(self) -> None:
        """Open topics and devices through :attr:`owned`, before the action is served."""

    def make_goal(self, handle: ServerGoalHandle) -> GoalT:
        """Return the record of an accepted goal."""
        raise NotImplementedError

    async def on_goal(self, goal: GoalT) -> None:
        """Work on a goal until its end.

        Raises:
            GoalError: the goal ends before its end.
        """
        raise NotImplementedError

    def on_end(self, goal: GoalT) -> None:
        """Complete the result of a goal, whatever its end."""

    def on_feedback_due(self, goal: GoalT) -> None:
        """Publish feedback; called five times a second while a goal is in progress."""

    # -- life cycle -----------------------------------------------------------------------------

    def configure(self) -> None:
        """Open the topics and the action server; goals are refused until activation."""
        self.open()
        self.owned.wall_timer(FEEDBACK_PERIOD_S, self._feedback)
        server = EventActionServer(
            self,
            self.action_type,
            self.action_name,
            self._execute,
            goal_callback=self._on_request,
            cancel_callback=self._on_cancel,
        )
        self.owned.add(server.destroy)

    def activate(self) -> None:
        """Accept goals."""
        self.is_active = True

    def deactivate(self) -> None:
        """Refuse goals; the one in progress is stopped."""
        self.is_active = False
        if self.goal is not None:
            self.goal.stop()

    # -- one goal -------------------------------------------------------------------------------

    def _on_request(self, request: Any) -> GoalResponse:
        return GoalResponse.ACCEPT if self.is_active else GoalResponse.REJECT

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        goal = self.goal
        if goal is not None and goal.handle is handle:
            # Only when this callback has returned is the goal one that is being canceled.
            soon(self, goal.stop)
        return CancelResponse.ACCEPT

    async def _execute(self, handle: ServerGoalHandle) -> Any:
        if self.goal is not None and not self.replaces:
            result = self.action_type.Result()
            result.error_code, result.error_msg = result.BUSY, self.busy_text
            handle.abort()
            return result
        if self.goal is not None:
            self.goal.is_replaced = True
            self.goal.stop()
        goal = self.goal = self.make_goal(handle)
        result = goal.result
        try:
            await self.on_goal(goal)
        except GoalError as error:
            result.error_code, result.error_msg = error.code, str(error)
        except Exception as error:
            self.get_logger().error(f"A goal of {self.action_name} failed: {error!r}")
            result.error_code, result.error_msg = self.internal_error, str(error) or repr(error)
        finally:
            if self.goal is goal:
                self.goal = None
        self._finish(goal)
        return result

    def _finish(self, goal: GoalT) -> None:
        """Complete the result and set the goal's final state."""
        result, handle = goal.result, goal.handle
        if result.error_code and goal.is_replaced and result.error_code == result.CANCELED:
            result.error_code = result.REPLACED
            result.error_msg = "A newer goal took this one's place."
        self.on_end(goal)
        if not result.error_code:
            handle.succeed()
        elif result.error_code == result.CANCELED and handle.is_cancel_requested:
            handle.canceled()
        else:
            handle.abort()

    def _feedback(self) -> None:
        if self.goal is not None and self.goal.handle.is_active:
            self.on_feedback_due(self.goal)
