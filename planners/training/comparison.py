"""What people plan on grids with, side by side with ours: time, length of the path, memory.

Each method gets the same maze, start and goal. What a method needs once per map (a graph, an array
of costs) is timed apart from what it needs per question. The networks and the breadth-first search
from the goal answer for all starts at once, the others for one.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from asterias.arrays import Cell
from asterias.cli import check_file
from asterias.errors import UserError
from asterias.files import write_json
from asterias.provenance import provenance
from planners.mazes.datasets import MazeRule, generate_stratified
from planners.mazes.distances import distances, farthest_cell
from planners.networks.base import observation
from planners.networks.weights import load_weights
from planners.neural_a_star.network import load_encoder
from planners.neural_a_star.search import guided_search
from planners.planning import exact_search
from planners.planning.factory import find_weights

INSTALL = "pip install -c constraints.txt pyastar2d scikit-image"
_MOST_REPEATS = 20
_MOST_LAYERS_TIMES_CELLS = 10**9  # of a network whose layers are run: seconds


@dataclass
class CompareConfig:
    """Measure grid planners that people use beside ours, single-threaded."""

    sizes: str = "35,100,201,501"
    """Rows and columns of the mazes, with commas; each has a path of 12 to 18 steps per 100 cells.
    """
    seed: int = 5_000_000
    """Seed of the mazes."""
    budget_s: float = 2.0
    """Seconds for the repeats of one measurement, of which the fastest counts."""
    memory: bool = True
    """Measure the memory that each method takes on the largest maze, in a process of its own."""
    json: Path | None = None
    """Where to write the result."""


class SearchProblem(NamedTuple):
    """One question."""

    maze: NDArray[np.uint8]
    start: Cell
    goal: Cell
    length: int


Prepare = Callable[[SearchProblem], Any]
Answer = Callable[[SearchProblem, Any], int]


def _nothing(problem: SearchProblem) -> None:
    return None


def _bfs(problem: SearchProblem, _: Any) -> int:
    lengths = distances(problem.maze[None], np.array([problem.goal]))[0]
    return int(lengths[problem.start])


def _a_star(problem: SearchProblem, _: Any) -> int:
    return len(exact_search.a_star(problem.maze, problem.start, problem.goal)) - 1


def _network(name: str) -> Answer:
    network, card = load_weights(find_weights(name, 0))

    def answer(problem: SearchProblem, _: Any) -> int:
        maps = observation(problem.maze[None], np.array([problem.goal]))
        depth = max(int(card["depth"]), problem.length + 1)
        with torch.no_grad():
            solved = network.solve(*maps, depth)
            actions = solved.actions if solved else network(*maps, depth).argmax(dim=1).numpy()
        return _walked(problem, actions[0])

    return answer


def _neural_a_star() -> Answer:
    encoder = load_encoder()

    def answer(problem: SearchProblem, _: Any) -> int:
        return len(guided_search(encoder, problem.maze, problem.start, problem.goal).cells) - 1

    return answer


def _walked(problem: SearchProblem, actions: NDArray[Any]) -> int:
    """Return the steps of the greedy walk, -1 if it does not arrive."""
    offsets = ((-1, 0), (0, 1), (1, 0), (0, -1))
    cell, steps = problem.start, 0
    while cell != problem.goal and steps <= problem.maze.size:
        down, right = offsets[int(actions[cell])]
        cell, steps = (cell[0] + down, cell[1] + right), steps + 1
        if not problem.maze[cell]:
            return -1
    return steps if cell == problem.goal else -1


def _pyastar_costs(problem: SearchProblem) -> NDArray[np.float32]:
    costs: NDArray[np.float32] = np.where(problem.maze > 0, np.float32(1), np.float32(np.inf))
    return costs


def _pyastar(problem: SearchProblem, costs: Any) -> int:
    # Optional or without types: taken by name, as plain objects.
    path = import_module("pyastar2d").astar_path(
        costs, problem.start, problem.goal, allow_diagonal=False
    )
    return len(path) - 1


def _skimage_costs(problem: SearchProblem) -> NDArray[np.float64]:
    return np.where(problem.maze > 0, 1.0, -1.0)


def _skimage(problem: SearchProblem, costs: Any) -> int:
    search = import_module("skimage.graph").MCP(costs, fully_connected=False)
    search.find_costs([problem.start], [problem.goal])
    return len(search.traceback(problem.goal)) - 1


def _edges(problem: SearchProblem) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    free = problem.maze > 0
    cells = np.arange(free.size).reshape(free.shape)
    right, down = free[:, :-1] & free[:, 1:], free[:-1] & free[1:]
    heads = np.concatenate((cells[:, :-1][right], cells[:-1][down]))
    tails = np.concatenate((cells[:, 1:][right], cells[1:][down]))
    return np.concatenate((heads, tails)), np.concatenate((tails, heads))


def _scipy_graph(problem: SearchProblem) -> Any:
    heads, tails = _edges(problem)
    shape = (problem.maze.size, problem.maze.size)
    return import_module("scipy.sparse").csr_array(
        (np.ones(len(heads)), (heads, tails)), shape=shape
    )


def _scipy(problem: SearchProblem, graph: Any) -> int:
    columns = problem.maze.shape[1]
    goal = problem.goal[0] * columns + problem.goal[1]
    lengths = import_module("scipy.sparse.csgraph").dijkstra(graph, indices=goal, unweighted=True)
    return int(lengths[problem.start[0] * columns + problem.start[1]])


def _networkx_graph(problem: SearchProblem) -> Any:
    heads, tails = _edges(problem)
    graph = import_module("networkx").Graph()
    graph.add_edges_from(zip(heads.tolist(), tails.tolist(), strict=True))
    return graph


def _networkx(problem: SearchProblem, graph: Any) -> int:
    columns = problem.maze.shape[1]
    start, goal = (row * columns + column for row, column in (problem.start, problem.goal))

    def distance(cell: int, end: int) -> int:
        rows = cell // columns - end // columns
        return int(abs(rows) + abs(cell % columns - end % columns))

    path = import_module("networkx").astar_path(graph, start, goal, heuristic=distance)
    return len(path) - 1


# Name -> what it answers for, what it needs per map, and how it answers.
METHODS: dict[str, tuple[str, Prepare, Callable[[], Answer]]] = {
    "sparse_dt_vin_15": ("all starts", _nothing, lambda: _network("sparse_dt_vin_15")),
    "dt_vin_100": ("all starts", _nothing, lambda: _network("dt_vin_100")),
    "Neural A*": ("one start", _nothing, _neural_a_star),
    "bfs": ("all starts", _nothing, lambda: _bfs),
    "a_star": ("one start", _nothing, lambda: _a_star),
    "pyastar2d": ("one start", _pyastar_costs, lambda: _pyastar),
    "scikit-image MCP": ("one start", _skimage_costs, lambda: _skimage),
    "scipy csgraph": ("all starts", _scipy_graph, lambda: _scipy),
    "networkx A*": ("one start", _networkx_graph, lambda: _networkx),
}
_MODULES = {"pyastar2d": "pyastar2d", "scikit-image MCP": "skimage"}


def compare(config: CompareConfig) -> Iterator[str]:
    """Yield a line per maze and method; write all of them to ``config.json``.

    Raises:
        UserError: a library is missing, or the sizes make no sense.
    """
    for name, module in _MODULES.items():
        if importlib.util.find_spec(module) is None:
            raise UserError(f"{name} is not installed: {INSTALL}")
    check_file("--json", config.json)
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    sizes = _sizes(config.sizes)
    for size in sizes:
        problem = _problem(size, config.seed)
        for name in METHODS:
            if name.startswith("dt_vin") and size**2 * problem.length > _MOST_LAYERS_TIMES_CELLS:
                continue
            memory = config.memory and size == sizes[-1]
            rows.append(_measure(name, problem, config.budget_s, memory=memory))
            yield _line(rows[-1])
    if config.json:
        clock = "CPU time of the measuring thread, fastest of the repeats"
        result = {**provenance(config.seed), "threads": 1, "clock": clock, "rows": rows}
        write_json(config.json, result, indent=1)


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(word) for word in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 15:
        raise UserError(f"sizes are {text!r}: give numbers from 15 on with commas, as in 35,100.")
    return sizes


def _problem(size: int, seed: int) -> SearchProblem:
    rule = MazeRule(size, decimation=(0.0, min(0.05, 500 / size**2)))
    edges = (size * size * 12 // 100, size * size * 18 // 100)
    one = generate_stratified(rule, edges, 1, seed, block_size=4)
    lengths = distances(one.mazes, one.goals)[0]
    start = farthest_cell(lengths)
    goal = (int(one.goals[0, 0]), int(one.goals[0, 1]))
    return SearchProblem(one.mazes[0], start, goal, int(lengths.max()))


def _measure(name: str, problem: SearchProblem, budget_s: float, *, memory: bool) -> dict[str, Any]:
    answers_for, prepare, make = METHODS[name]
    answer, held = make(), prepare(problem)
    steps = answer(problem, held)
    return {
        "method": name,
        "answers_for": answers_for,
        "size": len(problem.maze),
        "shortest": problem.length,
        "steps": steps,
        "map_ms": _fastest_ms(lambda: prepare(problem), budget_s),
        "answer_ms": _fastest_ms(lambda: answer(problem, held), budget_s),
        "memory_mb": _memory_mb(name, problem) if memory else None,
    }


def _fastest_ms(work: Callable[[], Any], budget_s: float) -> float:
    times: list[float] = []
    while len(times) < _MOST_REPEATS and sum(times) < budget_s:
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return round(1000 * min(times), 4)


def _memory_mb(name: str, problem: SearchProblem) -> float:
    """Return by how many megabytes one answer raises the peak of a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return round(pool.apply(_rise_of_peak, (name, problem)), 1)


def _rise_of_peak(name: str, problem: SearchProblem) -> float:
    _, prepare, make = METHODS[name]
    answer, little = make(), _problem(15, 0)
    answer(little, prepare(little))  # libraries and compiled code are not the method's
    before = _peak_kb()
    answer(problem, prepare(problem))
    return (_peak_kb() - before) / 1024


def _peak_kb() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def _line(row: dict[str, Any]) -> str:
    memory = "" if row["memory_mb"] is None else f", {row['memory_mb']} MB"
    return (
        f"{row['size']} x {row['size']}, {row['method']}: {row['answer_ms']:.3f} ms for "
        f"{row['answers_for']} and {row['map_ms']:.3f} ms per map, {row['steps']} steps of "
        f"{row['shortest']}{memory}"
    )
