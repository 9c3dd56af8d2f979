"""Asking services and actions from a coroutine of :func:`event_action_server.run`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.task import Future

from asterias_nodes.runtime.actions.event_action_server import Event


class RefusedError(Exception):
    """A goal was not accepted."""


async def wait_for(future: Future[Any]) -> Any:
    """Return the result of a future, while other callbacks run."""
    done = Event()
    future.add_done_callback(lambda answer: done.complete(answer.result()))
    return await done


async def ask(
    client: ActionClient,
    goal: Any,
    on_feedback: Callable[[Any], None] | None = None,
    on_handle: Callable[[ClientGoalHandle | None], None] = lambda handle: None,
) -> Any:
    """Return the result of a goal; ``on_handle`` gets its handle, and None when it has ended.

    Raises:
        RefusedError: the server does not accept it.
    """
    handle = await wait_for(client.send_goal_async(goal, feedback_callback=on_feedback))
    if handle is None or not handle.accepted:
        raise RefusedError(f"The goal was refused by {client._action_name}; is its node active?")
    on_handle(handle)
    try:
        result = await wait_for(handle.get_result_async())
    finally:
        on_handle(None)
    return result.result
