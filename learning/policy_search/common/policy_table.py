"""A table of policies that were tried: vector and return, the newest replacing the oldest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from asterias.arrays import FloatArray

# Rows of a table at first; it doubles as policies come.
_FIRST = 256


class PolicyTable:
    """Vectors with the returns of their episodes.

    Args:
        parameters: numbers of a vector.
        capacity: policies that are kept.

    Attributes:
        total: policies that were ever added; the number of one is its place in that order.
    """

    def __init__(self, parameters: int, capacity: int) -> None:
        self.capacity = capacity
        self.total = 0
        self._thetas = np.zeros((min(capacity, _FIRST), parameters), np.float32)
        self._returns = np.zeros(min(capacity, _FIRST), np.float64)

    def __len__(self) -> int:
        return min(self.total, self.capacity)

    @property
    def thetas(self) -> Any:
        """``(N, n)`` float32, in no particular order."""
        return self._thetas[: len(self)]

    @property
    def returns(self) -> FloatArray:
        """``(N,)``, in the order of :attr:`thetas`."""
        return self._returns[: len(self)]

    def add(self, theta: FloatArray, total_return: float) -> int:
        """Add a policy.

        Args:
            theta: ``(n,)``.
            total_return: of its episode.

        Returns:
            Its number.
        """
        row = self.total % self.capacity
        if row >= len(self._thetas):
            more = min(max(len(self._thetas), _FIRST), self.capacity - len(self._thetas))
            rows = np.zeros((more, self._thetas.shape[1]), np.float32)
            self._thetas = np.concatenate([self._thetas, rows])
            self._returns = np.concatenate([self._returns, np.zeros(more)])
        self._thetas[row], self._returns[row] = theta, total_return
        self.total += 1
        return self.total - 1

    def holds(self, number: int) -> bool:
        """Return whether the policy of that number is still there."""
        return self.total - len(self) <= number < self.total

    def of(self, numbers: Any) -> Any:
        """Return the vectors ``(B, n)`` float32 of policies by their numbers ``(B,)``."""
        return self._thetas[np.asarray(numbers) % self.capacity]

    def best(self) -> tuple[FloatArray, float]:
        """Return the vector ``(n,)`` with the greatest return, and that return.

        Raises:
            ValueError: the table is empty.
        """
        if not len(self):
            raise ValueError("There is no policy in the table yet.")
        row = int(self.returns.argmax())
        return self._thetas[row].astype(np.float64), float(self._returns[row])

    def sample(
        self, rng: np.random.Generator, size: int, recency: float = 0.0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw policies with replacement.

        Args:
            rng: source of the draw.
            size: number of policies B.
            recency: exponent k of the weights ``1 / age^k`` (age 1 is the newest); 0 for equal
                weights, 1.1 in arXiv 2207.01566.

        Returns:
            Vectors ``(B, n)`` and returns ``(B,)``, float32.
        """
        count = len(self)
        if recency:
            weight = np.arange(1, count + 1, dtype=np.float64) ** -recency
            edges = weight.cumsum()
            ages = np.searchsorted(edges, rng.random(size) * edges[-1])
            rows = (self.total - 1 - np.minimum(ages, count - 1)) % self.capacity
        else:
            rows = rng.integers(count, size=size)
        returns = torch.as_tensor(self._returns[rows], dtype=torch.float32)
        return torch.from_numpy(self._thetas[rows]), returns

    def sample_evenly(
        self, rng: np.random.Generator, size: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw policies evenly over their returns, however often a return occurred.

        Args:
            rng: source of the draw.
            size: number of policies B.

        Returns:
            Vectors ``(B, n)`` and returns ``(B,)``, float32: those nearest to returns that are
            drawn evenly between the least and the greatest.
        """
        order = self.returns.argsort(kind="stable")
        ordered = self.returns[order]
        wanted = rng.uniform(ordered[0], ordered[-1], size)
        above = np.searchsorted(ordered, wanted).clip(1 if len(order) > 1 else 0, len(order) - 1)
        below = np.maximum(above - 1, 0)
        is_below = wanted - ordered[below] < ordered[above] - wanted
        rows = order[np.where(is_below, below, above)]
        returns = torch.as_tensor(self._returns[rows], dtype=torch.float32)
        return torch.from_numpy(self._thetas[rows]), returns

    def state(self) -> dict[str, Any]:
        """Return what :meth:`load` takes."""
        return {"total": self.total, "thetas": self.thetas, "returns": self.returns}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take a saved state."""
        self.total = int(state["total"])
        self._thetas = np.array(state["thetas"], np.float32)
        self._returns = np.array(state["returns"], np.float64)
