"""The paper's two baselines: Brownian motion of one servo (BMSS) or of all servos (BMMS)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from asterias.arrays import FloatArray
from learning.target_finding.env.observation import Tiles

# Standard deviation of an increment, in ranges of the servo (upper less lower limit): the authors'
# code multiplies its draw by the whole range, so most steps end at a limit.
STEP = 0.5


@dataclass
class BrownianSearcher:
    """Adds ``Normal(0, 0.5) x range`` to one random servo or to all, clipped to the limits.

    Attributes:
        lower_rad, upper_rad: ``(n,)`` limits.
        single: True for BMSS, False for BMMS.
        rng: source of all randomness.
    """

    lower_rad: FloatArray
    upper_rad: FloatArray
    single: bool = False
    rng: np.random.Generator = field(default_factory=np.random.default_rng)
    wants_images: ClassVar[bool] = False

    def act(
        self, position_rad: FloatArray, live: Collection[int] = (), tiles: Tiles | None = None
    ) -> FloatArray:
        """Return the next ``(n,)`` positions to command, from the last commanded ones alone."""
        whole = self.upper_rad - self.lower_rad
        increment = self.rng.normal(0.0, STEP, size=whole.size) * whole
        if self.single:
            chosen = int(self.rng.integers(whole.size))
            increment *= np.arange(whole.size) == chosen
        moved: FloatArray = np.clip(position_rad + increment, self.lower_rad, self.upper_rad)
        return moved
