"""How far weights of small mazes carry: larger mazes, longer paths, other kinds of maps.

Every suite holds mazes that no network has seen, drawn evenly over the length of their longest
path. Results are kept row by row, so that a stopped measurement goes on with the same command.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from asterias.cli import check_file
from asterias.errors import UserError
from asterias.files import write_json
from asterias.provenance import Clock, provenance
from planners.mazes.action_sets import MOVES, MoveName, Moves, moves_of
from planners.mazes.datasets import MazeKind, MazeRule, MazeSet, generate_stratified
from planners.mazes.distances import distances, optimal_actions
from planners.networks.base import PlanningNetwork, observation
from planners.networks.headings import interleave
from planners.networks.weights import load_weights
from planners.planning.noisy_references import cell_chances, lattice_chances, most_probable_ways
from planners.training.evaluation import follow, greedy_actions, score
from planners.training.scale_drawing import draw_scale

# Interior walls removed at most, on average: more leaves no long paths in large mazes.
_LOOPS = 500.0


@dataclass(frozen=True)
class Suite:
    """A set of mazes."""

    size: int
    """Rows and columns."""
    edges: tuple[int, ...]
    """Edges of the bins of path length, in steps."""
    per_bin: int
    """Mazes whose longest path lies in each bin."""
    kind: MazeKind = "depth_first"
    """Generator."""
    block: int = 64
    """Mazes drawn at a time."""
    moves: MoveName = "news"
    """Move set."""
    variance: float = 0.0
    """Of Gaussian noise on what the network sees, clipped to 0 to 1 (App. C.4 of DT-VIN)."""

    def draw(self, seed: int) -> MazeSet:
        """Return the mazes."""
        share = min(1.0, _LOOPS / self.size**2)
        low_high = (0.0, share) if self.kind == "depth_first" else (0.0, 0.05)
        rule = MazeRule(self.size, self.kind, low_high)
        edges, size, moves = self.edges, self.block, MOVES[self.moves]
        return generate_stratified(rule, edges, self.per_bin, seed, moves, block_size=size)


def _thirds(size: int) -> tuple[int, ...]:
    """Return the bins that DT-VIN's paper uses at 100 x 100, for another size."""
    return (0, *(size * size * share // 100 for share in (6, 12, 18)))


SUITES: dict[str, Suite] = {
    "15": Suite(15, (0, 15, 30, 60, 90), 100),
    "35": Suite(35, (0, 100, 200, 300), 40),
    "100": Suite(100, (0, 600, 1200, 1800), 20),
    "201": Suite(201, _thirds(201), 12, block=16),
    "501": Suite(501, _thirds(501), 10, block=4),
    "1001": Suite(1001, _thirds(1001), 5, block=1),
    "2001": Suite(2001, _thirds(2001)[:3], 1, block=1),  # longer paths are too rare to draw
    # Other kinds of maps; every map has a path of 20 steps and more.
    "rooms": Suite(101, (20, 10**6), 20, "rooms"),
    "obstacles": Suite(101, (20, 10**6), 20, "obstacles"),
    "kruskal": Suite(101, (20, 10**6), 20, "kruskal"),
    "wilson": Suite(101, (20, 10**6), 20, "wilson"),
    "warehouse": Suite(101, (20, 10**6), 20, "warehouse"),
    "streets": Suite(101, (20, 10**6), 20, "streets"),
    # Other moves, in the bins of the paper's Tables 8 and 9.
    "moore_15": Suite(15, (0, 12, 20, 35, 55), 100, moves="moore"),
    "moore_35": Suite(35, (0, 100, 200, 250), 40, moves="moore"),
    "moore_100": Suite(100, (0, 350, 700, 1050), 20, moves="moore"),
    # Eight moves, a diagonal one sqrt(2) steps long: ways by length, not by moves.
    "octile_35": Suite(35, (0, 100, 200, 300), 40, moves="octile"),
    "octile_obstacles": Suite(101, (20, 10**6), 20, "obstacles", moves="octile"),
    "octile_rooms": Suite(101, (20, 10**6), 20, "rooms", moves="octile"),
    "drive_15": Suite(15, (0, 28, 45, 75, 115), 100, moves="diff_drive"),
    "drive_35": Suite(35, (0, 150, 300, 500), 20, moves="diff_drive"),
    "noise_15_0.01": Suite(15, (0, 15, 30, 60, 90), 100, variance=0.01),
    "noise_15_0.04": Suite(15, (0, 15, 30, 60, 90), 100, variance=0.04),
    "noise_0.01": Suite(35, (0, 100, 200, 300), 20, variance=0.01),
    "noise_0.04": Suite(35, (0, 100, 200, 300), 20, variance=0.04),
    # So many that figures of the longest bin are not those of 20 mazes.
    "noise_many_0.04": Suite(35, (0, 100, 200, 300), 200, variance=0.04),
}


# What is done without anything learned: cut and search, or search the way that is most probably
# free, by chances that come from the noise alone or from the rule of the mazes, too.
_SEARCH = "cut at 0.5, then exact search"
_REFERENCES: dict[str, Callable[[NDArray[np.float32], float], NDArray[np.float64]]] = {
    "most probable way, cell by cell": cell_chances,
    "most probable way, lattice and spanning trees known": lattice_chances,
}


@dataclass
class ScaleConfig:
    """Score weights on mazes larger than those of their training, and on other kinds of maps."""

    weights: tuple[Path, ...]
    """Weight files (.safetensors)."""
    suites: str = "15,35,100,201,rooms,obstacles,kruskal,wilson,warehouse,streets"
    """Suites, with commas: a size of mazes, a kind of maps of 101 x 101, noise on 35 x 35, or other
    moves."""
    json: Path | None = None
    """Where the result is kept; rows that are there are not measured again."""
    out: Path | None = None
    """Picture to write (.png): success by path length, of all rows of the result."""
    seed: int = 4_000_000
    """Seed of the mazes."""
    layers_per_step: float = 1.5
    """Layers for each step of the longest path of a suite, at least those of the training."""
    search: bool = False
    """Score exact search, too, on what is seen of each map, cut at 0.5; with noise, also the ways
    that are most probably free by what is known of noise and mazes."""
    sweep: bool = False
    """Run the layers, also where there is a closed form."""
    most_layers: int = 0
    """Layers at most; 0 for no limit."""
    mazes: int = 0
    """Mazes per suite at most, taken evenly; 0 for all."""


def scale(config: ScaleConfig) -> Iterator[str]:
    """Yield a line per suite and weights; write all of them to ``config.json``.

    Raises:
        UserError: a suite is unknown, or of other moves than the weights.
    """
    check_file("--json", config.json)
    check_file("--out", config.out)
    names = [name.strip() for name in config.suites.split(",") if name.strip()]
    unknown = [name for name in names if name not in SUITES]
    if unknown or not names:
        raise UserError(f"suites are {config.suites!r}: choose among {', '.join(SUITES)}.")
    rows = _kept_rows(config.json)
    done = {(row["weights"], row["suite"], row["sweep"]) for row in rows}
    for name in names:
        wanted = [w for w in config.weights if (_label(w), name, config.sweep) not in done]
        if not wanted:
            continue
        mazes = SUITES[name].draw(config.seed)
        if config.mazes and len(mazes) > config.mazes:
            mazes = mazes[:: -(-len(mazes) // config.mazes)]
        for row in _rows(config, name, mazes, wanted, done):
            rows.append(row)
            yield _line(row)
            if config.json:
                write_json(config.json, _result(config, rows), indent=1)
    if config.out:
        draw_scale(rows, config.out)


def _rows(
    config: ScaleConfig,
    name: str,
    mazes: MazeSet,
    weights: list[Path],
    done: set[tuple[str, str, bool]],
) -> Iterator[dict[str, Any]]:
    """Yield what is wanted on a suite: of weights, then of searches that are not there yet."""
    for one in weights:
        yield _measure(config, name, mazes, one)
    for way in _searches(config, name):
        if (way, name, config.sweep) not in done:
            yield _searched(config, name, mazes, way)


def _label(weights: Path) -> str:
    """Return by what name a result calls weights: their file's, or the run's, case and seed."""
    return weights.parent.name if weights.stem == "weights" else weights.stem


def _network_of(weights: str) -> str:
    """Return the name of weights without the seed of a run."""
    name, _, last = weights.rpartition("_")
    return name if last.isdigit() and len(last) == 1 else weights


def _kept_rows(path: Path | None) -> list[dict[str, Any]]:
    if path is None or not path.is_file():
        return []
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return rows


def _result(config: ScaleConfig, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "what": "success and optimality in per cent, from every cell with a way to the goal, on "
        "mazes that no network has seen",
        **provenance(config.seed),
        "length_auc": {
            name: round(auc, 4)
            for name in dict.fromkeys(row["network"] for row in rows)
            if not math.isnan(auc := length_auc([row for row in rows if row["network"] == name]))
        },
        "rows": rows,
    }


def _measure(config: ScaleConfig, name: str, mazes: MazeSet, weights: Path) -> dict[str, Any]:
    network, card = load_weights(weights)
    suite, moves = SUITES[name], MOVES[SUITES[name].moves]
    if network.sees_pictures:
        raise UserError(f"{weights} plans on pictures, suite {name} holds maps.")
    if moves_of(card) is not moves:
        raise UserError(f"{weights} moves by {moves_of(card).name}, suite {name} by {moves.name}.")
    longest = int(distances(mazes.mazes, mazes.goals, moves).max()) // moves.unit
    depth = max(int(card["depth"]), round(config.layers_per_step * longest))
    depth = min(depth, config.most_layers) if config.most_layers else depth
    if config.sweep:
        network.solve = lambda *_: None  # type: ignore[method-assign]
    is_solved = _is_solved(network, mazes, depth)
    clock = Clock()
    noise = (suite.variance, config.seed)
    actions = greedy_actions(network, mazes, depth, batch=1, noise=noise)
    _, cpu_seconds = clock.elapsed()
    return {
        "weights": _label(weights),
        "network": _network_of(_label(weights)),
        "suite": name,
        "seed": config.seed,
        "sweep": config.sweep,
        "size": mazes.size,
        "kind": suite.kind,
        "moves": suite.moves,
        "mazes": len(mazes),
        "longest_path": longest,
        "depth": depth,
        "closed_form": is_solved,
        "cpu_seconds": round(cpu_seconds, 3),
        "trained_on": card.get("size"),
        "training_cpu_seconds": card.get("training_cpu_seconds", card.get("cpu_seconds")),
        "learned": network.diagnostics(),
        "bins": [asdict(bin_) for bin_ in score(actions, mazes, [1, *suite.edges[1:]], moves)],
        "by_length": _by_length(actions, mazes, moves),
    }


def _searches(config: ScaleConfig, name: str) -> list[str]:
    """Return the searches to measure beside the networks."""
    noisy = SUITES[name].variance > 0 and SUITES[name].moves == "news" and SUITES[name].size % 2
    return [_SEARCH, *(_REFERENCES if noisy else [])] if config.search else []


def _searched(config: ScaleConfig, name: str, mazes: MazeSet, way: str) -> dict[str, Any]:
    """Return the row of a search on what is seen of the maps."""
    suite, moves = SUITES[name], MOVES[SUITES[name].moves]
    draw, clock, parts = torch.Generator().manual_seed(config.seed), Clock(), []
    for k in range(len(mazes)):  # one by one, as networks see them: the same noise
        seen, _ = observation(mazes.mazes[k : k + 1], mazes.goals[k : k + 1], suite.variance, draw)
        if way in _REFERENCES:
            chances = _REFERENCES[way](seen[0].numpy(), suite.variance)
            parts.append(most_probable_ways(chances, mazes.goals[k])[None])
        else:
            parts.append(_cut_actions(seen, mazes.goals[k : k + 1], moves))
    actions = np.concatenate(parts)
    return {
        "weights": way,
        "network": way,
        "suite": name,
        "seed": config.seed,
        "sweep": config.sweep,
        "size": mazes.size,
        "kind": suite.kind,
        "moves": suite.moves,
        "mazes": len(mazes),
        "longest_path": int(distances(mazes.mazes, mazes.goals, moves).max()),
        "depth": 0,
        "closed_form": True,
        "cpu_seconds": round(clock.elapsed()[1], 3),
        "bins": [asdict(bin_) for bin_ in score(actions, mazes, [1, *suite.edges[1:]], moves)],
        "by_length": _by_length(actions, mazes, moves),
    }


def _cut_actions(seen: torch.Tensor, goals: NDArray[np.int64], moves: Moves) -> NDArray[np.int8]:
    """Return an optimal action of each cell of maps that are cut at 0.5."""
    cut = (seen > 0.5).numpy().astype(np.uint8)
    bits = optimal_actions(distances(cut, goals, moves), moves)
    first = np.array([max(0, (one & -one).bit_length() - 1) for one in range(256)], np.int8)
    return interleave(first[bits]) if moves.is_drive else first[bits]


def _by_length(actions: NDArray[np.int8], mazes: MazeSet, moves: Moves) -> list[list[int]]:
    """Return upper edge, starts and failures of fine bins of path length, empty bins left out."""
    lengths = -(-distances(mazes.mazes, mazes.goals, moves) // moves.unit)  # in steps, rounded up
    failed = follow(actions, mazes, moves) < 0
    edges = np.unique(np.round(1.1 ** np.arange(140)).astype(np.int64))  # up to 570,000 steps
    places = np.searchsorted(edges, lengths[lengths > 0])
    starts = np.bincount(places, minlength=len(edges))
    failures = np.bincount(places, failed[lengths > 0], minlength=len(edges)).astype(np.int64)
    used = np.flatnonzero(starts)
    return [[int(edges[k]), int(starts[k]), int(failures[k])] for k in used]


def length_auc(rows: list[dict[str, Any]]) -> float:
    """Return how well path length alone tells failures from successes, over all rows: the AUC."""
    fails: dict[int, int] = {}
    starts: dict[int, int] = {}
    for edge, count, failed in (one for row in rows for one in row.get("by_length", [])):
        starts[edge] = starts.get(edge, 0) + count
        fails[edge] = fails.get(edge, 0) + failed
    failures = sum(fails.values())
    successes = sum(starts.values()) - failures
    if not failures or not successes:
        return float("nan")
    below, total = 0, 0.0
    for edge in sorted(starts):
        good = starts[edge] - fails[edge]
        total += fails[edge] * (below + good / 2)
        below += good
    return total / failures / successes


def _is_solved(network: PlanningNetwork, mazes: MazeSet, depth: int) -> bool:
    with torch.no_grad():
        return network.solve(*observation(mazes.mazes[:1], mazes.goals[:1]), depth) is not None


def _line(row: dict[str, Any]) -> str:
    shares = " / ".join(f"{bin_['success']:.2f}" for bin_ in row["bins"])
    optimal = " / ".join(f"{bin_['optimal']:.2f}" for bin_ in row["bins"])
    how = "closed form" if row["closed_form"] else "layers run"
    return (
        f"{row['weights']} on {row['suite']}: {shares} % reached, {optimal} % by a shortest way; "
        f"{row['depth']} layers, {row['cpu_seconds'] / row['mazes']:.3f} s per maze ({how})"
    )
