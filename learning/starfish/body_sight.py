"""What all cameras of a robot see, for many poses at once, by geometry alone.

Servos are where they are commanded and rods bend as the servos say, so that a pose is a product of
rotations. A camera sees the tag where all of its square lies in the picture, faces the camera, and
is drawn large enough to be decoded. What limbs hide of each other is left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from asterias.arrays import BoolArray, FloatArray
from asterias.errors import UserError
from hardware.description.limb import CameraDescription
from hardware.description.robot import RobotDescription
from sim.physics.model import IntArray
from sim.physics.numba_options import compiled
from sim.physics.rotations import rotation_from_rpy

Observations = npt.NDArray[np.float32]

# Pixels along its shorter diagonal from which on a tag counts as seen. Of 4,000 simulated pictures
# of the starfish's cameras with a whole tag by this geometry, 58 of 100 were decoded below 17 px,
# 66 from there to 20, 78 to 24, and 88 above; what limbs hide is among the misses.
SMALLEST_PX = 17.0
# Between a picture's edge and the tag's black square, for the white rim.
RIM_PX = 3.0


class _Chain(NamedTuple):
    """The hinges of all limbs, alike in number and order.

    Attributes:
        axis, pivot: ``(limbs, h, 3)``.
        link: ``(c,)`` hinge that carries each camera.
        mount: ``(limbs, c, 3, 3)``.
        place: ``(limbs, c, 3)``.
    """

    axis: FloatArray
    pivot: FloatArray
    link: IntArray
    mount: FloatArray
    place: FloatArray


class BodySight:
    """Which cameras see the target.

    Args:
        robot: limbs alike in hinges and cameras, each hinge with a servo.

    Attributes:
        limbs, joints, cameras: how many, the latter two of each limb.
        limits_rad: ``(limbs, joints, 2)``.
        middle_m: ``(3,)`` of the robot, between its limbs.

    Raises:
        UserError: the limbs differ, or have hinges without a servo.
    """

    def __init__(self, robot: RobotDescription) -> None:
        hinges = [[hinge.name for hinge in limb.body.hinges] for limb in robot.limbs]
        servos = [[joint.hinge for joint in limb.joints] for limb in robot.limbs]
        cameras = {len(limb.live_cameras) for limb in robot.limbs}
        if servos != hinges or len({len(names) for names in hinges}) > 1 or len(cameras) > 1:
            raise UserError(
                f"{robot.name} cannot search with its whole body: its limbs must be alike, with a "
                "servo on each hinge in turn."
            )
        self.limbs, self.joints, self.cameras = len(hinges), len(hinges[0]), cameras.pop()
        self.limits_rad = np.array([[j.limits_rad for j in limb.joints] for limb in robot.limbs])
        self.middle_m = np.mean([limb.base.xyz for limb in robot.limbs], axis=0)
        first = robot.limbs[0].live_cameras[0]
        half = [0.5 * first.width_px - RIM_PX, 0.5 * first.height_px - RIM_PX]
        self._optics = np.array([first.focal_px, *half, 0.5 * robot.target.size_m, SMALLEST_PX])
        self._turn = np.array([rotation_from_rpy(limb.base.rpy) for limb in robot.limbs])
        self._base = np.array([limb.base.xyz for limb in robot.limbs], np.float64)
        self._chain = _chain_of(robot)

    def sees(
        self, joints_rad: npt.ArrayLike, place_m: Observations, turn: Observations
    ) -> BoolArray:
        """Return ``(N, limbs, c)`` which cameras see a target.

        Args:
            joints_rad: ``(N, limbs, joints)``.
            place_m: ``(N, 3)`` of the target's middle.
            turn: ``(N, 3, 3)`` of the target, which faces along its x axis.
        """
        angles = np.ascontiguousarray(joints_rad, dtype=np.float64)
        found = np.zeros((len(angles), self.limbs, self.cameras), np.bool_)
        chain = self._chain
        _look(
            np.sin(angles),
            np.cos(angles),
            place_m.astype(np.float64),
            np.ascontiguousarray(turn.transpose(0, 2, 1), dtype=np.float64),
            chain.axis,
            chain.pivot,
            chain.link,
            chain.mount,
            chain.place,
            self._turn,
            self._base,
            self._optics,
            found,
        )
        return found


@compiled
def _frames(
    eye: FloatArray, look: FloatArray, place_m: FloatArray, sheet: FloatArray, optics: FloatArray
) -> bool:
    """Return whether a camera at ``eye`` sees a target whose axes are the rows of ``sheet``."""
    focal, half_x, half_y, half_m, smallest = optics
    if (eye - place_m) @ sheet[0] <= 0.0:
        return False
    pixels = np.empty((4, 2))
    for corner in range(4):
        across = half_m if corner in (1, 2) else -half_m
        up = half_m if corner >= 2 else -half_m
        away = (place_m + across * sheet[1] + up * sheet[2] - eye) @ look
        if away[0] <= 0.02:
            return False
        pixels[corner] = focal / away[0] * away[1:]
        if abs(pixels[corner, 0]) > half_x or abs(pixels[corner, 1]) > half_y:
            return False
    first = np.hypot(pixels[0, 0] - pixels[2, 0], pixels[0, 1] - pixels[2, 1])
    second = np.hypot(pixels[1, 0] - pixels[3, 0], pixels[1, 1] - pixels[3, 1])
    return bool(min(first, second) >= smallest)


@compiled
def _look(
    sine: FloatArray,
    cosine: FloatArray,
    place_m: FloatArray,
    sheet: FloatArray,
    axis: FloatArray,
    pivot: FloatArray,
    link: IntArray,
    mount: FloatArray,
    place: FloatArray,
    base_turn: FloatArray,
    base_m: FloatArray,
    optics: FloatArray,
    found: BoolArray,
) -> None:
    """Fill in ``(N, limbs, c)`` which cameras see the target."""
    count, limbs, cameras = found.shape
    joints = sine.shape[2]
    turns, shifts = np.empty((joints, 3, 3)), np.empty((joints, 3))
    for n in range(count):
        for limb in range(limbs):
            turn, shift = base_turn[limb].copy(), base_m[limb].copy()
            for h in range(joints):
                x, y, z = axis[limb, h]
                s, c = sine[n, limb, h], cosine[n, limb, h]
                d = 1.0 - c
                own = np.array(
                    (
                        (c + d * x * x, d * x * y - s * z, d * x * z + s * y),
                        (d * x * y + s * z, c + d * y * y, d * y * z - s * x),
                        (d * x * z - s * y, d * y * z + s * x, c + d * z * z),
                    )
                )
                below = turn @ own
                shift = shift + (turn - below) @ pivot[limb, h]
                turn = below
                turns[h], shifts[h] = turn, shift
            for camera in range(cameras):
                k = link[camera]
                eye = turns[k] @ place[limb, camera] + shifts[k]
                look = turns[k] @ mount[limb, camera]
                found[n, limb, camera] = _frames(eye, look, place_m[n], sheet[n], optics)


def _chain_of(robot: RobotDescription) -> _Chain:
    axes = np.array([[h.axis for h in limb.body.hinges] for limb in robot.limbs], np.float64)
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    pivot = np.array([[h.pivot_m for h in limb.body.hinges] for limb in robot.limbs], np.float64)
    names = [hinge.child for hinge in robot.limbs[0].body.hinges]
    cameras = [limb.live_cameras for limb in robot.limbs]
    return _Chain(
        axis=axes,
        pivot=pivot,
        link=np.array([names.index(camera.link) for camera in cameras[0]]),
        mount=np.array([[_mounting(c) for c in row] for row in cameras], np.float64),
        place=np.array([[c.pose.xyz for c in row] for row in cameras], np.float64),
    )


def _mounting(camera: CameraDescription) -> FloatArray:
    turn: FloatArray = rotation_from_rpy(camera.pose.rpy)
    return turn
