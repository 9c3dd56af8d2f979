"""The node robot_state_publisher: transforms of joint states as our own kinematics have them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tf_tree
from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from hardware.description.frames import optical_frame, prefixed
from hardware.description.robot import RobotDescription, load_robot
from hardware.description.urdf import urdf_of
from sim.physics.kinematics import SoftLimb


class Listener:
    """Publishes joint states, and keeps what comes of them."""

    def __init__(self, peer: Any, robot: RobotDescription) -> None:
        self.peer = peer
        self.tree = tf_tree.TransformTree()
        self.joints: list[JointState] = []
        self.descriptions: list[str] = []
        node = peer.node
        listen = node.create_subscription
        for topic, qos in (("/tf", reliable_qos(100)), ("/tf_static", latched_qos())):
            is_static = topic == "/tf_static"
            take = partial(self.tree.add, is_static=is_static)
            listen(TFMessage, topic, take, qos)
        listen(JointState, "/joint_states", self.joints.append, 10)
        listen(
            String, "/robot_description", lambda m: self.descriptions.append(m.data), latched_qos()
        )
        self.states = [
            node.create_publisher(JointState, f"/limb_{i}/joint_states", reliable_qos())
            for i in range(len(robot.limbs))
        ]
        peer.wait_until(lambda: all(p.get_subscription_count() for p in self.states))
        peer.wait_until(lambda: bool(self.descriptions and self.tree.frames))

    def send(self, limb: int, second: int, angles: dict[str, float]) -> None:
        """Publish joint states until their transforms have come."""
        message = JointState(name=list(angles), position=list(angles.values()))
        message.header.stamp = Time(sec=second)
        self.states[limb].publish(message)
        self.peer.wait_until(lambda: any(j.header.stamp.sec == second for j in self.joints))
        self.peer.wait_until(lambda: second * 1_000_000_000 in self.tree.times_ns())


def tip_of(robot: RobotDescription, limb: int, hinges: np.ndarray) -> np.ndarray:
    """Where the last link's frame is in the base, by our own kinematics."""
    kinematics = SoftLimb.of(robot, limb)
    rotations, shifts = kinematics.link_poses(hinges)
    pivot = np.array(robot.limbs[limb].body.hinges[-1].pivot_m)
    return kinematics.in_world(rotations[-1] @ pivot + shifts[-1])


def test_frames_of_a_simulated_limb_follow_all_its_measured_hinges(
    start_node: Callable[..., Any], peer: Any
) -> None:
    robot = load_robot("limb_p1")
    process = start_node("robot_state_publisher", robot="limb_p1")
    listener = Listener(peer, robot)
    assert listener.descriptions[0] == urdf_of(robot)
    hinges = np.array([0.3, -0.4, 0.2, 0.5, 0.6, 0.7])
    names = [hinge.name for hinge in robot.limbs[0].body.hinges]
    listener.send(0, 5, dict(zip(names, hinges.tolist(), strict=True)) | {"finger": 0.9})
    time_ns = 5_000_000_000
    tip = listener.tree.pose(prefixed(0, "finger_tip"), "base_link", time_ns)
    np.testing.assert_allclose(tip[:3, 3], tip_of(robot, 0, hinges), atol=1e-9)
    for j in range(4):
        assert np.isfinite(listener.tree.pose(optical_frame(0, j), "base_link", time_ns)).all()
    by_name = dict(zip(listener.joints[-1].name, listener.joints[-1].position, strict=True))
    assert by_name["limb_0_finger"] == 0.9 and by_name["limb_0_finger_2"] == 0.6
    # What is not finite or not known changes nothing.
    listener.send(0, 6, {"shoulder_yaw": np.nan, "nobody": 1.0, **dict.fromkeys(names[1:], 0.0)})
    yaw = dict(zip(listener.joints[-1].name, listener.joints[-1].position, strict=True))
    assert yaw["limb_0_shoulder_yaw"] == 0.3 and yaw["limb_0_finger_3"] == 0.0
    assert process.stop().status == 0


def test_flexible_links_of_a_real_limb_are_where_it_rests(
    start_node: Callable[..., Any], peer: Any
) -> None:
    robot = load_robot("limb_p1")
    start_node("robot_state_publisher", robot="limb_p1")
    listener = Listener(peer, robot)
    servos = {"shoulder_yaw": 0.2, "shoulder_pitch": 0.1, "wrist_roll": -0.3, "finger": 0.8}
    listener.send(0, 3, servos)
    hinges = SoftLimb.of(robot, 0).hinges(list(servos.values()))
    assert abs(hinges[3:]).min() > 0.1, "the finger bends"
    tip = listener.tree.pose(prefixed(0, "finger_tip"), "base_link", 3_000_000_000)
    np.testing.assert_allclose(tip[:3, 3], tip_of(robot, 0, hinges), atol=1e-5)


def test_all_limbs_of_a_starfish_are_in_one_tree(start_node: Callable[..., Any], peer: Any) -> None:
    robot = load_robot("starfish")
    start_node("robot_state_publisher", robot="starfish")
    listener = Listener(peer, robot)
    rng = np.random.default_rng(2)
    for limb, about in enumerate(robot.limbs):
        angles = rng.uniform(-0.3, 0.3, len(about.joints))
        names = [joint.name for joint in about.joints]
        listener.send(limb, limb + 1, dict(zip(names, angles.tolist(), strict=True)))
        time_ns = (limb + 1) * 1_000_000_000
        tip = listener.tree.pose(prefixed(limb, "carrier_8"), "base_link", time_ns)
        np.testing.assert_allclose(tip[:3, 3], tip_of(robot, limb, angles), atol=1e-9)
    cameras = [optical_frame(i, j) for i in range(6) for j in range(8)]
    assert set(cameras) <= listener.tree.frames


def test_a_wrong_parameter_is_told_in_one_sentence(start_node: Callable[..., Any]) -> None:
    outcome = start_node("robot_state_publisher", rate_hz=0.0).wait()
    assert outcome.status == 2 and "'rate_hz' must be above 0" in outcome.stderr
    outcome = start_node("robot_state_publisher", robot="limb_p2").wait()
    assert outcome.status != 0 and "did you mean 'limb_p1'?" in outcome.stderr
