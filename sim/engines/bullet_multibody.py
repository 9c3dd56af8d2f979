"""A robot in PyBullet: one multibody from its URDF, and what it can touch."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from asterias.errors import UserError
from hardware.description.frames import frames_of
from hardware.description.robot import RobotDescription
from sim.contact.shapes import Ground
from sim.engines.bullet_urdf import bullet_urdf
from sim.physics.rotations import quaternion_from_rotation, rotation_from_rpy
from sim.rendering.bullet import BulletClient

# Sub-steps a second at least. The torques are implicit, so that more gain little: a limb's way is
# within some mrad of our own loop's, and a crawl's length within 2 % of that at 2 kHz.
HELD_HZ, STANDING_HZ = 1000.0, 500.0
# Of Bullet's solver of contacts: its own 50 leave heaps of limbs creeping.
_ITERATIONS, _RESIDUAL = 100, 1e-7
# Impacts slower than this (m/s) do not bounce; Bullet's own 0.2 would end a bounce too soon.
_RESTING_M_S = 0.05
# Bullet's own 100 would be reached by a limp finger that snaps back.
_LARGEST_RAD_S = 1e3
# Bullet's multibodies have 128 degrees of freedom at most, six of them the body's own.
MOST_HINGES = 122


class BulletMultibody:
    """The robot's rigid bodies in a simulation of their own.

    Args:
        robot: the description.
        held: whether its base stands still.
        ground: what stands, and the surface.
        dt_s: length of a sub-step.

    Attributes:
        hinges: how many there are, limb by limb in the description's order.

    Raises:
        UserError: PyBullet cannot carry the robot, or is not installed.
    """

    def __init__(self, robot: RobotDescription, *, held: bool, ground: Ground, dt_s: float) -> None:
        self.hinges = sum(len(limb.body.hinges) for limb in robot.limbs)
        if self.hinges > MOST_HINGES:
            raise UserError(
                f"PyBullet carries robots of {MOST_HINGES} hinges at most, and {robot.name} has "
                f"{self.hinges}; set backend.engine to asterias."
            )
        self._robot, self._held, self._ground, self._dt_s = robot, held, ground, dt_s
        self._urdf = bullet_urdf(robot)
        self._gravity_m_s2 = [0.0, 0.0, 0.0]
        self.bullet = BulletClient()
        self._build()

    def _build(self) -> None:
        """Make everything anew: what Bullet keeps of old contacts would change the next run."""
        self.bullet.resetSimulation()
        self.bullet.setPhysicsEngineParameter(
            fixedTimeStep=self._dt_s,
            numSolverIterations=_ITERATIONS,
            solverResidualThreshold=_RESIDUAL,
            restitutionVelocityThreshold=_RESTING_M_S,
            deterministicOverlappingPairs=1,
        )
        self.body = self._load()
        self._joints = self._numbers()
        self._standing = self._stand_up()
        self._prepare()
        about = self.bullet.getDynamicsInfo(self.body, -1)
        self._base = _rotation(self.bullet, about[4]), np.array(about[3])
        self.set_gravity(self._gravity_m_s2)
        self._is_new = True

    # -- building ---------------------------------------------------------------------------------

    def _load(self) -> int:
        bullet = self.bullet
        with tempfile.TemporaryDirectory(prefix="asterias-engine-") as folder:
            path = Path(folder) / "robot.urdf"
            path.write_text(self._urdf, encoding="utf-8")
            flags = (
                bullet.URDF_USE_INERTIA_FROM_FILE
                | bullet.URDF_USE_SELF_COLLISION
                | bullet.URDF_USE_SELF_COLLISION_EXCLUDE_PARENT
            )
            return int(bullet.loadURDF(str(path), useFixedBase=self._held, flags=flags))

    def _numbers(self) -> list[int]:
        """Return Bullet's numbers of the hinges, limb by limb."""
        numbers = {
            self.bullet.getJointInfo(self.body, k)[1].decode(): k
            for k in range(self.bullet.getNumJoints(self.body))
        }
        turning = [frame for frame in frames_of(self._robot).turning if frame.hinge is not None]
        return [numbers[frame.joint] for frame in turning]

    def _stand_up(self) -> list[int]:
        """Return the bodies that stand: planes, then boxes."""
        bullet, ground, bodies = self.bullet, self._ground, []
        for plane in ground.planes:
            normal = np.array(plane.normal) / np.linalg.norm(plane.normal)
            shape = bullet.createCollisionShape(bullet.GEOM_PLANE, planeNormal=normal.tolist())
            at = (plane.offset_m * normal).tolist()
            bodies.append(bullet.createMultiBody(0.0, shape, basePosition=at))
        for box in ground.boxes:
            half = [0.5 * edge for edge in box.size_m]
            shape = bullet.createCollisionShape(bullet.GEOM_BOX, halfExtents=half)
            turned = quaternion_from_rotation(rotation_from_rpy(box.rpy)).tolist()
            bodies.append(bullet.createMultiBody(0.0, shape, -1, list(box.center_m), turned))
        return bodies

    def _prepare(self) -> None:
        """Give all bodies their surface, and leave only what our own torques do to the joints."""
        bullet, law = self.bullet, self._ground.surface
        for body in self._standing:
            # Coefficients of the two bodies are multiplied.
            bullet.changeDynamics(body, -1, lateralFriction=1.0, restitution=1.0)
        for link in range(-1, len(self._joints)):
            # One by one: beside a damping, PyBullet does not take a link's friction.
            for value in (
                {"lateralFriction": law.friction},
                {"restitution": law.restitution},
                {"jointDamping": 0.0},
                {"maxJointVelocity": _LARGEST_RAD_S},
            ):
                bullet.changeDynamics(self.body, link, **value)
        bullet.changeDynamics(self.body, -1, linearDamping=0.0, angularDamping=0.0)
        none = [0.0] * len(self._joints)
        if self._joints:
            bullet.setJointMotorControlArray(
                self.body, self._joints, bullet.VELOCITY_CONTROL, forces=none
            )
        self._let_overlap()

    def _let_overlap(self) -> None:
        """Let a limb's links pass through one another and through what carries the limb.

        Boxes are drawn round real parts, which make way for one another: as boxes they would lock
        hinges. What overlaps other limbs, or what stands, as the robot is built does so for ever.
        """
        bullet, first = self.bullet, 0
        for limb in self._robot.limbs:
            own = [-1, *self._joints[first : first + len(limb.body.hinges)]]
            first += len(limb.body.hinges)
            for one, other in combinations(own, 2):
                bullet.setCollisionFilterPair(self.body, self.body, one, other, 0)
        bullet.performCollisionDetection()
        for point in bullet.getContactPoints(bodyA=self.body):
            if point[8] < 0.0 and (point[2] == self.body or self._held):
                bullet.setCollisionFilterPair(*point[1:5], 0)

    # -- motion -----------------------------------------------------------------------------------

    def place(
        self,
        hinge_rad: FloatArray,
        rotation: FloatArray | None = None,
        position_m: FloatArray | None = None,
    ) -> None:
        """Put all at rest: the hinges at ``(h,)`` angles, and the base in a pose if it is free."""
        bullet = self.bullet
        if not self._is_new:
            self._build()
        if rotation is not None and position_m is not None:
            turned, center = self._base
            bullet.resetBasePositionAndOrientation(
                self.body,
                (rotation @ center + position_m).tolist(),
                quaternion_from_rotation(rotation @ turned).tolist(),
            )
            bullet.resetBaseVelocity(self.body, [0.0] * 3, [0.0] * 3)
        for joint, angle in zip(self._joints, hinge_rad.tolist(), strict=True):
            bullet.resetJointState(self.body, joint, angle, 0.0)

    def set_gravity(self, gravity_m_s2: npt.ArrayLike) -> None:
        """Pull everything by ``(3,)`` in the world."""
        self._gravity_m_s2 = np.asarray(gravity_m_s2, dtype=np.float64).tolist()
        self.bullet.setGravity(*self._gravity_m_s2)

    def step(self, torque_nm: FloatArray) -> None:
        """Let a sub-step pass with ``(h,)`` torques on the hinges."""
        if self._joints:
            self.bullet.setJointMotorControlArray(
                self.body, self._joints, self.bullet.TORQUE_CONTROL, forces=torque_nm.tolist()
            )
        self.bullet.stepSimulation()
        self._is_new = False

    def hinge_states(self) -> FloatArray:
        """Return ``(h, 2)`` angles in rad and speeds in rad/s."""
        if not self._joints:
            return np.zeros((0, 2))
        states = self.bullet.getJointStates(self.body, self._joints)
        return np.array([state[:2] for state in states])

    def base_pose(self) -> tuple[FloatArray, FloatArray]:
        """Return rotation ``(3, 3)`` and position ``(3,)`` of ``base_link``."""
        at, quaternion = self.bullet.getBasePositionAndOrientation(self.body)
        turned, center = self._base
        rotation = _rotation(self.bullet, quaternion) @ turned.T
        return rotation, np.array(at) - rotation @ center

    def base_velocity(self, rotation: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the velocity of ``base_link`` (m/s) and its turning rate (rad/s), in the world."""
        velocity, spin = map(np.array, self.bullet.getBaseVelocity(self.body))
        return velocity - np.cross(spin, rotation @ self._base[1]), spin

    def contacts(self) -> int:
        """Return how many contacts carry a force."""
        return sum(point[9] > 0.0 for point in self.bullet.getContactPoints(bodyA=self.body))

    def close(self) -> None:
        """Free the simulation; harmless when done before."""
        self.bullet.close()


def _rotation(bullet: BulletClient, quaternion: Sequence[float]) -> FloatArray:
    return np.array(bullet.getMatrixFromQuaternion(quaternion)).reshape(3, 3)
