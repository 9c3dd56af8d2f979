"""A ball in a maze (PyBullet): a point mass that forces push, and a picture from above.

The continuous benchmark of DT-VIN (Wang et al., ICML 2025, App. D) without MuJoCo: D4RL's PointMaze
has a ball of two degrees of freedom as well. Cells are 1 m; x runs east and y north from the lower
left corner of the maze. The ball is heavy enough to be no toy of rounding, rolls without slipping
to the side of its motors, and is held down: two degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from asterias.arrays import Cell, CellPoint, MazeArray
from asterias.context import Closeable
from sim.rendering.bullet import BulletClient, pybullet

CELL_M = 1.0
RADIUS_M = 0.2
MASS_KG = 1.0
DRAG_N_S_M = 0.5
"""Force against the motion, per m/s."""
MAX_FORCE_N = 10.0
CONTROL_HZ = 30
_SUBSTEPS = 8
_PIXELS_PER_CELL = 4
_WALL_HEIGHT_M = 0.4
_WALL, _FLOOR, _BALL = (0.12, 0.12, 0.12, 1), (0.95, 0.95, 0.95, 1), (217, 26, 26)


class BallMaze(Closeable):
    """One maze and one ball.

    Args:
        maze: cells ``(H, W)``, 1 = free, row 0 in the north.
        start: cell in whose middle the ball begins, at rest.

    Raises:
        ValueError: the start is no free cell.
    """

    def __init__(self, maze: MazeArray, start: Cell) -> None:
        rows, columns = maze.shape
        inside = 0 <= start[0] < rows and 0 <= start[1] < columns
        if not inside or not maze[start]:
            raise ValueError(f"the ball cannot begin in {start[0]},{start[1]}: no free cell.")
        self.maze = maze
        self._bullet = BulletClient()
        self._bullet.setTimeStep(1.0 / (CONTROL_HZ * _SUBSTEPS))
        self._bullet.setGravity(0, 0, 0)
        self._bullet.setPhysicsEngineParameter(numSolverIterations=10)
        self._floor()
        for row, first, last in _runs(maze):
            self._wall(row, first, last)
        self._still = self._render()
        sphere = self._bullet.createCollisionShape(pybullet.GEOM_SPHERE, radius=RADIUS_M)
        x, y = self.point_of((start[0] + 0.5, start[1] + 0.5))
        self._ball = self._bullet.createMultiBody(MASS_KG, sphere, -1, [x, y, RADIUS_M])
        self._bullet.changeDynamics(
            self._ball,
            -1,
            lateralFriction=0.0,
            restitution=0.0,
            linearDamping=0.0,
            angularDamping=0.0,
        )

    def close(self) -> None:
        """End the physics."""
        self._bullet.close()

    # -- what is ----------------------------------------------------------------------------------

    def point_of(self, place: CellPoint) -> tuple[float, float]:
        """Return the point in m of a (row, column) with fractions."""
        return place[1] * CELL_M, (len(self.maze) - place[0]) * CELL_M

    @property
    def place(self) -> CellPoint:
        """Where the ball is: (row, column) with fractions."""
        (x, y, _), _ = self._bullet.getBasePositionAndOrientation(self._ball)
        return len(self.maze) - y / CELL_M, x / CELL_M

    @property
    def cell(self) -> Cell:
        """The cell that the ball is in."""
        row, column = self.place
        return math.floor(row), math.floor(column)

    @property
    def velocity_m_s(self) -> tuple[float, float]:
        """Velocity to the east and to the north."""
        (x, y, _), _ = self._bullet.getBaseVelocity(self._ball)
        return float(x), float(y)

    def picture(self) -> NDArray[np.uint8]:
        """Return maze and ball from above ``(4 H, 4 W, 3)`` RGB, 4 x 4 pixels per cell.

        The maze is rendered once; the ball is painted over it, as nothing else moves.
        """
        picture: NDArray[np.uint8] = self._still.copy()
        row, column = (_PIXELS_PER_CELL * part for part in self.place)
        down, right = np.ogrid[: picture.shape[0], : picture.shape[1]]
        reach = _PIXELS_PER_CELL * RADIUS_M / CELL_M
        covered = np.hypot(down + 0.5 - row, right + 0.5 - column) <= max(reach, 0.75)
        picture[covered] = _BALL
        return picture

    def _render(self) -> NDArray[np.uint8]:
        """Return the maze alone, from above."""
        rows, columns = self.maze.shape
        size = (columns * _PIXELS_PER_CELL, rows * _PIXELS_PER_CELL)
        # From so far away that a pixel is a quarter of a cell wherever it is.
        height_m = 40.0 * max(rows, columns)
        eye = [columns / 2, rows / 2, height_m]
        view = self._bullet.computeViewMatrix(eye, [*eye[:2], 0.0], [0, 1, 0])
        angle_deg = math.degrees(2 * math.atan(rows / 2 / height_m))
        projection = self._bullet.computeProjectionMatrixFOV(
            angle_deg, columns / rows, height_m - 2, height_m + 2
        )
        _, _, pixels, _, _ = self._bullet.getCameraImage(
            *size,
            view,
            projection,
            shadow=0,
            lightDirection=[0, 0, 1],
            renderer=pybullet.ER_TINY_RENDERER,
        )
        return np.asarray(pixels, np.uint8).reshape(size[1], size[0], 4)[..., :3]

    # -- what can be done -------------------------------------------------------------------------

    def push(self, east_n: float, north_n: float) -> None:
        """Push the ball with a force for 1/30 s; each component is cut to 10 N."""
        force = np.clip([east_n, north_n], -MAX_FORCE_N, MAX_FORCE_N)
        for _ in range(_SUBSTEPS):
            x, y = self.velocity_m_s
            pulled = [force[0] - DRAG_N_S_M * x, force[1] - DRAG_N_S_M * y, 0.0]
            where, _ = self._bullet.getBasePositionAndOrientation(self._ball)
            self._bullet.applyExternalForce(self._ball, -1, pulled, where, pybullet.WORLD_FRAME)
            self._bullet.stepSimulation()
            self._hold_down()

    def _hold_down(self) -> None:
        """Keep the ball in the plane, which walls push it out of by rounding alone."""
        (x, y, z), turned = self._bullet.getBasePositionAndOrientation(self._ball)
        if abs(z - RADIUS_M) > 1e-4:
            self._bullet.resetBasePositionAndOrientation(self._ball, [x, y, RADIUS_M], turned)
        speed, spin = self._bullet.getBaseVelocity(self._ball)
        if abs(speed[2]) > 1e-4:
            self._bullet.resetBaseVelocity(self._ball, [speed[0], speed[1], 0.0], spin)

    def _floor(self) -> None:
        rows, columns = self.maze.shape
        half = [columns / 2, rows / 2, 0.05]
        shape = self._bullet.createVisualShape(
            pybullet.GEOM_BOX, halfExtents=half, rgbaColor=_FLOOR
        )
        self._bullet.createMultiBody(0, -1, shape, [columns / 2, rows / 2, -0.05])

    def _wall(self, row: int, first: int, last: int) -> None:
        """Build the wall of the cells ``first`` to ``last`` of a row."""
        half = [(last - first + 1) / 2, 0.5, _WALL_HEIGHT_M / 2]
        shape = self._bullet.createVisualShape(pybullet.GEOM_BOX, halfExtents=half, rgbaColor=_WALL)
        box = self._bullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half)
        x, y = self.point_of((row + 0.5, (first + last + 1) / 2))
        body = self._bullet.createMultiBody(0, box, shape, [x, y, _WALL_HEIGHT_M / 2])
        self._bullet.changeDynamics(body, -1, lateralFriction=0.0, restitution=0.0)


def _runs(maze: MazeArray) -> Iterator[tuple[int, int, int]]:
    """Yield row, first and last column of each run of walls."""
    for row, cells in enumerate(maze):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], cells == 0, [0]]).astype(int)))
        for first, last in edges.reshape(-1, 2).tolist():
            yield row, first, last - 1
