"""Follow a greedy policy from every reachable cell at once, by pointer jumping.

And score it per path length.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from asterias.cli import check_file
from asterias.errors import UserError
from asterias.files import write_bytes, write_json
from planners.mazes.action_sets import NEWS, Moves, moves_of
from planners.mazes.datasets import MazeSet
from planners.mazes.distances import distances
from planners.networks.base import PlanningNetwork, choose_device, observation
from planners.networks.headings import interleave, separate
from planners.networks.weights import load_weights


@dataclass(frozen=True)
class Bin:
    """One row of a result: paths of lo to hi steps, both included."""

    lo: int
    hi: int
    starts: int
    """Cells (of a drive: states) from which the shortest path has that many steps."""
    mazes: int
    """Mazes that have such a cell."""
    success: float
    """Share of the starts from which the goal is reached, in per cent."""
    optimal: float
    """Share of the starts from which it is reached by a shortest way, in per cent."""


def follow(actions: NDArray[np.int8], maze_set: MazeSet, moves: Moves = NEWS) -> NDArray[np.int64]:
    """Return the steps (or their cost) to the goal of a greedy policy from every state, or -1.

    It is -1 where the policy never arrives.

    The successor of every state is a pointer; pointing each pointer at its pointer's pointer
    doubles the steps. A policy that takes as many steps as there are states has been in some of
    them twice, so it never arrives.

    Args:
        actions: of every cell ``(n, M, M)``, or of a drive's states as a map ``(n, 2 M, 2 M)``.
        maze_set: the mazes.
        moves: the move set; a drive arrives heading north.

    Returns:
        Steps ``(n, M, M)``, or ``(n, 4, M, M)`` for a drive.
    """
    states = separate(actions) if moves.is_drive else actions[:, None]
    pointer = _successors(states, maze_set, moves).reshape(len(maze_set), -1)
    goal = maze_set.goals[:, :1] * maze_set.mazes.shape[2] + maze_set.goals[:, 1:]
    np.put_along_axis(pointer, goal, goal, axis=1)
    steps = moves.cost_array()[states].reshape(pointer.shape)
    np.put_along_axis(steps, goal, 0, axis=1)
    for _ in range(math.ceil(math.log2(pointer.shape[1])) + 1):
        steps += np.take_along_axis(steps, pointer, axis=1)
        pointer = np.take_along_axis(pointer, pointer, axis=1)
    result = np.where(pointer == goal, steps, -1).reshape(states.shape)
    return result if moves.is_drive else result[:, 0]


def _successors(actions: NDArray[np.int8], maze_set: MazeSet, moves: Moves) -> NDArray[np.int64]:
    """Return the state that each action ``(n, orientations, M, M)`` leads to, by its number."""
    count, rows, columns = maze_set.mazes.shape
    facing = np.arange(moves.orientations)[:, None, None]
    if moves.is_drive:  # forward, turn right, turn left
        steps = np.where((actions == 0)[..., None], moves.offset_array()[facing], 0)
        after = (facing + np.array([0, 1, -1])[actions]) % moves.orientations
    else:
        steps, after = moves.offset_array()[actions], np.zeros(actions.shape, np.int64)
    row = np.arange(rows)[:, None] + steps[..., 0]
    column = np.arange(columns) + steps[..., 1]
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    row, column = np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)
    maze = np.arange(count)[:, None, None, None]
    free = maze_set.mazes[maze, row, column].astype(bool) & inside
    here = np.arange(actions[0].size).reshape(actions[0].shape)
    successors: NDArray[np.int64] = np.where(free, (after * rows + row) * columns + column, here)
    return successors


def score(
    actions: NDArray[np.int8], maze_set: MazeSet, edges: Sequence[int], moves: Moves = NEWS
) -> list[Bin]:
    """Return one row per bin ``edges[i]`` to ``edges[i + 1]``.

    All bins but the last end one below the next.
    """
    lengths = distances(maze_set.mazes, maze_set.goals, moves)
    steps = follow(actions, maze_set, moves)
    result = []
    for index in range(len(edges) - 1):
        lo = edges[index] + (1 if index > 0 else 0)
        above = lengths > edges[index] * moves.unit if index else lengths >= max(lo, 1)
        chosen = above & (lengths <= edges[index + 1] * moves.unit)
        starts = int(chosen.sum())
        reached, shortest = (steps >= 0) & chosen, (steps == lengths) & chosen
        result.append(
            Bin(
                lo,
                edges[index + 1],
                starts,
                int(chosen.reshape(len(chosen), -1).any(axis=1).sum()),
                100 * int(reached.sum()) / max(1, starts),
                100 * int(shortest.sum()) / max(1, starts),
            )
        )
    return result


@torch.no_grad()
def greedy_actions(
    network: PlanningNetwork,
    maze_set: MazeSet,
    depth: int,
    batch: int = 64,
    device: torch.device | None = None,
    noise: tuple[float, int] = (0.0, 0),
) -> NDArray[np.int8]:
    """Return the best action of every cell ``(n, M, M)`` after ``depth`` layers.

    For a differential drive: of every state, as a map ``(n, 2 M, 2 M)``.

    In closed form where the network's kernels allow that, else by running the layers. ``noise`` is
    the variance on what the network sees, and its seed.
    """
    parts, draw = [], torch.Generator().manual_seed(noise[1])
    for first in range(0, len(maze_set), batch):
        part = maze_set[first : first + batch]
        seen = observation(part.mazes, part.goals, noise[0], draw)
        maze, goal = (tensor.to(device) for tensor in seen)
        solved = network.solve(maze, goal, depth)
        if solved is not None:
            parts.append(solved.actions)
        else:
            parts.append(network(maze, goal, depth).argmax(dim=1).to(torch.int8).cpu().numpy())
    return np.concatenate(parts)


@torch.no_grad()
def stable_actions(
    network: PlanningNetwork, maze_set: MazeSet, depth: int, limit: int, moves: Moves = NEWS
) -> tuple[NDArray[np.int8], int]:
    """Deepen from ``depth`` layers on, twofold at a time, until the policy is stable.

    It is stable when no action changes in the cells that are connected with their goal; values grow
    for ever, and what cells without a way do is of no use.

    Returns:
        The actions ``(n, M, M)`` and the depth.
    """
    connected = distances(maze_set.mazes, maze_set.goals, moves) >= 0
    connected = interleave(connected) if moves.is_drive else connected
    before: NDArray[np.int8] | None = None
    while True:
        actions = greedy_actions(network, maze_set, depth)
        if before is not None and bool((actions == before)[connected].all()):
            return actions, depth
        if depth >= limit:
            return actions, depth
        before, depth = actions, min(2 * depth, limit)  # from the start: no more than the last pass


@dataclass
class EvaluateConfig:
    """Score weights on mazes: success and optimality per path length, from every reachable cell."""

    weights: Path
    """Weights (.safetensors, with its .json beside it)."""
    mazes: Path
    """Mazes (.npz with mazes and goals)."""
    bins: str = "1,15,30,60"
    """Edges of the path-length bins in steps, with commas."""
    json: Path | None = None
    """Where to write the result."""
    actions: Path | None = None
    """Where to write the greedy action of every cell (.npz)."""
    depth: int = 0
    """Layers; 0 takes the depth of the weights' card."""
    until_stable: bool = False
    """Deepen until no action of a cell with a way to its goal changes; --depth is then the first
    depth tried."""
    batch: int = 64
    """Mazes at a time."""
    device: str = "auto"
    """cpu, cuda, or auto."""


def evaluate(config: EvaluateConfig) -> dict[str, object]:
    """Return the result as written to ``config.json``: model, size, depth, bins and seconds.

    Raises:
        UserError: an option makes no sense, or a file cannot be used.
    """
    if config.depth < 0 or config.batch < 1:
        raise UserError("--depth must be 0 or more, and --batch 1 or more.")
    edges = parse_bins(config.bins)
    check_file("--json", config.json)
    check_file("--actions", config.actions)
    device = choose_device(config.device)
    network, card = load_weights(config.weights)
    network.to(device)
    maze_set = MazeSet.load(config.mazes)
    moves = moves_of(card)
    depth = config.depth or int(card["depth"])
    start = time.perf_counter()
    if config.until_stable:
        limit = max(depth, maze_set.size**2)
        actions, depth = stable_actions(network, maze_set, depth, limit, moves)
    else:
        actions = greedy_actions(network, maze_set, depth, config.batch, device)
    seconds = time.perf_counter() - start
    result: dict[str, object] = {
        "model": card["model"],
        "size": maze_set.size,
        "depth": depth,
        "bins": [asdict(row) for row in score(actions, maze_set, edges, moves)],
        "seconds": round(seconds, 3),
    }
    if config.json:
        write_json(config.json, result, indent=1)
    if config.actions:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, actions=actions)
        write_bytes(config.actions, buffer.getvalue())
    return result


def parse_bins(text: str) -> list[int]:
    """Return bin edges from '1,15,30'.

    Raises:
        UserError: these are no rising path lengths.
    """
    try:
        edges = [int(part) for part in text.split(",")]
    except ValueError:
        edges = []
    if len(edges) < 2 or edges != sorted(set(edges)):
        raise UserError(
            f"bins are {text!r}: give rising path lengths with commas, as in 1,15,30,60."
        )
    return edges
