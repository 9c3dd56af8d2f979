"""Which places a limb's cameras see from a pose: field of view, distance, and what stands before.

The model is the robot's description alone: where links are when the limb rests, boxes of links and
of scenery, cameras, the tag's size. It knows neither the target's place nor the simulation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asterias.arrays import BoolArray, FloatArray
from hardware.description.limb import CameraDescription
from hardware.description.robot import RobotDescription
from sim.physics.kinematics import SoftLimb
from sim.physics.numba_options import compiled
from sim.physics.rotations import rotation_from_rpy

# Links that come to rest this closely; a camera's axis turns by far less than a pixel.
_SETTLED_RAD = 1e-3


@dataclass(frozen=True)
class _Part:
    """A box that hides what is behind it: the hinge whose child it is (-1: it stands still)."""

    hinge: int
    center_m: FloatArray
    half_m: FloatArray


class LimbSight:
    """What the cameras of a limb see at rest.

    Args:
        robot: the description.
        limb: number of the limb.
        places_m: ``(N, 3)`` places in the world that are asked for.
    """

    def __init__(self, robot: RobotDescription, limb: int, places_m: FloatArray) -> None:
        about = robot.limbs[limb]
        self.cameras: tuple[CameraDescription, ...] = about.live_cameras
        self.places_m = places_m
        self._kinematics = SoftLimb.of(robot, limb)
        self._tag_m = robot.target.size_m
        hinges = {hinge.child: i for i, hinge in enumerate(about.body.hinges)}
        self._hinge_of = [hinges.get(camera.link, -1) for camera in self.cameras]
        self._mountings = [rotation_from_rpy(camera.pose.rpy) for camera in self.cameras]
        self._links = [
            _Part(hinges.get(link.name, -1), np.array(link.center_m), 0.5 * np.array(link.size_m))
            for link in about.body.links
        ]
        self._scenery = [
            _Part(-1, np.array(box.center_m), 0.5 * np.array(box.size_m)) for box in robot.scenery
        ]

    def camera_poses(self, servo_rad: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return rotations ``(c, 3, 3)`` and positions ``(c, 3)``, world, of cameras along +x."""
        return self._cameras_at(*self._frames(servo_rad))

    def seen(self, servo_rad: npt.ArrayLike) -> BoolArray:
        """Return ``(c, N)`` which camera would see a tag at which place, the limb facing it.

        ``servo_rad``: ``(n,)`` positions of the servos.
        """
        rotations, shifts = self._frames(servo_rad)
        turns, centers, halves = self._boxes(rotations, shifts)
        facing, positions = self._cameras_at(rotations, shifts)
        seen = np.zeros((len(self.cameras), len(self.places_m)), np.bool_)
        for j, camera in enumerate(self.cameras):
            half_px = 0.5 * np.array([camera.width_px, camera.height_px])
            _look(
                self.places_m,
                facing[j],
                positions[j],
                half_px / camera.focal_px,
                0.5 * self._tag_m,
                turns,
                centers,
                halves,
                seen[j],
            )
        return seen

    def _frames(self, servo_rad: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        hinge_rad = self._kinematics.hinges(servo_rad, _SETTLED_RAD)
        rotations, shifts = self._kinematics.link_poses(hinge_rad)
        # One more for parts that no hinge moves, which number -1 finds.
        still = np.concatenate([rotations, np.eye(3)[None]])
        base, at = self._kinematics.base_rotation, self._kinematics.base_m
        return base @ still, np.concatenate([shifts, np.zeros((1, 3))]) @ base.T + at

    def _cameras_at(
        self, rotations: FloatArray, shifts: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        turned, places = [], []
        for camera, hinge, mounting in zip(
            self.cameras, self._hinge_of, self._mountings, strict=True
        ):
            turned.append(rotations[hinge] @ mounting)
            places.append(rotations[hinge] @ np.asarray(camera.pose.xyz) + shifts[hinge])
        return np.array(turned), np.array(places)

    def _boxes(
        self, rotations: FloatArray, shifts: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return rotations ``(B, 3, 3)``, centres and half edges ``(B, 3)`` of all boxes."""
        turns = [rotations[part.hinge] for part in self._links]
        centers = [rotations[p.hinge] @ p.center_m + shifts[p.hinge] for p in self._links]
        turns += [np.eye(3)] * len(self._scenery)
        centers += [part.center_m for part in self._scenery]
        halves = [part.half_m for part in (*self._links, *self._scenery)]
        return np.array(turns), np.array(centers), np.array(halves)


@compiled
def _look(
    places: FloatArray,
    rotation: FloatArray,
    position: FloatArray,
    half_field: FloatArray,
    half_tag: float,
    turns: FloatArray,
    centers: FloatArray,
    halves: FloatArray,
    seen: BoolArray,
) -> None:
    """Fill ``(N,)`` ``seen``: the whole tag is in the picture, and no box before its centre."""
    for i in range(len(places)):
        dx = places[i, 0] - position[0]
        dy = places[i, 1] - position[1]
        dz = places[i, 2] - position[2]
        ahead = dx * rotation[0, 0] + dy * rotation[1, 0] + dz * rotation[2, 0]
        across = dx * rotation[0, 1] + dy * rotation[1, 1] + dz * rotation[2, 1]
        upward = dx * rotation[0, 2] + dy * rotation[1, 2] + dz * rotation[2, 2]
        if ahead <= half_tag:
            continue
        if abs(across) + half_tag > half_field[0] * ahead:
            continue
        if abs(upward) + half_tag > half_field[1] * ahead:
            continue
        seen[i] = True
        for b in range(len(centers)):
            if _hides(position, places[i], turns[b], centers[b], halves[b]):
                seen[i] = False
                break


@compiled
def _hides(
    eye: FloatArray, place: FloatArray, turn: FloatArray, center: FloatArray, half: FloatArray
) -> bool:
    """Return whether a box stands between eye and place (slabs); one round the eye does not."""
    near, far, is_inside = 0.0, 1.0, True
    for k in range(3):
        start = 0.0
        way = 0.0
        for m in range(3):
            start += (eye[m] - center[m]) * turn[m, k]
            way += (place[m] - eye[m]) * turn[m, k]
        if abs(start) > half[k]:
            is_inside = False
        if abs(way) < 1e-12:
            if abs(start) > half[k]:
                return False
            continue
        first, second = (-half[k] - start) / way, (half[k] - start) / way
        near = max(near, min(first, second))
        far = min(far, max(first, second))
        if near > far:
            return False
    return not is_inside
