"""Size transfer: weights of small mazes, run deeper on mazes far larger than any they saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from asterias.files import write_json
from asterias.provenance import Clock, provenance
from planners.mazes.datasets import MazeRule, generate_stratified
from planners.mazes.distances import distances
from planners.networks.weights import load_weights
from planners.training.evaluation import greedy_actions, parse_bins, score


@dataclass
class TransferConfig:
    """Score weights on mazes larger than those of their training, run deeper and sharper."""

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
    inverse_temperatures: Annotated[str, tyro.conf.arg(aliases=["--sharpness"])] = "1,1.25,1.5"
    """Factors on the logits of DT-VIN's kernels, each tried, with commas."""
    layers_per_step: float = 1.5
    """Layers per step of the longest path."""
    seed: int = 3_000_000
    """Seed of the mazes."""
    json: Path | None = None
    """Where to write the result."""


def transfer(config: TransferConfig) -> Iterator[str]:
    """Yield a line per size, sharpness and bin; write all of them to ``config.json``."""
    sizes = [size for size in parse_bins(f"0,{config.sizes}") if size]
    rows: list[dict[str, Any]] = []
    for size in sizes:
        for row in _one_size(config, size):
            rows.append(row)
            yield (
                f"{size} x {size}, sharpness {row['sharpness']:g}: {row['depth']} layers, "
                f"{row['cpu_seconds'] / row['mazes']:.1f} s per maze"
            )
            for bin_ in row["bins"]:
                yield (
                    f"  {bin_['lo']} to {bin_['hi']} steps: {bin_['success']:.2f} % reached, "
                    f"{bin_['optimal']:.2f} % by a shortest way, of {bin_['starts']} starts"
                )
    result = {
        "what": "success and optimality in per cent on mazes larger than those of the training",
        **provenance(config.seed),
        "weights": config.weights.name,
        "loops": config.loops,
        "sizes": rows,
    }
    if config.json:
        write_json(config.json, result, indent=1)


def _one_size(config: TransferConfig, size: int) -> Iterator[dict[str, Any]]:
    network, card = load_weights(config.weights)
    edges = [0, *(size * size * share // 100 for share in (6, 12, 18))]
    decimation = min(1.0, config.loops / size**2)
    rule = MazeRule(size, decimation=(0.0, decimation))
    mazes = generate_stratified(rule, edges, config.per_bin, config.seed)
    longest = int(distances(mazes.mazes, mazes.goals).max())
    depth = max(int(card["depth"]), round(config.layers_per_step * longest))
    for factor in (float(part) for part in config.inverse_temperatures.split(",")):
        network.config = replace(network.config, inverse_temperature=factor)
        clock = Clock()
        actions = greedy_actions(network, mazes, depth, batch=1)
        _, cpu_seconds = clock.elapsed()
        yield {
            "size": size,
            "sharpness": factor,
            "mazes": len(mazes),
            "decimation": [0.0, decimation],
            "longest_path": longest,
            "depth": depth,
            "cpu_seconds": round(cpu_seconds, 1),
            "trained_on": card["size"],
            "trained_depth": card["depth"],
            "bins": [asdict(bin_) for bin_ in score(actions, mazes, [1, *edges[1:]])],
        }
