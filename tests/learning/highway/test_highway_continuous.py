"""Highway SAC and TD3: targets against hand computations, entropy, saving, on the limb."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import SAC, TD3

from asterias.errors import UserError
from learning.highway import HighwaySAC, HighwayTD3, corridor_env
from learning.highway.continuous.behaviour_buffer import BehaviourBuffer
from learning.highway.dqn.trajectory_buffer import Lookahead, TrajectoryBuffer, TrajectorySamples
from learning.highway.tasks import DelayedReachEnv
from learning.target_finding.algorithms.registry import ALGORITHMS, TrainingRequest
from learning.target_finding.env.options import TargetFindingOptions, with_command_range
from learning.target_finding.policies.network_policy import NetworkPolicy
from learning.target_finding.policies.policy_files import PolicySearcher, load_policy


def small(**extra: Any) -> dict[str, Any]:
    """Settings of a small learner, new ones each time: SAC writes into them."""
    kept = {"learning_starts": 30, "batch_size": 16, "device": "cpu", "seed": 0}
    return {**kept, "policy_kwargs": {"net_arch": [16]}, **extra}


LEARNERS = (HighwaySAC, HighwayTD3)


def test_lookaheads_pay_the_entropy_of_the_behaviour_after_the_first_action() -> None:
    box = spaces.Box(-1, 1, (1,), np.float32)
    buffer = BehaviourBuffer(8, box, box, "cpu", depth=3, gamma=0.5)
    for row in range(4):  # rewards 1, 2, 3, 4; log densities -1, -2, -3, -4; the task ends
        buffer.arriving = np.array([-1.0 - row], np.float32)
        zero = np.zeros((1, 1), np.float32)
        buffer.add(zero, zero, zero, np.array([row + 1.0]), np.array([row == 3]), [{}])
    buffer.temperature = 0.1
    looked = buffer._look(np.array([0, 2, 3]), np.zeros(3, int), np.full(3, 3), None)
    # From row 0: 1 + 0.5 (2 + 0.2) + 0.25 (3 + 0.3); from row 2 to the end: 3 + 0.5 (4 + 0.4).
    assert looked.rewards[:, 0].tolist() == pytest.approx([2.925, 5.2, 4.0])
    assert looked.discounts[:, 0].tolist() == [0.125, 0, 0]
    buffer.temperature = 0.0
    assert buffer._look(np.array([0]), np.zeros(1, int), np.full(1, 3), None).rewards == 2.75


def by_hand(model: Any, batch: TrajectorySamples) -> tuple[torch.Tensor, torch.Tensor]:
    """One-step and lookahead targets, without the learner's code."""
    ends = torch.cat([batch.near.next_observations, batch.far.next_observations])
    with torch.no_grad():
        if isinstance(model, SAC):
            distribution = model.actor.action_dist
            mean, log_std, _ = model.actor.get_action_dist_params(ends)
            actions, density = distribution.log_prob_from_params(mean, log_std)
            first, second = model.critic_target(ends, actions)
            values = torch.minimum(first, second)[:, 0] - 0.2 * density
        else:
            noise = (torch.randn(len(ends), 2) * 0.2).clamp(-0.5, 0.5)
            actions = (model.actor_target(ends) + noise).clamp(-1, 1)
            first, second = model.critic_target(ends, actions)
            values = torch.minimum(first, second)[:, 0]
    count = len(values) // 2
    near = batch.near.rewards[:, 0] + batch.near.discounts[:, 0] * values[:count]
    return near, batch.far.rewards[:, 0] + batch.far.discounts[:, 0] * values[count:]


@pytest.mark.parametrize("kind", LEARNERS)
def test_targets_are_those_of_a_hand_computation(kind: type[Any]) -> None:
    extra = {"ent_coef": 0.2} if kind is HighwaySAC else {}
    model = kind("MlpPolicy", DelayedReachEnv(), **small(**extra))
    rng = torch.Generator().manual_seed(1)

    def ahead(discount: float) -> Lookahead:
        rewards = torch.randn(6, 1, generator=rng)
        return Lookahead(rewards, torch.randn(6, 9, generator=rng), torch.full((6, 1), discount))

    batch = TrajectorySamples(torch.zeros(6, 9), torch.zeros(6, 2), ahead(0.9), ahead(0.5))
    torch.manual_seed(3)
    target, near, far = model.gated_target(batch)
    torch.manual_seed(3)
    expected = by_hand(model, batch)
    assert torch.allclose(near[:, 0], expected[0]) and torch.allclose(far[:, 0], expected[1])
    assert torch.allclose(target[:, 0], torch.maximum(*expected))
    assert 0 < (far > near).sum() < 6


@pytest.mark.parametrize("kind", LEARNERS)
def test_without_a_lookahead_it_is_the_algorithm_itself(kind: type[Any]) -> None:
    # Of depth 1 both targets have the same rewards; the gate is out of the way.
    env = DelayedReachEnv(steps=5)
    model = kind("MlpPolicy", env, depth=1, gate="none", **small())
    model.learn(60)
    assert model.figures["open_gates"] < 1
    losses = model.logger.name_to_value
    assert math.isfinite(losses["train/critic_loss"])
    assert isinstance(model.replay_buffer, TrajectoryBuffer)


def test_the_density_of_what_was_done_is_kept() -> None:
    model = HighwaySAC("MlpPolicy", DelayedReachEnv(), **small())
    model.learn(40)
    buffer = model.replay_buffer
    assert isinstance(buffer, BehaviourBuffer)
    kept = buffer.log_behaviour[:40, 0]
    assert kept[:30] == pytest.approx(-2 * math.log(2))
    with torch.no_grad():  # the last action's, from the actor that took it or one update later
        mean, log_std, _ = model.actor.get_action_dist_params(
            torch.as_tensor(buffer.observations[39])
        )
        model.actor.action_dist.proba_distribution(mean, log_std)
        density = model.actor.action_dist.log_prob(torch.as_tensor(buffer.actions[39]))
    assert kept[39] == pytest.approx(float(density), abs=0.1)


@pytest.mark.parametrize("kind", LEARNERS)
def test_it_learns_logs_saves_and_loads(kind: type[Any], tmp_path: Path) -> None:
    model = kind("MlpPolicy", DelayedReachEnv(), depth=10, **small())
    model.learn(60)
    assert set(model.figures) == {"open_gates", "mean_gain", "raised"}
    assert model.figures["raised"] >= 0 and np.isfinite(list(model.figures.values())).all()
    model.save(tmp_path / "model")
    same = kind.load(tmp_path / "model", env=DelayedReachEnv())
    seen = np.zeros(9, np.float32)
    assert np.array_equal(
        model.predict(seen, deterministic=True)[0], same.predict(seen, deterministic=True)[0]
    )
    same.learn(20, reset_num_timesteps=False)


def test_what_they_do_not_take_is_one_sentence() -> None:
    with pytest.raises(UserError, match="choose a gate of samples, none"):
        HighwaySAC("MlpPolicy", DelayedReachEnv(), gate="critics", **small())
    with pytest.raises(UserError, match="leave out action_noise"):
        HighwaySAC("MlpPolicy", DelayedReachEnv(), use_sde=True, **small())
    with pytest.raises(AssertionError):  # stable-baselines3's own
        HighwayTD3("MlpPolicy", corridor_env(), **small())
    with pytest.raises(UserError, match="1 step or more"):
        DelayedReachEnv(0)


def test_the_arm_is_paid_at_the_end_for_being_near() -> None:
    env = DelayedReachEnv(steps=3)
    seen, _ = env.reset(seed=0)
    assert env.observation_space.contains(seen)
    paid = [env.step(np.zeros(2, np.float32)) for _ in range(3)]
    assert [step[1] for step in paid[:2]] == [0, 0] and [step[2] for step in paid] == [0, 0, 1]
    apart_m = np.linalg.norm(paid[-1][0][4:6] - paid[-1][0][6:8])
    assert paid[-1][1] == pytest.approx(max(0.0, 1 - apart_m), abs=1e-6)


@pytest.mark.parametrize(
    "name", ["highway_sac", pytest.param("highway_td3", marks=pytest.mark.slow)]
)
def test_it_learns_on_a_limb_and_its_policy_searches(name: str, tmp_path: Path) -> None:
    options = with_command_range(TargetFindingOptions(wait_s=0.1, cap=10))
    request = TrainingRequest(tmp_path, options, name, steps=300, processes=1, seed=1)
    algorithm = ALGORITHMS.get(name)
    assert algorithm.run(request)["steps"] == 300
    policy = load_policy(tmp_path)
    assert isinstance(policy, NetworkPolicy)
    half_turn = np.full(4, np.pi / 2)
    rng = np.random.default_rng(0)
    searcher = PolicySearcher.on_limb(str(tmp_path), -half_turn, half_turn, 4, rng)
    assert np.isfinite(searcher.act(np.zeros(4), {0, 1, 2, 3})).all()


def test_a_td3_policy_does_on_the_limb_what_it_learned(tmp_path: Path) -> None:
    recipe = ALGORITHMS.get("highway_td3").load_recipe()
    model = TD3("MlpPolicy", DelayedReachEnv(), policy_kwargs={"net_arch": [8, 8]}, seed=0)
    card = {"options": {"increment": 1.0}}
    policy = recipe.export(model, card, None)
    seen = np.linspace(-1, 1, 9, dtype=np.float32)
    learned = model.predict(seen, deterministic=True)[0]
    assert policy.act(seen, np.random.default_rng(0)) == pytest.approx(learned, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["highway_sac", "highway_td3"])
def test_a_resumed_training_ends_in_the_same_policy(name: str, tmp_path: Path) -> None:
    options = with_command_range(TargetFindingOptions(wait_s=0.1, cap=10))

    def request(folder: str, resume: bool = False) -> TrainingRequest:
        out = tmp_path / folder
        return TrainingRequest(out, options, name, steps=600, processes=1, resume=resume, seed=1)

    algorithm = ALGORITHMS.get(name)
    algorithm.run(request("whole"))
    stop = iter([True])
    with pytest.raises(KeyboardInterrupt):
        algorithm.run(request("parts"), should_stop=lambda: next(stop, False))
    algorithm.run(request("parts", resume=True))
    first, second = (load_policy(tmp_path / folder) for folder in ("whole", "parts"))
    assert isinstance(first, NetworkPolicy) and isinstance(second, NetworkPolicy)
    for key, tensor in first.tensors.items():
        assert np.array_equal(tensor, second.tensors[key])
