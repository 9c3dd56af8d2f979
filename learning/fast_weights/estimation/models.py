"""Networks over time that make joint states of what cameras saw at irregular moments.

All get the same sample at each moment (:func:`sample_of`), all have the same read-out, a filter
with learned gains (:class:`JointFilter`), which also says where the joints are between two moments.
What differs is the memory: fast weights, gated recurrent units, a neural controlled differential
equation, or none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from asterias.registry import Registry
from learning.fast_weights.core.integration import rk4_step
from learning.fast_weights.core.layer import SHARES, FastWeightLayer, Memory
from learning.fast_weights.core.paths import Segments, hermite
from learning.fast_weights.estimation.encoder import AGE_UNIT_S, Guess
from learning.fast_weights.estimation.joint_filter import JointFilter

HIDDEN = 32


def sample_size(joints: int, cameras: int) -> int:
    """Return the size of a sample."""
    return 4 * joints + 2 * cameras


class SequenceModel(nn.Module, ABC):
    """What all estimators over time have in common.

    Args:
        joints: number of joints, n.
        cameras: number of cameras, c.
        hidden: size of the memory's output.
    """

    def __init__(self, joints: int, cameras: int, hidden: int) -> None:
        super().__init__()
        self.inputs = sample_size(joints, cameras)
        self.filter = JointFilter(hidden, self.inputs, joints)

    def sample_of(
        self, guess: Guess, fresh_guess: Guess, ages_s: torch.Tensor, fresh: torch.Tensor
    ) -> torch.Tensor:
        """Return samples ``(..., m)``: what the encoder guesses, ages, what is fresh.

        What pictures look like is left to the encoder: drives show too few poses, and networks over
        time that saw descriptions learned these by heart.

        Args:
            guess: from the newest picture of each camera.
            fresh_guess: from the pictures alone that have just come.
            ages_s: ``(..., c)`` of the newest pictures.
            fresh: ``(..., c)`` which have just come.
        """
        return torch.cat([*guess, *fresh_guess, ages_s / AGE_UNIT_S, fresh], -1)

    def remember(self, samples: torch.Tensor, times_s: torch.Tensor) -> torch.Tensor:
        """Return the memory's output ``(B, N, hidden)`` at samples ``(B, N, m)``."""
        memory, outputs = None, []
        for place in range(samples.shape[1]):
            memory, output = self.step(memory, samples[:, place], times_s[:, place])
            outputs.append(output)
        return torch.stack(outputs, 1)

    @abstractmethod
    def step(
        self, memory: Any, sample: torch.Tensor, time_s: torch.Tensor
    ) -> tuple[Any, torch.Tensor]:
        """Take one sample ``(B, m)`` at ``(B,)``; a memory of None is empty.

        Returns:
            The memory, and its output ``(B, hidden)``.
        """

    def shifted(self, memory: Any, by_s: float) -> Any:
        """Return a memory whose stamps are ``by_s`` less."""
        return memory


class FilterAlone(SequenceModel):
    """No memory but the filter's: what was foreseen."""

    def __init__(self, joints: int, cameras: int) -> None:
        super().__init__(joints, cameras, 1)

    def step(
        self, memory: Any, sample: torch.Tensor, time_s: torch.Tensor
    ) -> tuple[Any, torch.Tensor]:
        """Remember nothing.

        Returns:
            An empty memory, and zeros.
        """
        return (), torch.zeros_like(sample[:, :1])


class NearestFrame(FilterAlone):
    """Not even a filter: the encoder's guess from the newest picture of each camera, as it is."""

    def __init__(self, joints: int, cameras: int) -> None:
        super().__init__(joints, cameras)
        for parameter in self.parameters():
            parameter.requires_grad_(False)


class FastWeightModel(SequenceModel):
    """Fast weights in continuous time."""

    def __init__(self, joints: int, cameras: int, rule: str, form: str) -> None:
        super().__init__(joints, cameras, HIDDEN)
        self.layer = FastWeightLayer(self.inputs, HIDDEN, rule=rule, form=form)

    def remember(self, samples: torch.Tensor, times_s: torch.Tensor) -> torch.Tensor:
        """Return read-outs ``(B, N, hidden)``."""
        outputs: torch.Tensor = self.layer(samples, times_s)
        return outputs

    def step(
        self, memory: Memory | None, sample: torch.Tensor, time_s: torch.Tensor
    ) -> tuple[Memory, torch.Tensor]:
        """Take one sample.

        Returns:
            The memory, and its output.
        """
        return self.layer.step(memory, sample, time_s)

    def shifted(self, memory: Memory, by_s: float) -> Memory:
        """Return a memory whose stamps are less."""
        return memory._replace(times=memory.times - by_s)


@dataclass
class Recurrent:
    """State ``(B, h)`` of a recurrent network, and the time of its last sample ``(B,)``."""

    state: torch.Tensor
    time_s: torch.Tensor


class RecurrentModel(SequenceModel):
    """What both gated recurrent units have in common."""

    def shifted(self, memory: Recurrent, by_s: float) -> Recurrent:
        """Return a memory whose stamp is less."""
        return Recurrent(memory.state, memory.time_s - by_s)

    @staticmethod
    def _before(
        memory: Recurrent | None, sample: torch.Tensor, time_s: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the state ``(B, 2 hidden)`` before a sample, and the time since the last one."""
        past = memory or Recurrent(sample.new_zeros(len(sample), 2 * HIDDEN), time_s)
        return past.state, (time_s - past.time_s).unsqueeze(-1) / AGE_UNIT_S


class GapGru(RecurrentModel):
    """A gated recurrent unit that gets the time since the last sample as one more input."""

    def __init__(self, joints: int, cameras: int) -> None:
        super().__init__(joints, cameras, 2 * HIDDEN)
        self.cell = nn.GRUCell(self.inputs + 1, 2 * HIDDEN)

    def step(
        self, memory: Recurrent | None, sample: torch.Tensor, time_s: torch.Tensor
    ) -> tuple[Recurrent, torch.Tensor]:
        """Take one sample.

        Returns:
            The memory, and its output.
        """
        state, gap = self._before(memory, sample, time_s)
        state = self.cell(torch.cat([sample, gap], -1), state)
        return Recurrent(state, time_s), state


class DecayGru(RecurrentModel):
    """GRU-D (Che et al. 2018, arXiv 1606.01865): state and stale inputs decay with learned rates.

    Inputs here always hold a value, the last one, so that their mask is what is fresh and their
    mean, to which they decay, is 0.
    """

    def __init__(self, joints: int, cameras: int) -> None:
        super().__init__(joints, cameras, 2 * HIDDEN)
        self.cell = nn.GRUCell(2 * self.inputs, 2 * HIDDEN)
        self.state_decay = nn.Linear(1, 2 * HIDDEN)
        self.input_decay = nn.Linear(cameras, self.inputs)
        self.cameras = cameras

    def step(
        self, memory: Recurrent | None, sample: torch.Tensor, time_s: torch.Tensor
    ) -> tuple[Recurrent, torch.Tensor]:
        """Take one sample.

        Returns:
            The memory, and its output.
        """
        state, gap = self._before(memory, sample, time_s)
        ages, fresh = sample[:, -2 * self.cameras : -self.cameras], sample[:, -self.cameras :]
        kept = torch.exp(-torch.relu(self.input_decay(ages)))
        mask = fresh.mean(-1, keepdim=True).expand_as(sample)
        decayed = state * torch.exp(-torch.relu(self.state_decay(gap)))
        state = self.cell(torch.cat([sample * kept, mask], -1), decayed)
        return Recurrent(state, time_s), state


@dataclass
class Controlled:
    """State ``(B, h)`` of a controlled differential equation, and the newest samples."""

    state: torch.Tensor
    samples: torch.Tensor
    times_s: torch.Tensor


class NeuralCde(SequenceModel):
    """Neural controlled differential equation (Kidger et al. 2020, arXiv 2005.08926).

    ``dh = f(h) dX`` along the same causal path as the fast weights have; ``f`` gives a matrix of
    state times path, which is why the path is projected to few numbers first.
    """

    path_size = 12

    def __init__(self, joints: int, cameras: int) -> None:
        super().__init__(joints, cameras, HIDDEN)
        self.project = nn.Linear(self.inputs, self.path_size - 1)
        self.first = nn.Linear(self.path_size, HIDDEN)
        self.field = nn.Sequential(
            nn.Linear(HIDDEN, 64), nn.GELU(), nn.Linear(64, HIDDEN * self.path_size), nn.Tanh()
        )

    def _along(self, state: torch.Tensor, piece: Segments) -> torch.Tensor:
        slopes = [piece.slope(share)[:, 0] for share in SHARES]

        def field(share: float, at: torch.Tensor) -> torch.Tensor:
            matrix = self.field(at).reshape(len(at), HIDDEN, self.path_size)
            slope: torch.Tensor = matrix @ slopes[SHARES.index(share)].unsqueeze(-1)
            return slope.squeeze(-1)

        return rk4_step(field, state, 0.0, 1.0)

    def step(
        self, memory: Controlled | None, sample: torch.Tensor, time_s: torch.Tensor
    ) -> tuple[Controlled, torch.Tensor]:
        """Take one sample.

        Returns:
            The memory, and its output.
        """
        clock = time_s if memory is None else time_s - memory.times_s[:, 0]
        point = torch.cat([self.project(sample), clock.unsqueeze(-1)], -1)[:, None]
        if memory is None:
            point = torch.cat([point[..., :-1], torch.zeros_like(point[..., -1:])], -1)
            state = self.first(point[:, 0])
            return Controlled(state, point, time_s[:, None]), state
        samples = torch.cat([memory.samples, point], 1)
        times = torch.cat([memory.times_s, time_s[:, None]], 1)
        # Time counts from the oldest sample at hand, so that it does not grow without end.
        samples = torch.cat([samples[..., :-1], (times - times[:, :1]).unsqueeze(-1)], -1)
        newest = Segments(*(part[:, -1:] for part in hermite(samples, times)))
        state = self._along(memory.state, newest)
        return Controlled(state, samples[:, -2:], times[:, -2:]), state

    def shifted(self, memory: Controlled, by_s: float) -> Controlled:
        """Return a memory whose stamps are less."""
        return Controlled(memory.state, memory.samples, memory.times_s - by_s)


# Joints, cameras -> network.
MakeModel = Callable[[int, int], SequenceModel]


def _check(name: str, entry: object) -> None:
    """Refuse what makes no network.

    Raises:
        TypeError: it cannot be called.
    """
    if not callable(entry):
        raise TypeError(f"{name} makes no network")


SEQUENCE_MODELS: Registry[MakeModel] = Registry(
    "estimator over time", "asterias.sequence_models", _check
)
for _rule in ("delta", "oja", "hebb"):
    for _form in ("ode", "cde"):
        SEQUENCE_MODELS.register(
            f"{_rule}_{_form}", partial(FastWeightModel, rule=_rule, form=_form)
        )
SEQUENCE_MODELS.register("gru_d", DecayGru)
SEQUENCE_MODELS.register("gru_gaps", GapGru)
SEQUENCE_MODELS.register("neural_cde", NeuralCde)
SEQUENCE_MODELS.register("filter", FilterAlone)
SEQUENCE_MODELS.register("nearest_frame", NearestFrame)
