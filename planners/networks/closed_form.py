"""DT-VIN with one-hot kernels in closed form: from maze and goal to the best action of every cell.

On a binary map, the kernels of a cell depend on the 3 x 3 cells around it, one of 512 patterns, and
on whether it lies at the rim of the map, where no kernel leads outside. They are looked up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from planners.networks.base import ClosedForm
from planners.operator.one_hot_kernels.solver import (
    OneHotMap,
    scale_of,
    solve_integers,
    tap_offsets,
)

_TAPS = 9
_PATTERNS = 2**_TAPS
# Bits of the columns that stay when the window moves one cell to the right, of the 3 x 3 taps.
_KEPT = 0b011011011


class Parts(NamedTuple):
    """What a one-hot DT-VIN consists of."""

    table: NDArray[np.uint32]
    """Taps of the kernels ``(9, 512, ceil(A / 4))``, four in a word, by place at the rim and
    pattern; the last tap fills the last word."""
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


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    machine_code: Callable[..., Any] = njit(cache=True, nogil=True, error_model="numpy")(function)
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


def leaves_map(logits: Tensor) -> Tensor:
    """Return which taps of which cells lead off the map: ``(F*F, H, W)``."""
    taps, height, width = logits.shape[2:]
    field = round(taps**0.5)
    steps = torch.arange(taps, device=logits.device)
    down, right = steps // field - field // 2, steps % field - field // 2
    rows = torch.arange(height, device=logits.device) + down[:, None]
    columns = torch.arange(width, device=logits.device) + right[:, None]
    off_rows, off_columns = (rows < 0) | (rows >= height), (columns < 0) | (columns >= width)
    leaves: Tensor = off_rows[:, :, None] | off_columns[:, None, :]
    return leaves


def binary_patterns() -> Tensor:
    """Return all maps of 3 x 3 cells ``(512, 3, 3)``; bit k of a map's number is its k-th cell."""
    bits = torch.arange(_PATTERNS)[:, None] >> torch.arange(_TAPS) & 1
    return bits.view(_PATTERNS, 3, 3).float()


def is_binary(mazes: Tensor) -> bool:
    """Return whether maps hold zeros and ones alone."""
    return bool((mazes * (1 - mazes) == 0).all())


def look_up_kernels(table: Tensor, mazes: Tensor) -> Tensor:
    """Return the kernels ``(B, A, 9, H, W)`` of binary maps ``(B, H, W)``, walls around them.

    Args:
        table: of all patterns ``(A, 9, 512)``.
        mazes: on the device of the table.
    """
    powers = 2.0 ** torch.arange(_TAPS, device=mazes.device)
    numbers = functional.conv2d(mazes[:, None], powers.view(1, 1, 3, 3), padding=1).long()
    kernels = [
        table.flatten(0, 1).index_select(1, one.flatten()).view(*table.shape[:2], *one.shape[1:])
        for one in numbers
    ]
    return kernels[0][None] if len(kernels) == 1 else torch.stack(kernels)


def kernel_table(logits_of: Callable[[Tensor], Tensor]) -> NDArray[np.uint32]:
    """Return the tap that leads in each kernel of each pattern: ``(9, 512, ceil(A / 4))``.

    Args:
        logits_of: maps mazes ``(B, 3, 3)`` to logits ``(B, A, 9, 3, 3)``.
    """
    logits = logits_of(binary_patterns())[..., 1, 1]
    taps = torch.arange(9)
    down, right = taps // 3 - 1, taps % 3 - 1
    places = []
    for row in (-1, 0, 1):  # the first row of the map, one between, the last
        for column in (-1, 0, 1):
            leaves = ((down == row) & (row != 0)) | ((right == column) & (column != 0))
            places.append(logits.masked_fill(leaves, -torch.inf).argmax(dim=2))
    taps_of = torch.stack(places).numpy().astype(np.uint8)
    spare = -taps_of.shape[2] % 4
    padded = np.pad(taps_of, ((0, 0), (0, 0), (0, spare)), mode="edge")
    return np.ascontiguousarray(padded).view(np.uint32)


def solve_binary(
    parts: Parts, maze: NDArray[np.float32], goal: NDArray[np.float32], depth: int
) -> ClosedForm | None:
    """Return the outcome of ``depth`` layers on one map.

    Args:
        parts: the network.
        maze: 1 = free ``(H, W)``.
        goal: one-hot ``(H, W)``.
        depth: layers.

    Returns:
        The outcome, or None: the map holds other numbers than 0 and 1, or the layers are to be run.
    """
    rows, columns = maze.shape[0] + 2, maze.shape[1] + 2
    words = np.empty((rows * columns, parts.table.shape[2]), np.uint32)
    ringed = np.zeros((rows, columns), np.uint8)
    ringed[1:-1, 1:-1] = maze
    scale = scale_of(np.array([parts.reward[0], *np.cumsum(parts.reward)]), depth)
    reward = np.empty(rows * columns, np.int64)
    if not _rewards(parts.reward, maze, goal, scale, reward):
        return None
    _look_up(parts.table, ringed, words)
    return _solved(parts, words.view(np.uint8), reward, columns, depth, scale)


def solve_map(parts: Parts, one_hot: OneHotMap, depth: int) -> ClosedForm | None:
    """Return the outcome of ``depth`` layers on a map whose successors and rewards are given."""
    scale = scale_of(one_hot.reward, depth)
    reward = np.rint(one_hot.reward * scale).astype(np.int64)
    return _solved(parts, one_hot.taps, reward, one_hot.shape[1], depth, scale)


def _solved(
    parts: Parts,
    taps: NDArray[np.uint8],
    reward: NDArray[np.int64],
    columns: int,
    depth: int,
    scale: float,
) -> ClosedForm | None:
    value = solve_integers(taps, reward, columns, depth)
    if value is None:
        return None
    rows = len(reward) // columns
    actions = np.empty((1, rows - 2, columns - 2), np.int8)
    values = np.empty((1, rows - 2, columns - 2), np.float32)
    rules = (parts.policy, parts.bounded, parts.sure, scale)
    _read_out(taps, reward, value, tap_offsets(columns), *rules, actions[0], values[0])
    return ClosedForm(actions, values)


@_compiled
def _look_up(table: NDArray[np.uint32], maze: NDArray[np.uint8], taps: NDArray[np.uint32]) -> None:
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
            for word in range(taps.shape[1]):
                taps[i * columns + j, word] = table[place, window, word]


@_compiled
def _rewards(
    parts: NDArray[np.float64],
    maze: NDArray[np.float32],
    goal: NDArray[np.float32],
    scale: float,
    reward: NDArray[np.int64],
) -> bool:
    """Write the reward of all cells, row by row, of the ring too, in integers.

    Returns:
        Whether the maze is binary.
    """
    rows, columns = maze.shape
    wall, free = (
        np.int64(np.rint(parts[0] * scale)),
        np.int64(np.rint((parts[0] + parts[1]) * scale)),
    )
    reward[:] = wall
    others = 0
    for i in range(rows):
        start, goals = (i + 1) * (columns + 2) + 1, 0
        row, cells, marks = maze[i], reward[start : start + columns], goal[i]
        for j in range(columns):
            cells[j] = free if row[j] == 1 else wall
            others += (row[j] != 1) & (row[j] != 0)
            goals += marks[j] != 0
        if goals:
            for j in range(columns):
                whole = parts[0] + parts[1] * row[j] + parts[2] * marks[j]
                cells[j] = np.int64(np.rint(whole * scale))
    return others == 0


@_compiled
def _best_move(q: NDArray[np.float64], policy: NDArray[np.float64], bounded: bool) -> int:
    """Return f^pi's best move; ``q`` is relative to the best, and overwritten by the readout."""
    mean = 0.0 if bounded else q.sum() / len(q)
    for a in range(len(q)):
        q[a] = q[a] / (1.0 - q[a]) if bounded else q[a] - mean
    top, best = -np.inf, 0
    for move in range(policy.shape[0]):
        logit = 0.0
        for a in range(len(q)):
            logit += policy[move, a] * q[a]
        if logit > top:
            top, best = logit, move
    return best


@_compiled
def _read_out(
    taps: NDArray[np.uint8],
    reward: NDArray[np.int64],
    value: NDArray[np.int64],
    offsets: NDArray[np.int64],
    policy: NDArray[np.float64],
    bounded: bool,
    sure: NDArray[np.int64],
    scale: float,
    actions: NDArray[np.int8],
    values: NDArray[np.float32],
) -> None:
    """Write f^pi's best action and the value of one more layer for all cells within the ring.

    ``value`` is overwritten by what a cell offers, R + V.
    """
    rows, columns = actions.shape
    latent, highest, lead = policy.shape[1], value.max(), np.int64(_LEAD * scale)
    for c in range(len(value)):
        value[c] += reward[c]
    q = np.empty(latent)
    for i in range(rows):
        for j in range(columns):
            c = (i + 1) * (columns + 2) + j + 1
            best = value[c + offsets[taps[c, 0]]]
            second, worst, leader = np.int64(-(2**62)), best, 0
            for a in range(1, latent):
                offer = value[c + offsets[taps[c, a]]]
                worst = offer if offer < worst else worst
                lower = offer if offer < best else best
                second = lower if lower > second else second
                leader = a if offer > best else leader
                best = offer if offer > best else best
            values[i, j] = (best - highest) / scale
            if worst == best:  # as in walls: nothing tells actions apart, and the first is taken
                actions[i, j] = 0
                continue
            if best - second >= lead and sure[leader] >= 0:
                actions[i, j] = sure[leader]
                continue
            for a in range(latent):
                q[a] = (value[c + offsets[taps[c, a]]] - best) / scale
            actions[i, j] = _best_move(q, policy, bounded)
