"""Compile what would otherwise be compiled at the first use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from planners.mazes.datasets import MazeRule, generate
from planners.mazes.distances import distances, farthest_cell, optimal_actions
from planners.networks.base import observation
from planners.networks.registry import build
from planners.operator.simd import LANES
from planners.operator.two_threads.pair_calls import LEAST_BLOCKS
from planners.operator.value_iteration import action_values, value_iteration
from planners.planning import exact_search as search
from planners.training.losses import Labels, backward


@dataclass
class WarmConfig:
    """Compile the planners' loops, so that their first use does not wait for it."""


def warm() -> None:
    """Generate and solve one little maze, and train on it; the machine code stays on disk."""
    one = generate(MazeRule(9), 1, seed=0)
    lengths = distances(one.mazes, one.goals)
    bits = optimal_actions(lengths)
    start = farthest_cell(lengths[0])
    search.a_star(one.mazes[0], start, (int(one.goals[0, 0]), int(one.goals[0, 1])))
    optimal = bits[:, None] >> np.arange(4, dtype=np.uint8).reshape(-1, 1, 1) & 1
    labels = Labels(torch.from_numpy(lengths), torch.from_numpy(optimal.astype(np.float32)))
    network, maze = build("dt_vin"), observation(one.mazes, one.goals)
    backward(network, *maze, labels, 2, (1, 2))
    transition, reward = network.encode(*maze)
    build("sparse_dt_vin").eval().solve(*maze, 4)
    _warm_halves()
    action_values(transition, reward, torch.zeros(1, 1, 9, 9)).sum().backward()  # type: ignore[no-untyped-call]


def _warm_halves() -> None:
    """Compile what two threads run on one maze that is large and deep, where there are two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    kernels = torch.full((1, 4, 9, 64, 64), 1 / 9, requires_grad=True)
    depth = LEAST_BLOCKS // (64 * 64 // LANES)
    value_iteration(kernels, torch.zeros(1, 64, 64), depth).sum().backward()  # type: ignore[no-untyped-call]
    torch.set_num_threads(threads)
