"""What the commands of training and evaluation refuse, and when; algorithms from packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cloudpickle
import pytest
from command_line import run_here

from asterias.errors import UserError
from learning.target_finding.algorithms.registry import ALGORITHMS, TrainingRequest
from learning.target_finding.algorithms.training import TrainingConfig, train
from learning.target_finding.algorithms.workers import WorkerError
from learning.target_finding.commands.evaluate import EvaluatePolicy
from learning.target_finding.commands.experiments import Baselines, OracleBound
from learning.target_finding.commands.train import Pretrain, Train
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import TargetFindingOptions
from learning.target_finding.policies.policy_files import load_policy

ROOT = Path(__file__).resolve().parents[3]
SWIFT = TargetFindingOptions(wait_s=0.05)


def run_learning(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    if path is not None:
        environment["PYTHONPATH"] = f"{path}{os.pathsep}{environment.get('PYTHONPATH', '')}"
    command = [sys.executable, "-m", "learning", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


# -- any robot, any limb --------------------------------------------------------------------------


def test_a_limb_of_a_robot_with_other_joints_is_trained_and_evaluated(tmp_path: Path) -> None:
    words = ("--robot", "starfish", "--limb", "4", "--steps", "75", "--cap", "1")
    done = run_here("learning", "train", *words, "--processes", "1", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    card = load_policy(tmp_path / "out").card
    assert (card["options"]["limb"], card["cameras"]) == (4, 8)
    assert card["options"]["command_range"] == [1.0] * 8
    summary = EvaluatePolicy(str(tmp_path / "out"), episodes=2, cap=1).measure()
    assert summary["episodes"] == 2 and "paper_mean_steps" not in summary


# -- processes that fail --------------------------------------------------------------------------


class Failing(TargetFindingEnv):
    """Fails in the first step, as the options say."""

    def step(self, action: object) -> object:  # type: ignore[override]
        if self.options.target == "moved":
            raise UserError("The sensor of nobody is missing; plug it in.")
        if self.options.target == "moving":
            os._exit(9)
        raise KeyError("no such thing")


def make_failing(options: TargetFindingOptions, padded: bool) -> Failing:
    """Return the environment that fails, in a worker."""
    return Failing(options)


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        ("moved", UserError, "plug it in"),
        ("fixed", WorkerError, "KeyError"),
        ("moving", WorkerError, "without a message"),
    ],
)
def test_an_error_of_a_process_is_told_as_it_is(
    target: str,
    error: type[Exception],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "learning.target_finding.algorithms.training._make_environment", make_failing
    )
    # By value, since the workers cannot import this module. They are not forked from this process,
    # whose threads may hold locks.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    options = TargetFindingOptions(wait_s=0.05, target=target)  # type: ignore[arg-type]
    with pytest.raises(error, match=words):
        train(TrainingConfig(tmp_path, options, steps=75, processes=3))


# -- told before the work -------------------------------------------------------------------------


def test_an_output_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    beyond = tmp_path / "file" / "x.json"
    commands = [
        Train(tmp_path / "file"),
        Train(tmp_path / "out", json=beyond),
        Train(tmp_path / "out", json=tmp_path),
        Pretrain(tmp_path / "file" / "out"),
        EvaluatePolicy("ppo_kill0", json=beyond),
        Baselines(json=beyond),
        OracleBound(json=beyond),
    ]
    for command in commands:
        with pytest.raises(UserError, match=r"cannot be written|is a folder"):
            command.run()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_is_none_is_told_before_the_work(seed: int, tmp_path: Path) -> None:
    for command in (
        Train(tmp_path / "out", seed=seed),
        Pretrain(tmp_path / "out", seed=seed),
        EvaluatePolicy("ppo_kill0", seed=seed),
        Baselines(seed=seed),
        OracleBound(seed=seed),
    ):
        with pytest.raises(UserError, match="--seed must be from 0"):
            command.run()
    assert not list(tmp_path.iterdir())


def test_a_way_of_failing_without_failing_cameras_is_refused() -> None:
    with pytest.raises(UserError, match="kill0 lets none"):
        EvaluatePolicy("ppo_kill1", faults="kill0", silent=("black",)).run()


@pytest.mark.parametrize("content", ["{}", "[]", "", '{"passed": "yes"}', "<html>"])
def test_a_verdict_on_no_summary_is_one_sentence(content: str, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(content, encoding="utf-8")
    done = run_learning("verdict", str(tmp_path))
    assert done.returncode == 2 and "summary.json" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


# -- algorithms by name ---------------------------------------------------------------------------


def test_an_unknown_algorithm_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean ppo"):
        ALGORITHMS.get("pppo")


def test_cloning_without_demonstrations_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs --recordings"):
        ALGORITHMS.get("bc").run(TrainingRequest(tmp_path, SWIFT, "bc"))


PLUGIN = """
import numpy as np

from learning.target_finding.algorithms.registry import LearningAlgorithm
from learning.target_finding.policies.linear_policy import LinearPolicy


def train(request, on_progress, should_stop):
    joints = len(request.options.command_range)
    zeros = np.zeros(joints, np.float32)
    card = {"algorithm": "still", "options": vars(request.options), "cameras": 4}
    weight = np.zeros((joints, joints + 4), np.float32)
    LinearPolicy(weight, zeros, zeros, card).save(request.out / "policy.safetensors")
    return {"algorithm": "still"}


STILL = LearningAlgorithm("never moves", train)
"""


def test_an_algorithm_of_an_installed_package_trains_by_name(tmp_path: Path) -> None:
    (tmp_path / "still_plugin.py").write_text(PLUGIN, encoding="utf-8")
    about = tmp_path / "still_plugin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: still-plugin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[asterias.algorithms]\nstill = still_plugin:STILL\nbroken = still_plugin:MISSING\n"
    )
    listed = run_learning("train", "--help", path=tmp_path)
    assert "still: never moves" in " ".join(listed.stdout.replace("│", " ").split())
    done = run_learning("train", "--algo", "still", "--out", str(tmp_path / "out"), path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "'broken' of the package still-plugin is left out" in done.stderr
    load_policy(tmp_path / "out")
    card = json.loads((tmp_path / "out" / "policy.json").read_text(encoding="utf-8"))
    assert card["kind"] == "linear_gaussian"
