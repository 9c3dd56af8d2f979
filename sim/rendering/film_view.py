"""The robot from outside, drawn for people: soft limbs, shadows, and where a camera looks."""

from __future__ import annotations

import cv2
import numpy as np

from asterias.arrays import FloatArray, ImageArray
from asterias.context import Closeable
from hardware.description.limb import CameraDescription
from sim.physics.rotations import rotation_from_rpy
from sim.rendering.raster.limb_shapes import PEOPLE
from sim.rendering.raster.scene import RasterScene
from sim.rendering.scene import Appearance, look_at
from sim.world import SimWorld

# Drawn so many times as large and reduced, beams of light included.
_OVERSAMPLING = 2
_SHADOW_CELLS = 320
# From the middle towards the eye: behind the limb and to its right, so that the tag shows its face.
_TOWARDS_EYE = (-0.40, -0.92, 0.44)
# A studio instead of the room that the cameras see: light floor, light wall; RGB as in COLORS.
_STUDIO = np.array(
    [[221.0, 226.0, 234.0], [203.0, 210.0, 221.0], [238.0, 242.0, 247.0], [196.0, 211.0, 229.0]]
)
_BEAM = (34, 197, 94)


def studio() -> Appearance:
    """Return the look of pictures for people: a light floor and a light wall."""
    window = np.array([0.3, 0.95, 0.08])
    return Appearance(ambient=0.68, diffuse=0.46, shadow=0.30, backdrop=_STUDIO, window=window)


class FilmView(Closeable):
    """Draws a world from one fixed place outside.

    Args:
        world: whose limbs and target are drawn; its cameras see another, plainer scene.
        width_px, height_px: size of the pictures.
    """

    def __init__(self, world: SimWorld, width_px: int, height_px: int) -> None:
        self.world = world
        self.scene = RasterScene(world.robot, detail=PEOPLE, shadow_cells=_SHADOW_CELLS)
        self.scene.appearance = studio()
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
        picture = self.scene.render(self.camera, self.rotation, self.position)
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
