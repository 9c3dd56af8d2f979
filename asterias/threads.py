"""A thread that starts and ends with its owner."""

from __future__ import annotations

import threading
from collections.abc import Callable


class StoppableThread:
    """Runs a function in a daemon thread until it is asked to stop.

    Args:
        target: called with this object; it returns soon after ``is_stopping`` became true.
        name: of the thread, as debuggers show it.
    """

    def __init__(self, target: Callable[[StoppableThread], None], name: str) -> None:
        self._target = target
        self._name = name
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_stopping(self) -> bool:
        """True from ``stop()`` on, and before the first ``start()`` false."""
        return self._stopping.is_set()

    @property
    def is_alive(self) -> bool:
        """True while the function runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the function; a thread that has ended or was stopped can be started again.

        Raises:
            RuntimeError: it runs already.
        """
        if self.is_alive:
            raise RuntimeError(f"The thread {self._name} runs already.")
        self._stopping.clear()
        self._thread = threading.Thread(
            target=self._target, args=(self,), name=self._name, daemon=True
        )
        self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Sleep inside the function until the time is over or a stop is requested.

        Args:
            timeout_s: longest sleep; less than 0 counts as 0.

        Returns:
            Whether the function is to stop.
        """
        return self._stopping.wait(max(timeout_s, 0.0))

    def request_stop(self) -> None:
        """Ask the function to return, without waiting for it."""
        self._stopping.set()

    def stop(self, timeout_s: float | None = None) -> bool:
        """Ask the function to return and wait for it; does nothing when it never ran.

        Called from the thread itself it only asks, since a thread cannot wait for its own end.

        Args:
            timeout_s: longest wait; None waits until it has ended.

        Returns:
            Whether the thread has ended.
        """
        self._stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self.is_alive
