"""What the cameras see: limbs, floor and target as low-polygon shapes in PyBullet.

TinyRenderer's cost grows with triangles and with shadows, so bodies are boxes, the floor is not
drawn but computed, and shadows are off: some 0.3 ms for a 96x96 picture on one core instead of 7.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray, ImageArray
from asterias.errors import DeviceError
from hardware.description.limb import CameraDescription, Limb, Link, Pose
from hardware.description.robot import Box, RobotDescription, Target
from hardware.perception.apriltag import CELLS, SHEET_CELLS, tag_image
from sim.physics.limb_body import LimbBody
from sim.physics.rotations import quaternion_from_rotation, rotation_from_rpy
from sim.rendering.backdrop import COLORS, TILING, WINDOW, paint_backdrop
from sim.rendering.bullet import pybullet

log = logging.getLogger(__name__)


# A shift of a camera that was mounted as described.
_UNMOVED = (np.eye(3), np.zeros(3))


@dataclass(frozen=True)
class Appearance:
    """How the room looks; as it stands, as described.

    Attributes:
        light_direction: towards the lamp, world frame.
        ambient, diffuse: shares of light from everywhere and from the lamp.
        backdrop: ``(4, 3)`` colours of floor and sky, see :data:`sim.rendering.backdrop.COLORS`.
        tiling: ``(3,)`` edge and corner of the floor's tiles, see
        :data:`sim.rendering.backdrop.TILING`. window: ``(3,)`` where daylight comes from, see
        :data:`sim.rendering.backdrop.WINDOW`.
    """

    light_direction: tuple[float, float, float] = (-0.6, -0.4, 1.2)
    ambient: float = 0.75
    diffuse: float = 0.35
    backdrop: FloatArray = field(default_factory=COLORS.copy)
    tiling: FloatArray = field(default_factory=TILING.copy)
    window: FloatArray = field(default_factory=WINDOW.copy)


# A corner that a detector finds may lie so far outside the picture.
_MARGIN_PX = 2.0

# A unit square in the y-z plane that faces +x, its texture the right way round for the beholder.
_QUAD = """\
v 0 -0.5 -0.5
v 0 0.5 -0.5
v 0 0.5 0.5
v 0 -0.5 0.5
vt 0 0
vt 1 0
vt 1 1
vt 0 1
vn 1 0 0
f 1/1/1 2/2/1 3/3/1
f 1/1/1 3/3/1 4/4/1
"""


class Scene:
    """A PyBullet world used for pictures (and contacts, where they are asked for).

    Args:
        robot: limbs (placed with :meth:`place_limb`), target and scenery.
        renderer: ``tiny``, ``egl`` or ``auto``.

    Raises:
        DeviceError: the renderer asked for does not work here.
    """

    def __init__(self, robot: RobotDescription, *, renderer: str = "tiny") -> None:
        self.client: int = pybullet.connect(pybullet.DIRECT)
        if self.client < 0:
            raise DeviceError("PyBullet could not start a simulation; restart the process.")
        if not pybullet.isNumpyEnabled():
            self.close()
            raise DeviceError("This PyBullet was built without NumPy; install the pinned wheel.")
        self._egl_plugin = -1
        self.renderer = self._start_renderer(renderer)
        self._bases = [_base_transform(limb.base) for limb in robot.limbs]
        self._files = tempfile.TemporaryDirectory(prefix="asterias-scene-")
        self.bodies = [self._add_limb(limb) for limb in robot.limbs]
        for box in robot.scenery:
            self._add_box(box)
        self._target = self._add_target(robot.target)
        self._target_size_m = robot.target.size_m
        self.place_target(robot.target.pose)
        self.appearance = Appearance()
        self._mounted: dict[tuple[int, str], tuple[FloatArray, FloatArray]] = {}
        self._projections: dict[CameraDescription, tuple[float, ...]] = {}
        log.info("Cameras are drawn by %s.", self.renderer_name)

    @property
    def renderer_name(self) -> str:
        """Which renderer draws, in words."""
        names = {"tiny": "TinyRenderer on the CPU", "egl": "OpenGL through EGL"}
        return names[self.renderer]

    def close(self) -> None:
        """Free the simulation; harmless when done before."""
        if self.client >= 0 and pybullet.isConnected(self.client):
            if self._egl_plugin >= 0:
                pybullet.unloadPlugin(self._egl_plugin, physicsClientId=self.client)
            pybullet.disconnect(self.client)
        self.client = -1

    # -- placing --------------------------------------------------------------------------------

    def place_limb(self, number: int, hinge_rad: FloatArray) -> None:
        """Move the drawn limb to ``(h,)`` hinge angles."""
        if hinge_rad.size:
            pybullet.resetJointStatesMultiDof(
                self.bodies[number],
                list(range(hinge_rad.size)),
                targetValues=[[angle] for angle in hinge_rad.tolist()],
                physicsClientId=self.client,
            )

    def place_target(self, pose: Pose) -> None:
        """Move the target; its pose looks along +x, out of the printed side."""
        rotation = rotation_from_rpy(pose.rpy)
        half = 0.5 * self._target_size_m
        square = np.array([[0, -half, -half], [0, half, -half], [0, half, half], [0, -half, half]])
        self.target_corners = np.asarray(pose.xyz) + square @ rotation.T
        self._target_front = rotation[:, 0]
        pybullet.resetBasePositionAndOrientation(
            self._target,
            list(pose.xyz),
            quaternion_from_rotation(rotation).tolist(),
            physicsClientId=self.client,
        )

    def shift_camera(self, limb: int, camera: str, shift: Pose) -> None:
        """Mount a camera askew: turned and moved by ``shift`` in its own frame."""
        self._mounted[limb, camera] = rotation_from_rpy(shift.rpy), np.asarray(shift.xyz)

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

    def render(
        self, camera: CameraDescription, rotation: FloatArray, position: FloatArray
    ) -> ImageArray:
        """Draw ``(H, W, 3)`` uint8 RGB as a pinhole camera at the pose sees it.

        Returns:
            The picture.
        """
        image, depth = self._draw_bodies(camera, rotation, position)
        picture = np.empty((camera.height_px, camera.width_px, 3), np.uint8)
        look = self.appearance
        paint_backdrop(
            image,
            depth,
            rotation,
            position,
            camera.focal_px,
            look.backdrop,
            look.tiling,
            look.window,
            picture,
        )
        return picture

    def _draw_bodies(
        self, camera: CameraDescription, rotation: FloatArray, position: FloatArray
    ) -> tuple[ImageArray, npt.NDArray[np.float32]]:
        """Return RGBA ``(H, W, 4)`` and depth ``(H, W)``, 1 where there is no body."""
        if camera not in self._projections:
            self._projections[camera] = projection_matrix(camera, self._shift_px)
        picture = pybullet.getCameraImage(
            camera.width_px,
            camera.height_px,
            view_matrix(rotation, position),
            self._projections[camera],
            shadow=0,
            lightDirection=list(self.appearance.light_direction),
            lightAmbientCoeff=self.appearance.ambient,
            lightDiffuseCoeff=self.appearance.diffuse,
            lightSpecularCoeff=0.0,
            renderer=self._renderer_flag,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
            physicsClientId=self.client,
        )
        size = (camera.height_px, camera.width_px)
        rgba = np.asarray(picture[2], dtype=np.uint8).reshape(*size, 4)
        depth = np.asarray(picture[3], dtype=np.float32).reshape(size)
        return rgba, depth

    def check(self) -> None:
        """Draw one picture of the whole scene and refuse a renderer that shows nothing.

        Raises:
            DeviceError: the picture is black or of one colour.
        """
        camera = CameraDescription(name="probe", link="world", width_px=64, height_px=64)
        rotation, position = look_at((1.0, -0.9, 0.9), (0.0, 0.0, 0.15))
        picture, _ = self._draw_bodies(camera, rotation, position)
        if int(picture[..., :3].max()) - int(picture[..., :3].min()) < 8:
            raise DeviceError(
                f"The renderer ({self.renderer_name}) draws an empty picture of the room's middle; "
                "bring robot and target there, or set backend.renderer to tiny."
            )

    # -- building -------------------------------------------------------------------------------

    @property
    def _renderer_flag(self) -> int:
        if self.renderer == "egl":
            return int(pybullet.ER_BULLET_HARDWARE_OPENGL)
        return int(pybullet.ER_TINY_RENDERER)

    @property
    def _shift_px(self) -> float:
        """TinyRenderer draws half a pixel too far to the right and up (measured)."""
        return 0.5 if self.renderer == "tiny" else 0.0

    def _start_renderer(self, wanted: str) -> str:
        if wanted == "tiny":
            return "tiny"
        folder = Path(str(pybullet.__file__)).parent
        plugins = sorted(folder.glob("eglRenderer*.so"))
        if plugins and _has_gpu():
            self._egl_plugin = pybullet.loadPlugin(
                str(plugins[0]), "_eglRendererPlugin", physicsClientId=self.client
            )
        if self._egl_plugin >= 0:
            return "egl"
        if wanted == "egl":
            self.close()
            raise DeviceError("No GPU renderer (EGL) works here; set backend.renderer to tiny.")
        log.info("No GPU renderer (EGL) works here; falling back to TinyRenderer.")
        return "tiny"

    def _add_limb(self, limb: Limb) -> int:
        """Return the number of a multibody of the limb whose link frames sit at the hinges."""
        links = {link.name: link for link in limb.body.links}
        numbers = {hinge.child: i + 1 for i, hinge in enumerate(limb.body.hinges)}
        pivots = {hinge.child: np.asarray(hinge.pivot_m) for hinge in limb.body.hinges}
        chain: dict[str, list[Any]] = {
            key: []
            for key in ("Masses", "VisualShapeIndices", "Positions", "InertialFramePositions")
        }
        for hinge in limb.body.hinges:
            link, pivot = links[hinge.child], pivots[hinge.child]
            chain["Masses"].append(link.mass_kg)
            chain["VisualShapeIndices"].append(self._shape(link, pivot))
            chain["Positions"].append(list(pivot - pivots.get(hinge.parent, np.zeros(3))))
            chain["InertialFramePositions"].append(list(np.asarray(link.center_m) - pivot))
        count = len(limb.body.hinges)
        level = [0.0, 0.0, 0.0, 1.0]
        return int(
            pybullet.createMultiBody(
                baseMass=0.0,
                baseVisualShapeIndex=self._shape(limb.body.links[0], np.zeros(3)),
                basePosition=list(limb.base.xyz),
                baseOrientation=quaternion_from_rotation(rotation_from_rpy(limb.base.rpy)).tolist(),
                linkCollisionShapeIndices=[-1] * count,
                linkOrientations=[level] * count,
                linkInertialFrameOrientations=[level] * count,
                linkParentIndices=[numbers.get(h.parent, 0) for h in limb.body.hinges],
                linkJointTypes=[pybullet.JOINT_REVOLUTE] * count,
                linkJointAxis=[_unit(h.axis) for h in limb.body.hinges],
                physicsClientId=self.client,
                **{f"link{key}": value for key, value in chain.items()},
            )
        )

    def _shape(self, link: Link, origin: FloatArray) -> int:
        return int(
            pybullet.createVisualShape(
                pybullet.GEOM_BOX,
                halfExtents=[0.5 * edge for edge in link.size_m],
                rgbaColor=[*link.color, 1.0],
                visualFramePosition=list(np.asarray(link.center_m) - origin),
                physicsClientId=self.client,
            )
        )

    def _add_box(self, box: Box) -> None:
        shape = pybullet.createVisualShape(
            pybullet.GEOM_BOX,
            halfExtents=[0.5 * edge for edge in box.size_m],
            rgbaColor=[*box.color, 1.0],
            physicsClientId=self.client,
        )
        pybullet.createMultiBody(0.0, -1, shape, list(box.center_m), physicsClientId=self.client)

    def _add_target(self, target: Target) -> int:
        picture = np.repeat(tag_image(target.id)[..., None], 3, axis=2)
        edge = target.size_m * SHEET_CELLS / CELLS
        return self._add_quad("target", picture, (edge, edge))

    def _add_quad(self, name: str, texture: ImageArray, size_m: tuple[float, float]) -> int:
        """Return a textured rectangle in the y-z plane that faces +x.

        A box's texture does not map.
        """
        folder = Path(self._files.name)
        mesh, picture = folder / "quad.obj", folder / f"{name}.png"
        mesh.write_text(_QUAD, encoding="ascii")
        cv2.imwrite(str(picture), cv2.cvtColor(texture, cv2.COLOR_RGB2BGR))
        shape = pybullet.createVisualShape(
            pybullet.GEOM_MESH,
            fileName=str(mesh),
            meshScale=[1.0, size_m[0], size_m[1]],
            physicsClientId=self.client,
        )
        body = pybullet.createMultiBody(0.0, -1, shape, physicsClientId=self.client)
        image = pybullet.loadTexture(str(picture), physicsClientId=self.client)
        pybullet.changeVisualShape(
            body,
            -1,
            textureUniqueId=image,
            rgbaColor=[1, 1, 1, 1],
            specularColor=[0, 0, 0],
            physicsClientId=self.client,
        )
        return int(body)


@lru_cache(maxsize=256)
def _mounting(rpy: tuple[float, float, float]) -> FloatArray:
    """Return orientation of a camera on its link; the same few are asked for with every picture."""
    return rotation_from_rpy(rpy)


def _has_gpu() -> bool:
    """Return whether there is a graphics device: without one the EGL plug-in ends the process."""
    return any(Path("/dev/dri").glob("renderD*")) or Path("/dev/nvidia0").exists()


def _base_transform(pose: Pose) -> tuple[FloatArray, FloatArray]:
    return rotation_from_rpy(pose.rpy), np.asarray(pose.xyz, dtype=np.float64)


def _unit(axis: Sequence[float]) -> list[float]:
    vector = np.asarray(axis, dtype=np.float64)
    return list(vector / np.linalg.norm(vector))


def look_at(eye_m: Sequence[float], at_m: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """Return pose of a camera at ``eye_m`` that looks (+x) at ``at_m`` with the world's z up."""
    eye = np.asarray(eye_m, dtype=np.float64)
    forward = np.asarray(at_m, dtype=np.float64) - eye
    forward /= np.linalg.norm(forward)
    left = np.cross([0.0, 0.0, 1.0], forward)
    left /= np.linalg.norm(left)
    return np.column_stack([forward, left, np.cross(forward, left)]), eye


def view_matrix(rotation: FloatArray, position: FloatArray) -> list[float]:
    """Return OpenGL view matrix, column by column, of a camera that looks along +x with +z up."""
    rows = np.stack([-rotation[:, 1], rotation[:, 2], -rotation[:, 0]])
    matrix = np.eye(4)
    matrix[:3, :3] = rows
    matrix[:3, 3] = -rows @ position
    return list(matrix.T.ravel().tolist())


def projection_matrix(camera: CameraDescription, shift_px: float = 0.0) -> tuple[float, ...]:
    """Return OpenGL projection, column by column, of the camera's pinhole model.

    ``shift_px`` moves the picture to the left and down, against a renderer that puts it elsewhere.
    """
    near, far = camera.near_m, camera.far_m
    matrix = np.zeros((4, 4))
    matrix[0, 0] = 2.0 * camera.focal_px / camera.width_px
    matrix[1, 1] = 2.0 * camera.focal_px / camera.height_px
    matrix[0, 2] = 2.0 * shift_px / camera.width_px
    matrix[1, 2] = 2.0 * shift_px / camera.height_px
    matrix[2, 2] = -(far + near) / (far - near)
    matrix[2, 3] = -2.0 * far * near / (far - near)
    matrix[3, 2] = -1.0
    return tuple(matrix.T.ravel().tolist())


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
