"""Plan with a network of your own: three methods, and `planners train` and `plan` take its name.

    python examples/own_planner_network.py

Here the goal's value diffuses over free cells, and the policy walks uphill; nothing is learned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from planners.networks.base import NetworkConfig, PlanningNetwork
from planners.networks.registry import NETWORKS, build

NORTH_EAST_SOUTH_WEST = ((-1, 0), (0, 1), (1, 0), (0, -1))


@dataclass(frozen=True)
class DiffusionConfig(NetworkConfig):
    """Options of the network, kept with its weights."""

    decay: float = 0.9
    """Share of its neighbours' mean that a cell takes on in each layer."""


class DiffusionPlanner(PlanningNetwork):
    """Let the goal's value diffuse over free cells; walk uphill."""

    config_type = DiffusionConfig

    def encode(self, mazes, goals):  # type: ignore[no-untyped-def]
        """Return what all layers share."""
        return mazes, goals

    def iterate(self, encoded, depth, saved_layers):  # type: ignore[no-untyped-def]
        """Return the values of the layers that are to be saved."""
        mazes, goals = encoded
        value, saved = goals, []
        for layer in range(1, depth + 1):
            value = goals + mazes * self.config.decay * nn.functional.avg_pool2d(value, 3, 1, 1)
            if layer in saved_layers:
                saved.append(value)
        return torch.stack(saved)

    def decode(self, encoded, states):  # type: ignore[no-untyped-def]
        """Return the logits of north, east, south and west in each cell."""
        padded = nn.functional.pad(states, (1, 1, 1, 1), value=-1.0)
        north, south = padded[..., :-2, 1:-1], padded[..., 2:, 1:-1]
        east, west = padded[..., 1:-1, 2:], padded[..., 1:-1, :-2]
        return torch.stack((north, east, south, west), dim=2)


NETWORKS.register("diffusion", DiffusionPlanner)


MAZE = """\
#########
#   #   #
# # # # #
# #   # #
# ##### #
#       #
#########"""
START, GOAL = (1, 1), (1, 7)


def main() -> None:
    """Walk through a maze by the network's policy, and print how many steps it took."""
    maze = np.array([[letter != "#" for letter in row] for row in MAZE.splitlines()])
    at = np.zeros(maze.shape, np.float32)
    at[GOAL] = 1.0
    network = build("diffusion", {"decay": 0.95})
    free = torch.tensor(maze, dtype=torch.float32)[None]
    logits = network(free, torch.tensor(at)[None], depth=120)[0].detach().numpy()
    cell, steps = START, 0
    while cell != GOAL and steps < maze.size:
        down, right = NORTH_EAST_SOUTH_WEST[int(logits[:, cell[0], cell[1]].argmax())]
        cell, steps = (cell[0] + down, cell[1] + right), steps + 1
    print(f"At the goal {GOAL} after {steps} steps." if cell == GOAL else f"Lost at {cell}.")


if __name__ == "__main__":
    main()
