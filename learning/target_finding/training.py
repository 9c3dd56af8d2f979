"""Proximal policy optimisation on the target-finding task, with the paper's nets and settings.

The learner is that of stable-baselines3; here stand the numbers (arXiv 2404.08093, version 2, and
its code), the processes that simulate, and checkpoints. Every iteration starts fresh episodes and
draws from random streams that depend on seed and iteration alone. So a checkpoint needs no state of
any generator, and a training that goes on from one ends in the weights of one never stopped.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import set_forkserver_preload
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from hardware.errors import HardwareError
from hardware.results import provenance, write_json
from learning.target_finding.environment import TargetFindingEnv, TargetFindingOptions
from learning.target_finding.linear_policy import FILE, LinearPolicy
from planners.atomic import write_atomically

CHECKPOINT = "checkpoint.safetensors"
SUMMARY = "summary.json"
# The paper's iteration is 15 episodes of at most 5 steps; ours is as many steps, all of them taken.
ITERATION_STEPS = 75
LEARNING_RATE = 0.1

# Steps done, steps in all.
OnSteps = Callable[[int, int], None]
# Steps done, and the entry of the history; called when the iteration's checkpoint is written.
OnIteration = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class PpoConfig:
    """One training.

    Attributes:
        out: folder for checkpoint, policy, summary and tensorboard.
        options: the protocol.
        seed: of everything.
        iterations: updates, of 75 steps each; the paper makes 48.
        processes: that simulate, 1 for this one; 75 must be a multiple. Another number gives
            another training.
        resume: go on from the checkpoint in ``out``.
    """

    out: Path
    options: TargetFindingOptions
    seed: int = 0
    iterations: int = 48
    processes: int = 3
    resume: bool = False

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise HardwareError("A training needs 1 iteration (75 steps) or more.")
        if self.processes < 1 or ITERATION_STEPS % self.processes:
            raise HardwareError("--processes must divide 75: 1, 3, 5, 15 or 25.")
        if self.options.actions != "increments":
            raise HardwareError("PPO moves by increments; set actions to increments.")

    @property
    def told(self) -> dict[str, Any]:
        """What a checkpoint must share with a training that goes on from it."""
        same = {"seed": self.seed, "iterations": self.iterations, "processes": self.processes}
        # As JSON gives it back: tuples are lists there.
        whole: dict[str, Any] = json.loads(json.dumps({**same, "options": asdict(self.options)}))
        return whole


def train(
    config: PpoConfig,
    on_steps: OnSteps = lambda done, total: None,
    on_iteration: OnIteration = lambda steps, entry: None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Train, write policy, card and summary into ``config.out``; returns the summary.

    Args:
        config: the training.
        on_steps: hears of every step.
        on_iteration: hears of every finished iteration.
        is_stopped: asked after each iteration; if true, the training ends with its checkpoint.

    Raises:
        KeyboardInterrupt: ``is_stopped`` said so before the last iteration.
        HardwareError: there is nothing to resume, or something that a new training would overwrite.
    """
    if not config.resume and (config.out / CHECKPOINT).exists():
        raise HardwareError(
            f"{config.out} holds a training; add --resume, or choose another --out."
        )
    torch.set_num_threads(1)  # 49 numbers are learned; the cores belong to the simulation
    environments = _environments(config)
    try:
        model = _model(config, environments)
        record = Record(config, on_steps, on_iteration, is_stopped)
        if config.resume:
            record.history = _load_checkpoint(model, config)
        left = config.iterations * ITERATION_STEPS - model.num_timesteps
        if left > 0:
            model.learn(left, callback=record, reset_num_timesteps=False)
        return _finish(model, config, record.history)
    finally:
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            environments.close()


# -- the learner ----------------------------------------------------------------------------------


def _make_environment(options: TargetFindingOptions) -> Monitor[Any, Any]:
    return Monitor(TargetFindingEnv(options))


def _make_in_own_process(options: TargetFindingOptions) -> Monitor[Any, Any]:
    # Ctrl-C is for the learner, which then ends its processes; the cores are shared out already.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    return _make_environment(options)


def _environments(config: PpoConfig) -> VecEnv:
    if config.processes == 1:
        return DummyVecEnv([partial(_make_environment, config.options)])
    set_forkserver_preload([__name__])
    make = partial(_make_in_own_process, config.options)
    return SubprocVecEnv([make] * config.processes, start_method="forkserver")


def _model(config: PpoConfig, environments: VecEnv) -> PPO:
    """The paper's PPO: one linear layer for the mean, one for the value, 49 numbers in all."""

    def rate(remaining: float) -> float:
        # Of the iteration that begins; stable-baselines3 counts the steps of the one that ends.
        return LEARNING_RATE * min(remaining + 1.0 / config.iterations, 1.0)

    model = PPO(
        "MlpPolicy",
        environments,
        learning_rate=rate,
        n_steps=ITERATION_STEPS // config.processes,
        batch_size=ITERATION_STEPS,
        n_epochs=5,
        gamma=0.9,
        gae_lambda=0.95,
        clip_range=0.2,
        clip_range_vf=0.2,
        ent_coef=0.0,
        # The paper's 0.5 stands before half the squared error, as in CleanRL.
        vf_coef=0.25,
        max_grad_norm=0.5,
        policy_kwargs={"net_arch": [], "log_std_init": -1.0, "ortho_init": True},
        seed=config.seed,
        device="cpu",
    )
    model.set_logger(configure(str(config.out / "tensorboard"), ["tensorboard"]))
    return model


class Record(BaseCallback):
    """Reseeds each iteration, notes its episodes, and leaves a checkpoint after it.

    ``history`` holds an entry per finished iteration: mean length and finds of the episodes that
    ended in it, and the seconds it took to act and to learn.
    """

    def __init__(
        self,
        config: PpoConfig,
        on_steps: OnSteps,
        on_iteration: OnIteration,
        is_stopped: Callable[[], bool],
    ) -> None:
        super().__init__()
        self.history: list[dict[str, float]] = []
        self._config = config
        self._on_steps = on_steps
        self._on_iteration = on_iteration
        self._is_stopped = is_stopped
        self._episodes: list[tuple[int, bool]] = []
        self._returns: list[float] = []
        self._began_s = self._acted_s = 0.0

    def _on_rollout_start(self) -> None:
        if self._episodes or self._acted_s:
            self._end_iteration()
            if self._is_stopped():
                raise KeyboardInterrupt
        iteration = self.num_timesteps // ITERATION_STEPS
        stream = np.random.SeedSequence((self._config.seed, iteration)).generate_state(1)
        seed = int(stream[0]) % 2**31
        set_random_seed(seed)
        environments = self.training_env
        environments.seed(seed)
        self._began_s, self._acted_s = time.perf_counter(), 0.0
        # The learner's view of where the next episode begins.
        model: Any = self.model
        model._last_obs = environments.reset()
        model._last_episode_starts = np.ones(environments.num_envs, dtype=bool)

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self._episodes.append((int(info["episode"]["l"]), bool(info["found"])))
                self._returns.append(float(info["episode"]["r"]))
        self._on_steps(self.num_timesteps, self._config.iterations * ITERATION_STEPS)
        return True

    def _on_rollout_end(self) -> None:
        self._acted_s = time.perf_counter()

    def _on_training_end(self) -> None:
        self._end_iteration()

    def _end_iteration(self) -> None:
        lengths = [length for length, _ in self._episodes]
        cap = self._config.options.cap
        found = [found for _, found in self._episodes]
        self.history.append(
            {
                "mean_steps": round(float(np.mean(lengths)), 4) if lengths else float(cap),
                "mean_return": round(float(np.mean(self._returns or [0.0])), 4),
                "found": round(float(np.mean(found or [False])), 4),
                "below_cap": round(float(np.mean([n < cap for n in lengths] or [False])), 4),
                "episodes": len(lengths),
                "act_s": round(self._acted_s - self._began_s, 3),
                "learn_s": round(time.perf_counter() - self._acted_s, 3),
            }
        )
        self._episodes.clear()
        self._returns.clear()
        assert isinstance(self.model, PPO)
        _save_checkpoint(self.model, self._config, self.history)
        self._on_iteration(self.num_timesteps, self.history[-1])


# -- files ----------------------------------------------------------------------------------------


def _save_checkpoint(model: PPO, config: PpoConfig, history: list[dict[str, float]]) -> None:
    tensors = {f"policy.{k}": v.detach().clone() for k, v in model.policy.state_dict().items()}
    for number, state in model.policy.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{k}": torch.as_tensor(v) for k, v in state.items()}
    about = {"told": config.told, "steps": model.num_timesteps, "history": history}
    content = save(tensors, {"checkpoint": json.dumps(about)})
    write_atomically(config.out / CHECKPOINT, content)


def _load_checkpoint(model: PPO, config: PpoConfig) -> list[dict[str, float]]:
    path = config.out / CHECKPOINT
    if not path.is_file():
        raise HardwareError(f"{path} is not there: nothing to resume; leave out --resume.")
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["checkpoint"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for key, value in config.told.items():
        if about["told"].get(key) != value:
            raise HardwareError(
                f"{path} was made with {key} {about['told'].get(key)}, not {value}; "
                "resume it with the same, or choose another --out."
            )
    policy = {k.removeprefix("policy."): v for k, v in tensors.items() if k.startswith("policy.")}
    model.policy.load_state_dict(policy)
    optimizer = model.policy.optimizer.state_dict()
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".")
            optimizer["state"].setdefault(int(number), {})[key] = tensor
    model.policy.optimizer.load_state_dict(optimizer)
    model.num_timesteps = int(about["steps"])
    history: list[dict[str, float]] = about["history"]
    return history


def _finish(model: PPO, config: PpoConfig, history: list[dict[str, float]]) -> dict[str, Any]:
    act_s, learn_s = sum(h["act_s"] for h in history), sum(h["learn_s"] for h in history)
    steps = model.num_timesteps
    last = history[-5:]
    episodes = sum(h["episodes"] for h in last)
    summary = {
        **provenance(config.seed),
        **config.told,
        "algorithm": "ppo",
        "steps": steps,
        "act_s": round(act_s, 3),
        "learn_s": round(learn_s, 3),
        "steps_per_s": round(steps / (act_s + learn_s), 1),
        "last_5_iterations": {
            key: round(sum(h[key] * h["episodes"] for h in last) / max(episodes, 1), 4)
            for key in ("mean_steps", "found", "below_cap")
        },
        "history": history,
    }
    write_json(config.out / SUMMARY, summary)
    card = {key: value for key, value in summary.items() if key != "history"}
    state = {k: v.detach().numpy() for k, v in model.policy.state_dict().items()}
    policy = LinearPolicy(
        weight=state["action_net.weight"],
        bias=state["action_net.bias"],
        log_std=state["log_std"],
        card=card,
    )
    policy.save(config.out / FILE)
    return summary
