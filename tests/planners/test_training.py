"""Training: it learns, it can be killed at any moment, and it goes on exactly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from planners.mazes.datasets import MazeRule, MazeSet, generate
from planners.networks.weights import load_weights
from planners.training.train_config import TrainConfig
from planners.training.trainer import CHECKPOINT, MAZES, WEIGHTS, PlannerTrainer, train

ROOT = Path(__file__).parents[2]


def tiny(out: Path) -> TrainConfig:
    return TrainConfig(
        out=out,
        size=9,
        mazes=96,
        validation=16,
        depth=40,
        batch=16,
        epochs=2,
        bins="1,8,20",
        stratify="",
        validate_every=6,
        threads=1,
        tensorboard=False,
    )


def weights(trainer: PlannerTrainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.network.parameters()])


@pytest.mark.slow
def test_a_resumed_training_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    whole = train(tiny(tmp_path / "whole"))
    broken = PlannerTrainer(tiny(tmp_path / "broken"))
    steps = broken.run()
    for _ in range(5):
        next(steps)
    steps.close()
    resumed = train(replace(tiny(tmp_path / "broken"), resume=True))
    assert resumed.progress.update == whole.progress.update == 12
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)


def test_a_little_training_solves_little_mazes(tmp_path: Path) -> None:
    config = replace(tiny(tmp_path), mazes=320, epochs=3, learning_rate=3e-2)
    trainer = train(config)
    assert trainer.progress.history[-1]["1-8"] > 95
    network, card = load_weights(tmp_path / WEIGHTS)
    assert card["depth"] == 40 and card["training"]["seed"] == 0
    assert not network.training


def test_weights_of_one_size_begin_the_next(tmp_path: Path) -> None:
    train(replace(tiny(tmp_path / "small"), epochs=1))
    begin = tmp_path / "small" / WEIGHTS
    larger = PlannerTrainer(replace(tiny(tmp_path / "large"), size=11, init_weights=begin))
    expected = load_weights(begin)[0].state_dict()
    for name, tensor in larger.network.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], rtol=0, atol=0)


def test_policy_gradient_and_the_other_losses_run(tmp_path: Path) -> None:
    for kind in ("full", "single", "last"):
        train(replace(tiny(tmp_path / kind), epochs=1, loss=kind))  # type: ignore[arg-type]
    train(replace(tiny(tmp_path / "pg"), epochs=1, target="policy_gradient"))
    train(replace(tiny(tmp_path / "ce"), epochs=1, target="one_expert", optimiser="rmsprop"))


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_killed_training_leaves_a_readable_checkpoint(
    tmp_path: Path, how: signal.Signals
) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "planners", "train", "15", "--out", str(out)]
    options = ["--mazes", "64", "--validation", "8", "--epochs", "1000", "--depth", "20"]
    options += ["--save-every-s", "0", "--no-tensorboard", "--threads", "1", "--size", "9"]
    options += ["--stratify", ""]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command + options, cwd=ROOT, env=environment)
    deadline = time.monotonic() + 60
    while not (out / CHECKPOINT).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (out / CHECKPOINT).exists()
    process.send_signal(how)
    assert process.wait() == (-how if how == signal.SIGKILL else 130)
    with safe_open(out / CHECKPOINT, framework="pt") as file:
        assert json.loads(file.metadata()["progress"])["update"] > 0


@pytest.mark.slow
def test_the_command_line_from_mazes_to_scores(tmp_path: Path) -> None:
    def planners(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "planners", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    train(replace(tiny(tmp_path / "run"), epochs=1))
    mazes, result = tmp_path / "test.npz", tmp_path / "result.json"
    seen = tmp_path / "run" / MAZES
    drawn = planners(
        *("mazes", "--out", str(mazes), "--size", "9", "--count", "20"),
        *("--seed", "0", "--exclude", str(seen)),
    )
    assert drawn.returncode == 0, drawn.stderr
    keys = set(MazeSet.load(mazes).fingerprints())
    assert len(keys) == 20 and not keys & set(MazeSet.load(seen).fingerprints())
    run = planners(
        *("evaluate", "--weights", str(tmp_path / "run" / WEIGHTS), "--mazes", str(mazes)),
        *("--bins", "1,8,20", "--json", str(result), "--actions", str(tmp_path / "a.npz")),
    )
    assert run.returncode == 0, run.stderr
    content = json.loads(result.read_text())
    assert set(content) == {"model", "size", "depth", "bins", "seconds"}
    assert set(content["bins"][0]) == {"lo", "hi", "starts", "mazes", "success", "optimal"}
    wrong = planners("evaluate", "--weights", "none.safetensors", "--mazes", str(mazes))
    assert wrong.returncode == 2 and "no weights at" in wrong.stderr
    assert wrong.stderr.count("\n") == 1


def test_wrong_settings_are_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to resume"):
        PlannerTrainer(replace(tiny(tmp_path), resume=True))
    with pytest.raises(ValueError, match="larger than"):
        PlannerTrainer(replace(tiny(tmp_path), batch=1000))
    with pytest.raises(ValueError, match="no JSON"):
        PlannerTrainer(replace(tiny(tmp_path), options="{"))


def test_validation_mazes_are_not_trained_on(tmp_path: Path) -> None:
    for stratify in ("", "0,10,20"):
        trainer = PlannerTrainer(replace(tiny(tmp_path), stratify=stratify))
        assert not set(trainer.train.fingerprints()) & set(trainer.validation.fingerprints())
    assert len(generate(MazeRule(9), 3, 0)) == 3


def test_a_highway_vin_begins_with_a_vin_and_nothing_else_fits(tmp_path: Path) -> None:
    options = {"vin": '{"hidden": 8}', "dt_vin": "{}"}
    for model in ("vin", "dt_vin"):
        config = replace(tiny(tmp_path / model), model=model, options=options[model], epochs=1)
        train(config)
    highway = replace(tiny(tmp_path / "highway"), model="highway_vin", options='{"hidden": 8}')
    trainer = PlannerTrainer(replace(highway, init_weights=tmp_path / "vin" / WEIGHTS))
    earlier, _ = load_weights(tmp_path / "vin" / WEIGHTS)
    torch.testing.assert_close(
        trainer.network.state_dict()["kernel"], earlier.state_dict()["kernel"]
    )
    with pytest.raises(ValueError, match="does not fit"):
        PlannerTrainer(replace(highway, options="{}", init_weights=tmp_path / "vin" / WEIGHTS))
    with pytest.raises(ValueError, match="dt_vin"):
        PlannerTrainer(replace(highway, init_weights=tmp_path / "dt_vin" / WEIGHTS))


def test_a_training_ends_with_its_time(tmp_path: Path) -> None:
    config = replace(tiny(tmp_path), epochs=10_000, time_limit_s=1.0)
    trainer = train(config)
    assert trainer.progress.update < trainer.updates
    assert trainer.progress.seconds >= 1.0


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path: Path) -> None:
    recipe = "15 --size 9 --mazes 96 --validation 16 --depth 40 --batch 16 --bins 1,8,20"
    options = "--validate-every 6 --epochs 2 --time-limit-s 100 --threads 1 --no-tensorboard"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "planners", "train", *recipe.split(), *options.split(), "--stratify", ""]
    result = subprocess.run(
        [*command, "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("weights:") == 1
    card = json.loads((tmp_path / WEIGHTS).with_suffix(".json").read_text())
    assert card["validation"]["1-8"] > 50
