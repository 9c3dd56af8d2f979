"""What an agent knows of a maze: a map that grows with every cell it has looked around in.

Views become wall probabilities through the mapper; where the agent stood is free, and where it
bumped is a wall, whatever the mapper says. What is neither surely free nor surely a wall is
unknown, and planners take it as free (optimism in the face of the unknown, as in D* Lite).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from asterias.arrays import Cell
from asterias.errors import UserError
from planners.mapping.mapper import Mapper, describe_cells

FREE, WALL, UNKNOWN = 0, 100, -1
SURE = 0.9
"""Probability from which on a cell counts as known."""
SIGHT = 2
"""Cells around a look of which the mapper says anything: two 3 x 3 convolutions."""


class Belief(ABC):
    """A map of ``rows`` x ``columns`` cells, unknown at first.

    Its border is taken for walls until the agent is in a cell of the border itself.
    """

    def __init__(self, rows: int, columns: int, sure: float = SURE) -> None:
        if not 0.5 <= sure <= 1:
            raise UserError(f"sure is {sure}: give a probability from 0.5 to 1.")
        self.shape, self.sure = (rows, columns), sure
        self.seen = np.zeros(self.shape, bool)
        """Cells whose views are known."""
        self._told = np.full(self.shape, UNKNOWN, np.int8)
        self._border = np.ones(self.shape, bool)
        self._border[1:-1, 1:-1] = False
        self._walls: NDArray[np.float32] | None = None
        self._doubtful = False

    @abstractmethod
    def _guessed(self) -> NDArray[np.float32]:
        """Return the probability ``(H, W)`` that each cell is a wall, by what was seen."""

    @abstractmethod
    def _learn(self, places: NDArray[np.int64], views: NDArray[np.uint8]) -> None:
        """Take the views ``(N, 4, 24, 32, 3)`` of the cells ``(N, 2)``."""

    def see(self, cells: Iterable[Cell], views: NDArray[np.uint8]) -> None:
        """Take the views ``(N, 4, 24, 32, 3)`` of N cells.

        Who looks from a cell is in it, so it is free.

        Raises:
            UserError: a cell is outside the map.
        """
        places = np.array(list(cells), np.int64).reshape(-1, 2)
        if (places < 0).any() or (places >= self.shape).any():
            raise UserError(f"views from cells outside the map of {self.shape}: {places.tolist()}")
        self._learn(places, views)
        rows, columns = places[:, 0], places[:, 1]
        self.seen[rows, columns] = True
        self._told[rows, columns] = FREE
        if self._border[rows, columns].any():
            self._border[:] = False
        self._walls = None

    def bump(self, cell: Cell) -> None:
        """Note that a cell is a wall: the agent could not go there."""
        self._told[cell] = WALL
        self._walls = None

    def doubt(self) -> None:
        """Believe in no wall any more but those that were bumped into, and the border."""
        self._doubtful = True

    def walls(self) -> NDArray[np.float32]:
        """Return the probability ``(H, W)`` that each cell is a wall."""
        if self._walls is None:
            guessed = self._guessed()
            guessed[self._border] = 1.0
            told = np.where(self._told == WALL, 1.0, 0.0)
            self._walls = np.where(self._told == UNKNOWN, guessed, told).astype(np.float32)
        return self._walls

    def occupancy(self) -> NDArray[np.int8]:
        """Return the map ``(H, W)``: 0 free, 100 wall, -1 unknown."""
        walls = self.walls()
        known = np.where(walls >= 0.5, WALL, FREE)
        unsure = (walls < self.sure) & (walls > 1 - self.sure)
        if self._doubtful:
            unsure |= (known == WALL) & (self._told != WALL) & ~self._border
        return np.where(unsure, UNKNOWN, known).astype(np.int8)

    def closed(self) -> NDArray[np.bool_]:
        """Return the walls ``(H, W)`` beyond doubt: those bumped into, and the border."""
        return np.asarray((self._told == WALL) | (self._border & (self._told != FREE)))

    def optimistic(self) -> NDArray[np.uint8]:
        """Return the map to plan on ``(H, W)``: 1 = free or unknown."""
        return np.where(self.occupancy() != WALL, 1, 0).astype(np.uint8)

    def hopeful(self) -> NDArray[np.uint8]:
        """Return ``(H, W)`` with 1 for all that was not bumped into: the last resort."""
        return np.where(self._told != WALL, 1, 0).astype(np.uint8)

    def likely(self) -> NDArray[np.uint8]:
        """Return the likeliest map ``(H, W)``, 1 = free: what to plan on after a whole survey."""
        return np.asarray(self.walls() < 0.5, np.uint8)


class MapBelief(Belief):
    """A belief of what the mapper makes of the views.

    A look changes the map up to :data:`SIGHT` cells away; the rest is kept from before.
    """

    def __init__(self, mapper: Mapper, rows: int, columns: int, sure: float = SURE) -> None:
        super().__init__(rows, columns, sure)
        self._mapper = mapper
        self._features = torch.zeros(1, mapper.width, rows, columns)
        self._kept: NDArray[np.float32] | None = None
        self._changed: list[NDArray[np.int64]] = []

    def _learn(self, places: NDArray[np.int64], views: NDArray[np.uint8]) -> None:
        described = describe_cells(self._mapper, np.ascontiguousarray(views))
        rows, columns = torch.from_numpy(places[:, 0]), torch.from_numpy(places[:, 1])
        self._features[0][:, rows, columns] = described.T
        if len(places):
            self._changed.append(places)

    def _guessed(self) -> NDArray[np.float32]:
        whole = (slice(0, self.shape[0]), slice(0, self.shape[1]))
        if self._kept is None:
            self._kept = self._map_of(whole, whole)
        elif self._changed:
            places = np.concatenate(self._changed)
            within = self._around(places, SIGHT)
            self._kept[within] = self._map_of(within, self._around(places, 2 * SIGHT))
        self._changed.clear()
        return np.array(self._kept)

    def _around(self, places: NDArray[np.int64], cells: int) -> tuple[slice, slice]:
        """Return the rows and columns of a map up to so many cells from any of some places."""
        first = np.maximum(places.min(axis=0) - cells, 0).tolist()
        last = np.minimum(places.max(axis=0) + cells + 1, self.shape).tolist()
        return slice(first[0], last[0]), slice(first[1], last[1])

    @torch.no_grad()
    def _map_of(
        self, within: tuple[slice, slice], given: tuple[slice, slice]
    ) -> NDArray[np.float32]:
        """Return the probabilities of walls within a part, from the features of a larger one."""
        rows, columns = given
        logits = self._mapper.walls(self._features[:, :, rows, columns])[0]
        down, right = within[0].start - rows.start, within[1].start - columns.start
        height, width = (part.stop - part.start for part in within)
        logits = logits[down : down + height, right : right + width]
        guessed: NDArray[np.float32] = torch.sigmoid(logits).numpy()
        return guessed
