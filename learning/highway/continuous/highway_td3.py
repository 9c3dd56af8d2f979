"""Highway TD3: twin delayed deep deterministic policy gradients with the gate before the target.

With clipped noise on the target policy's action, as in TD3, and target networks Q'::

    v(s) = min_j Q'_j(s, clip(pi'(s) + noise))
    y    = max(r_t + gamma v(s_{t+1}),  sum_{i<n} gamma^i r_{t+i} + gamma^n v(s_{t+n}))
"""

from __future__ import annotations

import torch
from stable_baselines3 import TD3

from learning.highway.continuous.gated_learner import GatedLearner


class HighwayTD3(GatedLearner, TD3):
    """TD3 with the highway gate (arXiv 2405.18289) in front of its one-step target.

    Args:
        policy: ``MlpPolicy``, ``CnnPolicy``, or a class.
        env: an environment with continuous actions and no dictionary of observations.
        depth: N, the largest lookahead; each is drawn from 1 to N.
        gate: ``samples``, or ``none``: n-step learning with a drawn depth.
        gamma: discount.
        kwargs: of stable-baselines3's TD3.
    """

    title = "Highway TD3"

    def bootstrap(self, observations: torch.Tensor) -> torch.Tensor:
        """Return the target networks' values ``(B, 1)``."""
        actions = self.actor_target(observations)
        noise = torch.randn_like(actions) * self.target_policy_noise
        clip = self.target_noise_clip
        actions = (actions + noise.clamp(-clip, clip)).clamp(-1.0, 1.0)
        values: torch.Tensor = torch.cat(self.critic_target(observations, actions), 1)
        return values.amin(1, keepdim=True)
