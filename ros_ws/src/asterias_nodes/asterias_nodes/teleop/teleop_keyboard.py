"""Node ``teleop_keyboard``: drive limbs with the keys of a terminal.

A limb moves only while a key is held: that is the dead-man. Publishes
``/limb_<i>/sources/keyboard`` and ``…/deadman``; SPACE engages ``/e_stop``. Where the terminal
reports releases (the keyboard protocol of kitty) the limb stops with the key; elsewhere it
stops 0.15 s after the last repeat of it.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from asterias_nodes.robot.emergency_stop_client import EmergencyStopClient
from asterias_nodes.runtime.executor import soon
from asterias_nodes.runtime.parameters import declare_settings
from asterias_nodes.runtime.run_node import EXIT_OK, run_node, stop_node
from asterias_nodes.teleop.teleop_client import TeleopClient, check_speeds, make_teleop_clients
from asterias_nodes.teleop.terminal import Terminal
from hardware.teleop.jogging import JogLimits
from hardware.teleop.key_bindings import Key
from hardware.teleop.keyboard import KeyAction, KeyboardPilot, help_text

SHOW_PERIOD_S = 0.1
CLEAR_LINE = "\r\x1b[2K"


@dataclass(frozen=True)
class TeleopKeyboardSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of the robot description"] = "limb_p1"
    limb: Annotated[int, "number of the limb that is driven first"] = 0
    tip_mode: Annotated[bool, "start by moving the tip instead of joints"] = False
    joint_speed: Annotated[float, "share of the joints' velocity limits, above 0 to 1"] = 0.3
    tip_speed_m_s: Annotated[float, "m/s of the tip"] = 0.15
    rate_hz: Annotated[float, "commands per s while a key is held"] = 50.0
    terminal: Annotated[str, "path of the terminal; empty finds the one it was started in"] = ""

    def __post_init__(self) -> None:
        check_speeds(self.joint_speed, self.tip_speed_m_s, self.rate_hz)


class TeleopKeyboard(Node):
    """Keys become steps; each press is sent at once, not at the next tick."""

    def __init__(self) -> None:
        super().__init__("teleop_keyboard")
        self.settings = declare_settings(self, TeleopKeyboardSettings)
        limits = JogLimits(self.settings.joint_speed, self.settings.tip_speed_m_s)
        self._terminal = Terminal(self.settings.terminal)
        try:
            self._begin(limits)
        except BaseException:
            self._terminal.close()
            raise

    def _begin(self, limits: JogLimits) -> None:
        self._limbs = make_teleop_clients(
            self, self.settings.robot, self.settings.limb, "keyboard", limits
        )
        self._number = self.settings.limb
        self._pilot = KeyboardPilot(
            len(self._client.names), time.monotonic, tip_mode=self.settings.tip_mode
        )
        self._stop = EmergencyStopClient(self, self._tell)
        self._told, self._shown = "", ""
        self._period_s = 1.0 / self.settings.rate_hz
        early = self._terminal.ask_for_releases()
        self._pilot.reports_releases = self._terminal.reports_releases
        self._help()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(self._period_s, self._tick, clock=steady)
        self.create_timer(SHOW_PERIOD_S, self._show, clock=steady)
        self._on_keys(early)
        self._terminal.start(
            lambda keys: soon(self, self._on_keys, keys), lambda: soon(self, self._end)
        )

    def close(self) -> None:
        """Let go of all limbs, and leave the terminal as it was."""
        for client in self._limbs:
            client.close()
        self._terminal.write("\r\n")
        self._terminal.close()

    @property
    def _client(self) -> TeleopClient:
        return self._limbs[self._number]

    # -- keys -----------------------------------------------------------------------------------

    def _on_keys(self, keys: list[Key]) -> None:
        was_held = bool(self._pilot.held)
        for order in self._pilot.take(keys):
            self._obey(order)
        if not was_held or not self._pilot.held:
            self._tick()  # a first press, or the last release, does not wait for its turn

    def _obey(self, order: KeyAction) -> None:
        if order in (KeyAction.STOP, KeyAction.RELEASE_STOP):
            self._pilot.release_all()
            self._stop.request(order is KeyAction.STOP)
        elif order is KeyAction.NEXT_LIMB:
            self._pilot.release_all()
            self._client.let_go()
            self._number = (self._number + 1) % len(self._limbs)
            self._pilot.joints, self._pilot.selected = len(self._client.names), 0
        elif order is KeyAction.HELP:
            self._help()
        else:
            self._end()

    def _end(self) -> None:
        stop_node(self, status=EXIT_OK)

    # -- driving --------------------------------------------------------------------------------

    def _tick(self) -> None:
        client, pilot = self._client, self._pilot
        if not pilot.held:
            client.let_go()
            return
        if self._stop.is_engaged:
            client.hold()
            return
        if not client.follow(pilot, self._period_s):
            self._tell(f"No joint states come from limb_{client.number}; is the robot launched?")

    # -- telling --------------------------------------------------------------------------------

    def _help(self) -> None:
        text = help_text(self._client.names, self._pilot.reports_releases)
        self._terminal.write(CLEAR_LINE + text.replace("\n", "\r\n") + "\r\n")

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._terminal.write(f"{CLEAR_LINE}{text}\r\n")

    def _show(self) -> None:
        """Return the line that stays at the bottom."""
        line = self._line()
        if line != self._shown:
            self._shown = line
            self._terminal.write(CLEAR_LINE + line)

    def _line(self) -> str:
        client, pilot = self._client, self._pilot
        measured = client.measured_rad
        if self._stop.is_engaged:
            return "EMERGENCY STOP is engaged; BACKSPACE releases it."
        if measured is None:
            return f"limb_{client.number}: no joint states"
        what = "tip" if pilot.tip_mode else "joints"
        where = (
            "x {:+.3f} y {:+.3f} z {:+.3f} m".format(*client.kinematics.tip(measured))
            if pilot.tip_mode
            else " ".join(
                f"{'>' if i == pilot.selected else ''}{name} {np.degrees(angle):+.0f}"
                for i, (name, angle) in enumerate(zip(client.names, measured, strict=True))
            )
        )
        owner = client.active_source or "nobody"
        return f"limb_{client.number} {what} | {where} | speed {pilot.speed:.1f} | moved by {owner}"


def main() -> None:
    """Run the node until it is stopped."""
    sys.exit(run_node(TeleopKeyboard))


if __name__ == "__main__":
    main()
