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
from stable_baselines3 import DQN

from asterias.errors import UserError
from learning.highway.dqn.gates import GATES, GateResult, gate_figures
from learning.highway.dqn.trajectory_buffer import TrajectoryBuffer, TrajectorySamples
from learning.highway.dqn.trajectory_learner import TrajectoryLearner
from learning.highway.dqn.two_heads import TwoHeadPolicy


class HighwayDQN(TrajectoryLearner, DQN):
    """DQN with the highway gate in front of its one-step target.

    Args:
        policy: ``MlpPolicy``, ``CnnPolicy``, or a class.
        env: an environment with discrete actions and no dictionary of observations.
        depth: N, the largest lookahead.
        least_depth: depths are drawn from this one to N.
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
        least_depth: int = 1,
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
            replay_buffer_kwargs={"depth": depth, "least_depth": least_depth, "gamma": gamma},
            **kwargs,
        )

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
        with torch.no_grad():  # one pass of the network for both ends
            ends = torch.cat([batch.near.next_observations, batch.far.next_observations])
            best = self.q_net_target(ends).amax(1, keepdim=True)
            near = batch.near.rewards + batch.near.discounts * best[: len(best) // 2]
            far = batch.far.rewards + batch.far.discounts * best[len(best) // 2 :]
        gate = GATES.get(self.gate)
        return gate.apply(self.q_net, batch.observations, batch.actions.long(), near, far)

    def _record(self, losses: list[float], results: list[GateResult]) -> None:
        gains = torch.cat([result.gains for result in results])
        self.figures = gate_figures(gains, float(np.mean([result.raised for result in results])))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", float(np.mean(losses)))
        for name, value in self.figures.items():
            self.logger.record(f"highway/{name}", value)
