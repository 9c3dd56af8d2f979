"""Clients that take a limb's joints from cameras when servos measure nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import JointState

from asterias_nodes.robot.limb_state_monitor import LimbStateMonitor, check_joints
from asterias_nodes.runtime.parameters import SettingsError
from asterias_nodes.runtime.qos import reliable_qos
from hardware.description.robot import load_robot

ROBOT = load_robot("limb_p1")
NAMES = [joint.name for joint in ROBOT.limbs[0].joints]


def send(peer: Any, publisher: Any, values: list[float], second: int) -> None:
    """Publish joints with a stamp."""
    message = JointState(name=NAMES, position=values)
    message.header.stamp = Time(sec=second)
    publisher.publish(message)


@pytest.mark.parametrize("joints", ["measured", "estimated", "auto"])
def test_a_client_takes_estimates_where_it_is_told_to(peer: Any, joints: str) -> None:
    monitor = LimbStateMonitor(peer.node, ROBOT, 0, joints=joints)
    topics = ("/limb_0/joint_states", "/limb_0/estimated_joint_states")
    measured, estimated = (
        peer.node.create_publisher(JointState, topic, reliable_qos()) for topic in topics
    )
    wanted = {"measured": [measured], "estimated": [estimated], "auto": [measured, estimated]}
    peer.wait_until(lambda: all(p.get_subscription_count() for p in wanted[joints]))
    half_blind = [0.1, float("nan"), 0.3, 0.4]

    def told(values: list[float]) -> Callable[[], bool]:
        def is_so() -> bool:
            send(peer, estimated, [1.0, 1.0, 1.0, 1.0], 2)
            send(peer, measured, half_blind, 1)
            position = monitor.position_rad
            return position is not None and np.allclose(position, values)

        return is_so

    if joints == "measured":
        send(peer, measured, [0.1, 0.2, 0.3, 0.4], 1)
        peer.wait_until(told([0.1, 0.2, 0.3, 0.4]))  # a joint that is missing keeps its last value
    elif joints == "estimated":
        peer.wait_until(told([1.0, 1.0, 1.0, 1.0]))
    else:
        peer.wait_until(told([0.1, 1.0, 0.3, 0.4]))
        assert monitor.unmeasured == (NAMES[1],)
    monitor.close()


def test_where_joints_come_from_is_checked() -> None:
    check_joints("auto")
    with pytest.raises(SettingsError, match="measured, estimated, auto"):
        check_joints("guessed")
