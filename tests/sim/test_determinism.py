"""The same seed gives the same joints and the same pictures, bit for bit, in any process."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hardware.description.robot import RobotDescription, load_robot
from sim.engines.registry import ENGINES
from sim.world import SimWorld

ROOT = Path(__file__).resolve().parents[2]

# What each process runs: a random drive of prototype 1 through its driver, with noisy cameras.
DRIVE = """
import hashlib
import sys

from hardware.description.robot import load_robot
from sim.world import SimWorld


def noisy(robot):
    limb = robot.limbs[0]
    cameras = [camera.model_copy(update={"noise_std": 5.0}) for camera in limb.cameras]
    limb = limb.model_copy(update={"cameras": tuple(cameras)})
    return robot.model_copy(update={"limbs": (limb,)})


def drive(seed):
    digest = hashlib.sha256()
    with SimWorld(noisy(load_robot("limb_p1")), seed=seed) as world:
        with world.limbs[0] as limb, world.cameras[0][1] as camera:
            for _ in range(40):
                world.advance(0.02)
                limb.send(world.random_positions()[0])
                digest.update(world.bodies[0].state.q.tobytes())
                digest.update(world.bodies[0].state.v.tobytes())
                if camera.is_due:
                    digest.update(camera.read().image.tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    print(drive(int(sys.argv[1])))
"""


def drive_elsewhere(seed: int) -> str:
    """The digest that a fresh process comes to."""
    command = [sys.executable, "-c", DRIVE, str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def drive_here(seed: int) -> str:
    """The digest that this process comes to."""
    room: dict[str, object] = {"__name__": "drive"}
    exec(compile(DRIVE, "drive", "exec"), room)
    drive = room["drive"]
    assert callable(drive)
    return str(drive(seed))


def test_bit_for_bit_across_processes() -> None:
    here = drive_here(7)
    assert drive_elsewhere(7) == here
    assert drive_here(7) == here
    assert drive_here(8) != here


def joints_of(world: SimWorld, chunks: list[int]) -> str:
    """Digest of the joints on the way of one second, asked for in pieces of 20 ms."""
    digest = hashlib.sha256()
    world.bodies[0].set_goal([0.5, -0.4, 0.3, 0.8])
    for chunk in chunks:
        world.advance(0.02 * chunk)
    digest.update(world.bodies[0].state.q.tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("engine", ENGINES)
def test_reset_starts_over_bit_for_bit(limb_p1: RobotDescription, engine: str) -> None:
    with SimWorld(limb_p1, engine=engine, pictures=False) as world:
        first = joints_of(world, [1] * 50)
        world.reset()
        assert world.time_s == 0.0
        assert joints_of(world, [1] * 50) == first


@pytest.mark.parametrize("engine", ENGINES)
def test_pieces_of_time_do_not_matter_beyond_rounding(
    limb_p1: RobotDescription, engine: str
) -> None:
    ends = []
    for chunks in ([50], [1] * 50, [3, 7, 40]):
        with SimWorld(limb_p1, engine=engine, pictures=False) as world:
            joints_of(world, chunks)
            ends.append(world.bodies[0].state.q.copy())
    # The books of energy are opened anew by each call, which rounds differently.
    np.testing.assert_allclose(ends[1:], [ends[0]] * 2, atol=1e-12)


def test_looking_does_not_move_the_joints(limb_p1: RobotDescription) -> None:
    def run(look: bool) -> str:
        with SimWorld(limb_p1, pictures=look) as world:
            for camera in world.cameras[0]:
                camera.connect()
            body, digest = world.bodies[0], hashlib.sha256()
            body.set_goal([0.5, -0.4, 0.3, 0.8])
            for _ in range(25):
                world.advance(0.02)
                if look:
                    world.cameras[0][2].read()
                    body.energy_j()
                digest.update(body.state.q.tobytes())
            return digest.hexdigest()

    assert run(look=True) == run(look=False)


@pytest.mark.parametrize("seed", [None, 11])
def test_reset_starts_the_noise_over(seed: int | None) -> None:
    robot = load_robot("limb_p1")
    limb = robot.limbs[0]
    cameras = tuple(camera.model_copy(update={"noise_std": 5.0}) for camera in limb.cameras)
    noisy = robot.model_copy(update={"limbs": (limb.model_copy(update={"cameras": cameras}),)})
    with SimWorld(noisy, seed=11) as world:
        camera = world.cameras[0][0]
        camera.connect()
        first = [camera.read().image for _ in range(2)]
        assert (first[0] != first[1]).any()
        world.reset(seed)
        np.testing.assert_array_equal(camera.read().image, first[0])
        world.reset(12)
        assert (camera.read().image != first[0]).any()
