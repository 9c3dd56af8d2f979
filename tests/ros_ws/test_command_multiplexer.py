"""The command multiplexer as a process: priority, time-out, dead-man, emergency stop, over DDS."""

from __future__ import annotations

import time
from typing import Any

import pytest
from builtin_interfaces.msg import Duration
from std_msgs.msg import Bool, Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from asterias_nodes.robot.command_multiplexer import MultiplexerSettings
from asterias_nodes.runtime.parameters import SettingsError
from asterias_nodes.runtime.qos import latched_qos, reliable_qos


class Desk:
    """Sources, a stop, and what comes out for the limb."""

    def __init__(self, peer: Any) -> None:
        self.peer = peer
        self.out: list[float] = []
        self.owners: list[str] = []
        node = peer.node
        node.create_subscription(
            Float64MultiArray, "/limb_0/commands", lambda m: self.out.append(m.data[0]), 10
        )
        node.create_subscription(
            String, "/limb_0/active_source", lambda m: self.owners.append(m.data), latched_qos()
        )
        self.stop = node.create_publisher(Bool, "/e_stop_state", latched_qos())
        self.commands, self.deadmen = {}, {}
        for name in ("web", "keyboard", "language_agent"):
            topic = f"/limb_0/sources/{name}"
            self.commands[name] = node.create_publisher(Float64MultiArray, topic, reliable_qos())
            if name != "language_agent":
                self.deadmen[name] = node.create_publisher(Bool, f"{topic}/deadman", reliable_qos())
        everything = [*self.commands.values(), *self.deadmen.values(), self.stop]
        peer.wait_until(lambda: all(p.get_subscription_count() for p in everything))
        peer.wait_until(lambda: node.count_publishers("/limb_0/commands") > 0 and self.owners)

    def command(self, name: str, value: float) -> None:
        self.commands[name].publish(Float64MultiArray(data=[value, 0.0, 0.0, 0.0]))

    def hold(self, name: str, is_held: bool = True) -> None:
        self.deadmen[name].publish(Bool(data=is_held))

    def passes(self, name: str, value: float, *, deadman: bool = True) -> bool:
        """Whether commands of a source, repeated for a while, come out."""
        end_s = time.monotonic() + 0.4
        while time.monotonic() < end_s:
            if deadman and name in self.deadmen:
                self.hold(name)
            self.command(name, value)
            self.peer.spin(0.05)
        return value in self.out


def test_who_commands_a_limb(start_node: Any, peer: Any) -> None:
    start_node("command_multiplexer")
    desk = Desk(peer)
    assert not desk.passes("web", 1.0, deadman=False), "no dead-man, no motion"
    assert desk.passes("language_agent", 2.0)
    assert desk.owners[-1] == "language_agent"

    assert desk.passes("web", 3.0), "the higher priority takes over"
    assert desk.owners[-1] == "web"
    desk.hold("web")
    desk.command("web", 3.0)
    assert not desk.passes("keyboard", 4.0)
    # The page is closed: after the time-out the others are heard, and the owner is told.
    peer.wait_until(lambda: desk.owners[-1] == "")
    assert desk.passes("keyboard", 5.0)
    desk.hold("keyboard", False)
    peer.wait_until(lambda: desk.owners[-1] == "")

    desk.stop.publish(Bool(data=True))
    peer.spin(0.2)
    assert not desk.passes("language_agent", 6.0) and not desk.passes("web", 7.0)
    desk.stop.publish(Bool(data=False))
    peer.spin(0.1)  # shorter than the time-out: silence would be a release
    assert not desk.passes("web", 8.0), "held through the stop: to be released first"
    desk.hold("web", False)
    peer.spin(0.2)
    assert desk.passes("web", 9.0)
    assert set(desk.out) == {2.0, 3.0, 5.0, 9.0}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sources": ["web"]}, "write name:priority"),
        ({"sources": ["web:high"]}, "write name:priority"),
        ({"sources": ["a b:1"]}, "letters"),
        ({"without_deadman": ["cat"]}, "names no source: cat"),
        ({"timeout_s": 0.0}, "above 0 s"),
    ],
)
def test_sources_that_make_no_sense_are_refused(changes: dict[str, Any], told: str) -> None:
    if "sources" in changes:
        changes = {"without_deadman": [], **changes}
    with pytest.raises(SettingsError, match=told):
        MultiplexerSettings(**changes).parsed()


def test_a_program_may_send_timed_moves_and_keeps_the_limb_meanwhile(
    start_node: Any, peer: Any
) -> None:
    moves: list[JointTrajectory] = []
    node = peer.node
    node.create_subscription(JointTrajectory, "/limb_0/joint_trajectory", moves.append, 10)
    start_node("command_multiplexer")
    desk = Desk(peer)
    topic = "/limb_0/sources/policy/joint_trajectory"
    policy = node.create_publisher(JointTrajectory, topic, 10)
    peer.wait_until(lambda: policy.get_subscription_count() > 0)
    peer.wait_until(lambda: node.count_publishers("/limb_0/joint_trajectory") > 0)
    point = JointTrajectoryPoint(positions=[0.1] * 4, time_from_start=Duration(sec=30))
    policy.publish(JointTrajectory(points=[point]))
    peer.wait_until(lambda: moves)
    peer.wait_until(lambda: desk.owners[-1] == "policy")
    assert not desk.passes("language_agent", 0.5)
    assert desk.passes("keyboard", 0.7)
    # A timed move goes on when the hand lets go: those with a dead-man may not send any.
    assert node.count_subscribers("/limb_0/sources/keyboard/joint_trajectory") == 0
