"""Draw the whole robot and its target from outside."""

from __future__ import annotations

import cv2
import numpy as np

from asterias.arrays import ImageArray
from hardware.description.limb import CameraDescription
from sim.physics.rotations import rotation_from_rpy
from sim.rendering.scene import look_at
from sim.world import SimWorld


def outside_view(world: SimWorld, width_px: int = 640, height_px: int = 480) -> ImageArray:
    """Return the whole robot and its target from the side, ``(H, W, 3)`` RGB.

    Raises:
        RuntimeError: the world has no pictures.
    """
    if world.scene is None:
        raise RuntimeError("This world was made without pictures; pass pictures=True.")
    for number, body in enumerate(world.bodies):
        world.scene.place_limb(number, body.hinge_rad)
    camera = CameraDescription(
        name="outside", link="world", width_px=width_px, height_px=height_px, far_m=20.0
    )
    corners = _extent(world)
    middle = corners.mean(axis=0)
    away = 1.35 * float(np.linalg.norm(corners[1] - corners[0]))
    rotation, position = look_at(middle + away * np.array([-0.22, -0.83, 0.44]), middle)
    # Drawn twice as large and reduced: the software renderer has no anti-aliasing.
    double = camera.model_copy(update={"width_px": 2 * width_px, "height_px": 2 * height_px})
    picture = world.scene.render(double, rotation, position)
    return cv2.resize(picture, (width_px, height_px), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _extent(world: SimWorld) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return the ``(2, 3)`` lowest and highest world coordinates of all links and the target."""
    points = [np.asarray(world.target_pose.xyz, dtype=np.float64)]
    for limb, body in zip(world.robot.limbs, world.bodies, strict=True):
        base = rotation_from_rpy(limb.base.rpy)
        for link in limb.body.links:
            rotation, shift = body.link_pose(link.name)
            points.append(base @ (rotation @ link.center_m + shift) + limb.base.xyz)
    return np.array([np.min(points, axis=0), np.max(points, axis=0)])
