"""Classifiers of irregular series that differ in their memory alone.

Each gives its outputs at all tokens; the class is read from the output at the last token and the
mean of all. They are written so that many can be run side by side by ``torch.func.vmap``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from asterias.registry import Registry
from learning.fast_weights.core.integration import rk4_step
from learning.fast_weights.core.layer import SHARES, FastWeightLayer
from learning.fast_weights.core.paths import hermite

HIDDEN, HEADS = 32, 4
_PATH = 8


class DecayingGru(nn.Module):
    """A gated recurrent unit whose state decays with the time since the last token.

    As in GRU-D (Che et al. 2018, arXiv 1606.01865). With one channel a token that comes is
    observed, so that its second half, values that decay to their mean, has nothing to do.

    Args:
        inputs: size of a token.
        hidden: size of the state.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.seen = nn.Linear(inputs, 3 * hidden)
        self.known = nn.Linear(hidden, 3 * hidden)
        self.decay = nn.Linear(1, hidden)

    def forward(self, tokens: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Return states ``(B, N, hidden)`` of tokens ``(B, N, m)`` at ``(B, N)``."""
        gaps = torch.diff(times, dim=1, prepend=times[:, :1])
        kept = torch.exp(-torch.relu(self.decay(gaps.unsqueeze(-1))))
        seen = self.seen(tokens)
        state, states = torch.zeros_like(kept[:, 0]), []
        for place in range(tokens.shape[1]):
            state = state * kept[:, place]
            reset, update, fresh = seen[:, place].chunk(3, -1)
            reset_known, update_known, fresh_known = self.known(state).chunk(3, -1)
            update = torch.sigmoid(update + update_known)
            fresh = torch.tanh(fresh + torch.sigmoid(reset + reset_known) * fresh_known)
            state = (1 - update) * fresh + update * state
            states.append(state)
        return torch.stack(states, 1)


class ControlledEquation(nn.Module):
    """A neural controlled differential equation (Kidger et al. 2020, arXiv 2005.08926).

    ``dh = f(h) dX`` along the same causal path as the fast weights have.

    Args:
        inputs: size of a token.
        hidden: size of the state.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.project = nn.Linear(inputs, _PATH - 1)
        self.first = nn.Linear(_PATH, hidden)
        self.field = nn.Sequential(
            nn.Linear(hidden, 64), nn.GELU(), nn.Linear(64, hidden * _PATH), nn.Tanh()
        )

    def forward(self, tokens: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Return states ``(B, N, hidden)`` of tokens ``(B, N, m)`` at ``(B, N)``."""
        points = torch.cat([self.project(tokens), times.unsqueeze(-1)], -1)
        pieces = hermite(points, times)
        slopes = [pieces.slope(share) for share in SHARES]
        state = self.first(points[:, 0])
        states = [state]
        for place in range(tokens.shape[1] - 1):

            def field(share: float, at: torch.Tensor, place: int = place) -> torch.Tensor:
                matrix = self.field(at).reshape(*at.shape[:-1], self.hidden, _PATH)
                slope = slopes[SHARES.index(share)][:, place]
                moved: torch.Tensor = (matrix @ slope.unsqueeze(-1)).squeeze(-1)
                return moved

            state = rk4_step(field, state, 0.0, 1.0)
            states.append(state)
        return torch.stack(states, 1)


class SeriesClassifier(nn.Module):
    """A memory, and a linear read-out of its last output and the mean of all.

    Args:
        memory: tokens ``(B, N, m)`` and times ``(B, N)`` to outputs ``(B, N, hidden)``.
        classes: number of them.
        hidden: size of an output.
    """

    def __init__(self, memory: nn.Module, classes: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.memory = memory
        self.read = nn.Linear(2 * hidden, classes)

    def forward(
        self, tokens: torch.Tensor, times: torch.Tensor, last: torch.Tensor
    ) -> torch.Tensor:
        """Return logits ``(B, classes)``; ``last`` ``(B,)`` is the number of each last token."""
        outputs = self.memory(tokens, times)
        place = torch.arange(outputs.shape[1])
        end = (place == last.unsqueeze(-1)).to(outputs.dtype)
        until = (place <= last.unsqueeze(-1)).to(outputs.dtype) / (last.unsqueeze(-1) + 1)
        pooled = [(outputs * weight.unsqueeze(-1)).sum(1) for weight in (end, until)]
        logits: torch.Tensor = self.read(torch.cat(pooled, -1))
        return logits


def _check(name: str, entry: object) -> None:
    """Refuse what makes no network.

    Raises:
        TypeError: it cannot be called.
    """
    if not callable(entry):
        raise TypeError(f"{name} makes no network")


# Size of a token -> memory.
MEMORIES: Registry[Callable[[int], nn.Module]] = Registry(
    "memory of series", "asterias.series_memories", _check
)
# Architectures of fast weights: Runge-Kutta steps of the paper's equations, or exact ones, which
# take less than half of the time; keys of length 1; and weights that also decay.
_FAST_WEIGHTS: dict[str, dict[str, Any]] = {
    "ode": {},
    "exact": {"steps": "exact"},
    "unit": {"steps": "exact", "keys": "unit"},
    "decaying": {"steps": "exact", "forgets": True},
    "gated": {"steps": "exact", "keys": "unit", "forgets": True},
    "cde": {"steps": "exact", "keys": "unit", "form": "cde"},
}
for _kind, _about in _FAST_WEIGHTS.items():
    for _rule in ("delta", "oja", "hebb"):
        MEMORIES.register(
            f"{_rule}_{_kind}",
            partial(
                FastWeightLayer,
                hidden=HIDDEN,
                heads=HEADS,
                rule=_rule,
                # Of the times of tokens, in which a group of samples lasts about a tenth.
                time_unit_s=0.1,
                **{"form": "ode", **_about},
            ),
        )
MEMORIES.register("gru_d", partial(DecayingGru, hidden=HIDDEN))
MEMORIES.register("neural_cde", partial(ControlledEquation, hidden=HIDDEN))
