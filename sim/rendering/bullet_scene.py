"""Pictures by PyBullet: limbs and target as low-polygon shapes, floor and sky behind them.

TinyRenderer's cost grows with triangles and with shadows, so bodies are boxes, the floor is not
drawn but computed, and shadows are off: some 0.3 ms for a 96x96 picture on one core instead of 7.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray, ImageArray
from asterias.errors import DeviceError
from hardware.description.limb import CameraDescription, Limb, Link
from hardware.description.robot import Box, RobotDescription, Target
from hardware.perception.apriltag import CELLS, SHEET_CELLS, tag_image
from sim.physics.rotations import quaternion_from_rotation, rotation_from_rpy
from sim.rendering.backdrop import paint_backdrop
from sim.rendering.bullet import pybullet
from sim.rendering.scene import Scene

log = logging.getLogger(__name__)


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


class BulletScene(Scene):
    """A PyBullet world used for pictures (and contacts, where they are asked for).

    Args:
        robot: limbs (placed with :meth:`place_limb`), target and scenery.
        renderer: ``pybullet``, ``egl`` or ``auto``.

    Raises:
        DeviceError: the renderer asked for does not work here.
    """

    def __init__(self, robot: RobotDescription, *, renderer: str = "pybullet") -> None:
        super().__init__(robot)
        self._egl_plugin = -1
        self.client: int = pybullet.connect(pybullet.DIRECT)
        if self.client < 0:
            raise DeviceError("PyBullet could not start a simulation; restart the process.")
        if not pybullet.isNumpyEnabled():
            self.close()
            raise DeviceError("This PyBullet was built without NumPy; install the pinned wheel.")
        self._renderer = self._start_renderer(renderer)
        self._files = tempfile.TemporaryDirectory(prefix="asterias-scene-")
        self.bodies = [self._add_limb(limb) for limb in robot.limbs]
        for box in robot.scenery:
            self._add_box(box)
        self._target = self._add_target(robot.target)
        self.place_target(robot.target.pose)
        self._projections: dict[CameraDescription, tuple[float, ...]] = {}

    @property
    def renderer(self) -> str:
        """``pybullet`` or ``egl``."""
        return self._renderer

    @property
    def renderer_name(self) -> str:
        """Which renderer draws, in words."""
        names = {"pybullet": "TinyRenderer on the CPU", "egl": "OpenGL through EGL"}
        return names[self._renderer]

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

    def place_robot(self, rotation: FloatArray, position: FloatArray) -> None:
        """Move the whole robot."""
        super().place_robot(rotation, position)
        for body, (turn, at) in zip(self.bodies, self._bases, strict=True):
            pybullet.resetBasePositionAndOrientation(
                body,
                at.tolist(),
                quaternion_from_rotation(turn).tolist(),
                physicsClientId=self.client,
            )

    def _move_target(self, rotation: FloatArray, position: FloatArray) -> None:
        pybullet.resetBasePositionAndOrientation(
            self._target,
            position.tolist(),
            quaternion_from_rotation(rotation).tolist(),
            physicsClientId=self.client,
        )

    # -- pictures -------------------------------------------------------------------------------

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

    # -- building -------------------------------------------------------------------------------

    @property
    def _renderer_flag(self) -> int:
        if self._renderer == "egl":
            return int(pybullet.ER_BULLET_HARDWARE_OPENGL)
        return int(pybullet.ER_TINY_RENDERER)

    @property
    def _shift_px(self) -> float:
        """TinyRenderer draws half a pixel too far to the right and up (measured)."""
        return 0.5 if self._renderer == "pybullet" else 0.0

    def _start_renderer(self, wanted: str) -> str:
        if wanted == "pybullet":
            return "pybullet"
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
            raise DeviceError("No GPU renderer (EGL) works here; set backend.renderer to raster.")
        log.info("No GPU renderer (EGL) works here; falling back to the CPU.")
        return "pybullet"

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


def _has_gpu() -> bool:
    """Return whether there is a graphics device: without one the EGL plug-in ends the process."""
    return any(Path("/dev/dri").glob("renderD*")) or Path("/dev/nvidia0").exists()


def _unit(axis: Sequence[float]) -> list[float]:
    vector = np.asarray(axis, dtype=np.float64)
    return list(vector / np.linalg.norm(vector))


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
