"""Node ``teleop_leader``: one limb follows another, which a person moves by hand.

The leader is either a limb of a robot description with real (or emulated) servos, which this node
reads without torque and publishes on ``/leader/joint_states``, or any limb whose joints come on
``leader_topic``. Publishes ``/limb_<i>/sources/leader`` and ``…/deadman``.

The dead-man: a key held in the terminal (``deadman: keyboard``: any key but SPACE, the emergency
stop), std_msgs/Bool repeated on ``~/deadman`` (``topic``, for a pedal), or the service ``~/engage``
(``engage``: on until it is called again, or the leader is silent).
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from asterias.arrays import FloatArray
from asterias.errors import HardwareError
from asterias_nodes.robot.emergency_stop_client import EmergencyStopClient
from asterias_nodes.robot.robot_file import WAIT_HELP, wait_for_robot
from asterias_nodes.runtime.executor import soon
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import reliable_qos
from asterias_nodes.runtime.run_node import EXIT_OK, run_node, stop_node
from asterias_nodes.teleop.teleop_client import check_speeds, make_teleop_clients
from asterias_nodes.teleop.terminal import NoTerminalError, Terminal
from hardware.factory import make_limb
from hardware.limbs.bus_limb import BusLimb
from hardware.teleop.jogging import JogLimits
from hardware.teleop.key_bindings import CONTROL_C, Key, KeyEvent
from hardware.teleop.keyboard import GRANT_S, LOST_S
from hardware.teleop.leader import LeaderMap

DEADMEN = ("keyboard", "topic", "engage")
SILENCE_S = 0.3
READ_RATE_HZ = 50.0
# The first press begins long before a terminal repeats the key.
FIRST_REPEAT_S = 0.7


@dataclass(frozen=True)
class TeleopLeaderSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of the follower's description"] = "limb_p1"
    limb: Annotated[int, "number of the limb that follows"] = 0
    leader: Annotated[str, "description of the leader, read without torque; empty: a topic"] = ""
    leader_limb: Annotated[int, "number of the leading limb in its description"] = 0
    leader_topic: Annotated[str, "joint states of the leader, where 'leader' is empty"] = (
        "/leader/joint_states"
    )
    signs: Annotated[list[float], "1 or -1 per joint, for a mirrored leader; [0.0]: all 1"] = field(
        default_factory=lambda: [0.0]
    )
    scale: Annotated[float, "factor on the leader's angles"] = 1.0
    deadman: Annotated[str, "keyboard (a key held), topic (~/deadman) or engage (~/engage)"] = (
        "keyboard"
    )
    catch_up: Annotated[float, "share of the joints' velocity limits, to catch up and follow"] = 0.8
    terminal: Annotated[str, "path of the terminal; empty finds the one it was started in"] = ""
    wait_s: Annotated[float, WAIT_HELP] = 0.0

    def __post_init__(self) -> None:
        check_speeds(self.catch_up, 0.15, READ_RATE_HZ)
        if self.deadman not in DEADMEN:
            raise SettingsError(
                f"Parameter 'deadman' must be one of {', '.join(DEADMEN)}, not '{self.deadman}'."
            )


class TeleopLeader(Node):
    """Follows at the follower's own limits, from wherever it is."""

    def __init__(self) -> None:
        super().__init__("teleop_leader")
        self.settings = declare_settings(self, TeleopLeaderSettings)
        settings = self.settings
        limits = JogLimits(joint_speed=settings.catch_up, lead_rad=0.5)
        self._limbs = make_teleop_clients(self, settings.robot, settings.limb, "leader", limits)
        self._client = self._limbs[settings.limb]
        self._period_s = 1.0 / READ_RATE_HZ
        self._map: LeaderMap | None = None
        self._goal: FloatArray | None = None
        self._heard_s = self._held_until_s = -np.inf
        self._engaged = False
        self._terminal: Terminal | None = None
        self._stop = EmergencyStopClient(self, self.get_logger().warning, self._on_stop)
        self._arm = self._open_arm()
        topic = settings.leader_topic
        if self._arm is not None:
            topic = "/leader/joint_states"
            self._states = self.create_publisher(JointState, topic, reliable_qos())
        else:
            self.create_subscription(JointState, topic, self._on_leader, reliable_qos())
        self._open_deadman()
        self.create_timer(self._period_s, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(f"limb_{settings.limb} follows {topic}; {self._how_to()}")

    def close(self) -> None:
        """Let go, and leave leader and terminal as they were."""
        for client in self._limbs:
            client.close()
        if self._terminal is not None:
            self._terminal.close()
        if self._arm is not None:
            self._arm.disconnect()

    # -- opening --------------------------------------------------------------------------------

    def _open_arm(self) -> BusLimb | None:
        settings = self.settings
        if not settings.leader:
            return None
        robot = wait_for_robot(settings.leader, settings.wait_s)
        if not 0 <= settings.leader_limb < len(robot.limbs):
            raise SettingsError(
                f"Parameter 'leader_limb' must be from 0 to {len(robot.limbs) - 1}, "
                f"not {settings.leader_limb}."
            )
        arm = make_limb(robot, settings.leader_limb)
        arm.connect()
        arm.disable_torque()
        self._map = self._make_map(arm.joint_names)
        return arm

    def _make_map(self, names: Any) -> LeaderMap:
        signs = [sign for sign in self.settings.signs if sign != 0.0]
        return LeaderMap(self._client.limb, list(names), signs, self.settings.scale)

    def _open_deadman(self) -> None:
        if self.settings.deadman == "topic":
            self.create_subscription(Bool, "~/deadman", self._on_deadman, reliable_qos())
        elif self.settings.deadman == "engage":
            self.create_service(SetBool, "~/engage", self._on_engage)
        else:
            self._terminal = self._open_terminal()
            self._terminal.ask_for_releases()
            self._terminal.start(
                lambda keys: soon(self, self._on_keys, keys),
                lambda: soon(self, stop_node, self, "", EXIT_OK),
            )

    def _open_terminal(self) -> Terminal:
        try:
            return Terminal(self.settings.terminal, "teleop_leader")
        except NoTerminalError as error:
            raise NoTerminalError(f"{error} Or set 'deadman' to topic or engage.") from error

    def _how_to(self) -> str:
        return {
            "keyboard": "hold any key here to let it follow; SPACE is the emergency stop.",
            "topic": f"it does while {self.get_name()}/deadman says true.",
            "engage": f"call /{self.get_name()}/engage with true to let it follow.",
        }[self.settings.deadman]

    # -- dead-man -------------------------------------------------------------------------------

    @property
    def _is_held(self) -> bool:
        return self._engaged or time.monotonic() < self._held_until_s

    def _on_keys(self, keys: list[Key]) -> None:
        assert self._terminal is not None
        for key in keys:
            if key.event is KeyEvent.UP:
                self._held_until_s = -np.inf
            elif key.name in ("escape", CONTROL_C):
                stop_node(self, status=EXIT_OK)
            elif key.name in ("space", "backspace"):
                self._held_until_s = -np.inf
                self._stop.request(key.name == "space")
            else:
                self._hold_key()

    def _hold_key(self) -> None:
        assert self._terminal is not None
        grant_s = LOST_S
        if not self._terminal.reports_releases:
            grant_s = GRANT_S if self._is_held else FIRST_REPEAT_S
        self._held_until_s = max(self._held_until_s, time.monotonic() + grant_s)

    def _on_deadman(self, message: Bool) -> None:
        self._held_until_s = time.monotonic() + SILENCE_S if message.data else -np.inf

    def _on_engage(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._engaged = bool(request.data) and not self._stop.is_engaged
        response.success = self._engaged == bool(request.data)
        response.message = (
            f"limb_{self.settings.limb} follows the leader."
            if self._engaged
            else "The emergency stop is engaged; release it first."
            if request.data
            else f"limb_{self.settings.limb} follows no more."
        )
        return response

    def _on_stop(self, is_engaged: bool) -> None:
        if is_engaged:
            self._engaged = False

    # -- following ------------------------------------------------------------------------------

    def _on_leader(self, message: JointState) -> None:
        if self._map is None or self._map.names != tuple(message.name):
            try:
                self._map = self._make_map(message.name)
            except HardwareError as error:
                self.get_logger().error(str(error), throttle_duration_sec=5.0)
                return
        self._follow(self._map.goal(message.position))

    def _follow(self, goal: FloatArray) -> None:
        if np.isfinite(goal).all():
            self._goal, self._heard_s = goal, time.monotonic()

    def _read_arm(self, arm: BusLimb) -> None:
        try:
            state = arm.read()
        except HardwareError as error:
            self.get_logger().warning(f"The leader: {error}", throttle_duration_sec=2.0)
            return
        message = JointState(name=list(arm.joint_names), position=state.position_rad.tolist())
        message.header.stamp = self.get_clock().now().to_msg()
        self._states.publish(message)
        assert self._map is not None
        self._follow(self._map.goal(state.position_rad.tolist()))

    def _tick(self) -> None:
        if self._arm is not None:
            self._read_arm(self._arm)
        goal = self._goal
        if time.monotonic() - self._heard_s > SILENCE_S or goal is None:
            if self._is_held:
                self._engaged, self._held_until_s = False, -np.inf
                self.get_logger().warning("The leader is silent: nothing is followed any more.")
            self._client.let_go()
            return
        if not self._is_held:
            self._client.let_go()
            return
        if self._stop.is_engaged:
            self._client.hold()
            return
        jogger = self._client.jogger
        self._client.drive(
            lambda measured, dt_s: jogger.move_towards(goal, measured, dt_s), self._period_s
        )


def main() -> None:
    """Run the node until it is stopped."""
    sys.exit(run_node(TeleopLeader))


if __name__ == "__main__":
    main()
