"""Batches that are kept and weighed again: what A-POIS looks at beyond its last batch.

Batches of several policies are weighed as draws of their mixture, the balance heuristic (Veach and
Guibas 1995), so that no weight at the acting policy exceeds the number of batches. What is weighed
is an episode, by the product of its actions' ratios, or each step by its own action's ratio, as in
per-decision importance sampling (Precup, Sutton and Singh 2000) cut to one factor, for its
advantage: generalised advantage estimation (arXiv 1506.02438) over values by least-squares temporal
differences (Bradtke and Barto 1996).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from asterias.arrays import FloatArray
from learning.policy_search.common.architecture import PolicyArchitecture
from learning.policy_search.common.rollouts import Transitions, discounted

# Added to the diagonal of the least-squares problem of the values.
_RIDGE = 1.0


@dataclass(frozen=True)
class Batch:
    """Episodes of one policy.

    Attributes:
        theta: ``(n,)`` the policy, on raw observations.
        log_std: of its draws.
        steps: of each episode.
    """

    theta: FloatArray
    log_std: float
    steps: Sequence[Transitions]

    def state(self) -> dict[str, Any]:
        """Return it for a checkpoint."""
        return {
            "theta": self.theta,
            "log_std": self.log_std,
            "lengths": np.array([len(episode.rewards) for episode in self.steps]),
            "terminated": np.array([episode.terminated for episode in self.steps], np.int64),
            "observations": np.concatenate([episode.observations for episode in self.steps]),
            "outputs": np.concatenate([episode.outputs for episode in self.steps]),
            "rewards": np.concatenate([episode.rewards for episode in self.steps]),
        }

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Batch:
        """Return the batch of a checkpoint."""
        held = {name: np.asarray(value) for name, value in state.items() if name != "log_std"}
        lengths = held["lengths"]
        # An episode has an observation and an output more than rewards.
        longer, ends = np.cumsum(lengths + 1)[:-1], np.cumsum(lengths)[:-1]
        parts = zip(
            np.split(held["observations"], longer),
            np.split(held["outputs"], longer),
            np.split(held["rewards"], ends),
            held["terminated"],
            strict=True,
        )
        steps = [Transitions(seen, out, r, bool(end)) for seen, out, r, end in parts]
        return cls(held["theta"].astype(np.float64), float(state["log_std"]), steps)


@dataclass(frozen=True)
class Samples:
    """What is weighed: N episodes, or N steps.

    Attributes:
        seen: ``(S, o)`` raw observations of all steps.
        drawn: ``(S, m)`` outputs of all steps, before the tanh.
        of: ``(S,)`` number of the sample that a step belongs to.
        values: ``(N,)`` returns of episodes, or advantages of steps.
        mixture: ``(N,)`` logarithm of a sample's density under all batches' policies together, over
            that under the last batch's; 0 for one batch.
    """

    seen: FloatArray
    drawn: FloatArray
    of: torch.Tensor
    values: FloatArray
    mixture: FloatArray


def samples_of(
    form: PolicyArchitecture, batches: Sequence[Batch], gamma: float, trace: float, by_step: bool
) -> Samples:
    """Return what is weighed of batches, the last one the acting policy's.

    Args:
        form: of the policies.
        batches: one or more.
        gamma: discount.
        trace: lambda of advantages.
        by_step: weigh steps, not episodes.
    """
    steps = [episode for batch in batches for episode in batch.steps]
    seen = np.concatenate([episode.observations[:-1] for episode in steps])
    drawn = np.concatenate([episode.outputs[:-1] for episode in steps])
    lengths = [len(episode.rewards) for episode in steps]
    if by_step:
        of, values = torch.arange(len(seen)), advantages(steps, gamma, trace)
    else:
        of = torch.repeat_interleave(torch.tensor(lengths))
        values = np.array([discounted(episode.rewards, gamma) for episode in steps])
    counts = [sum(len(e.rewards) if by_step else 1 for e in batch.steps) for batch in batches]
    made = Samples(seen, drawn, of, values, np.zeros(len(values)))
    if len(batches) == 1:
        return made
    return replace(made, mixture=_mixture(form, batches, counts, made))


def _mixture(
    form: PolicyArchitecture, batches: Sequence[Batch], counts: Sequence[int], samples: Samples
) -> FloatArray:
    thetas = torch.from_numpy(np.stack([batch.theta for batch in batches]))
    log_stds = torch.tensor([batch.log_std for batch in batches], dtype=torch.float64)
    means = form.outputs_of(thetas, torch.from_numpy(samples.seen))
    squares = ((torch.from_numpy(samples.drawn) - means) ** 2).sum(-1)
    by_step = -squares / (2 * torch.exp(2 * log_stds[:, None])) - form.outputs * log_stds[:, None]
    empty = torch.zeros(len(batches), len(samples.values), dtype=torch.float64)
    logs = empty.index_add(1, samples.of, by_step)
    shares = torch.log(torch.tensor(counts, dtype=torch.float64) / sum(counts))
    mixture: FloatArray = (torch.logsumexp(shares[:, None] + logs, 0) - logs[-1]).numpy()
    return mixture


def advantages(steps: Sequence[Transitions], gamma: float, trace: float) -> FloatArray:
    """Return the advantages ``(S,)`` of all steps, of mean 0 and deviation 1.

    What a time limit cuts off is taken to be worth what the values say.

    Args:
        steps: of each episode.
        gamma: discount.
        trace: lambda: 0 looks one step ahead, 1 to the end.
    """
    values = _values(steps, gamma, trace)
    found = []
    for episode, worth in zip(steps, values, strict=True):
        errors = episode.rewards + gamma * worth[1:] - worth[:-1]
        ahead, made = 0.0, np.empty(len(errors))
        for at in range(len(errors) - 1, -1, -1):
            ahead = errors[at] + gamma * trace * ahead
            made[at] = ahead
        found.append(made)
    every = np.concatenate(found)
    scaled: FloatArray = (every - every.mean()) / max(float(every.std()), 1e-8)
    return scaled


def _values(steps: Sequence[Transitions], gamma: float, trace: float) -> list[FloatArray]:
    """Return the worth ``(T + 1,)`` of each episode's states, 0 where the task has ended."""
    seen = np.concatenate([episode.observations for episode in steps])
    mean, std = seen.mean(0), np.maximum(seen.std(0), 1e-8)
    features = []
    for episode in steps:
        made = _features((episode.observations - mean) / std)
        if episode.terminated:
            made[-1] = 0
        features.append(made)
    size = features[0].shape[1]
    left, right = _RIDGE * np.eye(size), np.zeros(size)
    for episode, made in zip(steps, features, strict=True):
        traced = np.zeros(size)
        eligible = np.empty((len(episode.rewards), size))
        for at in range(len(eligible)):
            traced = gamma * trace * traced + made[at]
            eligible[at] = traced
        left += eligible.T @ (made[:-1] - gamma * made[1:])
        right += eligible.T @ episode.rewards
    weights = np.linalg.solve(left, right)
    return [made @ weights for made in features]


def _features(seen: FloatArray) -> FloatArray:
    """Return 1, the numbers, and their products, two at a time: ``(T, f)``."""
    first, second = np.triu_indices(seen.shape[1])
    return np.hstack([np.ones((len(seen), 1)), seen, seen[:, first] * seen[:, second]])
