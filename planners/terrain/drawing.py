"""Pictures of terrain beside what the mapper makes of it, with ways through doubt and by a cut."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from asterias.arrays import Cell
from asterias.files import write_bytes
from planners.mazes.action_sets import NEWS
from planners.mazes.distances import distances, farthest_cell, optimal_actions
from planners.networks.base import PlanningNetwork, observation
from planners.terrain.generator import PIXELS, STEEPEST_RAD, TerrainSet

_DOUBT, _CUT = "#e6194b", "#1f6fd6"


def draw_examples(network: PlanningNetwork, terrain_set: TerrainSet, path: Path) -> None:
    """Draw each picture with the obstacles that are, and the chances with the ways (.png)."""
    figure = Figure(figsize=(9.4, 4.9 * len(terrain_set)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(terrain_set), 2, squeeze=False)
    for k in range(len(terrain_set)):
        _draw_one(network, terrain_set, k, figure, axes[k])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    write_bytes(path, buffer.getvalue())


@torch.no_grad()
def _draw_one(
    network: PlanningNetwork, terrain_set: TerrainSet, k: int, figure: Figure, axes: Any
) -> None:
    maze, goal = terrain_set.maps.mazes[k], terrain_set.maps.goals[k]
    picture = torch.from_numpy(terrain_set.pictures[k : k + 1]).float() / 255
    goals = observation(maze[None], goal[None])[1]
    odds = network.map_logits(picture)
    chance = odds.sigmoid()[0].numpy()
    doubt = network.limit_logits(picture, goals)[0, 0].argmax(dim=0).numpy()
    seen = (chance >= 0.5).astype(np.uint8)
    seen[tuple(goal)] = 1
    bits = optimal_actions(distances(seen[None], goal[None]))[0]
    cut = np.array([max(0, (b & -b).bit_length() - 1) for b in range(16)])[bits]
    lengths = distances(maze[None], goal[None])[0]
    start = farthest_cell(lengths)
    side = maze.shape[0]
    axes[0].imshow(terrain_set.pictures[k], cmap="gray", extent=(0, side, side, 0))
    steep = np.kron(maze == 0, np.ones((PIXELS, PIXELS)))
    axes[0].contour(
        np.linspace(0, side, side * PIXELS),
        np.linspace(0, side, side * PIXELS),
        steep,
        levels=[0.5],
        colors="#f2b701",
        linewidths=0.8,
    )
    degrees = round(float(np.rad2deg(STEEPEST_RAD)))
    axes[0].set_title(f"terrain; steeper than {degrees} degrees inside the lines")
    shown = axes[1].imshow(chance, cmap="gray", vmin=0, vmax=1, extent=(0, side, side, 0))
    axes[1].set_title("chance of being free, and the ways")
    figure.colorbar(shown, ax=axes[1], fraction=0.046, pad=0.02)
    for actions, colour, name in ((doubt, _DOUBT, "through doubt"), (cut, _CUT, "cut at 0.5")):
        cells, arrives = _walk(maze, start, (int(goal[0]), int(goal[1])), actions)
        rows, columns = np.array(cells, float).T + 0.5
        label = f"{name}: {len(cells) - 1} steps" if arrives else f"{name}: fails"
        shift = 0.12 if colour == _CUT else -0.12
        axes[1].plot(columns + shift, rows + shift, color=colour, linewidth=2, label=label)
        if not arrives:
            axes[1].plot(columns[-1] + shift, rows[-1] + shift, "x", color=colour, markersize=10)
    axes[1].plot(goal[1] + 0.5, goal[0] + 0.5, "o", color="#2ca02c", markersize=9, label="goal")
    axes[1].legend(loc="upper center", bbox_to_anchor=(0.5, -0.05), ncols=3, fontsize=8)


def _walk(
    maze: NDArray[np.uint8], start: Cell, goal: Cell, actions: NDArray[Any]
) -> tuple[list[Cell], bool]:
    """Return the cells of a walk until it arrives, meets an obstacle, or comes back."""
    cells = [start]
    while cells[-1] != goal:
        down, right = NEWS.offsets[int(actions[cells[-1]])]
        after = (cells[-1][0] + down, cells[-1][1] + right)
        inside = 0 <= after[0] < maze.shape[0] and 0 <= after[1] < maze.shape[1]
        if not inside or after in cells:
            return cells, False
        cells.append(after)
        if not maze[after]:
            return cells, False
    return cells, True
