"""Where to explore next: the map that a plan is made on, and where to stop to look around.

A choice turns what is believed of a maze into a map of free cells and walls for any planner,
learned or exact. ``optimistic`` takes all that is unknown for free. ``expected`` weighs doubt: each
unknown cell costs by its probability of being a wall, and only those on the cheapest way are
opened. That probability is the mapper's where it has seen something; beyond, it is the share of
walls among the known cells of this maze in rows and columns of the same parity, since corridors of
a carved maze lie on odd ones and pillars on even ones.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from asterias.arrays import Cell
from asterias.errors import UserError
from asterias.registry import Registry
from planners.mapping.map_belief import FREE, SIGHT, UNKNOWN, WALL, Belief
from planners.mazes.action_sets import NEWS
from planners.mazes.generators import compiled


class FrontierChoice(Protocol):
    """Decides what to plan on and where to look."""

    def map_to_plan_on(self, belief: Belief, here: Cell, goal: Cell) -> NDArray[np.uint8]:
        """Return a map ``(H, W)``, 1 = free, for a plan from ``here`` to ``goal``."""
        ...

    def stop(self, plan: Sequence[Cell], belief: Belief) -> int:
        """Return the place in a plan of the first cell to stop in for a look."""
        ...


class Optimistic:
    """All that is unknown is free; look where the next cell is not known to be free."""

    def map_to_plan_on(self, belief: Belief, here: Cell, goal: Cell) -> NDArray[np.uint8]:
        """Return the map with unknown cells free."""
        free = belief.optimistic()
        free[here] = free[goal] = 1
        return free

    def stop(self, plan: Sequence[Cell], belief: Belief) -> int:
        """Return the first place with a next cell that is not known to be free."""
        return next_stop(plan, belief.seen, belief.occupancy())


@dataclass(frozen=True)
class Expected:
    """Unknown cells cost by their probability of being walls; look in every new cell."""

    doubt_price: float = 3.0
    """Steps that a wall in the way costs: an unknown cell costs one step, and this times its
    probability of being a wall. 1 and 3 came to the same on 36 mazes that no result is from."""
    wall_price: float = 200.0
    """Steps for a cell that is believed to be a wall: where there is no other way, the plan leads
    through the fewest of these."""

    def __post_init__(self) -> None:
        if not (self.doubt_price >= 0 and self.wall_price >= 0):
            raise UserError(
                f"prices of doubt and walls are {self.doubt_price} and {self.wall_price}: give "
                "numbers that are not negative."
            )

    def map_to_plan_on(self, belief: Belief, here: Cell, goal: Cell) -> NDArray[np.uint8]:
        """Return the map of cells known to be free, and those on the cheapest way."""
        costs = self.costs(belief)
        costs[here] = costs[goal] = 1.0
        free = np.asarray(belief.occupancy() == FREE, np.uint8)
        free[here] = free[goal] = 1
        for cell in cheapest_way(costs, here, goal):
            free[cell] = 1
        return free

    def costs(self, belief: Belief) -> NDArray[np.float64]:
        """Return what entering each cell ``(H, W)`` costs in steps; infinite where nobody can."""
        occupancy = belief.occupancy()
        costs = np.where(occupancy == UNKNOWN, self.doubt_price * wall_chances(belief), 0.0)
        costs[occupancy == WALL] = self.wall_price
        costs[belief.closed()] = np.inf
        return 1.0 + costs

    def stop(self, plan: Sequence[Cell], belief: Belief) -> int:
        """Return the first place that was not looked around in."""
        places = range(1, len(plan) - 1)
        return next((place for place in places if not belief.seen[plan[place]]), len(plan) - 1)


FRONTIERS: Registry[Callable[[], FrontierChoice]] = Registry("choice of frontiers")
"""Where to explore next, by name."""
FRONTIERS.register("optimistic", Optimistic)
FRONTIERS.register("expected", Expected)


def next_stop(plan: Sequence[Cell], seen: NDArray[np.bool_], occupancy: NDArray[np.int8]) -> int:
    """Return the place in a plan of the first cell to stop in for a look.

    Behind the start, not seen from before, and with a next cell that is not known to be free; the
    last place if there is none.
    """
    for number in range(1, len(plan) - 1):
        if not seen[plan[number]] and occupancy[plan[number + 1]] != FREE:
            return number
    return len(plan) - 1


def wall_chances(belief: Belief) -> NDArray[np.float64]:
    """Return the probability ``(H, W)`` that each cell is a wall, also far from all looks."""
    chances = belief.walls().astype(np.float64)
    side = np.ones((2 * SIGHT + 1, 2 * SIGHT + 1), np.uint8)
    far = cv2.dilate(belief.seen.astype(np.uint8), side) == 0
    inside = np.zeros(belief.shape, bool)
    inside[1:-1, 1:-1] = True
    occupancy = belief.occupancy()
    rows, columns = np.indices(belief.shape)
    for parity in range(4):
        alike = (rows % 2 == parity // 2) & (columns % 2 == parity % 2)
        known = occupancy[alike & inside & ~far & (occupancy != UNKNOWN)]
        # The mean of a beta distribution that begins even.
        chances[alike & far] = ((known == WALL).sum() + 1) / (len(known) + 2)
    return chances


def cheapest_way(costs: NDArray[np.float64], start: Cell, goal: Cell) -> list[Cell]:
    """Return the way from start to goal, both included, of least costs of the cells entered.

    Args:
        costs: ``(H, W)``, above 0; infinite for cells that cannot be entered.
        start: row and column.
        goal: row and column.

    Returns:
        The cells; none where there is no way.
    """
    columns = costs.shape[1]
    first, last = (row * columns + column for row, column in (start, goal))
    after = np.full(costs.size, -1, np.int64)
    if not _spread(costs, last, first, NEWS.offset_array(), after):
        return []
    cells = [first]
    while cells[-1] != last:
        cells.append(int(after[cells[-1]]))
    return [divmod(cell, columns) for cell in cells]


@compiled
def _spread(
    costs: NDArray[np.float64],
    goal: int,
    start: int,
    offsets: NDArray[np.int64],
    after: NDArray[np.int64],
) -> bool:
    """Note the cell after each one on its cheapest way to the goal (Dijkstra's search).

    Returns:
        Whether the start has a way.
    """
    rows, columns = costs.shape
    least = np.full(rows * columns, np.inf)
    least[goal] = 0.0
    queue = [(0.0, goal)]
    while len(queue) > 0:
        spent, cell = heapq.heappop(queue)
        if cell == start:
            return True
        if spent > least[cell]:
            continue
        i, j = cell // columns, cell % columns
        total = spent + costs[i, j]
        for k in range(len(offsets)):
            r, c = i - offsets[k, 0], j - offsets[k, 1]
            if not (0 <= r < rows and 0 <= c < columns) or np.isinf(costs[r, c]):
                continue
            before = r * columns + c
            if total < least[before]:
                least[before], after[before] = total, cell
                heapq.heappush(queue, (total, before))
    return False
