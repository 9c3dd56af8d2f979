"""Whether gradients reach the first layers of a VIN and of a Highway VIN, before any training.

Both networks are cut every ten layers, as Highway VIN's blocks are; the loss is that of the last
layer alone. The ratio of its gradient's norms at the first cut and at the last tells whether there
is anything for the first layers to learn from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asterias.cli import check_file
from asterias.errors import UserError
from asterias.files import write_json
from asterias.provenance import provenance
from planners.mazes.datasets import MazeRule, generate
from planners.networks.base import PlanningNetwork, observation
from planners.networks.highway_block import HighwayConfig, highway_block
from planners.networks.registry import build
from planners.operator.value_iteration import value_iteration
from planners.training.losses import term
from planners.training.trainer import expert_labels

_BLOCK = 10
_MAZES = 16
_INITS = ("random", "stochastic", "structured")


@dataclass
class GateHealthConfig:
    """Measure gradients through the layers of VIN and Highway VIN at their initial weights."""

    depths: str = "30,60,100,300"
    """Layers, with commas; multiples of 10."""
    seed: int = 0
    """Seed of mazes and weights."""
    json: Path | None = None
    """Where to write the result."""


def gate_health(config: GateHealthConfig) -> Iterator[str]:
    """Yield a line per network, start and depth; write all of them to ``config.json``.

    Raises:
        UserError: the depths are no multiples of 10.
    """
    check_file("--json", config.json)
    words = config.depths.split(",")
    depths = [int(word) for word in words if word.strip().isdecimal()]
    if len(depths) != len(words) or any(depth < 2 * _BLOCK or depth % _BLOCK for depth in depths):
        raise UserError(
            f"depths are {config.depths!r}: give multiples of 10 from 20 on: 30,60,100."
        )
    rows = []
    for init in _INITS:
        for depth in depths:
            for model in ("vin", "highway_vin"):
                rows.append(_measured(model, init, depth, config.seed))
                yield (
                    "{model}, {init}, {depth} layers: |V| {value:.3g}, gradient first / last "
                    "{gradient_ratio:.2g}".format_map(rows[-1])
                )
    if config.json:
        what = "gradient of the last layer's loss through the layers, at the initial weights"
        write_json(config.json, {"what": what, **provenance(config.seed), "rows": rows}, indent=1)


def _measured(model: str, init: str, depth: int, seed: int) -> dict[str, Any]:
    torch.manual_seed(seed)
    network = build(model, {"init": init}).train()
    mazes = generate(MazeRule(15), _MAZES, seed)
    maze, goal = observation(mazes.mazes, mazes.goals)
    encoded = network.encode(maze, goal)
    ends, gates = _blocks(network, encoded, depth)
    labels = expert_labels(mazes)
    counted = labels.lengths > 0
    loss = term(network.decode(encoded, ends[-1][None]), labels, "any_optimal")[0][counted].mean()
    loss.backward()  # type: ignore[no-untyped-call]
    first, last = (float(end.grad.norm()) for end in (ends[0], ends[-1]) if end.grad is not None)
    return {
        "model": model,
        "init": init,
        "depth": depth,
        "value": float(ends[-1].detach().abs().mean()),
        "loss": float(loss.detach()),
        "gradient_ratio": first / last if last else 0.0,
        "finite": bool(ends[-1].isfinite().all()),
        **gates,
    }


def _blocks(
    network: PlanningNetwork, encoded: tuple[Tensor, ...], depth: int
) -> tuple[list[Tensor], dict[str, float]]:
    """Return V after every ten layers, and the gates' means if there are gates."""
    transition, reward = encoded
    value, ends, closed, weights = torch.zeros_like(reward), [], [], []
    is_highway = isinstance(network.config, HighwayConfig)
    for _ in range(depth // _BLOCK):
        if is_highway:
            value, health = highway_block(
                transition, reward, value, network.config, explores=network.config.exploration
            )
            closed.append(float(health.closed))
            weights.append(float(health.last_weight))
        else:
            value = value_iteration(transition, reward, _BLOCK, value=value)[-1]
        value.retain_grad()
        ends.append(value)
    if not is_highway:
        return ends, {}
    means = [sum(numbers) / len(numbers) for numbers in (closed, weights)]
    return ends, {"gate_closed": means[0], "gate_last_weight": means[1]}
