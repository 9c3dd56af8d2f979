"""How learners that imitate draw from recordings: evenly, or more often what decided."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from asterias.errors import UserError

ReplayBy = Literal["uniform", "criticality"]


@dataclass(frozen=True)
class ReplayOptions:
    """How examples are drawn.

    Attributes:
        by: evenly, or by how far what they look at decided success or failure.
        share: of the draws that follows it; the others are even.
        correction: exponent of the importance weights: 1 undoes the priority in the mean of a
            gradient, 0 leaves it.
    """

    by: ReplayBy = "uniform"
    share: float = 0.5
    correction: float = 0.0

    def __post_init__(self) -> None:
        if self.by not in ("uniform", "criticality"):
            raise UserError(f"--replay-by is uniform or criticality, not {self.by}.")
        if not 0.0 <= self.share < 1.0:
            raise UserError("--replay-share must be from 0 to below 1.")
        if not 0.0 <= self.correction <= 1.0:
            raise UserError("--replay-correction must be from 0 to 1.")

    @property
    def told(self) -> dict[str, Any]:
        """What a card and a checkpoint say; share and correction count with a priority only."""
        return asdict(self if self.by == "criticality" else ReplayOptions())
