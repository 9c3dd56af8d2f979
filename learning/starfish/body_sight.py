"""What all cameras of a robot see, for many poses at once, by geometry alone.

Servos are where they are commanded and rods bend as the servos say, so that a pose is a product of
rotations. A camera sees the tag where all of its square lies in the picture, faces the camera, and
no link comes between them, taken as a ball; a share of such tags is decoded, more of large ones.
"""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from asterias.arrays import BoolArray, FloatArray
from asterias.errors import UserError
from hardware.description.limb import Body, CameraDescription
from hardware.description.robot import RobotDescription
from sim.physics.model import IntArray
from sim.physics.numba_options import compiled
from sim.physics.rotations import rotation_from_rpy

Observations = npt.NDArray[np.float32]

# Between a picture's edge and the tag's black square, for the white rim.
RIM_PX = 3.0
# Of the balls that stand for links where one hides the target from another's camera, and shares of
# tags that are decoded by their shorter diagonal. From 10,526 pictures of the simulated starfish in
# 100 random poses (10 random targets apiece are in sight): of nine radii this one tells best which
# are decoded (log likelihood -0.23 a picture; without balls -0.53).
LINK_M = 0.030
DECODED = ((12.0, 0.65), (15.0, 0.88), (17.5, 0.95), (20.0, 0.975), (28.0, 0.985))


class Chain(NamedTuple):
    """The hinges of all limbs, alike in number and order.

    Attributes:
        axis, pivot, middle: ``(limbs, h, 3)`` of each hinge, and of the link that it carries.
        link: ``(c,)`` hinge that carries each camera.
        mount: ``(limbs, c, 3, 3)``.
        place: ``(limbs, c, 3)``.
    """

    axis: FloatArray
    pivot: FloatArray
    middle: FloatArray
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
        base_turn, base_m: ``(limbs, 3, 3)`` and ``(limbs, 3)`` of each limb's base.
        chain: its hinges and cameras.
        optics: focal length, half width and height in px, half the tag's edge and the radius of
            links in m.

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
        self.optics = np.array([first.focal_px, *half, 0.5 * robot.target.size_m, LINK_M])
        self.base_turn = np.array([rotation_from_rpy(limb.base.rpy) for limb in robot.limbs])
        self.base_m = np.array([limb.base.xyz for limb in robot.limbs], np.float64)
        self.chain = _chain_of(robot)

    def outline(self, joints_rad: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return limbs as lines ``(limbs, h + 1, 3)``, and where cameras are, ``(limbs, c, 3)``.

        Args:
            joints_rad: ``(limbs, joints)``.
        """
        lines = np.zeros((self.limbs, self.joints + 1, 3))
        eyes = np.zeros((self.limbs, self.cameras, 3))
        for limb in range(self.limbs):
            turn, shift = self.base_turn[limb], self.base_m[limb]
            lines[limb, 0] = shift
            for hinge in range(self.joints):
                x, y, z = self.chain.axis[limb, hinge]
                skew = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
                angle = joints_rad[limb, hinge]
                own = np.eye(3) + np.sin(angle) * skew + (1.0 - np.cos(angle)) * skew @ skew
                shift = shift + (turn - turn @ own) @ self.chain.pivot[limb, hinge]
                turn = turn @ own
                lines[limb, hinge + 1] = turn @ self.chain.middle[limb, hinge] + shift
                carried = self.chain.link == hinge
                eyes[limb, carried] = self.chain.place[limb, carried] @ turn.T + shift
        return lines, eyes

    def with_margin(self, margin_px: float) -> BodySight:
        """Return the same where tags count only so far inside the picture's edge."""
        strict = copy(self)
        strict.optics = self.optics - np.array([0.0, margin_px, margin_px, 0.0, 0.0])
        return strict

    def without_links(self) -> BodySight:
        """Return the same where links hide nothing."""
        bare = copy(self)
        bare.optics = np.array([*self.optics[:4], 0.0])
        return bare

    def sees(
        self,
        joints_rad: npt.ArrayLike,
        place_m: Observations,
        turn: Observations,
        rng: np.random.Generator | None = None,
    ) -> BoolArray:
        """Return which cameras see targets, as :meth:`sizes_px` has them; uncertain ones are drawn.

        Args:
            joints_rad: ``(N, limbs, joints)``.
            place_m: of targets.
            turn: of targets.
            rng: of what is uncertain; without it the more probable holds.
        """
        chance = self.chances(joints_rad, place_m, turn)
        sees: BoolArray = chance > (0.5 if rng is None else rng.random(chance.shape))
        return sees

    def chances(
        self, joints_rad: npt.ArrayLike, place_m: Observations, turn: Observations
    ) -> FloatArray:
        """Return ``(N, ..., limbs, c)`` how probable each camera's decoding of targets is."""
        at_px, share = np.array(DECODED).T
        sizes_px = self.sizes_px(joints_rad, place_m, turn)
        chances: FloatArray = np.interp(sizes_px, at_px, share, left=0.0)
        return chances

    def sizes_px(
        self, joints_rad: npt.ArrayLike, place_m: Observations, turn: Observations
    ) -> FloatArray:
        """Return ``(N, ..., limbs, c)`` shorter diagonals of targets, 0 where they are not seen.

        Args:
            joints_rad: ``(N, limbs, joints)``.
            place_m: ``(N, 3)`` of a target's middle, or ``(N, M, 3)`` of several.
            turn: ``(N, 3, 3)`` or ``(N, M, 3, 3)`` of the target, which faces along its x axis.
        """
        angles = np.ascontiguousarray(joints_rad, dtype=np.float64)
        count, chain = len(angles), self.chain
        sheets = np.swapaxes(turn, -1, -2).reshape(count, -1, 3, 3)
        places = place_m.reshape(count, -1, 3)
        sizes = np.zeros((count, places.shape[1], self.limbs, self.cameras))
        _look(
            np.sin(angles),
            np.cos(angles),
            np.ascontiguousarray(places, dtype=np.float64),
            np.ascontiguousarray(sheets, dtype=np.float64),
            chain.axis,
            chain.pivot,
            chain.middle,
            chain.link,
            chain.mount,
            chain.place,
            self.base_turn,
            self.base_m,
            self.optics,
            sizes,
        )
        return sizes.reshape((*place_m.shape[:-1], self.limbs, self.cameras))


@compiled
def _size_px(
    eye: FloatArray,
    look: FloatArray,
    place_m: FloatArray,
    sheet: FloatArray,
    optics: FloatArray,
    corners: FloatArray,
) -> float:
    """Return the shorter diagonal of a whole tag that faces a camera at ``eye``, otherwise 0.

    The target's axes are the rows of ``sheet``; ``corners`` ``(4, 3)`` is filled in.
    """
    focal, half_x, half_y, half_m = optics[0], optics[1], optics[2], optics[3]
    a, b, c = place_m[0] - eye[0], place_m[1] - eye[1], place_m[2] - eye[2]
    if a * sheet[0, 0] + b * sheet[0, 1] + c * sheet[0, 2] >= 0.0:
        return 0.0
    middle = a * look[0, 0] + b * look[1, 0] + c * look[2, 0]
    if middle <= 0.02 or focal * abs(a * look[0, 1] + b * look[1, 1] + c * look[2, 1]) > (
        half_x * middle
    ):
        return 0.0
    pixels = np.empty((4, 2))
    for corner in range(4):
        across = half_m if corner in (1, 2) else -half_m
        up = half_m if corner >= 2 else -half_m
        for i in range(3):
            corners[corner, i] = place_m[i] + across * sheet[1, i] + up * sheet[2, i]
        a, b, c = (
            corners[corner, 0] - eye[0],
            corners[corner, 1] - eye[1],
            corners[corner, 2] - eye[2],
        )
        ahead = a * look[0, 0] + b * look[1, 0] + c * look[2, 0]
        if ahead <= 0.02:
            return 0.0
        pixels[corner, 0] = focal / ahead * (a * look[0, 1] + b * look[1, 1] + c * look[2, 1])
        pixels[corner, 1] = focal / ahead * (a * look[0, 2] + b * look[1, 2] + c * look[2, 2])
        if abs(pixels[corner, 0]) > half_x or abs(pixels[corner, 1]) > half_y:
            return 0.0
    first = np.hypot(pixels[0, 0] - pixels[2, 0], pixels[0, 1] - pixels[2, 1])
    second = np.hypot(pixels[1, 0] - pixels[3, 0], pixels[1, 1] - pixels[3, 1])
    return float(min(first, second))


@compiled
def _is_hidden(
    eye: FloatArray, corners: FloatArray, middles: FloatArray, limb: int, link: int, radius_m: float
) -> bool:
    """Return whether a link comes between a camera on ``link`` of ``limb`` and a corner.

    Links are balls at ``middles`` ``(limbs, h, 3)``; the camera's own and its neighbours, which it
    looks away from, are left out.
    """
    for corner in range(4):
        a, b, c = (
            corners[corner, 0] - eye[0],
            corners[corner, 1] - eye[1],
            corners[corner, 2] - eye[2],
        )
        long = a * a + b * b + c * c
        for other in range(middles.shape[0]):
            for k in range(middles.shape[1]):
                if other == limb and abs(k - link) <= 1:
                    continue
                u, v, w = (
                    middles[other, k, 0] - eye[0],
                    middles[other, k, 1] - eye[1],
                    middles[other, k, 2] - eye[2],
                )
                along = (u * a + v * b + w * c) / long
                if along <= 0.0 or along >= 1.0:
                    continue
                u, v, w = u - along * a, v - along * b, w - along * c
                if u * u + v * v + w * w < radius_m * radius_m:
                    return True
    return False


@compiled
def _look(
    sine: FloatArray,
    cosine: FloatArray,
    place_m: FloatArray,
    sheet: FloatArray,
    axis: FloatArray,
    pivot: FloatArray,
    middle: FloatArray,
    link: IntArray,
    mount: FloatArray,
    place: FloatArray,
    base_turn: FloatArray,
    base_m: FloatArray,
    optics: FloatArray,
    sizes_px: FloatArray,
) -> None:
    """Fill in ``(N, targets, limbs, c)`` how large cameras see the target, 0 where they do not."""
    count, targets, limbs, cameras = sizes_px.shape
    joints = sine.shape[2]
    turns, shifts = np.empty((limbs, joints, 3, 3)), np.empty((limbs, joints, 3))
    middles, corners = np.empty((limbs, joints, 3)), np.empty((4, 3))
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
                turns[limb, h], shifts[limb, h] = turn, shift
                middles[limb, h] = turn @ middle[limb, h] + shift
        for limb in range(limbs):
            for camera in range(cameras):
                k = link[camera]
                eye = turns[limb, k] @ place[limb, camera] + shifts[limb, k]
                look = turns[limb, k] @ mount[limb, camera]
                for m in range(targets):
                    size = _size_px(eye, look, place_m[n, m], sheet[n, m], optics, corners)
                    if size > 0.0 and _is_hidden(eye, corners, middles, limb, k, optics[4]):
                        size = 0.0
                    sizes_px[n, m, limb, camera] = size


def _chain_of(robot: RobotDescription) -> Chain:
    axes = np.array([[h.axis for h in limb.body.hinges] for limb in robot.limbs], np.float64)
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    pivot = np.array([[h.pivot_m for h in limb.body.hinges] for limb in robot.limbs], np.float64)
    names = [hinge.child for hinge in robot.limbs[0].body.hinges]
    cameras = [limb.live_cameras for limb in robot.limbs]
    return Chain(
        axis=axes,
        pivot=pivot,
        middle=np.array([_middles(limb.body) for limb in robot.limbs], np.float64),
        link=np.array([names.index(camera.link) for camera in cameras[0]]),
        mount=np.array([[_mounting(c) for c in row] for row in cameras], np.float64),
        place=np.array([[c.pose.xyz for c in row] for row in cameras], np.float64),
    )


def _middles(body: Body) -> list[tuple[float, float, float]]:
    centers = {link.name: link.center_m for link in body.links}
    return [centers[hinge.child] for hinge in body.hinges]


def _mounting(camera: CameraDescription) -> FloatArray:
    turn: FloatArray = rotation_from_rpy(camera.pose.rpy)
    return turn
