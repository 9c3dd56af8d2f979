"""Mechanistic encoders: they look at a recurrent network's weights alone (arXiv 2403.11998)."""

from __future__ import annotations

import torch
from torch import nn

from learning.weight_space.recurrent_nets import GATES, NetForm, Nets, permuted

# Of each tensor: mean, deviation, and these quantiles, as in the layer statistics of
# arXiv 2002.11448, which the paper takes over.
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def perceptron(sizes: tuple[int, ...]) -> nn.Sequential:
    """Return linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for number in range(len(sizes) - 1):
        layers += [nn.Linear(sizes[number], sizes[number + 1]), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class FlatEncoder(nn.Module):
    """All weights in a row, through a perceptron of three layers.

    While it learns, hidden units are put in a random order each time, as in the paper: the order
    means nothing, and the encoder has no other way to know.

    Args:
        form: of the networks.
        embedding: size of the representation.
        width: of the layers.
    """

    def __init__(self, form: NetForm, embedding: int, width: int = 128) -> None:
        super().__init__()
        self.form = form
        numbers = sum(torch.Size(shape).numel() for shape in form.shapes.values())
        self.layers = perceptron((numbers, width, width, width, embedding))

    def forward(self, nets: Nets) -> torch.Tensor:
        """Return representations ``(N, embedding)``."""
        if self.training:
            order = torch.rand(len(nets["bias_ih"]), self.form.hidden).argsort(1)
            nets = permuted(self.form, nets, order)
        rows = torch.cat([nets[name].flatten(1) for name in self.form.shapes], 1)
        out: torch.Tensor = self.layers(rows)
        return out


class StatisticsEncoder(nn.Module):
    """Mean, deviation and quantiles of each gate's weights, through a perceptron.

    Args:
        form: of the networks.
        embedding: size of the representation.
        width: of the layers.
    """

    def __init__(self, form: NetForm, embedding: int, width: int = 128) -> None:
        super().__init__()
        self.form = form
        groups = 4 * GATES[form.cell] + 1 + form.outputs
        self.layers = perceptron((groups * (2 + len(_QUANTILES)), width, embedding))

    def forward(self, nets: Nets) -> torch.Tensor:
        """Return representations ``(N, embedding)``."""
        out: torch.Tensor = self.layers(torch.cat([_statistics(p) for p in self._groups(nets)], 1))
        return out

    def _groups(self, nets: Nets) -> list[torch.Tensor]:
        gates = GATES[self.form.cell]
        parts = [
            gate.flatten(1)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            for gate in nets[name].chunk(gates, 1)
        ]
        return [*parts, *nets["weight_out"].unbind(1), nets["bias_out"]]


def _statistics(values: torch.Tensor) -> torch.Tensor:
    """Return ``(N, 7)`` of values ``(N, k)``."""
    quantiles = torch.quantile(values, torch.tensor(_QUANTILES), dim=1).T
    spread = values.var(1, correction=0, keepdim=True).clamp(min=1e-12).sqrt()
    return torch.cat([values.mean(1, keepdim=True), spread, quantiles], 1)


class EquivariantEncoder(nn.Module):
    """Layers that commute with every order of hidden units, and a sum over units at the end.

    A hidden unit has features (its weights from inputs, to outputs, and biases), and so has each
    pair of units (the recurrent weights of all gates). A layer is the general linear map of such
    features that commutes with permutations (arXiv 2302.14040 for stacked layers; one set of units
    here), but for the terms that share no index.

    Args:
        form: of the networks.
        embedding: size of the representation.
        width: features of a unit and of a pair.
        depth: layers.
    """

    def __init__(self, form: NetForm, embedding: int, width: int = 32, depth: int = 3) -> None:
        super().__init__()
        self.form = form
        gates = GATES[form.cell]
        sizes = [(gates * (form.inputs + 2) + form.outputs, gates), *[(width, width)] * depth]
        self.layers = nn.ModuleList(
            _EquivariantLayer(*sizes[i], width) for i in range(len(sizes) - 1)
        )
        self.last = perceptron((2 * width + form.outputs, 128, embedding))

    def forward(self, nets: Nets) -> torch.Tensor:
        """Return representations ``(N, embedding)``."""
        gates, hidden = GATES[self.form.cell], self.form.hidden
        by_gate = [
            nets[name].view(len(nets[name]), gates, hidden, -1)
            for name in ("weight_ih", "bias_ih", "bias_hh")
        ]
        units = torch.cat([part.transpose(1, 2).flatten(2) for part in by_gate], 2)
        units = torch.cat([units, nets["weight_out"].transpose(1, 2)], 2)
        pairs = nets["weight_hh"].view(-1, gates, hidden, hidden).permute(0, 2, 3, 1)
        for layer in self.layers:
            units, pairs = layer(units, pairs)
        out: torch.Tensor = self.last(
            torch.cat([units.mean(1), pairs.mean((1, 2)), nets["bias_out"]], 1)
        )
        return out


class _EquivariantLayer(nn.Module):
    """Features of units ``(N, H, u)`` and pairs ``(N, H, H, p)`` to ``width`` each."""

    def __init__(self, units: int, pairs: int, width: int) -> None:
        super().__init__()
        self.unit = nn.Linear(2 * units + 5 * pairs, width)
        self.pair = nn.Linear(2 * pairs, width)
        self.row = nn.Linear(units + 2 * pairs, width)
        self.column = nn.Linear(units + 2 * pairs, width)
        self.same = nn.Linear(pairs, width)

    def forward(
        self, units: torch.Tensor, pairs: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows, columns = pairs.mean(2), pairs.mean(1)
        diagonal = pairs.diagonal(dim1=1, dim2=2).transpose(1, 2)
        everything = torch.cat([units, diagonal], 2).mean(1, keepdim=True)
        mean = torch.cat([everything, pairs.mean((1, 2))[:, None]], 2).expand(
            -1, units.shape[1], -1
        )
        new_units = self.unit(torch.cat([units, rows, columns, diagonal, mean], 2))
        ends = torch.cat([units, rows, columns], 2)
        new_pairs = self.pair(torch.cat([pairs, pairs.transpose(1, 2)], 3))
        new_pairs = new_pairs + self.row(ends)[:, :, None] + self.column(ends)[:, None]
        new_pairs = new_pairs + torch.diag_embed(self.same(diagonal).transpose(1, 2)).permute(
            0, 2, 3, 1
        )
        return torch.relu(new_units), torch.relu(new_pairs)
