"""DT-VIN with one-hot kernels in closed form: from maze and goal to the best action of every cell.

On a binary map, the kernels of a cell depend on the 3 x 3 cells around it, one of 512 patterns, and
on whether it lies at the rim of the map, where no kernel leads outside. They are looked up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from planners.networks.base import ClosedForm
from planners.operator.one_hot import OneHotMap, solve, tap_offsets

_PATTERNS = 512
# Bits of the columns that stay when the window moves one cell to the right, of the 3 x 3 taps.
_KEPT = 0b011011011


class Parts(NamedTuple):
    """What a one-hot DT-VIN consists of."""

    table: NDArray[np.uint8]
    """Taps of the kernels ``(9, 512, A)``, by place at the rim and pattern."""
    reward: NDArray[np.float64]
    """Of a wall, added for a free cell, added for the goal."""
    policy: NDArray[np.float64]
    """Weight of f^pi ``(actions, A)``."""
    bounded: bool
    """The readout."""
    sure: NDArray[np.int64]
    """``(A,)``: the move that is chosen wherever a latent action leads by ``_LEAD``, or -1."""


# Lead over the second best from which on the move is looked up; in mazes the best action leads by
# the goal's reward less that of a free cell, 2 to 4 in trained weights.
_LEAD = 1.0


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    machine_code: Callable[..., None] = njit(cache=True, nogil=True, error_model="numpy")(function)
    return machine_code


def sure_moves(policy: NDArray[np.float64], *, bounded: bool) -> NDArray[np.int64]:
    """Return the move that each latent action stands for where it leads clearly, or -1.

    A bound over all that the other actions may be: the policy is linear in what it sees of them.
    """
    actions = policy.shape[1]
    sure = np.full(actions, -1, np.int64)
    if not bounded:
        return sure
    most = -_LEAD / (1 + _LEAD)  # what the readout shows of the others is from -1 to this
    for a in range(actions):
        others = np.delete(np.arange(actions), a)
        move = int(policy[:, a].argmax())
        lead = policy[move, others] - policy[:, others]
        least = np.minimum(-lead, most * lead).sum(axis=1)
        if (np.delete(least, move) > 0).all():
            sure[a] = move
    return sure


def kernel_table(logits_of: Callable[[Tensor], Tensor]) -> NDArray[np.uint8]:
    """Return the tap that leads in each kernel of each pattern: ``(9, 512, A)``.

    Args:
        logits_of: maps mazes ``(B, 3, 3)`` to logits ``(B, A, 9, 3, 3)``.
    """
    bits = torch.arange(_PATTERNS)[:, None] >> torch.arange(9) & 1
    logits = logits_of(bits.view(_PATTERNS, 3, 3).float())[..., 1, 1]
    taps = torch.arange(9)
    down, right = taps // 3 - 1, taps % 3 - 1
    places = []
    for row in (-1, 0, 1):  # the first row of the map, one between, the last
        for column in (-1, 0, 1):
            leaves = ((down == row) & (row != 0)) | ((right == column) & (column != 0))
            places.append(logits.masked_fill(leaves, -torch.inf).argmax(dim=2))
    return torch.stack(places).numpy().astype(np.uint8)


def solve_binary(
    parts: Parts, maze: NDArray[np.float32], goal: NDArray[np.float32], depth: int
) -> ClosedForm | None:
    """Return the outcome of ``depth`` layers on one map.

    Args:
        parts: the network.
        maze: 1 = free ``(H, W)``, of 0 and 1 only.
        goal: one-hot ``(H, W)``.
        depth: layers.
    """
    rows, columns = maze.shape[0] + 2, maze.shape[1] + 2
    taps = np.empty((rows * columns, parts.table.shape[2]), np.uint8)
    reward = np.empty(rows * columns)
    ringed = np.zeros((rows, columns), np.uint8)
    ringed[1:-1, 1:-1] = maze
    _look_up(parts.table, ringed, taps)
    _rewards(parts.reward, maze, goal, reward)
    return solve_map(parts, OneHotMap(taps, reward, (rows, columns)), depth)


def solve_map(parts: Parts, one_hot: OneHotMap, depth: int) -> ClosedForm | None:
    """Return the outcome of ``depth`` layers on a map whose successors and rewards are given."""
    value = solve(one_hot, depth)
    if value is None:
        return None
    rows, columns = one_hot.shape
    actions = np.empty((1, rows - 2, columns - 2), np.int8)
    values = np.empty((1, rows - 2, columns - 2), np.float32)
    offsets = tap_offsets(columns)
    rules = (parts.policy, parts.bounded, parts.sure)
    _read_out(one_hot.taps, one_hot.reward, value, offsets, *rules, actions[0], values[0])
    return ClosedForm(actions, values)


@_compiled
def _look_up(table: NDArray[np.uint8], maze: NDArray[np.uint8], taps: NDArray[np.uint8]) -> None:
    """Write the taps of all cells, row by row; beyond the map lie walls."""
    rows, columns = maze.shape
    for i in range(rows):
        above, below = max(i - 1, 0), min(i + 1, rows - 1)
        has_above, has_below = np.uint8(i > 0), np.uint8(i < rows - 1)
        rim = 3 * (2 if i == rows - 1 else min(i, 1))
        window = 0
        for j in range(-1, columns):
            window = window >> 1 & _KEPT
            if j < columns - 1:
                window |= (maze[above, j + 1] & has_above) << 2
                window |= maze[i, j + 1] << 5 | (maze[below, j + 1] & has_below) << 8
            if j < 0:
                continue
            place = rim + (2 if j == columns - 1 else min(j, 1))
            for a in range(taps.shape[1]):
                taps[i * columns + j, a] = table[place, window, a]


@_compiled
def _rewards(
    parts: NDArray[np.float64],
    maze: NDArray[np.float32],
    goal: NDArray[np.float32],
    reward: NDArray[np.float64],
) -> None:
    """Write the reward of all cells, row by row, of the ring too."""
    rows, columns = maze.shape
    reward[:] = parts[0]
    for i in range(rows):
        for j in range(columns):
            place = (i + 1) * (columns + 2) + j + 1
            reward[place] += parts[1] * maze[i, j] + parts[2] * goal[i, j]


@_compiled
def _read_out(
    taps: NDArray[np.uint8],
    reward: NDArray[np.float64],
    value: NDArray[np.float64],
    offsets: NDArray[np.int64],
    policy: NDArray[np.float64],
    bounded: bool,
    sure: NDArray[np.int64],
    actions: NDArray[np.int8],
    values: NDArray[np.float32],
) -> None:
    """Write f^pi's best action and the value of one more layer for all cells within the ring."""
    rows, columns = actions.shape
    latent = taps.shape[1]
    q = np.empty(latent)
    for i in range(rows):
        for j in range(columns):
            c = (i + 1) * (columns + 2) + j + 1
            best, second, leader = -np.inf, -np.inf, 0
            for a in range(latent):
                s = c + offsets[taps[c, a]]
                q[a] = reward[s] + value[s]
                leader = a if q[a] > best else leader
                second = max(second, min(best, q[a]))
                best = max(best, q[a])
            values[i, j] = best
            if best - second >= _LEAD and sure[leader] >= 0:
                actions[i, j] = sure[leader]
                continue
            mean = q.sum() / latent
            for a in range(latent):
                q[a] = (q[a] - best) / (1.0 + best - q[a]) if bounded else q[a] - mean
            top = -np.inf
            for move in range(policy.shape[0]):
                logit = 0.0
                for a in range(latent):
                    logit += policy[move, a] * q[a]
                if logit > top:
                    top = logit
                    actions[i, j] = move
