"""``Asterias/BallMaze-v0``: push a ball to a goal, seeing the maze from above.

Action ``(2,)`` from -1 to 1: force to the east and to the north as shares of 10 N, held for
1/30 s. Observation: ``image`` uint8 ``(4 M, 4 M, 3)``, the maze and the ball from above; ``ball``
and ``goal`` float32 ``(2,)``, (row, column) with fractions; ``velocity`` float32 ``(2,)``, m/s to
the east and north. Reward: 1 at the goal, else 0; the episode ends within 0.45 m of its middle.
``reset(seed=s)`` seeds the draw of the maze's seed, as in ``Asterias/DoomMaze-v0``.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import EzPickle
from numpy.typing import NDArray

from learning.training.actions import continuous_action
from learning.training.environment_options import check_render_mode
from planners.mazes.datasets import MazeRule
from planners.mazes.problems import PlanningProblem, draw_problem
from sim.ball_maze import CONTROL_HZ, MAX_FORCE_N, BallMaze

BallObservation = dict[str, NDArray[Any]]
GOAL_RADIUS_M = 0.45
_S_PER_STEP = 4.0


class BallMazeEnv(gymnasium.Env[BallObservation, NDArray[np.float32]], EzPickle):
    """Task for learners.

    A pickled environment is one with the same options, before its first reset.

    Args:
        render_mode: ``rgb_array`` lets :meth:`render` return the picture.
        size: rows and columns of the mazes.
        farthest: start in the cell farthest from the goal.

    Raises:
        UserError: an option cannot be used.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": CONTROL_HZ}  # noqa: RUF012

    def __init__(
        self, render_mode: str | None = None, size: int = 35, farthest: bool = False
    ) -> None:
        EzPickle.__init__(self, render_mode, size, farthest)
        check_render_mode(render_mode)
        self.render_mode, self.size, self.farthest = render_mode, size, farthest
        self._rule = MazeRule(size)
        self._world: BallMaze | None = None
        self._course: PlanningProblem | None = None
        self._image = np.zeros((4 * size, 4 * size, 3), np.uint8)
        self._steps = self._limit = 0
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        place = spaces.Box(0.0, float(size), (2,), np.float32)
        self.observation_space = spaces.Dict(  # type: ignore[assignment]
            {
                "image": spaces.Box(0, 255, self._image.shape, np.uint8),
                "ball": place,
                "goal": place,
                "velocity": spaces.Box(-100.0, 100.0, (2,), np.float32),
            }
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[BallObservation, dict[str, Any]]:
        """Draw a maze and put the ball at its start.

        Returns:
            The first observation, and information on the episode.
        """
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(2**31))
        maze_seed = int((options or {}).get("maze_seed", drawn))
        course = draw_problem(self._rule, maze_seed, self.farthest, 1.0)
        return self.start(course), {"maze_seed": maze_seed, "steps": course.shortest_steps}

    def start(self, course: PlanningProblem) -> BallObservation:
        """Start an episode of a given problem; return the first observation.

        Returns:
            The first observation.
        """
        self.close()
        self._course = course
        self._world = BallMaze(course.grid.free, course.start)
        self._steps = 0
        self._limit = round(_S_PER_STEP * CONTROL_HZ * (course.shortest_steps + 10))
        return self._observation()

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[BallObservation, float, bool, bool, dict[str, Any]]:
        """Push for 1/30 s.

        Returns:
            Observation, reward, whether the episode ended or was truncated, and information.

        Raises:
            gymnasium.error.ResetNeeded: no episode has been started.
        """
        if self._world is None or self._course is None:
            raise gymnasium.error.ResetNeeded("Call reset() before step().")
        east, north = (MAX_FORCE_N * np.clip(continuous_action(action, 2), -1, 1)).tolist()
        self._world.push(east, north)
        self._steps += 1
        row, column = self._course.goal
        arrived = math.dist(self._world.place, (row + 0.5, column + 0.5)) <= GOAL_RADIUS_M
        truncated = not arrived and self._steps >= self._limit
        info = {"is_success": arrived, "cell": self._world.cell}
        return self._observation(), float(arrived), arrived, truncated, info

    def render(self) -> Any:
        """Return the maze from above."""
        return None if self.render_mode is None or self._world is None else self._world.picture()

    def close(self) -> None:
        """End the physics."""
        if self._world is not None:
            self._world.close()
            self._world = None

    def _observation(self) -> BallObservation:
        assert self._world is not None and self._course is not None
        row, column = self._course.goal
        return {
            "image": self._world.picture(),
            "ball": np.array(self._world.place, np.float32),
            "goal": np.array((row + 0.5, column + 0.5), np.float32),
            "velocity": np.array(self._world.velocity_m_s, np.float32),
        }
