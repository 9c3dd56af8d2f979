r"""Highway SAC: soft actor-critic with the highway gate (arXiv 2405.18289) before its target.

The paper has no entropy; this is how its gate fits SAC's soft values. With the temperature alpha,
following a behaviour b for the n - 1 actions after the first, and what is best from there on, is
worth::

    E_b [ sum_{i<n} gamma^i r_{t+i}  -  alpha sum_{0<i<n} gamma^i log b(a_{t+i} | s_{t+i})
          + gamma^n V(s_{t+n}) ],      V(s) = max_p E_{a~p} [ Q(s, a) - alpha log p(a | s) ]

where Q(s, a) has no entropy of its own first action. By the definition of V, ``E_{a~b} [Q - alpha
log b] <= V`` for every b, so that at the optimum no behaviour's lookahead is worth more than one
step, and the larger of both has the soft-optimal Q as its only fixed point, as without entropy.

That holds with the entropy of the *behaviour*, ``log b`` when the action was taken. Leaving the
terms out overestimates where a behaviour's differential entropy is negative; the present policy's
density ``log pi`` in place of ``log b`` overestimates always, by alpha KL(b || pi) a step. The
buffer therefore keeps ``log b``. For V, SAC has a sample of its policy, which is at most as large
on average::

    v(s) = min_j Q'_j(s, a) - alpha log pi(a | s),   a ~ pi( . | s)
    y1 = r_t + gamma v(s_{t+1})
    yn = sum_{i<n} gamma^i r_{t+i} - alpha sum_{0<i<n} gamma^i log b_{t+i} + gamma^n v(s_{t+n})
    y  = max(y1, yn)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.noise import ActionNoise

from asterias.errors import UserError
from learning.highway.continuous.behaviour_buffer import BehaviourBuffer
from learning.highway.continuous.gated_learner import GatedLearner
from learning.highway.dqn.trajectory_buffer import TrajectoryBuffer


class HighwaySAC(GatedLearner, SAC):
    """SAC with the highway gate in front of its one-step target.

    Args:
        policy: ``MlpPolicy``, ``CnnPolicy``, or a class.
        env: an environment with continuous actions and no dictionary of observations.
        depth: N, the largest lookahead; each is drawn from 1 to N.
        gate: ``samples``, or ``none``: n-step learning with a drawn depth.
        gamma: discount.
        kwargs: of stable-baselines3's SAC.
    """

    title = "Highway SAC"
    replay_class = BehaviourBuffer

    def __init__(self, policy: Any, env: Any, **kwargs: Any) -> None:
        if kwargs.get("action_noise") is not None or kwargs.get("use_sde"):
            raise UserError(
                "Highway SAC must know how likely its actions are: leave out action_noise and "
                "use_sde."
            )
        self._log_behaviour: npt.NDArray[np.float32] = np.zeros(1, np.float32)
        super().__init__(policy, env, **kwargs)

    @property
    def temperature(self) -> float:
        """Weight of the entropy now, alpha."""
        if self.log_ent_coef is not None:
            return float(self.log_ent_coef.detach().exp())
        return float(self.ent_coef_tensor)

    def bootstrap(self, observations: torch.Tensor) -> torch.Tensor:
        """Return the target networks' soft values ``(B, 1)``."""
        actions, log_density = self.actor.action_log_prob(observations)
        values = torch.cat(self.critic_target(observations, actions), 1).amin(1, keepdim=True)
        soft: torch.Tensor = values - self.temperature * log_density.reshape(-1, 1)
        return soft

    def prepare(self, buffer: TrajectoryBuffer) -> None:
        """Tell the buffer the temperature."""
        assert isinstance(buffer, BehaviourBuffer)
        buffer.temperature = self.temperature

    def _sample_action(
        self, learning_starts: int, action_noise: ActionNoise | None = None, n_envs: int = 1
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        if self.num_timesteps < learning_starts:
            # Uniform from -1 to 1 in each dimension: density 1/2 each.
            density = -math.log(2.0) * math.prod(self.action_space.shape or ())
            self._log_behaviour = np.full(n_envs, density, np.float32)
            return super()._sample_action(learning_starts, action_noise, n_envs)
        assert self._last_obs is not None and not isinstance(self._last_obs, dict)
        self.policy.set_training_mode(False)
        with torch.no_grad():
            seen, _ = self.policy.obs_to_tensor(self._last_obs)
            drawn, log_density = self.actor.action_log_prob(seen)
        scaled = drawn.cpu().numpy()
        self._log_behaviour = log_density.cpu().numpy().reshape(-1)
        return self.policy.unscale_action(scaled), scaled

    def _store_transition(self, replay_buffer: ReplayBuffer, *args: Any, **kwargs: Any) -> None:
        assert isinstance(replay_buffer, BehaviourBuffer)
        replay_buffer.arriving = self._log_behaviour
        super()._store_transition(replay_buffer, *args, **kwargs)
