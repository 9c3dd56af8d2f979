"""Driving from the page: messages of pages in, commands of the source ``web`` out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from asterias_nodes.robot.emergency_stop_client import EmergencyStopClient
from asterias_nodes.teleop.teleop_client import TeleopClient
from hardware.teleop.web_pilot import PageCommand, PageError, PagePilot

# A joint position beyond this is no measurement; nothing is driven from it.
MAX_JOINT_RAD = 100.0


class WebDriver:
    """The dead-man of all pages, and the commands that follow from it.

    Args:
        clients: one teleoperation client per limb.
        stop: the emergency stop.
        tell: sends a sentence to one page (by number), or to all (None).
        period_s: time between commands.
    """

    def __init__(
        self,
        clients: Sequence[TeleopClient],
        stop: EmergencyStopClient,
        tell: Callable[[int | None, str], None],
        period_s: float,
    ) -> None:
        self._clients, self._stop, self._tell = clients, stop, tell
        self._period_s = period_s
        self._pilot = PagePilot([len(one.names) for one in clients], time.monotonic)

    @property
    def holder(self) -> int | None:
        """The number of the page that drives."""
        return self._pilot.holder

    def obey(self, page: int, message: dict[str, Any]) -> None:
        """Handle one message of a page: ``drive``, ``release``, ``stop`` or ``unstop``."""
        kind = message.get("t")
        if kind == "drive":
            was_driven = self._pilot.command is not None
            try:
                self._pilot.drive(page, message)
            except PageError as error:
                self._tell(page, str(error))
            if not was_driven:
                self.step()  # the first command does not wait for the timer
        elif kind == "release":
            self.release(page)
        elif kind in ("stop", "unstop"):
            self._stop.request(kind == "stop")

    def release(self, page: int) -> None:
        """Release the dead-man of a page."""
        self._pilot.release(page)
        self.step()

    def step(self) -> None:
        """Send the next command to the limb that is driven; release all others."""
        command = self._pilot.command
        for client in self._clients:
            if command is None or client.number != command.limb:
                client.let_go()
                continue
            if self._stop.is_engaged:
                client.hold()
                continue
            client.jogger.speed = command.speed
            is_driven = is_measured(client) and client.drive(
                partial(self._next_goal, command), self._period_s
            )
            if not is_driven:
                client.let_go()
                self._pilot.release_all()
                self._tell(
                    None, f"No usable joint states come from limb_{command.limb}; is it launched?"
                )

    def close(self) -> None:
        """Release all limbs, and take their topics down."""
        for client in self._clients:
            client.close()

    def _next_goal(self, command: PageCommand, measured: FloatArray, dt_s: float) -> FloatArray:
        jogger = self._clients[command.limb].jogger
        if command.kind == "tip":
            return jogger.jog_tip(command.values, measured, dt_s)
        target = jogger.home_rad if command.kind == "home" else np.array(command.values)
        return jogger.move_towards(target, measured, dt_s)


def is_measured(client: TeleopClient) -> bool:
    """Return whether the joints are known now, and are positions that a limb can have."""
    measured = client.measured_rad
    return measured is not None and bool((np.abs(measured) < MAX_JOINT_RAD).all())
