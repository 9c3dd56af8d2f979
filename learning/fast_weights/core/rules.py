"""Fields of fast weights: how a matrix changes while keys and values flow past it.

``W`` is ``(..., d_v, d_k)``; it maps a key to a value. Sources: Irie, Faccio, Schmidhuber, "Neural
differential equations for learning to program neural nets through continuous learning rules"
(arXiv 2206.01649), equations 12 to 20. In ODE form keys and values are functions of the input
x(t); in CDE form one of the two comes from the derivative x'(t) of the path.

The rules in the form of the paper's code take the softmax of a difference (Oja). A softmax always
sums to 1, so that rule never comes to rest: row i of W grows by ``beta v_i`` in all. The classical
rule stays bounded; both are here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from asterias.registry import Registry

# W, key, value, learning rate -> dW/dt.
Field = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def outer(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return outer products ``(..., a, b)`` of ``(..., a)`` and ``(..., b)``."""
    return left.unsqueeze(-1) * right.unsqueeze(-2)


def apply(weights: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Return ``W x``: ``(..., a)`` of ``(..., a, b)`` and ``(..., b)``."""
    # Faster than a product of small matrices, forwards and backwards.
    return (weights * vector.unsqueeze(-2)).sum(-1)


def apply_transposed(weights: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Return ``W^T y``: ``(..., b)`` of ``(..., a, b)`` and ``(..., a)``."""
    return (vector.unsqueeze(-1) * weights).sum(-2)


# -- fields; what is done to keys and values first is in the table below -------------------------


def hebb(
    weights: torch.Tensor, key: torch.Tensor, value: torch.Tensor, beta: torch.Tensor
) -> torch.Tensor:
    """Return ``beta v k^T``: grows for as long as it is fed."""
    return outer(beta * value, key)


def oja(
    weights: torch.Tensor, key: torch.Tensor, value: torch.Tensor, beta: torch.Tensor
) -> torch.Tensor:
    """Return ``beta v (k - W^T v)^T``, the classical rule: constant input drives ``W^T v`` to k."""
    return outer(beta * value, key - apply_transposed(weights, value))


def coded_oja(
    weights: torch.Tensor, key: torch.Tensor, value: torch.Tensor, beta: torch.Tensor
) -> torch.Tensor:
    """Return ``beta v softmax(k - W^T v)^T`` of raw k, as the authors' code has it: never rests."""
    return outer(beta * value, torch.softmax(key - apply_transposed(weights, value), -1))


def delta(
    weights: torch.Tensor, key: torch.Tensor, value: torch.Tensor, beta: torch.Tensor
) -> torch.Tensor:
    """Return ``beta (v - W k) k^T``: constant input drives ``W k`` to v."""
    return outer(beta * (value - apply(weights, key)), key)


def squashed_delta(
    weights: torch.Tensor, key: torch.Tensor, value: torch.Tensor, beta: torch.Tensor
) -> torch.Tensor:
    """Return ``beta tanh(v - W k) k^T``: the same limit, at a bounded speed."""
    return outer(beta * torch.tanh(value - apply(weights, key)), key)


# -- a step under constant key and value, exact: all three fields are linear in the weights -------


def _reached(rate: torch.Tensor, squared: torch.Tensor) -> torch.Tensor:
    """Return ``(1 - exp(-rate s)) / s``, the share of the way that is made, by the length s."""
    safe = squared.clamp(min=1e-6)
    return -torch.expm1(-rate * safe) / safe


def hebb_step(
    weights: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rate: torch.Tensor
) -> torch.Tensor:
    """Return the weights after a step of :func:`hebb`; ``rate`` is beta times its length."""
    return weights + outer(rate * value, key)


def oja_step(
    weights: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rate: torch.Tensor
) -> torch.Tensor:
    """Return the weights after a step of :func:`oja`: ``W^T v`` nears k, never passes it."""
    gain = _reached(rate, value.square().sum(-1, keepdim=True))
    return weights + outer(gain * value, key - apply_transposed(weights, value))


def delta_step(
    weights: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rate: torch.Tensor
) -> torch.Tensor:
    """Return the weights after a step of :func:`delta`: ``W k`` nears v, never passes it."""
    gain = _reached(rate, key.square().sum(-1, keepdim=True))
    return weights + outer(gain * (value - apply(weights, key)), key)


@dataclass(frozen=True)
class LearningRule:
    """One rule.

    In ODE form the key is ``softmax(k)`` and the value v or ``tanh(v)``, k and v being functions of
    x. In CDE form one of the two is linear in x', and the other comes from x: a key by softmax, a
    value as it is.

    Attributes:
        summary: one line for people.
        ode, cde: the fields of both forms.
        step: the exact step under constant key and value, which is ``tanh(v)`` in ODE form.
        squashes_value: the ODE form takes ``tanh(v)``.
        key_from_derivative: in CDE form the key comes from x' and the value from x; else the
            other way round.
    """

    summary: str
    ode: Field
    cde: Field
    step: Field
    squashes_value: bool = True
    key_from_derivative: bool = False


def _check(name: str, entry: object) -> None:
    """Refuse what is no rule.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(entry, LearningRule):
        raise TypeError(f"{name} is no LearningRule")


RULES: Registry[LearningRule] = Registry("rule of fast weights", "asterias.fast_weights", _check)
RULES.register("hebb", LearningRule("adds value times key", hebb, hebb, hebb_step))
RULES.register("oja", LearningRule("forgets along the value; bounded", oja, oja, oja_step))
RULES.register(
    "delta",
    LearningRule(
        "corrects what the key gives now",
        squashed_delta,
        delta,
        delta_step,
        squashes_value=False,
        key_from_derivative=True,
    ),
)
