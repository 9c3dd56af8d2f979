"""Environments whose worlds are moved and drawn together, by Gymnasium's contract for vectors.

What an environment must have for that is in :class:`LockstepEnv`: its episodes as courses
(:mod:`sim.vectorised.lockstep`). Its numbers are then those that it has alone, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, Protocol

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from asterias.arrays import BoolArray
from asterias.errors import UserError
from sim.vectorised.lockstep import Course, Lockstep
from sim.vectorised.worlds import WorldBatch
from sim.world import SimWorld

Step = tuple[Any, float, bool, bool, dict[str, Any]]


class LockstepEnv(Protocol):
    """An environment of one world whose calls can be run in step with those of others."""

    world: SimWorld
    metadata: dict[str, Any]
    render_mode: str | None
    observation_space: gymnasium.spaces.Space[Any]
    action_space: gymnasium.spaces.Space[Any]

    def resetting(self, seed: int | None = None) -> Course[tuple[Any, dict[str, Any]]]:
        """Do as ``reset``, and yield where time has to pass."""

    def stepping(self, action: Any) -> Course[Step]:
        """Do as ``step``, and yield where time has to pass."""

    def render(self) -> Any:
        """Return a picture, or None."""


class LockstepEnvs:
    """Environments and the batch of their worlds.

    Args:
        make: makes one; called ``count`` times.
        count: of environments.
        threads: that share the work; None: one for each core.

    Raises:
        UserError: fewer than one, or the environment's episodes cannot be run in step.
    """

    def __init__(self, make: Callable[[], Any], count: int, threads: int | None = None) -> None:
        if count < 1:
            raise UserError(f"There must be 1 world or more, not {count}.")
        self.envs: list[LockstepEnv] = [make() for _ in range(count)]
        first = getattr(self.envs[0], "unwrapped", self.envs[0])
        if not hasattr(self.envs[0], "stepping"):
            raise UserError(
                f"{type(first).__name__} has no worlds that run in step; use processes."
            )
        self.lockstep = Lockstep(WorldBatch([env.world for env in self.envs], threads))

    def reset(self, seeds: Sequence[tuple[int, int | None]]) -> list[tuple[Any, dict[str, Any]]]:
        """Reset some environments, given by number with their seeds.

        Returns:
            Observation and information of each.
        """
        return self.lockstep.run([(i, self.envs[i].resetting(seed)) for i, seed in seeds])

    def step(self, actions: Sequence[tuple[int, Any]]) -> list[Step]:
        """Step some environments, given by number with their actions.

        Returns:
            What the step of each returns.
        """
        return self.lockstep.run([(i, self.envs[i].stepping(action)) for i, action in actions])

    def close(self) -> None:
        """Close all worlds."""
        self.lockstep.batch.close()


class LockstepVectorEnv(VectorEnv[Any, Any, Any]):
    """Environments in step, as ``gymnasium.make_vec`` returns them.

    Seeds, spaces, infos and the three autoreset modes are those of
    :class:`gymnasium.vector.SyncVectorEnv`; in the mode ``SameStep`` the last observation and
    information of an episode are in ``infos`` as ``final_obs`` and ``final_info``.

    Args:
        make: makes one environment.
        num_envs: how many.
        autoreset_mode: ``NextStep``, ``SameStep`` or ``Disabled``.
        threads: that share the work; None: one for each core.
        copy: observations are copies, which later steps do not change.

    Raises:
        UserError: there is no such mode, or what :class:`LockstepEnvs` refuses.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        num_envs: int = 1,
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        threads: int | None = None,
        copy: bool = True,
    ) -> None:
        super().__init__()
        try:
            mode = AutoresetMode(autoreset_mode)
        except ValueError:
            named = ", ".join(str(mode.value) for mode in AutoresetMode)
            raise UserError(f"autoreset_mode must be one of {named}.") from None
        self.worlds = LockstepEnvs(make, num_envs, threads)
        self.envs = self.worlds.envs
        first = self.envs[0]
        self.num_envs, self.copy, self.autoreset_mode = num_envs, copy, mode
        self.metadata = {**first.metadata, "autoreset_mode": mode}
        self.render_mode = first.render_mode
        self.single_observation_space = first.observation_space
        self.single_action_space = first.action_space
        self.observation_space = batch_space(first.observation_space, num_envs)
        self.action_space = batch_space(first.action_space, num_envs)
        self._last: list[Any] = [None] * num_envs
        self._observations: Any = create_empty_array(
            first.observation_space, n=num_envs, fn=np.zeros
        )
        self._ended = np.zeros(num_envs, np.bool_)

    # -- Gymnasium ------------------------------------------------------------------------------

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Reset all environments, or those of ``options["reset_mask"]``, ``(n,)`` bool.

        Args:
            seed: of each; a number is that of the first, and the others count on from it.
            options: may hold the mask.

        Returns:
            Observations, and information on the episodes.

        Raises:
            ValueError: seeds or mask are not as many as the environments, or the mask is empty.
        """
        seeds = self._seeds(seed)
        mask = np.ones(self.num_envs, np.bool_)
        if options is not None and "reset_mask" in options:
            mask = np.asarray(options["reset_mask"])
            if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
                raise ValueError(
                    f"reset_mask must hold {self.num_envs} truth values, at least one of them true."
                )
        chosen = [int(i) for i in np.flatnonzero(mask)]
        infos: dict[str, Any] = {}
        begun = self.worlds.reset([(i, seeds[i]) for i in chosen])
        for i, (observation, info) in zip(chosen, begun, strict=True):
            self._last[i], self._ended[i] = observation, False
            infos = self._add_info(infos, info, i)
        return self._together(), infos

    def step(
        self, actions: Any
    ) -> tuple[Any, npt.NDArray[np.float64], BoolArray, BoolArray, dict[str, Any]]:
        """Step all environments at once; what ended is reset as the autoreset mode says.

        Returns:
            Observations, rewards, which episodes ended, which were truncated, and information.

        Raises:
            gymnasium.error.ResetNeeded: an episode ended that nobody has reset.
        """
        given = list(iterate(self.action_space, actions))
        ended = self._ended.copy()
        if self.autoreset_mode is AutoresetMode.DISABLED and ended.any():
            raise gymnasium.error.ResetNeeded(
                f"Episodes {np.flatnonzero(ended).tolist()} have ended: reset them by reset_mask."
            )
        rewards = np.zeros(self.num_envs)
        terminated, truncated = (np.zeros(self.num_envs, np.bool_) for _ in range(2))
        infos_of: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        stepped = self._resets_or_steps(given, ended)
        for i, (self._last[i], rewards[i], terminated[i], truncated[i], info) in enumerate(stepped):
            infos_of[i] = info
        self._ended = terminated | truncated
        infos: dict[str, Any] = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP and self._ended.any():
            infos = self._begin_again(infos_of)
        for i, info in enumerate(infos_of):
            infos = self._add_info(infos, info, i)
        return self._together(), rewards, terminated, truncated, infos

    def render(self) -> tuple[Any, ...] | None:
        """Return a picture of each world."""
        return tuple(env.render() for env in self.envs)

    def close_extras(self, **kwargs: Any) -> None:
        """Close all worlds."""
        self.worlds.close()

    # -- parts ----------------------------------------------------------------------------------

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return what each environment's method, or attribute, of a name gives."""
        found = [getattr(env, name) for env in self.envs]
        return tuple(one(*args, **kwargs) if callable(one) else one for one in found)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return each environment's attribute of a name."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set each environment's attribute, to one value or to as many as there are.

        Raises:
            ValueError: there are not as many.
        """
        given = values if isinstance(values, list | tuple) else [values] * self.num_envs
        if len(given) != self.num_envs:
            raise ValueError(f"{len(given)} values for {self.num_envs} environments.")
        for env, value in zip(self.envs, given, strict=True):
            setattr(env, name, value)

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            return [int(seed) + i for i in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"{len(seed)} seeds for {self.num_envs} environments.")
        return list(seed)

    def _resets_or_steps(self, actions: Sequence[Any], ended: BoolArray) -> list[Step]:
        """Step the environments whose episodes go on, and reset the others, all in step.

        Returns:
            What each step returns.
        """
        courses = [
            (i, _as_step(env.resetting()) if ended[i] else env.stepping(actions[i]))
            for i, env in enumerate(self.envs)
        ]
        return self.worlds.lockstep.run(courses)

    def _begin_again(self, infos_of: list[dict[str, Any]]) -> dict[str, Any]:
        """Reset what ended, and return what was last seen of it.

        Returns:
            The first part of the step's information.
        """
        infos: dict[str, Any] = {}
        chosen = [int(i) for i in np.flatnonzero(self._ended)]
        begun = self.worlds.reset([(i, None) for i in chosen])
        for i, (observation, info) in zip(chosen, begun, strict=True):
            last = {"final_obs": self._last[i], "final_info": infos_of[i]}
            infos = self._add_info(infos, last, i)
            self._last[i], infos_of[i] = observation, info
        self._ended[:] = False
        return infos

    def _together(self) -> Any:
        self._observations = concatenate(
            self.single_observation_space, self._last, self._observations
        )
        return deepcopy(self._observations) if self.copy else self._observations


def _as_step(resetting: Course[tuple[Any, dict[str, Any]]]) -> Course[Step]:
    """Reset in the form of a step that gives nothing, as ``NextStep`` has it.

    Returns:
        What a step returns.

    Yields:
        What is waited for.
    """
    observation, info = yield from resetting
    return observation, 0.0, False, False, info
