"""Node ``teleop_gamepad``: drive limbs with a game pad, from ``/joy`` (sensor_msgs/Joy).

A limb moves only while the dead-man button (left shoulder) is held and ``/joy`` keeps coming, so
the publisher must repeat itself (``joy_reader`` does, and ROS 2's ``joy`` with an autorepeat rate).
Publishes ``/limb_<i>/sources/gamepad`` and ``…/deadman``. B engages ``/e_stop``, START releases it.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from sensor_msgs.msg import Joy

from asterias_nodes.robot.emergency_stop_client import EmergencyStopClient
from asterias_nodes.runtime.parameters import declare_settings
from asterias_nodes.runtime.qos import reliable_qos
from asterias_nodes.runtime.run_node import run_node
from asterias_nodes.teleop.teleop_client import TeleopClient, check_speeds, make_teleop_clients
from hardware.teleop.gamepad import PadButtons, PadPilot
from hardware.teleop.jogging import JogLimits

SILENCE_S = 0.3


@dataclass(frozen=True)
class TeleopGamepadSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of the robot description"] = "limb_p1"
    limb: Annotated[int, "number of the limb that is driven first"] = 0
    tip_mode: Annotated[bool, "start by moving the tip instead of joints"] = False
    joint_speed: Annotated[float, "share of the joints' velocity limits, above 0 to 1"] = 0.3
    tip_speed_m_s: Annotated[float, "m/s of the tip"] = 0.15
    rate_hz: Annotated[float, "commands per s while the dead-man is held"] = 50.0
    deadman_button: Annotated[int, "number of the button that must be held to move"] = 9
    turbo_button: Annotated[int, "number of the button for high speed; -1: none"] = 10
    stop_button: Annotated[int, "number of the button for the emergency stop"] = 1
    release_stop_button: Annotated[int, "number of the button that releases it; -1: none"] = 6
    mode_button: Annotated[int, "number of the button that changes between joints and tip"] = 3
    home_button: Annotated[int, "number of the button that brings the limb home while held"] = 0
    next_limb_button: Annotated[int, "number of the button that takes the next limb"] = 4
    dead_zone: Annotated[float, "share of a stick's way that counts as its middle"] = 0.1

    def __post_init__(self) -> None:
        check_speeds(self.joint_speed, self.tip_speed_m_s, self.rate_hz)

    @property
    def buttons(self) -> PadButtons:
        """What is where."""
        return PadButtons(
            deadman=self.deadman_button,
            turbo=self.turbo_button,
            stop=self.stop_button,
            release_stop=self.release_stop_button,
            mode=self.mode_button,
            home=self.home_button,
            next_limb=self.next_limb_button,
        )


class TeleopGamepad(Node):
    """Sticks become steps."""

    def __init__(self) -> None:
        super().__init__("teleop_gamepad")
        self.settings = declare_settings(self, TeleopGamepadSettings)
        limits = JogLimits(self.settings.joint_speed, self.settings.tip_speed_m_s)
        self._limbs = make_teleop_clients(
            self, self.settings.robot, self.settings.limb, "gamepad", limits
        )
        self._number = self.settings.limb
        self._pilot = PadPilot(
            len(self._client.names), self.settings.buttons, self.settings.dead_zone
        )
        self._pilot.tip_mode = self.settings.tip_mode
        self._stop = EmergencyStopClient(self, self.get_logger().warning)
        self._heard_s = -np.inf
        self._period_s = 1.0 / self.settings.rate_hz
        self.create_subscription(Joy, "/joy", self._on_joy, reliable_qos())
        self.create_timer(self._period_s, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        """Let go of all limbs."""
        for client in self._limbs:
            client.close()

    @property
    def _client(self) -> TeleopClient:
        return self._limbs[self._number]

    def _on_joy(self, message: Joy) -> None:
        self._heard_s = time.monotonic()
        was_held = self._pilot.is_held
        fresh = self._pilot.take(message.axes, message.buttons)
        buttons = self._pilot.buttons
        if buttons.stop in fresh:
            self._stop.request(True)
        elif buttons.release_stop in fresh:
            self._stop.request(False)
        elif buttons.next_limb in fresh:
            self._client.let_go()
            self._number = (self._number + 1) % len(self._limbs)
            self._pilot.joints, self._pilot.first_joint = len(self._client.names), 0
        if buttons.mode in fresh:
            what = "its tip" if self._pilot.tip_mode else "its joints"
            self.get_logger().info(f"The sticks move limb_{self._number} by {what}.")
        if was_held != self._pilot.is_held:
            self._tick()  # a dead-man does not wait for its turn

    def _tick(self) -> None:
        if self._pilot.is_held and time.monotonic() - self._heard_s > SILENCE_S:
            self._pilot.release_all()
            self.get_logger().warning("The game pad is silent: its dead-man counts as released.")
        if not self._pilot.is_held:
            self._client.let_go()
            return
        if self._stop.is_engaged:
            self._client.hold()
            return
        if not self._client.follow(self._pilot, self._period_s):
            self.get_logger().warning(
                f"No joint states come from limb_{self._number}; is the robot launched?",
                throttle_duration_sec=2.0,
            )


def main() -> None:
    """Run the node until it is stopped."""
    sys.exit(run_node(TeleopGamepad))


if __name__ == "__main__":
    main()
