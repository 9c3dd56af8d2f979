"""Approval of motions by a person: a request on a topic, a yes by service; silence means no."""

from __future__ import annotations

import asyncio
import concurrent.futures

from asterias_interfaces.msg import ApprovalRequest
from asterias_interfaces.srv import Approve
from rclpy.node import Node

from asterias_nodes.agents.robot_skills import in_executor
from asterias_nodes.runtime.qos import latched_qos
from learning.agents.skills.skill import SkillCall


class Approvals:
    """Asks on ``/agents/approval_requests``, takes the answer on ``/agents/approve``.

    Args:
        node: the hosting node.
        timeout_s: after which the answer is no.
    """

    def __init__(self, node: Node, timeout_s: float) -> None:
        self._node, self._timeout_s = node, timeout_s
        self._waiting: dict[int, concurrent.futures.Future[bool]] = {}
        self._count = 0
        topic = "/agents/approval_requests"
        self._requests = node.create_publisher(ApprovalRequest, topic, latched_qos())
        self._service = node.create_service(Approve, "/agents/approve", self._on_approve)

    def close(self) -> None:
        """Say no to all who wait, and take the topics down."""
        for waiting in self._waiting.values():
            waiting.cancel()
        self._node.destroy_service(self._service)
        self._node.destroy_publisher(self._requests)

    async def ask(self, call: SkillCall) -> bool:
        """Return whether a person approves this call in time; waited for in the agents' thread."""
        number, waiting = await in_executor(self._node, lambda: self._publish(call))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(waiting), self._timeout_s)
        except (asyncio.TimeoutError, concurrent.futures.CancelledError):
            return False
        finally:
            self._waiting.pop(number, None)

    def _publish(self, call: SkillCall) -> tuple[int, concurrent.futures.Future[bool]]:
        self._count += 1
        waiting: concurrent.futures.Future[bool] = concurrent.futures.Future()
        self._waiting[self._count] = waiting
        request = ApprovalRequest(id=self._count, call=str(call), timeout_s=self._timeout_s)
        request.header.stamp = self._node.get_clock().now().to_msg()
        self._requests.publish(request)
        self._node.get_logger().info(
            f"May I do {call}? ros2 service call /agents/approve asterias_interfaces/srv/Approve "
            f'"{{id: {self._count}, approved: true}}"'
        )
        return self._count, waiting

    def _on_approve(self, request: Approve.Request, response: Approve.Response) -> Approve.Response:
        waiting = self._waiting.pop(request.id, None)
        if waiting is None or waiting.done():
            response.message = f"No request {request.id} waits for an answer (any more)."
            return response
        waiting.set_result(bool(request.approved))
        response.success = True
        response.message = f"Request {request.id} is {'' if request.approved else 'not '}approved."
        return response
