"""Behaviour cloning: a policy that imitates recorded demonstrations.

Demonstrations are recordings in which a limb was commanded until a camera saw the target, by a
person, a script or another policy. Their commands are cut into steps of the task; a small net
learns, by maximum likelihood, which increment was commanded at which commanded position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import TrainingProgress
from asterias.provenance import provenance
from hardware.description.robot import load_robot
from learning.recordings.reading import Recording, find_recordings
from learning.recordings.trace import CAMERA, Trace, read_trace
from learning.target_finding.algorithms.registry import (
    OnTrainingProgress,
    ShouldStop,
    TrainingRequest,
)
from learning.target_finding.env.observation import CommandUnit, observe
from learning.target_finding.env.options import TargetFindingOptions, with_command_range
from learning.target_finding.policies.network_policy import NetworkPolicy
from learning.target_finding.policies.policy_files import POLICY_FILE, SUMMARY_FILE

# Of the authors' command unit: steps that are shorter are pauses, not decisions; 0.5 % of a range.
STILL = 0.01
# Smallest standard deviation, so that the policy goes on exploring where its demonstrations agree.
LEAST_STD = 0.05
# Fraction of episodes that are not learned from; AdamW's settings, chosen on our demonstrations.
HELD_OUT_FRACTION = 0.2
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-3

# Epochs done, epochs in all.
OnEpochs = Callable[[int, int], None]
Float32Rows = npt.NDArray[np.float32]


@dataclass(frozen=True)
class BcConfig:
    """One training.

    Attributes:
        recordings: folder of episodes, or a file.
        out: folder for policy, card and summary.
        options: the protocol; ``increment`` is set to what was demonstrated.
        seed: of everything.
        epochs: passes over all steps.
        hidden: units of the two hidden layers.
        step_s: s between two decisions, where commands came more often than that.
    """

    recordings: Path
    out: Path
    options: TargetFindingOptions
    seed: int = 0
    epochs: int = 1500
    hidden: int = 32
    step_s: float = 1.0


@dataclass(frozen=True)
class Steps:
    """Demonstrated steps: ``(N, n + c)`` observations, ``(N, n)`` increments, ``(N,)`` episodes."""

    observations: Float32Rows
    increments: Float32Rows
    episodes: npt.NDArray[np.int64]


def train_request(
    request: TrainingRequest, on_progress: OnTrainingProgress, should_stop: ShouldStop
) -> dict[str, Any]:
    """Clone as a person asked; a ``KeyboardInterrupt`` follows where ``should_stop`` says so.

    Returns:
        The summary, with the history.

    Raises:
        UserError: there are no demonstrations.
    """
    if request.recordings is None:
        raise UserError("--algo bc needs --recordings: demonstrations to learn from.")

    def on_epochs(done: int, total: int) -> None:
        on_progress(TrainingProgress(done, total, "epochs", 0.0, 0.0, 0.0, 0.0, 0.0))
        if should_stop():
            raise KeyboardInterrupt

    config = BcConfig(request.recordings, request.out, request.options, seed=request.seed)
    return clone(config, on_epochs)


def clone(config: BcConfig, on_epochs: OnEpochs = lambda done, total: None) -> dict[str, Any]:
    """Train, write policy, card and summary into ``config.out``, and return the summary.

    Returns:
        The summary.

    Raises:
        UserError: the folder holds a policy, or the recordings hold no demonstration.
    """
    if (config.out / POLICY_FILE).exists():
        raise UserError(f"{config.out} holds a policy; choose another --out.")
    config = replace(config, options=with_command_range(config.options))
    recordings = demonstrations(find_recordings(config.recordings))
    steps = demonstrated_steps(recordings, config)
    largest = float(np.abs(steps.increments).max())
    config = replace(config, options=replace(config.options, increment=round(largest + 5e-4, 3)))
    net, log_std, losses = _fit(steps, config, on_epochs)
    summary = {
        **provenance(config.seed),
        "algorithm": "bc",
        "activation": "tanh",
        "cameras": steps.observations.shape[1] - steps.increments.shape[1],
        "options": asdict(config.options),
        "demonstrations": len(recordings),
        "steps": len(steps.increments),
        "steps_per_demonstration": round(len(steps.increments) / len(recordings), 3),
        "epochs": config.epochs,
        "hidden": config.hidden,
        "step_s": config.step_s,
        **losses,
    }
    tensors: dict[str, Float32Rows] = {"log_std": log_std}
    layers = (layer for layer in net if isinstance(layer, torch.nn.Linear))
    for number, layer in enumerate(layers):
        tensors[f"layer_{number}.weight"] = layer.weight.detach().numpy()
        tensors[f"layer_{number}.bias"] = layer.bias.detach().numpy()
    NetworkPolicy(tensors, summary).save(config.out / POLICY_FILE)
    write_json(config.out / SUMMARY_FILE, summary)
    return summary


def demonstrations(recordings: Sequence[Recording]) -> list[Recording]:
    """Return the successes; all of them, where none is marked.

    Raises:
        UserError: all are marked as failures.
    """
    outcomes = [r.card.outcome if r.card is not None else "unknown" for r in recordings]
    wanted = "success" if "success" in outcomes else "unknown"
    chosen = [r for r, outcome in zip(recordings, outcomes, strict=True) if outcome == wanted]
    if not chosen:
        raise UserError("All episodes are marked as failures; there is nothing to learn from them.")
    return chosen


def demonstrated_steps(recordings: Sequence[Recording], config: BcConfig) -> Steps:
    """Return observations and increments of all demonstrations.

    Raises:
        UserError: the limb is not commanded in any of them.
    """
    config = replace(config, options=with_command_range(config.options))
    limb = load_robot(config.options.robot).limbs[config.options.limb]
    lower = np.array([joint.limits_rad[0] for joint in limb.joints])
    upper = np.array([joint.limits_rad[1] for joint in limb.joints])
    unit = CommandUnit.of(lower, upper, config.options.command_range)
    cameras = len(limb.live_cameras)
    observations, increments, episodes = [], [], []
    for number, recording in enumerate(recordings):
        trace = read_trace(recording)
        commands = [unit.command(row) for row in waypoints(trace, config)]
        live = _live_cameras(trace, config.options.limb, cameras)
        for before, after in pairwise(commands):
            if np.abs(after - before).max() > STILL:
                observations.append(observe(before, live, cameras))
                increments.append(after - before)
                episodes.append(number)
    if not increments:
        raise UserError(
            f"{config.recordings} holds no commands on /limb_{config.options.limb}/commands or "
            "/joint_trajectory; record while the limb is commanded."
        )
    return Steps(
        np.array(observations, np.float32), np.array(increments, np.float32), np.array(episodes)
    )


def waypoints(trace: Trace, config: BcConfig) -> FloatArray:
    """Return ``(K, n)`` commanded positions in rad at the decisions, after the first pose."""
    commands = trace.commands.get(config.options.limb)
    joints = trace.joints.get(config.options.limb)
    if commands is None or joints is None or not len(commands.times_s):
        return np.empty((0, 0))
    columns = [joints.names.index(name) for name in commands.names]
    start = joints.at(commands.times_s[:1])[:, columns]
    rows = [start[0]]
    decided_s = -np.inf
    for time_s, row in zip(commands.times_s, commands.values, strict=True):
        if time_s - decided_s < config.step_s * 0.9:
            rows[-1] = row  # still the same decision: a stream of commands
        else:
            rows.append(row)
            decided_s = float(time_s)
    return np.array(rows)


def _live_cameras(trace: Trace, limb: int, count: int) -> list[int]:
    """Return the cameras that sent pictures; all, where pictures were not recorded."""
    matches = (CAMERA.match(topic) for topic in trace.pictures)
    live = sorted({int(m[2]) for m in matches if m is not None and int(m[1]) == limb})
    return [number for number in live if number < count] or list(range(count))


# -- learning -------------------------------------------------------------------------------------


def _fit(
    steps: Steps, config: BcConfig, on_epochs: OnEpochs
) -> tuple[torch.nn.Sequential, Float32Rows, dict[str, Any]]:
    """Return the net of the best epoch on held-out episodes, log std ``(n,)``, and losses."""
    torch.manual_seed(config.seed)
    torch.set_num_threads(1)
    held = _held_out(steps, config.seed)
    inputs, targets = torch.from_numpy(steps.observations), torch.from_numpy(steps.increments)
    net = _net(inputs.shape[1], targets.shape[1], config.hidden)
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    best, best_loss, best_epoch = net.state_dict(), np.inf, 0
    for epoch in range(config.epochs):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(net(inputs[~held]), targets[~held])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            judged = float(torch.nn.functional.mse_loss(net(inputs[held]), targets[held]))
        if judged < best_loss:
            best = {name: value.clone() for name, value in net.state_dict().items()}
            best_loss, best_epoch = judged, epoch
        on_epochs(epoch + 1, config.epochs)
    net.load_state_dict(best)
    with torch.no_grad():
        residual = (net(inputs[held]) - targets[held]).numpy()
        trained = float(torch.nn.functional.mse_loss(net(inputs[~held]), targets[~held]))
    std = np.maximum(np.sqrt(np.mean(residual**2, axis=0)), LEAST_STD).astype(np.float32)
    losses = {
        "best_epoch": best_epoch,
        "loss": round(trained, 6),
        "held_out_loss": round(best_loss, 6),
        "held_out_steps": int(held.sum()),
        "std": [round(float(value), 4) for value in std],
    }
    return net, np.log(std), losses


def _net(inputs: int, outputs: int, hidden: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.Linear(inputs, hidden),
        torch.nn.Tanh(),
        torch.nn.Linear(hidden, hidden),
        torch.nn.Tanh(),
        torch.nn.Linear(hidden, outputs),
    )


def _held_out(steps: Steps, seed: int) -> torch.Tensor:
    """Return ``(N,)``: True for a fifth of the episodes' steps; of all, if there is one episode."""
    rng = np.random.default_rng(seed)
    groups = steps.episodes
    if len(np.unique(groups)) < 2:
        groups = np.arange(len(groups))
    names = rng.permutation(np.unique(groups))
    count = max(1, round(HELD_OUT_FRACTION * len(names)))
    held = np.isin(groups, names[:count])
    if held.all():
        held[:] = False
        held[-1] = True
    return torch.from_numpy(held)
