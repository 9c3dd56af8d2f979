"""Planning through doubt: the limit of depth and its gradient, the map's training, terrain."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from asterias.errors import UserError
from planners.mazes.action_sets import MOORE, NEWS
from planners.mazes.datasets import MazeRule, generate
from planners.networks.base import observation
from planners.networks.registry import build
from planners.operator.one_hot_kernels.limit import limit_values
from planners.planning.factory import find_weights, make_planner
from planners.terrain import study
from planners.terrain.generator import PIXELS, STEEPEST_RAD, draw_terrain
from planners.terrain.study import TerrainConfig, cut_and_search, terrain
from planners.training import scaling
from planners.training.evaluation import greedy_actions, score
from planners.training.scaling import ScaleConfig, Suite, scale
from planners.training.train_config import TrainConfig
from planners.training.trainer import PlannerTrainer

torch.set_num_threads(1)  # little tensors, and tests may share the machine


@pytest.mark.parametrize("moves", [NEWS, MOORE])
def test_the_limit_is_what_many_layers_come_to(moves: object) -> None:
    torch.manual_seed(0)
    actions = 8 if moves is MOORE else 4
    options = {"actions": actions, "channels": 4, "cnn_layers": 2, "step_price": 0.05}
    network = build("doubt_dt_vin", {**options, "octile": actions == 8}).eval()
    drawn = generate(MazeRule(9), 3, seed=1)
    seen, goals = observation(drawn.mazes, drawn.goals, 0.04)
    with torch.no_grad():
        reward, limit = network.limit(seen, goals)
        layers = 2000  # of 0.05 nats: more than any walk through walls costs
        swept = network.iterate((reward,), layers, (layers,))[0]
        at_goal = swept[goals > 0].view(-1, 1, 1)
        torch.testing.assert_close(swept - at_goal, limit, rtol=0, atol=2e-3)
    solved = network.solve(seen, goals, layers)
    assert solved is not None
    logits = network.decode((reward,), limit[None])[0].detach()
    chosen = logits.gather(1, torch.from_numpy(solved.actions).long().unsqueeze(1))[:, 0]
    torch.testing.assert_close(chosen, logits.amax(dim=1), rtol=0, atol=1e-2)
    assert network.solve(seen, goals, 3) is None  # the layers are to be run


def test_the_gradient_of_the_limit_is_that_of_finite_differences() -> None:
    torch.manual_seed(1)
    reward = -torch.rand(2, 4, 5, dtype=torch.float64)
    goals = torch.tensor([[1, 2], [3, 0]])
    reward[torch.arange(2), goals[:, 0], goals[:, 1]] = 0.1
    moves = torch.tensor(NEWS.offsets)
    extra = torch.tensor([-0.03, -0.01, -0.02, -0.04], dtype=torch.float64)
    inputs = (reward.requires_grad_(), extra.requires_grad_())
    assert torch.autograd.gradcheck(lambda r, e: limit_values(r, goals, moves, e), inputs, eps=1e-6)


def test_octile_ways_are_shortest_in_length() -> None:
    drawn = generate(MazeRule(15, "obstacles"), 4, seed=5)
    network = build("doubt_dt_vin", {"actions": 8, "channels": 0, "octile": True}).eval()
    seen, goals = observation(drawn.mazes, drawn.goals)
    _, limit = network.limit(seen, goals)
    # At the last step the goal's own reward is earned: a layer less to wait for.
    lengths = -limit.numpy() / network.config.step_price + (goals == 0).numpy()
    for k in range(4):
        exact = _octile_lengths(drawn.mazes[k], tuple(drawn.goals[k]))
        reached = np.isfinite(exact)
        np.testing.assert_allclose(lengths[k][reached], exact[reached], atol=0.05)


def test_what_a_diagonal_move_costs_is_learned_from_shortest_ways(tmp_path: Path) -> None:
    options = {"actions": 8, "channels": 0, "octile": True, "learns_diagonal": True}
    config = TrainConfig(
        out=tmp_path,
        model="doubt_dt_vin",
        options=json.dumps({**options, "softness": 0.1}),
        loss="limit",
        moves="octile",
        size=15,
        mazes=320,
        validation=8,
        depth=50_000,
        batch=16,
        epochs=5,
        stratify="",
        bins="1,20",
        tensorboard=False,
    )
    trainer = PlannerTrainer(config)
    assert float(trainer.network.diagonal.detach()) == 0.0
    list(trainer.run())
    assert float(trainer.network.diagonal.detach()) == pytest.approx(math.sqrt(2) - 1, abs=0.1)
    for wrong in ({"octile": False}, {"softness": 0.0}):
        with pytest.raises(UserError, match=r"needs octile|give a number"):
            build("doubt_dt_vin", {**options, **wrong})


def _octile_lengths(maze: np.ndarray, goal: tuple[int, int]) -> np.ndarray:
    """Return lengths by Bellman and Ford: simple, and shares nothing with what is tested."""
    lengths = np.full(maze.shape, np.inf)
    lengths[goal] = 0
    for _ in range(maze.size):
        before = lengths.copy()
        for down, right in MOORE.offsets:
            ringed = np.pad(lengths, 1, constant_values=np.inf)
            rows, columns = maze.shape
            moved = ringed[1 + down : 1 + down + rows, 1 + right : 1 + right + columns]
            lengths = np.where(
                maze > 0, np.minimum(lengths, moved + math.hypot(down, right)), np.inf
            )
        if np.array_equal(before, lengths):
            break
    return lengths


def test_a_map_is_learned_and_planned_with(tmp_path: Path) -> None:
    config = TrainConfig(
        out=tmp_path,
        model="doubt_dt_vin",
        options='{"channels": 4, "cnn_layers": 3}',
        loss="map",
        size=11,
        mazes=64,
        validation=16,
        depth=50_000,
        batch=16,
        epochs=4,
        learning_rate=1e-2,
        stratify="",
        bins="1,20",
        noise=0.04,
        tensorboard=False,
    )
    trainer = PlannerTrainer(config)
    losses = [numbers["loss"] for numbers in trainer.run()]
    assert losses[-1] < losses[0]
    planner = make_planner(str(tmp_path / "weights.safetensors"))
    maze = generate(MazeRule(11), 1, seed=9)
    goal = (int(maze.goals[0, 0]), int(maze.goals[0, 1]))
    assert planner.plan(maze.mazes[0], (1, 1), goal).reached


@pytest.mark.parametrize("views", [False, True])
def test_a_folded_map_is_judged_by_what_lies_far_away(views: bool) -> None:
    torch.manual_seed(0)
    options = {"channels": 4, "folded": 2, "views": views}
    network = build("doubt_dt_vin", options)
    for layer in network.modules():  # blocks begin as what lets all through
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.normal_(layer.weight, std=0.3)
    seen = torch.rand(1, 9, 11)
    odds = network.eval().map_logits(seen)
    assert odds.shape == seen.shape
    moved = seen.clone()
    moved[0, 0, 0] += 0.5
    assert (network.map_logits(moved) - odds)[0, 6:, 6:].abs().max() > 0
    turned = network.map_logits(seen.rot90(1, (1, 2))).rot90(-1, (1, 2))
    assert bool(torch.allclose(turned, odds, atol=1e-4)) == views  # all views are averaged
    drawn = torch.stack([network.train().map_logits(seen) for _ in range(12)])
    assert (len(drawn.round(decimals=3).unique(dim=0)) > 1) == views


def test_networks_without_a_map_or_a_limit_say_so(tmp_path: Path) -> None:
    config = TrainConfig(
        out=tmp_path, size=9, mazes=32, validation=8, stratify="", tensorboard=False
    )
    for loss in ("map", "limit"):
        changed = TrainConfig(**{**config.__dict__, "loss": loss})
        with pytest.raises(UserError, match="choose another --loss"):
            next(PlannerTrainer(changed).run())
    for wrong in ({"step_price": 0.0}, {"actions": 5}, {"cnn_layers": 1}):
        with pytest.raises(UserError, match="give"):
            build("doubt_dt_vin", wrong)


@pytest.mark.parametrize("name", ["doubt_dt_vin_noisy", "doubt_dt_vin_folded"])
def test_doubt_reaches_more_than_cutting_at_the_papers_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(scaling, "SUITES", {"noisy": Suite(35, (0, 100, 200), 10, variance=0.04)})
    out = tmp_path / "noise.json"
    weights = find_weights(name, 35)
    assert len(list(scale(ScaleConfig((weights,), suites="noisy", search=True, json=out)))) == 4
    ours, cut, *_ = json.loads(out.read_text())["rows"]
    assert ours["closed_form"]
    assert all(
        a["success"] > b["success"] + 10 for a, b in zip(ours["bins"], cut["bins"], strict=True)
    )
    assert ours["bins"][0]["success"] > 95


def test_terrain_is_drawn_again_by_its_seed_and_steep_cells_are_obstacles() -> None:
    one, same, other = (draw_terrain(15, 3, seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one.pictures, same.pictures)
    assert not np.array_equal(one.pictures, other.pictures)
    assert one.pictures.shape == (3, 15 * PIXELS, 15 * PIXELS)
    assert 0.2 < one.maps.mazes.mean() < 0.95
    assert np.rad2deg(STEEPEST_RAD) == pytest.approx(10)
    with pytest.raises(UserError, match="give 4 or more"):
        draw_terrain(3, 1, 0)


def test_terrain_study_keeps_what_is_trained_and_scores_four_planners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "BINS", {15: (1, 10, 60)})
    out = tmp_path / "terrain.json"
    config = TerrainConfig(
        seeds="0", maps=4, updates=2, batch=2, tests=2, out=tmp_path / "runs", json=out
    )
    config.imitate = True
    config.picture, config.publish = tmp_path / "terrain.png", tmp_path
    lines = list(terrain(config))
    assert sum("trained by" in line for line in lines) == 2
    rows = json.loads(out.read_text())["rows"]
    assert len(rows) == 4
    assert config.picture.is_file()
    assert not any("trained by" in line for line in terrain(config))
    with pytest.raises(UserError, match="pictures of terrain"):
        make_planner(str(tmp_path / "terrain_doubt_dt_vin_15.safetensors"))
    with pytest.raises(UserError, match="--updates is 0"):
        next(terrain(TerrainConfig(updates=0)))


def test_cutting_a_sure_map_is_exact_search() -> None:
    drawn = generate(MazeRule(15), 3, seed=2)
    actions = cut_and_search(drawn.mazes.astype(np.float32), 0.5, drawn.goals)
    assert score(actions, drawn, (1, 100))[0].optimal == 100
    known = build("doubt_dt_vin", {"channels": 0}).eval()
    assert score(greedy_actions(known, drawn, 100_000), drawn, (1, 100))[0].optimal == 100
