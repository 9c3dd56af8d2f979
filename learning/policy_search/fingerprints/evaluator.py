"""The evaluation function of the limb: steps to the target from what a policy does in K states.

``steps(theta) = U([pi_theta(s_1), ..., pi_theta(s_K)])``, with states and U learned together on
policies whose steps are known (arXiv 2207.01566). States are commands the limb can take and cameras
that can be dead, so that each can be shown: commands are learned, flags stay as they were seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from asterias.arrays import FloatArray
from learning.policy_search.algorithms.critics import perceptron
from learning.policy_search.common.pose_map import PoseMap
from learning.policy_search.common.ranks import rank_correlation
from learning.policy_search.fingerprints.policy_group import PolicyGroup, PolicyLayers

# Noise of the policies that are learned from, in parts of a layer's own spread: from near copies
# to policies that have hardly anything left of the saved one.
_SCALES = (0.1, 0.3, 0.6, 1.0, 2.0)
_BATCH = 32
# Every fifth policy is held out.
_HELD_OUT = 5


class LimbEvaluator(nn.Module):
    """Predicts steps to the target from answers in learned states.

    Args:
        reach: ``(n,)`` largest commands.
        start: ``(K, n + c)`` states to begin with: commands, then camera flags.
        cap: steps of an episode.
        learned: commands are learned; else states stay as they are, and U alone is.
    """

    def __init__(
        self, reach: FloatArray, start: FloatArray, cap: int, learned: bool = True
    ) -> None:
        super().__init__()
        self.cap = cap
        self.reach: torch.Tensor
        self.flags: torch.Tensor
        self.register_buffer("reach", torch.tensor(reach, dtype=torch.float32))
        flags = torch.tensor(start[:, reach.size :], dtype=torch.float32)
        self.register_buffer("flags", flags)
        inside = torch.tensor(start[:, : reach.size] / reach, dtype=torch.float32)
        self.free = nn.Parameter(torch.atanh(inside.clamp(-0.99, 0.99)), requires_grad=learned)
        self.network = perceptron(len(start) * reach.size, (64, 64))

    @property
    def states(self) -> torch.Tensor:
        """``(K, n + c)`` states: commands, then camera flags."""
        return torch.cat([self.reach * torch.tanh(self.free), self.flags], 1)

    def forward(self, answers: torch.Tensor) -> torch.Tensor:
        """Return steps ``(B,)``, from 1 to the cap, for answers ``(B, K, n)``."""
        out: torch.Tensor = self.network(answers.flatten(1)).squeeze(-1)
        return 1 + (self.cap - 1) * torch.sigmoid(out)


@dataclass(frozen=True)
class Population:
    """Policies with the mean steps that they need in the copy of the task.

    Attributes:
        group: the policies.
        steps: ``(P,)``.
        visited: ``(S, o)`` some observations of their episodes.
    """

    group: PolicyGroup
    steps: FloatArray
    visited: FloatArray


def make_population(
    saved: Sequence[PolicyLayers],
    count: int,
    episodes: int,
    copy: PoseMap,
    rng: np.random.Generator,
) -> Population:
    """Return noisy relatives of saved policies, and how well they find the target.

    Args:
        saved: policies.
        count: number of relatives.
        episodes: of each, in the copy of the task.
        copy: of the task.
        rng: of noise and episodes.
    """
    made = [
        saved[i % len(saved)].perturbed(rng, _SCALES[i // len(saved) % len(_SCALES)])
        for i in range(count)
    ]
    group = PolicyGroup(made)
    steps, visited = copy.run(group.act, count, episodes, rng)
    some = visited[rng.choice(len(visited), min(len(visited), 4000), replace=False)]
    return Population(group, steps.mean(1), some)


def train_evaluator(
    population: Population,
    start: FloatArray,
    copy: PoseMap,
    rng: np.random.Generator,
    updates: int,
    *,
    learned: bool = True,
    on_update: Callable[[], None] = lambda: None,
) -> tuple[LimbEvaluator, dict[str, Any]]:
    """Learn states and U on a population.

    Args:
        population: of policies.
        start: ``(K, n + c)`` states to begin with.
        copy: of the task, for its limits.
        rng: of draws; PyTorch's are seeded from it.
        updates: steps of Adam.
        learned: states are learned, too.
        on_update: called after each.

    Returns:
        The evaluator, and how well it predicts the policies that were held out.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        evaluator = LimbEvaluator(copy.reach, start, copy.options.cap, learned)
    held = np.arange(len(population.group)) % _HELD_OUT == 0
    taught = np.flatnonzero(~held)
    steps = torch.tensor(population.steps, dtype=torch.float32)
    optimiser = torch.optim.Adam([p for p in evaluator.parameters() if p.requires_grad], 3e-3)
    for _ in range(updates):
        chosen = rng.choice(taught, _BATCH)
        predicted = evaluator(population.group.answers(evaluator.states, chosen))
        loss = ((predicted - steps[chosen]) ** 2).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        on_update()
    return evaluator, _held_out(evaluator, population, np.flatnonzero(held))


def predict(evaluator: LimbEvaluator, group: PolicyGroup) -> tuple[FloatArray, FloatArray]:
    """Return answers ``(P, K, n)`` and predicted steps ``(P,)`` of policies."""
    with torch.no_grad():
        answers = group.answers(evaluator.states)
        return answers.double().numpy(), evaluator(answers).double().numpy()


def importance(
    evaluator: LimbEvaluator, group: PolicyGroup, rng: np.random.Generator
) -> FloatArray:
    """Return how much each state matters ``(K,)``: the change in predicted steps without it.

    A state's answers are exchanged among the policies, ten times; the value is the root mean
    square of what that changes, in steps.

    Args:
        evaluator: whose states are asked for.
        group: policies.
        rng: of the exchanges.
    """
    answers, plain = predict(evaluator, group)
    changed = np.zeros(answers.shape[1])
    for state in range(answers.shape[1]):
        squares = []
        for _ in range(10):
            other = answers.copy()
            other[:, state] = other[rng.permutation(len(other)), state]
            with torch.no_grad():
                steps = evaluator(torch.tensor(other, dtype=torch.float32)).double().numpy()
            squares.append(((steps - plain) ** 2).mean())
        changed[state] = np.sqrt(np.mean(squares))
    return changed


def _held_out(evaluator: LimbEvaluator, population: Population, held: Any) -> dict[str, Any]:
    with torch.no_grad():
        answers = population.group.answers(evaluator.states, held)
        predicted = evaluator(answers).double().numpy()
    actual = population.steps[held]
    return {
        "policies": len(held),
        "rank_correlation": round(rank_correlation(predicted, actual), 3),
        "mean_error_steps": round(float(np.abs(predicted - actual).mean()), 3),
        "error_of_the_mean_steps": round(float(np.abs(actual - population.steps.mean()).mean()), 3),
    }
