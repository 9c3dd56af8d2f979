"""Steps of many episodes, each with the number of the policy that took it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from learning.policy_search.common.rollouts import Transitions

_FIELDS = ("observations", "following", "outputs", "following_outputs")


@dataclass(frozen=True)
class StepBatch:
    """Some steps.

    Attributes:
        observations, following: ``(B, o)`` before and after the step, not normalised.
        outputs, following_outputs: ``(B, m)`` of the same policy in both, before the tanh.
        rewards: ``(B,)``.
        terminated: ``(B,)`` 1 where the task ended; a time limit is no end.
        policies: ``(B,)`` numbers in the table.
    """

    observations: torch.Tensor
    following: torch.Tensor
    outputs: torch.Tensor
    following_outputs: torch.Tensor
    rewards: torch.Tensor
    terminated: torch.Tensor
    policies: Any


class StepBuffer:
    """The newest steps.

    Args:
        capacity: steps that are kept.
        observations: numbers of an observation.
        outputs: of a policy.

    Attributes:
        total: steps that were ever added.
    """

    def __init__(self, capacity: int, observations: int, outputs: int) -> None:
        self.capacity, self.total = capacity, 0
        sizes = (observations, observations, outputs, outputs)
        self._rows = {
            name: np.zeros((capacity, size), np.float32)
            for name, size in zip(_FIELDS, sizes, strict=True)
        }
        self._rows["numbers"] = np.zeros((capacity, 2), np.float32)  # reward, terminated
        self._policies = np.zeros(capacity, np.int64)

    def __len__(self) -> int:
        return min(self.total, self.capacity)

    def add(self, steps: Transitions, policy: int) -> None:
        """Add an episode of the policy with that number in the table."""
        count = len(steps.rewards)
        at = (self.total + np.arange(count)) % self.capacity
        ended = np.zeros(count)
        ended[-1] = steps.terminated
        rows = {
            "observations": steps.observations[:-1],
            "following": steps.observations[1:],
            "outputs": steps.outputs[:-1],
            "following_outputs": steps.outputs[1:],
            "numbers": np.stack([steps.rewards, ended], 1),
        }
        for name, values in rows.items():
            self._rows[name][at] = values
        self._policies[at] = policy
        self.total += count

    def sample(self, rng: np.random.Generator, size: int) -> StepBatch:
        """Return ``size`` steps, drawn with replacement."""
        rows = rng.integers(len(self), size=size)
        parts = {name: torch.from_numpy(self._rows[name][rows]) for name in _FIELDS}
        numbers = torch.from_numpy(self._rows["numbers"][rows])
        return StepBatch(
            **parts,
            rewards=numbers[:, 0],
            terminated=numbers[:, 1],
            policies=self._policies[rows],
        )

    def state(self) -> dict[str, Any]:
        """Return what :meth:`load` takes."""
        rows = {name: values[: len(self)] for name, values in self._rows.items()}
        return {"total": self.total, "policies": self._policies[: len(self)], **rows}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take a saved state."""
        self.total = int(state["total"])
        for name, values in self._rows.items():
            values[: len(self)] = state[name]
        self._policies[: len(self)] = state["policies"]
