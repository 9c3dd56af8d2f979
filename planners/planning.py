"""One question, one answer: ``Planner.plan(maze, start, goal)``, learned or exact, with a status
that says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from planners import search
from planners.atomic import write_atomically
from planners.mazes import MazeSet
from planners.moves import MOVES, NEWS, MoveName, Moves
from planners.network import PlanningNetwork
from planners.networks import choose_device, load_weights, observation
from planners.value_iteration import action_values

Cell = tuple[int, int]
Maze = NDArray[np.uint8]


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
    """The start is not a free cell of the map."""
    GOAL_IN_WALL = "goal_in_wall"
    """The goal is not a free cell of the map."""


@dataclass(frozen=True)
class Path2D:
    """A plan: the cells from the start on, and how it ended."""

    status: Status
    cells: tuple[Cell, ...]
    optimal_cells: tuple[Cell, ...]
    message: str
    values: NDArray[np.float32] | None = None
    """Value map ``(H, W)`` of a learned planner."""

    @property
    def reached(self) -> bool:
        """Whether the cells lead to the goal."""
        return self.status in (Status.OPTIMAL, Status.VALID)


class Planner(Protocol):
    """Anything that plans."""

    def plan(self, maze: Maze, start: Cell, goal: Cell) -> Path2D:
        """Plan on ``maze (H, W)``, 1 = free, between cells given as row and column."""
        ...


class ExactPlanner:
    """A* or breadth-first search: always optimal, and the fast way through a known map."""

    def __init__(self, method: str = "a_star", moves: Moves = NEWS) -> None:
        methods = {"a_star": search.a_star, "bfs": search.breadth_first}
        if method not in methods:
            raise ValueError(f"planner is {method!r}: choose a_star, bfs or a weight file.")
        self._search, self._moves = methods[method], moves

    def plan(self, maze: Maze, start: Cell, goal: Cell) -> Path2D:
        """Return a shortest path, or why there is none."""
        refused = _refuse(maze, start, goal)
        if refused:
            return refused
        cells = tuple(self._search(maze, start, goal, self._moves))
        if not cells:
            return _no_path(start, goal)
        return Path2D(Status.OPTIMAL, cells, cells, f"{len(cells) - 1} steps, as few as possible.")


class LearnedPlanner:
    """A planning network and the greedy walk along its actions."""

    def __init__(
        self, network: PlanningNetwork, depth: int, moves: Moves = NEWS, device: str = "cpu"
    ) -> None:
        self.network, self.depth, self.moves = network.eval(), depth, moves
        self.device = choose_device(device)
        self.network.to(self.device)

    @classmethod
    def load(cls, weights: Path, depth: int = 0, device: str = "auto") -> LearnedPlanner:
        """Read weights; ``depth`` 0 takes their card's. Raises ``ValueError`` for a bad file."""
        network, card = load_weights(weights)
        name: MoveName = "moore" if card.get("moves") == "moore" else "news"
        return cls(network, depth or int(card["depth"]), MOVES[name], device)

    @torch.no_grad()
    def act(self, maze: Maze, goal: Cell) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the best action and the value of every cell, both ``(H, W)``."""
        maps = observation(maze[None], np.array([goal]))
        encoded = self.network.encode(*(tensor.to(self.device) for tensor in maps))
        states = self.network.iterate(encoded, self.depth, (self.depth,))
        logits = self.network.decode(encoded, states)[0, 0]
        if len(encoded) == 2 and states.ndim == 4 and encoded[0].ndim == 5:
            values = action_values(encoded[0], encoded[1], states).amax(dim=2)[0, 0]
        else:
            values = logits.amax(dim=0)
        return logits.argmax(dim=0).cpu().numpy(), values.cpu().numpy()

    def plan(self, maze: Maze, start: Cell, goal: Cell) -> Path2D:
        """Walk greedily from start; the exact length tells whether the way is a shortest one."""
        refused = _refuse(maze, start, goal)
        if refused:
            return refused
        exact = tuple(search.breadth_first(maze, start, goal, self.moves))
        if not exact:
            return _no_path(start, goal)
        actions, values = self.act(maze, goal)
        cells, status = _walk(maze, start, goal, actions, self.moves)
        if status is Status.VALID and len(cells) == len(exact):
            status = Status.OPTIMAL
        return Path2D(status, cells, exact, _sentence(status, cells, exact), values)


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


def _sentence(status: Status, cells: Sequence[Cell], exact: Sequence[Cell]) -> str:
    steps, best = len(cells) - 1, len(exact) - 1
    return {
        Status.OPTIMAL: f"{steps} steps, as few as possible.",
        Status.VALID: f"{steps} steps; {best} would do.",
        Status.COLLISION: f"ran into a wall after {steps} steps; {best} would reach the goal.",
        Status.TIMEOUT: f"went in circles after {steps} steps; {best} would reach the goal.",
    }[status]


def _free(maze: Maze, cell: Cell) -> bool:
    inside = 0 <= cell[0] < maze.shape[0] and 0 <= cell[1] < maze.shape[1]
    return inside and bool(maze[cell])


def _refuse(maze: Maze, start: Cell, goal: Cell) -> Path2D | None:
    for name, cell, status in (
        ("start", start, Status.START_IN_WALL),
        ("goal", goal, Status.GOAL_IN_WALL),
    ):
        if not _free(maze, cell):
            text = (
                f"the {name} {cell} is no free cell of the {maze.shape[0]} x {maze.shape[1]} map."
            )
            return Path2D(status, (), (), text)
    return None


def _no_path(start: Cell, goal: Cell) -> Path2D:
    return Path2D(Status.NO_PATH, (), (), f"walls separate the start {start} from the goal {goal}.")


def make_planner(name: str, depth: int = 0, device: str = "auto") -> Planner:
    """Return a planner by name: a_star, bfs, or a weight file."""
    if name.endswith(".safetensors"):
        return LearnedPlanner.load(Path(name), depth, device)
    return ExactPlanner(name)


def read_maze(path: Path) -> Maze:
    """Return a maze ``(H, W)`` from an image, one pixel per cell, light = free, or the first of an
    .npz.

    Raises ``ValueError`` for a file that is no maze.
    """
    if path.suffix == ".npz":
        return np.asarray(MazeSet.load(path).mazes[0])
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    if image is None:
        raise ValueError(f"{path} is no readable image: give a PNG with one pixel per cell.")
    maze = (image >= 128).astype(np.uint8)
    if maze.min() == maze.max():
        raise ValueError(
            f"{path} is no maze: all its pixels are {'free' if maze.max() else 'walls'}."
        )
    return maze


def draw(maze: Maze, plan: Path2D, start: Cell, goal: Cell, path: Path, scale: int = 0) -> None:
    """Write a picture: value map, the optimal path in grey, the path in red, start green, goal
    blue.
    """
    scale = scale or max(4, 800 // max(maze.shape))
    picture = _value_picture(maze, plan)
    picture = np.kron(picture, np.ones((scale, scale, 1), np.uint8))
    _line(picture, plan.optimal_cells, scale, (160, 160, 160), max(1, scale // 2))
    _line(picture, plan.cells, scale, (40, 40, 230), max(1, scale // 4))
    for cell, colour in ((start, (60, 180, 60)), (goal, (230, 80, 40))):
        cv2.circle(picture, _pixel(cell, scale), max(2, scale // 3), colour, -1)
    ok, encoded = cv2.imencode(".png", picture)
    if not ok:
        raise ValueError(
            f"the picture {path} could not be encoded: choose a name that ends in .png."
        )
    write_atomically(path, encoded.tobytes())


def _value_picture(maze: Maze, plan: Path2D) -> NDArray[np.uint8]:
    picture = np.repeat((maze * 255)[..., None], 3, axis=2).astype(np.uint8)
    if plan.values is None:
        return picture
    ranks = np.zeros(maze.shape, np.uint8)
    free = maze > 0
    order = plan.values[free].argsort().argsort()  # ranks: a long maze has a few very low values
    ranks[free] = (255 * order / max(1, order.size - 1)).astype(np.uint8)
    colours = cv2.applyColorMap(ranks, cv2.COLORMAP_VIRIDIS)
    return np.where(free[..., None], colours, np.uint8(0)).astype(np.uint8)


def _pixel(cell: Cell, scale: int) -> tuple[int, int]:
    return int(cell[1] * scale + scale // 2), int(cell[0] * scale + scale // 2)


def _line(
    picture: NDArray[np.uint8],
    cells: Sequence[Cell],
    scale: int,
    colour: tuple[int, int, int],
    width: int,
) -> None:
    if len(cells) > 1:
        points = np.array([_pixel(cell, scale) for cell in cells], np.int32)
        cv2.polylines(picture, [points.reshape(-1, 1, 2)], False, colour, width)


@dataclass
class PlanConfig:
    """Plan a path through a maze image and draw it."""

    maze: Path
    """Image, one pixel per cell, light = free; or .npz, whose first maze is taken."""
    start: str
    """Row and column of the start, as in 1,1."""
    goal: str
    """Row and column of the goal, as in 13,13."""
    weights: str = "a_star"
    """Weights (.safetensors), or a_star, or bfs."""
    out: Path | None = None
    """Picture to write (.png)."""
    depth: int = 0
    """Layers; 0 takes the depth of the weights' card."""
    device: str = "auto"
    """cpu, cuda, or auto."""


def run_plan(config: PlanConfig) -> Path2D:
    """Plan as told; raises ``ValueError`` for input that makes no sense."""
    maze = read_maze(config.maze)
    start, goal = parse_cell(config.start, "start"), parse_cell(config.goal, "goal")
    plan = make_planner(config.weights, config.depth, config.device).plan(maze, start, goal)
    if config.out:
        draw(maze, plan, start, goal, config.out)
    return plan


def parse_cell(text: str, name: str) -> Cell:
    """Return (row, column) from 'R,C'; raises ``ValueError`` with an example."""
    try:
        row, column = (int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{name} is {text!r}: give row and column, as in 1,1.") from None
    return row, column
