"""Policies cloned from K answers of a teacher, in learned, random and k-means states.

The claim of arXiv 2207.01566: three states that a critic has learned are enough to clone a
near-optimal policy of Swimmer, five for Hopper. Beside them stand as many states drawn from those
that the teacher visits, and states nearest to their k-means centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from asterias.arrays import FloatArray
from learning.policy_search.algorithms.critics import ProbingCritic
from learning.policy_search.algorithms.pssvf import PSSVF
from learning.policy_search.common.architecture import PolicyArchitecture
from learning.policy_search.fingerprints.cloning import STATES, centres

# Form of a clone, that of a deep policy; and rates of Adam.
_HIDDEN = (64, 64)
_CLONE_RATE, _CRITIC_RATE = 3e-3, 3e-3
_CRITIC_HIDDEN, _BATCH = (64, 64), 32
# Episodes of the teacher that random states and centres are taken from.
_OTHERS = 2


@dataclass(frozen=True)
class CloneOptions:
    """How teachers are cloned.

    Attributes:
        states: numbers K of states.
        clones: fresh networks that are fitted, each begun anew.
        episodes: of teacher and clone.
        updates: steps of Adam, of a critic and of the clones.
    """

    states: tuple[int, ...] = (3, 5, 10)
    clones: int = 3
    episodes: int = 1
    updates: int = 800


def clone(learner: PSSVF, about: CloneOptions) -> dict[str, Any]:
    """Clone the policy of a learner from each kind and number of states.

    Args:
        learner: with the policies that it tried; the learned one is the teacher.
        about: how.

    Returns:
        The teacher's return, and for each kind and number the returns of its clones.
    """
    visited = _visited(learner, about.episodes)
    rows = []
    for count in about.states:
        for kind in STATES:
            rng = np.random.default_rng((learner.seed, count))
            draw = centres if kind == "k-means" else _drawn
            states = draw(visited, count, rng)
            if kind == "learned":
                own = _own_states(learner, count)
                states = learned_states(learner, states, rng, about.updates) if own is None else own
            fitted = _fitted(learner, states, about, rng)
            rows.append(
                {
                    "states": count,
                    "kind": kind,
                    "returns": [_worth(learner, theta, about.episodes) for theta in fitted],
                }
            )
    return {"teacher": _worth(learner, None, about.episodes), "rows": rows}


def _own_states(learner: PSSVF, count: int) -> FloatArray | None:
    """Return the states that a learner's own critic learned, if it has so many."""
    if not isinstance(learner.critic, ProbingCritic) or len(learner.critic.codes) != count:
        return None
    states: FloatArray = learner.critic.probes.detach().double().numpy()
    return states


def learned_states(
    learner: PSSVF, start: FloatArray, rng: np.random.Generator, updates: int
) -> FloatArray:
    """Learn probing states on the policies that were tried, and on their returns.

    Args:
        learner: with these.
        start: ``(K, o)`` states to begin with, normalised.
        rng: of draws; PyTorch's are seeded from it.
        updates: steps of Adam.

    Returns:
        ``(K, o)``.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        critic = ProbingCritic(learner.architecture, _CRITIC_HIDDEN, len(start))
    critic.codes.data = torch.tensor(start, dtype=torch.float32)
    thetas, returns = learner.tried()
    told = (returns - returns.mean()) / (returns.std() + 1e-6)
    optimiser = torch.optim.Adam(critic.parameters(), _CRITIC_RATE)
    for _ in range(updates):
        rows = torch.from_numpy(rng.integers(len(told), size=_BATCH))
        loss: Any = ((critic(thetas[rows]) - told[rows]) ** 2).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    states: FloatArray = critic.probes.detach().double().numpy()
    return states


def fit_clones(
    form: PolicyArchitecture, states: FloatArray, answers: FloatArray, start: FloatArray, steps: int
) -> FloatArray:
    """Fit networks to K answers by their squared error.

    Args:
        form: of the networks.
        states: ``(K, o)``, normalised.
        answers: ``(K, m)``, actions from -1 to 1.
        start: ``(C, n)`` their first numbers.
        steps: of Adam.

    Returns:
        Their numbers ``(C, n)``.
    """
    seen, wanted = (torch.tensor(part, dtype=torch.float32) for part in (states, answers))
    thetas = nn.Parameter(torch.tensor(start, dtype=torch.float32))
    optimiser = torch.optim.Adam([thetas], _CLONE_RATE)
    for _ in range(steps):
        # A sum over clones: each has the gradient that it has alone.
        loss: Any = ((form.actions_of(thetas, seen) - wanted) ** 2).mean((1, 2)).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    fitted: FloatArray = thetas.detach().double().numpy()
    return fitted


def _fitted(
    learner: PSSVF, states: FloatArray, about: CloneOptions, rng: np.random.Generator
) -> list[tuple[PolicyArchitecture, FloatArray]]:
    """Return clones: their form, and the numbers of each."""
    own = learner.architecture
    form = PolicyArchitecture(**{**vars(own), "hidden": _HIDDEN})
    with torch.no_grad():
        teacher = torch.tensor(learner.theta, dtype=torch.float32)[None]
        seen = torch.tensor(states, dtype=torch.float32)
        answers = own.actions_of(teacher, seen)[0].double().numpy()
    start = np.array([form.initial(rng) for _ in range(about.clones)])
    fitted = fit_clones(form, states, answers, start, about.updates)
    return [(form, theta) for theta in fitted]


def _worth(
    learner: PSSVF, policy: tuple[PolicyArchitecture, FloatArray] | None, episodes: int
) -> float:
    """Return the mean return of a clone, or of the teacher."""
    form, theta = policy or (learner.architecture, learner.theta)
    results = learner.evaluate(episodes, theta, form)
    return round(float(np.mean([result.raw_return for result in results])), 1)


def _visited(learner: PSSVF, episodes: int) -> FloatArray:
    """Return states ``(S, o)`` of episodes of the teacher that test no clone, normalised."""
    ran = learner.evaluate(episodes + _OTHERS, keep=True)[episodes:]
    rows = [one.transitions.observations for one in ran if one.transitions is not None]
    return learner.normalised(np.concatenate(rows))


def _drawn(points: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    some: FloatArray = points[rng.choice(len(points), count, replace=False)]
    return some
