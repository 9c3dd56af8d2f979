"""One maze of ViZDoom, of which only the exit pays, as a row of numbers for learners."""

from __future__ import annotations

from typing import Any

import cv2
import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from asterias.arrays import Cell
from learning.doom_maze.environment import DoomMazeCellsEnv, DoomObservation
from learning.highway.tasks import Seen
from sim.doom.maps import MazeMap

# Of a view: rows and columns of grey that are kept.
_ROWS, _COLUMNS = 3, 4


class _RememberedCells(DoomMazeCellsEnv):
    """``Asterias/DoomMazeCells-v0`` that loads a maze and draws a cell's views once.

    They are the same at each visit; most of the time would go into drawing them.
    """

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        super().__init__(render_mode, **options)
        self._loaded: int | None = None
        self._known: dict[Cell, DoomObservation] = {}

    def _load(self, world: MazeMap) -> None:
        if self._loaded != self._maze_seed:
            super()._load(world)
            self._loaded, self._known = self._maze_seed, {}

    def _observation(self) -> DoomObservation:
        if self._cell in self._known:
            self._live().warp(self._cell)
        else:
            self._known[self._cell] = super()._observation()
        return self._known[self._cell]


class DoomExitEnv(gymnasium.Wrapper[Seen, int, Any, int]):
    """``Asterias/DoomMazeCells-v0`` in one and the same maze, from the cell farthest from its exit.

    Observation ``(48 + 4 size,)`` float32: the four views in grey, 3 x 4 each, 0 to 1; then row and
    column of the cell and of the exit, each as ``size`` numbers of which one is 1.

    Args:
        maze_seed: which maze.
        size: its rows and columns.
        cap: steps after which an episode is truncated.
    """

    def __init__(self, maze_seed: int, size: int = 9, cap: int = 300) -> None:
        options: dict[str, Any] = {
            "size": size,
            "reward": "sparse",
            "start": "farthest",
            "max_steps": cap,
        }
        cells: Any = _RememberedCells(**options)  # a dictionary is seen there, a row here
        super().__init__(cells)
        self.maze_seed, self.size = maze_seed, size
        self.observation_space = spaces.Box(0, 1, (4 * _ROWS * _COLUMNS + 4 * size,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Seen, dict[str, Any]]:
        """Stand at the start.

        Returns:
            The observation, and what the maze says of itself.
        """
        seen: Any
        seen, info = self.env.reset(seed=seed, options={"maze_seed": self.maze_seed})
        return self._flat(seen), info

    def step(self, action: int) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """Move by a cell.

        Returns:
            Observation, reward, whether the episode ended or was truncated, and information.
        """
        seen: Any
        seen, reward, ended, truncated, info = self.env.step(int(action))
        return self._flat(seen), float(reward), ended, truncated, info

    def _flat(self, seen: dict[str, npt.NDArray[Any]]) -> Seen:
        views = [
            cv2.resize(
                cv2.cvtColor(view, cv2.COLOR_RGB2GRAY),
                (_COLUMNS, _ROWS),
                interpolation=cv2.INTER_AREA,
            )
            for view in seen["views"]
        ]
        places = np.zeros((4, self.size), np.float32)
        places[range(4), [*seen["cell"], *seen["goal"]]] = 1.0
        return np.concatenate(
            [np.ravel(views).astype(np.float32) / 255.0, places.ravel()], dtype=np.float32
        )
