"""Learners of policy search: they learn, go on exactly, and are used as stable-baselines3's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import save_file
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor

from asterias.errors import UserError
from learning.policy_search import PGPE, PPOIS, PSSVF, PSVF, train_zero_shot
from learning.policy_search.common.architecture import Actor
from learning.policy_search.common.learner import PolicySearch
from learning.policy_search.registry import LEARNERS

SMALL: dict[str, dict[str, Any]] = {
    "ppois": {"batch_size": 10},
    "apois": {"batch_size": 10},
    "pgpe": {"pairs": 3},
    "cem": {"population": 6},
    "random_search": {"episodes": 2},
}
STATE_VALUES = {
    "sigma": 0.3,
    "learning_rate": 1e-2,
    "update_every": 2,
    "critic_hidden": (32, 32),
    "policy_batch": 32,
}
QUICK: dict[str, dict[str, Any]] = {
    "pssvf": {"sigma": 0.3, "learning_rate": 1e-2, "critic_learning_rate": 1e-2},
    "psvf": STATE_VALUES,
    "pavf": STATE_VALUES,
    # Its policy stays stochastic; with wider draws the goal is hit less often.
    "apois": {"log_std": -3.0},
}
GOAL = np.array([0.5, -1.0])


class QuadraticEnv(gymnasium.Env[Any, Any]):
    """One step; the reward is how near the action is to a goal, whose form the weights have."""

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
        self.action_space = gymnasium.spaces.Box(-3, 3, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        reward = -float(((action - GOAL) ** 2).sum())
        return np.zeros(1, np.float32), reward, True, False, {}


# Generators of policies follow commands instead: test_generators.py.
@pytest.mark.parametrize("name", sorted(set(LEARNERS.names()) - {"gogepo", "udrlpg"}))
def test_every_learner_comes_near_the_goal_from_returns_alone(name: str) -> None:
    learner = LEARNERS.get(name)
    model = learner("LinearPolicy", QuadraticEnv, seed=0, **QUICK.get(name, {}))
    first = model.evaluate(1)[0].raw_return
    model.learn({"pssvf": 120, "psvf": 600, "pavf": 600}.get(name, 1600))
    last = model.evaluate(1)[0].raw_return
    assert first < -1.0 and last > -0.1


def test_the_critic_of_learned_states_finds_the_goal_too() -> None:
    for kind in ("probes", "generated"):
        model = PSSVF("LinearPolicy", QuadraticEnv, critic=kind, probes=3, **QUICK["pssvf"])
        first = model.evaluate(1)[0].raw_return
        model.learn(50)
        assert model.evaluate(1)[0].raw_return > first / 4


class DriftingEnv(QuadraticEnv):
    """What is observed grows from episode to episode, and with it its mean and deviation."""

    episodes = 0

    def reset(self, **options: Any) -> Any:
        super().reset(**options)
        self.episodes += 1
        return np.full(1, self.episodes**2, np.float32), {}


@pytest.mark.parametrize("name", ["pssvf", "psvf", "pavf"])
def test_a_policy_that_was_tried_acts_as_then_whatever_is_observed_later(name: str) -> None:
    model = LEARNERS.get(name)("LinearPolicy", DriftingEnv(), seed=0, **QUICK.get(name, {}))
    model.learn(1)
    tried, mean = model.theta + 1.0, model.statistics.mean.copy()
    kept = model.on_raw_observations(tried)
    acted = Actor(model.architecture, tried, *model._normalisation()).act(np.full(1, 3.0))
    model.learn(6, reset_num_timesteps=False)
    assert abs(model.statistics.mean - mean) > 1
    again = Actor(model.architecture, model.as_written_now(kept), *model._normalisation())
    np.testing.assert_allclose(again.act(np.full(1, 3.0)), acted, rtol=1e-6)


def test_fresh_policies_learn_through_the_critic_without_a_step() -> None:
    model = PSSVF("LinearPolicy", QuadraticEnv, sigma=0.5, learning_rate=0.0).learn(80)
    before = model.num_timesteps
    fresh = train_zero_shot(model, 3, steps=200, spread=0.5)
    returns = [model.evaluate(1, theta)[0].raw_return for theta in fresh]
    assert model.num_timesteps == before
    assert np.mean(returns) > float(np.median(model.table.returns))


@pytest.mark.parametrize("name", LEARNERS.names())
def test_a_loaded_learner_goes_on_exactly(name: str, tmp_path: Path) -> None:
    def make() -> PolicySearch:
        options = SMALL.get(name, {}) | QUICK.get(name, {})
        return LEARNERS.get(name)("MlpPolicy", QuadraticEnv, seed=3, stochastic=True, **options)

    whole, half = make(), make()
    for _ in range(4):
        whole.learn(1, reset_num_timesteps=False)
    for _ in range(2):
        half.learn(1, reset_num_timesteps=False)
    half.save(tmp_path / "half")
    other = LEARNERS.get(name).load(tmp_path / "half", QuadraticEnv)
    for _ in range(2):
        other.learn(1, reset_num_timesteps=False)
    np.testing.assert_array_equal(whole.theta, other.theta)
    assert whole.returns == other.returns and whole.num_timesteps == other.num_timesteps


def test_what_an_earlier_version_saved_is_loaded(tmp_path: Path) -> None:
    half = PSSVF("LinearPolicy", QuadraticEnv, seed=3, update_every=1).learn(40)
    path = tmp_path / "half.safetensors"
    half.save(path)
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["checkpoint"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    card = json.loads(path.with_suffix(".json").read_text())
    for settings in (header["told"]["settings"], card["settings"]):
        assert settings.pop("update_every") == 1
    save_file(tensors, path, {"checkpoint": json.dumps(header)})
    path.with_suffix(".json").write_text(json.dumps(card))
    other = PSSVF.load(path, QuadraticEnv)
    np.testing.assert_array_equal(half.theta, other.theta)
    with pytest.raises(UserError, match="was made with settings"):
        PSSVF("LinearPolicy", QuadraticEnv, seed=3, update_every=2).restore(path)


LONG_TRAINING = """
import sys
from learning.policy_search import PSSVF
PSSVF("LinearPolicy", "CartPole-v1", seed=1).learn(
    10**9, checkpoint=sys.argv[1], checkpoint_s=0.0
)
"""


def test_a_killed_training_goes_on_exactly(tmp_path: Path) -> None:
    path = tmp_path / "learner.safetensors"
    with subprocess.Popen([sys.executable, "-c", LONG_TRAINING, str(path)]) as training:
        try:
            deadline = time.monotonic() + 90
            while not path.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
        finally:
            os.kill(training.pid, signal.SIGKILL)
    went_on = PSSVF.load(path)
    went_on.learn(300, reset_num_timesteps=False)
    whole = PSSVF("LinearPolicy", "CartPole-v1", seed=1)
    while whole.num_timesteps < went_on.num_timesteps:
        whole.learn(1, reset_num_timesteps=False)
    np.testing.assert_array_equal(whole.theta, went_on.theta)


def test_worker_processes_give_the_same_numbers() -> None:
    made = [
        PGPE("LinearPolicy", "CartPole-v1", seed=0, processes=count, pairs=4).learn(200)
        for count in (1, 2)
    ]
    np.testing.assert_array_equal(made[0].theta, made[1].theta)
    assert made[0].returns == made[1].returns


def test_callbacks_and_loggers_of_stable_baselines3_work(tmp_path: Path) -> None:
    seen: list[int] = []
    best = EvalCallback(
        Monitor(gymnasium.make("CartPole-v1")), eval_freq=50, n_eval_episodes=1, verbose=0
    )
    saving = CheckpointCallback(100, str(tmp_path), name_prefix="search")
    model = PPOIS("LinearPolicy", gymnasium.make("CartPole-v1"), batch_size=5)
    model.set_logger(configure(str(tmp_path), ["json"]))
    model.learn(400, callback=[best, saving], log_interval=1)
    assert len(best.evaluations_timesteps if hasattr(best, "evaluations_timesteps") else []) == 0
    assert best.best_mean_reward > 0 and list(tmp_path.glob("search_100_steps.*"))
    assert '"train/ess"' in (tmp_path / "progress.json").read_text()
    model.learn(10_000, callback=lambda values, _: seen.append(1) or len(seen) < 20)
    assert 20 <= len(seen) < 1000
    mean, _ = evaluate_policy(model, model.get_env(), 2)  # type: ignore[arg-type]
    assert mean > 0


def test_a_progress_bar_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    PPOIS("LinearPolicy", "CartPole-v1", batch_size=2).learn(20, progress_bar=True)
    assert "ppois" in capsys.readouterr().out


def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="pssvf has no option 'sigme'"):
        PSSVF("LinearPolicy", "CartPole-v1", sigme=1.0)
    with pytest.raises(UserError, match="There is no environment 'CarPole-v1'"):
        PSSVF("LinearPolicy", "CarPole-v1")
    with pytest.raises(UserError, match="continuous actions"):
        PSVF("LinearPolicy", "CartPole-v1")
    model = PPOIS("LinearPolicy", "CartPole-v1", batch_size=2)
    model.save(tmp_path / "a")
    with pytest.raises(UserError, match="made by ppois, not by pssvf"):
        PSSVF.load(tmp_path / "a")
    (tmp_path / "a.safetensors").write_bytes(b"broken")
    with pytest.raises(UserError, match="damaged"):
        PPOIS.load(tmp_path / "a")
    with pytest.raises(UserError, match="made with seed"):
        model.save(tmp_path / "b")
        PPOIS("LinearPolicy", "CartPole-v1", batch_size=2, seed=9).restore(tmp_path / "b")


def test_a_missing_mujoco_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise gymnasium.error.DependencyNotInstalled("MuJoCo is not installed")

    monkeypatch.setattr(gymnasium, "make", missing)
    with pytest.raises(UserError, match=r"asterias\[mujoco\]"):
        PSSVF("LinearPolicy", "Swimmer-v5")


def test_a_pair_of_pgpe_starts_alike_and_means_are_averaged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options: dict[str, Any] = {"pairs": 3, "alike": True, "average": 0.5, "normalise": False}
    model = PGPE("LinearPolicy", "CartPole-v1", seed=0, **options)
    seeds, run = [], model.rollouts.run

    def counted(form: Any, thetas: Any, given: list[int], *rest: Any) -> Any:
        seeds.append(given)
        return run(form, thetas, given, *rest)

    monkeypatch.setattr(model.rollouts, "run", counted)
    first = model.theta.copy()
    model.learn(1)
    np.testing.assert_allclose(model.theta, (first + model.mean) / 2)
    model.learn(1, reset_num_timesteps=False)
    assert all(one[:3] == one[3:] and len(set(one)) == 3 for one in seeds)
    assert not set(seeds[0]) & set(seeds[1])
    with pytest.raises(UserError, match="average is a weight"):
        PGPE("LinearPolicy", "CartPole-v1", average=1.0)
