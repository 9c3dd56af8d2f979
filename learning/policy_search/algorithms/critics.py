"""Critics over whole policies: of their numbers, or of what they do in learned probing states."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from learning.policy_search.common.architecture import PolicyArchitecture


def perceptron(inputs: int, hidden: Sequence[int], outputs: int = 1) -> nn.Sequential:
    """Return a network of ReLU layers."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class ParameterCritic(nn.Module):
    """``V(theta)`` from the vector (arXiv 2006.09226); with ``extra`` inputs ``V(s, theta)``.

    Args:
        architecture: of the policies.
        hidden: units of the hidden layers.
        extra: numbers beside the vector: of a state, and of an action.
    """

    def __init__(
        self, architecture: PolicyArchitecture, hidden: Sequence[int], extra: int = 0
    ) -> None:
        super().__init__()
        self.network = perceptron(architecture.parameters + extra, hidden)

    def forward(self, thetas: torch.Tensor, *extra: torch.Tensor) -> torch.Tensor:
        """Return values ``(B,)`` of vectors ``(B, n)`` and further inputs ``(B, k)``."""
        value: torch.Tensor = self.network(torch.cat([thetas, *extra], -1))
        return value.squeeze(-1)


class ProbingCritic(nn.Module):
    """``V(theta) = U([pi_theta(s_1), ..., pi_theta(s_K)])`` with learned states (arXiv 2207.01566).

    Two policies that do the same in the probing states have the same value, whatever their form.

    Args:
        architecture: of the policies.
        hidden: units of the hidden layers of U.
        probes: number K of states.
        generated: states come from a linear generator with two layers of 32 and a learned code for
            each, as in ProbeGen (arXiv 2410.10811), instead of being free.
    """

    def __init__(
        self,
        architecture: PolicyArchitecture,
        hidden: Sequence[int],
        probes: int,
        generated: bool = False,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        size = architecture.observations
        self.generator: nn.Module = nn.Identity()
        if generated:
            self.generator = nn.Sequential(nn.Linear(32, 32), nn.Linear(32, size))
        self.codes = nn.Parameter(torch.rand(probes, 32 if generated else size))
        self.network = perceptron(probes * architecture.outputs, hidden)

    @property
    def probes(self) -> torch.Tensor:
        """``(K, o)`` probing states, in normalised observations."""
        states: torch.Tensor = self.generator(self.codes)
        return states

    def forward(self, thetas: torch.Tensor) -> torch.Tensor:
        """Return values ``(B,)`` of vectors ``(B, n)``."""
        return self.value_of(self.architecture, thetas)

    def value_of(self, architecture: PolicyArchitecture, thetas: torch.Tensor) -> torch.Tensor:
        """Return values ``(B,)`` of policies ``(B, n)`` of any form with the same actions."""
        answers = architecture.actions_of(thetas, self.probes)
        value: torch.Tensor = self.network(answers.flatten(1))
        return value.squeeze(-1)
