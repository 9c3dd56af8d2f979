"""Training with the learners of stable-baselines3: the loop, its record, and its files.

A training is a row of iterations. Each starts fresh episodes and draws from random streams that
depend on seed and iteration alone, so a checkpoint, written after each, needs no state of any
generator, and a training that goes on from one ends in the weights of one never stopped.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing import set_forkserver_preload
from pathlib import Path
from typing import Any

import cv2
import gymnasium
import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from asterias.errors import HardwareError
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
from learning.target_finding.algorithms.sb3 import (
    Net,
    SbAlgorithm,
    export_policy,
    iteration_steps,
    learner_state,
    learning_rate,
    load_learner,
    make_learner,
)
from learning.target_finding.algorithms.self_supervised import find_encoder
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import TargetFindingOptions
from learning.target_finding.policies.encoder import TileEncoder
from learning.target_finding.policies.policy_files import POLICY_FILE, SUMMARY_FILE

OnProgress = Callable[[TrainingProgress], None]


@dataclass(frozen=True)
class TrainingConfig:
    """One training; as it stands, the paper's PPO.

    Attributes:
        out: folder for checkpoint, policy, summary and tensorboard.
        options: the protocol.
        algorithm: ``ppo``, ``recurrent_ppo`` or ``sac``.
        net: ``linear``, the paper's, or ``mlp``; PPO only.
        seed: of everything.
        steps: of the robot, a multiple of an iteration's.
        padded: episodes take the cap's steps even when the target is found before, as in the
            paper's code.
        curiosity: weight of novelty in the reward.
        encoder: name or path of what turns tiles into numbers, where options.observe is images.
        processes: that simulate, 1 for this one. Another number gives another training.
        resume: go on from the checkpoint in ``out``.
    """

    out: Path
    options: TargetFindingOptions = field(default_factory=TargetFindingOptions)
    algorithm: SbAlgorithm = "ppo"
    net: Net = "linear"
    seed: int = 0
    steps: int = 3600
    padded: bool = False
    curiosity: float = 0.0
    encoder: str = "tiles"
    processes: int = 3
    resume: bool = False

    def __post_init__(self) -> None:
        size = self.iteration
        if self.steps < 1 or self.steps % size:
            raise HardwareError(f"--steps must be a multiple of {size}, the steps of an iteration.")
        if self.processes < 1 or size % self.processes:
            raise HardwareError(f"--processes must divide {size}: 1, 3 or 5, for example.")
        if self.options.actions != "increments":
            raise HardwareError("This learner moves by increments; set actions to increments.")
        if self.padded and (not self.options.cap or size // self.processes % self.options.cap):
            raise HardwareError("Padded episodes need a cap that divides a process's steps.")
        if self.curiosity < 0:
            raise HardwareError("--curiosity must be 0 or more.")
        if self.options.observe == "both" or (self.options.goal and self.curiosity):
            raise HardwareError("This learner sees commands, or images, or a goal; choose one.")

    @property
    def iteration(self) -> int:
        """Steps of an iteration."""
        return iteration_steps(self.algorithm, self.net)

    @property
    def told(self) -> dict[str, Any]:
        """What a checkpoint must share with a training that goes on from it."""
        told = {k: v for k, v in asdict(self).items() if k not in ("out", "resume", "encoder")}
        if self.options.observe == "images":
            told["encoder"] = self.encoder
        whole: dict[str, Any] = json.loads(json.dumps(told))  # tuples are lists in JSON
        return whole


def train(
    config: TrainingConfig,
    on_progress: OnProgress = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Train, write policy, card and summary into ``config.out``; returns the summary.

    ``stop`` is asked after each iteration.

    Raises:
        HardwareError: there is nothing to resume, or something that a new training would overwrite.
        KeyboardInterrupt: ``stop`` said so; the checkpoint is kept.
    """
    refuse_overwriting(config.out, config.resume)
    torch.set_num_threads(1)  # the nets are small; the cores belong to the simulation
    training = Training(config)
    try:
        if config.resume:
            training.restore()
        while training.steps < config.steps:
            training.iterate()
            on_progress(training.progress())
            if stop() and training.steps < config.steps:
                raise KeyboardInterrupt
        return training.finish()
    finally:
        training.close()


class Training:
    """The parts of a training under way.

    Attributes:
        steps: taken so far.
        history: an entry per finished iteration: mean length, finds and rewards of the episodes
            that ended in it, and the seconds it took to simulate, render, infer and learn.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        self.steps = 0
        self.history: list[dict[str, float]] = []
        self.encoder: TileEncoder | None = None
        if config.options.observe == "images":
            self.encoder = find_encoder(config.encoder)
        self.timed = Timed(_environments(config))
        environments: VecEnv = self.timed
        if self.encoder:
            environments = Encoded(environments, self.encoder)
        self.curiosity: Curiosity | None = None
        if config.curiosity:
            environments = self.curiosity = Curiosity(environments, config.curiosity, config.seed)
        self.environments = environments
        self.model = make_learner(
            config.algorithm, config.net, environments, config.seed, goal=config.options.goal
        )
        logger = configure(str(config.out / "tensorboard"), ["tensorboard"])
        self.model.set_logger(logger)

    def iterate(self) -> None:
        """One iteration: reseed, act, learn, record, and leave a checkpoint."""
        model: Any = self.model
        self._reseed()
        model._last_obs = None  # fresh episodes
        rate = learning_rate(self.config.algorithm, self.config.net, self.steps / self.config.steps)
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
        save_checkpoint(self.config.out, self._state(), self.config.told, about)

    def progress(self) -> TrainingProgress:
        """How far it is."""
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
        """Go on from the checkpoint."""
        state, about = load_checkpoint(self.config.out, self.config.told)
        load_learner(self.model, state["learner"])
        if self.curiosity:
            self.curiosity.load(state["curiosity"])
        self.steps, self.history = about["steps"], about["history"]
        self.model.num_timesteps = self.steps

    def finish(self) -> dict[str, Any]:
        """Write summary and policy; returns the summary."""
        summary = {**provenance(self.config.seed), **self.config.told, **_summed(self.history)}
        write_json(self.config.out / SUMMARY_FILE, {**summary, "history": self.history})
        export_policy(self.model, summary, self.encoder).save(self.config.out / POLICY_FILE)
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
        """Seconds spent to simulate and to render, mean over the processes."""
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


def _make_in_own_process(options: TargetFindingOptions, padded: bool) -> gymnasium.Env[Any, Any]:
    # Ctrl-C is for the learner, which then ends its processes; the cores are shared out already.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    return _make_environment(options, padded)


def _environments(config: TrainingConfig) -> VecEnv:
    if config.processes == 1:
        return DummyVecEnv([partial(_make_environment, config.options, config.padded)])
    set_forkserver_preload([__name__])
    make = partial(_make_in_own_process, config.options, config.padded)
    return SubprocVecEnv([make] * config.processes, start_method="forkserver")


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
