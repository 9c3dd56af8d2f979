"""An action server for long work on one thread: coroutines that are resumed, never polled.

rclpy runs a coroutine that awaits by calling it again and again, which keeps a processor core busy
for as long as a goal lasts. Here a coroutine sleeps until the event it waits for completes.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any

from rclpy.action import ActionServer
from rclpy.action.server import ServerGoalHandle

Work = Coroutine[Any, Any, Any]


class GoalError(Exception):
    """A goal ends before its end; holds the action's error code and a sentence."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Event:
    """Something a coroutine awaits; completing it resumes the coroutine in the same call."""

    def __init__(self) -> None:
        self._is_done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._wake: Callable[[], None] | None = None

    def complete(self, value: Any = None) -> None:
        """End the wait with a value; harmless when it has ended before."""
        self._finish(value, None)

    def fail(self, error: BaseException) -> None:
        """End the wait with an exception; harmless when it has ended before."""
        self._finish(None, error)

    def _finish(self, value: Any, error: BaseException | None) -> None:
        if self._is_done:
            return
        self._is_done, self._value, self._error = True, value, error
        if self._wake is not None:
            self._wake()

    def __await__(self) -> Generator[Event, None, Any]:
        if not self._is_done:
            yield self
        if self._error is not None:
            raise self._error
        return self._value


def run(work: Work, on_end: Callable[[Any], None]) -> None:
    """Run a coroutine that awaits events only, until its end; ``on_end`` gets what it returns."""

    def resume() -> None:
        try:
            event = work.send(None)
        except StopIteration as end:
            on_end(end.value)
            return
        event._wake = resume

    resume()


class EventActionServer(ActionServer):
    """Runs each accepted goal as a coroutine over :class:`Event`.

    Args:
        work: makes the coroutine of a goal; it returns the action's result, having set the goal's
            final state (``succeed``, ``abort`` or ``canceled``), and lets no exception out.
        others: as for ``rclpy.action.ActionServer``.
    """

    def __init__(
        self,
        node: Any,
        action_type: Any,
        action_name: str,
        work: Callable[[ServerGoalHandle], Work],
        **others: Any,
    ) -> None:
        super().__init__(node, action_type, action_name, lambda handle: None, **others)
        self._work = work

    def notify_execute(self, goal_handle: ServerGoalHandle, execute_callback: Any) -> None:
        """Run the coroutine of a goal that starts, then hand over the result."""

        def end(result: Any) -> None:
            super(EventActionServer, self).notify_execute(goal_handle, lambda handle: result)

        run(self._work(goal_handle), end)
