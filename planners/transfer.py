"""Size transfer: weights of small mazes, run deeper on mazes far larger than any they saw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from planners.atomic import write_atomically
from planners.evaluation import parse_bins, score, stable_actions
from planners.machine import Clock, command, machine
from planners.mazes import MazeRule, generate_stratified
from planners.networks import load_weights


@dataclass
class TransferConfig:
    """Score weights on larger mazes, deepening until no action changes any more."""

    weights: Path
    """Weights (.safetensors, with its .json beside it)."""
    sizes: str = "201,501"
    """Rows and columns of the mazes, with commas."""
    per_bin: int = 5
    """Mazes whose longest path lies in each of three bins, cut as those of 100 x 100: at 6, 12 and
    18 steps per 100 cells of the map."""
    loops: float = 500.0
    """Interior walls removed at most, on average: 5 % of 100 x 100 cells. The benchmark's share of
    all walls almost never leaves long paths in large mazes."""
    seed: int = 3_000_000
    """Seed of the mazes."""
    json: Path | None = None
    """Where to write the result."""


def transfer(config: TransferConfig) -> Iterator[str]:
    """Yield a line per size and bin; write all of them to ``config.json``."""
    sizes = [size for size in parse_bins(f"0,{config.sizes}") if size]
    rows: list[dict[str, Any]] = []
    for size in sizes:
        rows.append(_one_size(config, size))
        yield (
            f"{size} x {size}: {rows[-1]['depth']} layers, "
            f"{rows[-1]['seconds_per_maze']:.1f} s per maze"
        )
        for bin_ in rows[-1]["bins"]:
            yield (
                f"  {bin_['lo']} to {bin_['hi']} steps: {bin_['success']:.2f} % reached, "
                f"{bin_['optimal']:.2f} % by a shortest way, of {bin_['starts']} starts"
            )
    result = {
        "what": "success and optimality in per cent on mazes larger than those of the training",
        "command": command(),
        "machine": machine(),
        "weights": config.weights.name,
        "loops": config.loops,
        "seed": config.seed,
        "sizes": rows,
    }
    if config.json:
        write_atomically(config.json, (json.dumps(result, indent=1) + "\n").encode())


def _one_size(config: TransferConfig, size: int) -> dict[str, Any]:
    network, card = load_weights(config.weights)
    edges = [0, *(size * size * share // 100 for share in (6, 12, 18))]
    decimation = min(1.0, config.loops / size**2)
    rule = MazeRule(size, decimation=(0.0, decimation))
    mazes = generate_stratified(rule, edges, config.per_bin, config.seed)
    clock = Clock()
    actions, depth = stable_actions(network, mazes, int(card["depth"]), size * size)
    seconds, cpu_seconds = clock.passed()
    return {
        "size": size,
        "mazes": len(mazes),
        "decimation": [0.0, decimation],
        "depth": depth,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "seconds_per_maze": round(seconds / len(mazes), 2),
        "trained_on": card["size"],
        "trained_depth": card["depth"],
        "bins": [asdict(bin_) for bin_ in score(actions, mazes, [1, *edges[1:]])],
    }
