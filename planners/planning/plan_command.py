"""The verb ``plan``: one path through one maze, for a person: a sentence, a picture, JSON."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from asterias.arrays import Cell
from asterias.cli import check_file
from asterias.errors import UserError
from asterias.files import write_json
from planners.mazes.action_sets import OCTILE
from planners.mazes.distances import distances, farthest_cell
from planners.mazes.grid_map import GridMap
from planners.mazes.map_files import Colours, MapFile, NoMazeError, ReadOptions, Walls, read_map
from planners.networks.base import choose_device
from planners.planning.drawing import Drawing, save_drawing
from planners.planning.exact import EXACT
from planners.planning.factory import find_weights, make_planner, parse_cell
from planners.planning.types import GridPlan, PlanLimits, PlanProgress, PlanStatus

# What the process ends with; 2 is for options and files that make no sense.
EXIT_CODES = {
    PlanStatus.OPTIMAL: 0,
    PlanStatus.VALID: 0,
    PlanStatus.START_IN_WALL: 3,
    PlanStatus.START_OUTSIDE_MAP: 3,
    PlanStatus.GOAL_IN_WALL: 4,
    PlanStatus.GOAL_OUTSIDE_MAP: 4,
    PlanStatus.NO_PATH: 5,
    PlanStatus.COLLISION: 6,
    PlanStatus.TIMEOUT: 7,
    PlanStatus.TIME_LIMIT: 8,
    PlanStatus.CANCELED: 130,
}
NO_MAZE = "no_maze"
EXIT_NO_MAZE = 9
_ANY_SIZE, _OCTILE_WEIGHTS = "sparse_dt_vin", "doubt_dt_vin_octile"


@dataclass
class PlanConfig:
    """Plan a path through a maze and draw it.

    Exit codes: 0 the goal is reached, 2 bad options, 3 the start is a wall or outside, 4 the goal
    is, 5 no path exists, 6 the policy collides, 7 it goes in circles, 8 out of time, 9 the file
    shows no maze.
    """

    maze: Path
    """Picture of a maze (dark walls, any number of pixels per cell), ROS map (.yaml), .npz,
    or a map or scenarios of MovingAI (.map, .scen)."""
    start: str = ""
    """Row and column of the start, as in 1,1; for .npz by default the cell farthest from the goal.
    """
    goal: str = ""
    """Row and column of the goal, as in 13,13; .npz files name one."""
    weights: str = _ANY_SIZE
    """A model (sparse_dt_vin plans at any size; dt_vin: its weights for the map's size), a name in
    planners/weights (dt_vin_35), a file (.safetensors), or a_star, or bfs.
    """
    costs: Literal["steps", "octile"] = "steps"
    """What a way costs: its steps, by the moves of the weights; or octile: eight moves, a diagonal
    one sqrt(2) long, by doubt_dt_vin_octile if no weights are named, or a_star."""
    out: Path | None = None
    """Picture to write (.png)."""
    json: Path | None = None
    """Where to write status and path as JSON; - for the terminal."""
    depth: int = 0
    """Layers; 0 goes as deep as the walk from the start needs."""
    time_limit_s: float = 600.0
    """Seconds after which a network answers with what it has."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    cell_px: int = 0
    """Pixels per cell of a picture; 0 finds it."""
    unknown: Literal["wall", "free"] = "wall"
    """What unknown cells of a ROS map count as."""
    metres: bool = False
    """Start and goal are x,y in m in the frame of a ROS map."""
    index: int = 0
    """Which maze of an .npz, or which problem of a .scen."""
    walls: Walls = "auto"
    """Tone of a picture's walls; auto finds it by the frame of the maze, or takes dark."""
    invert: bool = False
    """Short for --walls light."""
    colours: Colours = "auto"
    """What vivid colours on white ground are: auto takes a cell or two for marks, more for walls.
    """


@dataclass(frozen=True)
class PlanAnswer:
    """A plan with what it was made from."""

    plan: GridPlan
    map: MapFile
    start: Cell
    goal: Cell
    planner: str
    seconds: float


def run_plan(config: PlanConfig, limits: PlanLimits | None = None) -> PlanAnswer:
    """Plan as the options say; write picture and JSON.

    Returns:
        The plan with what it was made from.

    Raises:
        UserError: an option makes no sense, or (:class:`NoMazeError`) the file shows no maze.
    """
    _check(config)
    unknown_is_free = config.unknown == "free"
    walls: Walls = "light" if config.invert else config.walls
    options = ReadOptions(config.cell_px, unknown_is_free, config.index, walls, config.colours)
    file = read_map(config.maze, options)
    if config.metres and not file.is_metric:
        raise UserError(
            f"--metres is for ROS maps (.yaml), but {config.maze} does not say where it lies: give "
            "row and column."
        )
    start, goal = _ends(config, file)
    size = max(file.grid.free.shape)
    is_octile = config.costs == "octile"
    name = _OCTILE_WEIGHTS if is_octile and config.weights == _ANY_SIZE else config.weights
    moves = OCTILE if is_octile else None
    planner = make_planner(name, size, config.depth, config.device, moves=moves)
    name = name if name in EXACT else find_weights(name, size).stem
    limits = replace(limits or PlanLimits(), time_limit_s=config.time_limit_s)
    started_s = time.perf_counter()
    plan = planner.plan(file.grid.free, start, goal, limits)
    answer = PlanAnswer(plan, file, start, goal, name, time.perf_counter() - started_s)
    if config.out:
        save_drawing(drawing_of(answer), config.out)
    if config.json:
        _write(config.json, as_json(answer))
    return answer


def _check(config: PlanConfig) -> None:
    """Check the options before any work.

    Raises:
        UserError: one makes no sense, or an output cannot be written.
    """
    if config.cell_px < 0:
        raise UserError(f"--cell-px is {config.cell_px}: give pixels, or 0 to find them.")
    if config.depth < 0:
        raise UserError(
            f"--depth is {config.depth}: give the layers, or 0 to go as deep as needed."
        )
    if not config.time_limit_s > 0:
        raise UserError(f"--time-limit-s is {config.time_limit_s}: give seconds above 0.")
    choose_device(config.device)
    if config.out and config.out.suffix.lower() != ".png":
        raise UserError(
            f"the picture {config.out} cannot be written: choose a name that ends in .png."
        )
    check_file("--out", config.out)
    check_file("--json", config.json if str(config.json) != "-" else None)


def plan(config: PlanConfig) -> int:
    """Plan and print the answer; return the exit code.

    Returns:
        The exit code.
    """
    try:
        with _ProgressBar() as display:
            answer = run_plan(config, PlanLimits(report=display.report))
    except NoMazeError as error:
        if config.json:
            _write(config.json, {"status": NO_MAZE, "message": str(error)})
        print(f"{NO_MAZE}: {error}", file=sys.stderr)
        return EXIT_NO_MAZE
    except KeyboardInterrupt:
        print("canceled: nothing was written.", file=sys.stderr)
        return EXIT_CODES[PlanStatus.CANCELED]
    terminal = sys.stderr if str(config.json) == "-" else sys.stdout
    print(f"map: {answer.map.note}", file=terminal)
    print(f"{answer.plan.status.value}: {answer.plan.message}", file=terminal)
    print(f"planner: {answer.planner}, {answer.seconds:.3g} s", file=terminal)
    if note := unlike_note(answer):
        print(note, file=terminal)
    if config.out:
        print(f"picture: {config.out}", file=terminal)
    return EXIT_CODES[answer.plan.status]


def _ends(config: PlanConfig, file: MapFile) -> tuple[Cell, Cell]:
    if config.goal:
        goal = _cell(config, config.goal, "goal", file.grid)
    elif file.goal is not None:
        goal = file.goal
    else:
        raise UserError("there is no goal: give --goal R,C.")
    if config.start:
        return _cell(config, config.start, "start", file.grid), goal
    if file.start is not None and not config.goal:
        return file.start, goal
    if file.goal is None:
        raise UserError("there is no start: give --start R,C.")
    if not file.grid.is_free(goal):
        return goal, goal  # the planner says what is wrong with the goal
    return farthest(file.grid, goal), goal


def farthest(grid: GridMap, goal: Cell) -> Cell:
    """Return the cell from which the path to the goal is longest."""
    return farthest_cell(distances(grid.free[None], np.array([goal]))[0])


def _cell(config: PlanConfig, text: str, name: str, grid: GridMap) -> Cell:
    if not config.metres:
        return parse_cell(text, name)
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"{name} is {text!r}: give x and y in m, as in 1.5,-0.2.") from None
    return grid.cell_at((x, y))


def drawing_of(answer: PlanAnswer) -> Drawing:
    """Return what the picture of an answer shows."""
    title = f"{answer.planner} on {answer.map.grid.free.shape[0]} x {answer.map.grid.free.shape[1]}"
    title += f" cells: {answer.plan.status.value}\n{answer.plan.message}"
    plan = answer.plan
    return Drawing(
        answer.map.grid.free,
        answer.start,
        answer.goal,
        title,
        plan.cells,
        plan.optimal_cells,
        plan.values,
    )


def unlike_note(answer: PlanAnswer) -> str:
    """Return the line that says how unlike the training a map is, empty if it is not.

    Of the starts from which DT-VIN fails, nearly all are further from the goal than any in its
    training, and the further the more of them fail (docs/results/planning.md).
    """
    ratio = answer.plan.unlike_training
    if ratio <= 1:
        return ""
    return (
        f"unlike the training: the shortest path is {ratio:.1f} times as long as any that "
        f"{answer.planner} was trained on; sparse_dt_vin and a_star plan at any length."
    )


def as_json(answer: PlanAnswer) -> dict[str, object]:
    """Return what the JSON output holds; cells are [row, column]."""
    plan = answer.plan
    return {
        "status": plan.status.value,
        "message": plan.message,
        "reached": plan.reached,
        "planner": answer.planner,
        "layers": plan.layers,
        "unlike_training": round(plan.unlike_training, 3),
        "seconds": round(answer.seconds, 4),
        "rows": answer.map.grid.free.shape[0],
        "columns": answer.map.grid.free.shape[1],
        "cell_px": round(answer.map.cell_px, 3),
        "start": answer.start,
        "goal": answer.goal,
        "steps": max(0, len(plan.cells) - 1),
        "shortest_steps": max(0, len(plan.optimal_cells) - 1),
        "costs": "octile" if plan.moves is OCTILE else "steps",
        "length": round(plan.length, 4),
        "shortest_length": round(plan.shortest_length, 4),
        "path": plan.cells,
        "shortest_path": plan.optimal_cells,
    }


def _write(path: Path, content: dict[str, object]) -> None:
    if str(path) == "-":
        print(json.dumps(content))
    else:
        write_json(path, content, indent=None)


class _ProgressBar:
    """A bar with layers and time left, on a terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("layers"),
            BarColumn(),
            TextColumn("{task.completed:.0f} of at most {task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("left: at most"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> _ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def report(self, progress: PlanProgress) -> None:
        """Show one slice."""
        self._bar.update(self._task, completed=progress.layers, total=progress.limit)
