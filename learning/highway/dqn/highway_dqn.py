"""Highway DQN (arXiv 2405.18289), used like stable-baselines3's DQN.

The paper's listing and hyper-parameters could not be had; this follows its operator. From each
transition drawn, one step and a lookahead whose depth is drawn from 1 to N give two targets::

    y1 = r_t + gamma max_a Q'(s_{t+1}, a)
    yn = sum_{i<n} gamma^i r_{t+i} + gamma^n max_a Q'(s_{t+n}, a)

and a gate decides (:mod:`learning.highway.dqn.gates`). Logged beside DQN's figures:
``highway/open_gates``, the share of lookaheads that are worth more than one step;
``highway/mean_gain``, by how much those are; ``highway/raised``, by how much targets exceed
one-step targets on average, the monitor of upward bias.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import MaybeCallback

from asterias.errors import UserError
from learning.highway.dqn.gates import GATES, GateResult
from learning.highway.dqn.trajectory_buffer import Lookahead, TrajectoryBuffer, TrajectorySamples
from learning.highway.dqn.two_heads import TwoHeadPolicy


class HighwayDQN(DQN):
    """DQN with the highway gate in front of its one-step target.

    Args:
        policy: ``MlpPolicy``, ``CnnPolicy``, or a class.
        env: an environment with discrete actions and no dictionary of observations.
        depth: N, the largest lookahead.
        gate: name in :data:`~learning.highway.dqn.gates.GATES`.
        gamma: discount.
        kwargs: of stable-baselines3's DQN.

    Attributes:
        figures: means of what is logged, of the last call of :meth:`train`.
    """

    def __init__(
        self,
        policy: Any,
        env: Any,
        *,
        depth: int = 20,
        gate: str = "samples",
        gamma: float = 0.99,
        **kwargs: Any,
    ) -> None:
        self.gate, self.figures = gate, dict[str, float]()
        if GATES.get(gate).two_heads and isinstance(policy, str):
            if policy != "MlpPolicy":
                raise UserError(f"The gate {gate} takes MlpPolicy, not {policy}.")
            policy = TwoHeadPolicy
        super().__init__(
            policy,
            env,
            gamma=gamma,
            replay_buffer_class=TrajectoryBuffer,
            replay_buffer_kwargs={"depth": depth, "gamma": gamma},
            **kwargs,
        )

    def _setup_model(self) -> None:
        if isinstance(self.observation_space, spaces.Dict):
            raise UserError("Highway DQN takes no dictionary of observations; flatten it first.")
        super()._setup_model()

    def _setup_learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        reset_num_timesteps: bool = True,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[int, BaseCallback]:
        if reset_num_timesteps or self._last_obs is None:  # the environment is reset
            assert isinstance(self.replay_buffer, TrajectoryBuffer)
            self.replay_buffer.truncate_last_trajectory()
        return super()._setup_learn(total_timesteps, callback, reset_num_timesteps, *args, **kwargs)

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Learn from so many batches, as DQN does, with the gate's targets."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        losses, results = [], []
        for _ in range(gradient_steps):
            result = self._gated(self._sample(batch_size))
            self.policy.optimizer.zero_grad()
            result.loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
            losses.append(result.loss.item())
            results.append(result)
        self._n_updates += gradient_steps
        self._record(losses, results)

    def _sample(self, batch_size: int) -> TrajectorySamples:
        assert isinstance(self.replay_buffer, TrajectoryBuffer)
        samples: Any = self.replay_buffer.sample(batch_size, env=self._vec_normalize_env)
        return samples  # type: ignore[no-any-return]

    def _gated(self, batch: TrajectorySamples) -> GateResult:
        near, far = self._target(batch.near), self._target(batch.far)
        gate = GATES.get(self.gate)
        return gate.apply(self.q_net, batch.observations, batch.actions.long(), near, far)

    def _target(self, ahead: Lookahead) -> torch.Tensor:
        """Return ``(B, 1)`` targets."""
        with torch.no_grad():
            best = self.q_net_target(ahead.next_observations).amax(1, keepdim=True)
            target: torch.Tensor = ahead.rewards + ahead.discounts * best
            return target

    def _record(self, losses: list[float], results: list[GateResult]) -> None:
        gains = torch.cat([result.gains for result in results])
        is_open = gains > 1e-6  # less is rounding of float32
        passed = gains[is_open]
        self.figures = {
            "open_gates": float(is_open.float().mean()),
            "mean_gain": float(passed.mean()) if passed.numel() else 0.0,
            "raised": float(np.mean([result.raised for result in results])),
        }
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", float(np.mean(losses)))
        for name, value in self.figures.items():
            self.logger.record(f"highway/{name}", value)
