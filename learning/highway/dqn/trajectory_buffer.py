"""A replay of trajectories: one step and a lookahead of drawn depth from each transition.

Stable-baselines3 keeps the transitions of each environment in order, so that its buffer holds
trajectories already; this one reads them as such. A lookahead ends with its episode: at the end of
a task nothing follows, at a time limit the last state is bootstrapped from.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import VecNormalize

from asterias.errors import UserError


class Lookahead(NamedTuple):
    """Where so many steps lead, for B transitions.

    Attributes:
        rewards: ``(B, 1)`` discounted sum on the way.
        next_observations: ``(B, ...)`` at the end.
        discounts: ``(B, 1)`` of what comes after: 0 where the task ended.
    """

    rewards: torch.Tensor
    next_observations: torch.Tensor
    discounts: torch.Tensor


class TrajectorySamples(NamedTuple):
    """A batch of B transitions with both lookaheads.

    Attributes:
        observations: ``(B, ...)``.
        actions: ``(B, ...)`` as stored.
        near: one step.
        far: as many steps as were drawn, and as the episode has.
    """

    observations: torch.Tensor
    actions: torch.Tensor
    near: Lookahead
    far: Lookahead


class TrajectoryBuffer(ReplayBuffer):
    """A replay buffer that samples :class:`TrajectorySamples`.

    Args:
        args: of stable-baselines3's buffer.
        depth: largest lookahead N; each is drawn uniformly from the least one to N.
        least_depth: 1, or as large as N, where all shall be of that depth.
        gamma: discount.
        kwargs: of stable-baselines3's buffer.
    """

    def __init__(
        self,
        *args: Any,
        depth: int = 20,
        least_depth: int = 1,
        gamma: float = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if depth < 1:
            raise UserError(f"The depth of a lookahead must be 1 or more, not {depth}.")
        if not 1 <= least_depth <= depth:
            raise UserError(f"The least depth must be from 1 to {depth}, not {least_depth}.")
        if self.optimize_memory_usage:
            raise UserError("A buffer of trajectories needs optimize_memory_usage=False.")
        self.depth, self.least_depth, self.gamma = depth, least_depth, gamma

    def _get_samples(  # type: ignore[override]
        self, batch_inds: npt.NDArray[np.int64], env: VecNormalize | None = None
    ) -> TrajectorySamples:
        lanes = np.random.randint(0, self.n_envs, size=batch_inds.shape)
        depths = np.random.randint(self.least_depth, self.depth + 1, size=batch_inds.shape)
        observations = self._normalize_obs(self.observations[batch_inds, lanes], env)
        return TrajectorySamples(
            self.to_torch(observations),  # type: ignore[arg-type]
            self.to_torch(self.actions[batch_inds, lanes]),
            self._look(batch_inds, lanes, np.ones_like(depths), env),
            self._look(batch_inds, lanes, depths, env),
        )

    def _look(
        self,
        rows: npt.NDArray[np.int64],
        lanes: npt.NDArray[np.int64],
        depths: npt.NDArray[np.int64],
        env: VecNormalize | None,
    ) -> Lookahead:
        steps = np.arange(int(depths.max()))
        along = (rows[:, None] + steps) % self.buffer_size
        # Behind the newest transition lies the oldest one, of another episode.
        ends = (self.dones[along, lanes[:, None]] > 0) | (along == self._newest)
        first = np.where(ends.any(1), ends.argmax(1), len(steps) - 1)
        taken = np.minimum(first, depths - 1)  # index of the last step
        powers = self.gamma ** np.arange(len(steps) + 1, dtype=np.float32)
        rewards = self._paid(along, lanes[:, None], env)
        summed = (rewards * powers[:-1] * (steps <= taken[:, None])).sum(1, keepdims=True)
        last = (rows + taken) % self.buffer_size
        over = self.dones[last, lanes] * (1 - self.timeouts[last, lanes])
        reached = self._normalize_obs(self.next_observations[last, lanes], env)
        return Lookahead(
            self.to_torch(summed.astype(np.float32)),
            self.to_torch(reached),  # type: ignore[arg-type]
            self.to_torch((powers[taken + 1] * (1 - over)).astype(np.float32)[:, None]),
        )

    def _paid(
        self, along: npt.NDArray[np.int64], lanes: npt.NDArray[np.int64], env: VecNormalize | None
    ) -> npt.NDArray[np.float32]:
        """Return what each step of the lookaheads pays, ``(B, steps)``."""
        return self._normalize_reward(self.rewards[along, lanes], env)

    def truncate_last_trajectory(self) -> None:
        """End the last trajectories as a time limit does, before the environments are reset."""
        if self.pos or self.full:
            over = self.dones[self._newest] > 0
            self.timeouts[self._newest] = np.where(over, self.timeouts[self._newest], 1)
            self.dones[self._newest] = 1

    @property
    def _newest(self) -> int:
        return (self.pos - 1) % self.buffer_size
