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


class ViewPlanner(nn.Module):
    """Maps views ``(B, H, W, 4, 24, 32, 3)``, ``given (B, H, W)`` and one-hot goals ``(B, H, W)``
    to action logits ``(B, actions, H, W)``.
    """

    def __init__(self, mapper: Mapper, planner: PlanningNetwork) -> None:
        super().__init__()
        self.mapper, self.planner = mapper, planner

    def soft_map(self, walls: Tensor, goals: Tensor) -> Tensor:
        """Return the map that is planned on, from logits of walls: 1 - their probability, and 1 at
        the goal.
        """
        free = 1 - torch.sigmoid(walls)
        return torch.where(goals > 0, torch.ones_like(free), free)

    def forward(self, views: Tensor, given: Tensor, goals: Tensor, depth: int) -> Tensor:
        """Return action logits after ``depth`` layers."""
        logits: Tensor = self.planner(self.soft_map(self.mapper(views, given), goals), goals, depth)
        return logits

    def backward_actions(
        self, walls: Tensor, goals: Tensor, labels: Labels, depth: int, layers: Sequence[int]
    ) -> float:
        """Add the gradients of the actions' loss (Eq. 3) to planner and mapper, through the map
        that the logits ``walls (B, H, W)`` make; return the loss.
        """
        return backward(self.planner, self.soft_map(walls, goals), goals, labels, depth, layers)

    @torch.no_grad()
    def actions(
        self, views: NDArray[np.uint8], given: NDArray[np.bool_], goal: tuple[int, int], depth: int
    ) -> NDArray[np.int8]:
        """Return the best action of every cell ``(H, W)`` of one maze, from its views
        ``(H, W, 4, 24, 32, 3)``.
        """
        known = torch.from_numpy(given)[None]
        described = describe_cells(self.mapper, views[given])
        walls = self.mapper.walls(self.mapper.spread(described, known))
        goals = torch.zeros_like(walls)
        goals[0, goal[0], goal[1]] = 1
        logits = self.planner(self.soft_map(walls, goals), goals, depth)
        return np.asarray(logits[0].argmax(dim=0).numpy(), np.int8)
