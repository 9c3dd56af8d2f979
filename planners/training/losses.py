"""Losses over kept layers: the adaptive highway loss of DT-VIN (Eq.

3), its rejected variants, policy gradient.

All cells of a maze are trained from one pass: a cell whose shortest path has l steps is a sample of
length l.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from planners.networks.base import PlanningNetwork

LossKind = Literal["adaptive", "full", "single", "last", "limit", "map"]
Target = Literal["any_optimal", "one_expert", "policy_gradient"]


@dataclass(frozen=True)
class Labels:
    """What the expert knows.

    Path lengths int ``(B, H, W)``, -1 where there is none, and sets of optimal actions as 0 and 1,
    float ``(B, actions, H, W)``; and the map itself, 1 = free, float ``(B, H, W)``.
    """

    lengths: Tensor
    optimal: Tensor
    free: Tensor | None = None


def layers_for(kind: LossKind, depth: int, stride: int) -> tuple[int, ...]:
    """Return the layers that carry loss: every ``stride``-th (J in Eq. 3) and the last."""
    if kind in ("last", "limit", "map"):
        return (depth,)
    return tuple(sorted({*range(stride, depth + 1, stride), depth}))


def sample_weights(kind: LossKind, lengths: Tensor, layers: Sequence[int]) -> Tensor:
    """Return ``(N, B, H, W)``: 1 where a cell's logits at a layer carry loss, else 0.

    ``adaptive``: from the layer on that is as deep as the path is long, Eq. (3); ``full``: at every
    layer; ``single``: at the first layer deep enough only; ``last``: at the last layer only, and
    ``limit``: at what any larger number of layers leads to. Every
    sample counts at the last layer, also a path longer than the depth, which Eq. (3) itself would
    leave out.
    """
    numbers = torch.tensor(layers, device=lengths.device).view(-1, 1, 1, 1)
    deep_enough = numbers >= lengths
    deep_enough[-1] = True
    if kind == "single":
        deep_enough[1:] &= ~deep_enough[:-1].clone()
    elif kind in ("full", "last", "limit"):
        deep_enough = torch.ones_like(deep_enough)
    return (deep_enough & (lengths > 0)).float()


def term(logits: Tensor, labels: Labels, target: Target) -> Tensor:
    """Return each cell's loss ``(N, B, H, W)`` for logits ``(N, B, actions, H, W)``."""
    logs = torch.log_softmax(logits, dim=2)
    if target == "any_optimal":
        return -torch.logsumexp(logs.masked_fill(labels.optimal == 0, -1e9), dim=2)
    if target == "one_expert":
        expert = labels.optimal.argmax(dim=1).expand(len(logits), -1, -1, -1).unsqueeze(2)
        return -logs.gather(2, expert).squeeze(2)
    return _policy_gradient(logs, labels)


def _policy_gradient(logs: Tensor, labels: Labels) -> Tensor:
    """-R log pi of a sampled action.

    R = 1 if it shortens the way, less what the policy earns on average.

    Returns:
        The loss of each cell.
    """
    chances = logs.detach().exp()
    flat = chances.movedim(2, -1).reshape(-1, chances.shape[2])
    shape = (*logs.shape[:2], *logs.shape[3:])
    action = torch.multinomial(flat, 1).view(shape).unsqueeze(2)
    optimal = labels.optimal.expand(logs.shape)
    advantage = optimal.gather(2, action) - (chances * optimal).sum(dim=2, keepdim=True)
    return -(advantage * logs.gather(2, action)).squeeze(2)


def backward(
    network: PlanningNetwork,
    mazes: Tensor,
    goals: Tensor,
    labels: Labels,
    depth: int,
    layers: Sequence[int],
    kind: LossKind = "adaptive",
    target: Target = "any_optimal",
    chunk: int = 16,
) -> float:
    """Add the gradients of the mean loss to the network's parameters; return the loss.

    A linear policy is read and trained in one compiled pass (``bodies/cpu_loss.py``). Other layers
    are decoded ``chunk`` at a time, each chunk back-propagated to the kept states at once: the
    memory of a step hardly grows with the number of layers that carry loss.

    Returns:
        The loss.
    """
    if kind in ("limit", "map"):
        return _backward_without_layers(network, mazes, goals, labels, kind, target)
    encoded = network.encode(mazes, goals)
    states = network.iterate(encoded, depth, layers)
    policy = network.linear_policy()
    fused = states.dtype == torch.float32 and states.device.type == "cpu"
    if policy is not None and target == "any_optimal" and fused:
        return _backward_fused(network, encoded, states, policy, labels, kind, layers)
    leaves = [tensor.detach().requires_grad_() for tensor in (states, *encoded)]
    weights = sample_weights(kind, labels.lengths, layers)
    total = weights.sum().clamp(min=1)
    loss = 0.0
    for first in range(0, len(layers), chunk):
        part = slice(first, first + chunk)
        terms = term(network.decode(leaves[1:], leaves[0][part]), labels, target)
        share = (terms * weights[part]).sum() / total
        share.backward()  # type: ignore[no-untyped-call]
        loss += float(share.detach())
    pairs = [(t, leaf.grad) for t, leaf in zip((states, *encoded), leaves, strict=True)]
    reached = [(tensor, grad) for tensor, grad in pairs if grad is not None]
    torch.autograd.backward([t for t, _ in reached], [grad for _, grad in reached])
    return loss


def _backward_without_layers(
    network: PlanningNetwork,
    mazes: Tensor,
    goals: Tensor,
    labels: Labels,
    kind: LossKind,
    target: Target,
) -> float:
    """Add the gradients of imitation in the limit of depth, or of the map's cross-entropy.

    Returns:
        The loss.
    """
    if kind == "map":
        odds, free = network.map_logits(mazes), labels.free
        assert free is not None, "the trainer gives it"
        loss = torch.nn.functional.binary_cross_entropy_with_logits(odds, free)
    else:
        weights = sample_weights("limit", labels.lengths, (1,))
        terms = term(network.limit_logits(mazes, goals), labels, target)
        loss = (terms * weights).sum() / weights.sum().clamp(min=1)
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())


def _backward_fused(
    network: PlanningNetwork,
    encoded: Sequence[Tensor],
    states: Tensor,
    policy: Tensor,
    labels: Labels,
    kind: LossKind,
    layers: Sequence[int],
) -> float:
    from planners.operator.cpu_loss import policy_loss

    weights = sample_weights(kind, labels.lengths, layers)
    weights /= weights.sum().clamp(min=1)
    transition, reward = encoded
    ring = (reward.shape[-1] - weights.shape[-1]) // 2  # of cells that the network puts around
    optimal = torch.nn.functional.pad(labels.optimal, (ring,) * 4)
    weights = torch.nn.functional.pad(weights, (ring,) * 4)
    bounded = network.policy_readout == "bounded"
    loss = policy_loss(transition, reward, states, policy, optimal, weights, bounded=bounded)
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())
