"""From views to actions in one network: the mapper's soft map goes straight into the planner.

DT-VIN's ViZDoom experiment (Wang et al., ICML 2025, App. C.5): the map is a probability per cell,
never cut at a threshold, so gradients of the actions' loss reach the views.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from planners.mapping.mapper import Mapper, describe_cells
from planners.networks.base import PlanningNetwork
from planners.training.losses import Labels, backward

LAYERS_PER_ROW = 6
"""Layers of the planner for each row of a maze."""


class ViewPlanner(nn.Module):
    """Network from views to action logits ``(B, actions, H, W)``.

    Inputs are views ``(B, H, W, 4, 24, 32, 3)``, ``given (B, H, W)`` and one-hot goals
    ``(B, H, W)``. ``sharpness`` is a factor of the mapper's logits.
    """

    def __init__(self, mapper: Mapper, planner: PlanningNetwork, sharpness: float = 1.0) -> None:
        super().__init__()
        self.mapper, self.planner, self.sharpness = mapper, planner, sharpness

    def soft_map(self, walls: Tensor, goals: Tensor) -> Tensor:
        """Return the map that is planned on: 1 - the probability of a wall, and 1 at the goal."""
        free = 1 - torch.sigmoid(self.sharpness * walls)
        return torch.where(goals > 0, torch.ones_like(free), free)

    def forward(self, views: Tensor, given: Tensor, goals: Tensor, depth: int) -> Tensor:
        """Return action logits after ``depth`` layers."""
        logits: Tensor = self.planner(self.soft_map(self.mapper(views, given), goals), goals, depth)
        return logits

    def backward_actions(
        self, walls: Tensor, goals: Tensor, labels: Labels, depth: int, layers: Sequence[int]
    ) -> float:
        """Add the gradients of the actions' loss (Eq. 3) to planner and mapper.

        Args:
            walls: ``(B, H, W)`` logits, through whose map the gradients go.
            goals: ``(B, H, W)`` one-hot.
            labels: right actions.
            depth: layers of the planner.
            layers: numbers of those whose actions count.

        Returns:
            The loss.
        """
        return backward(self.planner, self.soft_map(walls, goals), goals, labels, depth, layers)

    @torch.no_grad()
    def actions(
        self, views: NDArray[np.uint8], given: NDArray[np.bool_], goal: tuple[int, int], depth: int
    ) -> NDArray[np.int8]:
        """Return the best action of every cell ``(H, W)`` of one maze.

        Args:
            views: ``(H, W, 4, 24, 32, 3)``.
            given: ``(H, W)``, True where there are views.
            goal: row and column.
            depth: layers of the planner.
        """
        known = torch.from_numpy(given)[None]
        described = describe_cells(self.mapper, views[given])
        walls = self.mapper.walls(self.mapper.spread(described, known))
        goals = torch.zeros_like(walls)
        goals[0, goal[0], goal[1]] = 1
        best: NDArray[np.int8] = self.best_actions(walls, goals, depth)[0]
        return best

    @torch.no_grad()
    def best_actions(self, walls: Tensor, goals: Tensor, depth: int) -> NDArray[np.int8]:
        """Return the best action of every cell ``(B, H, W)`` from logits of walls and goals."""
        logits = self.planner(self.soft_map(walls, goals), goals, depth)
        return np.asarray(logits.argmax(dim=1).numpy(), np.int8)
