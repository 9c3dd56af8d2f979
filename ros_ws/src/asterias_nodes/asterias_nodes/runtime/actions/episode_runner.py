"""The base of clients that ask for one episode after another, report on them, and end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from asterias.errors import AsteriasError
from asterias_nodes.runtime.actions.action_client import RefusedError, ask
from asterias_nodes.runtime.actions.event_action_server import run
from asterias_nodes.runtime.run_node import stop_node

PROGRESS_PERIOD_S = 2.0
POLL_PERIOD_S = 0.05


class EpisodeRunner(Node):
    """Waits for servers, runs the episodes, and ends its process.

    A subclass overrides :meth:`servers` and :meth:`run_episodes`, which may raise what a person can
    cure: that ends the process with the sentence.

    Attributes:
        server_timeout_s: wall time after which a server counts as missing.
        cure: what to do about a missing server.
        started_s: monotonic time of the start.
    """

    server_timeout_s: ClassVar[float] = 60.0
    cure: ClassVar[str]

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.started_s = time.monotonic()
        self._reported_s = -PROGRESS_PERIOD_S
        self._handle: ClientGoalHandle | None = None
        self._start_timer = self.create_timer(
            POLL_PERIOD_S, self._try_to_start, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    # -- what a subclass supplies ---------------------------------------------------------------

    def servers(self) -> Mapping[str, Callable[[], bool]]:
        """Return the servers that must be there, by name, each with whether it is ready."""
        raise NotImplementedError

    async def run_episodes(self) -> None:
        """Run all episodes and call :meth:`finish`.

        Raises:
            ValueError, OSError, RefusedError: the episodes cannot go on.
        """
        raise NotImplementedError

    # -- running --------------------------------------------------------------------------------

    def _try_to_start(self) -> None:
        missing = [name for name, is_ready in self.servers().items() if not is_ready()]
        if not missing:
            self.destroy_timer(self._start_timer)
            run(self._run(), lambda result: None)
        elif time.monotonic() - self.started_s > self.server_timeout_s:
            stop_node(self, f"These did not come up: {', '.join(missing)}; {self.cure}.")

    async def _run(self) -> None:
        try:
            await self.run_episodes()
        except (AsteriasError, RefusedError, ValueError, OSError) as error:
            stop_node(self, str(error))

    async def ask(
        self, client: ActionClient, goal: Any, on_feedback: Callable[[Any], None] | None = None
    ) -> Any:
        """Return the result of a goal, which :meth:`close` cancels meanwhile.

        Args:
            client: of the action.
            goal: what is asked for.
            on_feedback: gets each feedback.

        Passes on ``RefusedError``: the server does not accept it.
        """

        def take(message: Any) -> None:
            if on_feedback is not None:
                on_feedback(message.feedback)

        return await ask(client, goal, take, self._hold)

    def _hold(self, handle: ClientGoalHandle | None) -> None:
        self._handle = handle

    # -- reporting ------------------------------------------------------------------------------

    def report(self, text: str) -> None:
        """Print a line."""
        self._reported_s = time.monotonic()
        print(text, flush=True)

    @property
    def is_report_due(self) -> bool:
        """Whether nothing was printed for two seconds."""
        return time.monotonic() - self._reported_s >= PROGRESS_PERIOD_S

    def time_left(self, done: int, total: int) -> str:
        """Return the time that the rest takes, if it goes on as before, in words."""
        if not done:
            return "time left: not known yet"
        each_s = (time.monotonic() - self.started_s) / done
        return f"about {each_s * (total - done):.0f} s left"

    def finish(self, passed: bool, complaint: str) -> None:
        """End the process: exit code 0, or 1 with a sentence."""
        if passed:
            stop_node(self, status=0)
        else:
            stop_node(self, complaint)

    def close(self) -> None:
        """Cancel what is in progress, so that the robot stops when the process is interrupted."""
        if self._handle is not None:
            self._handle.cancel_goal_async()
