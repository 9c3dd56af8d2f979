"""Value iteration with one-hot moves in the limit of depth, and its gradient.

Where the kernels are moves from cell to cell and one of them stays, V^(N) = N gain + bias for every
cell once N is large enough (Puterman, Markov Decision Processes, 1994, chapters 8 and 9): the gain
is the reward of the goal, which a walk that has arrived earns at every layer, and the bias is the
best sum of rewards less the gain along any walk to the goal. Dijkstra's search from the goal finds
it, and with it each cell's best successor. The gradient needs no layers either: a cell's bias is
the sum along its walk, so what flows into a cell flows on to its successor, in the reverse order of
the search. A training step costs as much as two passes over the cells.
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from planners.operator.numba_options import compiled, compiled_with_lists


@compiled_with_lists
def _search(
    cost: NDArray[np.float64],
    action_cost: NDArray[np.float64],
    goal: int,
    offsets: NDArray[np.int64],
    value: NDArray[np.float64],
    best: NDArray[np.int64],
    order: NDArray[np.int64],
) -> None:
    """Write value, best action (-1 at the goal) and order of search of all cells of one map."""
    rows, columns = cost.shape
    done = np.zeros(rows * columns, np.bool_)
    value[:] = -np.inf
    value[goal], best[goal], count = 0.0, -1, 0
    queue = [(0.0, goal)]
    while len(queue) > 0:
        spent, cell = heapq.heappop(queue)
        if done[cell]:
            continue
        done[cell] = True
        order[count] = cell
        count += 1
        row, column = cell // columns, cell % columns
        for a in range(len(offsets)):
            r, c = row - offsets[a, 0], column - offsets[a, 1]
            if r < 0 or r >= rows or c < 0 or c >= columns or done[r * columns + c]:
                continue
            before = r * columns + c
            # Below 0 a walk would rather be there than at the goal, and no limit leads to it.
            after = -spent - max(cost[row, column] + action_cost[a], 0.0)
            if after > value[before]:
                value[before], best[before] = after, a
                heapq.heappush(queue, (-after, before))


@compiled
def _flow_back(
    gradient: NDArray[np.float64],
    best: NDArray[np.int64],
    order: NDArray[np.int64],
    columns: int,
    offsets: NDArray[np.int64],
    into_cells: NDArray[np.float64],
    into_actions: NDArray[np.float64],
) -> None:
    """Add the gradient of all rewards, of one map; ``gradient`` is overwritten."""
    for k in range(len(order) - 1, 0, -1):
        cell = order[k]
        a = best[cell]
        after = cell + offsets[a, 0] * columns + offsets[a, 1]
        gradient[after] += gradient[cell]
        into_cells[after] += gradient[cell]
        into_actions[a] += gradient[cell]
        into_cells[order[0]] -= gradient[cell]  # the gain, R of the goal


class _Limit(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, reward: Tensor, action_reward: Tensor, goals: Tensor, offsets: Tensor
    ) -> Tensor:
        rewards = reward.detach().double().numpy()
        count, rows, columns = rewards.shape
        value = np.empty((count, rows * columns))
        best, order = np.empty_like(value, np.int64), np.empty_like(value, np.int64)
        places, steps = goals.numpy(), offsets.numpy()
        of_actions = -action_reward.detach().double().numpy()
        for k in range(count):
            goal = int(places[k, 0]) * columns + int(places[k, 1])
            cost = rewards[k].reshape(-1)[goal] - rewards[k]
            _search(cost, of_actions, goal, steps, value[k], best[k], order[k])
        ctx.found = best, order, steps
        return torch.from_numpy(value).view(reward.shape).to(reward.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        best, order, steps = ctx.found
        count, _, columns = gradient.shape
        flows = gradient.double().reshape(count, -1).numpy().copy()
        into_cells, into_actions = np.zeros_like(flows), np.zeros(len(steps))
        for k in range(count):
            one = into_cells[k]
            _flow_back(flows[k], best[k], order[k], columns, steps, one, into_actions)
        cells = torch.from_numpy(into_cells).view(gradient.shape).to(gradient.dtype)
        return cells, torch.from_numpy(into_actions).to(gradient.dtype), None, None


def limit_values(
    reward: Tensor, goals: Tensor, offsets: Tensor, action_reward: Tensor | None = None
) -> Tensor:
    """Return the bias of each cell: V after any large number of layers, less that of the goal.

    Args:
        reward: R ``(B, H, W)``, on the CPU, highest at the goal of each map.
        goals: row and column ``(B, 2)``.
        offsets: rows and columns of each move ``(A, 2)``; that the goal can be stayed at is
            understood.
        action_reward: added to R of where a move leads ``(A,)``.

    Returns:
        The values ``(B, H, W)``, 0 at the goals, with gradients to both rewards.
    """
    if action_reward is None:
        action_reward = torch.zeros(len(offsets), dtype=reward.dtype)
    values: Tensor = _Limit.apply(  # type: ignore[no-untyped-call]
        reward, action_reward, goals, offsets
    )
    return values
