"""What cameras and people see of a simulated robot: the interface that every renderer fills.

A scene holds limbs, target and scenery. Where cameras stand, what they frame and how the room looks
is the same for all renderers; how bodies become pixels is theirs (:mod:`sim.rendering.renderers`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray, ImageArray
from asterias.context import Closeable
from asterias.errors import DeviceError
from hardware.description.limb import CameraDescription, Pose
from hardware.description.robot import RobotDescription
from sim.physics.limb_body import LimbBody
from sim.physics.model import LinkFrames
from sim.physics.rotations import rotation_from_rpy
from sim.rendering.backdrop import COLORS, TILING, WINDOW, paint_backdrop

# A shift of a camera that was mounted as described.
_UNMOVED = (np.eye(3), np.zeros(3))
_ROOT_FRAME = (np.eye(3)[None], np.zeros((1, 3)))
# A picture shows something where it differs from the empty room by so many levels.
_SEEN = 8
# A corner that a detector finds may lie so far outside the picture.
_MARGIN_PX = 2.0


@dataclass(frozen=True)
class Appearance:
    """How the room looks; as it stands, as described.

    Attributes:
        light_direction: towards the lamp, world frame.
        ambient, diffuse: shares of light from everywhere and from the lamp.
        shadow: share of the floor's light that a shadow takes, of a renderer that casts any; with
            twice as much an encoder trained without shadows finds the target less often.
        backdrop: ``(4, 3)`` colours of floor and sky, see :data:`sim.rendering.backdrop.COLORS`.
        tiling: ``(3,)`` edge and corner of the floor's tiles, see
        :data:`sim.rendering.backdrop.TILING`. window: ``(3,)`` where daylight comes from, see
        :data:`sim.rendering.backdrop.WINDOW`.
    """

    light_direction: tuple[float, float, float] = (-0.6, -0.4, 1.2)
    ambient: float = 0.75
    diffuse: float = 0.35
    shadow: float = 0.15
    backdrop: FloatArray = field(default_factory=COLORS.copy)
    tiling: FloatArray = field(default_factory=TILING.copy)
    window: FloatArray = field(default_factory=WINDOW.copy)


class _Mounts(NamedTuple):
    """Cameras on a limb: number of the link of each (0: the root), and where they are on it."""

    link: npt.NDArray[np.int64]
    rotation: FloatArray
    place_m: FloatArray


class Scene(Closeable):
    """A room with a robot in it, to be drawn.

    Args:
        robot: limbs (placed with :meth:`place_limb`), target and scenery.
    """

    def __init__(self, robot: RobotDescription) -> None:
        self.robot = robot
        self.appearance = Appearance()
        self._bases = [
            (rotation_from_rpy(limb.base.rpy), np.asarray(limb.base.xyz, dtype=np.float64))
            for limb in robot.limbs
        ]
        self._built = self._bases
        self._mounted: dict[tuple[int, str], tuple[FloatArray, FloatArray]] = {}
        self._mounts: dict[tuple[int, tuple[str, ...]], _Mounts] = {}

    @property
    @abstractmethod
    def renderer(self) -> str:
        """The name that a description gives it."""

    @property
    @abstractmethod
    def renderer_name(self) -> str:
        """Which renderer draws, in words."""

    # -- placing --------------------------------------------------------------------------------

    @abstractmethod
    def place_limb(self, number: int, hinge_rad: FloatArray) -> None:
        """Move the drawn limb to ``(h,)`` hinge angles."""

    def place_robot(self, rotation: FloatArray, position: FloatArray) -> None:
        """Move the whole robot: the frame of its description, ``base_link``, goes to a pose."""
        self._bases = [(rotation @ turn, rotation @ at + position) for turn, at in self._built]

    def place_target(self, pose: Pose) -> None:
        """Move the target; its pose looks along +x, out of the printed side."""
        rotation = rotation_from_rpy(pose.rpy)
        half = 0.5 * self.robot.target.size_m
        square = np.array([[0, -half, -half], [0, half, -half], [0, half, half], [0, -half, half]])
        self.target_corners = np.asarray(pose.xyz) + square @ rotation.T
        self._target_front = rotation[:, 0]
        self._move_target(rotation, np.asarray(pose.xyz, dtype=np.float64))

    @abstractmethod
    def _move_target(self, rotation: FloatArray, position: FloatArray) -> None:
        """Put the drawn target where it now is."""

    def shift_camera(self, limb: int, camera: str, shift: Pose) -> None:
        """Mount a camera askew: turned and moved by ``shift`` in its own frame."""
        self._mounted[limb, camera] = rotation_from_rpy(shift.rpy), np.asarray(shift.xyz)
        self._mounts.clear()

    # -- pictures -------------------------------------------------------------------------------

    def camera_pose(
        self, number: int, camera: CameraDescription, body: LimbBody
    ) -> tuple[FloatArray, FloatArray]:
        """Return rotation ``(3, 3)`` and position ``(3,)`` in the world of a camera along +x."""
        base_rotation, base_shift = self._bases[number]
        link_rotation, link_shift = body.link_pose(camera.link)
        rotation = base_rotation @ link_rotation @ _mounting(camera.pose.rpy)
        at = base_rotation @ (link_rotation @ np.asarray(camera.pose.xyz) + link_shift)
        turn, shift = self._mounted.get((number, camera.name), _UNMOVED)
        return rotation @ turn, at + base_shift + rotation @ shift

    def camera_eyes(
        self, number: int, cameras: Sequence[CameraDescription], body: LimbBody
    ) -> FloatArray:
        """Return where ``c`` cameras of a limb stand, as :meth:`camera_pose` has it.

        Returns:
            ``(c, 4, 3)``: rotation, and position below it.
        """
        key = number, tuple(camera.name for camera in cameras)
        if key not in self._mounts:
            self._mounts[key] = self._mounts_of(number, cameras, body)
        mounts = self._mounts[key]
        base_rotation, base_shift = self._bases[number]
        links, shifts = _link_frames(mounts.link, body.frames)
        eyes = np.empty((len(cameras), 4, 3))
        turned = base_rotation @ links
        eyes[:, :3] = turned @ mounts.rotation
        eyes[:, 3] = (turned @ mounts.place_m[:, :, None])[:, :, 0] + shifts @ base_rotation.T
        eyes[:, 3] += base_shift
        return eyes

    def _mounts_of(
        self, number: int, cameras: Sequence[CameraDescription], body: LimbBody
    ) -> _Mounts:
        movers = {hinge.child: i + 1 for i, hinge in enumerate(body.limb.body.hinges)}
        rotations, places = [], []
        for camera in cameras:
            turn, shift = self._mounted.get((number, camera.name), _UNMOVED)
            rotation = _mounting(camera.pose.rpy) @ turn
            rotations.append(rotation)
            places.append(np.asarray(camera.pose.xyz) + rotation @ shift)
        link = np.array([movers.get(camera.link, 0) for camera in cameras])
        return _Mounts(link, np.array(rotations), np.array(places))

    def frames_target(
        self, camera: CameraDescription, rotation: FloatArray, position: FloatArray
    ) -> bool:
        """Return whether the tag's whole square lies in the picture and faces the camera.

        Only then can it be decoded; whether something stands before it, a picture must show.
        """
        if (position - self.target_corners[0]) @ self._target_front <= 0.0:
            return False
        seen = (self.target_corners - position) @ rotation
        ahead = seen[:, 0]
        if (ahead <= 0.0).any():
            return False
        offset_px = np.abs(seen[:, 1:]).T * camera.focal_px / ahead
        half_px = np.array([[0.5 * camera.width_px], [0.5 * camera.height_px]])
        return bool((offset_px <= half_px + _MARGIN_PX).all())

    @abstractmethod
    def render(
        self, camera: CameraDescription, rotation: FloatArray, position: FloatArray
    ) -> ImageArray:
        """Draw ``(H, W, 3)`` uint8 RGB as a pinhole camera at the pose sees it.

        Returns:
            The picture.
        """

    def render_many(self, camera: CameraDescription, eyes: FloatArray) -> ImageArray:
        """Draw what ``c`` cameras of one kind see at this instant, from ``eyes`` ``(c, 4, 3)``.

        Returns:
            The pictures ``(c, H, W, 3)``, as :meth:`render` draws them.
        """
        return np.stack([self.render(camera, eye[:3], eye[3]) for eye in eyes])

    def empty_room(
        self, camera: CameraDescription, rotation: FloatArray, position: FloatArray
    ) -> ImageArray:
        """Return floor and sky alone ``(H, W, 3)`` as a camera sees them, without any shadow."""
        size = (camera.height_px, camera.width_px)
        picture = np.empty((*size, 3), np.uint8)
        look = self.appearance
        paint_backdrop(
            np.zeros((*size, 3), np.uint8),
            np.ones(size, np.float32),
            rotation,
            position,
            camera.focal_px,
            look.backdrop,
            look.tiling,
            look.window,
            picture,
        )
        return picture

    def check(self) -> None:
        """Draw one picture of the whole scene and refuse a renderer that shows nothing.

        Raises:
            DeviceError: the picture is of one colour but for the room.
        """
        camera = CameraDescription(name="probe", link="world", width_px=64, height_px=64)
        rotation, position = look_at((1.0, -0.9, 0.9), (0.0, 0.0, 0.15))
        if not self._shows_bodies(camera, rotation, position):
            raise DeviceError(
                f"The renderer ({self.renderer_name}) draws an empty picture of the room's middle; "
                "bring robot and target there, or choose another backend.renderer."
            )

    def _shows_bodies(
        self, camera: CameraDescription, rotation: FloatArray, position: FloatArray
    ) -> bool:
        """Return whether there is anything but floor and sky in a picture."""
        picture = self.render(camera, rotation, position).astype(int)
        beside = np.abs(picture - self.empty_room(camera, rotation, position))
        return bool(beside.max() >= _SEEN)


def _link_frames(link: npt.NDArray[np.int64], frames: LinkFrames) -> tuple[FloatArray, FloatArray]:
    """Return ``(c, 3, 3)`` rotations and ``(c, 3)`` shifts of links, 0: the root."""
    if link.size == 1:  # a picture by itself, whose time this would be a tenth of
        number = int(link[0])
        if number == 0:
            return _ROOT_FRAME
        return frames.rotation[number - 1 : number], frames.shift_m[number - 1 : number]
    root_rotation, root_shift = _ROOT_FRAME
    rotations: FloatArray = np.concatenate([root_rotation, frames.rotation])[link]
    shifts: FloatArray = np.concatenate([root_shift, frames.shift_m])[link]
    return rotations, shifts


@lru_cache(maxsize=256)
def _mounting(rpy: tuple[float, float, float]) -> FloatArray:
    """Return orientation of a camera on its link; the same few are asked for with every picture."""
    return rotation_from_rpy(rpy)


def look_at(eye_m: Sequence[float], at_m: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """Return pose of a camera at ``eye_m`` that looks (+x) at ``at_m`` with the world's z up."""
    eye = np.asarray(eye_m, dtype=np.float64)
    forward = np.asarray(at_m, dtype=np.float64) - eye
    forward /= np.linalg.norm(forward)
    left = np.cross([0.0, 0.0, 1.0], forward)
    left /= np.linalg.norm(left)
    return np.column_stack([forward, left, np.cross(forward, left)]), eye


def camera_matrix(camera: CameraDescription) -> FloatArray:
    """Return ``(3, 3)`` K of the pinhole model, pixel centres at whole numbers (OpenCV and ROS)."""
    focal = camera.focal_px
    return np.array(
        [
            [focal, 0.0, 0.5 * (camera.width_px - 1)],
            [0.0, focal, 0.5 * (camera.height_px - 1)],
            [0.0, 0.0, 1.0],
        ]
    )
