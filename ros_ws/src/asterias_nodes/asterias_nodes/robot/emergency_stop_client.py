"""The client of ``/e_stop``: the state of the emergency stop, and requests to the robot."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from rclpy.task import Future
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from asterias_nodes.runtime.qos import latched_qos


class EmergencyStopClient:
    """Know the state of the emergency stop, and send requests to the robot.

    Args:
        node: the hosting node.
        on_answer: gets the sentence that the robot answers with, or what is wrong.
        on_change: called when the state changes.
    """

    def __init__(
        self,
        node: Node,
        on_answer: Callable[[str], None],
        on_change: Callable[[bool], None] = lambda is_engaged: None,
    ) -> None:
        self.is_engaged = False
        self.is_known = False
        self._on_answer, self._on_change = on_answer, on_change
        self._client = node.create_client(SetBool, "/e_stop")
        node.create_subscription(Bool, "/e_stop_state", self._on_state, latched_qos())

    def request(self, engage: bool) -> None:
        """Ask the robot to engage or release the emergency stop."""
        if not self._client.service_is_ready():
            self._on_answer("The robot's /e_stop is NOT there: use the power switch.")
            return
        future = self._client.call_async(SetBool.Request(data=engage))
        future.add_done_callback(self._answered)

    def _answered(self, future: Future[SetBool.Response]) -> None:
        answer = future.result()
        self._on_answer("The robot gave no answer." if answer is None else answer.message)

    def _on_state(self, message: Bool) -> None:
        self.is_engaged, self.is_known = bool(message.data), True
        self._on_change(self.is_engaged)
