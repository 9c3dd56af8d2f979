"""The environments of a training whose worlds are moved together, as stable-baselines3 wants them.

An episode's numbers are those that :class:`~stable_baselines3.common.vec_env.DummyVecEnv` of the
same environments gives, and so are the weights learned from them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.vector.utils import concatenate, create_empty_array
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from learning.target_finding.env.environment import TargetFindingEnv
from learning.training.lockstep_env import LockstepEnvs


class LockstepVecEnv(VecEnv):
    """Many searching limbs in step, which note their episodes as ``Monitor`` does.

    Args:
        make: makes one environment.
        count: how many.
        cap: episodes take so many steps even when the target is found before, the rest of which
            moves nothing (:class:`~learning.target_finding.algorithms.episodes.Padded`); 0: they
            end as they end.
    """

    def __init__(self, make: Callable[[], TargetFindingEnv], count: int, cap: int = 0) -> None:
        self.worlds = LockstepEnvs(make, count)
        self.envs: list[Any] = list(self.worlds.envs)
        self.render_mode = None
        super().__init__(count, self.envs[0].observation_space, self.envs[0].action_space)
        self._cap = cap
        self._last: list[Any] = [None] * count
        self._actions: Any = None
        self._rewards: list[list[float]] = [[] for _ in range(count)]
        self._empty = [0] * count
        self._began_s = time.time()

    def reset(self) -> Any:
        """Return the first observations, of the seeds given by :meth:`seed`, if any."""
        begun = self.worlds.reset(list(enumerate(self._seeds)))
        self.reset_infos = [dict(info) for _, info in begun]
        self._last = [observation for observation, _ in begun]
        self._rewards = [[] for _ in self.envs]
        self._empty = [0] * self.num_envs
        self._reset_seeds()
        self._reset_options()
        return self._together()

    def step_async(self, actions: Any) -> None:
        """Take the actions."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all worlds; those whose episode ended begin another.

        Returns:
            Observations, rewards, ends and information.
        """
        rewards = np.zeros(self.num_envs, np.float32)
        dones = np.zeros(self.num_envs, np.bool_)
        infos: list[dict[str, Any]] = [{} for _ in self.envs]
        moving = [i for i in range(self.num_envs) if not self._empty[i]]
        stepped = self.worlds.step([(i, self._actions[i]) for i in moving])
        for i, (self._last[i], reward, terminated, truncated, info) in zip(
            moving, stepped, strict=True
        ):
            self._rewards[i].append(reward)
            rewards[i], dones[i], infos[i] = reward, terminated or truncated, info
            info["TimeLimit.truncated"] = truncated and not terminated and not self._cap
            if dones[i]:
                info["episode"] = self._episode(i, info)
                info["terminal_observation"] = self._last[i]
        self._pad(moving, dones, infos)
        self._begin_again([i for i in range(self.num_envs) if dones[i] and not self._empty[i]])
        return self._together(), rewards, dones, infos

    def _pad(self, moving: Sequence[int], dones: Any, infos: list[dict[str, Any]]) -> None:
        """Count the steps that move nothing, and begin those of episodes that have just ended."""
        for i in set(range(self.num_envs)) - set(moving):
            self._empty[i] -= 1
            dones[i] = True
            infos[i] = {"empty": True, "TimeLimit.truncated": False}
            infos[i]["terminal_observation"] = self._last[i]
        for i in moving:
            if dones[i] and self._cap:
                self._empty[i] = self._cap - len(self._rewards[i])

    def _begin_again(self, ended: Sequence[int]) -> None:
        begun = self.worlds.reset([(i, None) for i in ended])
        for i, (observation, info) in zip(ended, begun, strict=True):
            self._last[i], self.reset_infos[i], self._rewards[i] = observation, dict(info), []

    def _episode(self, number: int, info: dict[str, Any]) -> dict[str, Any]:
        rewards = self._rewards[number]
        passed_s = round(time.time() - self._began_s, 6)
        about = {"r": round(sum(rewards), 6), "l": len(rewards), "t": passed_s}
        return {**about, "found": info["found"]}

    def _together(self) -> Any:
        space = self.envs[0].observation_space
        empty: Any = create_empty_array(space, n=self.num_envs)
        return concatenate(space, self._last, empty)

    def close(self) -> None:
        """Close all worlds."""
        self.worlds.close()

    # -- what stable-baselines3 asks ------------------------------------------------------------

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute; times are of all worlds together."""
        if attr_name in ("simulate_s", "render_s"):
            spent = self.worlds.lockstep.spent
            alone = sum(getattr(env, attr_name) for env in self.envs)
            return [getattr(spent, attr_name) + alone for _ in self._get_indices(indices)]
        return [getattr(self.envs[i], attr_name) for i in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of some environments."""
        for i in self._get_indices(indices):
            setattr(self.envs[i], attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of some environments.

        Returns:
            What each returns.
        """
        return [
            getattr(self.envs[i], method_name)(*method_args, **method_kwargs)
            for i in self._get_indices(indices)
        ]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Return False for each: they are not wrapped."""
        return [False for _ in self._get_indices(indices)]
