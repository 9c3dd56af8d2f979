"""The verb ``neural-a-star``: train the encoder, score it beside A* on mazes it has not seen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from asterias.cli import check_file
from asterias.errors import UserError
from asterias.files import write_bytes, write_json
from asterias.provenance import Clock, provenance
from planners.mazes.datasets import MazeKind, MazeRule, MazeSet, generate
from planners.mazes.distances import distances
from planners.neural_a_star.network import GuidanceEncoder, closed_cells, load_encoder
from planners.neural_a_star.search import guided_search

_LEARNING_RATE = 2e-4
_EXPANSIONS = 0.35  # at most in training, of all cells; the paper takes 0.25 with eight moves
_HALF = 0.5  # cost of a cell that makes the heuristic count twice, as an untrained encoder does
_NEAREST = 0.55  # of a start, as a quantile of the cells of its maze
# Maps to score on: kind, size, maps.
_TESTS: tuple[tuple[MazeKind, int, int], ...] = (
    ("depth_first", 15, 400),
    ("depth_first", 35, 200),
    ("obstacles", 35, 200),
    ("depth_first", 101, 40),
    ("obstacles", 101, 40),
    ("rooms", 101, 40),
)


@dataclass
class NeuralAStarConfig:
    """Train the encoder of Neural A* on mazes, or take one, and score it beside A*."""

    out: Path = Path("runs/neural_a_star.safetensors")
    """Weights; if the file is there, nothing is trained."""
    size: int = 15
    """Rows and columns of the training mazes."""
    updates: int = 480
    """Updates."""
    batch: int = 32
    """Mazes an update, each drawn anew."""
    seed: int = 0
    """Seed of weights and training mazes."""
    json: Path | None = None
    """Where to write the result."""


def neural_a_star(config: NeuralAStarConfig) -> Iterator[str]:
    """Yield a line for each part of the training and each test.

    Raises:
        UserError: an option makes no sense.
    """
    if config.size < 4 or config.updates < 1 or config.batch < 1 or config.seed < 0:
        raise UserError("--size is 4 or more, --updates and --batch 1 or more, --seed 0 or more.")
    check_file("--out", config.out)
    check_file("--json", config.json)
    torch.set_num_threads(1)
    if not config.out.is_file():
        yield from _train(config)
    encoder, rows = load_encoder(config.out), []
    with safe_open(config.out, "pt") as file:
        seconds = float((file.metadata() or {}).get("cpu_seconds", "nan"))
    for kind, size, count in _TESTS:
        rows.append(_score(encoder, kind, size, count))
        yield (
            "{kind}, {size} x {size}: {reached:.1f} % reached, {optimal:.1f} % by a shortest way, "
            "ways {longer:.1f} % longer; expands {expanded:.0f} cells, A* {expanded_a_star:.0f}; "
            "{ms:.2f} ms, A* {a_star_ms:.2f} ms".format_map(rows[-1])
        )
    if config.json:
        result = {**provenance(config.seed), "training_cpu_seconds": round(seconds, 1)}
        write_json(config.json, {**result, "rows": rows}, indent=1)


def _train(config: NeuralAStarConfig) -> Iterator[str]:
    clock = Clock()
    torch.manual_seed(config.seed)
    draw, encoder = np.random.default_rng(config.seed), GuidanceEncoder()
    optimiser = torch.optim.Adam(encoder.parameters(), lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.updates)
    mazes = generate(MazeRule(config.size), config.updates * config.batch, config.seed)
    most, begun_s, losses = round(_EXPANSIONS * config.size**2), time.monotonic(), []
    for update in range(config.updates):
        part = mazes[update * config.batch : (update + 1) * config.batch]
        (free, starts, goals), paths = _examples(part, draw)
        closed = closed_cells(encoder(free, starts, goals), free, starts, goals, most)
        loss = (closed - paths).abs().mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if (update + 1) % max(1, config.updates // 10) == 0:
            spent_s = time.monotonic() - begun_s
            left_s = spent_s * (config.updates / (update + 1) - 1)
            mean = sum(losses[-20:]) / len(losses[-20:])
            yield f"{update + 1} of {config.updates}, loss {mean:.4f}, left {left_s:.0f} s"
    metadata = {"cpu_seconds": f"{clock.elapsed()[1]:.1f}"}
    write_bytes(config.out, safetensors.torch.save(encoder.state_dict(), metadata))


def _examples(mazes: MazeSet, draw: np.random.Generator) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return maps, one-hot starts and goals, and the cells of a shortest path of each."""
    free = torch.from_numpy(mazes.mazes).float()
    starts, goals, paths = (torch.zeros_like(free) for _ in range(3))
    for k in range(len(mazes)):
        start, goal = _ends(mazes, k, draw)
        starts[k][start] = goals[k][goal] = 1
        for cell in guided_search(None, mazes.mazes[k], start, goal).cells:
            paths[k][cell] = 1
    return (free, starts, goals), paths


def _ends(
    mazes: MazeSet, index: int, draw: np.random.Generator
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return a start, of the farther 45 % of cells as in the paper, and the goal."""
    lengths = distances(mazes.mazes[index : index + 1], mazes.goals[index : index + 1])[0]
    far = np.quantile(lengths[lengths >= 0], _NEAREST)
    cells: NDArray[np.int64] = np.argwhere((lengths >= far) & (lengths >= 0))
    row, column = cells[draw.integers(len(cells))].tolist()
    goal = mazes.goals[index].tolist()
    return (row, column), (goal[0], goal[1])


def _score(encoder: GuidanceEncoder, kind: MazeKind, size: int, count: int) -> dict[str, Any]:
    """Return the row of a kind of maps: the paper's measures, and times."""
    mazes, draw = (
        generate(MazeRule(size, kind, (0.0, 1.0)), count, 8_000_000),
        np.random.default_rng(1),
    )
    table = np.zeros((count, 8))
    for k in range(count):
        question = (mazes.mazes[k], *_ends(mazes, k, draw))
        begun_s = time.thread_time()
        plain = guided_search(None, *question)
        middle_s = time.thread_time()
        ours = guided_search(encoder, *question)
        times = middle_s - begun_s, time.thread_time() - middle_s
        hasty = guided_search(None, *question, _HALF)
        lengths = (len(one.cells) - 1 for one in (ours, plain, hasty))
        table[k] = (*lengths, ours.expanded, plain.expanded, hasty.expanded, *times)
    kept = table[table[:, 1] > 0].T
    steps, best, hasty_steps, expanded, reference, hasty_expanded, plain_s, ours_s = kept
    optimal = 100 * float((steps == best).mean())
    saved = 100 * float(np.maximum((reference - expanded) / reference, 0).mean())
    return {
        "kind": kind,
        "size": size,
        "maps": len(best),
        "reached": 100 * float((steps >= 0).mean()),
        "optimal": optimal,
        "longer": 100 * float((steps / best).mean() - 1),
        "saved": saved,
        "h_mean": 2 * optimal * saved / max(optimal + saved, 1e-9),
        "expanded": float(expanded.mean()),
        "expanded_a_star": float(reference.mean()),
        "expanded_hasty": float(hasty_expanded.mean()),
        "optimal_hasty": 100 * float((hasty_steps == best).mean()),
        "longer_hasty": 100 * float((hasty_steps / best).mean() - 1),
        "ms": 1e3 * float(np.median(ours_s)),
        "a_star_ms": 1e3 * float(np.median(plain_s)),
    }
