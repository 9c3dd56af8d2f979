"""Noisy mazes: what networks see of them, the CNN that cleans them, exact search beside."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asterias.errors import UserError
from planners.mazes.datasets import MazeRule, generate
from planners.networks.base import observation
from planners.networks.registry import build
from planners.planning.factory import find_weights
from planners.training import scaling
from planners.training.scaling import ScaleConfig, Suite, scale
from planners.training.train_config import TrainConfig
from planners.training.trainer import PlannerTrainer

torch.set_num_threads(1)  # little tensors, and tests may share the machine


def test_noise_is_drawn_and_clipped() -> None:
    maze_set = generate(MazeRule(30), 4, seed=1)
    draw = torch.Generator().manual_seed(0)
    clean, goals = observation(maze_set.mazes, maze_set.goals)
    noisy, same = observation(maze_set.mazes, maze_set.goals, 0.04, draw)
    assert float(noisy.min()) >= 0 and float(noisy.max()) <= 1
    below = (noisy - clean)[clean == 1]
    assert float(below.mean()) == pytest.approx(-0.2 * 0.3989, abs=0.01)  # of half a Gaussian
    torch.testing.assert_close(goals, same)


def test_a_cleaner_begins_as_a_soft_threshold_and_is_trained(tmp_path: Path) -> None:
    config = TrainConfig(
        out=tmp_path,
        model="sparse_dt_vin",
        options='{"cleaner": 4}',
        size=9,
        mazes=32,
        validation=8,
        depth=20,
        batch=16,
        epochs=1,
        stratify="",
        bins="1,20",
        noise=0.04,
        tensorboard=False,
    )
    trainer = PlannerTrainer(config)
    before = {name: one.clone() for name, one in trainer.network.state_dict().items()}
    list(trainer.run())
    after = trainer.network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {"cleaner.0.weight", "cleaner.2.bias"} <= changed
    with pytest.raises(UserError, match="--noise is -1"):
        PlannerTrainer(replace(config, noise=-1.0))


def test_cleaned_maps_in_closed_form_are_those_of_the_layers() -> None:
    torch.manual_seed(2)
    network = build("sparse_dt_vin", {"cleaner": 4}).eval()
    maze_set = generate(MazeRule(12), 2, seed=3)
    for variance in (0.0, 0.04):
        maze, goal = observation(maze_set.mazes, maze_set.goals, variance)
        solved = network.solve(maze, goal, 50)
        assert solved is not None
        with torch.no_grad():
            logits = network(maze, goal, 50)
        chosen = logits.gather(1, torch.from_numpy(solved.actions).long().unsqueeze(1))[:, 0]
        torch.testing.assert_close(chosen, logits.amax(dim=1), rtol=0, atol=1e-3)


def test_planning_through_doubt_beats_search_on_a_map_that_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suites = {"noisy": Suite(15, (0, 15, 60), 60, variance=0.04), "clear": Suite(15, (0, 30), 4)}
    monkeypatch.setattr(scaling, "SUITES", suites)
    out = tmp_path / "noise.json"
    weights = find_weights("sparse_dt_vin_noisy", 15)
    config = ScaleConfig((weights,), suites="noisy,clear", search=True, json=out)
    assert len(list(scale(config))) == 6
    learned, cut, alone, lattice, _, clear = json.loads(out.read_text())["rows"]
    for ours, theirs in zip(learned["bins"], cut["bins"], strict=True):
        assert ours["success"] > theirs["success"]
    for ours, theirs in zip(lattice["bins"], alone["bins"], strict=True):
        assert ours["success"] > theirs["success"]  # to know how mazes are made helps
    assert all(bin_["optimal"] == 100 for bin_ in clear["bins"])
    assert list(scale(config)) == []  # all of it is there
