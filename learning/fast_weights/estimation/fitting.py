"""One fit: AdamW, or Muon beside it, with rates that rise, then fall; exact to resume.

The random numbers of a step are drawn from seed and step alone, so that a fit that was stopped and
one that was not see the same batches.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from learning.target_finding.algorithms.checkpoint import load_state, save_state

CHECKPOINT_PERIOD_S = 60.0
# The rate rises for so many steps, or for this share of a short fit.
WARM_UP_STEPS, WARM_UP_SHARE = 100, 0.1
LARGEST_GRADIENT = 1.0

# Random numbers of a step -> the loss of a batch.
LossOf = Callable[[np.random.Generator], torch.Tensor]
# Steps done, steps in all.
OnSteps = Callable[[int, int], None]


class Stopped(KeyboardInterrupt):
    """A fit was asked to stop, and its checkpoint is written."""


@dataclass(frozen=True)
class FitPlan:
    """How a network is fitted.

    Attributes:
        steps: batches.
        learning_rate: highest of the course.
        seed: of the batches.
        weight_decay: of AdamW.
        muon_rate: highest of the course for the matrices, where Muon turns these; 0: it does not.
        plain: beginnings of names of weights that are left to AdamW: what is next to pictures and
            next to results.
    """

    steps: int
    learning_rate: float = 2e-3
    seed: int = 0
    weight_decay: float = 1e-3
    muon_rate: float = 0.0
    plain: tuple[str, ...] = ()

    def share(self, step: int) -> float:
        """Return which share of the highest learning rate a step has."""
        warm_up = min(WARM_UP_STEPS, WARM_UP_SHARE * self.steps)
        rise = min(1.0, (step + 1) / warm_up)
        fall = 0.5 * (1.0 + math.cos(math.pi * step / self.steps))
        return max(rise * fall, 0.005)


def _matrix(weight: torch.Tensor) -> torch.Tensor:
    """Return ``(out, ...)`` as ``(out, in)``: a view, if kernels lie in memory channels last."""
    last = weight.permute(0, 2, 3, 1) if weight.ndim == 4 else weight
    return last.reshape(len(weight), -1)


class Optimizers:
    """AdamW for all weights of a network, or for what is no matrix, with Muon for the matrices.

    Muon (Jordan et al. 2024, torch.optim.Muon) makes each step of a matrix orthogonal. PyTorch has
    it for matrices alone; kernels of convolutions are shown to it as such.

    Args:
        net: the network.
        plan: highest rates, and what Muon leaves alone.
    """

    def __init__(self, net: nn.Module, plan: FitPlan) -> None:
        named = [(name, own) for name, own in net.named_parameters() if own.requires_grad]
        is_turned = [
            plan.muon_rate > 0.0 and own.ndim > 1 and not name.startswith(plan.plain or ("\0",))
            for name, own in named
        ]
        self._turned = [own for (_, own), is_ in zip(named, is_turned, strict=True) if is_]
        rest = [own for (_, own), is_ in zip(named, is_turned, strict=True) if not is_]
        for own in self._turned:
            if own.ndim == 4:
                own.data = own.data.contiguous(memory_format=torch.channels_last)
        self._matrices = [_matrix(own.detach()) for own in self._turned]
        self._parts: list[tuple[torch.optim.Optimizer, float]] = [
            (
                torch.optim.AdamW(rest, lr=plan.learning_rate, weight_decay=plan.weight_decay),
                plan.learning_rate,
            )
        ]
        if self._matrices:
            turn = torch.optim.Muon(self._matrices, lr=plan.muon_rate, weight_decay=0.0)
            self._parts.append((turn, plan.muon_rate))

    def step(self, share: float) -> None:
        """Take a step at a share of the highest rates."""
        for matrix, own in zip(self._matrices, self._turned, strict=True):
            matrix.grad = None if own.grad is None else _matrix(own.grad)
        for part, highest in self._parts:
            for group in part.param_groups:
                group["lr"] = highest * share
            part.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """Return what a checkpoint keeps."""
        return [part.state_dict() for part, _ in self._parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Go on from what a checkpoint has kept."""
        for (part, _), state in zip(self._parts, states, strict=True):
            part.load_state_dict(state)


def fit(
    net: nn.Module,
    loss_of: LossOf,
    plan: FitPlan,
    *,
    checkpoint: Path | None = None,
    settings: dict[str, Any] | None = None,
    on_steps: OnSteps = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[float]:
    """Fit ``net`` in place.

    Args:
        net: the network, in training mode afterwards.
        loss_of: gives the loss of one batch.
        plan: steps and rates.
        checkpoint: file that is written once a minute and at a stop; where it is there, the fit
            goes on from it.
        settings: what a checkpoint must have in common with this fit.
        on_steps: told after each step.
        should_stop: asked after each step.

    Returns:
        The mean loss of each fiftieth of the fit.

    Raises:
        Stopped: ``should_stop`` said so.
    """
    optimizer = Optimizers(net, plan)
    settings, done, losses = settings or {}, 0, [0.0] * 50
    if checkpoint is not None and checkpoint.is_file():
        state, about = load_state(checkpoint, settings)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        done, losses = int(about["done"]), list(about["losses"])
    saved_s = time.monotonic()
    net.train()
    while done < plan.steps:
        loss = loss_of(np.random.default_rng((plan.seed, done)))
        net.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), LARGEST_GRADIENT)
        optimizer.step(plan.share(done))
        losses[done * len(losses) // plan.steps] += float(loss.detach())
        done += 1
        is_late = time.monotonic() - saved_s > CHECKPOINT_PERIOD_S
        stops = should_stop()
        if checkpoint is not None and (is_late or stops or done == plan.steps):
            state = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
            save_state(checkpoint, state, settings, {"done": done, "losses": losses})
            saved_s = time.monotonic()
        on_steps(done, plan.steps)
        if stops and done < plan.steps:
            raise Stopped
    per_cell = plan.steps / len(losses)
    return [round(total / max(per_cell, 1.0), 4) for total in losses]
