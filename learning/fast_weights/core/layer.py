"""A layer whose fast weights a slow network programs while samples come, at any times.

``x(t)`` is a path through the samples; keys, values and learning rates are functions of it, and the
matrices of all heads follow the rule's differential equation from sample to sample, by a
Runge-Kutta step each, or by one that is exact for the key and value in its middle. The read-out at
a sample is ``y = W q``, then the feed-forward block of a transformer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import normalize, silu, softplus

from asterias.errors import UserError
from learning.fast_weights.core.integration import rk4_step
from learning.fast_weights.core.paths import NOT_CAUSAL, PATHS, Segments
from learning.fast_weights.core.rules import RULES, apply, outer

FORMS = ("ode", "cde")
# Where a Runge-Kutta step asks for the field.
SHARES = (0.0, 0.5, 1.0)
# The exact step takes key and value in the middle of a piece, which makes it one of second order
# (exponential midpoint rule; Hochbruck and Ostermann, "Exponential integrators", 2010).
# At first a head keeps most of what it knows: softplus(-3) is 0.05 in a unit of time.
_SLOWLY = -3.0
STEPS = {"rk4": SHARES, "exact": (0.5,)}


def unit_length(vector: torch.Tensor) -> torch.Tensor:
    """Return vectors ``(..., d)`` of length 1, as DeltaNet has them (arXiv 2406.06484)."""
    return normalize(silu(vector), dim=-1)


# What is made of raw keys and queries (..., d).
KEYS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "softmax": partial(torch.softmax, dim=-1),
    "unit": unit_length,
}


class Drives(NamedTuple):
    """Key, value ``(B, N, H, d)`` and learning rate ``(B, N, H, 1)`` at one share of all pieces.

    ``kept`` ``(B, N, H, 1)`` is the share of the weights that is not forgotten until a piece's end.
    """

    key: torch.Tensor
    value: torch.Tensor
    beta: torch.Tensor
    kept: torch.Tensor


class Memory(NamedTuple):
    """What a layer remembers while samples come one by one.

    Attributes:
        weights: ``(B, H, d, d)``.
        samples: ``(B, K, m)`` the newest one, or two.
        times: ``(B, K)`` their stamps.
    """

    weights: torch.Tensor
    samples: torch.Tensor
    times: torch.Tensor


def bounded(vector: torch.Tensor) -> torch.Tensor:
    """Return vectors ``(..., d)`` shortened to less than the square root of 2.

    Oja's and the Delta rule decay at the rate of the squared length, and a step of this method is
    stable up to a rate of 2.78 only: a sudden sample must not throw the weights out of range.
    """
    return vector / torch.sqrt(1.0 + 0.5 * vector.square().sum(-1, keepdim=True))


class FastWeightLayer(nn.Module):
    """Fast weights over irregular samples ``(B, N, m)``, read at each of them.

    Args:
        inputs: size of a sample, m.
        hidden: size of the output, a multiple of ``heads``.
        heads: matrices side by side, H, each of ``hidden / heads`` squared.
        rule: ``hebb``, ``oja`` or ``delta``.
        form: ``ode`` or ``cde``.
        path: through the samples.
        time_unit_s: time that counts as 1 in the ODE form.
        keys: ``softmax``, or ``unit`` for keys and queries of length 1.
        steps: ``rk4``, or ``exact``: less than half of the work.
        forgets: all weights of a head decay, too, at a rate that depends on x (ODE form, exact
            steps), as in gated DeltaNet (arXiv 2412.06464).

    Raises:
        UserError: rule, form, path, keys or steps are not known, or do not fit each other.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int = 64,
        heads: int = 4,
        *,
        rule: str = "delta",
        form: str = "ode",
        path: str = "hermite",
        time_unit_s: float = 0.1,
        keys: str = "softmax",
        steps: str = "rk4",
        forgets: bool = False,
    ) -> None:
        super().__init__()
        _check_choices(form, keys, steps, forgets=forgets)
        if hidden % heads:
            raise UserError(f"--hidden {hidden} must be a multiple of the {heads} heads.")
        self.rule, self.form = RULES.get(rule), form
        self.make_path = PATHS.get(path)
        self.is_causal = path not in NOT_CAUSAL
        self.hidden, self.heads, self.time_unit_s = hidden, heads, time_unit_s
        self.make_key, self.steps = KEYS[keys], steps
        self.enter = nn.Linear(inputs, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.slow = nn.Linear(hidden, 2 * hidden + heads)
        self.derivative = nn.Linear(hidden, hidden, bias=False)
        self.query = nn.Linear(hidden, hidden)
        self.leave = nn.Linear(hidden, hidden)
        self.forward_norm = nn.LayerNorm(hidden)
        self.feed_forward = nn.Sequential(
            nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden)
        )
        self.forget = nn.Linear(hidden, heads) if forgets else None

    def forward(self, samples: torch.Tensor, times_s: torch.Tensor) -> torch.Tensor:
        """Return ``(B, N, hidden)`` read-outs at samples ``(B, N, m)`` with stamps ``(B, N)``."""
        entered = self.enter(samples)
        weights = [self._first(entered[:, :1])]
        if samples.shape[1] > 1:
            drives = self._drives(self.make_path(entered, times_s))
            for piece in range(samples.shape[1] - 1):
                weights.append(self._advance(weights[-1], drives, piece))
        return self._read(torch.stack(weights, 1), entered)

    def step(
        self, memory: Memory | None, sample: torch.Tensor, time_s: torch.Tensor
    ) -> tuple[Memory, torch.Tensor]:
        """Take one more sample ``(B, m)`` at ``(B,)``: online, and equal to :meth:`forward`.

        Returns:
            The new memory, and the read-out ``(B, hidden)``.

        Raises:
            UserError: the path needs samples that are still to come.
        """
        if not self.is_causal:
            raise UserError("A natural spline looks into the future; go online with hermite.")
        entered = self.enter(sample)[:, None]
        times = time_s[:, None]
        if memory is None:
            weights = self._first(entered)
        else:
            entered = torch.cat([memory.samples, entered], 1)
            times = torch.cat([memory.times, times], 1)
            newest = Segments(*(part[:, -1:] for part in self.make_path(entered, times)))
            weights = self._advance(memory.weights, self._drives(newest), 0)
        read = self._read(weights[:, None], entered[:, -1:])[:, 0]
        return Memory(weights, entered[:, -2:], times[:, -2:]), read

    # -- pieces ---------------------------------------------------------------------------------

    def _split(self, flat: torch.Tensor) -> torch.Tensor:
        """Return ``(B, N, H, d)`` of ``(B, N, hidden)``."""
        return flat.reshape(*flat.shape[:-1], self.heads, -1)

    def _slow(self, entered: torch.Tensor) -> Drives:
        """Return raw keys and values, and rates between 0 and 1."""
        key, value, beta = self.slow(self.norm(entered)).split(
            [self.hidden, self.hidden, self.heads], -1
        )
        beta = torch.sigmoid(beta).unsqueeze(-1)
        return Drives(self._split(key), self._split(value), beta, torch.ones_like(beta))

    def _drives(self, pieces: Segments) -> list[Drives]:
        """Return keys, values and rates of all pieces at the three shares.

        Time is the share of a piece: the ODE form's rates are multiplied by the piece's length,
        and the CDE form's derivative is by the share, which leaves its integral as it is.
        """
        found = []
        for share in STEPS[self.steps]:
            entered = pieces.at(share)
            key, value, beta, kept = self._slow(entered)
            if self.form == "ode":
                squashes = self.rule.squashes_value or self.steps == "exact"
                value = torch.tanh(value) if squashes else value
                length = (pieces.widths / self.time_unit_s)[..., None, None]
                if self.forget is not None:
                    rate = softplus(self.forget(self.norm(entered)) + _SLOWLY)
                    kept = torch.exp(-rate.unsqueeze(-1) * length)
                found.append(Drives(self.make_key(key), value, beta * length, kept))
                continue
            moved = bounded(self._split(self.derivative(pieces.slope(share))))
            if self.rule.key_from_derivative:
                found.append(Drives(moved, value, beta, kept))
            else:
                found.append(Drives(self.make_key(key), moved, beta, kept))
        return found

    def _advance(self, weights: torch.Tensor, drives: list[Drives], piece: int) -> torch.Tensor:
        """Return weights ``(B, H, d, d)`` at the end of a piece."""
        own = [Drives(*(part[:, piece] for part in at)) for at in drives]
        if self.steps == "exact":
            (only,) = own
            if self.forget is not None:
                weights = weights * only.kept.unsqueeze(-1)
            return self.rule.step(weights, only.key, only.value, only.beta)
        rule = self.rule.ode if self.form == "ode" else self.rule.cde

        def field(share: float, state: torch.Tensor) -> torch.Tensor:
            return rule(state, *own[SHARES.index(share)][:3])

        return rk4_step(field, weights, 0.0, 1.0)

    def _first(self, entered: torch.Tensor) -> torch.Tensor:
        """Return the rule's first step without decay, ``(B, H, d, d)``."""
        key, value, beta, _ = (part[:, 0] for part in self._slow(entered))
        return outer(beta * torch.tanh(value), self.make_key(key))

    def _read(self, weights: torch.Tensor, entered: torch.Tensor) -> torch.Tensor:
        query = self.make_key(self._split(self.query(self.norm(entered))))
        hidden = entered + self.leave(apply(weights, query).flatten(-2))
        passed: torch.Tensor = hidden + self.feed_forward(self.forward_norm(hidden))
        return passed


def _check_choices(form: str, keys: str, steps: str, *, forgets: bool) -> None:
    """Refuse what does not go together.

    Raises:
        UserError: a name is not known, or exact steps or forgetting are asked of another form.
    """
    if form not in FORMS:
        raise UserError(f"There is no form '{form}' of fast weights; choose ode or cde.")
    if keys not in KEYS:
        raise UserError(f"There are no keys '{keys}' of fast weights; choose {' or '.join(KEYS)}.")
    if steps not in STEPS:
        raise UserError(f"There are no steps '{steps}'; choose {' or '.join(STEPS)}.")
    if forgets and (steps, form) != ("exact", "ode"):
        raise UserError("Only the ODE form with exact steps forgets; choose these two.")
