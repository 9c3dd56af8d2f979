"""Worlds that are moved and drawn together: each has the numbers that it has alone."""

from __future__ import annotations

import numpy as np
import pytest

from asterias.errors import UserError
from sim.rendering.raster.scene import RasterScene
from sim.vectorised.worlds import WorldBatch
from sim.world import SimWorld

# Where the cache is cold, numba compiles the loop over worlds for half a minute.
pytestmark = pytest.mark.timeout(600)


def drive(world: SimWorld, seed: int) -> None:
    """Something else for each world: goals, an unpowered limb, weak servos, softer parts."""
    rng = np.random.default_rng(seed)
    for row in world.cameras:
        for camera in row:
            camera.connect()
    for body in world.bodies:
        body.set_goal(rng.uniform(-0.6, 0.6, len(body.limb.joints)))
    if seed == 1:
        world.bodies[0].power(False)
    if seed == 2:
        world.bodies[-1].weaken([0])
        world.bodies[0].soften(0.8)


@pytest.mark.parametrize("robot", ["limb_p1", "starfish"])
def test_a_world_among_others_has_the_numbers_of_one_alone(robot: str) -> None:
    with WorldBatch.of(robot, 3, seed=7, threads=2) as batch:
        for number, world in enumerate(batch.worlds):
            drive(world, number)
        batch.advance(0.1)
        batch.advance_each([(0, 0.02), (2, 0.06)])
        batch.draw_due()
        for number, together in enumerate(batch.worlds):
            with SimWorld(robot, seed=7 + number) as alone:
                drive(alone, number)
                for duration_s in (0.1, (0.02, 0.0, 0.06)[number]):
                    alone.advance(duration_s)
                assert alone.time_s == together.time_s
                alone.draw_due()
                for one, two in zip(alone.bodies, together.bodies, strict=True):
                    for mine, its in zip(one.state, two.state, strict=True):
                        np.testing.assert_array_equal(mine, its)
                for limb in range(len(alone.limbs)):
                    for one, two in zip(alone.cameras[limb], together.cameras[limb], strict=True):
                        np.testing.assert_array_equal(one.read().image, two.read().image)


def test_another_renderer_draws_for_each_world() -> None:
    with WorldBatch.of("limb_p1", 2, renderer="pybullet", threads=1) as batch:
        for world in batch.worlds:
            world.cameras[0][0].connect()
        first, second = (camera.read().image for camera in batch.draw_due())
        np.testing.assert_array_equal(first, second)


def test_a_wrong_batch_is_told() -> None:
    with pytest.raises(UserError, match="at least one world"):
        WorldBatch([])
    with SimWorld("limb_p1") as world, pytest.raises(UserError, match="threads must be 1 or more"):
        WorldBatch([world], threads=0)


def test_a_robot_that_stands_free_is_drawn_where_it_stands() -> None:
    with SimWorld("starfish") as world:
        scene = world.scene
        assert isinstance(scene, RasterScene)
        world.draw(0, world.cameras[0][0].description)
        before = scene.stage.vertices.copy()
        moved = np.array([0.3, -0.2, 0.1])
        scene.place_robot(np.eye(3), moved)
        world.draw(0, world.cameras[0][0].description)
        robot = scene.geometry.bone >= 2
        shift = scene.stage.vertices[robot] - before[robot]
        np.testing.assert_allclose(shift, np.tile(moved, (len(shift), 1)), atol=1e-6)
        np.testing.assert_array_equal(scene.stage.vertices[~robot], before[~robot])
