"""People at a simulated limb: keys through a pty, a game pad's messages, a leader limb."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from asterias_nodes.runtime.parameters import SettingsError
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from asterias_nodes.teleop.teleop_client import check_speeds
from asterias_nodes.teleop.terminal import NoTerminalError, Terminal
from hardware.description.robot import load_robot, save_robot
from hardware.emulated.motor import IdealMotor
from hardware.emulated.robot import EmulatedRobot


class Robot:
    """A simulated limb behind its multiplexer, as a test sees it."""

    def __init__(self, peer: Any) -> None:
        self.peer = peer
        self.states: list[JointState] = []
        self.is_stopped = False
        node = peer.node
        node.create_subscription(
            JointState, "/limb_0/joint_states", self.states.append, reliable_qos(50)
        )
        node.create_subscription(Bool, "/e_stop_state", self._on_stop, latched_qos())
        peer.wait_until(lambda: self.states)
        peer.wait_until(lambda: node.count_publishers("/limb_0/active_source") > 0)

    def _on_stop(self, message: Bool) -> None:
        self.is_stopped = message.data

    def joints(self) -> np.ndarray:
        """``(4,)`` where the joints are now."""
        self.states.clear()
        self.peer.wait_until(lambda: self.states)
        return np.array(self.states[-1].position[:4])

    def rests(self) -> np.ndarray:
        """``(4,)`` where the joints come to rest."""
        before = self.joints()
        while True:
            self.peer.spin(0.15)
            now = self.joints()
            if np.abs(now - before).max() < 0.003:
                return now
            before = now

    def set_stop(self, engaged: bool) -> None:
        client = self.peer.node.create_client(SetBool, "/e_stop")
        self.peer.wait_until(client.service_is_ready)
        future = client.call_async(SetBool.Request(data=engaged))
        self.peer.wait_until(future.done)


@pytest.fixture(scope="module")
def nodes(start_shared_node: Any) -> None:
    start_shared_node("sim_robot")
    start_shared_node("command_multiplexer")


@pytest.fixture
def robot(peer: Any, nodes: None) -> Robot:
    return Robot(peer)


class Screen:
    """The far end of a pty: a person's fingers and eyes.

    Attributes:
        knows_releases: answers as a terminal with the keyboard protocol of kitty does.
    """

    def __init__(self, knows_releases: bool = False) -> None:
        self.far, near = pty.openpty()
        self.path = os.ttyname(near)
        self._near = near  # kept open: a pty whose last user goes is gone
        self.knows_releases = knows_releases
        self.text = ""

    def type(self, data: bytes) -> None:
        os.write(self.far, data)

    def look(self) -> str:
        """Everything that was shown so far; answers the terminal's own questions."""
        while select.select([self.far], [], [], 0)[0]:
            shown = os.read(self.far, 65536).decode(errors="replace")
            self.text += shown
            if "\x1b[?u" in shown and self.knows_releases:
                self.type(b"\x1b[?0u\x1b[?62c")
        return self.text

    def hold(self, peer: Any, key: bytes, duration_s: float) -> None:
        """A key that repeats, thirty times a second."""
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s:
            self.type(key)
            peer.spin(0.033)

    def hold_until(self, peer: Any, key: bytes, condition: Callable[[], bool]) -> None:
        """A key that repeats until the condition holds: a person's, who looks at the limb."""
        end_s = time.monotonic() + 30.0
        while not condition():
            assert time.monotonic() < end_s, f"{key!r} does nothing"
            self.type(key)
            peer.spin(0.033)

    def close(self) -> None:
        os.close(self.far)
        os.close(self._near)


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    yield made
    made.close()


def test_keys_drive_the_limb_and_the_limb_stops_with_them(
    robot: Robot, start_node: Any, screen: Screen
) -> None:
    peer = robot.peer
    keyboard = start_node("teleop_keyboard", terminal=screen.path)
    peer.wait_until(lambda: "moved by nobody" in screen.look())
    assert "SPACE emergency stop" in screen.text
    start = robot.rests()
    key, way = (b"a", -1.0) if start[0] > 0 else (b"q", 1.0)  # away from the nearer limit

    screen.hold_until(peer, key, lambda: way * (robot.joints()[0] - start[0]) > 0.2)
    moved = robot.rests() - start
    assert 0.2 < way * moved[0] < 1.6, "the first joint, for little longer than the key was held"
    assert np.abs(moved[1:]).max() < 0.05

    # SPACE stops everything; nothing moves until BACKSPACE.
    screen.type(b" ")
    peer.wait_until(lambda: robot.is_stopped)
    before = robot.rests()
    screen.hold(peer, key, 0.4)
    assert np.abs(robot.rests() - before).max() < 0.02
    peer.wait_until(lambda: "EMERGENCY STOP" in screen.look())
    screen.type(b"\x7f")
    peer.wait_until(lambda: not robot.is_stopped)

    # The tip goes up: x and y of it stay.
    screen.type(b"m")

    def rise() -> np.ndarray:
        places = re.findall(r"tip \| x (\S+) y (\S+) z (\S+) m", screen.look())
        tips = np.array(places, dtype=float).reshape(-1, 3)
        return np.asarray(tips[-1] - tips[0]) if len(tips) else np.zeros(3)

    screen.hold_until(peer, b"\x1b[5~", lambda: rise()[2] > 0.04)
    assert abs(rise()[1]) < 0.02

    screen.type(b"\x1b")
    assert keyboard.wait().status == 0


def test_a_terminal_that_tells_releases_stops_the_limb_with_the_key(
    robot: Robot, start_node: Any
) -> None:
    screen = Screen(knows_releases=True)
    keyboard = start_node("teleop_keyboard", terminal=screen.path)
    robot.peer.wait_until(lambda: "moved by nobody" in screen.look())
    assert "\x1b[>11u" in screen.text and "A key counts while it is down" in screen.text
    start = robot.rests()
    # a is down, then up: the first joint turns down; q the other way, away from the nearer limit.
    key, way = (97, -1.0) if start[0] > 0 else (113, 1.0)
    screen.type(f"\x1b[{key};1:1u".encode())
    robot.peer.wait_until(lambda: way * (robot.joints()[0] - start[0]) > 0.25)
    screen.type(f"\x1b[{key};1:3u".encode())
    moved = way * (robot.rests() - start)
    assert 0.25 < moved[0] < 1.3
    keyboard.send(signal.SIGINT)
    assert keyboard.wait().status == 0
    assert screen.look().endswith("\x1b[<u"), "the terminal is left as it was found"
    screen.close()


def test_without_a_terminal_the_keyboard_says_what_to_do(tmp_path: Path) -> None:
    plain = tmp_path / "no_terminal"
    plain.touch()
    with pytest.raises(NoTerminalError, match=r"is no terminal.*ros2 run"):
        Terminal(str(plain))


def test_a_game_pad_drives_only_with_its_dead_man_and_only_while_it_speaks(
    robot: Robot, start_node: Any
) -> None:
    peer = robot.peer
    start_node("teleop_gamepad")
    joy = peer.node.create_publisher(Joy, "/joy", reliable_qos())
    peer.wait_until(lambda: joy.get_subscription_count() > 0)
    peer.wait_until(lambda: peer.node.count_publishers("/limb_0/sources/gamepad") > 0)

    def push(buttons: list[int], duration_s: float) -> None:
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s:
            pressed = [int(number in buttons) for number in range(15)]
            joy.publish(Joy(axes=[way, 0.0, 0.0, 0.0, 0.0, 0.0], buttons=pressed))
            peer.spin(0.02)

    start = robot.rests()
    way = -1.0 if start[0] > 0 else 1.0  # away from the nearer limit
    push([], 0.4)
    assert np.abs(robot.rests() - start).max() < 0.02, "no dead-man, no motion"
    push([9], 0.5)
    moved = robot.rests() - start  # the pad falls silent with its dead-man held
    assert 0.2 < way * moved[0] < 1.6

    push([9, 1], 0.1)
    peer.wait_until(lambda: robot.is_stopped)
    push([9, 6], 0.1)
    peer.wait_until(lambda: not robot.is_stopped)
    before = robot.joints()
    push([9], 0.4)
    assert np.abs(robot.joints() - before).max() < 0.02, "held through the stop: let go first"
    push([], 0.1)
    way = -way
    push([9], 0.4)
    assert way * (robot.joints()[0] - before[0]) > 0.1


def test_a_leader_limb_on_a_servo_bus_is_followed_while_the_dead_man_is_held(
    robot: Robot, start_node: Any, tmp_path: Path
) -> None:
    peer = robot.peer
    with EmulatedRobot(load_robot("limb_p1"), "dynamixel") as leader:
        save_robot(leader.description, tmp_path / "leader.yaml")
        start_node("teleop_leader", leader=tmp_path / "leader.yaml", deadman="topic")
        pedal = peer.node.create_publisher(Bool, "/teleop_leader/deadman", reliable_qos())
        heard: list[JointState] = []
        peer.node.create_subscription(
            JointState, "/leader/joint_states", heard.append, reliable_qos()
        )
        peer.wait_until(lambda: heard and pedal.get_subscription_count() > 0)

        def hold_until_at(goal: list[float]) -> None:
            end_s = time.monotonic() + 15.0
            while np.abs(robot.joints() - goal).max() > 0.06:
                assert time.monotonic() < end_s, f"{robot.joints()} is not {goal}"
                pedal.publish(Bool(data=True))
                peer.spin(0.03)

        hold_until_at([0.0] * 4)
        pedal.publish(Bool(data=False))
        peer.spin(0.2)
        goal = [0.5, -0.4, 0.3, -0.2]
        motors = [motor.inner for motor in leader.limbs[0].motors]
        for motor, angle in zip(motors, goal, strict=True):
            assert isinstance(motor, IdealMotor)
            motor.turn_to(angle)  # what a hand does to a limb without torque
        peer.spin(0.5)
        assert abs(robot.joints()[0]) < 0.25, "nobody holds the dead-man"
        hold_until_at(goal)
        assert not any(servo.has_torque for servo in leader.limbs[0].servos)


def test_joints_on_a_topic_lead_too(robot: Robot, start_node: Any) -> None:
    peer = robot.peer
    start_node("teleop_leader", deadman="engage")
    leader = peer.node.create_publisher(JointState, "/leader/joint_states", reliable_qos())
    engage = peer.node.create_client(SetBool, "/teleop_leader/engage")
    peer.wait_until(lambda: leader.get_subscription_count() > 0 and engage.service_is_ready())
    names = list(robot.states[0].name[:4])
    goal = [-0.4, -0.3, 0.2, 0.1]

    def lead(duration_s: float) -> None:
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s:
            leader.publish(JointState(name=names, position=goal))
            peer.spin(0.02)

    start = robot.rests()
    lead(0.3)
    assert np.abs(robot.rests() - start).max() < 0.02, "nobody has engaged it"
    answer = engage.call_async(SetBool.Request(data=True))
    end_s = time.monotonic() + 15.0
    while np.abs(robot.joints() - goal).max() > 0.05 and time.monotonic() < end_s:
        lead(0.1)
    assert answer.result().success
    np.testing.assert_allclose(robot.joints(), goal, atol=0.05)
    peer.spin(0.6)
    goal[0] = 0.4  # the leader was silent: it must be engaged again
    lead(0.5)
    assert robot.rests()[0] < -0.3


@pytest.mark.parametrize("speeds", [(0.0, 0.1, 50.0), (0.3, 3.0, 50.0), (0.3, 0.1, 1.0)])
def test_speeds_that_make_no_sense_are_refused(speeds: tuple[float, float, float]) -> None:
    with pytest.raises(SettingsError, match="must be from"):
        check_speeds(*speeds)
