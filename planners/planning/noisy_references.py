"""What a noisy maze lets one know, without anything learned: references for networks.

Two posteriors of a cell's being free under Gaussian noise of known variance. One looks at each cell
alone. The other knows the benchmark's generator: cells with odd row and column are free, the rim is
wall, the passages between them hold a spanning tree, and each wall that is left was removed with
one probability, found on the way. Its trees are all equally likely, where depth-first carving
prefers long corridors, so that a network which has seen many mazes may know more.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from planners.networks.base import observation
from planners.networks.map_cleaner import MOST_LOG_ODDS
from planners.networks.registry import build

Map = NDArray[np.float64]

_ROUNDS = 6  # of expectation and maximisation, for the share of walls removed
_LEAST = 1e-12  # weight of a passage, which keeps the Laplacian regular


def cell_chances(seen: NDArray[np.float32], variance: float) -> Map:
    """Return how likely each cell is to be free by its own value ``(H, W)``, walls as likely."""
    return 1 / (1 + np.exp(-_log_odds(seen, variance)))


def lattice_chances(seen: NDArray[np.float32], variance: float) -> Map:
    """Return how likely each cell is to be free, given the rule of the benchmark's mazes.

    With o the likelihood ratio of a passage and d the share of walls removed, a spanning tree has a
    posterior proportional to the product of o / (1 - d + d o) over its passages. The chance that
    a passage is part of the tree is that weight times its effective resistance in the graph of all
    passages (the matrix-tree theorem), from one inverse of the graph's Laplacian.

    Args:
        seen: of a maze with odd size ``(M, M)``.
        variance: of the noise.

    Returns:
        The chances ``(M, M)``.
    """
    odd = np.arange(len(seen)) % 2 == 1
    rooms, inner = odd[:, None] & odd, np.zeros(seen.shape, bool)
    inner[1:-1, 1:-1] = True
    pillars, passages = inner & ~odd[:, None] & ~odd, inner & (odd[:, None] ^ odd)
    ratio = np.exp(_log_odds(seen, variance))
    rows, columns = np.nonzero(passages)
    across = rows % 2 == 0  # a passage between rooms above and below
    side = len(seen) // 2
    ends = [
        (rows + sign * across) // 2 * side + (columns + sign * ~across) // 2 for sign in (-1, 1)
    ]
    removed, tree = 0.05, np.zeros(len(rows))
    for _ in range(_ROUNDS):
        tree = _in_tree(_share(ratio[rows, columns], removed) / removed, ends[0], ends[1], side**2)
        holes = _share(ratio[pillars], removed).sum()
        holes += ((1 - tree) * _share(ratio[rows, columns], removed)).sum()
        removed = float(np.clip(holes / (pillars.sum() + (1 - tree).sum()), 1e-3, 0.999))
    chances: Map = rooms.astype(np.float64)
    chances[pillars] = _share(ratio[pillars], removed)
    chances[rows, columns] = tree + (1 - tree) * _share(ratio[rows, columns], removed)
    return chances


def _log_odds(seen: NDArray[np.float32], variance: float) -> Map:
    odds: Map = np.clip((seen.astype(np.float64) - 0.5) / variance, -40, 40)
    return odds


def _share(ratio: Map, removed: float) -> Map:
    """Return how likely a wall is to have been removed, by its likelihood ratio."""
    share: Map = removed * ratio / (1 - removed + removed * ratio)
    return share


def _in_tree(weights: Map, first: NDArray[np.int64], second: NDArray[np.int64], rooms: int) -> Map:
    """Return how likely each passage is to be part of a weighted uniform spanning tree."""
    weights = np.maximum(weights, _LEAST)
    laplacian = np.zeros((rooms, rooms))
    np.add.at(laplacian, (first, second), -weights)
    np.add.at(laplacian, (second, first), -weights)
    np.fill_diagonal(laplacian, -laplacian.sum(axis=1))
    green = np.linalg.inv(laplacian + 1 / rooms)
    resistance = green[first, first] + green[second, second] - 2 * green[first, second]
    return np.asarray(np.clip(weights * resistance, 0, 1))


@torch.no_grad()
def most_probable_ways(chances: Map, goal: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return the first move ``(H, W)`` of the way from each cell that is most probably free."""
    network = build("doubt_dt_vin", {"channels": 0}).eval()
    odds = np.log(np.maximum(chances, 1e-12)) - np.log(np.maximum(1 - chances, 1e-12))
    seen = torch.from_numpy((odds / MOST_LOG_ODDS + 1) / 2).float()[None]
    goals = observation(np.zeros((1, *chances.shape), np.uint8), goal[None])[1]
    logits = network.limit_logits(seen, goals)
    return logits[0, 0].argmax(dim=0).to(torch.int8).numpy()
