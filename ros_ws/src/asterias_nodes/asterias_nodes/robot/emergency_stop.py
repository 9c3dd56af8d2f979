"""The emergency stop of a robot: ``/e_stop``, latched on ``/e_stop_state`` and stored on disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rclpy.node import Node
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from asterias.errors import UserError
from asterias_nodes.robot.emergency_stop_state import EmergencyStopState
from asterias_nodes.runtime.owned_entities import OwnedEntities
from asterias_nodes.runtime.qos import latched_qos


class Stoppable(Protocol):
    """A limb, or another body that moves."""

    def stop(self, engaged: bool, /) -> None:
        """Hold and refuse commands, or take them again."""


class EmergencyStop:
    """Serves ``/e_stop`` for limbs or for another body.

    Once engaged it stays so until a person releases it, also when the process ends or dies
    meanwhile: the next one begins engaged. A request for the present state changes nothing: what
    has stopped is not commanded again.

    Args:
        node: the hosting node.
        bodies: all of them hold while the stop is engaged.
        robot: name of the robot, for the file on disk.
    """

    def __init__(self, node: Node, bodies: Sequence[Stoppable], robot: str) -> None:
        self._node = node
        self._bodies = bodies
        self._stored = EmergencyStopState(node.get_name(), robot)
        self._owned = OwnedEntities(node)
        self.is_engaged = False
        self._state = self._owned.publisher(Bool, "/e_stop_state", latched_qos())
        self._owned.service(SetBool, "/e_stop", self._on_request)
        if self._stored.is_engaged():
            self._change(True)
            node.get_logger().warning(
                "The emergency stop was engaged and never released; it is engaged. Release it: "
                "ros2 service call /e_stop std_srvs/srv/SetBool '{data: false}'"
            )
        self._state.publish(Bool(data=self.is_engaged))

    def set(self, is_engaged: bool) -> None:
        """Engage or release; releasing resumes no motion."""
        if is_engaged != self.is_engaged:
            self._change(is_engaged)
        self._state.publish(Bool(data=is_engaged))

    def close(self) -> None:
        """Take service and topic down."""
        self._owned.close()

    def _change(self, is_engaged: bool) -> None:
        """Stop or release the bodies first, then store it."""
        self.is_engaged = is_engaged
        for body in self._bodies:
            body.stop(is_engaged)
        self._store(is_engaged)

    def _store(self, is_engaged: bool) -> None:
        try:
            self._stored.store(is_engaged)
        except (UserError, OSError) as error:
            self._node.get_logger().error(
                f"The state of the emergency stop cannot be stored in {self._stored.path} "
                f"({error}); it would be released after a restart."
            )

    def _on_request(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.set(bool(request.data))
        response.success = True
        response.message = (
            "The robot holds; commands are refused until the emergency stop is released."
            if self.is_engaged
            else "The emergency stop is released; the robot holds until the next command."
        )
        self._node.get_logger().warning(response.message)
        return response
