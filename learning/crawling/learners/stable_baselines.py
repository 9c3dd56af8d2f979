"""Gaits by learners of stable-baselines3 and sb3-contrib: ARS on 18 numbers, PPO on a network."""

from __future__ import annotations

from typing import Any

import numpy as np
from sb3_contrib import ARS
from stable_baselines3 import PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from learning.crawling.environment import StarfishCrawlEnv
from learning.crawling.learners.gait_learner import TRAINING_S, GaitLearner, test_of_gait
from learning.crawling.limb_modes import CONTROL_HZ

# Episodes of a batch.
_BATCH = 5


class ArsGait(GaitLearner):
    """Augmented random search (Mania, Guy and Recht, arXiv 1803.07055) on the same linear policy.

    Args:
        seed: of everything.
    """

    def __init__(self, seed: int) -> None:
        self._monitor = Monitor(StarfishCrawlEnv(mirrored=True, duration_s=TRAINING_S))
        self._model = ARS(
            "LinearPolicy",
            DummyVecEnv([lambda: self._monitor]),
            n_delta=8,
            n_top=4,
            learning_rate=0.5,
            delta_std=0.5,
            policy_kwargs={"with_bias": True, "squash_output": True},
            seed=seed,
            device="cpu",
        )
        self.parameters = int(self._model.n_params)

    def learn(self) -> None:
        """Run one update: eight directions, both ways."""
        self._model.learn(1, reset_num_timesteps=False)

    def returns(self) -> list[float]:
        """Return the body lengths that each episode so far made."""
        return self._monitor.get_episode_rewards()

    def test(self, duration_s: float) -> dict[str, Any]:
        """Return what the policy makes."""
        weights = self._model.policy.parameters_to_vector()
        return test_of_gait(np.asarray(weights, dtype=np.float64), duration_s)


class PpoGait(GaitLearner):
    """PPO on a network that sees the clock and how the body moves.

    Exploration is a function of the state that is drawn anew for each batch (gSDE: Raffin, Kober
    and Stulp, arXiv 2005.05719): noise of its own at each step of 80 ms moves no limb anywhere.

    Args:
        seed: of everything.
    """

    def __init__(self, seed: int) -> None:
        self._monitor = Monitor(
            StarfishCrawlEnv(mirrored=True, observe="body", duration_s=TRAINING_S)
        )
        self._worlds = VecNormalize(DummyVecEnv([lambda: self._monitor]), gamma=0.95)
        steps = round(TRAINING_S * CONTROL_HZ)
        self._model = PPO(
            "MlpPolicy",
            self._worlds,
            n_steps=_BATCH * steps,
            batch_size=steps,
            n_epochs=10,
            learning_rate=1e-3,
            gamma=0.95,
            use_sde=True,
            sde_sample_freq=steps,
            policy_kwargs={"net_arch": [32, 32], "log_std_init": -0.5},
            seed=seed,
            device="cpu",
        )
        policy = self._model.policy
        actor = [*policy.mlp_extractor.policy_net.parameters(), *policy.action_net.parameters()]
        self.parameters = sum(part.numel() for part in actor)

    def learn(self) -> None:
        """Run one batch of episodes."""
        self._model.learn(1, reset_num_timesteps=False)

    def returns(self) -> list[float]:
        """Return the body lengths that each episode so far made."""
        return self._monitor.get_episode_rewards()

    def test(self, duration_s: float) -> dict[str, Any]:
        """Return what the network makes without exploration."""
        tested = StarfishCrawlEnv(mirrored=True, observe="body", duration_s=duration_s)
        observation, information = tested.reset(seed=0)
        over = False
        while not over:
            seen = self._worlds.normalize_obs(observation)
            action, _ = self._model.predict(seen, deterministic=True)
            observation, _, ended, truncated, information = tested.step(action)
            over = ended or truncated
        crawler = tested.crawler
        return {
            "lengths_per_min": round(60.0 * information["lengths"] / duration_s, 3),
            "sideways": round(float(crawler.position_m[1]) / crawler.length_m, 3),
        }
