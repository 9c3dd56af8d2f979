"""A client of actions for tests: sends goals, keeps the feedback, waits for results."""

from __future__ import annotations

from typing import Any

from rclpy.action import ActionClient


class Asker:
    """Sends goals of one action."""

    def __init__(self, peer: Any, kind: Any, name: str) -> None:
        self.peer, self.kind = peer, kind
        self.client = ActionClient(peer.node, kind, name)
        self.feedback: list[Any] = []
        peer.wait_until(self.client.server_is_ready)

    def send(self, goal: Any) -> Any:
        """The accepted goal's handle."""
        future = self.client.send_goal_async(
            goal, feedback_callback=lambda message: self.feedback.append(message.feedback)
        )
        self.peer.wait_until(future.done)
        return future.result()

    def result(self, handle: Any) -> Any:
        """Status and result, once the goal has ended."""
        future = handle.get_result_async()
        self.peer.wait_until(future.done)
        return future.result()

    def ask(self, goal: Any) -> Any:
        """The result of a goal."""
        return self.result(self.send(goal)).result

    def close(self) -> None:
        self.client.destroy()
