"""The simulated world of a robot that nothing holds: on the ground, with contact."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from asterias.errors import UserError
from hardware.description.limb import Pose
from hardware.description.robot import RobotDescription, Target, load_robot
from sim.contact.body import ContactBody
from sim.contact.standing_robot import standing_robot
from sim.physics import rigid_body
from sim.physics.limb_body import LimbBody
from sim.rendering.raster.scene import RasterScene
from sim.world import SimWorld

# Gaits are learned at this rate; contact is implicit, so that it holds at half of the usual one.
GROUND_HZ = 250.0
# Where the target stands unless it is told: as far ahead as a few seconds of crawling, and so large
# that cameras of 96 pixels decode it from there (2.4 pixels a cell, as in the paper's pictures).
TARGET_XY_M = (1.2, 0.0)
TARGET_SIZE_M = 0.3


class StandingLimb(LimbBody):
    """A limb of a robot that stands free: its motion is that of the whole robot's body.

    Args:
        robot: the description.
        whole: the robot's body, which alone is integrated.
        number: of the limb.
        first: number of its first servo among the robot's.
    """

    def __init__(
        self, robot: RobotDescription, whole: ContactBody, number: int, first: int
    ) -> None:
        limb = robot.limbs[number]
        self._whole, self._where = whole, whole.coordinates[number]
        self.servos = slice(first, first + len(limb.joints))
        self.is_powered = True
        super().__init__(limb, robot.materials, physics_hz=robot.simulation.physics_hz)

    def advance(self, steps: int) -> None:
        """Refuse: the world advances.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("Advance the world: a limb does not move without its robot.")

    def set_goal(self, servo_rad: npt.ArrayLike) -> None:
        """Command ``(s,)`` servo positions; the servos move there at their own speed."""
        self._whole.state.goal[self.servos] = servo_rad

    def power(self, on: bool) -> None:
        """Switch all servos; switched on, they hold where they are until they get a goal."""
        if on and not self.is_powered:
            state = self._whole.state
            for part in (state.goal, state.ramp, state.reference):
                part[self.servos] = self.servo_rad
        self.is_powered = on

    def follow(self) -> None:
        """Take angles, speeds and torques from the whole robot."""
        whole, state = self._whole.state, self.state
        state.q[:], state.v[:] = whole.q[self._where], whole.v[self._where]
        state.torque[:] = whole.torque[self.servos]
        rigid_body.forward_kinematics(self.tree, state.q, self.frames)


class StandingBodies:
    """The limbs of a robot that stands free, and the body that all are parts of.

    Args:
        robot: the description.
        whole: the robot's body.

    Attributes:
        bodies: the limbs.
    """

    def __init__(self, robot: RobotDescription, whole: ContactBody) -> None:
        self._whole = whole
        self.bodies: list[StandingLimb] = []
        for number in range(len(robot.limbs)):
            first = self.bodies[-1].servos.stop if self.bodies else 0
            self.bodies.append(StandingLimb(robot, whole, number, first))

    def advance(self, steps: int) -> None:
        """Integrate whole steps; limbs without power are limp."""
        shares = [np.full(len(body.limb.joints), float(body.is_powered)) for body in self.bodies]
        self._whole.weaken(np.concatenate(shares))
        self._whole.advance(steps)
        self.follow()

    def follow(self) -> None:
        """Let the limbs be where the body is."""
        for body in self.bodies:
            body.follow()

    def close(self) -> None:
        """Free the robot's body."""
        self._whole.close()


class StandingWorld(SimWorld):
    """A robot on the ground; drivers and cameras are those of :class:`sim.world.SimWorld`.

    Scenery is left out: it is what held the robot. The target stands on the ground.

    Args:
        robot: a description, or the name or path of one.
        seed: of camera noise.
        renderer: overrides the description's.
        engine: overrides the description's.
        pictures: False leaves the scene out.
        target_xy_m: where the target stands on the ground; it faces the robot's start.
        target_size_m: edge of the target.

    Raises:
        UserError: the renderer cannot draw a robot that moves, the target cannot stand there, or
            the engine cannot carry the robot.
    """

    def __init__(
        self,
        robot: RobotDescription | str,
        *,
        seed: int = 0,
        renderer: str | None = None,
        engine: str | None = None,
        pictures: bool = True,
        target_xy_m: Sequence[float] = TARGET_XY_M,
        target_size_m: float = TARGET_SIZE_M,
    ) -> None:
        described = robot if isinstance(robot, RobotDescription) else load_robot(robot)
        target = standing_target(described.target, target_xy_m, target_size_m)
        backend = described.simulation.model_copy(update={"physics_hz": GROUND_HZ})
        changes = {"target": target, "backend": backend, "scenery": ()}
        standing = described.model_copy(update=changes)
        self.middle_m = np.mean([limb.base.xyz for limb in standing.limbs], axis=0)
        super().__init__(standing, seed=seed, renderer=renderer, engine=engine, pictures=pictures)
        if pictures and not isinstance(self.scene, RasterScene):
            raise UserError("Renderers of a robot on the ground are raster and raster_2x2.")
        self._follow()

    def _make_bodies(self) -> StandingBodies:
        self.whole = standing_robot(self.robot, body=self.engine.free_body())
        self._standing = StandingBodies(self.robot, self.whole)
        return self._standing

    def base_pose(self) -> tuple[FloatArray, FloatArray]:
        """Return rotation ``(3, 3)`` and position ``(3,)`` of ``base_link`` in the world."""
        rotation = self.whole.rotation()
        return rotation, self.whole.position_m() - rotation @ self.middle_m

    def base_velocity(self) -> tuple[FloatArray, FloatArray]:
        """Return velocity (m/s) of the robot's middle and turning rate (rad/s), in its frame."""
        whole, rotation = self.whole, self.whole.rotation()
        spin = whole.frames.axis[3:6].T @ whole.state.v[3:6]
        return rotation.T @ whole.velocity_m_s(), rotation.T @ spin

    def reset(
        self, seed: int | None = None, positions_rad: Sequence[npt.ArrayLike] | None = None
    ) -> None:
        """Back to time 0 at rest on the ground, at ``positions_rad`` per limb or at home."""
        servos = None
        if positions_rad is not None:
            servos = np.concatenate([np.asarray(part, np.float64) for part in positions_rad])
        self.whole.reset(servos)
        self._follow()
        super().reset(seed, [body.servo_rad for body in self._standing.bodies])
        self._follow()

    def _take_steps(self, steps: int) -> None:
        super()._take_steps(steps)
        self._follow()

    def _follow(self) -> None:
        self._standing.follow()
        if self.scene is not None:
            self.scene.place_robot(*self.base_pose())


def standing_target(target: Target, xy_m: Sequence[float], size_m: float) -> Target:
    """Return a target that stands on the ground and faces the origin.

    Raises:
        UserError: there is no such place or size.
    """
    place = np.asarray(xy_m, dtype=np.float64)
    if place.shape != (2,) or not np.isfinite(place).all() or not 0.0 < size_m < 10.0:
        told = f"not {list(xy_m)} and {size_m}"
        raise UserError(f"A target on the ground takes x, y and an edge in m, {told}.")
    x, y = place.tolist()
    pose = Pose(xyz=(x, y, 0.75 * size_m), rpy=(0.0, 0.0, float(np.arctan2(-y, -x))))
    return target.model_copy(update={"pose": pose, "size_m": size_m})
