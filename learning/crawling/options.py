"""What a crawling task is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from asterias.errors import UserError

CrawlObserved = Literal["clock", "body"]


@dataclass(frozen=True)
class CrawlOptions:
    """Settings of ``Asterias/StarfishCrawl-v0``.

    Attributes:
        robot: name or path of a robot description with several limbs.
        observe: ``clock``, the sine and cosine of the gait's phase, so that a linear policy is a
            central pattern generator; ``body`` adds how the body stands and moves, where the target
            is, and which limbs work.
        mirrored: limbs to the right do what those to the left do, and sideways actions mirror, so
            that an action is six numbers: nothing is learned twice.
        duration_s: of an episode.
        frequency_hz: of the clock.
        target_m: where to crawl to; None: as far as possible.
        heading_rad: without a target, distance counts in this direction from x.
        broken: numbers of limbs whose servos are limp.
        draw_broken: so many more limbs are drawn to be limp in each episode.
        slope_rad: the ground rises along x by this angle.
        friction: of everything with everything.
        physics_hz: integration steps per second.
        engine: what moves the robot, ``asterias`` or ``pybullet``; None: as its description says.
    """

    robot: str = "starfish"
    observe: CrawlObserved = "clock"
    mirrored: bool = False
    duration_s: float = 10.0
    frequency_hz: float = 0.8
    target_m: tuple[float, float] | None = None
    heading_rad: float = 0.0
    broken: tuple[int, ...] = ()
    draw_broken: int = 0
    slope_rad: float = 0.0
    friction: float = 0.6
    physics_hz: float = 250.0
    engine: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be done.

        Raises:
            UserError: an option cannot be used.
        """
        if self.observe not in ("clock", "body"):
            raise UserError(f"observe is {self.observe!r}: choose clock or body.")
        for name in ("duration_s", "frequency_hz", "physics_hz"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise UserError(f"{name} takes more than 0, not {getattr(self, name):g}.")
        if not abs(self.slope_rad) <= 0.7:
            raise UserError(f"slope_rad takes -0.7 to 0.7, not {self.slope_rad:g}.")
        if not math.isfinite(self.heading_rad):
            raise UserError(f"heading_rad takes an angle, not {self.heading_rad:g}.")
        if self.draw_broken < 0:
            raise UserError(f"draw_broken takes 0 or more, not {self.draw_broken}.")
        if self.target_m is not None and not math.hypot(*self.target_m) < math.inf:
            raise UserError(f"target_m takes two finite lengths, not {self.target_m}.")
