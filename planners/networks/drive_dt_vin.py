"""DT-VIN for a differential drive: a state is a cell and one of four headings.

How DT-VIN shapes its kernel for headings is not published. Here the states are laid out as a map of
2 x 2 blocks (``headings.py``), in which all three actions lie within a patch of
5 x 5. f^T maps the 3 x 3 cells around a cell to the kernels of the heading north, each over those
25 states; for the other headings its weights are turned by quarters (four sets of weights had a few
surroundings wrong after as much training). All else is as in the sparse DT-VIN, the operator too. A
drive that enters a wall stays there, so blocked ways need not be known in advance: walls lead
nowhere, as in the other networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from asterias.errors import UserError
from planners.networks.base import ClosedForm
from planners.networks.dt_vin import SparseDTVIN, SparseDTVINConfig
from planners.networks.headings import BLOCK, PLACES, drive_steps

_SEEN = 3  # rows and columns of cells that f^T sees
_HEADINGS = len(PLACES)


@dataclass(frozen=True)
class DriveDTVINConfig(SparseDTVINConfig):
    """Shape of a DT-VIN for a differential drive."""

    actions: int = 3
    """Forward, turn right, turn left."""
    latent_actions: int = 3
    """Latent actions A."""
    field: int = 5
    """Rows and columns F of a transition kernel, in states."""
    lean: float = 1.5


class DriveDTVIN(SparseDTVIN):
    """Maps mazes ``(B, H, W)`` and goals to action logits of all states ``(B, 3, 2 H, 2 W)``.

    Goals are one-hot, ``(B, H, W)`` for a goal that is entered heading north, or
    ``(B, 4, H, W)`` for any heading.
    """

    config_type = DriveDTVINConfig
    config: DriveDTVINConfig

    def __init__(self, config: DriveDTVINConfig | None = None) -> None:
        config = config or DriveDTVINConfig()
        plain = config.kernel_type == "fully_dynamic" and config.policy_input == "q"
        if not plain or config.skip or config.transition_sees_goal or config.field != 5:
            raise UserError(
                "a drive needs kernels of type fully_dynamic over a field of 5, policy_input 'q', "
                "and neither skip nor transition_sees_goal."
            )
        if config.actions != len(drive_steps()[0]):
            raise UserError(f"a drive has 3 actions, not {config.actions}.")
        super().__init__(config)

    def _transition_layer(self) -> nn.Conv2d:
        """Return f^T of the heading north, whose channels are latent actions x taps."""
        channels = self.config.latent_actions * self.config.field**2
        return nn.Conv2d(1, channels, _SEEN, padding=_SEEN // 2)

    def _leaning(self) -> list[int]:
        """Return the taps that latent actions lean to at first, heading north."""
        half, steps = self.config.field // 2, drive_steps()[0][: self.config.latent_actions]
        return [(down + half) * self.config.field + right + half for down, right in steps]

    def _logits(self, mazes: Tensor, goals: Tensor) -> Tensor:
        """Return the logits of the kernels ``(B, A, 25, 2 H, 2 W)``, of mazes ``(B, H, W)``.

        What f^T makes of the cells ahead, it makes of those to the east for the heading east: its
        weights are turned, in the cells that they see and in the taps that they make.
        """
        latent, field = self.config.latent_actions, self.config.field
        bias = self.transition.bias
        assert bias is not None
        weight = self.transition.weight.view(latent, field, field, 1, _SEEN, _SEEN)
        weights, biases = [], []
        for quarter in range(_HEADINGS):
            turned = torch.rot90(torch.rot90(weight, -quarter, (1, 2)), -quarter, (4, 5))
            weights.append(turned.reshape(latent * field**2, 1, _SEEN, _SEEN))
            shifted = torch.rot90(bias.view(latent, field, field), -quarter, (1, 2))
            biases.append(shifted.reshape(-1))
        whole = torch.cat(weights), torch.cat(biases)
        logits = functional.conv2d(mazes.unsqueeze(1), *whole, padding=_SEEN // 2)
        kernel = _interleaved(logits.view(len(mazes), _HEADINGS, -1, *mazes.shape[1:]))
        return kernel.view(len(kernel), latent, field**2, *kernel.shape[2:])

    def encode(self, mazes: Tensor, goals: Tensor) -> tuple[Tensor, ...]:
        """Return T and R of all states, of the map with its ring of walls if it has one."""
        if goals.ndim == 3:
            north = torch.zeros_like(goals)
            goals = torch.stack((goals, north, north, north), dim=1)
        if self.config.border == "walls":
            mazes, goals = functional.pad(mazes, (1,) * 4), functional.pad(goals, (1,) * 4)
        free = mazes.repeat_interleave(BLOCK, dim=1).repeat_interleave(BLOCK, dim=2)
        reward = self.rewards(free, _interleaved(goals.unsqueeze(2)).squeeze(1))
        return self.kernels(mazes, mazes), reward

    def _inside(self, maps: Tensor) -> Tensor:
        """Return maps ``(..., 2 H, 2 W)`` without the ring of walls."""
        ring = BLOCK if self.config.border == "walls" else 0
        return maps[..., ring : maps.shape[-2] - ring, ring : maps.shape[-1] - ring]

    def solve(self, mazes: Tensor, goals: Tensor, depth: int) -> ClosedForm | None:
        """Return None: the closed form is for kernels of 3 x 3."""
        return None


def _interleaved(states: Tensor) -> Tensor:
    """Return maps ``(B, C, 2 H, 2 W)`` of what each heading has: ``(B, 4, C, H, W)``."""
    batch, _, channels, rows, columns = states.shape
    by_place = [states[:, PLACES.index(place)] for place in ((0, 0), (0, 1), (1, 0), (1, 1))]
    blocks = torch.stack(by_place, dim=2).reshape(batch, channels * BLOCK**2, rows, columns)
    return functional.pixel_shuffle(blocks, BLOCK)
