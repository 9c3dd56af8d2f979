"""One walk through a maze in a running game, cell by cell, and a contact sheet of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asterias.arrays import Cell, ImageArray
from hardware.perception.images import save_png
from planners.mapping.exploration import explore
from planners.mapping.frontiers import FRONTIERS
from planners.mapping.map_belief import MapBelief
from planners.mapping.mapper import load_mapper
from planners.mazes.datasets import MazeRule
from planners.mazes.problems import draw_problem
from planners.planning.factory import make_planner
from sim.doom.game import MazeGame
from sim.doom.maps import MazeMap
from sim.doom.pictures import MapPicture, beside, sheet_of
from sim.doom.textures import choose_look
from sim.doom.views import shrink

_PICTURES = 8


class GameWorld:
    """A cell world in a running game, which keeps a picture of each look."""

    def __init__(self, game: MazeGame, belief: MapBelief, goal: Cell) -> None:
        self._game, self._belief, self._goal = game, belief, goal
        self._cell = game.world.start
        self._way = [self._cell]
        self.pictures: list[ImageArray] = []

    @property
    def cell(self) -> Cell:
        """Where the agent is."""
        return self._cell

    def look_around(self) -> NDArray[np.uint8]:
        """Return the views from there."""
        self._game.warp(self._cell)
        pictures = self._game.look_around()
        self.pictures.append(self.picture())
        return np.stack([shrink(picture) for picture in pictures])

    def move_to(self, cell: Cell) -> bool:
        """Move to a neighbouring cell.

        Returns:
            False where a wall is in the way.
        """
        if not self._game.world.maze[cell]:
            return False
        self._cell = cell
        self._way.append(cell)
        return True

    def picture(self) -> ImageArray:
        """Return what the player sees, with the map that it believes in."""
        middle = [(row + 0.5, column + 0.5) for row, column in self._way]
        goal = (self._goal[0] + 0.5, self._goal[1] + 0.5)
        yaw = self._game.pose[2]
        shown = MapPicture(self._belief.occupancy(), goal, middle[-1], yaw, way=middle)
        return beside(self._game.picture, shown, f"step {len(self._way) - 1}")


def draw_walk(
    size: int, planner: str, mapper: str, textures: str, frontiers: str, seed: int, out: Path
) -> str:
    """Walk through the maze of a seed, write the sheet, and return a sentence on how it went.

    Returns:
        The sentence.
    """
    course = draw_problem(MazeRule(size), seed, farthest=True, resolution_m=1.0)
    look = choose_look(textures, seed)
    world_map = MazeMap(course.grid.free, course.start, course.goal, look)
    belief = MapBelief(load_mapper(mapper), size, size)
    with MazeGame([world_map]) as game:
        world = GameWorld(game, belief, course.goal)
        agent = make_planner(planner, size, device="cpu")
        where = FRONTIERS.get(frontiers)()
        walk = explore(world, belief, agent, course.goal, 4 * size * size, frontiers=where)
        pictures = [*world.pictures, world.picture()]
    chosen = np.linspace(0, len(pictures) - 1, min(_PICTURES, len(pictures))).round().astype(int)
    title = f"A walk through a maze of {size} x {size}, seed {seed}: {walk.end.value}"
    save_png(str(out), sheet_of([pictures[k] for k in chosen], 2, title))
    return (
        f"{walk.end.value} after {walk.steps} steps with {walk.looks} looks and {walk.plans} "
        f"plans; the shortest way has {course.shortest_steps}. Drew {out}."
    )
