"""One fit: AdamW with a learning rate that rises, then falls as a cosine; exact to resume.

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
WARM_UP_STEPS = 100
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
    """

    steps: int
    learning_rate: float = 2e-3
    seed: int = 0
    weight_decay: float = 1e-3

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        rise = min(1.0, (step + 1) / WARM_UP_STEPS)
        fall = 0.5 * (1.0 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * max(rise * fall, 0.005)


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
    """FitPlan ``net`` in place.

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
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    settings, done, losses = settings or {}, 0, [0.0] * 50
    if checkpoint is not None and checkpoint.is_file():
        state, about = load_state(checkpoint, settings)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        done, losses = int(about["done"]), list(about["losses"])
    saved_s = time.monotonic()
    net.train()
    while done < plan.steps:
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(done)
        loss = loss_of(np.random.default_rng((plan.seed, done)))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), LARGEST_GRADIENT)
        optimizer.step()
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
