"""Draw the whole robot and its target from outside."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import cv2
import numpy as np

from asterias.arrays import FloatArray, ImageArray
from hardware.description.limb import CameraDescription
from sim.physics.rotations import rotation_from_rpy
from sim.rendering.film_view import studio
from sim.rendering.raster.limb_shapes import PEOPLE
from sim.rendering.raster.scene import RasterScene
from sim.rendering.scene import Scene, look_at
from sim.world import SimWorld

# From where to where: a rotation (3, 3) and a position (3,) of a camera that looks along +x.
Viewpoint = tuple[FloatArray, FloatArray]


def outside_view(
    world: SimWorld,
    width_px: int = 640,
    height_px: int = 480,
    viewpoint: Viewpoint | None = None,
) -> ImageArray:
    """Return the whole robot and its target from the side, ``(H, W, 3)`` RGB.

    Args:
        world: with pictures.
        width_px: of the picture.
        height_px: of the picture.
        viewpoint: where the camera stands, as in a film; None: so that all of the robot is seen.

    Raises:
        RuntimeError: the world has no pictures.
    """
    if world.scene is None:
        raise RuntimeError("This world was made without pictures; pass pictures=True.")
    camera = CameraDescription(
        name="outside", link="world", width_px=width_px, height_px=height_px, far_m=20.0
    )
    rotation, position = viewpoint or viewpoint_of(extent(world))
    scene = _for_people(world, world.scene)
    for number, body in enumerate(world.bodies):
        scene.place_limb(number, body.hinge_rad)
    if isinstance(scene, RasterScene):
        scene.place_target(world.target_pose)
        return scene.render(camera, rotation, position)
    # Drawn twice as large and reduced: PyBullet's software renderer has no anti-aliasing.
    double = camera.model_copy(update={"width_px": 2 * width_px, "height_px": 2 * height_px})
    picture = scene.render(double, rotation, position)
    return cv2.resize(picture, (width_px, height_px), interpolation=cv2.INTER_AREA).astype(np.uint8)


# A scene of the cameras -> the same at the detail of pictures for people.
_FINE: WeakKeyDictionary[Scene, RasterScene] = WeakKeyDictionary()


def _for_people(world: SimWorld, scene: Scene) -> Scene:
    """Return the same room in fine detail, where the cameras' renderer has one."""
    if not isinstance(scene, RasterScene):
        return scene
    if scene not in _FINE:
        _FINE[scene] = RasterScene(world.robot, detail=PEOPLE, supersampling=2, shadow_cells=320)
        _FINE[scene].appearance = studio()
    return _FINE[scene]


def viewpoint_of(corners_m: FloatArray) -> Viewpoint:
    """Return from where all between the ``(2, 3)`` lowest and highest coordinates is seen."""
    away = 1.35 * float(np.linalg.norm(corners_m[1] - corners_m[0]))
    middle = corners_m.mean(axis=0)
    return look_at(middle + away * np.array([-0.22, -0.83, 0.44]), middle)


def extent(world: SimWorld) -> FloatArray:
    """Return the ``(2, 3)`` lowest and highest world coordinates of all links and the target."""
    points = [np.asarray(world.target_pose.xyz, dtype=np.float64)]
    for limb, body in zip(world.robot.limbs, world.bodies, strict=True):
        base = rotation_from_rpy(limb.base.rpy)
        for link in limb.body.links:
            rotation, shift = body.link_pose(link.name)
            points.append(base @ (rotation @ link.center_m + shift) + limb.base.xyz)
    return np.array([np.min(points, axis=0), np.max(points, axis=0)])
