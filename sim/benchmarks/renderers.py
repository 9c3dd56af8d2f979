"""The renderers side by side: speed, decoded tags, and by how much their pictures differ.

Both draw the same scene at the same instants, by turns and in one process, so that what else the
machine does slows both. Times are processor time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from hardware.description.limb import CameraDescription
from hardware.description.robot import RobotDescription, load_robot
from hardware.perception.apriltag import detect_tags
from sim.benchmarks.speed import run_robot, spread
from sim.physics.rotations import rotation_from_rpy
from sim.rendering.scene import Scene, look_at
from sim.world import SimWorld

ROBOTS = ("limb_p1", "starfish")
RATE_HZ = 10.0
# Views of the tag: distances, angles off its axis, and the camera's own roll.
_NEAR_M, _FAR_M, _ASIDE_RAD, _ROLL_RAD = 0.20, 0.90, 1.1, np.pi
# Two pictures of a pixel differ where one of its colours does by more than so many levels.
_ALIKE = 8
_POSES = 40

Note = Callable[[str], None]


def compare_renderers(
    names: Sequence[str], *, duration_s: float, repeats: int, views: int, note: Note
) -> dict[str, Any]:
    """Return all figures of the renderers of these names, the first against the second.

    Args:
        names: of renderers.
        duration_s: simulated time of each run of the limb; the starfish runs a fifth of it.
        repeats: runs.
        views: of the tag to decode.
        note: told what is done.
    """
    note("tiles of 96x96")
    figures: dict[str, Any] = {"tile_ms": _tiles(names, repeats), "real_time_factor": {}}
    for robot, seconds in zip(ROBOTS, (duration_s, duration_s / 5.0), strict=True):
        note(robot)
        figures["real_time_factor"][robot] = _factors(robot, names, seconds, repeats)
    note(f"{views} views of the tag")
    figures["decoded"] = _decoded(names, views)
    note("pixels")
    figures["pixels"] = _pixels(names)
    return figures


def _at_rate(name: str) -> RobotDescription:
    """Return a robot all of whose cameras have :data:`RATE_HZ`."""
    robot = load_robot(name)
    limbs = [
        limb.model_copy(
            update={
                "cameras": tuple(c.model_copy(update={"rate_hz": RATE_HZ}) for c in limb.cameras)
            }
        )
        for limb in robot.limbs
    ]
    return robot.model_copy(update={"limbs": tuple(limbs)})


def _cpu_s(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


# -- speed --------------------------------------------------------------------------------------


def _tiles(names: Sequence[str], repeats: int) -> dict[str, Any]:
    """Return ms a picture of the limb's cameras at one pose after another, drawn one by one."""
    worlds = {name: SimWorld("limb_p1", renderer=name) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(repeats):
        for name, world in worlds.items():
            world.reset(seed=1)
            times[name].append(1e3 * _tile_s(world))
    for world in worlds.values():
        world.close()
    return {name: spread(values) for name, values in times.items()}


def _tile_s(world: SimWorld, rounds: int = 20) -> float:
    cameras = world.robot.limbs[0].live_cameras
    total = 0.0
    for _ in range(rounds):
        world.reset(positions_rad=world.random_positions())
        total += _cpu_s(lambda: [world.draw(0, camera) for camera in cameras])
    return total / (rounds * len(cameras))


def _factors(
    robot: str, names: Sequence[str], duration_s: float, repeats: int
) -> dict[str, dict[str, float]]:
    """Return simulated seconds per second of one core: physics, joints, all cameras at 10 Hz."""
    worlds = {name: SimWorld(_at_rate(robot), renderer=name) for name in names}
    factors: dict[str, list[float]] = {name: [] for name in names}
    for world in worlds.values():
        for camera in (camera for row in world.cameras for camera in row):
            camera.connect()
        run_robot(world, 0.2)
    for _ in range(repeats):
        for name, world in worlds.items():
            seconds = _cpu_s(lambda w=world: run_robot(w, duration_s))  # type: ignore[misc]
            factors[name].append(duration_s / seconds)
    for world in worlds.values():
        world.close()
    return {name: spread(values) for name, values in factors.items()}


# -- pictures -----------------------------------------------------------------------------------


def _decoded(names: Sequence[str], views: int) -> dict[str, Any]:
    """Return in what share of views each renderer's picture gives the tag, and where they part."""
    camera = CameraDescription(name="probe", link="tower")
    worlds = [SimWorld("limb_p1", renderer=name) for name in names]
    scenes = [world.scene for world in worlds if world.scene is not None]
    rng = np.random.default_rng(7)
    rows: list[list[bool]] = []
    distances: list[float] = []
    while len(rows) < views:
        rotation, position, distance_m = _view(rng, scenes[0])
        if not scenes[0].frames_target(camera, rotation, position):
            continue
        tag = [worlds[0].robot.target.id]
        rows.append([bool(detect_tags(s.render(camera, rotation, position), tag)) for s in scenes])
        distances.append(distance_m)
    for world in worlds:
        world.close()
    seen, distance = np.array(rows), np.array(distances)
    return {"views": views, **_shares(names, seen, distance)}


def _shares(
    names: Sequence[str], seen: np.ndarray[Any, Any], distance: FloatArray
) -> dict[str, Any]:
    edges = np.linspace(_NEAR_M, _FAR_M, 6)
    return {
        "share": dict(zip(names, seen.mean(axis=0).tolist(), strict=True)),
        "first_but_not_second": int((seen[:, 0] & ~seen[:, 1]).sum()),
        "second_but_not_first": int((seen[:, 1] & ~seen[:, 0]).sum()),
        "by_distance_m": [
            {
                "from": round(float(low), 2),
                "to": round(float(high), 2),
                "views": int(inside.sum()),
                **dict(zip(names, seen[inside].mean(axis=0).tolist(), strict=True)),
            }
            for low, high in pairwise(edges)
            for inside in [(distance >= low) & (distance < high)]
            if inside.any()
        ],
    }


def _view(rng: np.random.Generator, scene: Scene) -> tuple[FloatArray, FloatArray, float]:
    """Return pose and distance of a camera that looks about where the tag is."""
    middle = scene.target_corners.mean(axis=0)
    front = np.cross(
        scene.target_corners[1] - scene.target_corners[0],
        scene.target_corners[3] - scene.target_corners[0],
    )
    away = front / np.linalg.norm(front) + np.tan(rng.uniform(0, _ASIDE_RAD)) * _across(rng, front)
    distance_m = float(rng.uniform(_NEAR_M, _FAR_M))
    position = middle + distance_m * away / np.linalg.norm(away)
    aim = middle + rng.normal(0.0, 0.15 * distance_m, 3)
    rotation, position = look_at(position.tolist(), aim.tolist())
    roll = rotation_from_rpy((float(rng.uniform(-_ROLL_RAD, _ROLL_RAD)), 0.0, 0.0))
    return rotation @ roll, position, distance_m


def _across(rng: np.random.Generator, axis: FloatArray) -> FloatArray:
    """Return a random unit vector across an axis."""
    vector = np.cross(axis, rng.normal(size=3))
    unit: FloatArray = vector / np.linalg.norm(vector)
    return unit


def _pixels(names: Sequence[str]) -> dict[str, Any]:
    """Return how the first two renderers' pictures differ from the limb's own cameras.

    A pixel is background where the second renderer shows what it shows without limb and target.
    """
    worlds = [SimWorld("limb_p1", seed=3, renderer=name) for name in names[:2]]
    differences, is_body = [], []
    for _ in range(_POSES):
        positions = worlds[0].random_positions()
        for world in worlds:
            world.reset(positions_rad=positions)
        for camera in worlds[0].robot.limbs[0].live_cameras:
            first, second = (w.draw(0, camera).astype(int) for w in worlds)
            differences.append(np.abs(first - second).max(axis=2))
            is_body.append(np.abs(second - _room(worlds[1], camera)).max(axis=2) > 2)
    for world in worlds:
        world.close()
    difference, body = np.array(differences), np.array(is_body)
    return {
        "pictures": len(differences),
        "alike_within_levels": _ALIKE,
        "mean_difference_levels": float(difference.mean()),
        "share_alike": float((difference <= _ALIKE).mean()),
        "background": {
            "share_of_pixels": float((~body).mean()),
            "share_alike": float((difference[~body] <= _ALIKE).mean()),
        },
        "bodies": {
            "share_of_pixels": float(body.mean()),
            "share_alike": float((difference[body] <= _ALIKE).mean()),
        },
    }


def _room(world: SimWorld, camera: CameraDescription) -> np.ndarray[Any, Any]:
    """Return what a camera would see of the empty room."""
    assert world.scene is not None
    rotation, position = world.scene.camera_pose(0, camera, world.bodies[0])
    return world.scene.empty_room(camera, rotation, position).astype(int)
