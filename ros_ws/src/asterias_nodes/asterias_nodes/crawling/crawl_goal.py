"""One goal of ``/crawl_to``: where to, how far it is, and how it ends."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from asterias_interfaces.action import CrawlTo
from rclpy.action.server import ServerGoalHandle

from asterias.arrays import FloatArray
from asterias_nodes.runtime.actions.action_node import ActiveGoal
from asterias_nodes.runtime.actions.event_action_server import Event, GoalError
from asterias_nodes.runtime.conversions import to_duration_msg
from learning.crawling.pilot import GaitPilot

Result = CrawlTo.Result
# A place that is nearer to the target by less than this is no progress: a gait sways so much.
NEARER_M = 0.01
# The speed is a mean over so long: about a cycle of the gait.
SPEED_S = 1.0
# The target is the median of the newest sights: single ones are off by centimetres.
SIGHTS = 15


class CrawlGoal(ActiveGoal):
    """A goal in progress; times are of the robot's clock.

    Attributes:
        target_m: ``(2,)`` in the map; None: not known yet.
        tolerance_m: how near counts as arrived.
        pilot: runs the gait.
        is_steered: whether the robot is on its way.
        has_moved: whether a command was sent.
        done: completes on arrival, fails with a :class:`GoalError`.
        elapsed_robot_s: since the first step.
        stuck_s: since the robot was nearer than ever.
    """

    canceled_text = "The crawl was canceled."

    def __init__(self, handle: ServerGoalHandle) -> None:
        super().__init__(handle, Result())
        self.target_m: FloatArray | None = None
        self.tolerance_m = 0.0
        self.pilot: GaitPilot | None = None
        self.is_steered = self.has_moved = False
        self.done = Event()
        self.elapsed_robot_s = self.stuck_s = 0.0
        self._sights: deque[FloatArray] = deque(maxlen=SIGHTS)
        self._track: deque[tuple[float, float]] = deque()  # (time, distance) of the last second
        self._started_s = self._commanded_s = self._nearer_s = math.nan
        self._first_m = self._nearest_m = math.inf
        self._last: FloatArray | None = None
        self._crawled_m, self._distance_m = 0.0, math.nan

    def on_stop(self) -> None:
        """End the crawl."""
        self.fail(Result.CANCELED, self.canceled_text)

    def fail(self, code: int, text: str) -> None:
        """End the crawl before its end; the first reason counts."""
        self.done.fail(GoalError(code, text))

    def sees(self, place_m: FloatArray) -> None:
        """Take a sight ``(2,)`` of the target in the map."""
        self._sights.append(place_m)
        self.target_m = np.median(np.array(self._sights), axis=0)

    def note(self, middle_m: FloatArray, now_s: float) -> float:
        """Take where the robot's middle ``(2,)`` is.

        Returns:
            The distance that is left, in m.
        """
        assert self.target_m is not None
        distance_m = self._distance_m = float(np.linalg.norm(self.target_m - middle_m))
        if self._last is None or not now_s >= self._started_s:
            self._started_s = self._nearer_s = now_s
            self._commanded_s, self._first_m = -math.inf, max(distance_m, self.tolerance_m)
        elif self._last is not None:
            self._crawled_m += float(np.linalg.norm(middle_m - self._last))
        self._last = middle_m
        if distance_m < self._nearest_m - NEARER_M:
            self._nearest_m, self._nearer_s = distance_m, now_s
        self.elapsed_robot_s, self.stuck_s = now_s - self._started_s, now_s - self._nearer_s
        self._track.append((now_s, distance_m))
        while self._track[-1][0] - self._track[0][0] > SPEED_S:
            self._track.popleft()
        return distance_m

    def is_command_due(self, period_s: float) -> bool:
        """Return whether it is time for the next command, and count it as sent."""
        # Half a millisecond of tolerance: stamps are rounded.
        if self.elapsed_robot_s - self._commanded_s < period_s - 5e-4:
            return False
        self._commanded_s, self.has_moved = self.elapsed_robot_s, True
        return True

    def feedback(self) -> CrawlTo.Feedback:
        """Return how far it is."""
        feedback = CrawlTo.Feedback()
        if self._track and self.target_m is not None:
            (began_s, began_m), (now_s, now_m) = self._track[0], self._track[-1]
            feedback.distance = now_m
            feedback.speed = (began_m - now_m) / (now_s - began_s) if now_s > began_s else 0.0
            whole_m = max(self._first_m - self.tolerance_m, 1e-9)
            feedback.progress = min(max((self._first_m - now_m) / whole_m, 0.0), 1.0)
            feedback.target = self.target_m
        feedback.leading_limb = self.pilot.leading_limb if self.pilot is not None else -1
        return feedback

    def complete(self) -> None:
        """Fill in the result, whatever the end."""
        self.result.arrived = not self.result.error_code
        self.result.distance, self.result.crawled = self._distance_m, self._crawled_m
        self.result.duration = to_duration_msg(self.elapsed_robot_s)
