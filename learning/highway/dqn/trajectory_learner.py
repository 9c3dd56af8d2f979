"""What all learners from trajectories share, in front of stable-baselines3's classes."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import MaybeCallback

from asterias.errors import UserError
from learning.highway.dqn.trajectory_buffer import TrajectoryBuffer


class TrajectoryLearner(OffPolicyAlgorithm):
    """A learner whose replay is a :class:`TrajectoryBuffer`; a mixin before an algorithm."""

    def _setup_model(self) -> None:
        if isinstance(self.observation_space, spaces.Dict):
            name = type(self).__name__
            raise UserError(f"{name} takes no dictionary of observations; flatten it first.")
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
