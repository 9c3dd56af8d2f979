"""The highway operator, exactly (arXiv 2405.18289).

``n`` steps of lookahead under a behaviour policy, ``(B^pi)^(n-1) B Q``, never exceed ``Q*`` at
``Q*``; used as a target they are biased low, the more so the larger ``n``. The highway gate takes
the larger of lookahead and one-step value::

    G Q = aggregate over (pi, n) of max(B Q, (B^pi)^(n-1) B Q)

With the mean, as in the paper, or the maximum as aggregate, ``G`` is monotone, a contraction of
``gamma``, and ``G Q* = Q*``, so that ``Q*`` is its only fixed point for every depth and policy. A
softmax of sharpness ``k`` lies between ``B`` and the ``G`` of the maximum, both monotone, hence so
do its iterates, and they converge to ``Q*``, too, for every ``k``; its temperature in the paper was
not to be found. Without the gate the softmax is biased low like the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.registry import Registry
from learning.highway.tabular.processes import FiniteProcess

# ``(K, S, A)`` candidates and a sharpness to ``(S, A)``.
Aggregate = Callable[[FloatArray, float], FloatArray]


def _mean(candidates: FloatArray, sharpness: float) -> FloatArray:
    mean: FloatArray = candidates.mean(0)
    return mean


def _max(candidates: FloatArray, sharpness: float) -> FloatArray:
    most: FloatArray = candidates.max(0)
    return most


def _softmax(candidates: FloatArray, sharpness: float) -> FloatArray:
    weights = np.exp(sharpness * (candidates - candidates.max(0)))
    mixed: FloatArray = (weights * candidates).sum(0) / weights.sum(0)
    return mixed


AGGREGATES: Registry[Aggregate] = Registry("aggregate of the highway operator")
for _name, _entry in (("mean", _mean), ("max", _max), ("softmax", _softmax)):
    AGGREGATES.register(_name, _entry)


class HighwayOperator:
    """The operator for a process, behaviour policies and depths.

    Pushing values ``n - 1`` times through ``B^pi`` is an affine map; it is made once, so that an
    application costs the same for every depth.

    Args:
        process: the task.
        policies: ``(S, A)`` each.
        depths: steps of lookahead, 1 or more.
        aggregate: ``mean``, ``max`` or ``softmax`` over policies and depths.
        sharpness: of the softmax.
        gate: False leaves the gate out: n-step backups as they are.
    """

    def __init__(
        self,
        process: FiniteProcess,
        policies: Sequence[FloatArray],
        depths: Sequence[int],
        aggregate: str = "mean",
        sharpness: float = 10.0,
        *,
        gate: bool = True,
    ) -> None:
        if not policies or not depths or min(depths) < 1:
            raise UserError("The highway operator needs a policy, and depths of 1 or more.")
        self.process, self.sharpness, self.gate = process, sharpness, gate
        self._aggregate = AGGREGATES.get(aggregate)
        self._pushes = [_push(process, policy, depth) for policy in policies for depth in depths]

    def __call__(self, q: FloatArray) -> FloatArray:
        """Return the next values ``(S, A)``."""
        near = self.process.backup(q)
        flat = near.ravel()
        far = np.array([(matrix @ flat + gained) for matrix, gained in self._pushes])
        candidates = far.reshape(-1, *near.shape)
        if self.gate:
            candidates = np.maximum(candidates, near)
        return self._aggregate(candidates, self.sharpness)


def _push(process: FiniteProcess, policy: FloatArray, depth: int) -> tuple[FloatArray, FloatArray]:
    """Return matrix and vector of ``(B^pi)^(depth - 1)`` over flat values ``(S * A,)``."""
    size = process.rewards.size
    once = process.gamma * process.transitions[..., None] * policy
    power, square = np.eye(size), once.reshape(size, size)
    gained, doubled = np.zeros(size), process.rewards.ravel()
    left = depth - 1
    while left:  # by squaring: a map applied twice is (M M, M c + c)
        if left & 1:
            power, gained = square @ power, square @ gained + doubled
        left >>= 1
        if left:
            square, doubled = square @ square, square @ doubled + doubled
    return power, gained


@dataclass(frozen=True)
class Iteration:
    """What iterating an operator came to.

    Attributes:
        values: ``(S, A)`` at the end.
        errors: ``(k,)`` largest ``|Q - Q*|`` after each application.
    """

    values: FloatArray
    errors: FloatArray

    def until(self, error: float) -> int | None:
        """Return after how many applications the error was below a bound; None: never."""
        below: npt.NDArray[np.int64] = np.flatnonzero(self.errors < error)
        return int(below[0]) + 1 if below.size else None


def iterate_operator(
    operator: HighwayOperator,
    q: FloatArray | None = None,
    change: float = 2e-14,
    most: int = 5000,
) -> Iteration:
    """Apply an operator until nothing changes any more.

    Args:
        operator: with its process.
        q: ``(S, A)`` to begin with; zeros if not given.
        change: largest change of a value that counts as none.
        most: applications.

    Returns:
        Values and errors.
    """
    optimal = operator.process.optimal_values()
    values = np.zeros_like(optimal) if q is None else q
    errors = []
    for _ in range(most):
        before, values = values, operator(values)
        errors.append(float(np.abs(values - optimal).max()))
        if np.abs(values - before).max() < change:
            break
    return Iteration(values, np.array(errors))
