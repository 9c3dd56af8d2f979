"""The learner that all algorithms of policy search are: used like one of stable-baselines3.

``learn``, ``predict``, ``save``, ``load``, callbacks and loggers are as there. What is saved is a
``.safetensors`` file with a card beside it, nothing is unpickled, and a learner that was loaded
goes on exactly as the one that was saved: also after ``kill -9``, with ``learn(checkpoint=...)``.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ConvertCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import configure_logger

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import progress_bars
from learning.policy_search.common.architecture import PolicyArchitecture
from learning.policy_search.common.policy_model import TRAINING, SearchedPolicy
from learning.policy_search.common.rollouts import AnyEnv, MakeEnv, PolicyEpisode
from learning.target_finding.algorithms.checkpoint import load_state, save_state
from learning.target_finding.policies.weight_files import read_card

Search = TypeVar("Search", bound="PolicySearch")
StepFunction = Callable[[dict[str, Any], dict[str, Any]], bool]
Callbacks = BaseCallback | Sequence[BaseCallback] | StepFunction | None

# Episodes whose mean stands in the log, as in stable-baselines3.
_RECENT = 100


class PolicySearch(SearchedPolicy, ABC):
    """A learner over whole policies.

    Args:
        policy: ``LinearPolicy`` or ``MlpPolicy``.
        env: name of an environment of Gymnasium, an environment, or a function that makes one.
        seed: of everything.
        processes: that simulate, 1 for this one; any number gives the same numbers.
        worlds: that this process moves together in one loop, in place of processes; 0: none.
        verbose: 1 prints the log.
        tensorboard_log: folder for curves.
        architecture: of the policy, where it is known already.
        options: fields of :class:`SearchOptions` and of the algorithm's own ``settings_class``.

    Attributes:
        num_timesteps, num_episodes: of training so far.
        wall_s: seconds that learning took so far, evaluations and savings apart.
        figures: what the last iteration told, by name, such as ``ess``.

    Raises:
        UserError: an option is unknown, or the environment does not fit.
    """

    def __init__(
        self,
        policy: str = "LinearPolicy",
        env: str | AnyEnv | MakeEnv = "CartPole-v1",
        *,
        seed: int = 0,
        processes: int = 1,
        worlds: int = 0,
        verbose: int = 0,
        tensorboard_log: str | None = None,
        architecture: PolicyArchitecture | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            policy,
            env,
            seed=seed,
            processes=processes,
            worlds=worlds,
            architecture=architecture,
            options=options,
        )
        self.verbose, self.tensorboard_log = verbose, tensorboard_log
        self.num_timesteps = self.num_episodes = self.num_iterations = 0
        self.returns: list[float] = []
        self.lengths: list[int] = []
        self.figures: dict[str, float] = {}
        self.wall_s = 0.0
        self._logger: Logger | None = None
        self._stopped = False
        self._callback: BaseCallback | None = None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._set_up()

    # -- what an algorithm is -----------------------------------------------------------------

    @abstractmethod
    def _set_up(self) -> None:
        """Make what is learned, ``theta`` among it; PyTorch's draws are seeded."""

    @abstractmethod
    def _iterate(self) -> None:
        """Run a batch of episodes by :meth:`run_policies`, and learn from it."""

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """Return the algorithm's own state: nested dictionaries of tensors, arrays, numbers."""

    @abstractmethod
    def _load(self, state: Mapping[str, Any]) -> None:
        """Take its own state back."""

    # -- as in stable-baselines3 --------------------------------------------------------------

    def learn(
        self: Search,
        total_timesteps: int,
        callback: Callbacks = None,
        log_interval: int = 10,
        tb_log_name: str = "",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
        *,
        checkpoint: Path | str | None = None,
        checkpoint_s: float = 30.0,
    ) -> Search:
        """Learn until so many steps have been taken; the last iteration is finished.

        Args:
            total_timesteps: steps of the environment, in addition to those so far unless
                ``reset_num_timesteps``, which counts from 0 again.
            callback: of stable-baselines3, several, or a function; asked at each step, with
                ``dones`` and ``infos`` in its ``locals``, after the episode has ended.
            log_interval: iterations between two lines of the log.
            tb_log_name: of the run in tensorboard; empty takes the algorithm's name.
            reset_num_timesteps: count steps from 0.
            progress_bar: show one.
            checkpoint: file that this learner is saved to on the way and at the end.
            checkpoint_s: seconds between two savings.

        Returns:
            This learner.
        """
        if reset_num_timesteps:
            self.num_timesteps, self.wall_s = 0, 0.0
        end = total_timesteps + self.num_timesteps
        self._callback, self._stopped = self._begin(callback, tb_log_name, end), False
        bars = progress_bars(unit="steps") if progress_bar else nullcontext(None)
        with bars as progress, self.rollouts.opened():
            bar = progress.add_task(self.name, total=end) if progress else None
            saved = time.monotonic()
            while self.num_timesteps < end and not self._stopped:
                self._timed_iteration(log_interval)
                if progress is not None and bar is not None:
                    progress.update(bar, completed=min(self.num_timesteps, end))
                if checkpoint is not None and time.monotonic() - saved >= checkpoint_s:
                    self.save(checkpoint)
                    saved = time.monotonic()
        if self._callback is not None:
            self._callback.on_training_end()
        self._callback = None
        if checkpoint is not None:
            self.save(checkpoint)
        return self

    def save(self, path: Path | str) -> None:
        """Write everything that learning goes on from, and a card beside it.

        Args:
            path: of the ``.safetensors`` file; the ending may be left out.
        """
        path = _with_ending(path)
        about = {
            "timesteps": self.num_timesteps,
            "episodes": self.num_episodes,
            "iterations": self.num_iterations,
            "wall_s": self.wall_s,
            "rng": self.rng.bit_generator.state,
        }
        state = {
            "theta": self.theta,
            "statistics": self.statistics.state(),
            "returns": np.array(self.returns, np.float64),
            "lengths": np.array(self.lengths, np.int64),
            "own": self._state(),
        }
        write_json(path.with_suffix(".json"), {**self.card(), **about})
        save_state(path, state, self.card(), about)

    @classmethod
    def load(
        cls: type[Search],
        path: Path | str,
        env: str | AnyEnv | MakeEnv | None = None,
        *,
        processes: int = 1,
        worlds: int = 0,
        verbose: int = 0,
        tensorboard_log: str | None = None,
    ) -> Search:
        """Return a saved learner.

        Args:
            path: of the ``.safetensors`` file; the ending may be left out.
            env: as for the constructor; None takes the one of the card, where it has a name.
            processes: that simulate.
            worlds: that this process moves together, in place of processes; 0: none.
            verbose: 1 prints the log.
            tensorboard_log: folder for curves.

        Returns:
            The learner.

        Raises:
            UserError: there is none, it is damaged, or it is of another algorithm.
        """
        path = _with_ending(path)
        card = read_card(path.with_suffix(".json"))
        if card.get("algorithm") != cls.name:
            raise UserError(f"{path} was made by {card.get('algorithm')}, not by {cls.name}.")
        try:
            known = env if env is not None else card["environment"]
            made = cls(
                env=known or _no_environment,
                seed=card["seed"],
                processes=processes,
                worlds=worlds,
                verbose=verbose,
                tensorboard_log=tensorboard_log,
                architecture=PolicyArchitecture(**_tuples(card["form"])),
                **_tuples(card["options"] | card["settings"]),
            )
            made.notes = card["notes"]
            made.environment_name = card["environment"]
        except (AttributeError, KeyError, TypeError) as error:
            raise UserError(f"{path} has no sound card: {error}.") from error
        made.restore(path)
        return made

    def restore(self, path: Path | str) -> None:
        """Go on from what a learner with the same options saved.

        Args:
            path: of the ``.safetensors`` file; the ending may be left out.

        Raises:
            UserError: there is none, it is damaged, or it is of a learner with other options.
        """
        path = _with_ending(path)
        # Options that came later do nothing unless they are set.
        settings, options = asdict(type(self.settings)()), asdict(type(self.options)())
        defaults = {"settings": settings, "options": options}
        state, about = load_state(path, self.card(), defaults)
        try:
            self._take(state, about)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"{path} does not fit its card: {error}.") from error

    @property
    def logger(self) -> Logger:
        """Where figures go."""
        if self._logger is None:
            self._logger = configure_logger(self.verbose, self.tensorboard_log, self.name, True)
        return self._logger

    def set_logger(self, logger: Logger) -> None:
        """Log to ``logger`` from now on."""
        self._logger = logger

    def traffic_light(self) -> str:
        """Return whether the last episodes were enough for what was learned from them.

        Returns:
            ``green``, ``amber`` or ``red: collect more``; empty where the algorithm cannot tell.
        """
        return ""

    # -- for algorithms, studies and files ----------------------------------------------------

    def run_policies(
        self,
        thetas: Sequence[FloatArray],
        *,
        keep: bool = False,
        alike: Sequence[int] | None = None,
    ) -> list[PolicyEpisode]:
        """Run an episode of training for each vector; count, log, and tell callbacks.

        Args:
            thetas: vectors ``(n,)``.
            keep: keep transitions.
            alike: a number for each; episodes with the same one start alike and draw alike. None:
                each for itself.

        Returns:
            A result for each, in order.
        """
        first = self.num_episodes
        numbers = range(len(thetas)) if alike is None else alike
        seeds = [self._seed(TRAINING, first + number) for number in numbers]
        rules = self._rules(keep)
        results = self.rollouts.run(self.architecture, thetas, seeds, self._normalisation(), rules)
        for result in results:
            self.statistics.merge(result.statistics)
            self.num_episodes += 1
            self.returns.append(result.raw_return)
            self.lengths.append(result.length)
            self._tell(result)
        return results

    def on_raw_observations(self, theta: FloatArray) -> FloatArray:
        """Return vectors ``(..., n)`` as the same policies act on observations as they come."""
        return self.architecture.rebased(theta, self._normalisation(), self._plain())

    def as_written_now(self, theta: FloatArray) -> FloatArray:
        """Return vectors ``(..., n)`` of policies on raw observations, normalised as it is now.

        The mean and deviation of observations move while one learns, and with them what a vector
        does. A policy that was tried long ago is thus another one now, unless it is rewritten.
        """
        return self.architecture.rebased(theta, self._plain(), self._normalisation())

    # -- parts --------------------------------------------------------------------------------

    def _plain(self) -> tuple[FloatArray, FloatArray]:
        mean, std = self._normalisation()
        return np.zeros_like(mean), np.ones_like(std)

    def _begin(self, callback: Callbacks, tb_log_name: str, end: int) -> BaseCallback | None:
        if self._logger is None:
            name = tb_log_name or self.name
            self._logger = configure_logger(self.verbose, self.tensorboard_log, name, True)
        if callback is None:
            return None
        if isinstance(callback, Sequence):
            callback = CallbackList(list(callback))
        if not isinstance(callback, BaseCallback):
            callback = ConvertCallback(callback)
        callback.init_callback(cast(BaseAlgorithm, self))
        callback.on_training_start({"total_timesteps": end, "self": self}, {})
        return callback

    def _timed_iteration(self, log_interval: int) -> None:
        began = time.perf_counter()
        if self._callback is not None:
            self._callback.on_rollout_start()
        self._iterate()
        self.num_iterations += 1
        self.wall_s += time.perf_counter() - began
        if self._callback is not None:
            self._callback.on_rollout_end()
        if self.num_iterations % log_interval == 0:
            self._log()

    def _tell(self, result: PolicyEpisode) -> None:
        """Count the steps of an episode, and ask the callback at each of them."""
        if self._callback is None:
            self.num_timesteps += result.length
            return
        values: dict[str, Any] = {"self": self, "env": self.get_env()}
        for step in range(1, result.length + 1):
            self.num_timesteps += 1
            is_last = step == result.length
            info = {"episode": {"r": result.raw_return, "l": result.length}} if is_last else {}
            values |= {"dones": np.array([is_last]), "infos": [{**info, **result.info}]}
            self._callback.update_locals(values)
            if not self._callback.on_step():
                self._stopped = True

    def _log(self) -> None:
        log = self.logger
        log.record("rollout/ep_rew_mean", float(np.mean(self.returns[-_RECENT:])))
        log.record("rollout/ep_len_mean", float(np.mean(self.lengths[-_RECENT:])))
        for name, value in self.figures.items():
            log.record(f"train/{name}", value)
        log.record("time/fps", int(self.num_timesteps / max(self.wall_s, 1e-9)))
        log.record("time/episodes", self.num_episodes)
        log.record("time/total_timesteps", self.num_timesteps)
        log.dump(self.num_timesteps)

    def _take(self, state: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        self.theta = np.array(state["theta"], np.float64)
        self.statistics.load(state["statistics"])
        self.returns = [float(value) for value in state["returns"]]
        self.lengths = [int(value) for value in state["lengths"]]
        self.num_timesteps, self.num_episodes = int(about["timesteps"]), int(about["episodes"])
        self.num_iterations, self.wall_s = int(about["iterations"]), float(about["wall_s"])
        self.rng.bit_generator.state = about["rng"]
        self._load(state["own"])


def _tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in options.items()
    }


def _with_ending(path: Path | str) -> Path:
    path = Path(path)
    return path if path.suffix == ".safetensors" else path.with_name(f"{path.name}.safetensors")


def _no_environment() -> AnyEnv:
    raise UserError("This learner's environment has no name; give load() an env.")
