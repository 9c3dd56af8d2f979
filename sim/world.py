"""The simulated world: limbs, cameras, target and one clock that counts physics steps."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray, ImageArray
from asterias.context import Closeable
from hardware.description.limb import CameraDescription, Pose
from hardware.description.robot import RobotDescription, load_robot
from sim.engines.registry import RobotBodies, find_engine
from sim.limb import SimLimb
from sim.rendering.camera import SimCamera
from sim.rendering.renderers import make_scene
from sim.rendering.scene import Scene


class SimWorld(Closeable):
    """A robot description come to life; the same seed gives the same joints, bit for bit.

    Time passes only in :meth:`advance`, in whole physics steps, as fast as the machine goes.
    Drivers and cameras are made unconnected, as real ones are.

    Args:
        robot: a description, or the name or path of one.
        seed: of camera noise and of :meth:`random_positions`.
        renderer: overrides the description's.
        engine: overrides the description's.
        pictures: False leaves the scene out, for physics alone.

    Raises:
        DescriptionError: the description is wrong.
        DeviceError: the renderer does not work.
        UserError: there is no such engine, or PyBullet, which it needs, is missing.
    """

    def __init__(
        self,
        robot: RobotDescription | str,
        *,
        seed: int = 0,
        renderer: str | None = None,
        engine: str | None = None,
        pictures: bool = True,
    ) -> None:
        self.robot = robot if isinstance(robot, RobotDescription) else load_robot(robot)
        backend = self.robot.simulation
        self._physics_hz = backend.physics_hz
        self.dt_s = 1.0 / backend.physics_hz
        self._ticks = 0
        self._seed = seed
        self.rng = np.random.default_rng(seed)
        self.engine = find_engine(engine or backend.engine)
        self._moved = self._make_bodies()
        self.bodies = list(self._moved.bodies)
        self.target_pose = self.robot.target.pose
        self.scene: Scene | None = None
        if pictures:
            self.scene = make_scene(self.robot, renderer or backend.renderer)
            self.scene.check()
        self.limbs = [
            SimLimb(self.robot, i, body, lambda: self.time_s) for i, body in enumerate(self.bodies)
        ]
        self.cameras = [
            [self._camera(i, camera, seed) for camera in limb.live_cameras]
            for i, limb in enumerate(self.robot.limbs)
        ]

    def _make_bodies(self) -> RobotBodies:
        """Return what moves the limbs."""
        return self.engine.hold(self.robot)

    # -- time -----------------------------------------------------------------------------------

    @property
    def time_s(self) -> float:
        """Simulated time since the start or the last reset."""
        return self._ticks / self._physics_hz

    def advance(self, duration_s: float) -> None:
        """Let ``duration_s`` pass, rounded to whole physics steps."""
        steps = self.steps_in(duration_s)
        if steps > 0:  # cameras that are asked in vain wait for no time, hundreds of times a second
            self._take_steps(steps)

    def steps_in(self, duration_s: float) -> int:
        """Return how many physics steps :meth:`advance` takes for ``duration_s``."""
        return round(duration_s * self._physics_hz)

    def advance_to(self, time_s: float) -> None:
        """Go on to the first physics step at ``time_s`` or after it; never back."""
        ticks = math.ceil(time_s * self._physics_hz - 1e-6)
        self._take_steps(max(ticks - self._ticks, 0))

    def _take_steps(self, steps: int) -> None:
        self._moved.advance(steps)
        self.count_steps(steps)

    def count_steps(self, steps: int) -> None:
        """Put the clock forward by steps that the bodies took (:mod:`sim.vectorised`)."""
        self._ticks += steps

    def reset(
        self, seed: int | None = None, positions_rad: Sequence[npt.ArrayLike] | None = None
    ) -> None:
        """Back to time 0 at rest, at ``positions_rad`` per limb or at home."""
        if seed is not None:
            self._seed = seed
            self.rng = np.random.default_rng(seed)
        self._ticks = 0
        for i, body in enumerate(self.bodies):
            home = [joint.home_rad for joint in self.robot.limbs[i].joints]
            body.reset(home if positions_rad is None else positions_rad[i])
        for limb in self.limbs:
            if limb.is_active:
                limb.activate()  # start afresh from where the limb is now
        for i, row in enumerate(self.cameras):
            for camera in row:
                camera.reseed(_camera_seed(self._seed, i, camera.name))

    def passive_joints(self, limb: int) -> tuple[list[str], FloatArray, FloatArray]:
        """Return names, angles (rad) and speeds (rad/s) of hinges that no servo drives directly."""
        driven = {joint.hinge for joint in self.robot.limbs[limb].joints}
        hinges = self.robot.limbs[limb].body.hinges
        free = [i for i, hinge in enumerate(hinges) if hinge.name not in driven]
        state = self.bodies[limb].state
        return [hinges[i].name for i in free], state.q[free], state.v[free]

    def random_positions(self) -> list[FloatArray]:
        """Return uniformly drawn joint positions within the limits, one ``(n,)`` array per limb."""
        return [
            np.array([self.rng.uniform(*joint.limits_rad) for joint in limb.joints])
            for limb in self.robot.limbs
        ]

    # -- pictures -------------------------------------------------------------------------------

    def draw(self, limb: int, camera: CameraDescription) -> ImageArray:
        """Return the flawless ``(H, W, 3)`` RGB picture a camera sees now.

        Raises:
            RuntimeError: the world has no pictures.
        """
        if self.scene is None:
            raise RuntimeError("This world was made without pictures; pass pictures=True.")
        self.place_limbs()
        # As :meth:`draw_cameras` has it, rounding included: alone or together, the same picture.
        eye = self.scene.camera_eyes(limb, [camera], self.bodies[limb])[0]
        return self.scene.render(camera, eye[:3], eye[3])

    def draw_due(self) -> list[SimCamera]:
        """Draw the pictures of all connected cameras that are due, those of one kind in one call.

        Each camera's next frame at this instant is then at hand, unless something moves first.

        Returns:
            The cameras; none in a world without pictures.
        """
        if self.scene is None:
            return []
        due = self.cameras_due()
        kinds: dict[tuple[float, ...], list[list[SimCamera]]] = {}
        for i, row in enumerate(due):
            for camera in row:
                kinds.setdefault(camera.kind, [[] for _ in due])[i].append(camera)
        for rows in kinds.values():
            self.draw_cameras(rows)
        return [camera for rows in kinds.values() for row in rows for camera in row]

    def cameras_due(self) -> list[list[SimCamera]]:
        """Return the connected cameras whose next frame is due now, by limb."""
        now_s = self.time_s + 1e-9
        return [
            [camera for camera in row if camera.next_frame_s <= now_s and camera.is_connected]
            for row in self.cameras
        ]

    def draw_cameras(self, rows: Sequence[Sequence[SimCamera]]) -> None:
        """Draw what cameras of one kind, by limb, see now, and offer each its picture.

        Raises:
            RuntimeError: the world has no pictures.
        """
        if self.scene is None:
            raise RuntimeError("This world was made without pictures; pass pictures=True.")
        self.place_limbs()
        alike = [camera for row in rows for camera in row]
        pictures = self.scene.render_many(alike[0].description, self.eyes_of(rows))
        for camera, picture in zip(alike, pictures, strict=True):
            camera.offer(picture)

    def eyes_of(self, rows: Sequence[Sequence[SimCamera]]) -> FloatArray:
        """Return where cameras, by limb, stand: ``(c, 4, 3)`` rotation and position below it.

        Raises:
            RuntimeError: the world has no pictures.
        """
        if self.scene is None:
            raise RuntimeError("This world was made without pictures; pass pictures=True.")
        eyes = [
            self.scene.camera_eyes(i, [camera.description for camera in row], self.bodies[i])
            for i, row in enumerate(rows)
            if row
        ]
        return np.concatenate(eyes)

    def place_limbs(self) -> None:
        """Let the scene have the limbs as they are now, where there is a scene."""
        if self.scene is not None:
            for i, body in enumerate(self.bodies):
                self.scene.place_limb(i, body.hinge_rad)

    def frames_target(self, limb: int, camera: CameraDescription) -> bool:
        """Return whether the tag's square lies in a camera's picture and faces it, by geometry.

        A hundredth of the cost of a picture, and without it no picture holds a tag to decode.

        Raises:
            RuntimeError: the world has no pictures.
        """
        if self.scene is None:
            raise RuntimeError("This world was made without pictures; pass pictures=True.")
        rotation, position = self.scene.camera_pose(limb, camera, self.bodies[limb])
        return self.scene.frames_target(camera, rotation, position)

    def move_target(self, pose: Pose) -> None:
        """Put the target elsewhere."""
        self.target_pose = pose
        if self.scene is not None:
            self.scene.place_target(pose)

    def _camera(self, limb: int, camera: CameraDescription, seed: int) -> SimCamera:
        return SimCamera(
            camera,
            self,
            lambda: self.draw(limb, camera),
            _camera_seed(seed, limb, camera.name),
        )

    # -- end ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close drivers, cameras and the scene; harmless when done before."""
        for row in self.cameras:
            for camera in row:
                camera.disconnect()
        for limb in self.limbs:
            limb.disconnect()
        if self.scene is not None:
            self.scene.close()
        self._moved.close()


def _camera_seed(seed: int, limb: int, camera: str) -> int:
    """Return a seed of its own for a camera, so that its noise does not move another's."""
    entropy = [seed, limb, zlib.crc32(camera.encode())]
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])
