"""The robot from outside, drawn for people: rounded limbs, shadows, and where a camera looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray, ImageArray
from asterias.context import Closeable
from hardware.description.limb import CameraDescription, Link
from hardware.description.robot import RobotDescription
from sim.physics.rotations import rotation_from_rpy
from sim.rendering.backdrop import paint_backdrop
from sim.rendering.bullet import pybullet
from sim.rendering.rounded_boxes import rounded_box
from sim.rendering.scene import Appearance, Scene, look_at
from sim.world import SimWorld

# Drawn so many times as large and reduced: the software renderer has no anti-aliasing.
_OVERSAMPLING = 2
# Share of a link's shortest edge that is rounded.
_ROUNDNESS = 0.30
# From the middle towards the eye: behind the limb and to its right, so that the tag shows its face.
_TOWARDS_EYE = (-0.40, -0.92, 0.44)
# A studio instead of the room that the cameras see: light floor, light wall; RGB as in COLORS.
_STUDIO = np.array(
    [[221.0, 226.0, 234.0], [203.0, 210.0, 221.0], [238.0, 242.0, 247.0], [196.0, 211.0, 229.0]]
)
_SHADOW_DARKNESS = 0.34
_SHADOW_BLUR = 0.012
_BEAM = (34, 197, 94)


class StudioScene(Scene):
    """A scene whose limbs are rounded boxes, on a light floor."""

    def __init__(self, robot: RobotDescription) -> None:
        super().__init__(robot, renderer="tiny")
        self.appearance = Appearance(
            ambient=0.68, diffuse=0.46, backdrop=_STUDIO, window=np.array([0.3, 0.95, 0.08])
        )

    def render_with_depth(
        self, camera: CameraDescription, rotation: FloatArray, position: FloatArray
    ) -> tuple[ImageArray, npt.NDArray[np.float32]]:
        """Return the picture ``(H, W, 3)``, and the depth ``(H, W)``: 1 where there is no body."""
        image, depth = self._draw_bodies(camera, rotation, position)
        picture = np.empty((camera.height_px, camera.width_px, 3), np.uint8)
        look = self.appearance
        paint_backdrop(
            *(image, depth, rotation, position, camera.focal_px),
            *(look.backdrop, look.tiling, look.window, picture),
        )
        return picture, depth

    def _shape(self, link: Link, origin: FloatArray) -> int:
        radius_m = _ROUNDNESS * min(link.size_m)
        path = Path(self._files.name) / f"{link.name}.obj"
        path.write_text(rounded_box(link.size_m, radius_m), encoding="ascii")
        return int(
            pybullet.createVisualShape(
                pybullet.GEOM_MESH,
                fileName=str(path),
                rgbaColor=[*link.color, 1.0],
                specularColor=[0.2, 0.2, 0.2],
                visualFramePosition=list(np.asarray(link.center_m) - origin),
                physicsClientId=self.client,
            )
        )


class FilmView(Closeable):
    """Draws a world from one fixed place outside.

    Args:
        world: whose limbs and target are drawn; its cameras see another, plainer scene.
        width_px, height_px: size of the pictures.
    """

    def __init__(self, world: SimWorld, width_px: int, height_px: int) -> None:
        self.world = world
        self.scene = StudioScene(world.robot)
        self.size = width_px, height_px
        self.camera = CameraDescription(
            name="outside",
            link="world",
            width_px=_OVERSAMPLING * width_px,
            height_px=_OVERSAMPLING * height_px,
            fov_rad=0.80,
            far_m=20.0,
        )
        middle, reach_m = self._framing()
        eye = middle + reach_m * np.asarray(_TOWARDS_EYE)
        self.rotation, self.position = look_at(eye.tolist(), middle.tolist())

    def close(self) -> None:
        """Free the scene; harmless when done before."""
        self.scene.close()

    def draw(self, beams: tuple[tuple[int, str], ...] = ()) -> ImageArray:
        """Return the world as it is now, ``(H, W, 3)`` RGB.

        Args:
            beams: cameras that see the target, as number of the limb and name of the camera; a
                beam of light goes from each to the target.
        """
        self.scene.place_target(self.world.target_pose)
        for number, body in enumerate(self.world.bodies):
            self.scene.place_limb(number, body.hinge_rad)
        picture, depth = self.scene.render_with_depth(self.camera, self.rotation, self.position)
        picture = self._with_shadows(picture, depth)
        for limb, camera in beams:
            picture = self._with_beam(picture, limb, camera)
        return cv2.resize(picture, self.size, interpolation=cv2.INTER_AREA).astype(np.uint8)

    def project(self, points_m: FloatArray) -> FloatArray:
        """Return where world points ``(n, 3)`` lie in the oversampled picture, ``(n, 2)``."""
        seen = (points_m - self.position) @ self.rotation
        focal, about = self.camera.focal_px, self.camera
        across = 0.5 * (about.width_px - 1) - focal * seen[:, 1] / seen[:, 0]
        down = 0.5 * (about.height_px - 1) - focal * seen[:, 2] / seen[:, 0]
        return np.column_stack([across, down])

    # -- parts ----------------------------------------------------------------------------------

    def _framing(self) -> tuple[FloatArray, float]:
        """Return the point in the middle of the picture, and the distance to look from."""
        points = [np.asarray(self.world.target_pose.xyz, dtype=np.float64)]
        for limb in self.world.robot.limbs:
            base = rotation_from_rpy(limb.base.rpy)
            points += [base @ np.asarray(link.center_m) + limb.base.xyz for link in limb.body.links]
        low, high = np.min(points, axis=0), np.max(points, axis=0)
        # Limbs rise above their resting pose.
        middle = 0.5 * (low + high) + np.array([-0.05, 0.0, 0.03])
        return middle, 1.46 * float(np.linalg.norm(high - low))

    def _with_shadows(self, picture: ImageArray, depth: npt.NDArray[np.float32]) -> ImageArray:
        """Return it with a darker floor where limbs, scenery and target keep the light away."""
        lamp = np.asarray(self.scene.appearance.light_direction)
        mask: npt.NDArray[Any] = np.zeros(picture.shape[:2], np.float32)
        for corners in self._solids():
            floor = corners - np.outer(corners[:, 2] / lamp[2], lamp)
            outline = cv2.convexHull(self.project(floor).astype(np.float32))
            cv2.fillConvexPoly(mask, np.round(outline).astype(np.int32), 1.0, cv2.LINE_AA)
        sigma = _SHADOW_BLUR * picture.shape[1]
        mask = cv2.GaussianBlur(mask, (0, 0), sigma) * (depth >= 1.0)
        light = 1.0 - _SHADOW_DARKNESS * mask[..., None]
        return (picture * light).astype(np.uint8)

    def _solids(self) -> list[FloatArray]:
        """Return the ``(8, 3)`` corners of all boxes, and the target's, in the world."""
        unit = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
        solids = [unit * box.size_m + box.center_m for box in self.world.robot.scenery]
        for limb, body in zip(self.world.robot.limbs, self.world.bodies, strict=True):
            base = rotation_from_rpy(limb.base.rpy)
            for link in limb.body.links:
                rotation, shift = body.link_pose(link.name)
                local = (unit * link.size_m + link.center_m) @ rotation.T + shift
                solids.append(local @ base.T + limb.base.xyz)
        edge = self.world.robot.target.size_m * 1.25
        pose = self.world.target_pose
        sheet = unit * [0.0, edge, edge]
        solids.append(sheet @ rotation_from_rpy(pose.rpy).T + pose.xyz)
        return solids

    def _with_beam(self, picture: ImageArray, limb: int, camera: str) -> ImageArray:
        """Return it with a translucent pyramid from a camera to the corners of the target."""
        about = next(c for c in self.world.robot.limbs[limb].live_cameras if c.name == camera)
        _, eye = self.scene.camera_pose(limb, about, self.world.bodies[limb])
        ends = self.project(np.vstack([eye[None], self.scene.target_corners]))
        outline = cv2.convexHull(np.round(ends).astype(np.int32))
        lit = picture.copy()
        cv2.fillConvexPoly(lit, outline, _BEAM, cv2.LINE_AA)
        picture = cv2.addWeighted(lit, 0.28, picture, 0.72, 0.0).astype(np.uint8)
        corners = np.round(ends[1:]).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(picture, [corners], True, _BEAM, 2 * _OVERSAMPLING, cv2.LINE_AA)
        return picture
