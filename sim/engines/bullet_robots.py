"""Robots that Bullet moves, held or free, with the interfaces of those of our own loop."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from asterias.errors import UserError
from hardware.description.limb import Limb, Material
from hardware.description.robot import RobotDescription
from sim.contact.assembly import FREE
from sim.contact.body import ContactBody
from sim.contact.shapes import FreeBody, Ground, Obstacle
from sim.engines.bullet_multibody import HELD_HZ, STANDING_HZ, BulletMultibody
from sim.engines.implicit_torques import add_contact_forces, implicit_torques
from sim.physics import integrator, rigid_body
from sim.physics.limb_body import LimbBody
from sim.physics.model import LinkFrames, ServoDynamics, SoftModel, State, TreeModel, make_workspace


class SoftTorques:
    """The torques of one tree of links from sub-step to sub-step.

    Args:
        tree: of the links.
        soft: of the limbs.
        state: of the body.
        frames: scratch.
        dt_s: length of a sub-step.

    Attributes:
        contact_nm: ``(n,)`` generalised forces of the contacts.
        torque_nm: ``(h,)`` torques of the next sub-step.
    """

    def __init__(
        self, tree: TreeModel, soft: SoftModel, state: State, frames: LinkFrames, dt_s: float
    ) -> None:
        self._tree, self._state, self._frames, self._dt_s = tree, state, frames, dt_s
        self.contact_nm = np.zeros(state.q.size)
        self.torque_nm = np.zeros(tree.parent.size)
        self._inner = state._replace(external=np.zeros(state.q.size))
        self._speeds = np.zeros(state.q.size)
        self._servos = -1
        self._size_buffers(soft, state.goal.size)

    def _size_buffers(self, soft: SoftModel, servos: int) -> None:
        size, hinges, tendons = self._state.q.size, self._tree.parent.size, soft.arms_m.shape[0]
        self._workspace = make_workspace(size, hinges, tendons, servos)
        self._rate, self._servos = np.zeros(servos), servos

    def clear(self) -> None:
        """Forget all contacts."""
        self.contact_nm[:] = 0.0

    def compute(self, soft: SoftModel, servo: ServoDynamics) -> None:
        """Compute ``torque_nm`` for the state as it is."""
        if servo.joint.size != self._servos:
            self._size_buffers(soft, servo.joint.size)
        self._speeds[:] = self._state.v
        self._inner.external[:] = self._state.external + self.contact_nm
        implicit_torques(
            *(self._tree, soft, servo, self._inner, self._frames, self._dt_s),
            *(self._workspace, self._rate, self.torque_nm),
        )

    def learn(self, soft: SoftModel) -> None:
        """Take the contacts' forces from how the bodies have moved."""
        add_contact_forces(
            *(self._tree, soft, self._speeds, self._state, self._dt_s),
            *(self._workspace, self.contact_nm),
        )

    def contact_work_j(self) -> float:
        """Return what the contacts did in the last sub-step."""
        mean = 0.5 * (self._speeds + self._state.v)
        return float(self.contact_nm @ mean) * self._dt_s


def substeps(dt_s: float, least_hz: float) -> int:
    """Return how many sub-steps a step of ``dt_s`` is."""
    return max(math.ceil(least_hz * dt_s - 1e-9), 1)


# -- a robot that is held -------------------------------------------------------------------------


class BulletLimb(LimbBody):
    """A limb of a :class:`BulletRobot`.

    Args:
        robot: that it belongs to.
        limb: the description.
        first: number of its first hinge among the robot's.
    """

    def __init__(self, robot: BulletRobot, limb: Limb, first: int) -> None:
        self._robot: BulletRobot | None = None
        self.hinges = slice(first, first + len(limb.body.hinges))
        about = robot.about
        super().__init__(
            limb,
            about.materials,
            physics_hz=about.simulation.physics_hz,
            gravity_m_s2=about.simulation.gravity_m_s2,
        )
        dt_s = self.dt_s / substeps(self.dt_s, HELD_HZ)
        self.torques = SoftTorques(self.tree, self.soft, self.state, self.frames, dt_s)
        self._robot = robot

    def advance(self, steps: int) -> None:
        """Integrate ``steps`` steps of ``dt_s``, which move the whole robot."""
        if self._robot is not None:
            self._robot.advance(steps)

    def reset(self, servo_rad: npt.ArrayLike) -> None:
        """Put the limb at rest at ``(s,)`` servo positions."""
        super().reset(servo_rad)
        if self._robot is not None:
            self._robot.place()

    def place(self, hinge_rad: npt.ArrayLike) -> None:
        """Put the hinges at ``(h,)`` angles, at rest."""
        super().place(hinge_rad)
        if self._robot is not None:
            self._robot.place()


class BulletRobot:
    """A robot whose base is held: all limbs in one multibody, beside the scenery and the floor.

    Args:
        about: the description.

    Attributes:
        bodies: its limbs.

    A ``UserError`` says so where PyBullet cannot carry the robot, or is not installed.
    """

    def __init__(self, about: RobotDescription) -> None:
        self.about = about
        dt_s = 1.0 / about.simulation.physics_hz
        self._parts = substeps(dt_s, HELD_HZ)
        boxes = tuple(Obstacle(box.center_m, box.size_m) for box in about.scenery)
        self._multibody = BulletMultibody(
            about, held=True, ground=Ground(boxes=boxes), dt_s=dt_s / self._parts
        )
        self._multibody.set_gravity([0.0, 0.0, -about.simulation.gravity_m_s2])
        self.bodies: list[BulletLimb] = []
        for limb in about.limbs:
            first = sum(len(body.limb.body.hinges) for body in self.bodies)
            self.bodies.append(BulletLimb(self, limb, first))
        self.place()

    def place(self) -> None:
        """Put Bullet's limbs where the limbs are, at rest."""
        self._multibody.place(np.concatenate([body.hinge_rad for body in self.bodies]))
        for body in self.bodies:
            body.torques.clear()

    def advance(self, steps: int) -> None:
        """Integrate whole steps."""
        torque = np.zeros(self._multibody.hinges)
        for _ in range(steps * self._parts):
            for body in self.bodies:
                body.torques.compute(body.soft, body.servo)
                torque[body.hinges] = body.torques.torque_nm
            self._multibody.step(torque)
            found = self._multibody.hinge_states()
            for body in self.bodies:
                count = body.hinge_count
                body.state.q[:count], body.state.v[:count] = found[body.hinges].T
                body.torques.learn(body.soft)
        for body in self.bodies:
            rigid_body.forward_kinematics(body.tree, body.state.q, body.frames)

    def close(self) -> None:
        """Free the simulation."""
        self._multibody.close()


# -- a robot that stands free ---------------------------------------------------------------------


class BulletContactBody(ContactBody):
    """A robot on the ground, as :class:`sim.contact.body.ContactBody` is one.

    Args:
        bodies: the robot's body; no others.
        limbs: its limbs.
        materials: materials by name.
        ground: what stands, and the surface; its stiffness and damping are Bullet's own.
        physics_hz: integration steps per second.
        gravity_m_s2: downward acceleration.

    Raises:
        UserError: there are other bodies, or PyBullet cannot carry the robot or is not installed.
    """

    def __init__(
        self,
        bodies: Sequence[FreeBody],
        limbs: Sequence[Limb] = (),
        materials: Mapping[str, Material] | None = None,
        *,
        ground: Ground | None = None,
        physics_hz: float = 500.0,
        gravity_m_s2: float = 9.81,
    ) -> None:
        if len(bodies) != 1 or not limbs:
            raise UserError("Engine pybullet moves one robot with limbs; use engine asterias.")
        self._multibody: BulletMultibody | None = None
        super().__init__(
            *(bodies, limbs, materials),
            ground=ground,
            physics_hz=physics_hz,
            gravity_m_s2=gravity_m_s2,
        )
        self._parts = substeps(self.dt_s, STANDING_HZ)
        dt_s = self.dt_s / self._parts
        about = RobotDescription(name="robot", materials=dict(materials or {}), limbs=tuple(limbs))
        self._multibody = BulletMultibody(about, held=False, ground=self.ground, dt_s=dt_s)
        self._torques = SoftTorques(self.tree, self.soft, self.state, self.frames, dt_s)
        counts = [len(limb.body.hinges) for limb in limbs]
        self._hinges = np.concatenate(
            [own[:count] for own, count in zip(self.coordinates, counts, strict=True)]
        )
        self.reset()

    def reset(self, servo_rad: npt.ArrayLike | None = None) -> None:
        """Put the robot where it starts, and its limbs at ``(s,)`` servo positions or at home."""
        super().reset(servo_rad)
        if self._multibody is not None:
            self._torques.clear()
            hinges, place = self.state.q[self._hinges], self.position_m()
            self._multibody.place(hinges, self.rotation(), place)

    def advance(self, steps: int) -> None:
        """Integrate ``steps`` steps of ``dt_s``."""
        assert self._multibody is not None
        self._multibody.set_gravity(self.tree.gravity_m_s2)
        for _ in range(steps * self._parts):
            self._torques.compute(self.soft, self.servo)
            self._multibody.step(self._torques.torque_nm[self._hinges])
            self._take(self._multibody)
            self._torques.learn(self.soft)
            self.contact.work_j[0] += self._torques.contact_work_j()
        rigid_body.forward_kinematics(self.tree, self.state.q, self.frames)

    def _take(self, multibody: BulletMultibody) -> None:
        """Take the state from Bullet; angles of the body are counted from its attitude now."""
        state = self.state
        rotation, state.q[:3] = multibody.base_pose()
        self.tree.reference[FREE - 1] = rotation
        velocity, spin = multibody.base_velocity(rotation)
        state.q[3:FREE] = 0.0
        # About z, y and x, which are the world's axes while the angles are zero.
        state.v[:3], state.v[3:FREE] = velocity, spin[::-1]
        state.q[self._hinges], state.v[self._hinges] = multibody.hinge_states().T

    def energy_j(self) -> tuple[float, float]:
        """Return kinetic and potential energy in J; servos and what contacts store not counted."""
        kinetic, potential = integrator.energy(self.tree, self.soft, self.state, self.frames, None)
        return float(kinetic), float(potential)

    @property
    def contacts(self) -> int:
        """How many contacts carry a force."""
        return 0 if self._multibody is None else self._multibody.contacts()

    def close(self) -> None:
        """Free the simulation."""
        if self._multibody is not None:
            self._multibody.close()
