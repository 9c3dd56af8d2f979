"""The block of Highway VIN: its equations, its limits, its gates' health."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from asterias.errors import UserError
from planners.mazes.datasets import MazeRule, generate
from planners.networks.base import observation
from planners.networks.highway_block import HighwayConfig, highway_block
from planners.networks.registry import build
from planners.operator.value_iteration import action_values, value_iteration
from planners.training.gate_health import GateHealthConfig, gate_health
from planners.training.losses import backward
from planners.training.trainer import expert_labels

torch.set_num_threads(1)  # little tensors, and tests may share the machine

CONFIG = HighwayConfig(block=5, chains=1, epsilon=0.0)


def little(shift: float, actions: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Random kernels that sum to one, a reward about ``shift``, and a value."""
    draw = torch.Generator().manual_seed(3)
    kernel = torch.randn(1, actions, 9, 1, 1, generator=draw).softmax(dim=2)
    reward = shift + 0.1 * torch.rand(2, 6, 7, generator=draw)
    return kernel, reward, torch.rand(2, 6, 7, generator=draw)


def test_sharp_gates_keep_all_layers_where_values_rise() -> None:
    transition, reward, value = little(0.5)
    config = replace(CONFIG, layer_temperature=1e4)
    found, health = highway_block(transition, reward, value, config, explores=False)
    whole = value_iteration(transition, reward, 5, (1, 2, 3, 4, 5), value=value)
    # At the border V may fall, which the filter gate replaces: there the best layer counts.
    torch.testing.assert_close(found, whole.amax(dim=0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[:, 3, 3], whole[-1][:, 3, 3], rtol=1e-4, atol=1e-4)
    assert float(health.closed) < 0.2 and float(health.last_weight) > 0.8


def test_the_filter_gate_makes_one_layer_of_a_block_where_values_fall() -> None:
    transition, reward, value = little(-5.0)
    found, health = highway_block(transition, reward, value, CONFIG, explores=False)
    first = value_iteration(transition, reward, 1, value=value)[0]
    torch.testing.assert_close(found, first)
    assert float(health.closed) == 1 and float(health.last_weight) == pytest.approx(1 / 5)
    open_ = replace(CONFIG, filter_gate=False)
    assert (highway_block(transition, reward, value, open_, explores=False)[0] < first).all()


def test_equal_chains_are_one_chain() -> None:
    transition, reward, value = little(0.5)
    one, _ = highway_block(transition, reward, value, CONFIG, explores=True)
    many, _ = highway_block(transition, reward, value, replace(CONFIG, chains=3), explores=True)
    torch.testing.assert_close(many, one)


def test_the_block_is_the_equations_chain_by_chain() -> None:
    transition, reward, value = little(0.2)
    config = HighwayConfig(
        block=4, chains=2, epsilon=0.5, layer_temperature=0.7, chain_temperature=2.0
    )
    torch.manual_seed(5)
    found, _ = highway_block(transition, reward, value, config, explores=True)
    torch.manual_seed(5)
    shape = (3, 4, 6, 7)  # layers after the first, mazes of all chains
    explores = torch.rand(shape) < config.epsilon
    drawn = torch.randint(3, shape)
    first = action_values(transition, reward, value[None])[0].amax(dim=1)
    aggregated = []
    for chain in range(2):
        mazes = slice(2 * chain, 2 * chain + 2)
        v, kept = first, [first]
        for layer in range(3):
            q = action_values(transition, reward, v[None])[0]
            chosen = torch.where(explores[layer, mazes], drawn[layer, mazes], q.argmax(dim=1))
            v = q.gather(1, chosen[:, None])[:, 0]
            kept.append(torch.maximum(v, first))
        stacked = torch.stack(kept)
        aggregated.append((torch.softmax(0.7 * stacked, dim=0) * stacked).sum(dim=0))
    chains = torch.stack(aggregated)
    expected = (torch.softmax(2.0 * chains, dim=0) * chains).sum(dim=0)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("model", ["highway_vin", "highway_dt_vin"])
def test_a_step_of_training_tells_the_health_of_the_gates(model: str) -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"block": 4, "chains": 2, "epsilon": 0.3}
    network = build(model, options | ({"hidden": 8} if model == "highway_vin" else {})).train()
    assert network.diagnostics() == {}
    maze_set = generate(MazeRule(9), 2, seed=1)
    maze, goal = observation(maze_set.mazes, maze_set.goals)
    backward(network, maze, goal, expert_labels(maze_set), 12, (12,), "last")
    health = network.diagnostics()
    assert 0 <= health["gate_closed"] <= 1 and 0 < health["gate_last_weight"] < 1
    assert health["gradient_ratio"] > 0
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(network(maze, goal, 12), network(maze, goal, 12))
    assert network.solve(maze, goal, 12) is None and not network.can_resume


def test_gradients_are_measured_where_they_vanish_and_where_not(tmp_path: Path) -> None:
    out = tmp_path / "gates.json"
    lines = list(gate_health(GateHealthConfig("20,60", json=out)))
    assert len(lines) == 12
    rows = json.loads(out.read_text())["rows"]
    found = {(row["model"], row["init"], row["depth"]): row["gradient_ratio"] for row in rows}
    assert found["vin", "random", 60] < 1e-12  # dead
    assert found["highway_vin", "random", 20] > 1e6 * found["vin", "random", 20]
    assert found["vin", "stochastic", 60] > 1e-3  # kernels that sum to one do not let it vanish
    with pytest.raises(UserError, match="multiples of 10"):
        list(gate_health(GateHealthConfig("25")))


def test_kernels_of_a_stochastic_start_sum_to_one() -> None:
    network = build("vin", {"init": "stochastic", "hidden": 8})
    kernel = network.state_dict()["kernel"]
    torch.testing.assert_close(kernel.sum(dim=2), torch.ones(1, 10, 1, 1))
    maze_set = generate(MazeRule(9), 1, seed=1)
    maps = observation(maze_set.mazes, maze_set.goals)
    values = network.values(network.encode(*maps), torch.zeros(1, 1, 9, 9))
    assert float(values.detach().mean()) > 0.01  # neither dead nor upside down
