"""Policies of one architecture, evaluated together, and differentiable in what they see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.target_finding.policies.linear_policy import LinearPolicy
from learning.target_finding.policies.network_policy import NetworkPolicy


@dataclass(frozen=True)
class PolicyLayers:
    """One policy that has no memory, draws nothing, and moves by increments.

    Attributes:
        layers: weight ``(out, in)`` and bias ``(out,)`` of each.
        activation: between layers, ``tanh`` or ``relu``.
        squashed: the last layer goes through tanh; else it is clipped.
        increment: largest increment.
    """

    layers: tuple[tuple[FloatArray, FloatArray], ...]
    activation: str
    squashed: bool
    increment: float

    @classmethod
    def of(cls, policy: Any, name: str) -> PolicyLayers:
        """Return the mean of a saved policy.

        Args:
            policy: as it was loaded.
            name: for messages.

        Raises:
            UserError: it has a memory, looks at pictures, or is of another kind.
        """
        if isinstance(policy, LinearPolicy):
            layer = (policy.weight.astype(np.float64), policy.bias.astype(np.float64))
            return cls((layer,), "tanh", False, policy.increment)
        tensors = getattr(policy, "tensors", {})
        odd = [key for key in tensors if key.startswith(("lstm", "gru", "rnn", "encoder"))]
        if not isinstance(policy, NetworkPolicy) or odd:
            raise UserError(
                f"{name} has a memory, looks at pictures or chooses among moves; fingerprints are "
                "taken of policies that see commands and camera flags, and move by increments."
            )
        if policy.card["options"].get("goal"):
            raise UserError(f"{name} is told a goal; fingerprints are taken of those that are not.")
        count = sum(key.startswith("layer_") for key in tensors) // 2
        layers = [
            (
                tensors[f"layer_{i}.weight"].astype(np.float64),
                tensors[f"layer_{i}.bias"].astype(np.float64),
            )
            for i in range(count)
        ]
        if "normalise.mean" in tensors:
            mean, std = (tensors[f"normalise.{key}"].astype(np.float64) for key in ("mean", "std"))
            weight, bias = layers[0]
            layers[0] = (weight / std, bias - weight / std @ mean)
        squashed = bool(policy.card.get("squashed"))
        return cls(tuple(layers), policy.card["activation"], squashed, policy.increment)

    @property
    def form(self) -> tuple[Any, ...]:
        """What policies of one group have in common."""
        shapes = tuple(weight.shape for weight, _ in self.layers)
        return (shapes, self.activation, self.squashed, self.increment)

    def perturbed(self, rng: np.random.Generator, scale: float) -> PolicyLayers:
        """Return a policy whose numbers are moved by noise, ``scale`` times each layer's spread."""
        layers = []
        for weight, bias in self.layers:
            spread = scale * np.sqrt((weight**2).mean())
            layers.append(
                (
                    weight + spread * rng.standard_normal(weight.shape),
                    bias + spread * rng.standard_normal(bias.shape),
                )
            )
        return PolicyLayers(tuple(layers), self.activation, self.squashed, self.increment)


class PolicyGroup:
    """Policies, whatever their architectures, asked together.

    Args:
        policies: one or more.
    """

    def __init__(self, policies: Sequence[PolicyLayers]) -> None:
        self.policies = list(policies)
        forms: dict[Any, list[int]] = {}
        for number, policy in enumerate(policies):
            forms.setdefault(policy.form, []).append(number)
        self._parts = [(np.array(own), self._stack(own)) for own in forms.values()]
        # Where each policy is: its part, and its row there.
        self._where = np.zeros((len(self.policies), 2), np.int64)
        for part, (own, _) in enumerate(self._parts):
            self._where[own] = np.stack([np.full(len(own), part), np.arange(len(own))], 1)

    def __len__(self) -> int:
        return len(self.policies)

    def answers(self, states: torch.Tensor, chosen: Any = None) -> torch.Tensor:
        """Return what policies do in states, from -1 to 1 of the largest increment.

        Args:
            states: ``(K, o)`` the same for all.
            chosen: numbers ``(B,)`` of policies; None takes all.

        Returns:
            ``(B, K, n)``, differentiable in the states.
        """
        numbers = np.arange(len(self)) if chosen is None else np.asarray(chosen)
        return self._pass(numbers, lambda own: states.expand(len(own), *states.shape))

    def act(self, numbers: Any, observations: FloatArray) -> FloatArray:
        """Return the increments ``(E, n)`` of policies ``(E,)``, each for its own observation."""
        seen = torch.from_numpy(observations).float()[:, None]
        with torch.no_grad():
            shares = self._pass(np.asarray(numbers), lambda own: seen[own])[:, 0]
        increments = np.array([policy.increment for policy in self.policies])[numbers]
        moves: FloatArray = shares.double().numpy() * increments[:, None]
        return moves

    # -- parts --------------------------------------------------------------------------------

    def _stack(self, own: Sequence[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        rows = [self.policies[number].layers for number in own]
        return [
            (
                torch.tensor(np.stack([row[i][0] for row in rows]), dtype=torch.float32),
                torch.tensor(np.stack([row[i][1] for row in rows]), dtype=torch.float32),
            )
            for i in range(len(rows[0]))
        ]

    def _pass(self, numbers: Any, inputs: Any) -> torch.Tensor:
        """Return ``(B, K, n)`` for policies ``(B,)``, whose inputs ``(B', K, o)`` are asked for."""
        out: list[torch.Tensor] = []
        order: list[Any] = []
        parts, rows = self._where[numbers].T
        for part, (own, layers) in enumerate(self._parts):
            here = np.flatnonzero(parts == part)
            if not len(here):
                continue
            about, x, row = self.policies[own[0]], inputs(here), torch.from_numpy(rows[here])
            for i, (weight, bias) in enumerate(layers):
                x = torch.einsum("bki,boi->bko", x, weight[row]) + bias[row][:, None]
                if i + 1 < len(layers):
                    x = torch.tanh(x) if about.activation == "tanh" else torch.relu(x)
            is_soft = about.squashed
            out.append(torch.tanh(x) if is_soft else torch.clamp(x / about.increment, -1.0, 1.0))
            order.append(here)
        back = torch.from_numpy(np.argsort(np.concatenate(order)))
        return torch.cat(out)[back]
