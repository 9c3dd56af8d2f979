"""One question, one answer: ``Planner.plan(maze, start, goal)``, learned or exact, with a status
that says why.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asterias.arrays import Cell
from planners.mazes.action_sets import MOVES, NEWS, MoveName, Moves
from planners.networks.base import PlanningNetwork
from planners.networks.dt_vin import DTVIN
from planners.networks.registry import choose_device, load_weights, observation
from planners.networks.vin import VIN
from planners.operator.value_iteration import action_values, value_iteration
from planners.planning import exact_search as search

Maze = NDArray[np.uint8]

WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"
EXACT = {"a_star": search.a_star, "bfs": search.breadth_first}
# About 40 values per cell are held at once; beyond this a plain search is the answer anyway.
MAX_CELLS = 4_000_000
# A long recursion is cut into slices of about this length, to look at the clock and at cancel.
_SLICE_S = 0.15
_LAYERS_PER_STEP = 8


class Status(str, Enum):
    """How a plan ended."""

    OPTIMAL = "optimal"
    """The goal is reached in as few steps as possible."""
    VALID = "valid"
    """The goal is reached, by a longer way than necessary."""
    COLLISION = "collision"
    """The policy ran into a wall or the border."""
    TIMEOUT = "timeout"
    """The policy went round in circles."""
    NO_PATH = "no_path"
    """No path exists."""
    START_IN_WALL = "start_in_wall"
    """The start is a wall of the map."""
    GOAL_IN_WALL = "goal_in_wall"
    """The goal is a wall of the map."""
    START_OUTSIDE_MAP = "start_outside_map"
    """The start is not on the map."""
    GOAL_OUTSIDE_MAP = "goal_outside_map"
    """The goal is not on the map."""
    TIME_LIMIT = "time_limit"
    """The time ran out before the policy reached the goal."""
    CANCELED = "canceled"
    """The caller no longer wanted the plan."""


@dataclass(frozen=True)
class Path2D:
    """A plan: the cells from the start on, and how it ended."""

    status: Status
    cells: tuple[Cell, ...]
    optimal_cells: tuple[Cell, ...]
    message: str
    values: NDArray[np.float32] | None = None
    """Value map ``(H, W)`` of a learned planner."""
    layers: int = 0
    """Layers of value iteration that a learned planner used."""

    @property
    def reached(self) -> bool:
        """Whether the cells lead to the goal."""
        return self.status in (Status.OPTIMAL, Status.VALID)


@dataclass(frozen=True)
class Progress:
    """How far a learned planner is."""

    layers: int
    """Layers done."""
    next_look: int
    """Layers at which the policy is walked next."""
    limit: int
    """Layers after which it gives up."""


def _never() -> bool:
    return False


def _nobody(progress: Progress) -> None:
    pass


@dataclass(frozen=True)
class Budget:
    """What a plan may cost, and who watches."""

    time_limit_s: float = float("inf")
    """Seconds after which a learned planner answers with what it has."""
    is_canceled: Callable[[], bool] = _never
    """Asked several times a second."""
    report: Callable[[Progress], None] = _nobody
    """Told several times a second."""


class Planner(Protocol):
    """Anything that plans."""

    def plan(self, maze: Maze, start: Cell, goal: Cell, budget: Budget | None = None) -> Path2D:
        """Plan on ``maze (H, W)``, 1 = free, between cells given as row and column."""
        ...


class ExactPlanner:
    """A* or breadth-first search: always optimal, and the fast way through a known map."""

    def __init__(self, method: str = "a_star", moves: Moves = NEWS) -> None:
        if method not in EXACT:
            raise ValueError(f"planner is {method!r}: choose a_star, bfs or weights.")
        self._search, self._moves = EXACT[method], moves

    def plan(self, maze: Maze, start: Cell, goal: Cell, budget: Budget | None = None) -> Path2D:
        """Return a shortest path, or why there is none; it takes milliseconds, so the budget is not
        looked at.
        """
        refused = _refuse(maze, start, goal)
        if refused:
            return refused
        cells = tuple(self._search(maze, start, goal, self._moves))
        if not cells:
            return _no_path(start, goal)
        return Path2D(Status.OPTIMAL, cells, cells, _sentence(Status.OPTIMAL, cells, cells))


class LearnedPlanner:
    """A planning network and the greedy walk along its actions.

    How deep it goes: ``depth`` layers if that is given. Otherwise by the rule of
    :meth:`_looks`: the depth of training first, and twice as deep again while the walk from
    the start does not arrive; on maps larger than those of training, until twice as
    many layers do not shorten a walk that arrives. It gives up after eight layers per step of the
    shortest path."""

    def __init__(
        self,
        network: PlanningNetwork,
        depth: int = 0,
        moves: Moves = NEWS,
        device: str = "cpu",
        *,
        trained_depth: int = 1,
        trained_size: int = 0,
    ) -> None:
        if depth < 0:
            raise ValueError(f"depth is {depth}: give the layers, or 0 to go as deep as needed.")
        self.network, self.depth, self.moves = network.eval(), depth, moves
        self.trained_depth, self.trained_size = trained_depth, trained_size
        self.device = choose_device(device)
        self.network.to(self.device)

    @classmethod
    def load(cls, weights: Path, depth: int = 0, device: str = "auto") -> LearnedPlanner:
        """Read weights; raises ``ValueError`` for a bad file."""
        network, card = load_weights(weights)
        name: MoveName = "moore" if card.get("moves") == "moore" else "news"
        depths = {"trained_depth": int(card["depth"]), "trained_size": int(card.get("size", 0))}
        return cls(network, depth, MOVES[name], device, **depths)

    def plan(self, maze: Maze, start: Cell, goal: Cell, budget: Budget | None = None) -> Path2D:
        """Walk greedily from start; the exact length tells whether the way is a shortest one."""
        refused = _refuse(maze, start, goal)
        if refused:
            return refused
        if maze.size > MAX_CELLS:
            raise ValueError(
                f"the map has {maze.size} cells: networks plan on {MAX_CELLS} at most; use a_star."
            )
        exact = tuple(search.breadth_first(maze, start, goal, self.moves))
        if not exact:
            return _no_path(start, goal)
        return self._walked(maze, start, goal, exact, budget or Budget())

    def _walked(
        self, maze: Maze, start: Cell, goal: Cell, exact: tuple[Cell, ...], budget: Budget
    ) -> Path2D:
        """Deepen and walk until the rule is content, or the budget is spent; of several walks that
        arrive the shortest counts.
        """
        deepening = _Deepening(self.network, maze, goal, self.device, budget)
        looks = self._looks(len(exact) - 1)
        is_small = max(maze.shape) <= self.trained_size
        before: _Look | None = None
        best: _Look | None = None
        for layers in looks:
            stopped = deepening.to(layers, looks[-1])
            if stopped is Status.CANCELED:
                text = f"canceled after {deepening.layers} layers."
                return Path2D(Status.CANCELED, (), exact, text, layers=deepening.layers)
            actions, values = deepening.policy()
            look = _Look(
                deepening.layers, actions, values, *_walk(maze, start, goal, actions, self.moves)
            )
            if look.arrives and (best is None or len(look.cells) < len(best.cells)):
                best = look
            if stopped or (look.arrives and is_small) or _is_settled(maze, before, look):
                break
            before = look
        chosen = best or look
        status = Status.TIME_LIMIT if stopped and best is None else chosen.status
        if chosen.arrives and len(chosen.cells) == len(exact):
            status = Status.OPTIMAL
        text = _sentence(status, chosen.cells, exact, chosen.layers)
        return Path2D(status, chosen.cells, exact, text, chosen.values, chosen.layers)

    def _looks(self, steps: int) -> list[int]:
        """Return the layers after which the policy is walked: the depth asked for, or the depth of
        training and its doubles, up to eight layers per step of the shortest path (those of
        training are two to three).
        """
        if self.depth:
            return [self.depth]
        looks, limit = [self.trained_depth], _LAYERS_PER_STEP * steps
        while looks[-1] < limit:
            looks.append(min(2 * looks[-1], limit))
        return looks


@dataclass(frozen=True)
class _Look:
    """A policy after some layers, and the walk along it."""

    layers: int
    actions: NDArray[np.int64]
    values: NDArray[np.float32]
    cells: tuple[Cell, ...]
    status: Status

    @property
    def arrives(self) -> bool:
        return self.status is Status.VALID


def _is_settled(maze: Maze, before: _Look | None, look: _Look) -> bool:
    """Whether more layers than those of ``look`` promise nothing: they did not shorten the walk
    that arrived, or broke it, as happens to networks at many times their depth; or no action has
    changed.
    """
    if before is None:
        return False
    if before.arrives:
        return not look.arrives or len(look.cells) >= len(before.cells)
    return bool((before.actions == look.actions)[maze > 0].all())


class _Deepening:
    """A network's planning state on one maze, deepened step by step."""

    def __init__(
        self,
        network: PlanningNetwork,
        maze: Maze,
        goal: Cell,
        device: torch.device,
        budget: Budget,
    ) -> None:
        self.layers = 0
        self._network, self._budget = network, budget
        self._deadline_s = time.monotonic() + budget.time_limit_s
        with torch.no_grad():
            maps = observation(maze[None], np.array([goal]))
            self._encoded = network.encode(*(tensor.to(device) for tensor in maps))
        self._state: Tensor | None = None
        # VIN and DT-VIN go on from V; the others begin anew and cannot be interrupted.
        self._goes_on = type(network) in (VIN, DTVIN) and not getattr(network.config, "skip", 0)
        self._slice = 8

    @torch.no_grad()
    def to(self, layers: int, limit: int) -> Status | None:
        """Deepen to ``layers``; the status says what stopped it before."""
        while self.layers < layers:
            started_s = time.monotonic()
            count = min(self._slice, layers - self.layers) if self._goes_on else layers
            self._deepen(count, layers)
            self._budget.report(Progress(self.layers, layers, limit))
            took_s = max(time.monotonic() - started_s, 1e-4)
            if count == self._slice:
                self._slice = max(8, int(count * min(4.0, _SLICE_S / took_s)))
            if self._budget.is_canceled():
                return Status.CANCELED
            if time.monotonic() > self._deadline_s:
                return Status.TIME_LIMIT
        return None

    def _deepen(self, count: int, layers: int) -> None:
        if self._goes_on:
            transition, reward = self._encoded
            self._state = value_iteration(transition, reward, count, value=self._state)[-1]
            self.layers += count
        else:
            self._state = self._network.iterate(self._encoded, layers, (layers,))[-1]
            self.layers = layers
        if self._state.is_cuda:
            torch.cuda.synchronize()  # for the clock

    @torch.no_grad()
    def policy(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the best action and the value of every cell, both ``(H, W)``."""
        assert self._state is not None
        states = self._state[None]
        logits = self._network.decode(self._encoded, states)[0, 0]
        if isinstance(self._network, (VIN, DTVIN)):
            transition, reward = self._encoded
            values = action_values(transition, reward, states).amax(dim=2)[0, 0]
        else:
            values = logits.amax(dim=0)
        return logits.argmax(dim=0).cpu().numpy(), values.cpu().numpy()


def _walk(
    maze: Maze, start: Cell, goal: Cell, actions: NDArray[np.int64], moves: Moves
) -> tuple[tuple[Cell, ...], Status]:
    cells, seen = [start], {start}
    while cells[-1] != goal:
        down, right = moves.offsets[int(actions[cells[-1]])]
        after = (cells[-1][0] + down, cells[-1][1] + right)
        if not _free(maze, after):
            return tuple(cells), Status.COLLISION
        if after in seen:
            return tuple(cells), Status.TIMEOUT
        cells.append(after)
        seen.add(after)
    return tuple(cells), Status.VALID


def _sentence(status: Status, cells: Sequence[Cell], exact: Sequence[Cell], layers: int = 0) -> str:
    steps, best = _steps(cells), _steps(exact)
    after = f" after {layers} layers" if layers else ""
    return {
        Status.OPTIMAL: f"{steps}, as few as possible{', found' + after if after else ''}.",
        Status.VALID: f"{steps}, found{after}; {best} would do.",
        Status.COLLISION: f"the policy{after} runs into a wall after {steps}; "
        f"{best} would reach the goal.",
        Status.TIMEOUT: f"the policy{after} goes in circles after {steps}; "
        f"{best} would reach the goal.",
        Status.TIME_LIMIT: f"the time was over{after}, and the policy does not yet reach the goal; "
        f"{best} would.",
    }[status]


def _steps(cells: Sequence[Cell]) -> str:
    return f"{len(cells) - 1} step{'' if len(cells) == 2 else 's'}"


def _inside(maze: Maze, cell: Cell) -> bool:
    rows, columns = maze.shape
    return 0 <= cell[0] < int(rows) and 0 <= cell[1] < int(columns)


def _free(maze: Maze, cell: Cell) -> bool:
    return _inside(maze, cell) and bool(maze[cell])


def _refuse(maze: Maze, start: Cell, goal: Cell) -> Path2D | None:
    for name, cell, outside, wall in (
        ("start", start, Status.START_OUTSIDE_MAP, Status.START_IN_WALL),
        ("goal", goal, Status.GOAL_OUTSIDE_MAP, Status.GOAL_IN_WALL),
    ):
        if not _inside(maze, cell):
            rows, columns = maze.shape
            text = (
                f"the {name} {_text(cell)} is outside the map: rows are 0 to {rows - 1}, "
                f"columns 0 to {columns - 1}."
            )
            return Path2D(outside, (), (), text)
        if not maze[cell]:
            free = np.argwhere(maze)
            near = free[np.abs(free - cell).sum(axis=1).argmin()] if len(free) else None
            hint = "" if near is None else f"; the nearest free cell is {near[0]},{near[1]}"
            return Path2D(wall, (), (), f"the {name} {_text(cell)} is a wall{hint}.")
    return None


def _no_path(start: Cell, goal: Cell) -> Path2D:
    text = f"walls separate the start {_text(start)} from the goal {_text(goal)}."
    return Path2D(Status.NO_PATH, (), (), text)


def _text(cell: Cell) -> str:
    return f"{cell[0]},{cell[1]}"


def find_weights(name: str, size: int) -> Path:
    """Return the weight file that a name stands for, on maps whose longer side is ``size`` cells.

    ``name``: a path to a ``.safetensors`` file; the stem of one in ``planners/weights``, such as
    dt_vin_35; or a model's name, such as dt_vin: its weights for the smallest size that covers the
    map, else for the largest there is. Raises ``ValueError`` that lists what there is.
    """
    if name.endswith(".safetensors"):
        return Path(name)
    if (WEIGHTS_FOLDER / f"{name}.safetensors").is_file():
        return WEIGHTS_FOLDER / f"{name}.safetensors"
    sizes = {}
    for path in WEIGHTS_FOLDER.glob(f"{name}_*.safetensors"):
        if match := re.fullmatch(re.escape(name) + r"_(\d+)", path.stem):
            sizes[int(match[1])] = path
    if not sizes:
        known = ", ".join([*EXACT, *sorted(path.stem for path in WEIGHTS_FOLDER.glob("*.s*"))])
        raise ValueError(
            f"there is no planner {name!r}: choose {known}, a model's name such as dt_vin, or a "
            "file that ends in .safetensors."
        )
    return sizes[min((s for s in sizes if s >= size), default=max(sizes))]


def make_planner(name: str, size: int = 0, depth: int = 0, device: str = "auto") -> Planner:
    """Return a planner by name: a_star, bfs, or what :func:`find_weights` knows for this size."""
    if name in EXACT:
        return ExactPlanner(name)
    return LearnedPlanner.load(find_weights(name, size), depth, device)


def parse_cell(text: str, name: str) -> Cell:
    """Return (row, column) from 'R,C'; raises ``ValueError`` with an example."""
    try:
        row, column = (int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{name} is {text!r}: give row and column, as in 1,1.") from None
    return row, column
