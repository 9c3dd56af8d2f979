"""Whether a limb moves when it is sent somewhere, and what its driver says where it does not."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray

from asterias.arrays import FloatArray
from asterias_nodes.runtime.diagnostics import ERROR
from asterias_nodes.runtime.owned_entities import OwnedEntities

# A move of a joint that is long enough to tell a standing joint from one that only lags, rad; what
# a standing joint's measurement may flicker by; and so many such moves in a row are no accident.
LONG_MOVE_RAD = 0.2
STANDS_RAD = 0.02
MOVES = 2
# Seconds of the wall's clock that they take at least: a simulation that runs fast makes two moves
# in less time than a command needs at first to find its way through the graph.
LEAST_S = 2.0


class MotionCheck:
    """Follows one limb's moves, and the diagnostics of whoever drives it.

    Args:
        owned: opens and closes the subscription.
        name: of the limb, such as ``limb_0``.
        clock: seconds of the wall's time.
    """

    def __init__(
        self, owned: OwnedEntities, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name, self._clock = name, clock
        self._disobeyed, self._since_s = 0, 0.0
        # Sentences of drivers that report an error of this limb, by node.
        self._said: dict[str, str] = {}
        owned.subscription(DiagnosticArray, "/diagnostics", self._take, 10)

    def _take(self, message: DiagnosticArray) -> None:
        for status in message.status:
            node, _, part = status.name.partition(": ")
            if part != self._name:
                continue
            self._said.pop(node, None)
            if status.level >= ERROR:
                self._said[node] = str(status.message)

    def problem(
        self, start_rad: FloatArray, goal_rad: FloatArray, end_rad: FloatArray
    ) -> str | None:
        """Return the sentence to say after a move, with its cure; None where the limb obeys.

        One move may be lost; from the second in a row on, in which no joint that was sent far has
        moved at all, the limb does not obey, if the first was two seconds ago or more.

        Args:
            start_rad: ``(n,)`` measured before the move.
            goal_rad: ``(n,)`` where it was sent.
            end_rad: ``(n,)`` measured after it.
        """
        moved = np.abs(end_rad - start_rad)
        if moved.max() > STANDS_RAD:
            self._disobeyed = 0
        elif np.abs(goal_rad - start_rad).max() > LONG_MOVE_RAD:
            self._since_s = self._since_s if self._disobeyed else self._clock()
            self._disobeyed += 1
        if self._disobeyed < MOVES or self._clock() - self._since_s < LEAST_S:
            return None
        count, self._disobeyed = self._disobeyed, 0
        why = "; ".join(f"{node} says '{said}'" for node, said in self._said.items())
        node = next(iter(self._said), "limb_driver")
        return (
            f"{self._name} does not obey: it was sent {count} times and has not moved"
            f"{f' ({why})' if why else ''}. See /diagnostics, cure that, then activate its driver "
            f"again: ros2 lifecycle set /{node} deactivate, then activate."
        )
