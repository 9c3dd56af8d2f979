"""A web page as a source: one page at a time drives, and only while it repeats its message."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hardware.limbs.driver import Clock

# A page repeats itself twenty times a second while something on it is held.
GRANT_S = 0.3
LARGEST = 1e6

CommandKind = Literal["tip", "goal", "home"]


class PageError(ValueError):
    """A message of a page is invalid, or another page drives; the text is for a person."""


@dataclass(frozen=True)
class PageCommand:
    """Command of a page.

    Attributes:
        limb: number of the limb.
        kind: ``tip``: fractions ``(3,)`` of the tip's speed; ``goal``: go to joint positions
            ``(n,)`` in rad; ``home``: go home.
        values: see there; empty for ``home``.
        speed: factor on the driving speed.
    """

    limb: int
    kind: CommandKind
    values: tuple[float, ...]
    speed: float


class PagePilot:
    """Converts messages of pages into the command of the page that drives.

    Args:
        joints: number of joints of each limb.
        clock: seconds, monotonic.
    """

    def __init__(self, joints: Sequence[int], clock: Clock) -> None:
        self._joints = tuple(joints)
        self._clock = clock
        self._holder: int | None = None
        self._command: PageCommand | None = None
        self._until_s = -math.inf

    @property
    def command(self) -> PageCommand | None:
        """Present command of the page that drives; None when no dead-man is held."""
        return self._command if self._clock() < self._until_s else None

    @property
    def holder(self) -> int | None:
        """Number of the page that drives."""
        return self._holder if self.command is not None else None

    def drive(self, page: int, message: Mapping[str, Any]) -> None:
        """Hold the dead-man for a page, and set its command.

        Raises:
            PageError: the message is invalid, or another page drives. What the same page held
                before is released then.
        """
        if self.holder is not None and self.holder != page:
            raise PageError("Another page drives; it must let go first.")
        self.release(page)
        self._command = self._parsed(message)
        self._holder, self._until_s = page, self._clock() + GRANT_S

    def release(self, page: int) -> None:
        """Release the dead-man of a page, when it lets go or is closed."""
        if self._holder == page:
            self.release_all()

    def release_all(self) -> None:
        """Release the dead-man, whichever page holds it."""
        self._holder, self._until_s = None, -math.inf

    def _parsed(self, message: Mapping[str, Any]) -> PageCommand:
        limb, kind, given = message.get("limb"), message.get("kind"), message.get("values", [])
        if type(limb) is not int or not 0 <= limb < len(self._joints):
            raise PageError(f"There is no limb {limb!r}.")
        sizes: dict[CommandKind, int] = {"tip": 3, "goal": self._joints[limb], "home": 0}
        if not isinstance(kind, str) or kind not in sizes:
            raise PageError(f"A page can ask for {', '.join(sizes)}, not {kind!r}.")
        size = sizes[kind]
        speed = message.get("speed", 1.0)
        if not isinstance(given, list) or len(given) != size:
            raise PageError(f"'{kind}' takes {size} numbers.")
        numbers = [*given, speed]
        if not all(type(one) in (int, float) and -LARGEST < one < LARGEST for one in numbers):
            raise PageError(f"'{kind}' takes {size} finite numbers and a speed.")
        return PageCommand(limb, kind, tuple(map(float, given)), min(max(float(speed), 0.1), 3.0))
