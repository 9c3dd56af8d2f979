"""Command-conditioned learners: supervised, told what to achieve, without a value function.

All of them learn from rows ``(told, action, got)``: the goal that an episode was told, the action
it took, and the goal it got to. A package adds its own by the entry point group
``asterias.command_conditioned``: a callable that takes a seed and returns a
:class:`CommandedLearner`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from asterias.arrays import FloatArray
from asterias.registry import Registry

GOALS, ACTIONS = 2, 2
# Enough for the networks below to fit the shares of four cells to a per cent.
_UPDATES, _BATCH, _LEARNING_RATE = 300, 500, 1e-2
_WIDTH = 16


@dataclass(frozen=True)
class Episodes:
    """Episodes of one decision.

    Attributes:
        told: ``(N,)`` goals, 0 or 1.
        actions: ``(N,)``, 0 or 1.
        got: ``(N,)`` goals that were reached.
    """

    told: npt.NDArray[np.int64]
    actions: npt.NDArray[np.int64]
    got: npt.NDArray[np.int64]


class CommandedLearner(Protocol):
    """What the acceptance test asks of a learner."""

    def fit(self, episodes: Episodes) -> None:
        """Learn from episodes, and forget what was learned before."""

    def probabilities(self, goal: int) -> FloatArray:
        """Return ``(2,)`` probabilities of the actions, told to reach a goal."""


class TabularUpsideDown:
    """Counts which action was taken where a goal was reached."""

    def __init__(self, seed: int = 0) -> None:
        self._counts = np.ones((GOALS, ACTIONS))

    def fit(self, episodes: Episodes) -> None:
        """Count; what had been commanded does not matter."""
        self._counts = np.zeros((GOALS, ACTIONS))
        np.add.at(self._counts, (episodes.got, episodes.actions), 1)

    def probabilities(self, goal: int) -> FloatArray:
        """Return the shares of the actions where ``goal`` was reached; equal where it never was."""
        row = self._counts[goal]
        return row / row.sum() if row.any() else np.full(ACTIONS, 1 / ACTIONS)


class GoalConditionedCloning:
    """A network that imitates the actions of episodes, told the goal they got to (GCSL)."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._net = self._fresh()

    def _fresh(self) -> nn.Module:
        torch.manual_seed(self._seed)
        return nn.Sequential(nn.Linear(GOALS, _WIDTH), nn.Tanh(), nn.Linear(_WIDTH, ACTIONS))

    def fit(self, episodes: Episodes) -> None:
        """Maximise the likelihood of the actions, given the goals that were reached."""
        self._net = self._fresh()
        told = torch.eye(GOALS)[torch.as_tensor(episodes.got)]
        _maximise_likelihood(self._net, (told,), torch.as_tensor(episodes.actions), self._seed)

    def probabilities(self, goal: int) -> FloatArray:
        """Return what the network gives the actions."""
        with torch.no_grad():
            return _softmax(self._net(torch.eye(GOALS)[[goal]])[0])


class _DecisionTransformerNet(nn.Module):
    """Tokens of return to go and state through causal attention; the action is read at the state.

    Episodes have one decision, so that a sequence has the two tokens before its action.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embed_return = nn.Linear(1, _WIDTH)
        self.embed_state = nn.Linear(GOALS, _WIDTH)
        self.place = nn.Parameter(0.02 * torch.randn(2, _WIDTH))
        self.block = nn.TransformerEncoderLayer(
            _WIDTH, 2, 2 * _WIDTH, dropout=0.0, batch_first=True, norm_first=True
        )
        self.read = nn.Linear(_WIDTH, ACTIONS)

    def forward(self, returns: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """Return ``(B, 2)`` logits for returns to go ``(B, 1)`` and states ``(B, 2)``."""
        tokens = torch.stack([self.embed_return(returns), self.embed_state(states)], 1) + self.place
        causal = torch.triu(torch.ones(2, 2, dtype=torch.bool), diagonal=1)
        logits: torch.Tensor = self.read(self.block(tokens, src_mask=causal)[:, -1])
        return logits


class DecisionTransformer:
    """A small decision transformer: return 1 is what it is told, the goal is what it sees."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._net = self._fresh()

    def _fresh(self) -> _DecisionTransformerNet:
        torch.manual_seed(self._seed)
        return _DecisionTransformerNet()

    def fit(self, episodes: Episodes) -> None:
        """Maximise the likelihood of the actions, given goal and return of their episodes."""
        self._net = self._fresh()
        returns = torch.as_tensor(episodes.told == episodes.got, dtype=torch.float32)[:, None]
        goals = torch.eye(GOALS)[torch.as_tensor(episodes.told)]
        _maximise_likelihood(
            self._net, (returns, goals), torch.as_tensor(episodes.actions), self._seed
        )

    def probabilities(self, goal: int) -> FloatArray:
        """Return what the network gives the actions for return 1."""
        with torch.no_grad():
            return _softmax(self._net(torch.ones(1, 1), torch.eye(GOALS)[[goal]])[0])


def _maximise_likelihood(
    net: nn.Module, inputs: tuple[torch.Tensor, ...], actions: torch.Tensor, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(net.parameters(), _LEARNING_RATE)
    for update in range(_UPDATES):
        # A falling rate, so that the noise of the last batches does not stay in the weights.
        for group in optimiser.param_groups:
            group["lr"] = _LEARNING_RATE * (1 - update / _UPDATES)
        rows = torch.randint(len(actions), (_BATCH,), generator=generator)
        loss = nn.functional.cross_entropy(net(*(x[rows] for x in inputs)), actions[rows])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def _softmax(logits: torch.Tensor) -> FloatArray:
    share: FloatArray = torch.softmax(logits.double(), 0).numpy()
    return share


COMMANDED_LEARNERS: Registry[Callable[[int], CommandedLearner]] = Registry(
    "command-conditioned learner", "asterias.command_conditioned"
)
for _name, _learner in (
    ("upside_down", TabularUpsideDown),
    ("goal_cloning", GoalConditionedCloning),
    ("decision_transformer", DecisionTransformer),
):
    COMMANDED_LEARNERS.register(_name, _learner)
