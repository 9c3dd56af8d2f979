"""The limb policies' encoder learns: to predict steps, and by emulation, on some trainings.

What is learned from are the policies of those trainings and noisy relatives of them. Policies of
other trainings are never seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asterias.arrays import FloatArray
from learning.policy_search.common.pose_map import PoseMap
from learning.weight_space.archive.copy_runs import mean_steps
from learning.weight_space.archive.limb_encoder import LimbPolicyEncoder, LimbQuestions
from learning.weight_space.archive.policy_bank import PolicyBank, perturbed
from learning.weight_space.archive.trainings import Trained
from learning.weight_space.encoders.emulation import Emulator
from learning.weight_space.encoders.resumable_training import ResumableTraining
from learning.weight_space.recurrent_nets import joined, select

# Noise of relatives, in parts of each tensor's own size: near copies to policies of which hardly
# anything is left (as for fingerprints).
_SCALES = (0.1, 0.2, 0.4, 0.8)
# Episodes that are emulated: of each policy, and their steps.
_WALKS, _WALK_STEPS = 4, 6


@dataclass(frozen=True)
class LimbEncoderOptions:
    """How the encoder learns.

    Attributes:
        interactive: questions depend on the answers before.
        updates: steps of AdamW.
        policies: of an update.
        measured: of these, those whose steps in the simulation are known.
        relatives: of each policy that is learned from.
        episodes: of each relative and setting of dead cameras, in the copy of the task.
        emulation: weight of emulation beside prediction.
        learning_rate: of AdamW, which falls to 0 as a cosine.
        weight_decay: of AdamW.
        seed: of everything.
    """

    interactive: bool = True
    updates: int = 600
    policies: int = 64
    measured: int = 24
    relatives: int = 4
    episodes: int = 20
    emulation: float = 1.0
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    seed: int = 0


@dataclass(frozen=True)
class TaughtPolicies:
    """Policies that are learned from.

    Attributes:
        bank: of P policies.
        steps: ``(P, 3)`` mean steps with each setting of dead cameras, in the copy.
        measured: ``(P, 3)`` likewise in the simulation; NaN where that was not measured.
    """

    bank: PolicyBank
    steps: FloatArray
    measured: FloatArray


def make_population(
    trained: Trained,
    measured: FloatArray,
    taught: Any,
    copy: PoseMap,
    options: LimbEncoderOptions,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> TaughtPolicies:
    """Return policies of some trainings and relatives of them, with the steps that they need.

    Args:
        trained: all policies.
        measured: ``(P, 3)`` steps of all policies in the simulation.
        taught: numbers of the trainings that are learned from.
        copy: of the task.
        options: number of relatives, and of their episodes.
        on_progress: told policies that are done and their number.
    """
    generator = torch.Generator().manual_seed(options.seed)
    groups, known, first = [], [], 0
    for form, nets in trained.bank.groups:
        count = len(nets["bias_ih"])
        own = np.flatnonzero(np.isin(trained.runs[first : first + count], taught))
        rows = measured[first + own]
        first += count
        if not len(own):
            continue
        parents = select(nets, torch.from_numpy(own))
        several = [parents]
        for number in range(options.relatives):
            scales = torch.full((len(own),), _SCALES[number % len(_SCALES)])
            several.append(perturbed(form, parents, scales, generator))
        groups.append((form, joined(several)))
        known += [rows, np.full((len(own) * options.relatives, 3), np.nan)]
    bank = PolicyBank(groups)
    steps = mean_steps(copy, bank, options.episodes, options.seed, on_progress)
    return TaughtPolicies(bank, steps, np.concatenate(known))


class LimbEncoderTraining(ResumableTraining):
    """An encoder of limb policies while it learns.

    Args:
        copy: of the task, for its limits.
        population: that is learned from.
        options: of the training.
        path: of its file, which is read where it is there.
    """

    def __init__(
        self, copy: PoseMap, population: TaughtPolicies, options: LimbEncoderOptions, path: Path
    ) -> None:
        self.population, self.options = population, options
        about = copy.options
        self._questions = LimbQuestions(about.command_range, copy.cameras, about.increment)
        self._cameras = copy.cameras
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.encoder = LimbPolicyEncoder(
                self._questions, about.cap, interactive=options.interactive
            )
            size = self.encoder.probing.embedding
            emulator = Emulator(copy.joints + copy.cameras, copy.joints, size)
        super().__init__(self.encoder, emulator, options, path)
        self._steps = torch.tensor(population.steps, dtype=torch.float32)
        self._measured = torch.tensor(population.measured, dtype=torch.float32)
        self._known = np.flatnonzero(np.isfinite(population.measured).all(1))

    def update(self) -> None:
        """Take a step with encoder and emulator."""
        bank, numbers = self.population.bank, self._drawn()
        told = self.encoder(bank.asked(numbers, self.encoder.probing.parallel), len(numbers))
        span = self.encoder.cap - 1
        apart = (told.copy_steps - self._steps[numbers]) / span
        # Those that were measured in the simulation stand first.
        first = self.options.measured
        true_apart = (told.steps[:first] - self._measured[numbers[:first]]) / span
        seen, wanted = self._walks(bank, numbers)
        said = torch.tanh(self.emulator(seen, told.embedding))
        losses = (apart**2).mean(), (true_apart**2).mean(), ((said - wanted) ** 2).mean()
        loss = losses[0] + losses[1] + self.options.emulation * losses[2]
        self._descend(loss, 1.0, [round(float(one.detach()), 6) for one in losses])

    def _drawn(self) -> Any:
        """Return numbers of policies: some that were measured in the simulation, then any."""
        about, known = self.options, self._known
        first = torch.randint(len(known), (about.measured,), generator=self._generator).numpy()
        count = about.policies - about.measured
        any_of = torch.randint(len(self.population.bank), (count,), generator=self._generator)
        return np.concatenate([known[first], any_of.numpy()])

    def _walks(self, bank: PolicyBank, numbers: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Let policies move about from drawn commands, with drawn live cameras.

        Returns:
            Observations ``(B, S, T, o)``, and the shares ``(B, S, T, n)`` that were answered.
        """
        questions, count = self._questions, len(numbers)
        asked = bank.asked(numbers, _WALKS)
        shape = (count, _WALKS, questions.answers)
        command = (2 * torch.rand(shape, generator=self._generator) - 1) * questions.reach
        alive = torch.rand((count, _WALKS, self._cameras), generator=self._generator) < 0.7
        flags = alive / alive.sum(-1, keepdim=True).clamp(min=1)
        seen, wanted = [], []
        with torch.no_grad():
            for _ in range(_WALK_STEPS):
                seen.append(torch.cat([command, flags], -1))
                wanted.append(asked(seen[-1]))
                command = command + questions.increment * wanted[-1]
                command = torch.clamp(command, -questions.reach, questions.reach)
        return torch.stack(seen, 2), torch.stack(wanted, 2)


def ask_bank(encoder: LimbPolicyEncoder, bank: PolicyBank) -> dict[str, FloatArray]:
    """Return what an encoder tells of a bank's policies, by the names of :class:`Told`."""
    with torch.no_grad():
        asked = bank.asked(np.arange(len(bank)), encoder.probing.parallel)
        told = encoder(asked, len(bank))
    return {name: part.double().numpy() for name, part in told._asdict().items()}
