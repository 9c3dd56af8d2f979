"""Recurrent limb policies of any cells, held together: run, asked, saved and read back.

What a policy does in a step is the tanh of its network's outputs, in parts of the largest
increment: a ``squashed`` policy of :mod:`learning.target_finding.policies.network_policy`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from learning.target_finding.policies.network_policy import NetworkPolicy
from learning.weight_space.encoders.probing import Asked
from learning.weight_space.recurrent_nets import NetForm, Nets, first_state, select, step

# Standard deviation of the draws of a policy whose mean is what was learned.
_LOG_STD = -3.0
_CELL_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class PolicyBank:
    """Policies in groups of one cell each; a policy's number counts through the groups.

    Args:
        groups: networks and their form.
    """

    def __init__(self, groups: Sequence[tuple[NetForm, Nets]]) -> None:
        self.groups = list(groups)
        sizes = [len(nets["bias_ih"]) for _, nets in self.groups]
        self._group = np.repeat(np.arange(len(sizes)), sizes)
        self._row = np.concatenate([np.arange(size) for size in sizes])

    def __len__(self) -> int:
        return len(self._group)

    def asked(self, numbers: Any, sequences: int) -> Asked:
        """Return what answers for policies, with a memory that is empty at first.

        Args:
            numbers: ``(B,)`` of the policies.
            sequences: S episodes of each side by side.

        Returns:
            A function from observations ``(B, S, o)`` to shares of the largest increment
            ``(B, S, n)``, step after step.
        """
        numbers = np.asarray(numbers)
        own = self._group[numbers]
        parts = [np.flatnonzero(own == group) for group in range(len(self.groups))]
        parts_nets = [
            (form, select(nets, torch.from_numpy(self._row[numbers[part]])), part)
            for (form, nets), part in zip(self.groups, parts, strict=True)
            if len(part)
        ]
        states = [first_state(form, len(part), sequences) for form, _, part in parts_nets]
        back = torch.from_numpy(np.argsort(np.concatenate([p for _, _, p in parts_nets])))

        def answer(x: torch.Tensor) -> torch.Tensor:
            out = []
            for i, (form, nets, part) in enumerate(parts_nets):
                states[i], y = step(form.cell, nets, states[i], x[torch.from_numpy(part)])
                out.append(torch.tanh(y))
            return torch.cat(out)[back]

        return answer

    def policy(self, number: int, card: Mapping[str, Any]) -> NetworkPolicy:
        """Return a policy as ``/find_target`` and ``evaluate`` run it.

        Args:
            number: of the policy.
            card: how it was trained, with the protocol under ``options``.
        """
        form, nets = self.groups[self._group[number]]
        part = {k: v[self._row[number]].detach().numpy() for k, v in nets.items()}
        tensors = {f"{form.cell}.{name}": part[name] for name in _CELL_PARTS}
        tensors["layer_0.weight"], tensors["layer_0.bias"] = part["weight_out"], part["bias_out"]
        tensors["log_std"] = np.full(form.outputs, _LOG_STD, np.float32)
        return NetworkPolicy(tensors, {**card, "activation": "tanh", "squashed": True})


def perturbed(form: NetForm, nets: Nets, scales: torch.Tensor, generator: torch.Generator) -> Nets:
    """Return relatives of networks: each tensor moved by noise.

    Args:
        form: of the networks.
        nets: N networks.
        scales: ``(N,)`` noise, in parts of each tensor's own root mean square.
        generator: of the noise.
    """
    moved = {}
    for name in form.shapes:
        part = nets[name]
        wide = [-1, *[1] * (part.ndim - 1)]
        size = (part**2).flatten(1).mean(1).sqrt() * scales
        moved[name] = part + size.view(wide) * torch.randn(part.shape, generator=generator)
    return moved
