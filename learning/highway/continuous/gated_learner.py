"""The gate in front of the target of a learner with continuous actions.

What stable-baselines3 does in ``train`` is kept whole: it samples from a replay that returns the
gated target as reward of a transition after which nothing follows.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from asterias.errors import UserError
from learning.highway.dqn.gates import GATES, gate_figures
from learning.highway.dqn.trajectory_buffer import TrajectoryBuffer, TrajectorySamples
from learning.highway.dqn.trajectory_learner import TrajectoryLearner


class GatedLearner(TrajectoryLearner):
    """A mixin before SAC or TD3.

    Attributes:
        gate: name in :data:`~learning.highway.dqn.gates.GATES`, one that compares targets.
        figures: means of what is logged, of the last call of :meth:`train`.
    """

    title: ClassVar[str]
    replay_class: ClassVar[type[TrajectoryBuffer]] = TrajectoryBuffer

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
        check_gate(gate, self.title)
        self.gate, self.figures = gate, dict[str, float]()
        super().__init__(
            policy,
            env,
            gamma=gamma,
            replay_buffer_class=self.replay_class,
            replay_buffer_kwargs={"depth": depth, "gamma": gamma},
            **kwargs,
        )

    @abstractmethod
    def bootstrap(self, observations: torch.Tensor) -> torch.Tensor:
        """Return the target networks' values ``(B, 1)`` of observations ``(B, ...)``."""

    def gated_target(
        self, batch: TrajectorySamples
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the target, what one step says and what the lookahead says, all ``(B, 1)``."""
        combine = GATES.get(self.gate).combine
        assert combine is not None
        with torch.no_grad():
            # One pass of the networks for both ends.
            ends = torch.cat([batch.near.next_observations, batch.far.next_observations])
            values = self.bootstrap(ends)
            near = batch.near.rewards + batch.near.discounts * values[: len(values) // 2]
            far = batch.far.rewards + batch.far.discounts * values[len(values) // 2 :]
            return combine(near, far), near, far

    def prepare(self, buffer: TrajectoryBuffer) -> None:
        """Tell the buffer what lookaheads depend on, before each batch."""

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Learn from so many batches, as the algorithm does, with the gate's targets."""
        buffer = self.replay_buffer
        assert isinstance(buffer, TrajectoryBuffer)
        gated = _GatedReplay(self, buffer)
        self.replay_buffer = gated  # type: ignore[assignment]
        try:
            super().train(gradient_steps, batch_size)
        finally:
            self.replay_buffer = buffer
        gains, raised = torch.cat(gated.gains), torch.cat(gated.raised)
        self.figures = gate_figures(gains, float(raised.mean()))
        for name, value in self.figures.items():
            self.logger.record(f"highway/{name}", value)


class _GatedReplay:
    """Samples of a buffer whose reward is the whole target."""

    def __init__(self, learner: GatedLearner, buffer: TrajectoryBuffer) -> None:
        self.learner, self.buffer = learner, buffer
        self.gains: list[torch.Tensor] = []
        self.raised: list[torch.Tensor] = []

    def sample(self, batch_size: int, env: VecNormalize | None = None) -> ReplayBufferSamples:
        """Return a batch of transitions after which nothing follows."""
        self.learner.prepare(self.buffer)
        batch: Any = self.buffer.sample(batch_size, env=env)
        target, near, far = self.learner.gated_target(batch)
        self.gains.append(far - near)
        self.raised.append(target - near)
        return ReplayBufferSamples(
            observations=batch.observations,
            actions=batch.actions,
            next_observations=batch.near.next_observations,
            dones=torch.ones_like(target),
            rewards=target,
            discounts=torch.zeros_like(target),
        )


def check_gate(gate: str, learner: str) -> None:
    """Refuse gates that need two heads of a Q-network.

    Raises:
        UserError: it is one, or there is no such gate.
    """
    if GATES.get(gate).combine is None:
        fitting = [name for name in GATES.names() if GATES.get(name).combine is not None]
        raise UserError(f"{learner} has no two heads; choose a gate of {', '.join(fitting)}.")
