"""How a lookahead is let through: gates of Highway DQN.

``samples`` takes the larger of two sampled targets, as the reconstruction of the paper's listing
does: exact where moves are certain, biased upward in noise. ``critics`` compares two learned means
instead, one head of the network for one-step targets, one for lookaheads; a mean is what regression
learns, so that the larger of them is taken outside the expectation, as in the operator.
``none`` lets every lookahead through: n-step learning with a drawn depth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from asterias.registry import Registry
from learning.highway.dqn.two_heads import TwoHeadQNetwork


@dataclass(frozen=True)
class GateResult:
    """What a gate makes of a batch.

    Attributes:
        loss: to be minimised.
        gains: ``(B, 1)`` by how much lookaheads exceed one step, negative where they fall short.
        raised: mean of what the targets have over one-step targets, which noise raises as well.
    """

    loss: torch.Tensor
    gains: torch.Tensor
    raised: float


# Network, observations, actions ``(B, 1)``, one-step and lookahead targets ``(B, 1)``.
GateFunction = Callable[
    [torch.nn.Module, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], GateResult
]


@dataclass(frozen=True)
class HighwayGate:
    """One gate.

    Attributes:
        summary: one line for people.
        apply: to a batch.
        two_heads: it needs a :class:`~learning.highway.dqn.two_heads.TwoHeadQNetwork`.
        combine: one-step and lookahead targets ``(B, 1)`` to the target; None where heads decide.
    """

    summary: str
    apply: GateFunction
    two_heads: bool = False
    combine: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None


def _against(
    target: torch.Tensor,
    net: torch.nn.Module,
    seen: torch.Tensor,
    actions: torch.Tensor,
    near: torch.Tensor,
    far: torch.Tensor,
) -> GateResult:
    """Return what one head makes of a batch whose values shall be ``target``, ``(B, 1)``."""
    values = net(seen).gather(1, actions)
    return GateResult(
        functional.smooth_l1_loss(values, target), far - near, float((target - near).mean())
    )


def _samples(
    net: torch.nn.Module,
    seen: torch.Tensor,
    actions: torch.Tensor,
    near: torch.Tensor,
    far: torch.Tensor,
) -> GateResult:
    return _against(torch.maximum(near, far), net, seen, actions, near, far)


def _none(
    net: torch.nn.Module,
    seen: torch.Tensor,
    actions: torch.Tensor,
    near: torch.Tensor,
    far: torch.Tensor,
) -> GateResult:
    return _against(far, net, seen, actions, near, far)


def _critics(
    net: torch.nn.Module,
    seen: torch.Tensor,
    actions: torch.Tensor,
    near: torch.Tensor,
    far: torch.Tensor,
) -> GateResult:
    assert isinstance(net, TwoHeadQNetwork)
    both = net.heads(seen).gather(2, actions[:, None].expand(-1, 2, -1))[..., 0]  # (B, 2)
    targets = torch.cat([near, far], 1)
    with torch.no_grad():
        gains = (both[:, 1] - both[:, 0])[:, None]
    raised = float(gains.clamp(min=0).mean())
    return GateResult(functional.smooth_l1_loss(both, targets), gains, raised)


GATES: Registry[HighwayGate] = Registry("gate of Highway DQN", "asterias.highway_gates")
GATES.register(
    "samples", HighwayGate("the larger of two sampled targets", _samples, combine=torch.maximum)
)
GATES.register("critics", HighwayGate("the larger of two learned means", _critics, two_heads=True))
GATES.register(
    "none",
    HighwayGate("every lookahead passes: n-step learning", _none, combine=lambda near, far: far),
)


def gate_figures(gains: torch.Tensor, raised: float) -> dict[str, float]:
    """Return the share of open gates, the mean gain through them, and by how much targets rise.

    Args:
        gains: ``(B, 1)`` of lookaheads over one step.
        raised: mean of what targets have over one-step targets.
    """
    is_open = gains > 1e-6  # less is rounding of float32
    passed = gains[is_open]
    return {
        "open_gates": float(is_open.float().mean()),
        "mean_gain": float(passed.mean()) if passed.numel() else 0.0,
        "raised": raised,
    }
