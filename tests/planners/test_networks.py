"""The networks: shapes, kernels, gradients to every weight, weights on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from planners.mazes.datasets import MazeRule, generate
from planners.networks.base import observation
from planners.networks.dt_vin import DTVIN, DTVINConfig
from planners.networks.registry import build
from planners.networks.weights import load_weights, save_weights
from planners.training.losses import Labels, backward, layers_for, sample_weights

torch.set_num_threads(1)  # little tensors, and tests may share the machine

MODELS: list[tuple[str, dict[str, Any]]] = [
    ("dt_vin", {}),
    ("dt_vin", {"softmax": False, "start": "random"}),
    ("dt_vin", {"kernel_type": "observation_dynamic"}),
    ("dt_vin", {"kernel_type": "state_dynamic", "map_size": 9}),
    ("dt_vin", {"kernel_type": "invariant"}),
    ("dt_vin", {"skip": 5}),
    ("dt_vin", {"sees_goal": True, "softmax_over": "actions_and_neighbours"}),
    ("dt_vin", {"reads": "patch"}),
    ("dt_vin", {"actions": 8, "latent_actions": 8}),
    ("sparse_dt_vin", {}),
    ("sparse_dt_vin", {"normalisation": "sparsemax", "lean": 0.5}),
    ("sparse_dt_vin", {"normalisation": "threshold", "one_hot": False, "readout": "centred"}),
    ("sparse_dt_vin", {"actions": 8, "latent_actions": 9}),
    ("drive_dt_vin", {}),
    ("vin", {"hidden": 8}),
    ("highway_vin", {"hidden": 8, "block": 4}),
    ("gppn", {"hidden": 6, "field": 5}),
]


@pytest.mark.parametrize(("model", "options"), MODELS)
def test_every_weight_learns_and_survives_the_disk(
    model: str, options: dict[str, Any], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = build(model, options)
    maze_set = generate(MazeRule(9), 3, seed=1)
    maze, goal = observation(maze_set.mazes, maze_set.goals)
    side = 18 if model == "drive_dt_vin" else 9  # four headings: blocks of 2 x 2
    lengths = torch.randint(1, 20, (3, side, side), dtype=torch.int32)
    optimal = (torch.rand(3, network.config.actions, side, side) < 0.5).float()
    optimal[:, 0] = 1
    loss = backward(network, maze, goal, Labels(lengths, optimal), 12, (4, 8, 12))
    assert 0 < loss < 10
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    save_weights(network, model, tmp_path / "w.safetensors", {"depth": 12})
    loaded, card = load_weights(tmp_path / "w.safetensors")
    assert card["depth"] == 12
    network.eval()
    with torch.no_grad():
        expected = network(maze, goal, 12)
        assert expected.shape == (3, network.config.actions, side, side)
        torch.testing.assert_close(loaded(maze, goal, 12), expected, rtol=0, atol=0)


def test_the_kernel_adds_as_many_weights_as_the_paper_says() -> None:
    weight = DTVIN().transition.weight
    assert weight.numel() == 324


def test_each_kernel_is_a_distribution_and_sees_the_maze_alone() -> None:
    network = DTVIN(DTVINConfig(init="random"))
    maze = torch.ones(1, 6, 6)
    kernel = network.kernels(maze, torch.rand(1, 6, 6))
    torch.testing.assert_close(kernel, network.kernels(maze, torch.zeros(1, 6, 6)), rtol=0, atol=0)
    assert kernel.shape == (1, 4, 9, 6, 6)
    torch.testing.assert_close(kernel.sum(dim=2), torch.ones(1, 4, 6, 6))


def test_chunked_back_propagation_is_the_whole_gradient() -> None:
    maze_set = generate(MazeRule(9), 2, seed=4)
    maze, goal = observation(maze_set.mazes, maze_set.goals)
    labels = Labels(torch.randint(1, 30, maze.shape), torch.ones(2, 4, 9, 9))
    labels.optimal[:, 1:] = torch.rand(2, 3, 9, 9).round()
    grads = []
    for chunk in (1, 2, 100):
        torch.manual_seed(1)
        network = build("dt_vin", {"reads": "patch"})  # not the fused loss, which has no chunks
        loss = backward(network, maze, goal, labels, 20, (5, 10, 15, 20), chunk=chunk)
        flat = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
        grads.append((loss, flat))
    for loss, flat in grads[1:]:
        assert loss == pytest.approx(grads[0][0], rel=1e-5)
        torch.testing.assert_close(flat, grads[0][1], rtol=1e-4, atol=1e-6)


def test_which_layers_carry_loss() -> None:
    lengths = torch.tensor([[[-1, 0, 1, 10, 11, 35]]])
    layers = layers_for("adaptive", 30, 10)
    assert layers == (10, 20, 30)
    adaptive = sample_weights("adaptive", lengths, layers)[:, 0, 0]
    assert adaptive.tolist() == [[0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 1, 0], [0, 0, 1, 1, 1, 1]]
    single = sample_weights("single", lengths, layers)[:, 0, 0]
    assert single.sum(dim=0).tolist() == [0, 0, 1, 1, 1, 1] and single[1, 4] == 1
    assert sample_weights("full", lengths, layers)[:, 0, 0].sum().item() == 12
    assert layers_for("last", 30, 10) == (30,)


def test_bad_weights_are_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no weights at"):
        load_weights(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="no planner network"):
        build("transformer")
    with pytest.raises(ValueError, match="does not know these options"):
        build("vin", {"wings": 2})
    save_weights(build("gppn"), "gppn", tmp_path / "w.safetensors", {"depth": 30})
    card = json.loads((tmp_path / "w.json").read_text())
    (tmp_path / "w.json").write_text(json.dumps(card | {"options": {"hidden": 5}}))
    with pytest.raises(ValueError, match="do not fit together"):
        load_weights(tmp_path / "w.safetensors")


@pytest.mark.parametrize("softmax", [True, False])
def test_kernels_of_binary_maps_are_looked_up_and_the_same(softmax: bool) -> None:
    torch.manual_seed(1)
    network = DTVIN(DTVINConfig(softmax=softmax, inverse_temperature=1.5)).eval()
    mazes = (torch.rand(2, 9, 13) > 0.4).float()
    for _ in range(2):
        computed = network.kernels(mazes, mazes).detach()
        with torch.no_grad():
            found = network.kernels(mazes, mazes)
            assert found.shape == computed.shape and not found.requires_grad
            torch.testing.assert_close(found, computed, rtol=1e-5, atol=1e-6)
            grey = network.kernels(0.5 * mazes, mazes)  # no pattern: computed
            assert (grey - computed).abs().max() > 1e-3
            network.transition.weight += 0.1  # the table is made anew


def test_logits_and_values_from_one_q_are_those_of_two() -> None:
    torch.manual_seed(2)
    network = build("dt_vin").eval()
    mazes, goals = torch.ones(1, 7, 8), torch.zeros(1, 7, 8)
    goals[0, 3, 4] = 1
    encoded = network.encode(mazes, goals)
    states = network.iterate(encoded, 9, (4, 9))
    logits, values = network.decode_with_values(encoded, states)
    torch.testing.assert_close(logits, network.decode(encoded, states))
    torch.testing.assert_close(values, network.values(encoded, states))
