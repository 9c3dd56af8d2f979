"""Pictures by our own compiled loops: smooth limbs, a soft shadow, one call for many cameras.

All that does not depend on where a camera stands is done once an instant: bones, vertices in the
world, their light, the shadow on the floor. A picture then costs its pixels and what it shows.
"""

from __future__ import annotations

import cv2
import numpy as np

from asterias.arrays import FloatArray, ImageArray
from hardware.description.limb import CameraDescription
from hardware.description.robot import RobotDescription
from hardware.perception.apriltag import tag_image
from sim.physics.rotations import rotation_from_rpy
from sim.rendering.raster.background import Packed, Single
from sim.rendering.raster.geometry import Bones, geometry_of
from sim.rendering.raster.limb_shapes import CAMERA, Detail
from sim.rendering.raster.posing import bound_parts, cast_shadow, light_vertices, place_bones
from sim.rendering.raster.triangles import draw
from sim.rendering.scene import Appearance, Scene

# By how much more of the light from everywhere comes from above than from below.
_FROM_ABOVE = 0.12
# Half the width of the shadow's soft edge, and the shadow's map: cells along an edge, and how far
# it may reach from the middle of the robot.
_PENUMBRA_M, _SHADOW_CELLS, _SHADOW_REACH_M = 0.022, 64, 1.2
# Vertices of the target's sheet: first in the geometry, its bone 0.
_SHEET = 4
# The bone of what joins the limbs, and of scenery.
_WORLD = 1


class RasterScene(Scene):
    """A robot in its room, drawn on the CPU by compiled loops.

    Args:
        robot: limbs, target and scenery.
        detail: how finely the robot is divided.
        supersampling: each pixel is the mean of so many times so many.
        shadow_cells: of the shadow's map, along an edge.
    """

    def __init__(
        self,
        robot: RobotDescription,
        *,
        detail: Detail = CAMERA,
        supersampling: int = 1,
        shadow_cells: int = _SHADOW_CELLS,
    ) -> None:
        super().__init__(robot)
        self.supersampling = supersampling
        self.geometry = geometry = geometry_of(robot, detail)
        self._texture = tag_image(robot.target.id).astype(np.float32)
        self._placed = np.zeros((geometry.bones, 4, 3), np.float32)
        self._placed[:, :3] = np.eye(3)
        self._vertices = np.zeros_like(geometry.points)
        self._colors = geometry.albedo.copy()
        self._spheres = np.zeros((len(geometry.parts), 4), np.float32)
        self._shade = np.zeros((shadow_cells, shadow_cells), np.float32)
        self._other = np.zeros_like(self._shade)
        self._place = _shadow_place(robot, shadow_cells)
        self._corner = self._place[:2].copy()
        self._angles = [np.zeros(len(bones.parents)) for bones in geometry.limbs]
        self._frames = [np.zeros((len(bones.parents) + 1, 4, 3)) for bones in geometry.limbs]
        for number in range(len(geometry.limbs)):
            self._place_bones(number)
        self._lit: Appearance | None = None
        self.place_target(robot.target.pose)

    @property
    def renderer(self) -> str:
        """``raster`` or ``raster_2x2``."""
        return "raster" if self.supersampling == 1 else f"raster_{self.supersampling}x2"

    @property
    def renderer_name(self) -> str:
        """Which renderer draws, in words."""
        times = self.supersampling
        return "compiled loops on the CPU" + (f", {times}x{times} samples" if times > 1 else "")

    def close(self) -> None:
        """Do nothing: arrays free themselves."""

    # -- placing --------------------------------------------------------------------------------

    def place_limb(self, number: int, hinge_rad: FloatArray) -> None:
        """Move the drawn limb to ``(h,)`` hinge angles."""
        angles = self._angles[number]
        if not np.array_equal(angles, hinge_rad):
            angles[:] = hinge_rad
            self._place_bones(number)
            self._lit = None

    def place_robot(self, rotation: FloatArray, position: FloatArray) -> None:
        """Move the whole robot, what joins its limbs and the place of its shadow; scenery, too."""
        super().place_robot(rotation, position)
        self._placed[_WORLD, :3], self._placed[_WORLD, 3] = rotation, position
        self._place[:2] = self._corner + position[:2]
        for number, (turn, at) in enumerate(self._bases):
            self.geometry.limbs[number].base[:3] = turn
            self.geometry.limbs[number].base[3] = at
            self._place_bones(number)
        self._lit = None

    def _place_bones(self, number: int) -> None:
        bones: Bones = self.geometry.limbs[number]
        last = bones.first + len(bones.hinges)
        place_bones(
            self._angles[number],
            bones.base,
            bones.parents,
            bones.pivots,
            bones.axes,
            bones.hinges,
            bones.shares,
            self._frames[number],
            self._placed[bones.first : last],
        )

    def _move_target(self, rotation: FloatArray, position: FloatArray) -> None:
        self._placed[0, :3], self._placed[0, 3] = rotation, position
        self._vertices[:_SHEET] = self.geometry.points[:_SHEET] @ rotation.T + position
        self._lit = None

    def _light(self) -> None:
        """Bring vertices, colours and the shadow up to date."""
        look, shapes = self.appearance, self.geometry
        towards = np.asarray(look.light_direction, dtype=np.float64)
        towards = towards / np.linalg.norm(towards)
        light = np.array([*towards, look.ambient, look.diffuse, 0.5 * _FROM_ABOVE], np.float32)
        light_vertices(
            shapes.points,
            shapes.normals,
            shapes.albedo,
            shapes.bone,
            self._placed,
            light,
            _SHEET,
            self._vertices,
            self._colors,
        )
        bound_parts(shapes.parts, self._vertices, self._spheres)
        blur = max(round(_PENUMBRA_M * float(self._place[2])), 1)
        cast_shadow(
            self._vertices,
            shapes.triangles,
            int(shapes.parts[0, 3]),
            light,
            np.float32(look.shadow),
            blur,
            self._shade,
            self._other,
            self._place,
        )
        facing = float(self._placed[0, :3, 0] @ towards)
        self._tint = np.full(3, look.ambient + look.diffuse * max(facing, 0.0), np.float32)
        room = np.concatenate([look.backdrop.ravel(), look.tiling, look.window])
        self._room = room.astype(np.float32)
        self._lit = look

    # -- pictures -------------------------------------------------------------------------------

    def render(
        self, camera: CameraDescription, rotation: FloatArray, position: FloatArray
    ) -> ImageArray:
        """Draw ``(H, W, 3)`` uint8 RGB as a pinhole camera at the pose sees it.

        Returns:
            The picture.
        """
        eyes = np.empty((1, 4, 3), np.float32)
        eyes[0, :3], eyes[0, 3] = rotation, position
        return self._rgb(self._draw(camera, eyes)[0], camera)

    def render_many(self, camera: CameraDescription, eyes: FloatArray) -> ImageArray:
        """Draw what ``c`` cameras of one kind see at this instant, in one compiled call.

        Returns:
            The pictures ``(c, H, W, 3)`` from ``eyes`` ``(c, 4, 3)``.
        """
        drawn = self._draw(camera, eyes.astype(np.float32))
        if self.supersampling == 1:
            tall = drawn.reshape(-1, camera.width_px)
            rgb = self._rgb(tall, camera)
            return rgb.reshape(len(eyes), camera.height_px, camera.width_px, 3)
        return np.stack([self._rgb(picture, camera) for picture in drawn])

    def _draw(self, camera: CameraDescription, eyes: Single) -> Packed:
        """Return packed pixels ``(c, H, W)``, times the supersampling along each edge."""
        if self._lit is not self.appearance:
            self._light()
        times, shapes = self.supersampling, self.geometry
        size = (len(eyes), times * camera.height_px, times * camera.width_px)
        pictures: Packed = np.empty(size, np.int32)
        optics = np.array([times * camera.focal_px, camera.near_m, camera.far_m], np.float32)
        draw(
            eyes,
            optics,
            self._vertices,
            self._colors,
            shapes.triangles,
            shapes.parts,
            self._spheres,
            self._texture,
            self._tint,
            self._room,
            self._shade,
            self._place,
            pictures,
        )
        return pictures

    def _rgb(self, packed: Packed, camera: CameraDescription) -> ImageArray:
        """Return ``(H, W, 3)`` of packed pixels, reduced to the camera's size."""
        # Little-endian: the bytes of a pixel are red, green, blue and 0.
        bytes_ = packed.view(np.uint8).reshape(*packed.shape, 4)
        if self.supersampling > 1:
            size = (camera.width_px, camera.height_px)
            bytes_ = cv2.resize(bytes_, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        rgb: ImageArray = cv2.cvtColor(bytes_, cv2.COLOR_RGBA2RGB).astype(np.uint8, copy=False)
        return rgb

    def _shows_bodies(
        self, camera: CameraDescription, rotation: FloatArray, position: FloatArray
    ) -> bool:
        picture = self.render(camera, rotation, position)
        spheres = self._spheres.copy()
        self._spheres[:, 3] = -1e6  # no part is in sight
        room = self.render(camera, rotation, position)
        self._spheres[:] = spheres
        return bool((picture != room).any())


def _shadow_place(robot: RobotDescription, cells: int) -> Single:
    """Return where the shadow's map lies: a square that holds the robot and its target."""
    points = [np.asarray(robot.target.pose.xyz[:2], dtype=np.float64)]
    for limb in robot.limbs:
        base = rotation_from_rpy(limb.base.rpy)
        for link in limb.body.links:
            points.append((base @ np.asarray(link.center_m) + limb.base.xyz)[:2])
    points += [np.asarray(thing.center_m[:2], dtype=np.float64) for thing in robot.scenery]
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    # Limbs reach up and aside of where they rest, and light comes at a slant.
    half = min(0.5 * float((high - low).max()) + 0.25, _SHADOW_REACH_M)
    corner = 0.5 * (low + high) - half
    return np.array([*corner, cells / (2.0 * half), 0, 0, 0, 0], np.float32)
