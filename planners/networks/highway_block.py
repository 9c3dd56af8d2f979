"""The block of Highway VIN (Wang et al., ICML 2024), over any transition kernels.

With N_b layers and N_p chains, from a value V:

- VI module: V1 = max over a of Q[a], one layer of Eq. (1), once for the block.
- VE modules: each chain goes on from V1 for N_b - 1 layers, where each cell takes the best latent
  action or, with probability epsilon, any of them: V_p^(b) = sum over a of pi_p[a] Q_p[a].
- filter gate: V'_p^(b) = max(V_p^(b), V1): what a chain found counts where it is better than V1.
- aggregate gates, both softmax-weighted means: over the layers b = 1..N_b of a chain with inverse
  temperature alpha, then over the chains with another.

The paper gives no values of N_b, N_p, epsilon and the two temperatures, nor whether these are
learned; here they are options.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from planners.networks.base import NetworkConfig
from planners.operator.value_iteration import value_iteration


@dataclass(frozen=True)
class HighwayConfig(NetworkConfig):
    """Options of the blocks; the paper's own numbers are not known to us."""

    block: int = 10
    """Layers N_b in a block; the depth is cut into whole blocks."""
    chains: int = 2
    """Exploration modules N_p side by side in a block."""
    epsilon: float = 0.1
    """Probability that a cell explores, in training."""
    layer_temperature: float = 1.0
    """Inverse temperature alpha of the aggregate gate over the layers of a chain."""
    chain_temperature: float = 1.0
    """Inverse temperature of the aggregate gate over chains."""
    filter_gate: bool = True
    """Let values of a chain count only where they are above those of the block's first layer."""
    exploration: bool = True
    """Explore at all; without, a block has one chain that always takes the best latent action."""
    explores_in_evaluation: bool = False
    """Explore in evaluation, too, with as many chains."""


@dataclass(frozen=True)
class GateHealth:
    """What the gates of a block do, as means over cells and chains."""

    closed: Tensor
    """Share of values that the filter gate replaced."""
    last_weight: Tensor
    """Weight of the last layer in the aggregate gate of its chain."""


def aggregate(values: Tensor, inverse_temperature: float) -> tuple[Tensor, Tensor]:
    """Return the softmax-weighted mean of values over their first axis, and the weights."""
    weights = torch.softmax(inverse_temperature * values, dim=0)
    return (weights * values).sum(dim=0), weights


def highway_block(
    transition: Tensor, reward: Tensor, value: Tensor, config: HighwayConfig, *, explores: bool
) -> tuple[Tensor, GateHealth]:
    """Return V after a block, and what its gates did.

    Args:
        transition: kernels ``(B or 1, A, F*F, H or 1, W or 1)``.
        reward: ``(B, H, W)``.
        value: V before the block ``(B, H, W)``.
        config: sizes and gates of the block.
        explores: whether cells explore; if not, all chains would be alike, and there is one.

    Returns:
        V ``(B, H, W)`` and the gates' health.
    """
    first = value_iteration(transition, reward, 1, value=value)[0]
    if config.block == 1:
        return first, GateHealth(torch.zeros(()), torch.ones(()))
    count, layers = config.chains if explores else 1, config.block - 1
    kernels = transition if len(transition) == 1 else transition.repeat(count, 1, 1, 1, 1)
    rewards, start = reward.repeat(count, 1, 1), first.repeat(count, 1, 1)
    forced = _drawn((layers, *rewards.shape), transition.shape[1], config) if explores else None
    saved = tuple(range(1, config.block))
    found = value_iteration(kernels, rewards, layers, saved, value=start, forced=forced)
    found = found.view(layers, count, *first.shape)
    closed = (found < first).float().mean().detach()
    passed = torch.maximum(found, first) if config.filter_gate else found
    whole = torch.cat((first.expand(1, count, *first.shape), passed))
    chains, weights = aggregate(whole, config.layer_temperature)
    result, _ = aggregate(chains, config.chain_temperature)
    return result, GateHealth(closed, weights[-1].detach().mean())


def _drawn(shape: tuple[int, ...], actions: int, config: HighwayConfig) -> Tensor:
    """Return random latent actions for the cells that explore, -1 for the others."""
    return torch.where(torch.rand(shape) < config.epsilon, torch.randint(actions, shape), -1)


class HighwayLayers:
    """Blocks in series, with a memory of what the gates of the last pass did."""

    def __init__(self, config: HighwayConfig) -> None:
        self.config = config
        self._health: list[GateHealth] = []
        self._ends: list[Tensor] = []

    def iterate(
        self,
        encoded: Sequence[Tensor],
        depth: int,
        saved_layers: Sequence[int],
        *,
        is_training: bool,
    ) -> Tensor:
        """Return V after the blocks that end at or before the saved layers, ``(N, B, H, W)``."""
        transition, reward = encoded
        config = replace(self.config, block=max(1, min(self.config.block, depth)))
        explores = config.exploration and (is_training or config.explores_in_evaluation)
        value, ends = torch.zeros_like(reward), []
        self._health = []
        for _ in range(depth // config.block):
            value, health = highway_block(transition, reward, value, config, explores=explores)
            if value.requires_grad:
                value.retain_grad()
            ends.append(value)
            self._health.append(health)
        self._ends = ends if is_training else []
        return torch.stack([ends[max(0, layer // config.block - 1)] for layer in saved_layers])

    def diagnostics(self) -> dict[str, float]:
        """Return the health of the gates in the last pass, and how the gradient went through.

        Returns:
            ``gate_closed``, the share of values that the filter gate replaced;
            ``gate_last_weight``, the weight of a block's last layer; ``gradient_ratio``, the norm
            of the loss's gradient at the end of the first block over that at the last.
        """
        if not self._health:
            return {}
        closed = torch.stack([one.closed for one in self._health]).mean()
        last = torch.stack([one.last_weight for one in self._health]).mean()
        found = {"gate_closed": float(closed), "gate_last_weight": float(last)}
        grads = [end.grad for end in self._ends if end.grad is not None]
        if len(grads) > 1 and float(grads[-1].norm()) > 0:
            found["gradient_ratio"] = float(grads[0].norm() / grads[-1].norm())
        return found
