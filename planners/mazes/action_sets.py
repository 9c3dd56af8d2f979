"""Move sets: what an agent can do in one step of a grid maze.

Definitions follow the Gated Path Planning Networks benchmark (Lee et al., ICML 2018): a move
blocked by a wall or by the border leaves the agent where it is; diagonals may squeeze between two
wall corners; a differential drive that drives into a wall is stuck there. The order of the actions
is ours: clockwise from north. The set ``octile`` is that of eight moves, a diagonal one being
sqrt(2) steps long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from asterias.errors import UserError

MoveName = Literal["news", "moore", "octile", "diff_drive"]


@dataclass(frozen=True)
class Moves:
    """A move set.

    ``offsets`` are the (row, column) steps: one per action for grid moves, one per orientation for
    a differential drive, whose three actions are forward, turn right and turn left.
    """

    name: MoveName
    actions: tuple[str, ...]
    offsets: tuple[tuple[int, int], ...]
    orientations: int = 1
    costs: tuple[int, ...] = ()
    """What each action costs, in whole numbers; empty where all cost one step."""
    unit: int = 1
    """What a step between neighbours costs."""

    def cost_array(self) -> NDArray[np.int64]:
        """Return what each action costs, ``(len(actions),)``."""
        costs = self.costs or (1,) * len(self.actions)
        return np.asarray(costs, dtype=np.int64)

    def cost_of(self, cells: Sequence[tuple[int, int]]) -> int:
        """Return what a way from cell to cell costs: its steps, where all cost the same."""
        if not self.costs:
            return len(cells) - 1
        of_step = dict(zip(self.offsets, self.costs, strict=True))
        pairs = pairwise(cells)
        return sum(of_step[after[0] - cell[0], after[1] - cell[1]] for cell, after in pairs)

    @property
    def is_drive(self) -> bool:
        """Whether the state has an orientation besides the cell."""
        return self.orientations > 1

    def offset_array(self) -> NDArray[np.int64]:
        """Return the steps as an array ``(len(offsets), 2)`` of rows and columns."""
        return np.asarray(self.offsets, dtype=np.int64)


_COMPASS = ((-1, 0), (0, 1), (1, 0), (0, -1))
_DIAGONALS = ((-1, 1), (1, 1), (1, -1), (-1, -1))

NEWS = Moves("news", ("north", "east", "south", "west"), _COMPASS)
MOORE = Moves(
    "moore",
    (*NEWS.actions, "north-east", "south-east", "south-west", "north-west"),
    _COMPASS + _DIAGONALS,
)
# 8119 / 5741 is the square root of 2 to 1e-8: ways of thousands of steps are compared exactly.
_STRAIGHT, _DIAGONAL = 5741, 8119
OCTILE = Moves(
    "octile",
    MOORE.actions,
    MOORE.offsets,
    costs=(_STRAIGHT,) * len(_COMPASS) + (_DIAGONAL,) * len(_DIAGONALS),
    unit=_STRAIGHT,
)
DIFF_DRIVE = Moves("diff_drive", ("forward", "turn right", "turn left"), _COMPASS, orientations=4)

MOVES: dict[MoveName, Moves] = {moves.name: moves for moves in (NEWS, MOORE, OCTILE, DIFF_DRIVE)}


def moves_of(card: Mapping[str, object]) -> Moves:
    """Return the move set that a card of weights names; older cards name none, which is four moves.

    Raises:
        UserError: there is no such move set.
    """
    name = card.get("moves", NEWS.name)
    found = next((moves for moves in MOVES.values() if moves.name == name), None)
    if found is None:
        raise UserError(f"a card of weights names the moves {name!r}: choose {', '.join(MOVES)}.")
    return found
