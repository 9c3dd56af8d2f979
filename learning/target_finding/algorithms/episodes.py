"""What stands between the task and a learner: padded episodes, encoded tiles, timing."""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from learning.target_finding.policies.encoder import TileEncoder


class Padded(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Episodes that all take the cap's steps, as in the authors' code.

    The steps after the end move nothing and give nothing, but a learner counts and learns from
    them; and missing the target in time is an end like finding it.

    Args:
        environment: the task, or a wrapper of it.
        cap: steps of an episode.
    """

    def __init__(self, environment: gymnasium.Env[Any, Any], cap: int) -> None:
        super().__init__(environment)
        self._cap = cap
        self._steps = self._empty = 0
        self._last: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Return a new episode, or the next empty step of the last one."""
        if seed is None and self._empty:
            return self._last, {}
        self._steps = self._empty = 0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        """Return a step of the task, or an empty one."""
        if self._empty:
            self._empty -= 1
            return self._last, 0.0, True, False, {"empty": True}
        observation, reward, found, truncated, info = self.env.step(action)
        self._steps += 1
        if found or truncated:
            self._empty, self._last = self._cap - self._steps, observation
        return observation, reward, found or truncated, False, info


class Encoded(VecEnvWrapper):
    """Shows a learner what an encoder makes of the tiles."""

    def __init__(self, venv: VecEnv, encoder: TileEncoder) -> None:
        space = gymnasium.spaces.Box(-np.inf, np.inf, (encoder.joints,), np.float32)
        super().__init__(venv, observation_space=space)
        self._encoder = encoder

    def reset(self) -> Any:
        """Return what the wrapped ones return."""
        return self._encoder.features(np.asarray(self.venv.reset()))

    def step_wait(self) -> VecEnvStepReturn:
        """Return what the wrapped ones return."""
        tiles, rewards, dones, infos = self.venv.step_wait()
        for info in infos:
            if "terminal_observation" in info:
                last = self._encoder.features(info["terminal_observation"])
                info["terminal_observation"] = last
        return self._encoder.features(np.asarray(tiles)), rewards, dones, infos


class Timed(VecEnvWrapper):
    """Adds up the wall time that a learner waits for its environments, in ``waited_s``."""

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.waited_s = 0.0

    def reset(self) -> Any:
        """Return what the wrapped ones return."""
        began = time.perf_counter()
        observations = self.venv.reset()
        self.waited_s += time.perf_counter() - began
        return observations

    def step_async(self, actions: Any) -> None:
        """As the wrapped ones; with one process the work is done in the wait."""
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        """Return what the wrapped ones return."""
        began = time.perf_counter()
        back = self.venv.step_wait()
        self.waited_s += time.perf_counter() - began
        return back
