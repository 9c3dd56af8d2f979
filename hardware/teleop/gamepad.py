"""Bindings of sticks and buttons, by the numbers that they have in ``sensor_msgs/Joy``.

Axes: left x, left y, right x, right y, left trigger, right trigger; +1 is left or up. Buttons: A,
B, X, Y, back, guide, start, left stick, right stick, left shoulder, right shoulder, and up, down,
left, right of the directional pad (SDL's order, which ROS 2's ``game_controller_node`` has).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asterias.arrays import FloatArray

AXES = 6
BUTTONS = 15


@dataclass(frozen=True)
class PadButtons:
    """Numbers of the buttons; -1: no such button."""

    deadman: int = 9
    turbo: int = 10
    stop: int = 1
    release_stop: int = 6
    mode: int = 3
    home: int = 0
    next_joints: int = 14
    previous_joints: int = 13
    next_limb: int = 4


class PadPilot:
    """Converts the state of a game pad into commands.

    Args:
        joints: number of joints of the limb that is driven.
        buttons: bindings of the buttons.
        dead_zone: fraction of a stick's travel that counts as its middle.
        turbo: factor on the speed while the turbo button is held.
    """

    def __init__(
        self,
        joints: int,
        buttons: PadButtons | None = None,
        dead_zone: float = 0.1,
        turbo: float = 2.5,
    ) -> None:
        if not 0.0 <= dead_zone < 1.0:
            raise ValueError(f"The dead zone must be from 0 to below 1, not {dead_zone:g}.")
        self.joints = joints
        self.buttons = buttons or PadButtons()
        self.tip_mode = False
        self.first_joint = 0
        self._dead_zone, self._turbo = dead_zone, turbo
        self._axes: FloatArray = np.zeros(AXES)
        self._down: frozenset[int] = frozenset()

    def take(self, axes: Sequence[float], buttons: Sequence[int]) -> frozenset[int]:
        """Record axes and buttons.

        Returns:
            The numbers of the buttons that have just gone down.
        """
        padded = np.zeros(AXES)
        given = np.clip(np.nan_to_num(np.asarray(axes, dtype=np.float64)), -1.0, 1.0)[:AXES]
        padded[: given.size] = given
        beyond = np.maximum(np.abs(padded) - self._dead_zone, 0.0) / (1.0 - self._dead_zone)
        self._axes = np.sign(padded) * np.minimum(beyond, 1.0)
        down = frozenset(number for number, is_down in enumerate(buttons) if is_down)
        fresh, self._down = down - self._down, down
        if self.buttons.mode in fresh:
            self.tip_mode = not self.tip_mode
        if self.buttons.next_joints in fresh:
            self.first_joint = (self.first_joint + 4) % max(self.joints, 1)
        if self.buttons.previous_joints in fresh:
            self.first_joint = (self.first_joint - 4) % max(self.joints, 1)
        return fresh

    def release_all(self) -> None:
        """Release all buttons and centre all axes, when the pad is gone."""
        self._axes, self._down = np.zeros(AXES), frozenset()

    @property
    def is_held(self) -> bool:
        """Whether the dead-man is held."""
        return self.buttons.deadman in self._down

    @property
    def is_homing(self) -> bool:
        """Whether the button that brings the limb home is held."""
        return self.buttons.home in self._down

    @property
    def speed(self) -> float:
        """Factor on the driving speed."""
        return self._turbo if self.buttons.turbo in self._down else 1.0

    @property
    def command(self) -> FloatArray:
        """Fractions from -1 to 1: ``(3,)`` of the tip's speed, or ``(n,)`` of the joints'."""
        left_x, left_y, right_x, right_y = self._axes[:4]
        if self.tip_mode:
            return np.array([left_y, left_x, right_y])
        shares = np.zeros(self.joints)
        sticks = np.array([left_x, left_y, right_x, right_y])
        count = min(4, self.joints - self.first_joint)
        shares[self.first_joint : self.first_joint + count] = sticks[:count]
        return shares
