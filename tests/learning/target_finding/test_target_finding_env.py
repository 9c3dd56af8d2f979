"""Asterias/TargetFinding-v0, its trained policies, and training them."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from command_line import run_here
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from learning.target_finding import ENVIRONMENT_ID
from learning.target_finding.algorithms.actor_critic import ActorCriticConfig
from learning.target_finding.algorithms.actor_critic import train as train_actor_critic
from learning.target_finding.algorithms.checkpoint import CHECKPOINT_FILE
from learning.target_finding.algorithms.training import Training, TrainingConfig, train
from learning.target_finding.env.environment import (
    ACTOR_CRITIC_PROTOCOL,
    PPO_PROTOCOL,
    TargetFindingEnv,
    TargetFindingOptions,
)
from learning.target_finding.env.observation import PAPER_COMMAND_RANGE, CommandUnit, observe
from learning.target_finding.policies.linear_policy import LinearPolicy
from learning.target_finding.policies.policy_files import (
    POLICY_FILE,
    PolicySearcher,
    find_policy,
    load_policy,
    trained_policies,
)

ROOT = Path(__file__).resolve().parents[3]
# Short waits: what is learned does not matter here.
SWIFT = TargetFindingOptions(wait_s=0.05)
LOWER = np.array([-1.5708, -1.5708, -1.1781, -1.0472])


@pytest.fixture(scope="module")
def env() -> Iterator[TargetFindingEnv]:
    with TargetFindingEnv(faults="kill12", render_mode="rgb_array") as made:
        yield made


@pytest.mark.parametrize("options", [PPO_PROTOCOL, ACTOR_CRITIC_PROTOCOL])
def test_gymnasium_makes_it_by_name_and_finds_no_fault(options: TargetFindingOptions) -> None:
    made = gymnasium.make(ENVIRONMENT_ID, options=options, faults="kill1")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        check_env(made.unwrapped, skip_render_check=True)
    made.close()


def test_the_same_seed_gives_the_same_episodes(env: TargetFindingEnv) -> None:
    def episodes() -> list[Any]:
        env.action_space.seed(0)
        seen: list[Any] = [env.reset(seed=4)[0].tolist()]
        for _ in range(3):
            ended = False
            while not ended:
                observation, reward, found, truncated, info = env.step(env.action_space.sample())
                seen.append((observation.tolist(), reward, found, truncated, info))
                ended = found or truncated
            seen.append(env.reset()[0].tolist())
        return seen

    assert episodes() == episodes()


def test_an_episode_is_cut_at_the_cap_and_starts_unseen(env: TargetFindingEnv) -> None:
    env.reset(seed=0)
    assert env._task.seeing(range(4)) == []
    still = np.zeros(4, np.float32)
    ends = [env.step(still)[1:4] for _ in range(5)]
    assert ends == [(0.0, False, False)] * 4 + [(0.0, False, True)]


def test_moves_are_one_servo_a_quarter_and_go_on_without_a_cap() -> None:
    with TargetFindingEnv(ACTOR_CRITIC_PROTOCOL) as made:
        start, _ = made.reset(seed=1)
        made._command = np.zeros(4)  # from the middle: no limit in the way
        up, *_ = made.step(4)
        down, _, _, truncated, _ = made.step(5)
        np.testing.assert_allclose(up[:4], [0, 0, 0.25, 0])
        np.testing.assert_allclose(down[:4], 0.0)
        assert up[4:].tolist() == start[4:].tolist() == [0.25] * 4
        assert not truncated


def test_dead_cameras_are_black_and_never_find(env: TargetFindingEnv) -> None:
    env.reset(seed=0)
    (*_, info) = env.step(np.zeros(4, np.float32))
    picture = env.render()
    assert picture is not None and picture.shape == (192, 192, 3)
    tiles = [picture[y : y + 96, x : x + 96] for y in (0, 96) for x in (0, 96)]
    assert [j for j, tile in enumerate(tiles) if not tile.any()] == info["dead_cameras"]
    # From home camera 3, and it alone, looks at the target.
    for dead, found in (((3,), False), ((0, 1, 2), True)):
        env._cameras.reset(np.random.default_rng(0), dead=dead)
        env._command = np.zeros(4)
        assert env.step(np.zeros(4, np.float32))[2] is found


@given(st.lists(st.floats(-2, 2), min_size=4, max_size=4), st.sets(st.integers(0, 3), min_size=1))
def test_commands_and_positions_are_two_units_of_one_thing(
    position: list[float], live: set[int]
) -> None:
    unit = CommandUnit.of(LOWER, -LOWER, PAPER_COMMAND_RANGE)
    command = unit.command(np.array(position))
    assert (np.abs(command) <= PAPER_COMMAND_RANGE).all()
    np.testing.assert_allclose(
        unit.position_rad(command), np.clip(position, LOWER, -LOWER), atol=1e-12
    )
    observation = observe(command, live, 4)
    assert observation[4:].sum() == pytest.approx(1.0)
    assert {j for j in range(4) if observation[4 + j] > 0} == live


# -- policies -------------------------------------------------------------------------------------


def made_policy(log_std: float = -20.0) -> LinearPolicy:
    weight = np.zeros((4, 8), np.float32)
    weight[:, :4] = -np.eye(4, dtype=np.float32)
    card = {"options": {"increment": 0.4, "command_range": list(PAPER_COMMAND_RANGE)}}
    return LinearPolicy(weight, np.zeros(4, np.float32), np.full(4, log_std, np.float32), card)


def test_a_saved_policy_acts_as_before(tmp_path: Path) -> None:
    policy = made_policy(log_std=-1.0)
    policy.save(tmp_path / POLICY_FILE)
    observation = observe(np.array([0.3, -0.3, 0.1, 0.9]), [0, 1], 4)
    for path in (tmp_path, tmp_path / POLICY_FILE):
        again = load_policy(path)
        drawn = [p.act(observation, np.random.default_rng(0)) for p in (policy, again)]
        np.testing.assert_array_equal(drawn[0], drawn[1])
        np.testing.assert_allclose(again.act(observation, None), [-0.3, 0.3, -0.1, -0.4])


def test_a_policy_that_does_not_fit_is_refused_in_one_sentence(tmp_path: Path) -> None:
    made_policy().save(tmp_path / POLICY_FILE)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="4 joints and 4 cameras; this limb has 8 and 8"):
        PolicySearcher.on_limb(str(tmp_path), np.zeros(8), np.ones(8), 8, rng)
    (tmp_path / POLICY_FILE).with_suffix(".json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="do not fit together"):
        load_policy(tmp_path)
    with pytest.raises(ValueError, match="no policy 'ppo_kill9'"):
        find_policy("ppo_kill9")


@pytest.mark.parametrize("name", ["ppo_kill0", "ppo_kill1", "ppo_kill12"])
def test_trained_policies_come_along(name: str) -> None:
    assert name in trained_policies()
    card = find_policy(name).card
    assert f"ppo_{card['options']['faults']}" == name
    assert card["steps"] == 3600 and "learning train" in card["command"]


# -- training -------------------------------------------------------------------------------------


def run_learning(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_here("learning", *arguments)


@pytest.mark.parametrize(
    "changes",
    [
        {"padded": True},
        {"algorithm": "recurrent_ppo", "steps": 120},
        {"algorithm": "sac", "steps": 120, "curiosity": 0.1},
    ],
    ids=["ppo", "recurrent ppo", "curious sac"],
)
def test_a_training_that_was_stopped_goes_on_to_the_same_weights(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("sb3", "recurrent_ppo", "soft_actor_critic"):
        monkeypatch.setattr(f"learning.target_finding.algorithms.{module}.ITERATION", 60)

    def config(folder: str, *, resume: bool = False) -> TrainingConfig:
        same: dict[str, Any] = {"seed": 3, "steps": 150, "processes": 1, **changes}
        return TrainingConfig(tmp_path / folder, SWIFT, resume=resume, **same)

    train(config("whole"))
    with pytest.raises(KeyboardInterrupt):
        train(config("stopped"), should_stop=lambda: True)
    assert (tmp_path / "stopped" / CHECKPOINT_FILE).is_file()
    summary = train(config("stopped", resume=True))
    assert summary["steps"] == config("whole").steps and len(summary["history"]) == 2
    assert_same_weights(tmp_path / "whole" / POLICY_FILE, tmp_path / "stopped" / POLICY_FILE)


def assert_same_weights(first: Path, second: Path) -> None:
    whole, resumed = load_file(first), load_file(second)
    assert whole.keys() == resumed.keys()
    for name, tensor in whole.items():
        np.testing.assert_array_equal(resumed[name], tensor)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_training_that_was_killed_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    words = ("train", "--steps", "150", "--seed", "5", "--progress", "json", "--out")
    command = [sys.executable, "-m", "learning", *words, str(tmp_path / "cut")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as cut:
        assert cut.stdout is not None
        cut.stdout.readline()
        cut.kill()
    assert not (tmp_path / "cut" / POLICY_FILE).exists()
    for folder, resume in (("cut", ["--resume"]), ("whole", [])):
        done = run_learning(*words, str(tmp_path / folder), *resume)
        assert done.returncode == 0, done.stderr
    assert_same_weights(tmp_path / "whole" / POLICY_FILE, tmp_path / "cut" / POLICY_FILE)


def test_a_stopped_actor_critic_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    def config(folder: str, *, resume: bool = False) -> ActorCriticConfig:
        swift = replace(ACTOR_CRITIC_PROTOCOL, wait_s=0.05, cap=20)
        return ActorCriticConfig(tmp_path / folder, swift, 2, episodes=7, resume=resume)

    heard: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        train_actor_critic(config("cut"), lambda at: heard.append(at.done), lambda: len(heard) == 2)
    assert heard == [1, 2]
    train_actor_critic(config("cut", resume=True))
    summary = train_actor_critic(config("whole"))
    assert len(summary["history"]) == 7
    assert_same_weights(tmp_path / "whole" / POLICY_FILE, tmp_path / "cut" / POLICY_FILE)


def test_what_was_trained_acts_alike_in_numpy_and_in_torch(
    tmp_path: Path,
) -> None:
    forms: tuple[tuple[str, bool], ...] = (
        ("ppo", False),
        ("recurrent_ppo", False),
        ("sac", True),
    )
    for algorithm, goal in forms:
        options = replace(SWIFT, goal=goal)
        config = TrainingConfig(
            tmp_path / algorithm, options, algorithm, net="mlp", steps=300, processes=1
        )
        training = Training(config)
        try:
            training.iterate()
            training.finish()
            policy, space = load_policy(config.out), training.environments.observation_space
            space.seed(0)
            state, first = None, np.ones(1, bool)
            for _ in range(4):
                seen = space.sample()
                theirs, state = training.model.predict(seen, state, first, deterministic=True)
                first = np.zeros(1, bool)
                np.testing.assert_allclose(policy.act(seen, None), theirs, atol=1e-5)
        finally:
            training.close()


def test_train_and_evaluate_from_the_command_line(tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = (
        "train",
        "--faults",
        "kill1",
        "--steps",
        "75",
        "--processes",
        "1",
        "--out",
        str(out),
    )
    done = run_learning(*arguments)
    assert done.returncode == 0, done.stderr
    assert "75/75" in done.stdout and "steps/s" in done.stdout
    assert list((out / "tensorboard").iterdir())
    again = run_learning(*arguments)
    assert again.returncode == 2 and "--resume" in again.stderr
    result = tmp_path / "result.json"
    done = run_learning(
        "evaluate",
        "--policy",
        str(out),
        "--faults",
        "kill1",
        "--episodes",
        "6",
        "--json",
        str(result),
    )
    assert done.returncode == 0, done.stderr
    data = json.loads(result.read_text(encoding="utf-8"))
    assert data["episodes"] == 6 and 1 <= data["mean_steps"] <= 5
    assert 0 <= data["success_within_cap"] <= 1 and data["std_steps"] >= 0
    shutil.rmtree(out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "--out", "nowhere", "--steps", "100"), "a multiple of 75"),
        (("train", "--out", "nowhere", "--processes", "2"), "must divide 75"),
        (("train", "--out", "nowhere", "--silent", "black"), "kill0 lets none"),
        (("train", "--out", "nowhere", "--goal"), "use --algo sac"),
        (("train", "--out", "nowhere", "--observe", "images", "--encoder", "x"), "pretrain --out"),
        (("evaluate", "--policy", "ppo_kill9"), "no policy 'ppo_kill9'"),
    ],
)
def test_mistakes_are_one_sentence(arguments: tuple[str, ...], words: str) -> None:
    done = run_learning(*arguments)
    assert done.returncode == 2 and words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not Path("nowhere").exists()


@pytest.mark.slow
def test_a_training_tells_programs_and_ends_after_an_iteration_when_asked(tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ("--out", str(out), "--steps", "150", "--processes", "1", "--progress", "json")
    command = [sys.executable, "-m", "learning", "train", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    keys = {"steps", "total", "mean_return", "found", "steps_per_s", "left_s"}
    assert set(first) == keys and (first["steps"], first["total"]) == (75, 150)
    assert (out / CHECKPOINT_FILE).is_file()
    # The last iteration may have ended before the signal came.
    assert process.returncode == (0 if "summary" in rest else 130)
    whole = run_learning("train", *options, "--resume")
    assert whole.returncode == 0, whole.stderr
    assert json.loads(whole.stdout.splitlines()[-1])["summary"]["steps"] == 150
