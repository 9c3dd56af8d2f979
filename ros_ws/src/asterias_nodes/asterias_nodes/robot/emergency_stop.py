"""The emergency stop of a robot: ``/e_stop``, latched on ``/e_stop_state``."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from asterias_nodes.robot.limb_interface import LimbInterface
from asterias_nodes.runtime.qos import latched_qos


class EmergencyStop:
    """Serves ``/e_stop`` for limbs.

    Args:
        node: the hosting node.
        limbs: all of them hold while the stop is engaged.
        is_engaged: state at the start, for a node that is configured again.
    """

    def __init__(
        self, node: Node, limbs: Sequence[LimbInterface], is_engaged: bool = False
    ) -> None:
        self._node = node
        self._limbs = limbs
        self.is_engaged = False
        self._state = node.create_publisher(Bool, "/e_stop_state", latched_qos())
        self._service = node.create_service(SetBool, "/e_stop", self._on_request)
        self.set(is_engaged)

    def set(self, is_engaged: bool) -> None:
        """Engage or release; releasing resumes no motion."""
        self.is_engaged = is_engaged
        for limb in self._limbs:
            limb.stop(is_engaged)
        self._state.publish(Bool(data=is_engaged))

    def close(self) -> None:
        """Take service and topic down."""
        self._node.destroy_service(self._service)
        self._node.destroy_publisher(self._state)

    def _on_request(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.set(bool(request.data))
        response.success = True
        response.message = (
            "All limbs hold; commands are refused until the emergency stop is released."
            if self.is_engaged
            else "The emergency stop is released; the limbs hold until the next command."
        )
        self._node.get_logger().warning(response.message)
        return response
