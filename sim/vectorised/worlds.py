"""Many worlds of one robot that pass their time together, as fast as the machine's cores go.

Each world stays a :class:`sim.world.SimWorld` with drivers, cameras, seeds and faults of its own,
and its numbers are those that it would have alone. What is shared is the work: one compiled loop
moves the limbs of all worlds, another draws what all their cameras see.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asterias.context import Closeable
from asterias.errors import UserError
from hardware.description.robot import RobotDescription, load_robot
from sim.rendering.camera import SimCamera
from sim.rendering.raster.scene import RasterScene
from sim.vectorised.bodies import BodyBatch, size_of
from sim.vectorised.pictures import SceneBatch, WorldView
from sim.vectorised.threads import Threads
from sim.world import SimWorld


class WorldBatch(Closeable):
    """Worlds that are moved and drawn together.

    Args:
        worlds: of one robot description.
        threads: that share the work; None: one for each core.

    Raises:
        UserError: there is no world, or fewer than one thread.
    """

    def __init__(self, worlds: Sequence[SimWorld], threads: int | None = None) -> None:
        if not worlds:
            raise UserError("A batch needs at least one world.")
        if any(type(world) is not SimWorld for world in worlds):
            raise UserError("A batch takes worlds whose robots are mounted: they touch nothing.")
        if not all(world.engine.is_batched for world in worlds):
            raise UserError("Many worlds in one loop are moved by engine asterias alone.")
        self.worlds = list(worlds)
        self.threads = Threads(threads)
        self._bodies: list[BodyBatch] = []
        # World -> batch and number within it of each of its bodies.
        self._where: list[list[tuple[int, int]]] = [[] for _ in worlds]
        self._stack_bodies()
        scenes = [world.scene for world in worlds]
        rasters = [scene for scene in scenes if isinstance(scene, RasterScene)]
        self._scenes = SceneBatch(rasters) if len(rasters) == len(worlds) else None

    @classmethod
    def of(
        cls,
        robot: RobotDescription | str,
        count: int,
        *,
        seed: int = 0,
        renderer: str | None = None,
        pictures: bool = True,
        threads: int | None = None,
    ) -> WorldBatch:
        """Return ``count`` worlds of a robot, with the seeds ``seed``, ``seed + 1`` and so on."""
        about = robot if isinstance(robot, RobotDescription) else load_robot(robot)
        worlds = [
            SimWorld(about, seed=seed + i, renderer=renderer, pictures=pictures)
            for i in range(count)
        ]
        return cls(worlds, threads)

    def _stack_bodies(self) -> None:
        kinds: dict[object, list[tuple[int, int]]] = {}
        for number, world in enumerate(self.worlds):
            for limb, body in enumerate(world.bodies):
                kinds.setdefault(size_of(body), []).append((number, limb))
        for places in kinds.values():
            batch = BodyBatch([self.worlds[number].bodies[limb] for number, limb in places])
            for row, (number, _) in enumerate(places):
                self._where[number].append((len(self._bodies), row))
            self._bodies.append(batch)

    # -- time -----------------------------------------------------------------------------------

    def advance(self, duration_s: float, numbers: Sequence[int] | None = None) -> None:
        """Let ``duration_s`` pass, rounded to whole physics steps, in all or in some worlds."""
        chosen = range(len(self.worlds)) if numbers is None else numbers
        self.advance_each([(number, duration_s) for number in chosen])

    def advance_each(self, durations: Sequence[tuple[int, float]]) -> None:
        """Let time pass in some worlds: the number of each, and for how long (s)."""
        rows: list[list[int]] = [[] for _ in self._bodies]
        steps: list[list[int]] = [[] for _ in self._bodies]
        for number, duration_s in durations:
            count = self.worlds[number].steps_in(duration_s)
            for batch, row in self._where[number]:
                rows[batch].append(row)
                steps[batch].append(count)
        for batch, bodies in enumerate(self._bodies):
            if rows[batch]:
                bodies.advance(np.array(rows[batch]), np.array(steps[batch]), self.threads)
        for number, duration_s in durations:
            world = self.worlds[number]
            world.count_steps(world.steps_in(duration_s))

    # -- pictures -------------------------------------------------------------------------------

    def draw_due(self) -> list[SimCamera]:
        """Draw the pictures of all worlds' connected cameras that are due, in one compiled call.

        Each camera's next frame at this instant is then at hand, unless something moves first.

        Returns:
            The cameras, by world.
        """
        due = [(number, world.cameras_due()) for number, world in enumerate(self.worlds)]
        self.draw(due)
        return [camera for _, rows in due for row in rows for camera in row]

    def draw(self, wanted: Sequence[tuple[int, Sequence[Sequence[SimCamera]]]]) -> None:
        """Draw pictures and offer each to its camera, for its next frame at this instant.

        Args:
            wanted: numbers of worlds, each with its cameras by limb.
        """
        kinds: dict[tuple[float, ...], dict[int, list[list[SimCamera]]]] = {}
        for number, rows in wanted:
            for limb, row in enumerate(rows):
                for camera in row:
                    by_world = kinds.setdefault(camera.kind, {})
                    if number not in by_world:
                        by_world[number] = [[] for _ in rows]
                    by_world[number][limb].append(camera)
        for by_world in kinds.values():
            if self._scenes is None:
                for number, rows in by_world.items():
                    self.worlds[number].draw_cameras(rows)
            else:
                self._draw_alike(self._scenes, by_world)

    def _draw_alike(self, scenes: SceneBatch, by_world: dict[int, list[list[SimCamera]]]) -> None:
        views, cameras = [], []
        for number, rows in by_world.items():
            world = self.worlds[number]
            world.place_limbs()
            views.append(WorldView(number, world.eyes_of(rows)))
            cameras += [camera for row in rows for camera in row]
        pictures = scenes.draw(cameras[0].description, views, self.threads)
        for camera, picture in zip(cameras, pictures, strict=True):
            camera.offer(picture)

    def close(self) -> None:
        """Close the worlds and end the threads; harmless when done before."""
        for world in self.worlds:
            world.close()
        self.threads.close()
