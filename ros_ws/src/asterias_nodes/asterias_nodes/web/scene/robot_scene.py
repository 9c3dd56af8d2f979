"""The robot in three dimensions: its shapes as objects of three.js, which the page then moves.

The limbs' bodies are skins, as the simulation's renderer draws them (``skin``, a file at
:data:`SKIN_URL`, :mod:`sim.rendering.raster.skin_file`). The page finds objects by their names:
``base_<i>`` of a limb, ``link_<i>_<k>`` of what its hinge ``k`` moves, ``camera_<i>_<j>`` of a
camera's view. What a link carries is in its group, in the coordinates of the limb at rest, so that
one transform moves it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from nicegui import ui

from asterias.arrays import FloatArray
from hardware.description.limb import Limb
from hardware.description.robot import RobotDescription
from sim.physics.rotations import rotation_from_rpy

SKIN_URL = "/robot.glb"
BACKGROUND = "#18202b"
# A floor of 2 m, with lines each 10 cm.
GRID = (2, 20)
VIEW_COLOR = "#5aa9ff"
VIEW_OPACITY = 0.22
VIEW_LENGTH_M = 0.045
# The tag's white rim, and its black square within.
TAG_RIM, TAG_BLACK = 1.25, 1.0
FRAMES_PER_S = 20
# three.js lays cylinders along y.
Y_TO_X = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class LimbFrame:
    """Where a limb is mounted.

    Attributes:
        rotation: ``(3, 3)`` from the limb's axes to the world's.
        base_m: ``(3,)`` in the world.
    """

    rotation: FloatArray
    base_m: FloatArray


def robot_scene(robot: RobotDescription, frames: Sequence[LimbFrame]) -> ui.scene:
    """Return the element that shows the robot and its target, seen from the side."""
    scene = ui.scene(
        grid=GRID,
        background_color=BACKGROUND,
        camera=ui.scene.perspective_camera(fov=38, near=0.01, far=20),
        fps=FRAMES_PER_S,
        click_events=[],
    )
    with scene:
        scene.gltf(SKIN_URL).with_name("skin")
        for number, (limb, frame) in enumerate(zip(robot.limbs, frames, strict=True)):
            base = scene.group().with_name(f"base_{number}")
            base.move(*frame.base_m.tolist()).rotate_R(frame.rotation.tolist())
            with base:
                _add_limb(scene, number, limb)
        _add_target(scene, robot)
    _look_from_the_side(scene, robot, frames)
    return scene


def _add_limb(scene: ui.scene, number: int, limb: Limb) -> None:
    moved = [hinge.child for hinge in limb.body.hinges]
    _add_cameras(scene, number, limb, carrier=None)
    for k in range(len(limb.body.hinges)):
        with scene.group().with_name(f"link_{number}_{k}"):
            _add_cameras(scene, number, limb, carrier=moved[k])


def _add_cameras(scene: ui.scene, number: int, limb: Limb, carrier: str | None) -> None:
    """Add the cameras of a link, each with the pyramid that it sees; None is the root."""
    moved = {hinge.child for hinge in limb.body.hinges}
    for j, camera in enumerate(limb.live_cameras):
        if (camera.link if camera.link in moved else None) != carrier:
            continue
        with _placed(scene, camera.pose.xyz, camera.pose.rpy):
            # Of four sides, which are turned so that they lie beside the picture's.
            rim = VIEW_LENGTH_M * math.tan(0.5 * camera.fov_rad) * math.sqrt(2.0)
            with scene.group().with_name(f"camera_{number}_{j}"):
                cone = scene.cylinder(rim, 0.0, VIEW_LENGTH_M, 4)
                turned = Y_TO_X @ rotation_from_rpy((0.0, 0.25 * math.pi, 0.0))
                cone.move(0.5 * VIEW_LENGTH_M).rotate_R(turned.tolist())
                cone.material(VIEW_COLOR, VIEW_OPACITY, "both")


def _add_target(scene: ui.scene, robot: RobotDescription) -> None:
    target = robot.target
    with _placed(scene, target.pose.xyz, target.pose.rpy):
        for share, thickness_m, color in (
            (TAG_RIM, 0.002, "#f2f2f2"),
            (TAG_BLACK, 0.003, "#1f1f1f"),
        ):
            edge_m = share * target.size_m
            scene.box(thickness_m, edge_m, edge_m).material(color)


@contextmanager
def _placed(scene: ui.scene, xyz: Sequence[float], rpy: Sequence[float]) -> Iterator[None]:
    """Give a group at a pose; what is made within belongs to it."""
    with scene.group().move(*xyz).rotate_R(rotation_from_rpy(rpy).tolist()):
        yield


def _look_from_the_side(
    scene: ui.scene, robot: RobotDescription, frames: Sequence[LimbFrame]
) -> None:
    """Put the camera where all of the robot and its target are in sight."""
    points = [np.array(robot.target.pose.xyz)]
    for limb, frame in zip(robot.limbs, frames, strict=True):
        centers = np.array([link.center_m for link in limb.body.links])
        points += list(centers @ frame.rotation.T + frame.base_m)
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    middle, size = 0.5 * (low + high), max(float(np.linalg.norm(high - low)), 0.2)
    way = np.array([0.55, -1.0, 0.75])
    x, y, z = (middle + 1.08 * size * way / np.linalg.norm(way)).tolist()
    at_x, at_y, at_z = middle.tolist()
    scene.move_camera(x, y, z, at_x, at_y, at_z, duration=0.0)
