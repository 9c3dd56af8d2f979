"""Episodes of whole policies over Gymnasium environments, here or in worker processes.

An episode depends on its policy, its seed and the statistics at hand alone, so that any number of
processes gives the same numbers.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.jobs import JobOptions, JobRunner, TellJob
from learning.policy_search.common.architecture import Actor, PolicyArchitecture
from learning.policy_search.common.statistics import RunningStatistics
from learning.training.lockstep_env import LockstepEnv, LockstepEnvs
from sim.vectorised.lockstep import Course

AnyEnv = gymnasium.Env[Any, Any]
MakeEnv = Callable[[], AnyEnv]

MUJOCO_MISSING = (
    "This environment needs MuJoCo: pip install -c constraints.txt 'asterias[mujoco]' (or "
    "'gymnasium[mujoco]')."
)


@dataclass(frozen=True)
class EpisodeRules:
    """What an episode is.

    Attributes:
        gamma: discount of the return that is learned from.
        survival_bonus: taken off each step's reward in that return (1 for Hopper, for one, whose
            reward for not falling hides all else).
        limit: steps after which an episode is cut, where the environment has no limit.
        keep: transitions are kept.
    """

    gamma: float = 1.0
    survival_bonus: float = 0.0
    limit: int = 10_000
    keep: bool = False


@dataclass(frozen=True)
class Transitions:
    """One episode, step by step.

    Attributes:
        observations: ``(T + 1, o)``, the last one included.
        outputs: ``(T + 1, outputs)`` before squashing, as drawn; the last is what the policy would
            have done next.
        rewards: ``(T,)``, without the survival bonus.
        terminated: whether the end is the task's, and not a time limit.
    """

    observations: FloatArray
    outputs: FloatArray
    rewards: FloatArray
    terminated: bool


@dataclass(frozen=True)
class PolicyEpisode:
    """What came of one episode.

    Attributes:
        learned_return: discounted, without survival bonus: what is learned from.
        raw_return: the environment's own sum of rewards.
        length: steps.
        statistics: of its observations.
        info: of the last step, numbers and truth values only.
        transitions: where they were asked for.
    """

    learned_return: float
    raw_return: float
    length: int
    statistics: RunningStatistics
    info: dict[str, Any]
    transitions: Transitions | None = None


@dataclass
class _Trace:
    """An episode so far."""

    observations: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)


def run_episode(env: AnyEnv, actor: Actor, seed: int, rules: EpisodeRules) -> PolicyEpisode:
    """Run one episode.

    Args:
        env: to act in.
        actor: the policy.
        seed: of the environment and of the policy's draws.
        rules: what an episode is.

    Returns:
        What came of it.
    """
    return _to_the_end(_episode(_calls_of(env), actor, seed, rules))


def episode_course(
    env: LockstepEnv, actor: Actor, seed: int, rules: EpisodeRules
) -> Course[PolicyEpisode]:
    """Run an episode as :func:`run_episode` does, in step with those of other worlds.

    Args:
        env: to act in.
        actor: the policy.
        seed: of the environment and of the policy's draws.
        rules: what an episode is.

    Returns:
        What came of it.

    Yields:
        What is waited for.
    """
    return (yield from _episode(_Calls(env.resetting, env.stepping), actor, seed, rules))


class _Calls(NamedTuple):
    """How an environment is reset and stepped: generators that return what the calls do."""

    reset: Callable[[int], Course[tuple[Any, dict[str, Any]]]]
    step: Callable[[Any], Course[tuple[Any, Any, bool, bool, dict[str, Any]]]]


def _calls_of(env: AnyEnv) -> _Calls:
    """Return the plain calls of an environment, which wait for nothing."""

    def reset(seed: int) -> Course[tuple[Any, dict[str, Any]]]:
        yield from ()  # a generator without wishes
        return env.reset(seed=seed)

    def step(action: Any) -> Course[tuple[Any, Any, bool, bool, dict[str, Any]]]:
        yield from ()
        return env.step(action)

    return _Calls(reset, step)


def _to_the_end(course: Course[PolicyEpisode]) -> PolicyEpisode:
    """Return the result of a course that waits for nothing.

    Raises:
        RuntimeError: it does.
    """
    try:
        wish = next(course)
    except StopIteration as end:
        result: PolicyEpisode = end.value
        return result
    raise RuntimeError(f"The episode waits for {wish}.")


def _episode(env: _Calls, actor: Actor, seed: int, rules: EpisodeRules) -> Course[PolicyEpisode]:
    rng = np.random.default_rng(seed) if actor.architecture.stochastic else None
    observation, info = yield from env.reset(seed)
    trace = _Trace([observation])
    terminated = truncated = False
    while not (terminated or truncated):
        if rules.keep:
            out = _drawn(actor, observation, rng)
            trace.outputs.append(out)
            action = actor.squash(out)
        else:
            action = actor.act(observation, rng)
        observation, reward, terminated, truncated, info = yield from env.step(action)
        trace.observations.append(observation)
        trace.rewards.append(float(reward))
        truncated = truncated or len(trace.rewards) >= rules.limit
    if rules.keep:
        trace.outputs.append(_drawn(actor, observation, rng))
    return _result(trace, info, terminated, rules)


def _drawn(actor: Actor, observation: Any, rng: np.random.Generator | None) -> FloatArray:
    out = actor.outputs(observation)
    return out if rng is None else out + actor._std * rng.standard_normal(out.shape)


def discounted(rewards: FloatArray, gamma: float) -> float:
    """Return an episode's discounted return."""
    return float(rewards @ gamma ** np.arange(len(rewards)))


def _result(
    trace: _Trace, info: dict[str, Any], terminated: bool, rules: EpisodeRules
) -> PolicyEpisode:
    rewards = np.array(trace.rewards)
    observations = np.array(trace.observations, dtype=np.float64)
    learned = rewards - rules.survival_bonus
    kept = None
    if rules.keep:
        kept = Transitions(observations, np.array(trace.outputs), learned, bool(terminated))
    return PolicyEpisode(
        discounted(learned, rules.gamma),
        float(rewards.sum()),
        len(rewards),
        RunningStatistics.of(observations),
        {k: v for k, v in info.items() if isinstance(v, bool | int | float)},
        kept,
    )


@dataclass(frozen=True)
class _Job:
    """An episode for a worker process."""

    architecture: PolicyArchitecture
    theta: FloatArray
    mean: FloatArray
    std: FloatArray
    seed: int
    rules: EpisodeRules


class Rollouts:
    """Runs batches of episodes.

    Args:
        make: makes the environment; where processes are more than one, it can be pickled.
        processes: that simulate, 1 for this one.
        env: an environment that is there already, for this process.
        worlds: that this process moves together, in place of processes; 0: none.

    Attributes:
        runner: simulates, in place of this process; may be set to any, such as one on a cluster.

    Raises:
        UserError: there are fewer.
    """

    def __init__(
        self, make: MakeEnv, processes: int = 1, env: AnyEnv | None = None, worlds: int = 0
    ) -> None:
        if processes < 1:
            raise UserError(f"processes must be 1 or more, not {processes}.")
        if worlds < 0:
            raise UserError(f"worlds must be 0 or more, not {worlds}.")
        self.processes, self.worlds = processes, worlds
        self._together: LockstepEnvs | None = None
        self._make, self._env = make, env
        self.runner: JobRunner | None = None
        self._key = uuid.uuid4().hex

    @property
    def env(self) -> AnyEnv:
        """This process's environment, made when it is first asked for."""
        if self._env is None:
            self._env = self._make()
        return self._env

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Start the worker processes, where there are any, and end them with the block."""
        if self.processes == 1 or self.worlds or self.runner is not None:
            yield
            return
        with JobOptions(parallel=self.processes).open() as runner:
            self.runner = runner
            try:
                yield
            finally:
                self.runner = None

    def run(
        self,
        architecture: PolicyArchitecture,
        thetas: Sequence[FloatArray],
        seeds: Sequence[int],
        statistics: tuple[FloatArray, FloatArray],
        rules: EpisodeRules,
    ) -> list[PolicyEpisode]:
        """Run an episode for each vector; results are in their order.

        Args:
            architecture: of the policies.
            thetas: vectors ``(n,)``.
            seeds: one for each.
            statistics: mean and standard deviation ``(o,)`` that observations are normalised by.
            rules: what an episode is.

        Returns:
            A result for each.
        """
        jobs = [
            _Job(architecture, theta, *statistics, seed, rules)
            for theta, seed in zip(thetas, seeds, strict=True)
        ]
        if self.worlds:
            return self._run_together(jobs)
        if self.runner is None:
            return [_run(self.env, job) for job in jobs]
        size = max(1, len(jobs) // (4 * self.runner.places))
        chunks = [
            _Chunk(self._key, self._make, jobs[at : at + size]) for at in range(0, len(jobs), size)
        ]
        made = self.runner.results(_run_chunk, chunks)
        return [episode for episodes in made for episode in episodes]

    def _run_together(self, jobs: Sequence[_Job]) -> list[PolicyEpisode]:
        """Run the episodes in step; a world whose episode has ended takes the next.

        Returns:
            A result for each.
        """
        if self._together is None:
            self._together = LockstepEnvs(self._make, self.worlds)
        worlds, envs = range(self.worlds), self._together.envs

        def begin(world: int, number: int) -> Course[PolicyEpisode]:
            job = jobs[number]
            actor = Actor(job.architecture, job.theta, job.mean, job.std)
            return episode_course(envs[world], actor, job.seed, job.rules)

        return self._together.lockstep.run_all(worlds, len(jobs), begin)

    def close(self) -> None:
        """Close this process's environments."""
        if self._together is not None:
            self._together.close()
            self._together = None
        if self._env is not None:
            self._env.close()
            self._env = None


def _run(env: AnyEnv, job: _Job) -> PolicyEpisode:
    actor = Actor(job.architecture, job.theta, job.mean, job.std)
    return run_episode(env, actor, job.seed, job.rules)


@dataclass(frozen=True)
class _Chunk:
    """Episodes for a worker, which keeps the environment for the next ones of the same key."""

    key: str
    make: MakeEnv
    jobs: Sequence[_Job]


_WORKER: dict[str, AnyEnv] = {}


def _run_chunk(chunk: _Chunk, tell: TellJob) -> list[PolicyEpisode]:
    if chunk.key not in _WORKER:
        for env in _WORKER.values():
            env.close()
        _WORKER.clear()
        _WORKER[chunk.key] = chunk.make()
    return [_run(_WORKER[chunk.key], job) for job in chunk.jobs]


def make_environment(name: str) -> AnyEnv:
    """Make an environment of Gymnasium by name.

    Args:
        name: such as ``Swimmer-v5`` or ``learning.environments:Asterias/TargetFinding-v0``.

    Returns:
        The environment.

    Raises:
        UserError: there is none, or a package that it needs is missing.
    """
    try:
        return gymnasium.make(name, disable_env_checker=True)
    except gymnasium.error.DependencyNotInstalled as error:
        is_mujoco = "mujoco" in str(error).lower()
        raise UserError(MUJOCO_MISSING if is_mujoco else f"{name}: {error}.") from error
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        raise UserError(f"There is no environment {name!r}: {error}") from error


def environment_maker(env: str | AnyEnv | MakeEnv, processes: int) -> tuple[MakeEnv, Any]:
    """Return how an environment is made, and the one that is there already.

    Args:
        env: a name, an environment, or a function that makes one.
        processes: that are to simulate.

    Returns:
        The maker, and the environment or None.

    Raises:
        UserError: an environment that cannot be made again is wanted in more than one process.
    """
    if isinstance(env, str):
        return partial(make_environment, env), None
    if not isinstance(env, gymnasium.Env):
        return env, None
    if processes > 1 and env.spec is None:
        raise UserError(
            "More than one process needs the environment's name, or a function that makes it."
        )
    return partial(gymnasium.make, env.spec), env  # type: ignore[arg-type]
