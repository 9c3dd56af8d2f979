"""``Asterias/DoomMaze-v0`` and ``Asterias/DoomMazeCells-v0``: navigate to a goal by views.

**Seeding** is ours: the engine draws nothing. ``reset(seed=s)`` seeds the environment's generator;
each reset then draws one number, the maze's seed, which alone decides maze, goal, start, textures
and light. ``reset(options={"maze_seed": n})`` takes that number directly, and ``info["maze_seed"]``
tells it. The same maze seed and actions give the same pictures, to the last bit.

A game process that dies is started again: the step during which it died returns the last
observation with ``truncated`` and ``info["game_died"]``, and ``reset`` goes on as ever.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import cv2
import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import EzPickle
from numpy.typing import NDArray

from asterias.arrays import Cell
from asterias.errors import UserError
from learning.training.actions import continuous_action, discrete_action
from learning.training.environment_options import check_render_mode
from planners.mazes.action_sets import NEWS
from planners.mazes.datasets import MazeRule
from planners.mazes.distances import distances
from planners.mazes.problems import PlanningProblem, draw_problem
from sim.doom.game import TICS_PER_S, GameDiedError, MazeGame
from sim.doom.maps import CELL_UNITS, MazeMap
from sim.doom.pictures import FREE, WALL, MapPicture, beside
from sim.doom.textures import choose_look
from sim.doom.views import shrink

DoomObservation = dict[str, NDArray[Any]]
DoomAction = TypeVar("DoomAction")
GOAL_RADIUS_CELLS = 0.4


@dataclass(frozen=True)
class DoomMazeOptions:
    """What both environments take as keyword arguments."""

    size: int = 15
    """Rows and columns of the mazes."""
    kind: str = "depth_first"
    """Generator: depth_first, kruskal, wilson, obstacles or rooms."""
    openness: float = 1.0
    """Greatest share of inner walls taken out."""
    start: Literal["random", "farthest"] = "random"
    """Where the agent begins: any cell from which there is a way, or the farthest from the goal."""
    textures: str = "training"
    """Texture sets: training, held_out, or the name of one."""
    light: int = -1
    """Light of the mazes, 0 to 255; -1 draws it."""
    reward: Literal["progress", "sparse"] = "progress"
    """progress: steps of the shortest path gained, and 1 at the goal; sparse: 1 at the goal."""
    max_steps: int = 0
    """Steps after which an episode is truncated; 0 takes the default of the environment."""

    def __post_init__(self) -> None:
        if self.start not in ("random", "farthest"):
            raise UserError(f"start is {self.start!r}: choose random or farthest.")
        if self.reward not in ("progress", "sparse"):
            raise UserError(f"reward is {self.reward!r}: choose progress or sparse.")
        if self.max_steps < 0:
            raise UserError(f"max_steps is {self.max_steps}: give 0 for the default, or more.")
        choose_look(self.textures, 0, self.light)
        self.rule()

    def rule(self) -> MazeRule:
        """Return how mazes are drawn."""
        return MazeRule(self.size, self.kind, (0.0, self.openness))  # type: ignore[arg-type]


class _DoomMaze(gymnasium.Env[DoomObservation, DoomAction], EzPickle, Generic[DoomAction], ABC):
    """Base of both environments: the maze, the game, rewards and ends.

    A pickled environment is one with the same options, before its first reset.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": TICS_PER_S}  # noqa: RUF012
    _default_steps_per_cell = 4

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        check_render_mode(render_mode)
        self.render_mode = render_mode
        try:
            self.options = DoomMazeOptions(**options)
        except TypeError as error:
            raise UserError(f"An option is unknown: {error}.") from error
        area = self.options.size**2
        self.max_steps = self.options.max_steps or self._default_steps_per_cell * area
        self._game: MazeGame | None = None
        self._course: PlanningProblem | None = None
        self._lengths = np.zeros((0, 0), np.int32)
        self._maze_seed, self._steps = 0, 0
        self._way: list[tuple[float, float]] = []
        self._last: DoomObservation = {}

    # -- gymnasium --------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[DoomObservation, dict[str, Any]]:
        """Draw a maze and stand at its start.

        Returns:
            The first observation, and information on the episode.
        """
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(2**31))
        self._maze_seed = int((options or {}).get("maze_seed", drawn))
        farthest = self.options.start == "farthest"
        self._course = course = draw_problem(self.options.rule(), self._maze_seed, farthest, 1.0)
        goal = np.array([course.goal])
        self._lengths = distances(course.grid.free[None], goal)[0]
        look = choose_look(self.options.textures, self._maze_seed, self.options.light)
        world = MazeMap(course.grid.free, course.start, course.goal, look)
        self._steps, self._way = 0, []
        self._begin()
        try:
            self._load(world)
        except GameDiedError:
            self._live().restart()
        self._last = self._observation()
        return self._last, self._info()

    def render(self) -> Any:
        """Return the view with the map beside it."""
        if self.render_mode is None or self._course is None:
            return None
        game, free = self._live(), self._course.grid.free
        x, y, yaw = game.pose
        place = (len(free) - y / CELL_UNITS, x / CELL_UNITS)
        goal = (self._course.goal[0] + 0.5, self._course.goal[1] + 0.5)
        occupancy = np.where(free > 0, FREE, WALL).astype(np.int8)
        shown = MapPicture(occupancy, goal, place, yaw, way=[*self._way, place])
        return beside(game.picture, shown, f"step {self._steps}")

    def close(self) -> None:
        """End the game process."""
        if self._game is not None:
            self._game.close()
            self._game = None

    @property
    def game(self) -> MazeGame:
        """The game, after the first reset."""
        return self._live()

    # -- for both ---------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Forget the last episode, before its successor is loaded."""

    def _load(self, world: MazeMap) -> None:
        if self._game is None:
            self._game = MazeGame([world])
        else:
            self._game.replace([world])

    def _live(self) -> MazeGame:
        if self._game is None:
            raise gymnasium.error.ResetNeeded("Call reset() before anything else.")
        return self._game

    def _drawn(self) -> PlanningProblem:
        if self._course is None:
            raise gymnasium.error.ResetNeeded("Call reset() before anything else.")
        return self._course

    @abstractmethod
    def _observation(self) -> DoomObservation:
        """Return what the agent sees now."""

    @abstractmethod
    def _arrived(self) -> bool:
        """Whether the goal is reached."""

    def _info(self) -> dict[str, Any]:
        cell = self._live().cell
        return {
            "maze_seed": self._maze_seed,
            "cell": cell,
            "steps_to_go": int(self._lengths[cell]),
            "shortest_steps": self._drawn().shortest_steps,
            "is_success": False,
        }

    def _after(
        self, before: Cell, extra: dict[str, Any]
    ) -> tuple[DoomObservation, float, bool, bool, dict[str, Any]]:
        """Return what a step returns, once the player has moved."""
        self._steps += 1
        self._last = self._observation()
        arrived, info = self._arrived(), self._info() | extra
        info["is_success"] = arrived
        reward = float(arrived)
        if self.options.reward == "progress":
            reward += float(self._lengths[before] - self._lengths[info["cell"]])
        truncated = not arrived and self._steps >= self.max_steps
        return self._last, reward, arrived, truncated, info

    def _died(self) -> tuple[DoomObservation, float, bool, bool, dict[str, Any]]:
        """Return what the step returns during which the game died, with a new game begun."""
        self._live().restart()
        last = {name: value.copy() for name, value in self._last.items()}
        return last, 0.0, False, True, {**self._info(), "game_died": True}


class DoomMazeEnv(_DoomMaze[NDArray[np.float32]]):
    """Continuous first-person control.

    Action: ``(3,)`` from -1 to 1: forward, left and turn to the left as shares of ``speed_cells_s``
    and ``turn_rad_s``, held for ``frame_skip`` tics of 1/35 s. Observation: ``image`` uint8
    ``(*image_px, 3)`` RGB; ``goal`` float32 ``(2,)``, where the goal is, cells forward and left of
    the player; ``velocity`` float32 ``(3,)``, cells/s forward and left and rad/s. The episode ends
    within 0.4 cells of the goal.
    """

    _default_steps_per_cell = 10

    def __init__(
        self,
        render_mode: str | None = None,
        image_px: tuple[int, int] = (60, 80),
        frame_skip: int = 4,
        speed_cells_s: float = 4.0,
        turn_rad_s: float = math.tau,
        **options: Any,
    ) -> None:
        super().__init__(render_mode, **options)
        own = {"frame_skip": frame_skip, "speed_cells_s": speed_cells_s, "turn_rad_s": turn_rad_s}
        EzPickle.__init__(self, render_mode, image_px, **own, **options)
        if frame_skip < 1 or min(image_px) < 1:
            raise UserError("frame_skip and image_px must be 1 or more.")
        if not 0 < speed_cells_s <= 6.5 or not 0 < turn_rad_s <= math.pi * TICS_PER_S:
            raise UserError("speed_cells_s must be above 0 and at most 6.5, turn_rad_s above 0.")
        self.image_px, self.frame_skip = image_px, frame_skip
        self._speed = speed_cells_s * CELL_UNITS / TICS_PER_S
        self._turn = turn_rad_s / TICS_PER_S
        self._turned = 0.0
        self.action_space = spaces.Box(-1.0, 1.0, (3,), np.float32)
        self.observation_space = spaces.Dict(  # type: ignore[assignment]
            {
                "image": spaces.Box(0, 255, (*image_px, 3), np.uint8),
                "goal": spaces.Box(-np.inf, np.inf, (2,), np.float32),
                "velocity": spaces.Box(-np.inf, np.inf, (3,), np.float32),
            }
        )

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[DoomObservation, float, bool, bool, dict[str, Any]]:
        """Drive for ``frame_skip`` tics.

        Returns:
            Observation, reward, whether the episode ended or was truncated, and information.
        """
        game = self._live()
        forward, left, turn = np.clip(continuous_action(action, 3), -1, 1).tolist()
        before = game.cell
        try:
            for _ in range(self.frame_skip):
                game.drive(self._speed * forward, self._speed * left, self._turn * turn)
        except GameDiedError:
            return self._died()
        self._turned = self._turn * turn * TICS_PER_S
        self._way.append(self._place())
        return self._after(before, {})

    def _begin(self) -> None:
        self._turned = 0.0

    def _place(self) -> tuple[float, float]:
        x, y, _ = self._live().pose
        return len(self._drawn().grid.free) - y / CELL_UNITS, x / CELL_UNITS

    def _arrived(self) -> bool:
        goal = self._drawn().goal
        return math.dist(self._place(), (goal[0] + 0.5, goal[1] + 0.5)) <= GOAL_RADIUS_CELLS

    def _observation(self) -> DoomObservation:
        game, goal = self._live(), self._drawn().goal
        row, column = self._place()
        east, north = goal[1] + 0.5 - column, row - goal[0] - 0.5
        cos, sin = math.cos(game.pose[2]), math.sin(game.pose[2])
        speed_x, speed_y = (v * TICS_PER_S / CELL_UNITS for v in game.velocity)
        size = self.image_px[::-1]
        image = cv2.resize(game.picture, size, interpolation=cv2.INTER_AREA)
        return {
            "image": np.asarray(image, np.uint8),
            "goal": np.array([cos * east + sin * north, cos * north - sin * east], np.float32),
            "velocity": np.array(
                [cos * speed_x + sin * speed_y, cos * speed_y - sin * speed_x, self._turned],
                np.float32,
            ),
        }


class DoomMazeCellsEnv(_DoomMaze[int]):
    """Moves from cell to cell.

    Action: 0 to 3 for north, east, south, west; a wall leaves the agent where it is, and
    ``info["wall"]`` says so. Observation: ``views`` uint8 ``(4, 24, 32, 3)``, RGB, in that order;
    ``cell`` and ``goal`` int64 ``(2,)``, row and column. The episode ends in the goal's cell.
    """

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        super().__init__(render_mode, **options)
        EzPickle.__init__(self, render_mode, **options)
        self._cell: Cell = (0, 0)
        size = self.options.size
        self.action_space = spaces.Discrete(4)  # type: ignore[assignment]
        self.observation_space = spaces.Dict(  # type: ignore[assignment]
            {
                "views": spaces.Box(0, 255, (4, 24, 32, 3), np.uint8),
                "cell": spaces.MultiDiscrete([size, size]),
                "goal": spaces.MultiDiscrete([size, size]),
            }
        )

    def _begin(self) -> None:
        self._cell = self._drawn().start

    def step(self, action: int) -> tuple[DoomObservation, float, bool, bool, dict[str, Any]]:
        """Move by a cell, and observe.

        Returns:
            Observation, reward, whether the episode ended or was truncated, and information.
        """
        before, free = self._live().cell, self._drawn().grid
        down, right = NEWS.offsets[discrete_action(action, 4)]
        after = (before[0] + down, before[1] + right)
        wall = not free.is_free(after)
        self._cell = before if wall else after
        try:
            result = self._after(before, {"wall": wall})
        except GameDiedError:
            return self._died()
        self._way.append((self._cell[0] + 0.5, self._cell[1] + 0.5))
        return result

    def _arrived(self) -> bool:
        return self._cell == self._drawn().goal

    def _observation(self) -> DoomObservation:
        game, goal = self._live(), self._drawn().goal
        game.warp(self._cell)
        views = [shrink(picture) for picture in game.look_around()]
        return {
            "views": np.stack(views),
            "cell": np.array(self._cell, np.int64),
            "goal": np.array(goal, np.int64),
        }
