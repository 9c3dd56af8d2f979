"""The executor that nodes run in: one thread, driven by events where rclpy can do that."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node

OnError = Callable[[Exception], None]


def make_executor(on_error: OnError) -> Executor:
    """Return the single-threaded executor that costs least.

    ``SingleThreadedExecutor`` builds its wait set anew for every callback, about a millisecond for
    a node with a dozen entities; the one driven by events takes a third of that.

    Args:
        on_error: gets what a task (a coroutine, or a callback of a future) raises; errors of other
            callbacks come out of ``spin_once``.
    """
    if not hasattr(rclpy_implementation, "EventsExecutor"):  # ROS 2 before Kilted
        return SingleThreadedExecutor()
    context = rclpy.get_default_context()
    executor: Any = _events_executor(on_error)(context)
    context.on_shutdown(executor.wake)
    return executor  # type: ignore[no-any-return,unused-ignore]


def soon(node: Node, function: Callable[..., object], *arguments: object) -> None:
    """Call a function in the node's own thread, from any other; never, once the node has ended."""
    if node.executor is not None:
        node.executor.create_task(function, *arguments)


def _events_executor(on_error: OnError) -> Any:
    """Return the events executor without its flaw: an exception in a task crashes the process."""

    class GuardedEventsExecutor(rclpy_implementation.EventsExecutor):
        """Passes exceptions of tasks to ``on_error``."""

        def create_task(self, callback: Any, *args: Any, **kwargs: Any) -> Any:
            """Return the task, as ``Executor.create_task`` does."""
            guard = _guarded_coroutine if iscoroutinefunction(callback) else _guarded
            return super().create_task(guard(callback, on_error), *args, **kwargs)

    return GuardedEventsExecutor


def _guarded(callback: Callable[..., Any], on_error: OnError) -> Callable[..., Any]:
    @wraps(callback)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return callback(*args, **kwargs)
        except Exception as error:
            return on_error(error)

    return call


def _guarded_coroutine(callback: Callable[..., Any], on_error: OnError) -> Callable[..., Any]:
    @wraps(callback)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return await callback(*args, **kwargs)
        except Exception as error:
            return on_error(error)

    return call
