"""Many small recurrent networks of one form, held and run together by ``torch.func.vmap``.

A network is one recurrent layer and a linear read-out. Weights are those of PyTorch's cells, with a
first dimension for the networks: N of them are one dictionary of tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.func import vmap

from asterias.errors import UserError

# Gates of a cell, in PyTorch's order of rows.
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
CELLS = tuple(GATES)

Nets = dict[str, torch.Tensor]


@dataclass(frozen=True)
class NetForm:
    """What networks of one zoo have in common.

    Attributes:
        cell: ``rnn`` (tanh), ``gru`` or ``lstm``.
        inputs: numbers that go in at a step.
        hidden: units of the recurrent layer.
        outputs: numbers that come out.

    Raises:
        UserError: the cell is unknown, or a size is below 1.
    """

    cell: str
    inputs: int
    hidden: int
    outputs: int

    def __post_init__(self) -> None:
        if self.cell not in GATES:
            raise UserError(f"Unknown cell '{self.cell}'; choose one of {', '.join(CELLS)}.")
        if min(self.inputs, self.hidden, self.outputs) < 1:
            raise UserError("A network needs one input, hidden unit and output at least.")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of one network's weights."""
        rows = GATES[self.cell] * self.hidden
        return {
            "weight_ih": (rows, self.inputs),
            "weight_hh": (rows, self.hidden),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
            "weight_out": (self.outputs, self.hidden),
            "bias_out": (self.outputs,),
        }


def draw_nets(form: NetForm, count: int, generator: torch.Generator) -> Nets:
    """Return ``count`` networks as PyTorch begins them: uniform within 1 / sqrt(hidden)."""
    bound = form.hidden**-0.5
    return {
        name: (2 * torch.rand((count, *shape), generator=generator) - 1) * bound
        for name, shape in form.shapes.items()
    }


def select(nets: Nets, chosen: Any) -> Nets:
    """Return the networks with numbers ``chosen``."""
    return {name: part[chosen] for name, part in nets.items()}


def joined(several: list[Nets]) -> Nets:
    """Return several groups of networks as one."""
    return {name: torch.cat([nets[name] for nets in several]) for name in several[0]}


def permuted(form: NetForm, nets: Nets, order: torch.Tensor) -> Nets:
    """Return networks with hidden units in another order, which compute the same.

    Args:
        form: of the networks.
        nets: N of them.
        order: ``(hidden,)`` for all, or ``(N, hidden)``.
    """
    count, gates = len(nets["bias_ih"]), GATES[form.cell]
    order = order.expand(count, form.hidden)
    rows = torch.cat([order + gate * form.hidden for gate in range(gates)], 1)

    def by(part: torch.Tensor, index: torch.Tensor, dim: int) -> torch.Tensor:
        shape = [count] + [1] * (part.ndim - 1)
        shape[dim] = index.shape[1]
        return part.take_along_dim(index.view(shape).expand(_like(part, dim, index)), dim)

    moved = {name: by(nets[name], rows, 1) for name in ("weight_ih", "bias_ih", "bias_hh")}
    moved["weight_hh"] = by(by(nets["weight_hh"], rows, 1), order, 2)
    moved["weight_out"] = by(nets["weight_out"], order, 2)
    moved["bias_out"] = nets["bias_out"]
    return moved


def _like(part: torch.Tensor, dim: int, index: torch.Tensor) -> tuple[int, ...]:
    shape = list(part.shape)
    shape[dim] = index.shape[1]
    return tuple(shape)


def first_state(form: NetForm, count: int, sequences: int) -> torch.Tensor:
    """Return the state before the first step: ``(N, S, 2, hidden)``, hidden and cell values."""
    return torch.zeros(count, sequences, 2, form.hidden)


def step(
    cell: str, nets: Mapping[str, torch.Tensor], state: torch.Tensor, x: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take a step with each of N networks.

    Args:
        cell: of the networks.
        nets: N networks.
        state: ``(N, S, 2, hidden)``.
        x: ``(N, S, inputs)``.

    Returns:
        The next state, and outputs ``(N, S, outputs)``.
    """
    return vmap(lambda net, held, seen: _step_one(cell, net, held, seen))(nets, state, x)


def run(form: NetForm, nets: Nets, x: torch.Tensor) -> torch.Tensor:
    """Return what N networks put out along sequences.

    Args:
        form: of the networks.
        nets: N networks.
        x: ``(N, S, T, inputs)``.

    Returns:
        ``(N, S, T, outputs)``.
    """

    def run_one(net: Nets, seen: torch.Tensor) -> torch.Tensor:
        state, out = torch.zeros(len(seen), 2, form.hidden), []
        for moment in range(seen.shape[1]):
            state, y = _step_one(form.cell, net, state, seen[:, moment])
            out.append(y)
        return torch.stack(out, 1)

    return vmap(run_one)(nets, x)


def _step_one(
    cell: str, net: Mapping[str, torch.Tensor], state: torch.Tensor, x: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take a step with one network.

    Args:
        cell: of the network.
        net: its weights.
        state: ``(S, 2, hidden)``.
        x: ``(S, inputs)``.

    Returns:
        The next state, and outputs ``(S, outputs)``.
    """
    hidden, cells = state[:, 0], state[:, 1]
    seen = x @ net["weight_ih"].T + net["bias_ih"]
    known = hidden @ net["weight_hh"].T + net["bias_hh"]
    if cell == "rnn":
        hidden = torch.tanh(seen + known)
    elif cell == "gru":
        reset, update, new = seen.chunk(3, -1)
        reset_known, update_known, new_known = known.chunk(3, -1)
        update = torch.sigmoid(update + update_known)
        fresh = torch.tanh(new + torch.sigmoid(reset + reset_known) * new_known)
        hidden = (1 - update) * fresh + update * hidden
    else:
        take, forget, new, give = (seen + known).chunk(4, -1)
        cells = torch.sigmoid(forget) * cells + torch.sigmoid(take) * torch.tanh(new)
        hidden = torch.sigmoid(give) * torch.tanh(cells)
    return torch.stack([hidden, cells], 1), hidden @ net["weight_out"].T + net["bias_out"]
