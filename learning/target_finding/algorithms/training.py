"""Training with the learners of stable-baselines3: the loop, its record, and its files.

A training is a row of iterations. Each starts fresh episodes and draws from random streams that
depend on seed and iteration alone, so a checkpoint, written after each, needs no state of any
generator, and a resumed training ends in the same weights as an uninterrupted one.
"""

from __future__ import annotations

import json
import math
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing import set_forkserver_preload
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import TrainingProgress
from asterias.provenance import provenance
from learning.target_finding.algorithms.checkpoint import (
    load_checkpoint,
    refuse_overwriting,
    save_checkpoint,
)
from learning.target_finding.algorithms.curiosity import Curiosity
from learning.target_finding.algorithms.episodes import Encoded, Padded, Timed
from learning.target_finding.algorithms.lockstep import LockstepVecEnv
from learning.target_finding.algorithms.registry import (
    ALGORITHMS,
    OnTrainingProgress,
    ShouldStop,
    TrainingRequest,
    ignore_progress,
    never_stop,
)
from learning.target_finding.algorithms.sb3 import Recipe, learner_state, load_learner
from learning.target_finding.algorithms.self_supervised import find_encoder
from learning.target_finding.algorithms.workers import WorkerReports, make_in_worker
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import (
    TargetFindingOptions,
    camera_count,
    with_command_range,
)
from learning.target_finding.policies.encoder import TileEncoder
from learning.target_finding.policies.policy_files import POLICY_FILE, SUMMARY_FILE

# The paper's: 48 iterations of 15 episodes of 5 steps.
STEPS = 3600
# A fork would copy threads of the learner in any state.
START_METHOD = "forkserver"


@dataclass(frozen=True)
class TrainingConfig:
    """One training; as it stands, the paper's PPO.

    Attributes:
        out: folder for checkpoint, policy, summary and tensorboard.
        options: the protocol.
        algorithm: name of a learner of stable-baselines3 in the registry.
        net: name of the policy's network, for PPO.
        seed: of everything.
        steps: of the robot, a multiple of an iteration's.
        padded: episodes take the cap's steps even when the target is found before, as in the
            paper's code.
        curiosity: weight of novelty in the reward.
        encoder: name or path of what turns tiles into numbers, where options.observe is images.
        processes: that simulate, 1 for this one. Another number gives another training.
        worlds: that this process simulates together in one loop, in place of processes; 0: none.
            As many processes would give the same training.
        resume: go on from the checkpoint in ``out``.
    """

    out: Path
    options: TargetFindingOptions = field(default_factory=TargetFindingOptions)
    algorithm: str = "ppo"
    net: str = "linear"
    seed: int = 0
    steps: int = STEPS
    padded: bool = False
    curiosity: float = 0.0
    encoder: str = "tiles"
    processes: int = 3
    worlds: int = 0
    resume: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", with_command_range(self.options))
        size = self.iteration
        if self.steps < 1 or self.steps % size:
            raise UserError(f"--steps must be a multiple of {size}, the steps of an iteration.")
        if self.processes < 1 or size % self.processes:
            raise UserError(f"--processes must divide {size}: 1, 3 or 5, for example.")
        if self.worlds < 0 or (self.worlds and size % self.worlds):
            raise UserError(f"--worlds must be 0 or divide {size}: 15 or 25, for example.")
        moves_by = self.recipe.actions
        if self.options.actions != moves_by:
            raise UserError(f"This learner moves by {moves_by}; set actions to {moves_by}.")
        if moves_by == "moves" and self.options.observe != "commands":
            raise UserError("This learner sees commands and camera flags; set observe so.")
        if self.padded and (not self.options.cap or size // self.at_once % self.options.cap):
            raise UserError("Padded episodes need a cap that divides a world's steps.")
        if not 0 <= self.curiosity < math.inf:
            raise UserError(f"--curiosity must be 0 or more, not {self.curiosity:g}.")
        if self.options.observe == "both" or (self.options.goal and self.curiosity):
            raise UserError("This learner sees commands, or images, or a goal; choose one.")
        if self.options.goal and not self.recipe.has_hindsight:
            raise UserError("The goal-conditioned form is learned by hindsight: use --algo sac.")

    @property
    def iteration(self) -> int:
        """Steps of an iteration."""
        return self.recipe.iteration_steps(self.net)

    @property
    def at_once(self) -> int:
        """Environments that are stepped at once."""
        return self.worlds or self.processes

    @property
    def recipe(self) -> Recipe:
        """How the learner is made."""
        recipe: Recipe = ALGORITHMS.get(self.algorithm).load_recipe()
        return recipe

    @property
    def settings(self) -> dict[str, Any]:
        """What a checkpoint must have in common with a training that goes on from it."""
        settings = {k: v for k, v in asdict(self).items() if k not in ("out", "resume", "encoder")}
        if not self.worlds:
            del settings["worlds"]  # checkpoints from before there were any
        if self.options.observe == "images":
            settings["encoder"] = self.encoder
        whole: dict[str, Any] = json.loads(json.dumps(settings))  # tuples are lists in JSON
        return whole


def train_request(
    request: TrainingRequest, on_progress: OnTrainingProgress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Train as a person asked; return the summary.

    Returns:
        The summary, with the history.
    """
    config = TrainingConfig(
        out=request.out,
        options=request.options,
        algorithm=request.algorithm,
        net=request.network,
        seed=request.seed,
        steps=STEPS if request.steps is None else request.steps,
        padded=request.padded,
        curiosity=request.curiosity,
        encoder=request.encoder,
        processes=request.processes,
        worlds=request.worlds,
        resume=request.resume,
    )
    return train(config, on_progress, should_stop)


def train(
    config: TrainingConfig,
    on_progress: OnTrainingProgress = ignore_progress,
    should_stop: ShouldStop = never_stop,
) -> dict[str, Any]:
    """Train, write policy, card and summary into ``config.out``, and return the summary.

    A ``UserError`` says so where there is nothing to resume, or something that a new training would
    overwrite; a ``KeyboardInterrupt`` follows, with the checkpoint saved, where ``should_stop``
    says so.

    Args:
        config: the training.
        on_progress: called after each iteration.
        should_stop: asked after each iteration.

    Returns:
        The summary, with the history.
    """
    refuse_overwriting(config.out, config.resume)
    torch.set_num_threads(1)  # the nets are small; the cores belong to the simulation
    reports = WorkerReports()
    try:
        with reports.raised():
            return _train(config, reports, on_progress, should_stop)
    finally:
        reports.close()


def _train(
    config: TrainingConfig,
    reports: WorkerReports,
    on_progress: OnTrainingProgress,
    should_stop: ShouldStop,
) -> dict[str, Any]:
    training = Training(config, reports.folder)
    try:
        if config.resume:
            training.restore()
        while training.steps < config.steps:
            training.iterate()
            on_progress(training.progress())
            if should_stop() and training.steps < config.steps:
                raise KeyboardInterrupt
        return training.finish()
    finally:
        training.close()


class Training:
    """The parts of a running training.

    Args:
        config: the training.
        reports: folder for what failed processes report; where there is more than one.

    Attributes:
        steps: taken so far.
        history: an entry per finished iteration: mean length, finds and rewards of the episodes
            that ended in it, and the seconds it took to simulate, render, infer and learn.
    """

    def __init__(self, config: TrainingConfig, reports: Path | None = None) -> None:
        self.config, self._recipe = config, config.recipe
        self.steps = 0
        self.history: list[dict[str, float]] = []
        self.encoder: TileEncoder | None = None
        if config.options.observe == "images":
            self.encoder = find_encoder(config.encoder)
        self.timed = Timed(_environments(config, reports))
        environments: VecEnv = self.timed
        if self.encoder:
            environments = Encoded(environments, self.encoder)
        self.curiosity: Curiosity | None = None
        if config.curiosity:
            environments = self.curiosity = Curiosity(environments, config.curiosity, config.seed)
        self.environments = environments
        self.model = self._recipe.make(
            config.net, environments, config.seed, goal=config.options.goal
        )
        logger = configure(str(config.out / "tensorboard"), ["tensorboard"])
        self.model.set_logger(logger)

    def iterate(self) -> None:
        """Run one iteration: reseed, act, learn, record, save a checkpoint."""
        model: Any = self.model
        self._reseed()
        model._last_obs = None  # fresh episodes
        rate = self._recipe.learning_rate(self.config.net, self.steps / self.config.steps)
        model.lr_schedule = lambda remaining: rate
        record = _Record(self.timed)
        before, began = self._times(), time.perf_counter()
        model.learn(self.config.iteration, callback=record, reset_num_timesteps=self.steps == 0)
        if self.curiosity:
            self.curiosity.learn()
        if self.config.options.goal:
            model.replay_buffer.truncate_last_trajectory()
        took = time.perf_counter() - began
        self.steps += self.config.iteration
        self.history.append(self._entry(record, before, took))
        self._log()
        about = {"steps": self.steps, "history": self.history}
        save_checkpoint(self.config.out, self._state(), self.config.settings, about)

    def progress(self) -> TrainingProgress:
        """Return how far it is."""
        last, wall = self.history[-1], sum(h["wall_s"] for h in self.history)
        return TrainingProgress(
            done=self.steps,
            total=self.config.steps,
            unit="steps",
            mean_steps=last["mean_steps"],
            mean_return=last["mean_return"],
            found=last["found"],
            steps_per_s=self.steps / max(wall, 1e-9),
            left_s=wall / self.steps * (self.config.steps - self.steps),
        )

    def restore(self) -> None:
        """Restore the checkpoint."""
        state, about = load_checkpoint(self.config.out, self.config.settings)
        load_learner(self.model, state["learner"])
        if self.curiosity:
            self.curiosity.load(state["curiosity"])
        self.steps, self.history = about["steps"], about["history"]
        self.model.num_timesteps = self.steps

    def finish(self) -> dict[str, Any]:
        """Write summary and policy; return the summary, with the history.

        Returns:
            The summary.
        """
        summary = {
            **provenance(self.config.seed),
            **self.config.settings,
            "cameras": camera_count(self.config.options),
            **_summed(self.history),
        }
        write_json(self.config.out / SUMMARY_FILE, {**summary, "history": self.history})
        self._recipe.export(self.model, summary, self.encoder).save(self.config.out / POLICY_FILE)
        return {**summary, "history": self.history}

    def close(self) -> None:
        """End the processes that simulate."""
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            self.environments.close()

    # -- parts ----------------------------------------------------------------------------------

    def _reseed(self) -> None:
        number = self.steps // self.config.iteration
        stream = np.random.SeedSequence((self.config.seed, number)).generate_state(1)
        seed = int(stream[0]) % 2**31
        set_random_seed(seed)
        self.model.action_space.seed(seed)
        self.environments.seed(seed)

    def _state(self) -> dict[str, Any]:
        state = {"learner": learner_state(self.model)}
        return state | ({"curiosity": self.curiosity.state()} if self.curiosity else {})

    def _times(self) -> tuple[float, float]:
        """Return the seconds spent simulating and rendering, mean over the processes."""
        simulate = float(np.mean(self.timed.get_attr("simulate_s")))
        return simulate, float(np.mean(self.timed.get_attr("render_s")))

    def _entry(self, record: _Record, before: tuple[float, float], took: float) -> dict[str, float]:
        cap = self.config.options.cap
        lengths = [episode["l"] for episode in record.episodes]
        found = [episode["found"] for episode in record.episodes]
        simulate, render = np.subtract(self._times(), before).tolist()
        entry = {
            "mean_steps": float(np.mean(lengths)) if lengths else float(cap),
            "mean_return": float(np.mean([e["r"] for e in record.episodes] or [0.0])),
            "found": float(np.mean(found or [False])),
            "below_cap": float(np.mean([n < cap or not cap for n in lengths] or [False])),
            "episodes": len(lengths),
            "taken_steps": self.config.iteration - record.empty,
            "simulate_s": simulate,
            "render_s": render,
            "infer_s": record.acted_s - record.waited_s,
            "learn_s": took - record.acted_s,
            "wall_s": took,
        }
        return {key: round(value, 4) for key, value in entry.items()}

    def _log(self) -> None:
        for key, value in self.history[-1].items():
            self.model.logger.record(f"target/{key}", value)
        self.model.logger.dump(self.steps)


class _Record(BaseCallback):
    """Notes the episodes of one iteration, how long the learner acted, and how long it waited."""

    def __init__(self, timed: Timed) -> None:
        super().__init__()
        self.episodes: list[dict[str, Any]] = []
        self.empty = 0
        self.acted_s = self.waited_s = 0.0
        self._timed = timed
        self._began_s = self._waited_s = 0.0

    def _on_rollout_start(self) -> None:
        self._began_s, self._waited_s = time.perf_counter(), self._timed.waited_s

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            self.empty += "empty" in info
            if "episode" in info:
                self.episodes.append(info["episode"])
        return True

    def _on_rollout_end(self) -> None:
        self.acted_s += time.perf_counter() - self._began_s
        self.waited_s += self._timed.waited_s - self._waited_s


# -- environments ---------------------------------------------------------------------------------


def _make_environment(options: TargetFindingOptions, padded: bool) -> gymnasium.Env[Any, Any]:
    recorded = Monitor(TargetFindingEnv(options), info_keywords=("found",))
    return Padded(recorded, options.cap) if padded else recorded


def _environments(config: TrainingConfig, reports: Path | None) -> VecEnv:
    if config.worlds:
        make_one = partial(TargetFindingEnv, config.options)
        return LockstepVecEnv(make_one, config.worlds, config.options.cap if config.padded else 0)
    make = partial(_make_environment, config.options, config.padded)
    if config.processes == 1 or reports is None:
        return DummyVecEnv([make] * config.processes)
    set_forkserver_preload([__name__])
    in_worker = partial(make_in_worker, make, reports)
    return SubprocVecEnv([in_worker] * config.processes, start_method=START_METHOD)


# -- the record -----------------------------------------------------------------------------------


def _summed(history: list[dict[str, float]]) -> dict[str, Any]:
    last = history[-5:]
    episodes = max(sum(h["episodes"] for h in last), 1)
    wall = sum(h["wall_s"] for h in history)
    taken = int(sum(h["taken_steps"] for h in history))
    return {
        "taken_steps": taken,
        "wall_s": round(wall, 2),
        **{
            key: round(sum(h[key] for h in history), 2)
            for key in ("simulate_s", "render_s", "infer_s", "learn_s")
        },
        "steps_per_s": round(taken / max(wall, 1e-9), 1),
        "last_iteration": {key: history[-1][key] for key in ("mean_steps", "found", "below_cap")},
        "last_5_iterations": {
            key: round(sum(h[key] * h["episodes"] for h in last) / episodes, 4)
            for key in ("mean_steps", "found", "below_cap")
        },
    }
