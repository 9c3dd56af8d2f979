"""PPO of stable-baselines3 on many whole-body searches at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv

from learning.starfish.body_sight import BodySight
from learning.starfish.episodes import views_of_limbs
from learning.starfish.policy import BodyPolicy
from learning.starfish.searches import BodySearches
from learning.starfish.settings import GAMMA, LONGEST, WITHIN, BodyTraining, OnBodyProgress

_SEARCHES, _TARGETS = 96, 24


class SearchVecEnv(VecEnv):
    """Searches as stable-baselines3 takes them; limbs that share a policy are robots of their own.

    All searches end together, after :data:`LONGEST` steps.

    Args:
        searches: all of them.
        sharing: ``limbs`` or ``body``.
    """

    def __init__(self, searches: BodySearches, sharing: str) -> None:
        self.searches, self.sharing = searches, sharing
        self._each = searches.sight.limbs if sharing == "limbs" else 1
        self.found: list[float] = []
        size = self._told(searches.observation()).shape[1]
        moves = searches.sight.joints * (1 if sharing == "limbs" else searches.sight.limbs)
        super().__init__(
            searches.count * self._each,
            spaces.Box(-np.inf, np.inf, (size,), np.float32),
            spaces.Box(-1.0, 1.0, (moves,), np.float32),
        )
        self._action = np.zeros((self.num_envs, moves), np.float32)

    def _told(self, observation: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if self.sharing == "body":
            return observation
        views = views_of_limbs(observation, self.searches.sight.limbs)
        return views.reshape(-1, views.shape[-1])

    def reset(self) -> npt.NDArray[np.float32]:
        """Begin all searches.

        Returns:
            What each policy is told.
        """
        return self._told(self.searches.reset())

    def step_async(self, actions: npt.NDArray[np.float32]) -> None:
        """Take the actions of the next step."""
        self._action = actions

    def step_wait(self) -> Any:
        """Return what the step has brought, to each limb what nobody else would have found."""
        searches, sight = self.searches, self.searches.sight
        action = self._action.reshape(searches.count, sight.limbs, sight.joints)
        observation, gained = searches.step(action.astype(np.float64))
        if searches.steps[0] == WITHIN:
            self.found.append(1.0 - float(searches.left.mean()))
        is_over = bool(searches.steps[0] >= LONGEST)
        if is_over:
            observation = searches.reset()
        reward = gained[:, 1:].ravel() if self.sharing == "limbs" else gained[:, 0]
        done = np.full(self.num_envs, is_over)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        return self._told(observation), reward.astype(np.float32), done, infos

    def close(self) -> None:
        """Do nothing: arrays free themselves."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute, once for each search."""
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute."""
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> Any:
        """Call a method, once for all.

        Returns:
            What it returns, once for each search.
        """
        return [getattr(self, method_name)(*args, **kwargs)] * self.num_envs

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Return that nothing is."""
        return [False] * self.num_envs


def train_ppo(training: BodyTraining, sight: BodySight, told: OnBodyProgress) -> BodyPolicy:
    """Return a policy learned by PPO."""
    searches = BodySearches(sight, training.settings, _SEARCHES, _TARGETS, training.seed)
    environments = SearchVecEnv(searches, training.sharing)
    each = environments.num_envs // searches.count
    rollout = 2 * LONGEST
    model = PPO(
        "MlpPolicy",
        environments,
        n_steps=rollout,
        batch_size=environments.num_envs * rollout // 8,
        n_epochs=6,
        gamma=GAMMA,
        gae_lambda=0.95,
        learning_rate=lambda left: 1e-3 * left,
        policy_kwargs={"net_arch": list(training.hidden), "log_std_init": -0.7},
        seed=training.seed,
        device="cpu",
    )

    def on_step(local: dict[str, Any], _: dict[str, Any]) -> bool:
        done = model.num_timesteps // each
        if done % (searches.count * rollout) == 0:
            told(min(done, training.steps), float(np.mean(environments.found[-20:])))
        return True

    model.learn(training.steps * each, callback=on_step)
    net: Any = model.policy
    linear = [layer for layer in net.mlp_extractor.policy_net if hasattr(layer, "weight")]
    return training.policy_of([*linear, net.action_net], sight.limbs)
