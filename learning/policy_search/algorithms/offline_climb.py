"""What both forms of POIS share: the climb of one batch's bound, and its settings (1809.06098)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, TypeVar

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.policy_search.common.learner import PolicySearch

# Ends of the climb and of a line search, as in the authors' code.
_LEAST_GAIN = 1e-4
_LEAST_GRADIENT = 1e-4
# exp of it is still a number, and no batch has so many episodes.
LARGEST_DIVERGENCE = 100.0
# Shares of a batch that count for the step made with it, from which on it is trusted, or just so.
_GREEN, _AMBER = 0.5, 0.2

Point = TypeVar("Point")


@dataclass(frozen=True)
class OfflineSettings:
    """Settings of a climb; as they stand, those of the paper's code, with a floor for the ESS.

    Attributes:
        batch_size: episodes of an iteration.
        delta: one minus the confidence of the bound; small values make small steps.
        start_scale: standard deviation of the draw of the first policy.
        offline_steps: gradient steps on one batch, at most.
        line_steps: trials of a step's length, at most.
        least_ess: share of the episodes that must count; a longer step is refused. With delta
            alone, a step to an ESS of 1 in 100 was seen.
    """

    batch_size: int = 100
    delta: float = 0.99
    start_scale: float = 0.01
    offline_steps: int = 100
    line_steps: int = 30
    least_ess: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1 or self.batch_size < 2:
            raise UserError("delta lies between 0 and 1; batch_size is 2 or more.")
        if not 0 <= self.least_ess < 1:
            raise UserError(f"least_ess is a share from 0 to below 1, not {self.least_ess}.")


def traffic_light(ess: float, episodes: int, steps: int) -> str:
    """Return what a batch's effective sample size says of the step that was made with it.

    Args:
        ess: effective sample size after the step.
        episodes: of the batch.
        steps: gradient steps that the bound allowed.

    Returns:
        ``green`` where half of the episodes count or more, ``amber`` where a fifth do, and else, or
        where the bound allowed no step at all, ``red: collect more``.
    """
    if not steps or ess < _AMBER * episodes:
        return "red: collect more"
    return "green" if ess >= _GREEN * episodes else "amber"


class Surrogate(Protocol[Point]):
    """The bound of one batch, as a function of where the policies would be drawn from."""

    def value(self, at: Point) -> float:
        """Return the bound; minus infinity where too few episodes count."""

    def gradient(self, at: Point) -> FloatArray:
        """Return the bound's gradient."""

    def natural(self, at: Point, gradient: FloatArray) -> FloatArray:
        """Return the gradient divided by the Fisher information."""

    def moved(self, at: Point, step: FloatArray) -> Point:
        """Return the point that is a step away."""


def climb(
    bound: Surrogate[Point], start: Point, offline_steps: int, line_steps: int
) -> tuple[Point, int]:
    """Climb the bound by natural gradients with a parabolic line search.

    Args:
        bound: of one batch.
        start: where the batch was drawn from.
        offline_steps: gradient steps, at most.
        line_steps: lengths that are tried for each, at most.

    Returns:
        The point that was reached, and the steps that were taken.
    """
    at, value = start, bound.value(start)
    for taken in range(offline_steps):
        gradient = bound.gradient(at)
        natural = bound.natural(at, gradient)
        norm = float(gradient @ natural)
        if not norm > _LEAST_GRADIENT**2:
            return at, taken
        new, gain = _line_search(bound, at, value, natural / norm, line_steps)
        if gain < _LEAST_GAIN:
            return at, taken
        at, value = new, value + gain
    return at, offline_steps


def _line_search(
    bound: Surrogate[Point], at: Point, value: float, direction: FloatArray, trials: int
) -> tuple[Point, float]:
    """Return the best point on a line, and its gain; a length of 1 is meant to gain 1."""
    length, best, gain = 1.0, at, 0.0
    for _ in range(trials):
        new = bound.moved(at, length * direction)
        found = bound.value(new) - value
        if not math.isfinite(found):
            if gain:
                break
            length /= 4
            continue
        if found <= gain + _LEAST_GAIN and gain:
            break
        if found > gain:
            best, gain = new, found
        length = 2 * length if found > 0.75 * length else length**2 / (2 * (length - found))
    return best, gain


class OfflineSearch(PolicySearch):
    """A learner that climbs the bound of one batch after the other, and tells how far it went."""

    settings: OfflineSettings

    def traffic_light(self) -> str:
        """Return what the last batch says, as :func:`traffic_light`; empty before the first."""
        about = self.figures
        if not about:
            return ""
        weighed = int(about.get("weighed", self.settings.batch_size))
        return traffic_light(about["ess"], weighed, int(about["offline_steps"]))
