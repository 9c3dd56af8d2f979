"""Planning on pictures of terrain: a network that plans through doubt beside a CNN and A*.

One CNN is trained on maps of 15 x 15 cells to tell free cells, and is then used in three ways:
DT-VIN plans with its log odds; its map is cut at a chance of a half, or at what is best on
validation maps, and searched. A second network of the same shape learns from the expert's actions
alone, end to end through the planner, if that is asked for. All are scored on new
maps of 15, 25 and 35 cells.
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

from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import write_json
from asterias.provenance import Clock, provenance
from planners.mazes.distances import distances, optimal_actions
from planners.networks.base import PlanningNetwork, observation
from planners.networks.doubt_dt_vin import DoubtDTVINConfig
from planners.networks.registry import build
from planners.networks.weights import load_weights, save_weights
from planners.terrain.drawing import draw_examples
from planners.terrain.generator import TerrainSet, draw_terrain
from planners.training.evaluation import score
from planners.training.losses import Labels, LossKind, backward
from planners.training.trainer import expert_labels

MODEL = "doubt_dt_vin"
NAME = "terrain_doubt_dt_vin_15"  # of the published weights
_OPTIONS = {"picture": True, "channels": 12, "cnn_layers": 2}
_TRAINED_SIZE, _DEPTH = 15, 100_000
# Edges of the bins of path length for each size.
BINS = {15: (1, 10, 20, 60), 25: (1, 20, 40, 100), 35: (1, 30, 60, 160)}
_CUTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_VALIDATION_SEED, _TEST_SEED = 1_000_000, 2_000_000
_WAYS: dict[str, LossKind] = {"map": "map", "actions": "limit"}

Chances = NDArray[np.float32]


@dataclass
class TerrainConfig:
    """Train on pictures of terrain, and score planning through doubt beside a CNN and A*."""

    seeds: str = "0,1,2"
    """Seeds of the trainings, with commas; those that are done are kept."""
    maps: int = 1000
    """Training maps of 15 x 15 cells."""
    updates: int = 500
    """Updates of each training."""
    batch: int = 16
    """Maps per update."""
    learning_rate: float = 5e-3
    """Learning rate of Adam, falling along half a cosine."""
    imitate: bool = False
    """Train a second network of each seed by the expert's actions alone, and score it, too."""
    tests: int = 100
    """Test maps of each size."""
    out: Path = Path("runs/terrain")
    """Folder of the trainings."""
    json: Path | None = None
    """Where to write the result."""
    picture: Path | None = None
    """Picture to write (.png): terrain, what the CNN makes of it, and ways."""
    publish: Path | None = None
    """Folder for the weights of the seed that is best on validation maps."""


def terrain(config: TerrainConfig) -> Iterator[str]:
    """Yield a line for each training and each row; write all of them to ``config.json``."""
    seeds = _checked(config)
    for seed in seeds:
        for way in _ways(config):
            if not _weights(config, way, seed).is_file():
                yield _train(config, way, seed)
    validation = draw_terrain(_TRAINED_SIZE, max(2, config.tests // 2), _VALIDATION_SEED)
    networks = {seed: load_weights(_weights(config, "map", seed))[0] for seed in seeds}
    cuts = {seed: _best_cut(network, validation) for seed, network in networks.items()}
    rows = []
    for size in BINS:
        tests = draw_terrain(size, config.tests, _TEST_SEED)
        for seed in seeds:
            for row in _scored(config, tests, seed, cuts[seed]):
                rows.append(row)
                yield _line(row)
    if config.json:
        write_json(config.json, _result(config, rows), indent=1)
    reached = {
        seed: _success(_through_doubt(network, validation), validation)
        for seed, network in networks.items()
    }
    _show(config, max(seeds, key=lambda seed: reached[seed]))


def _show(config: TerrainConfig, seed: int) -> None:
    """Publish the weights of a seed, and draw what they do."""
    network, card = load_weights(_weights(config, "map", seed))
    if config.publish:
        kept = {name: card[name] for name in card if name not in ("model", "options")}
        save_weights(network, MODEL, config.publish / f"{NAME}.safetensors", kept)
    if config.picture:
        draw_examples(network, draw_terrain(25, 2, _TEST_SEED + 1), config.picture)


def _checked(config: TerrainConfig) -> list[int]:
    """Return the seeds of a study.

    Raises:
        UserError: an option makes no sense.
    """
    words = [word.strip() for word in config.seeds.split(",")]
    if not all(word.isdecimal() for word in words):
        raise UserError(f"seeds are {config.seeds!r}: give whole numbers with commas.")
    least = {"maps": config.batch, "updates": 1, "batch": 1, "tests": 1}
    for name, smallest in least.items():
        if getattr(config, name) < smallest:
            raise UserError(f"--{name} is {getattr(config, name)}: give {smallest} or more.")
    if not (config.learning_rate > 0 and math.isfinite(config.learning_rate)):
        raise UserError(f"--learning-rate is {config.learning_rate}: give a number above 0.")
    check_folder("--out", config.out)
    check_file("--json", config.json)
    check_file("--picture", config.picture)
    return [int(word) for word in words]


def _ways(config: TerrainConfig) -> list[str]:
    """Return how networks are trained."""
    return list(_WAYS) if config.imitate else ["map"]


def _weights(config: TerrainConfig, way: str, seed: int) -> Path:
    return config.out / f"{way}_{seed}" / "weights.safetensors"


def _seen(terrain_set: TerrainSet, index: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pictures with tones from 0 to 1, and one-hot goals."""
    maps = terrain_set.maps[index]
    goals = observation(maps.mazes, maps.goals)[1]
    return torch.from_numpy(terrain_set.pictures[index]).float() / 255, goals


def _train(config: TerrainConfig, way: str, seed: int) -> str:
    """Train one network and write its weights; return a line.

    Returns:
        A line that says how it went.
    """
    torch.manual_seed(seed)
    clock, random = Clock(), np.random.default_rng(seed)
    terrain_set = draw_terrain(_TRAINED_SIZE, config.maps, seed)
    network = build(MODEL, _OPTIONS).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    loss = math.nan
    for update in range(config.updates):
        fraction = 0.5 * (1 + math.cos(math.pi * update / config.updates))
        optimiser.param_groups[0]["lr"] = config.learning_rate * fraction
        index = random.integers(0, len(terrain_set), config.batch)
        chosen = terrain_set.maps[index]
        found = expert_labels(chosen)
        labels = Labels(found.lengths, found.optimal, torch.from_numpy(chosen.mazes).float())
        optimiser.zero_grad()
        loss = backward(network, *_seen(terrain_set, index), labels, 1, (1,), _WAYS[way])
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    wall, cpu = clock.elapsed()
    card = {
        "depth": _DEPTH,
        "size": _TRAINED_SIZE,
        "trained_by": way,
        "seed": seed,
        "training": {
            name: getattr(config, name) for name in ("maps", "updates", "batch", "learning_rate")
        },
        "cpu_seconds": round(cpu, 1),
    }
    save_weights(network, MODEL, _weights(config, way, seed), card)
    return f"trained by {way}, seed {seed}: loss {loss:.4f}, {wall:.0f} s, {cpu:.0f} s of processor"


@torch.no_grad()
def _chances(network: PlanningNetwork, terrain_set: TerrainSet) -> Chances:
    """Return how likely each cell is to be free, ``(n, M, M)``; that goals are free is known."""
    parts = [
        network.map_logits(_seen(terrain_set, np.array([k]))[0]).sigmoid().numpy()
        for k in range(len(terrain_set))
    ]
    chances: Chances = np.concatenate(parts)
    goals = terrain_set.maps.goals
    chances[np.arange(len(goals)), goals[:, 0], goals[:, 1]] = 1
    return chances


@torch.no_grad()
def _through_doubt(network: PlanningNetwork, terrain_set: TerrainSet) -> NDArray[np.int8]:
    parts = []
    for k in range(len(terrain_set)):
        logits = network.limit_logits(*_seen(terrain_set, np.array([k])))
        parts.append(logits[0].argmax(dim=1).to(torch.int8).numpy())
    return np.concatenate(parts)


def cut_and_search(chances: Chances, cut: float, goals: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return an optimal action of each cell ``(n, M, M)`` on maps that are cut."""
    bits = optimal_actions(distances((chances >= cut).astype(np.uint8), goals))
    first = np.array([max(0, (one & -one).bit_length() - 1) for one in range(16)], np.int8)
    return first[bits]


def _success(actions: NDArray[np.int8], terrain_set: TerrainSet) -> float:
    return score(actions, terrain_set.maps, (1, 10**6))[0].success


def _best_cut(network: PlanningNetwork, validation: TerrainSet) -> float:
    """Return the chance at which cutting is best on validation maps."""
    chances, goals = _chances(network, validation), validation.maps.goals
    shares = {cut: _success(cut_and_search(chances, cut, goals), validation) for cut in _CUTS}
    return max(shares, key=lambda cut: shares[cut])


def _scored(
    config: TerrainConfig, tests: TerrainSet, seed: int, cut: float
) -> Iterator[dict[str, Any]]:
    network = load_weights(_weights(config, "map", seed))[0]
    chances, goals = _chances(network, tests), tests.maps.goals
    wrong = float(((chances >= 0.5) != tests.maps.mazes).mean())
    ways: dict[str, Callable[[], NDArray[np.int8]]] = {
        "DT-VIN through doubt": lambda: _through_doubt(network, tests),
        "CNN + A*, cut at 0.5": lambda: cut_and_search(chances, 0.5, goals),
        "CNN + A*, best cut": lambda: cut_and_search(chances, cut, goals),
    }
    if config.imitate:
        imitated = load_weights(_weights(config, "actions", seed))[0]
        ways["DT-VIN, from actions alone"] = lambda: _through_doubt(imitated, tests)
    for name, plan in ways.items():
        bins = score(plan(), tests.maps, BINS[tests.maps.size])
        yield {
            "planner": name,
            "size": tests.maps.size,
            "seed": seed,
            "cut": cut if name.endswith("best cut") else None,
            "cells_wrong": round(100 * wrong, 3),
            "bins": [asdict(one) for one in bins],
        }


def _line(row: dict[str, Any]) -> str:
    shares = " / ".join(f"{one['success']:.2f}" for one in row["bins"])
    size, name, seed = row["size"], row["planner"], row["seed"]
    return f"{size} x {size}, {name}, seed {seed}: {shares} % reached"


def _result(config: TerrainConfig, rows: list[dict[str, Any]]) -> dict[str, Any]:
    options = asdict(DoubtDTVINConfig(**_OPTIONS))  # type: ignore[arg-type]
    seconds = {}
    for seed in config.seeds.split(","):
        for way in _ways(config):
            card = _weights(config, way, int(seed)).with_suffix(".json")
            seconds[f"{way}_{int(seed)}"] = json.loads(card.read_text())["cpu_seconds"]
    return {
        "what": "success in per cent on pictures of terrain drawn by this program, from every cell "
        "with a way to the goal, on maps that no network has seen",
        **provenance(_TEST_SEED),
        "options": options,
        "training_cpu_seconds": seconds,
        "rows": rows,
    }
