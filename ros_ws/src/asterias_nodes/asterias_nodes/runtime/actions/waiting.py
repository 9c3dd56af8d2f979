"""Waits of coroutines (see ``event_action_server``) on wall time and on threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from asterias_nodes.runtime.actions.event_action_server import Event
from asterias_nodes.runtime.executor import soon

T = TypeVar("T")
POLL_PERIOD_S = 0.02
STEADY = ClockType.STEADY_TIME


async def pause(node: Node, duration_s: float) -> None:
    """Let other callbacks run for ``duration_s`` of wall time."""
    done = Event()
    timer = node.create_timer(duration_s, done.complete, clock=Clock(clock_type=STEADY))
    try:
        await done
    finally:
        node.destroy_timer(timer)


async def wait_until(
    node: Node,
    condition: Callable[[], bool],
    timeout_s: float,
    *,
    period_s: float = POLL_PERIOD_S,
) -> bool:
    """Return True as soon as a condition holds, False where it does not within ``timeout_s``.

    Other callbacks run meanwhile; an exception that the condition raises ends the wait.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        await pause(node, period_s)
    return True


async def in_thread(node: Node, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    """Return what ``work`` returns in a thread of ``pool``; the node serves others meanwhile.

    An exception of ``work`` is passed on, and ``CancelledError`` where the pool is shut down first.
    """
    done = Event()

    def resume(future: Future[T]) -> None:
        try:
            done.complete(future.result())
        except Exception as error:
            done.fail(error)

    # Callbacks of a future run in its thread; events belong to the node's.
    pool.submit(work).add_done_callback(lambda future: soon(node, resume, future))
    result: T = await done
    return result
