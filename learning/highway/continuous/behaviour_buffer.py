"""A replay of trajectories that knows how likely its actions were when they were taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from stable_baselines3.common.vec_env import VecNormalize

from learning.highway.dqn.trajectory_buffer import TrajectoryBuffer


class BehaviourBuffer(TrajectoryBuffer):
    """A buffer of trajectories whose lookaheads pay the entropy of the behaviour on the way.

    Args:
        args: of the buffer.
        kwargs: of the buffer.

    Attributes:
        log_behaviour: ``(size, environments)`` log density of each action, scaled to -1 to 1.
        arriving: ``(environments,)`` those of the transition that is added next.
        temperature: weight of the entropy.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.log_behaviour = np.zeros((self.buffer_size, self.n_envs), np.float32)
        self.arriving = np.zeros(self.n_envs, np.float32)
        self.temperature = 0.0

    def add(self, *args: Any, **kwargs: Any) -> None:
        """Add a transition of each environment, with the density in :attr:`arriving`."""
        self.log_behaviour[self.pos] = self.arriving
        super().add(*args, **kwargs)

    def _paid(
        self, along: npt.NDArray[np.int64], lanes: npt.NDArray[np.int64], env: VecNormalize | None
    ) -> npt.NDArray[np.float32]:
        paid = super()._paid(along, lanes, env).astype(np.float32)
        # Q(s, a) has no entropy of its own first action.
        paid[:, 1:] -= self.temperature * self.log_behaviour[along, lanes][:, 1:]
        return paid
