"""Whole-body policies learned by the gradient of what is seen, through the geometry of sight.

Pose, picture and tag are a chain of smooth functions, so the share of targets that a search finds
has a gradient by the policy's weights once the picture's edge is softened. No reward is estimated.
What limbs hide of each other counts in the value, not in the gradient.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from learning.starfish.body_sight import DECODED, BodySight
from learning.starfish.episodes import COUNTED_STEPS
from learning.starfish.policy import BodyPolicy
from learning.starfish.searches import BodySearches
from learning.starfish.settings import GAMMA, LONGEST, WITHIN, BodyTraining, OnBodyProgress

# Widths, in pixels, over which the picture's edge is softened at the start and at the end.
EDGE_PX = (12.0, 1.5)
_NEAREST_M = 0.05
_SEARCHES, _TARGETS = 64, 16
_LEARNING_RATE, _RECENT = 1.5e-3, 50


class SmoothSight:
    """The geometry of :class:`BodySight` for tensors, with soft edges.

    Args:
        sight: of the robot.
    """

    def __init__(self, sight: BodySight) -> None:
        chain = sight.chain
        self.sight = sight
        self._optics = [float(x) for x in sight.optics]
        self._link = torch.as_tensor(chain.link)
        names = ("axis", "pivot", "mount", "place")
        self._axis, self._pivot, self._mount, self._place = (
            torch.as_tensor(getattr(chain, name), dtype=torch.float32) for name in names
        )
        self._turn = torch.as_tensor(sight.base_turn, dtype=torch.float32)
        self._base = torch.as_tensor(sight.base_m, dtype=torch.float32)
        limits = torch.as_tensor(sight.limits_rad, dtype=torch.float32)
        self._mid, self._half = limits.mean(-1), 0.5 * (limits[..., 1] - limits[..., 0])
        x, y, z = self._axis.unbind(-1)
        zero = torch.zeros_like(x)
        rows = [torch.stack(row, -1) for row in ([zero, -z, y], [z, zero, -x], [-y, x, zero])]
        self._skew = torch.stack(rows, -2)

    def chances(self, command: Tensor, place_m: Tensor, turn: Tensor, edge_px: float) -> Tensor:
        """Return ``(N, M, limbs, c)`` soft shares of targets that are decoded.

        Args:
            command: ``(N, limbs, joints)`` from -1 to 1.
            place_m: ``(N, M, 3)`` of targets.
            turn: ``(N, M, 3, 3)`` of targets, which face along their x axes.
            edge_px: width over which edges are softened.
        """
        eye, look = self._cameras(command)
        focal, half_x, half_y, half_m = self._optics[:4]
        away = place_m[:, :, None, None] - eye[:, None]
        seen = torch.einsum("nmlci,nlcij->nmlcj", away, look)
        sides = torch.einsum("nmis,nlcij->nmlcsj", turn[..., 1:], look).abs().sum(-2)
        ahead = seen[..., 0].clamp_min(_NEAREST_M)
        scale = focal / ahead
        across = half_x - scale * (seen[..., 1].abs() + half_m * sides[..., 1])
        up = half_y - scale * (seen[..., 2].abs() + half_m * sides[..., 2])
        facing = -(away * turn[..., 0][:, :, None, None]).sum(-1) / away.norm(dim=-1)
        size = 2.0 * 2.0**0.5 * half_m * scale * facing.clamp_min(0.0).sqrt()
        soft = torch.sigmoid(across / edge_px) * torch.sigmoid(up / edge_px)
        large = torch.sigmoid(size - DECODED[0][0])
        shares: Tensor = 0.97 * soft * large * (seen[..., 0] > _NEAREST_M) * (facing > 0)
        return shares

    def _cameras(self, command: Tensor) -> tuple[Tensor, Tensor]:
        angle = self._mid + self._half * command
        sine, versine = angle.sin()[..., None, None], (1.0 - angle.cos())[..., None, None]
        own = torch.eye(3) + sine * self._skew + versine * (self._skew @ self._skew)
        turn, shift = self._turn.expand(len(command), -1, 3, 3), self._base
        turns, shifts = [], []
        for hinge in range(own.shape[2]):
            below = turn @ own[:, :, hinge]
            pivot = self._pivot[:, hinge, :, None]
            shift = shift + ((turn - below) @ pivot)[..., 0]
            turn = below
            turns.append(turn)
            shifts.append(shift)
        frames, places = torch.stack(turns, 2), torch.stack(shifts, 2)
        own_turn, own_place = frames[:, :, self._link], places[:, :, self._link]
        eye = (own_turn @ self._place[..., None])[..., 0] + own_place
        return eye, own_turn @ self._mount


def straight_clip(value: Tensor, low: Tensor | float, high: Tensor | float) -> Tensor:
    """Return clipped values whose gradient is that of the values (straight-through)."""
    clipped = torch.minimum(torch.maximum(value, torch.as_tensor(low)), torch.as_tensor(high))
    return value + (clipped - value).detach()


class Rollout:
    """Searches that a network of torch runs, with a gradient.

    Args:
        net: gives ``(N, limbs or 1, moves)`` for what each is told.
        sharing: ``limbs`` or ``body``.
        sight: of the robot.
    """

    def __init__(self, net: nn.Module, sharing: str, sight: BodySight) -> None:
        self.net, self.sharing = net, sharing
        self.smooth = SmoothSight(sight)
        self._bare = sight.without_links()

    def found(self, searches: BodySearches, steps: int, edge_px: float) -> list[Tensor]:
        """Return the share of targets found in each step, of searches that have just begun."""
        failures, increment = searches.failures, searches.options.increment
        place, turn = torch.as_tensor(searches.place_m), torch.as_tensor(searches.turn)
        works = torch.as_tensor(failures.works)
        shows = torch.as_tensor(failures.live & ~failures.blind)
        flags = torch.as_tensor(
            np.concatenate([failures.live, failures.works[:, :, None]], 2), dtype=torch.float32
        )
        command = torch.as_tensor(searches.command, dtype=torch.float32)
        left, gained = torch.ones(place.shape[:2]), []
        for step in range(steps):
            wanted = straight_clip(self._act(command, flags, step), -1.0, 1.0)
            moved = straight_clip(wanted, command - increment, command + increment)
            command = torch.where(works[..., None], moved, command)
            chance = self.smooth.chances(command, place, turn, edge_px) * shows[:, None]
            chance = chance * self._is_open(command, searches)
            found = left * (1.0 - (1.0 - chance).prod(-1).prod(-1))
            left = left - found
            gained.append(found.mean())
        return gained

    def _act(self, command: Tensor, flags: Tensor, step: int) -> Tensor:
        limbs = command.shape[1]
        past = torch.zeros(len(command), COUNTED_STEPS)
        past[:, min(step, COUNTED_STEPS - 1)] = 1.0
        table = torch.cat([command, flags], 2)
        if self.sharing == "body":
            told = torch.cat([table.flatten(1), past], 1)
        else:
            order = (torch.arange(limbs)[:, None] + torch.arange(limbs)) % limbs
            turned = table[:, order].flatten(2)
            told = torch.cat([turned, past[:, None].expand(-1, limbs, -1)], 2)
        action: Tensor = self.net(told)
        return action.reshape(command.shape)

    def _is_open(self, command: Tensor, searches: BodySearches) -> Tensor:
        """Return ``(N, M, limbs, c)`` 0 where a link hides a target that is in the picture."""
        sight = self.smooth.sight
        limits = sight.limits_rad
        angles = limits.mean(-1) + 0.5 * (limits[..., 1] - limits[..., 0]) * (
            command.detach().numpy().astype(np.float64)
        )
        where: tuple[Any, ...] = (angles, searches.place_m, searches.turn)
        hidden = (self._bare.sizes_px(*where) > 0) & (sight.sizes_px(*where) == 0)
        return torch.as_tensor(~hidden, dtype=torch.float32)


def network(training: BodyTraining, sight: BodySight) -> nn.Sequential:
    """Return a network whose first commands are small."""
    inputs = sight.limbs * (sight.joints + sight.cameras + 1) + COUNTED_STEPS
    outputs = sight.joints * (1 if training.sharing == "limbs" else sight.limbs)
    widths = [inputs, *training.hidden]
    layers: list[nn.Module] = []
    for below, above in pairwise(widths):
        layers += [nn.Linear(below, above), nn.Tanh()]
    last = nn.Linear(widths[-1], outputs)
    with torch.no_grad():
        last.weight *= 0.3
    return nn.Sequential(*layers, last)


def train_pathwise(training: BodyTraining, sight: BodySight, told: OnBodyProgress) -> BodyPolicy:
    """Return a policy learned by the gradient of what is seen."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        net = network(training, sight)
    searches = BodySearches(sight, training.settings, _SEARCHES, _TARGETS, training.seed)
    rollout = Rollout(net, training.sharing, sight)
    adam: Any = torch.optim.Adam(net.parameters(), _LEARNING_RATE)
    each = searches.count * LONGEST
    recent: list[float] = []
    updates = max(1, round(training.steps / each))
    for update in range(updates):
        done = update / updates
        for group in adam.param_groups:
            group["lr"] = _LEARNING_RATE * (1.0 - done) + 1e-5
        first, last = EDGE_PX
        edge_px = first * (last / first) ** min(1.0, 1.3 * done)
        if update:
            searches.reset()
        gained = rollout.found(searches, LONGEST, edge_px)
        loss: Any = -torch.stack([GAMMA**step * found for step, found in enumerate(gained)]).sum()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step()
        recent = [*recent, float(torch.stack(gained[:WITHIN]).sum().detach())][-_RECENT:]
        told(min((update + 1) * each, training.steps), float(np.mean(recent)))
    layers = [layer for layer in net if isinstance(layer, nn.Linear)]
    return training.policy_of(layers, sight.limbs)
