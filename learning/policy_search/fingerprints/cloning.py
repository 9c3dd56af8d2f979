"""Cloning from K answers: which K states tell most of a policy (arXiv 2207.01566).

The paper's claim is that a few learned states are enough. Beside them stand as many states drawn
from those that policies visit, and centres of these by k-means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from asterias.arrays import FloatArray
from learning.policy_search.common.pose_map import PoseMap
from learning.policy_search.fingerprints.evaluator import Population, train_evaluator
from learning.policy_search.fingerprints.policy_group import PolicyGroup, PolicyLayers

STATES = ("learned", "random", "k-means")
_HIDDEN = 64
_ROUNDS = 25


def centres(points: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Return ``(count, o)`` points, each the one nearest to a centre of k-means (Lloyd, 1982).

    Args:
        points: ``(S, o)``.
        count: of centres.
        rng: of the first centres.
    """
    middle = points[rng.choice(len(points), count, replace=False)].copy()
    for _ in range(_ROUNDS):
        near = ((points[:, None] - middle[None]) ** 2).sum(2).argmin(1)
        for one in range(count):
            if (near == one).any():
                middle[one] = points[near == one].mean(0)
    nearest = ((points[:, None] - middle[None]) ** 2).sum(2).argmin(0)
    chosen: FloatArray = points[nearest]  # flags of a centre itself are those of no episode
    return chosen


def clones_of(
    states: FloatArray,
    answers: FloatArray,
    increments: Sequence[float],
    seed: int,
    updates: int = 600,
) -> list[PolicyLayers]:
    """Fit fresh networks of one hidden layer to K answers each, by their squared error.

    Args:
        states: ``(K, o)``.
        answers: ``(P, K, n)`` of P policies, from -1 to 1.
        increments: ``(P,)`` largest increments of the policies.
        seed: of the networks; each begins alike.
        updates: steps of Adam.

    Returns:
        The clones.
    """
    policies, _, joints = answers.shape
    layers: list[torch.Tensor] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for one in (nn.Linear(states.shape[1], _HIDDEN), nn.Linear(_HIDDEN, joints)):
            for part in (one.weight, one.bias):
                held = part.detach().expand(policies, *part.shape).clone()
                layers.append(held.requires_grad_())
    x, y = (torch.tensor(part, dtype=torch.float32) for part in (states, answers))
    optimiser: Any = torch.optim.Adam(layers, 1e-2)
    first, first_bias, last, last_bias = layers
    for _ in range(updates):
        hidden = torch.tanh(x @ first.transpose(1, 2) + first_bias[:, None])
        out = torch.tanh(hidden @ last.transpose(1, 2) + last_bias[:, None])
        # A sum over policies: each has the gradient that it has alone.
        loss: Any = ((out - y) ** 2).mean((1, 2)).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    parts = [layer.detach().double().numpy() for layer in layers]
    return [
        PolicyLayers(
            ((parts[0][i], parts[1][i]), (parts[2][i], parts[3][i])), "tanh", True, increments[i]
        )
        for i in range(policies)
    ]


def compare_states(
    teachers: PolicyGroup,
    population: Population,
    copy: PoseMap,
    counts: tuple[int, ...],
    seeds: int,
    updates: int,
) -> list[dict[str, Any]]:
    """Clone teachers from learned, random and k-means states, and predict by them.

    Args:
        teachers: policies that are cloned.
        population: that states and evaluation functions are learned on.
        copy: of the task, in which clones are tested.
        counts: numbers K of states.
        seeds: repetitions of everything.
        updates: steps of Adam of an evaluation function.

    Returns:
        A row for each number and kind of states: steps of the clones and of their teachers, and
        rank correlation of predictions for policies that were held out.
    """
    rows = []
    plain, _ = copy.run(teachers.act, len(teachers), 300, np.random.default_rng(1))
    for count in counts:
        for kind in STATES:
            steps, predicted = [], []
            for seed in range(seeds):
                rng = np.random.default_rng((seed, count))
                draw = centres if kind == "k-means" else _drawn
                start = draw(population.visited, count, rng)
                evaluator, held = train_evaluator(
                    population, start, copy, rng, updates, learned=kind == "learned"
                )
                states = evaluator.states.detach()
                clones = _clones(teachers, states, seed)
                found, _ = copy.run(clones.act, len(clones), 300, np.random.default_rng(1))
                steps.append(found.mean(1))
                predicted.append(held["rank_correlation"])
            rows.append(
                {
                    "states": count,
                    "kind": kind,
                    "seeds": seeds,
                    "teacher_steps": round(float(plain.mean()), 3),
                    "clone_steps": round(float(np.mean(steps)), 3),
                    "clone_std": round(float(np.mean(steps, axis=1).std()), 3),
                    "rank_correlation": round(float(np.mean(predicted)), 3),
                    "rank_correlation_std": round(float(np.std(predicted)), 3),
                }
            )
    return rows


def _drawn(points: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    some: FloatArray = points[rng.choice(len(points), count, replace=False)]
    return some


def _clones(teachers: PolicyGroup, states: torch.Tensor, seed: int) -> PolicyGroup:
    with torch.no_grad():
        answers = teachers.answers(states).double().numpy()
    increments = [policy.increment for policy in teachers.policies]
    return PolicyGroup(clones_of(states.double().numpy(), answers, increments, seed))
