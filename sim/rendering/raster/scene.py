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
from sim.rendering.raster.geometry import BODY, Geometry, geometry_of
from sim.rendering.raster.limb_shapes import CAMERA, Detail
from sim.rendering.raster.stage import SHEET, Shapes, Stage, pose
from sim.rendering.raster.triangles import draw
from sim.rendering.scene import Appearance, Scene

# By how much more of the light from everywhere comes from above than from below.
_FROM_ABOVE = 0.12
# Half the width of the shadow's soft edge, and the shadow's map: cells along an edge, and how far
# it may reach from the middle of the robot.
_PENUMBRA_M, _SHADOW_CELLS, _SHADOW_REACH_M = 0.022, 64, 1.2


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
        self.geometry = geometry_of(robot, detail)
        cells_per_m = shadow_cells / (2.0 * _shadow_half(robot)[2])
        blur = max(round(_PENUMBRA_M * cells_per_m), 1)
        self.shapes = _shapes(self.geometry, robot, blur)
        self.stage = _stage(self.geometry, robot, shadow_cells)
        self._corner = self.stage.place[:2].astype(np.float64)
        self._look: Appearance | None = None
        self._is_posed = False
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
        first = self.shapes.first_hinge
        angles = self.stage.angles[first[number] : first[number + 1]]
        if not np.array_equal(angles, hinge_rad):
            angles[:] = hinge_rad
            self._is_posed = False

    def place_robot(self, rotation: FloatArray, position: FloatArray) -> None:
        """Move the whole robot, what joins its limbs and the place of its shadow."""
        super().place_robot(rotation, position)
        stage = self.stage
        stage.placed[BODY, :3], stage.placed[BODY, 3] = rotation, position
        stage.place[:2] = self._corner + position[:2]
        for base, (turn, at) in zip(stage.bases, self._bases, strict=True):
            base[:3], base[3] = turn, at
        self._is_posed = False

    def _move_target(self, rotation: FloatArray, position: FloatArray) -> None:
        stage = self.stage
        stage.placed[0, :3], stage.placed[0, 3] = rotation, position
        stage.vertices[:SHEET] = self.geometry.points[:SHEET] @ rotation.T + position
        self._look, self._is_posed = None, False

    def share(self, shapes: Shapes, stage: Stage) -> None:
        """Draw from arrays that lie among those of other scenes (:mod:`sim.vectorised`)."""
        self.shapes, self.stage = shapes, stage

    def begin_drawing(self) -> bool:
        """Bring the light up to date, before a picture.

        Returns:
            Whether the robot has to be posed.
        """
        if self._look is not self.appearance:
            self._light()
        was_posed, self._is_posed = self._is_posed, True
        return not was_posed

    def _light(self) -> None:
        """Write light, tint and room as they are now."""
        look, stage = self.appearance, self.stage
        towards = np.asarray(look.light_direction, dtype=np.float64)
        towards = towards / np.linalg.norm(towards)
        stage.light[:] = [*towards, look.ambient, look.diffuse, 0.5 * _FROM_ABOVE, look.shadow]
        facing = float(stage.placed[0, :3, 0] @ towards)
        stage.tint[:] = look.ambient + look.diffuse * max(facing, 0.0)
        stage.room[:] = np.concatenate([look.backdrop.ravel(), look.tiling, look.window])
        self._look, self._is_posed = look, False

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
        return self.finish(self._draw(camera, eyes.astype(np.float32)), camera)

    def _draw(self, camera: CameraDescription, eyes: Single) -> Packed:
        """Return packed pixels ``(c, H, W)``, times the supersampling along each edge."""
        if self.begin_drawing():
            pose(self.shapes, self.stage)
        size, optics = self.picture_size(camera), self.optics(camera)
        pictures: Packed = np.empty((len(eyes), *size), np.int32)
        stage = self.stage
        draw(
            eyes,
            optics,
            stage.vertices,
            stage.colors,
            self.shapes.triangles,
            self.shapes.parts,
            stage.spheres,
            self.shapes.texture,
            stage.tint,
            stage.room,
            stage.shade,
            stage.place,
            pictures,
        )
        return pictures

    def picture_size(self, camera: CameraDescription) -> tuple[int, int]:
        """Return height and width of what is drawn for a camera's picture, px."""
        return self.supersampling * camera.height_px, self.supersampling * camera.width_px

    def optics(self, camera: CameraDescription) -> Single:
        """Return ``(3,)`` focal length in drawn px, near and far plane in m."""
        focal = self.supersampling * camera.focal_px
        return np.array([focal, camera.near_m, camera.far_m], np.float32)

    def finish(self, packed: Packed, camera: CameraDescription) -> ImageArray:
        """Return ``(c, H, W, 3)`` RGB of packed pixels ``(c, H, W)``, supersampled ones reduced."""
        if self.supersampling == 1:
            rgb = self._rgb(packed.reshape(-1, camera.width_px), camera)
            return rgb.reshape(len(packed), camera.height_px, camera.width_px, 3)
        return np.stack([self._rgb(picture, camera) for picture in packed])

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
        spheres = self.stage.spheres.copy()
        self.stage.spheres[:, 3] = -1e6  # no part is in sight
        room = self.render(camera, rotation, position)
        self.stage.spheres[:] = spheres
        return bool((picture != room).any())


def _shapes(geometry: Geometry, robot: RobotDescription, blur: int) -> Shapes:
    """Return what does not change, the limbs' bones behind each other."""
    limbs = geometry.limbs
    return Shapes(
        points=geometry.points,
        normals=geometry.normals,
        albedo=geometry.albedo,
        bone=geometry.bone,
        triangles=geometry.triangles,
        parts=geometry.parts,
        texture=tag_image(robot.target.id).astype(np.float32),
        parents=np.concatenate([bones.parents for bones in limbs]),
        pivots=np.concatenate([bones.pivots for bones in limbs]),
        axes=np.concatenate([bones.axes for bones in limbs]),
        hinges=np.concatenate([bones.hinges for bones in limbs]),
        shares=np.concatenate([bones.shares for bones in limbs]),
        first_hinge=np.cumsum([0, *(len(bones.parents) for bones in limbs)]),
        first_bone=limbs[0].first + np.cumsum([0, *(len(bones.hinges) for bones in limbs)]),
        blur=blur,
    )


def _stage(geometry: Geometry, robot: RobotDescription, shadow_cells: int) -> Stage:
    """Return the robot as described, not posed yet."""
    hinges = sum(len(bones.parents) for bones in geometry.limbs)
    placed = np.zeros((geometry.bones, 4, 3), np.float32)
    placed[:, :3] = np.eye(3)
    corner_x, corner_y, half = _shadow_half(robot)
    place = np.zeros(7, np.float32)
    place[:3] = corner_x, corner_y, shadow_cells / (2.0 * half)
    shade = np.zeros((shadow_cells, shadow_cells), np.float32)
    return Stage(
        bases=np.stack([bones.base for bones in geometry.limbs]),
        angles=np.zeros(hinges),
        frames=np.zeros((hinges + len(geometry.limbs), 4, 3)),
        placed=placed,
        vertices=np.zeros_like(geometry.points),
        colors=geometry.albedo.copy(),
        spheres=np.zeros((len(geometry.parts), 4), np.float32),
        shade=shade,
        other=np.zeros_like(shade),
        place=place,
        light=np.zeros(7, np.float32),
        tint=np.zeros(3, np.float32),
        room=np.zeros(18, np.float32),
    )


def _shadow_half(robot: RobotDescription) -> tuple[float, float, float]:
    """Return corner and half edge in m of the shadow's map: it holds the robot and its target."""
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
    return float(corner[0]), float(corner[1]), half
