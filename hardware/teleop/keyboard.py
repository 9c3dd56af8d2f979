"""Bindings of a keyboard, a source that moves a limb only while a key is held."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from asterias.arrays import FloatArray
from hardware.limbs.driver import Clock
from hardware.teleop.key_bindings import CONTROL_C, Key, KeyEvent

# One column of the keyboard per joint: the upper key turns it up, the lower one down.
COLUMNS = ("qa", "ws", "ed", "rf", "tg", "yh", "uj", "ik")
TIP_KEYS: dict[str, tuple[int, int]] = {
    "w": (0, 1),
    "s": (0, -1),
    "a": (1, 1),
    "d": (1, -1),
    "r": (2, 1),
    "f": (2, -1),
    "up": (0, 1),
    "down": (0, -1),
    "left": (1, 1),
    "right": (1, -1),
    "page_up": (2, 1),
    "page_down": (2, -1),
}
# A terminal that reports no releases: a press counts so long, and each repeat again. The gap before
# a key begins to repeat is longer, so that a tap is a nudge, and the limb never runs on.
GRANT_S = 0.15
# One that does report them repeats, too; silence of this length means that it is gone.
LOST_S = 1.2
SPEED_STEP = 1.25
SLOWEST, FASTEST = 0.1, 3.0


class KeyAction(Enum):
    """Action of a key other than motion."""

    STOP = "stop"
    RELEASE_STOP = "release stop"
    NEXT_LIMB = "next limb"
    HELP = "help"
    QUIT = "quit"


@dataclass
class KeyboardPilot:
    """Converts keys into commands.

    Attributes:
        joints: number of joints of the limb that is driven.
        clock: seconds, monotonic.
        reports_releases: whether the terminal reports the release of keys.
        tip_mode: True: keys move the tip; False: keys turn joints.
        speed: factor on the driving speed.
    """

    joints: int
    clock: Clock
    reports_releases: bool = False
    tip_mode: bool = False
    speed: float = 1.0
    selected: int = 0
    _until_s: dict[str, float] = field(default_factory=dict)

    def take(self, keys: Iterable[Key]) -> list[KeyAction]:
        """Record keys.

        Returns:
            The actions among them.
        """
        orders = []
        for key in keys:
            if key.event is KeyEvent.UP:
                self._until_s.pop(key.name, None)
            elif self._moves(key.name):
                self._grant(key.name)
            elif key.event is KeyEvent.DOWN:
                orders += self._act(key.name)
        return orders

    def _grant(self, name: str) -> None:
        if not self.reports_releases:
            self._until_s[name] = self.clock() + GRANT_S
            return
        # Only the last key repeats; that it does shows that the others' releases would be reported.
        for held in (*self.held, name):
            self._until_s[held] = self.clock() + LOST_S

    def release_all(self) -> None:
        """Forget all keys that are down."""
        self._until_s.clear()

    @property
    def held(self) -> tuple[str, ...]:
        """Keys that count as held now."""
        now = self.clock()
        return tuple(name for name, until_s in self._until_s.items() if now < until_s)

    @property
    def command(self) -> FloatArray:
        """Fractions from -1 to 1: ``(3,)`` of the tip's speed, or ``(n,)`` of the joints'."""
        shares = np.zeros(3 if self.tip_mode else self.joints)
        for name in self.held:
            number, sign = self._meaning(name) or (0, 0)
            shares[number] += sign
        return np.clip(shares, -1.0, 1.0)

    @property
    def is_homing(self) -> bool:
        """Whether the key that brings the limb home is held."""
        return any(name in ("0", "home") for name in self.held)

    def _moves(self, name: str) -> bool:
        return name in ("0", "home") or self._meaning(name) is not None

    def _meaning(self, name: str) -> tuple[int, int] | None:
        if self.tip_mode:
            return TIP_KEYS.get(name)
        if name in ("up", "down"):
            return self.selected, 1 if name == "up" else -1
        for number, pair in enumerate(COLUMNS[: self.joints]):
            if name in tuple(pair):
                return number, 1 if name == pair[0] else -1
        return None

    def _act(self, name: str) -> list[KeyAction]:
        if name in ("left", "right"):
            self.selected = (self.selected + (1 if name == "right" else -1)) % self.joints
        elif name == "m":
            self.tip_mode = not self.tip_mode
            self.release_all()
        elif name in ("+", "=", "-"):
            factor = 1.0 / SPEED_STEP if name == "-" else SPEED_STEP
            self.speed = math.exp(np.clip(math.log(self.speed * factor), *_LOG_RANGE))
        return [_ACTIONS[name]] if name in _ACTIONS else []


_LOG_RANGE = (math.log(SLOWEST), math.log(FASTEST))
_ACTIONS = {
    "space": KeyAction.STOP,
    "backspace": KeyAction.RELEASE_STOP,
    "tab": KeyAction.NEXT_LIMB,
    "?": KeyAction.HELP,
    "/": KeyAction.HELP,
    "escape": KeyAction.QUIT,
    CONTROL_C: KeyAction.QUIT,
}


def help_text(joint_names: Iterable[str], reports_releases: bool) -> str:
    """Return the help text for a person who is about to drive."""
    names = list(joint_names)
    turns = ", ".join(f"{pair[0]}/{pair[1]} {name}" for pair, name in zip(COLUMNS, names))  # noqa: B905
    held = (
        "A key counts while it is down."
        if reports_releases
        else "Hold a key to move on; a tap is a nudge (this terminal reports no releases)."
    )
    return "\n".join(
        (
            "SPACE emergency stop, BACKSPACE releases it; ESC ends. " + held,
            f"Joints: {turns}; or LEFT/RIGHT choose, UP/DOWN turn.",
            "m: joints or tip. Tip: w/s out/in, a/d left/right, r/f up/down; or arrows, PAGE keys.",
            "0 (held): home. + and -: speed. TAB: next limb. ?: this text.",
        )
    )
