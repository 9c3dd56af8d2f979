"""The interface of planning networks: a maze and a goal go in, action logits come out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asterias.errors import UserError
from planners.networks.readout import Readout

_MOST = 100_000  # of any count in an option; beyond it, memory ends

# Moves that latent actions begin with, where they are initialised: clockwise from north, then
# diagonals, as in the move sets.
COMPASS = ((-1, 0), (0, 1), (1, 0), (0, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))


@dataclass(frozen=True)
class NetworkConfig:
    """Options of every network."""

    actions: int = 4
    """Actions to choose from: 4 for north, east, south, west; 8 with the diagonals."""

    def __post_init__(self) -> None:
        """Check the values against the fields' types, since cards and commands bring any.

        Raises:
            UserError: a value is of another type, or none of those to choose from.
        """
        hints = get_type_hints(type(self))
        for field in fields(self):
            value, kind = getattr(self, field.name), hints[field.name]
            if get_origin(kind) is Literal and value not in get_args(kind):
                choices = ", ".join(map(str, get_args(kind)))
                raise UserError(f"{field.name} is {value!r}: choose one of {choices}.")
            if kind is int and (type(value) is not int or not 0 <= value <= _MOST):
                raise UserError(f"{field.name} is {value!r}: give a whole number up to {_MOST}.")
            if kind is float and not (isinstance(value, (int, float)) and math.isfinite(value)):
                raise UserError(f"{field.name} is {value!r}: give a number.")


class ClosedForm(NamedTuple):
    """The outcome of a number of layers, for all cells."""

    actions: NDArray[np.int8]
    """Best actions ``(B, H, W)``."""
    values: NDArray[np.float32]
    """V of one more layer ``(B, H, W)``, less its greatest."""


class PlanningNetwork(nn.Module, ABC):
    """Encode the observation once, iterate a planning step many times.

    Decode actions from any layer.

    A new network is a subclass with ``config_type``, ``encode``, ``iterate`` and ``decode``, and a
    line in ``registry.py`` (or an entry point ``asterias.planners``). The other methods are
    capabilities, which planners ask for.

    Attributes:
        config_type: dataclass of its options.
        config: its options.
    """

    config_type: ClassVar[type[NetworkConfig]] = NetworkConfig

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def encode(self, mazes: Tensor, goals: Tensor) -> tuple[Tensor, ...]:
        """Return what all layers share, from mazes ``(B, H, W)``, 1 = free, and one-hot goals."""

    @abstractmethod
    def iterate(self, encoded: Sequence[Tensor], depth: int, saved_layers: Sequence[int]) -> Tensor:
        """Return the planning state after the saved layers: ``(N, B, ..., H, W)``."""

    @abstractmethod
    def decode(self, encoded: Sequence[Tensor], states: Tensor) -> Tensor:
        """Return action logits ``(N, B, actions, H, W)`` of saved states."""

    @property
    def can_resume(self) -> bool:
        """Whether :meth:`resume` goes on from a state; else each depth starts at layer 1."""
        return False

    def resume(self, encoded: Sequence[Tensor], state: Tensor | None, count: int) -> Tensor:
        """Return the planning state ``(B, ..., H, W)`` after ``count`` more layers.

        Args:
            encoded: of :meth:`encode`.
            state: where to go on; None is before the first layer.
            count: layers.

        Raises:
            NotImplementedError: the network cannot; ask :attr:`can_resume`.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot go on from a state.")

    def values(self, encoded: Sequence[Tensor], states: Tensor) -> Tensor:
        """Return the value of each cell ``(N, B, H, W)`` in saved states, to look at."""
        return self.decode(encoded, states).amax(dim=2)

    def decode_with_values(
        self, encoded: Sequence[Tensor], states: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return action logits and the value of each cell, of saved states."""
        return self.decode(encoded, states), self.values(encoded, states)

    def linear_policy(self) -> Tensor | None:
        """Return the weight ``(actions, A)`` of a policy that is linear in what it sees of Q.

        Q is that of one more layer, ``encoded`` being T and R and the state being V, and
        :attr:`policy_readout` says what is seen of it. None for all other policies.
        """
        return None

    @property
    def policy_readout(self) -> Readout:
        """What a linear policy sees of the Q-values."""
        return "centred"

    def diagnostics(self) -> dict[str, float]:
        """Return what is worth a curve after a step of training, by name."""
        return {}

    def solve(self, mazes: Tensor, goals: Tensor, depth: int) -> ClosedForm | None:
        """Return what ``depth`` layers lead to without running them, where that is possible.

        Args:
            mazes: ``(B, H, W)``, 1 = free.
            goals: one-hot ``(B, H, W)``.
            depth: layers.

        Returns:
            The solution, or None: the layers have to be run.
        """
        return None

    def limit_logits(self, mazes: Tensor, goals: Tensor) -> Tensor:
        """Return action logits ``(1, B, actions, H, W)`` in the limit of depth, with gradients.

        Args:
            mazes: ``(B, H, W)``.
            goals: one-hot ``(B, H, W)``.

        Raises:
            UserError: the network has no such limit; its layers have to be run.
        """
        name = type(self).__name__
        raise UserError(f"{name} has no limit of depth to train in: choose another --loss.")

    @property
    def sees_pictures(self) -> bool:
        """Whether what it sees are pictures of many pixels a cell, not maps."""
        return False

    def map_logits(self, seen: Tensor) -> Tensor:
        """Return the log odds of being free ``(B, H, W)`` of the cells of what is seen.

        Raises:
            UserError: the network makes no map.
        """
        raise UserError(f"{type(self).__name__} makes no map to train: choose another --loss.")

    def forward(self, mazes: Tensor, goals: Tensor, depth: int) -> Tensor:
        """Return action logits ``(B, actions, H, W)`` after ``depth`` layers."""
        encoded = self.encode(mazes, goals)
        return self.decode(encoded, self.iterate(encoded, depth, (depth,)))[0]


def direction_taps(field: int, actions: int) -> list[int]:
    """Return, for each latent action that has a direction, its tap in an F x F kernel.

    Returns:
        The taps, by latent action.
    """
    middle = field // 2
    steps = COMPASS[: min(actions, len(COMPASS))]
    return [(middle + down) * field + middle + right for down, right in steps]


def choose_device(name: str) -> torch.device:
    """Return the device of a name: cpu, cuda, cuda:N, or auto, the GPU if there is one.

    Raises:
        UserError: there is no such device, or the planners cannot compute on it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UserError(f"device is {name!r}: choose cpu, cuda, or auto.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"device is {name!r}, but PyTorch sees no GPU: use 'cpu' or 'auto'.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device is {name!r}, but there are {torch.cuda.device_count()} GPUs.")
    return device


def observation(
    mazes: Any, goals: Any, variance: float = 0.0, draw: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Return what a network sees of mazes: themselves and one-hot goals, float32 ``(B, H, W)``.

    Args:
        mazes: uint8 ``(B, H, W)``, 1 = free.
        goals: row and column ``(B, 2)``.
        variance: of Gaussian noise on the mazes, clipped to 0 to 1 (App. C.4 of DT-VIN).
        draw: random numbers of the noise; None takes PyTorch's.
    """
    maze = torch.as_tensor(mazes).float()
    if variance:
        maze = (maze + variance**0.5 * torch.randn(maze.shape, generator=draw)).clamp(0, 1)
    places = torch.as_tensor(goals)
    goal = torch.zeros_like(maze)
    goal[torch.arange(len(maze)), places[:, 0], places[:, 1]] = 1
    return maze, goal
