"""DT-VIN that plans through doubt: R is the log of the chance that a cell is free.

A map that is noisy, or read from a picture, is known in probabilities. A way is free with the
product of the chances of its cells, whose log is a sum along the way: what value iteration adds up.
So doubt belongs into f^R. Kernels that depend on the map throw it away instead, each on its own: a
move is blocked or not. Here the kernels are one-hot and given, the moves and one that stays, and
R is in nats; what is learned is the CNN that tells how likely each cell is to be free.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from asterias.errors import UserError
from planners.networks.base import COMPASS, ClosedForm, NetworkConfig, PlanningNetwork
from planners.networks.map_cleaner import (
    MOST_LOG_ODDS,
    FoldedCleaner,
    PictureMapper,
    cleaning_layers,
    known_goal,
    log_odds,
    mean_of_views,
    random_view,
    surprise,
)
from planners.networks.readout import readout
from planners.operator.one_hot_kernels.limit import limit_values

_MOST_LOGITS = 10.0  # between moves: no doubt counts for more than exp(-10)
_FAR = 1e6  # nats, for what leaves the map


@dataclass(frozen=True)
class DoubtDTVINConfig(NetworkConfig):
    """Shape of a DT-VIN that plans through doubt."""

    channels: int = 16
    """Channels of the CNN that makes the map; 0 where the map is known."""
    cnn_layers: int = 5
    """Its layers."""
    folded: int = 0
    """Residual blocks of a CNN over blocks of 2 x 2 cells in place of one over cells; 0 for none.
    """
    views: bool = False
    """Learn the map from turned and mirrored views drawn at random, and average the log odds of
    all eight in evaluation."""
    picture: bool = False
    """What is seen is a picture of 18 x 18 pixels a cell, not a map."""
    octile: bool = False
    """A diagonal move costs sqrt(2) steps (with eight moves)."""
    learns_diagonal: bool = False
    """What a diagonal move costs is learned from examples, and begins at one step."""
    softness: float = 10.0
    """Steps by which a move must be worse for half the greatest difference of logits: imitation
    tells moves apart that differ by a fifth of it."""
    step_price: float = 1e-3
    """Nats of doubt that a step is worth: more makes ways shorter, less makes them safer."""


class DoubtDTVIN(PlanningNetwork):
    """Maps noisy mazes ``(B, H, W)`` or pictures ``(B, 18 H, 18 W)``, and goals, to action logits.

    R is log p of a cell, and at the goal the price of a step: a walk that has arrived and stays
    earns it at every layer, and each step before that is a layer without.
    """

    config_type = DoubtDTVINConfig
    config: DoubtDTVINConfig

    def __init__(self, config: DoubtDTVINConfig | None = None) -> None:
        super().__init__(config or DoubtDTVINConfig())
        config = self.config
        if not config.step_price > 0:
            raise UserError(f"step_price is {config.step_price}: give a number above 0.")
        if not config.softness > 0:
            raise UserError(f"softness is {config.softness}: give a number above 0.")
        if config.actions not in (4, 8):
            raise UserError(f"actions are {config.actions}: give 4 or 8.")
        if config.channels and config.cnn_layers < 2:
            raise UserError(f"cnn_layers is {config.cnn_layers}: give 2 or more.")
        if config.learns_diagonal:
            if not config.octile or config.actions != 8:
                raise UserError("learns_diagonal needs octile and 8 actions, the diagonal moves.")
            self.diagonal = nn.Parameter(torch.tensor(0.0))  # steps beyond the first
        if config.picture:
            self.mapper: nn.Module = PictureMapper(max(1, config.channels), config.cnn_layers)
        elif config.channels and config.folded:
            self.mapper = FoldedCleaner(config.channels, config.folded)
        elif config.channels:
            self.mapper = cleaning_layers(config.channels, config.cnn_layers)

    def free_log_odds(self, seen: Tensor) -> Tensor:
        """Return the log odds of being free ``(B, H, W)`` of the cells of what is seen."""
        if self.config.picture:
            odds: Tensor = self.mapper(seen)
            return odds
        if self.config.channels:
            odds_of = partial(log_odds, self.mapper)
            averages = self.config.views and not self.training
            return mean_of_views(odds_of, seen) if averages else odds_of(seen)
        return (2 * seen - 1) * MOST_LOG_ODDS

    def rewards(self, seen: Tensor, goals: Tensor) -> Tensor:
        """Return R in nats ``(B, H, W)``."""
        odds = known_goal(self.free_log_odds(seen), goals)
        return surprise(odds) + self.config.step_price * goals

    def action_rewards(self) -> Tensor:
        """Return what each move earns besides R ``(actions,)``, in nats."""
        straight = torch.zeros(4)
        if not self.config.octile:
            return torch.zeros(self.config.actions)
        learned = self.config.learns_diagonal
        extra: Tensor = self.diagonal if learned else torch.tensor(math.sqrt(2) - 1)
        # The gain that a layer is worth is that of the goal, the price of one step.
        return torch.cat((straight, (-self.config.step_price * extra).expand(4)))

    def encode(self, mazes: Tensor, goals: Tensor) -> tuple[Tensor, ...]:
        """Return R ``(B, H, W)``."""
        return (self.rewards(mazes, goals),)

    def _offers(self, offers: Tensor) -> Tensor:
        """Return what each move and staying offer ``(..., actions + 1, H, W)`` of R + V."""
        height, width = offers.shape[-2:]
        ringed = functional.pad(offers, (1, 1, 1, 1), value=-_FAR)
        extra = self.action_rewards().to(offers.device)
        moved = [
            ringed[..., 1 + down : 1 + down + height, 1 + right : 1 + right + width] + extra[a]
            for a, (down, right) in enumerate(COMPASS[: self.config.actions])
        ]
        return torch.stack((*moved, offers), dim=-3)

    def iterate(self, encoded: Sequence[Tensor], depth: int, saved_layers: Sequence[int]) -> Tensor:
        """Return V of the saved layers ``(N, B, H, W)``, layer by layer."""
        value, saved = torch.zeros_like(encoded[0]), []
        for layer in range(1, depth + 1):
            value = self._offers(encoded[0] + value).amax(dim=-3)
            if layer in saved_layers:
                saved.append(value)
        return torch.stack(saved)

    def decode(self, encoded: Sequence[Tensor], states: Tensor) -> Tensor:
        """Return logits ``(N, B, actions, H, W)``: Q in steps, less the best one and bounded."""
        offers = self._offers(encoded[0] + states) / (self.config.softness * self.config.step_price)
        return _MOST_LOGITS * readout(offers, "bounded")[:, :, :-1]

    def values(self, encoded: Sequence[Tensor], states: Tensor) -> Tensor:
        """Return V of one more layer ``(N, B, H, W)``."""
        return self._offers(encoded[0] + states).amax(dim=-3)

    def limit(self, seen: Tensor, goals: Tensor) -> tuple[Tensor, Tensor]:
        """Return R and the limit of V less that of the goal, both ``(B, H, W)``."""
        reward = self.rewards(seen, goals)
        places, width = goals.flatten(1).argmax(dim=1), goals.shape[2]
        at = torch.stack((places // width, places % width), dim=1)
        moves = torch.tensor(COMPASS[: self.config.actions])
        return reward, limit_values(reward, at, moves, self.action_rewards())

    def limit_logits(self, mazes: Tensor, goals: Tensor) -> Tensor:
        """Return action logits ``(1, B, actions, H, W)`` in the limit of depth, with gradients."""
        reward, values = self.limit(mazes, goals)
        return self.decode((reward,), values[None])

    def diagnostics(self) -> dict[str, float]:
        """Return what a diagonal move costs in steps, where that is learned."""
        if not self.config.learns_diagonal:
            return {}
        return {"diagonal_steps": 1 + self.diagonal.item()}

    @property
    def sees_pictures(self) -> bool:
        """Whether what it sees are pictures of 18 x 18 pixels a cell."""
        return self.config.picture

    def map_logits(self, seen: Tensor) -> Tensor:
        """Return the log odds of being free ``(B, H, W)``."""
        if self.config.views and self.training:
            return random_view(self.free_log_odds, seen)
        return self.free_log_odds(seen)

    @torch.no_grad()
    def solve(self, mazes: Tensor, goals: Tensor, depth: int) -> ClosedForm | None:
        """Return the outcome of ``depth`` layers, or None where they are too few for the limit.

        All other walks earn nothing at best, so V is ``depth`` prices of a step and the limit's
        value from where that is above 0.
        """
        reward, values = self.limit(mazes.cpu(), goals.cpu())
        free = reward > -MOST_LOG_ODDS / 2  # what is surely a wall may stay behind
        if float((values + depth * self.config.step_price)[free].min()) < 0:
            return None
        best = self._offers(reward + values)[:, :-1]
        values_next = best.amax(dim=1)
        actions = best.argmax(dim=1).to(torch.int8).numpy()
        return ClosedForm(actions, (values_next - values_next.max()).numpy())
