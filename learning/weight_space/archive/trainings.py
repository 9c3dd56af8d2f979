"""Trainings of recurrent limb policies in the copy of the task: PGPE on all weights at once.

Trainings differ in cell, dead cameras, noise and rate, so that their policies do; each leaves
snapshots from its first, poor, iterations to its last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asterias.errors import UserError
from learning.policy_search.algorithms.evolution import centred_ranks
from learning.policy_search.common.pose_map import PoseMap
from learning.target_finding.algorithms.checkpoint import load_state, save_state
from learning.weight_space.archive.copy_runs import SETTINGS, run_episodes
from learning.weight_space.archive.policy_bank import PolicyBank
from learning.weight_space.recurrent_nets import CELLS, NetForm, Nets, draw_nets

# Deviations of the noise, and parts of it that the mean moves by; three of each are tried in turn.
_SIGMAS = (0.1, 0.2, 0.3)
_RATES = (1.0, 2.0, 4.0)


@dataclass(frozen=True)
class TrainingOptions:
    """How the policies of an archive are trained.

    Attributes:
        trainings: in all; cells and settings of dead cameras take turns.
        hidden: units of each policy.
        snapshots: iterations after which a policy is kept; a training ends with the last.
        pairs: symmetric pairs of policies in an iteration.
        episodes: of each policy in an iteration.
        seed: of everything.
    """

    trainings: int = 40
    hidden: int = 12
    snapshots: tuple[int, ...] = (1, 4, 8, 16, 50)
    pairs: int = 14
    episodes: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        least = min(self.trainings, self.hidden, self.pairs, self.episodes, *self.snapshots)
        if not self.snapshots or least < 1:
            raise UserError("An archive's trainings need numbers of 1 or more.")


@dataclass(frozen=True)
class Trained:
    """Policies of trainings.

    Attributes:
        bank: the policies.
        runs: ``(P,)`` the training of each.
        snapshots: ``(P,)`` iterations after which it was kept.
        about: one description of each training.
    """

    bank: PolicyBank
    runs: np.ndarray[Any, np.dtype[np.int64]]
    snapshots: np.ndarray[Any, np.dtype[np.int64]]
    about: list[dict[str, Any]]


def training_settings(number: int) -> dict[str, Any]:
    """Return cell, dead cameras, noise and rate of a training; all combinations take turns."""
    return {
        "cell": CELLS[number % 3],
        "faults": SETTINGS[number // 3 % 3],
        "sigma": _SIGMAS[(number + number // 9) % 3],
        "rate": _RATES[(number + 2 * (number // 9)) % 3],
    }


def make_trainings(
    folder: Path,
    copy: PoseMap,
    options: TrainingOptions,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained | None:
    """Return the policies of a folder's trainings; train what is missing.

    A training depends on its number and the seed alone: one that was stopped half way is made
    again, with the same result.

    Args:
        folder: where each training is kept.
        copy: of the task.
        options: of the trainings.
        on_progress: told finished trainings and their number.
        should_stop: asked after each iteration.

    Returns:
        The policies; None where it was stopped before the end.
    """
    forms, kept = [], []
    for number in range(options.trainings):
        own = training_settings(number)
        form = NetForm(own["cell"], copy.joints + copy.cameras, options.hidden, copy.joints)
        path = folder / f"training_{number:03d}.safetensors"
        told = {**asdict(options), "number": number, "poses": len(copy.poses.commands)}
        del told["trainings"]  # so that more can be added
        if not path.exists():
            made = _train(copy, form, own, options, number, should_stop)
            if made is None:
                return None
            save_state(path, made, told, own)
        state, _ = load_state(path, told)
        forms.append(form)
        kept.append(state)
        on_progress(number + 1, options.trainings)
    return _gathered(forms, kept, options)


def _train(
    copy: PoseMap,
    form: NetForm,
    own: dict[str, Any],
    options: TrainingOptions,
    number: int,
    should_stop: Callable[[], bool],
) -> dict[str, torch.Tensor] | None:
    """Train one policy by PGPE.

    Returns:
        Its snapshots, stacked; None where it was stopped.
    """
    generator = torch.Generator().manual_seed(options.seed * 1000 + number)
    rng = np.random.default_rng((options.seed, number))
    mean = {name: part[0] for name, part in draw_nets(form, 1, generator).items()}
    kept: list[dict[str, torch.Tensor]] = []
    for iteration in range(1, max(options.snapshots) + 1):
        noise = {
            name: own["sigma"] * torch.randn((options.pairs, *part.shape), generator=generator)
            for name, part in mean.items()
        }
        nets = {k: torch.cat([mean[k] + v, mean[k] - v]) for k, v in noise.items()}
        bank, count = PolicyBank([(form, nets)]), 2 * options.pairs
        asked = bank.asked(np.arange(count), options.episodes)
        steps = run_episodes(copy, asked, count, options.episodes, rng, own["faults"])
        utility = centred_ranks(-steps.mean(1))
        gain = (utility[: options.pairs] - utility[options.pairs :]) / 2
        weight = torch.tensor(own["rate"] * gain / math.sqrt(options.pairs), dtype=torch.float32)
        for name, part in noise.items():
            mean[name] = mean[name] + torch.tensordot(weight, part, 1)
        if iteration in options.snapshots:
            kept.append({name: part.clone() for name, part in mean.items()})
        if should_stop():
            return None
    return {name: torch.stack([one[name] for one in kept]) for name in mean}


def _gathered(forms: list[NetForm], kept: list[Nets], options: TrainingOptions) -> Trained:
    """Return all snapshots as one bank, cell after cell."""
    groups, runs = [], []
    for cell in CELLS:
        own = [i for i, form in enumerate(forms) if form.cell == cell]
        if own:
            nets = {name: torch.cat([kept[i][name] for i in own]) for name in kept[own[0]]}
            groups.append((forms[own[0]], nets))
            runs += own
    stages = len(options.snapshots)
    return Trained(
        PolicyBank(groups),
        np.repeat(np.array(runs, np.int64), stages),
        np.tile(np.array(sorted(options.snapshots), np.int64), len(runs)),
        [training_settings(number) for number in range(options.trainings)],
    )
