"""The probing encoder of limb policies: what is asked, what is told of the answers.

A question is an observation: commands and camera flags. In the interactive form the limb of the
next question stands where the answer moved it, and a little beside that, as the encoder likes: it
walks with the policy where no robot does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from learning.weight_space.archive.copy_runs import SETTINGS
from learning.weight_space.encoders.emulation import unit_length
from learning.weight_space.encoders.mechanistic import perceptron
from learning.weight_space.encoders.probing import Asked, ProbingEncoder

# How far an interactive question may lie beside where the policy has moved, in parts of the reach.
_ASIDE = 0.2
# Makes flags of numbers of about 1: most cameras are clearly alive or dead.
_FLAG_GAIN = 4.0


class LimbQuestions:
    """Questions to a limb's policy: observations; answers: shares of the largest increment.

    Args:
        reach: ``(n,)`` largest commands.
        cameras: number of the limb's cameras.
        increment: largest increment of a command.
    """

    def __init__(self, reach: Sequence[float], cameras: int, increment: float) -> None:
        self.reach = torch.tensor(reach, dtype=torch.float32)
        self.answers, self.numbers = len(reach), len(reach) + cameras
        self.increment = increment

    def question(
        self, numbers: torch.Tensor, last: tuple[torch.Tensor, torch.Tensor] | None
    ) -> torch.Tensor:
        """Return observations ``(N, S, n + c)``; live flags sum to 1, as the task's do."""
        drawn = self.reach * torch.tanh(numbers[..., : self.answers])
        if last is not None:
            before, share = last
            moved = before[..., : self.answers] + self.increment * share
            drawn = torch.clamp(moved + _ASIDE * drawn, -self.reach, self.reach)
        alive = torch.sigmoid(_FLAG_GAIN * numbers[..., self.answers :])
        return torch.cat([drawn, alive / alive.sum(-1, keepdim=True).clamp(min=0.1)], -1)

    def answer(self, out: torch.Tensor) -> torch.Tensor:
        """Return the shares as they are."""
        return out


class Told(NamedTuple):
    """What is told of N policies.

    Attributes:
        embedding: ``(N, embedding)`` representations of length 1.
        copy_steps: ``(N, 3)`` mean steps with each setting of dead cameras, in the copy.
        steps: likewise in the simulation.
    """

    embedding: torch.Tensor
    copy_steps: torch.Tensor
    steps: torch.Tensor


class LimbPolicyEncoder(nn.Module):
    """Asks a policy, and predicts mean steps to the target with each setting of dead cameras.

    Args:
        questions: what can be asked.
        cap: steps of an episode.
        interactive: see :class:`ProbingEncoder`.
        embedding: size of a representation.
        rounds: questions of a sequence.
        parallel: sequences.
        width: units of the memory that reads.
    """

    def __init__(
        self,
        questions: LimbQuestions,
        cap: int,
        *,
        interactive: bool = True,
        embedding: int = 16,
        rounds: int = 6,
        parallel: int = 8,
        width: int = 48,
    ) -> None:
        super().__init__()
        self.cap = cap
        self.probing = ProbingEncoder(
            questions,
            embedding,
            interactive=interactive,
            rounds=rounds,
            parallel=parallel,
            width=width,
        )
        settings = len(SETTINGS)
        self.predicts = perceptron((embedding, 64, settings))
        self.corrects = perceptron((embedding + settings, 32, settings))

    def forward(self, asked: Asked, count: int) -> Told:
        """Ask policies, and return what is told of them.

        Args:
            asked: the policies, with empty memories.
            count: N of them.

        Returns:
            Representations, and steps in the copy and in the simulation.
        """
        embedding = unit_length(self.probing.ask(asked, count))
        copy = self.predicts(embedding)
        # How the simulation differs from its copy is learned from far fewer policies.
        simulation = copy + self.corrects(torch.cat([embedding, copy.detach()], 1))
        steps = [1 + (self.cap - 1) * torch.sigmoid(one) for one in (copy, simulation)]
        return Told(embedding, *steps)
