"""Searchers that remember where they have looked: by a fitted bearing, or by information gain."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from asterias.arrays import BoolArray, FloatArray, ImageArray
from learning.inference.renyi import check_order
from learning.inference.sphere import DirectionFit
from learning.target_finding.belief.picture import draw_belief
from learning.target_finding.belief.target_belief import HIT, SeenPlaces, TargetBelief, ViewTable
from learning.target_finding.env.observation import Tiles

# Order of the fit where none is asked for. Steps to find hardly depend on it (docs/results/
# belief_search.md); this one commits to a mode, so that what is seen of it in the page is plain.
DEFAULT_ALPHA = 2.0

Candidates = npt.NDArray[np.intp]


@dataclass
class BeliefSearcher:
    """Common ground: takes in what was not seen, and looks from a candidate pose not yet tried.

    Attributes:
        table: what is seen from which pose.
        rng: source of all randomness.
        belief: where the target may be.
    """

    table: ViewTable
    rng: np.random.Generator = field(default_factory=np.random.default_rng)
    wants_images: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.belief = TargetBelief(self.table)
        self._tried = np.zeros(len(self.table.poses_rad), np.bool_)
        self._next_rad: FloatArray | None = None
        self._looks = 0
        self._live: frozenset[int] = frozenset()
        self._seen: SeenPlaces = self.table.views(self._live)
        self._can: BoolArray = np.any(self._seen, axis=0)

    def act(
        self, position_rad: FloatArray, live: Collection[int], tiles: Tiles | None = None
    ) -> FloatArray:
        """Return the next ``(n,)`` positions to command.

        Args:
            position_rad: ``(n,)`` positions commanded last, from which nothing was seen.
            live: numbers of the cameras that work.
            tiles: not used.

        Returns:
            A pose whose view is likely to hold the target.
        """
        self.belief.look(position_rad, live)
        if frozenset(live) != self._live:  # other eyes may see what these did not
            self._live = frozenset(live)
            self._seen = self.table.views(self._live)
            self._can = np.any(self._seen, axis=0)
            self._tried[:] = False
        if self._tried.all():
            self._tried[:] = False
        cells = self.belief.within(self._can)
        chosen = self._choose(self._seen, cells, np.flatnonzero(~self._tried))
        self._tried[chosen] = True
        self._looks += 1
        self._next_rad = np.array(self.table.poses_rad[chosen])
        return self._next_rad

    def found(self, position_rad: FloatArray, live: Collection[int], seeing: list[int]) -> None:
        """Take in that cameras see the target: the belief is now where they look."""
        self.belief.look(position_rad, live, seeing)
        self._next_rad = position_rad

    def picture(self) -> ImageArray:
        """Return the belief as a map of bearings, ``(H, W, 3)`` RGB."""
        left = f"{self.belief.entropy_bits:.1f} bits left"
        words = f"{self._title()}, look {self._looks}, {left}, {len(self._live)} cameras alive"
        return draw_belief(self.belief, self._fitted(), self._axes(), words)

    def _axes(self) -> FloatArray:
        """Return ``(k, 3)`` axes of the live cameras at the next look; none before the first."""
        if self._next_rad is None:
            return np.zeros((0, 3))
        axes: FloatArray = self.table.sight.camera_poses(self._next_rad)[0][
            sorted(self._live), :, 0
        ]
        return axes

    def _title(self) -> str:
        return "grid filter"

    def _fitted(self) -> DirectionFit | None:
        """Return what is fitted to the belief; None where nothing is."""
        return None

    def _choose(self, seen: SeenPlaces, cells: FloatArray, free: Candidates) -> int:
        """Return the number of a pose.

        Args:
            seen: ``(M, N * R)`` which place a live camera sees from which pose.
            cells: ``(N * R,)`` the belief over places that live cameras can see.
            free: numbers of the poses that were not tried.
        """
        raise NotImplementedError


@dataclass
class RenyiSearcher(BeliefSearcher):
    """Looks where a draw of ``q`` says, the fit of order ``alpha`` to the belief over bearings.

    A von Mises-Fisher ``q`` cannot have two modes: small orders spread it over all that is
    plausible, and draws sweep it; large orders commit it to one mode until that is looked through
    (arXiv 2107.05438 for a target's bearing instead of a bandit's arms). Of the poses that look at
    the drawn bearing the one is taken whose cameras see most of the belief.

    Attributes:
        alpha: order of the Rényi divergence, 0 to infinity.
    """

    alpha: float = DEFAULT_ALPHA

    def __post_init__(self) -> None:
        super().__post_init__()
        check_order(self.alpha)
        self._fit: DirectionFit | None = None

    def found(self, position_rad: FloatArray, live: Collection[int], seeing: list[int]) -> None:
        """Take in that cameras see the target; the fit to what was believed before is void."""
        super().found(position_rad, live, seeing)
        self._fit = None

    def _title(self) -> str:
        return f"renyi, alpha {self.alpha:g}"

    def _fitted(self) -> DirectionFit | None:
        return self._fit

    def _choose(self, seen: SeenPlaces, cells: FloatArray, free: Candidates) -> int:
        shells = len(self.table.distances_m)
        self._fit = self.table.grid.fit(self.belief.bearings(cells), self.alpha)
        q = self._fit.probabilities
        drawn = int(self.rng.choice(q.size, p=q))
        places = slice(drawn * shells, (drawn + 1) * shells)
        fitting = free[seen[free, places].any(axis=1)]
        fitting = fitting if fitting.size else free
        mass = seen @ cells.astype(np.float32)
        return int(fitting[mass[fitting].argmax()])


@dataclass
class GridFilterSearcher(BeliefSearcher):
    """Looks from where it learns most: exact filter, greatest information gain.

    The gain is the mutual information of the target's place and whether it is found, in bits.
    """

    def _choose(self, seen: SeenPlaces, cells: FloatArray, free: Candidates) -> int:
        mass = (seen @ cells.astype(np.float32))[free].astype(np.float64)
        gain = _entropy(HIT * mass) - mass * _entropy(np.array(HIT))
        return int(free[gain.argmax()])


def _entropy(share: FloatArray) -> FloatArray:
    """Return the entropy in bits of a yes of this probability."""
    clipped = np.clip(share, 1e-15, 1.0 - 1e-15)
    bits: FloatArray = -clipped * np.log2(clipped) - (1.0 - clipped) * np.log2(1.0 - clipped)
    return bits
