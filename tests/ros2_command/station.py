"""A node with one of everything, for the verbs that look at a running system.

Not a test: the tests start it as a process. It prints `ready` once everything is there.
"""

from __future__ import annotations

import threading
from typing import Any

import rclpy
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import SetBool

try:
    from asterias_interfaces.action import FindTarget
except ImportError:  # the workspace is not built
    FindTarget = None

RATE_HZ = 20.0
STEP_S = 0.1


class Station(Node):  # type: ignore[misc]
    """Publishes, serves and has parameters."""

    def __init__(self) -> None:
        super().__init__("station", namespace="/test")
        self.declare_parameter("gain", 2.5)
        self.declare_parameter("name", "alpha")
        self.declare_parameter("count", 3)
        self.declare_parameter("weights", [0.5, 1.5])
        best_effort = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        self._words = self.create_publisher(String, "words", 10)
        self._joints = self.create_publisher(JointState, "joints", best_effort)
        self._numbers = self.create_publisher(Float64MultiArray, "numbers", latched)
        self._numbers.publish(Float64MultiArray(data=[float(number) for number in range(200)]))
        self.create_service(SetBool, "switch", self._switch)
        self.create_timer(1.0 / RATE_HZ, self._publish)
        if FindTarget is not None:
            self._server = ActionServer(
                self,
                FindTarget,
                "find_target",
                self._find_target,
                cancel_callback=lambda _: CancelResponse.ACCEPT,
                callback_group=ReentrantCallbackGroup(),
            )

    def _publish(self) -> None:
        self._words.publish(String(data="hello"))
        joints = JointState(name=["shoulder", "elbow"], position=[0.25, -0.5])
        self._joints.publish(joints)

    def _switch(self, request: Any, response: Any) -> Any:
        response.success = request.data
        response.message = "on" if request.data else "off"
        return response

    def _find_target(self, goal: Any) -> Any:
        result = FindTarget.Result()
        for step in range(1, goal.request.max_steps + 1):
            if goal.is_cancel_requested:
                goal.canceled()
                result.error_msg = "cancelled"
                return result
            goal.publish_feedback(FindTarget.Feedback(step=step, phase="looking"))
            threading.Event().wait(STEP_S)
        goal.succeed()
        result.found = True
        result.steps = goal.request.max_steps
        return result


class Managed(LifecycleNode):  # type: ignore[misc]
    """Goes through any transition."""

    def on_configure(self, state: Any) -> TransitionCallbackReturn:
        """Succeed."""
        return TransitionCallbackReturn.SUCCESS


def main() -> None:
    """Run both nodes until a signal comes."""
    rclpy.init()
    executor = MultiThreadedExecutor(num_threads=2)
    executor.add_node(Station())
    executor.add_node(Managed("managed", namespace="/test"))
    print("ready", flush=True)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
