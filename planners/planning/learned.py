"""The learned planner: a planning network and the greedy walk along its actions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asterias.arrays import Cell, MazeArray
from asterias.errors import UserError
from planners.mazes.action_sets import NEWS, Moves, moves_of
from planners.mazes.distances import distances
from planners.mazes.policy_walks import walk, walk_costs
from planners.networks.base import PlanningNetwork, choose_device
from planners.networks.weights import load_weights
from planners.planning.deepening import IterativeDeepening
from planners.planning.exact_search import breadth_first
from planners.planning.types import (
    GridPlan,
    PlanLimits,
    PlanStatus,
    describe,
    no_path,
    refuse_ends,
)

# About 40 values per cell are held at once; beyond this a plain search is the answer anyway.
MAX_CELLS = 4_000_000
# Layers per step of the shortest path after which a network gives up; those of training are two to
# three (200 layers for paths of 90 steps at 15 x 15, 5000 for 1800 at 100 x 100).
_LAYERS_PER_STEP = 8
# Layers times cells: a fiftieth of a second. Shorter plans are done before anybody has looked.
_WORTH_AN_EARLY_ANSWER = 2 * 10**7
_FIRST_DEPTH = 32  # at least, of anytime planning: a few milliseconds on 100 x 100 cells


class LearnedPlanner:
    """A planning network and the greedy walk along its actions.

    How deep it goes: ``depth`` layers if that is given. Otherwise by the rule of
    :meth:`_eval_depths`: the depth of training first, and twice as deep again while the walk from
    the start does not arrive; on maps larger than those of training, until twice as many layers do
    not shorten a walk that arrives. It gives up after eight layers per step of the shortest path.
    Anytime planning begins far below the depth of training and ends, at any depth, once the walks
    from all cells that have a way to the goal arrive and more layers make none of them shorter.
    """

    def __init__(
        self,
        network: PlanningNetwork,
        depth: int = 0,
        moves: Moves = NEWS,
        device: str = "cpu",
        *,
        trained_depth: int = 1,
        trained_size: int = 0,
        trained_length: int = 0,
    ) -> None:
        if depth < 0:
            raise UserError(f"depth is {depth}: give the layers, or 0 to go as deep as needed.")
        self.network, self.depth, self.moves = network.eval(), depth, moves
        self.trained_depth, self.trained_size = trained_depth, trained_size
        self.trained_length = trained_length
        self.device = choose_device(device)
        self.network.to(self.device)

    @classmethod
    def load(cls, weights: Path, depth: int = 0, device: str = "auto") -> LearnedPlanner:
        """Return the planner of a weight file.

        Raises:
            UserError: file or card are missing, damaged, or do not fit together.
        """
        network, card = load_weights(weights)
        moves = moves_of(card)
        if network.sees_pictures:
            raise UserError(
                f"{weights} plans on pictures of terrain, not on maps: `python -m planners terrain`"
                " scores it; here choose weights for maps."
            )
        if moves.is_drive:
            raise UserError(
                f"{weights} plans for a differential drive, from a cell and a heading: score it by "
                "`python -m planners scale`; here choose weights for moves from cell to cell."
            )
        if network.config.actions != len(moves.actions):
            raise UserError(
                f"{weights} chooses among {network.config.actions} actions, but its moves, "
                f"{moves.name}, are {len(moves.actions)}."
            )
        size = card.get("size", 0)
        depths = {"trained_depth": card["depth"], "trained_size": size if size else 0}
        return cls(network, depth, moves, device, trained_length=_longest(card), **depths)

    def plan(
        self, maze: MazeArray, start: Cell, goal: Cell, limits: PlanLimits | None = None
    ) -> GridPlan:
        """Walk greedily from start; the exact length tells whether the path is a shortest one.

        Returns:
            The plan, or why there is none.

        Raises:
            UserError: the map is too large for networks.
        """
        refused = refuse_ends(maze, start, goal)
        if refused:
            return refused
        if maze.size > MAX_CELLS:
            raise UserError(
                f"the map has {maze.size} cells: networks plan on {MAX_CELLS} at most; use a_star."
            )
        exact = tuple(breadth_first(maze, start, goal, self.moves))
        if not exact:
            return no_path(start, goal)
        return self._plan_deeper(maze, start, goal, exact, limits or PlanLimits())

    def _plan_deeper(
        self, maze: MazeArray, start: Cell, goal: Cell, exact: tuple[Cell, ...], limits: PlanLimits
    ) -> GridPlan:
        """Deepen and walk until the policy is settled, or the limits are reached.

        Of several walks that arrive the shortest counts.

        Returns:
            The plan.
        """
        deepening = IterativeDeepening(self.network, maze, goal, self.device, limits)
        # A closed form costs the same for any depth: one that no shortest path exceeds.
        depths = [self.depth or max(self.trained_depth, maze.size)]
        is_solved = not limits.is_canceled() and deepening.solve(depths[0])
        if not is_solved:
            is_long = self.trained_depth * maze.size > _WORTH_AN_EARLY_ANSWER
            is_anytime = limits.is_anytime and is_long
            depths = self._eval_depths(len(exact) - 1, is_anytime=is_anytime)
        is_small = max(maze.shape) <= self.trained_size
        connected = distances(maze[None], np.array([goal]), self.moves)[0] >= 0
        before: _Evaluation | None = None
        best: _Evaluation | None = None
        for layers in depths:
            stopped = deepening.deepen_to(layers, depths[-1])
            if stopped is PlanStatus.CANCELED:
                text = f"canceled after {deepening.layers} layers."
                return GridPlan(PlanStatus.CANCELED, (), exact, text, layers=deepening.layers)
            actions, values = deepening.policy()
            cells, status = _walk(maze, start, goal, actions, self.moves)
            cost = self.moves.cost_of(cells)
            latest = _Evaluation(deepening.layers, actions, values, cells, status, cost)
            if limits.is_anytime and not (is_solved or self.depth):
                latest = replace(latest, all_ways=self._all_ways(maze, goal, connected, actions))
            if latest.arrives and (best is None or latest.cost < best.cost):
                best = latest
            is_early = layers < min(self.trained_depth, depths[-1])
            if not is_early and latest.arrives and is_small:
                break
            if stopped or _ways_are_settled(before, latest):
                break
            if not is_early and _is_settled(connected, before, latest):
                break
            if best is latest:  # there is more to come
                limits.improve(self._answer(best, best.status, exact))
            before = latest
        status = PlanStatus.TIME_LIMIT if stopped else (best or latest).status
        plan = self._answer(best or latest, status, exact)
        return plan if is_solved else replace(plan, unlike_training=self._unlike(len(exact) - 1))

    def _answer(self, found: _Evaluation, status: PlanStatus, exact: tuple[Cell, ...]) -> GridPlan:
        """Return the plan of a policy; a walk that arrives counts, whatever ended the planning."""
        if found.arrives:
            is_shortest = found.cost == self.moves.cost_of(exact)
            status = PlanStatus.OPTIMAL if is_shortest else PlanStatus.VALID
        text = describe(status, found.cells, exact, found.layers, self.moves)
        values, layers = found.values, found.layers
        return GridPlan(status, found.cells, exact, text, values, layers, moves=self.moves)

    def _all_ways(
        self,
        maze: MazeArray,
        goal: Cell,
        connected: NDArray[np.bool_],
        actions: NDArray[np.int64],
    ) -> int:
        """Return what the walks from all connected cells cost together, if all of them arrive."""
        costs = walk_costs(maze, goal, actions, self.moves)[connected]
        return int(costs.sum()) if (costs >= 0).all() else _SOME_DO_NOT_ARRIVE

    def _unlike(self, steps: int) -> float:
        """Return how much longer a shortest path is than any of the training, 0 if not known."""
        return steps / self.trained_length if self.trained_length else 0.0

    def _eval_depths(self, steps: int, *, is_anytime: bool) -> list[int]:
        """Return the layers after which the policy is evaluated.

        The depth asked for, or the depth of training and its doubles, up to a limit by the steps of
        the shortest path; anytime planning begins with those after which the start can know of the
        goal, a layer for each step and a few more.
        """
        last = self.depth or self.trained_depth
        depths, limit = [last], 0 if self.depth else _LAYERS_PER_STEP * steps
        first = max(_FIRST_DEPTH, steps + steps // 16)
        if is_anytime and 2 * first <= last:
            depths = [first]
            while 2 * depths[-1] < last:
                depths.append(2 * depths[-1])
            depths.append(last)
        while depths[-1] < limit:
            depths.append(min(2 * depths[-1], limit))
        return depths


_SOME_DO_NOT_ARRIVE = -1


@dataclass(frozen=True)
class _Evaluation:
    """A policy after some layers, and the walk along it."""

    layers: int
    actions: NDArray[np.int64]
    values: NDArray[np.float32]
    cells: tuple[Cell, ...]
    status: PlanStatus
    cost: int
    """Of the walk."""
    all_ways: int = _SOME_DO_NOT_ARRIVE
    """What the walks from all cells that have a way to the goal cost together."""

    @property
    def arrives(self) -> bool:
        return self.status is PlanStatus.VALID


def _longest(card: dict[str, Any]) -> int:
    """Return the longest path in the mazes of a training, by its card; 0 if that does not say."""
    training = card.get("training")
    edges = training.get("stratify") if isinstance(training, dict) else None
    last = edges.rpartition(",")[2].strip() if isinstance(edges, str) else ""
    return int(last) if last.isdecimal() and len(last) < 10 else 0


def _ways_are_settled(before: _Evaluation | None, latest: _Evaluation) -> bool:
    """Return whether all cells arrive, and did before, by ways no longer than now.

    What the last layers changed is then which of several equal ways is taken, if anything.
    """
    if before is None or _SOME_DO_NOT_ARRIVE in (before.all_ways, latest.all_ways):
        return False
    return latest.all_ways >= before.all_ways


def _is_settled(
    connected: NDArray[np.bool_], before: _Evaluation | None, latest: _Evaluation
) -> bool:
    """Return whether more layers promise nothing.

    The latest did not shorten the walk that arrived, or broke it, as happens to networks at many
    times their depth; or no action has changed in the cells that have a way to the goal.
    """
    if before is None:
        return False
    if before.arrives:
        return not latest.arrives or latest.cost >= before.cost
    return bool((before.actions == latest.actions)[connected].all())


_ENDS = (PlanStatus.VALID, PlanStatus.COLLISION, PlanStatus.TIMEOUT)


def _walk(
    maze: MazeArray, start: Cell, goal: Cell, actions: NDArray[np.int64], moves: Moves
) -> tuple[tuple[Cell, ...], PlanStatus]:
    cells, end = walk(maze, start, goal, actions, moves)
    return tuple(cells), _ENDS[end]
