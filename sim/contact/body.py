"""Bodies that move freely and touch: rigid ones, and robots whose limbs sit on a free body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from hardware.description.limb import Limb, Material
from sim.contact import assembly
from sim.contact.assembly import FREE
from sim.contact.shapes import FreeBody, Ground, Vector
from sim.physics import integrator, rigid_body
from sim.physics.model import LinkFrames, State
from sim.physics.rotations import rotation_from_rpy

LIMP_NM = 1e-9


class ContactBody:
    """Free bodies, limbs on the first of them, and the ground, integrated over whole steps.

    The same start and the same commands give the same motion, bit for bit.

    Args:
        bodies: the rigid bodies that nothing holds.
        limbs: limbs of the first body; a limb's ``base`` is its place in that body's frame.
        materials: materials by name.
        ground: what stands, and the surface.
        physics_hz: integration steps per second.
        gravity_m_s2: downward acceleration.

    Attributes:
        coordinates: for each limb the numbers of its hinges, then of its pulleys.
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
        self.bodies, self.limbs, self.ground = tuple(bodies), tuple(limbs), ground or Ground()
        self.dt_s = 1.0 / physics_hz
        self.tree = assembly.join_trees(bodies, limbs, gravity_m_s2)
        self._references = self.tree.reference.copy()
        self.coordinates = assembly.limb_coordinates(bodies, limbs)
        size = FREE * len(bodies) + sum(own.size for own in self.coordinates)
        self.soft = assembly.join_soft_parts(limbs, self.coordinates, size, materials or {})
        self.servo = self._all_servos = assembly.join_servos(limbs, self.coordinates)
        self.spheres = assembly.touching_spheres(bodies, limbs)
        self.contact = assembly.contact_arrays(
            self.tree, self.soft, self.spheres, len(bodies), self.ground
        )
        servos, count = self.servo.joint.size, self.tree.parent.size
        self.state = State(*(np.zeros(k) for k in (size, size, *[servos] * 4, size)))
        self.frames = LinkFrames(np.zeros((count, 3, 3)), *(np.zeros((count, 3)) for _ in range(3)))
        self.reset()

    # -- motion -----------------------------------------------------------------------------------

    def reset(self, servo_rad: npt.ArrayLike | None = None) -> None:
        """Put bodies where they start, and limbs at ``(s,)`` servo positions or at home."""
        goal = np.array([joint.home_rad for limb in self.limbs for joint in limb.joints])
        if servo_rad is not None:
            goal[:] = servo_rad
        state = self.state
        for part in (*state, self.contact.force_n, self.contact.work_j):
            part[:] = 0.0
        for part in (state.goal, state.ramp, state.reference):
            part[:] = goal
        state.q[self._all_servos.joint] = goal
        self.tree.reference[:] = self._references
        for number, body in enumerate(self.bodies):
            first = FREE * number
            state.q[first : first + 3] = body.position_m
            state.v[first : first + 3] = body.velocity_m_s
        rigid_body.forward_kinematics(self.tree, state.q, self.frames)

    def start_at(self, position_m: Vector, rpy: Vector = (0.0, 0.0, 0.0)) -> None:
        """Move the first body's start, and reset."""
        first = replace(self.bodies[0], position_m=position_m, rpy=rpy)
        self.bodies = (first, *self.bodies[1:])
        self._references[FREE - 1] = rotation_from_rpy(rpy)
        self.reset()

    def set_goal(self, servo_rad: npt.ArrayLike) -> None:
        """Command ``(s,)`` servo positions, limb by limb; servos move at their own speed."""
        self.state.goal[:] = servo_rad

    def weaken(self, shares: npt.ArrayLike) -> None:
        """Leave each servo ``(s,)`` its share of its torque limit: 1 is whole, 0 is limp."""
        limits = self._all_servos.torque_limit * np.asarray(shares, dtype=np.float64)
        # A limit of zero would not count as one that is reached.
        limits = np.maximum(limits, LIMP_NM)
        self.servo = self._all_servos._replace(torque_limit=limits)

    def close(self) -> None:
        """Free what it holds; there is nothing."""

    def advance(self, steps: int) -> None:
        """Integrate ``steps`` steps of ``dt_s``."""
        integrator.advance(
            *(self.tree, self.soft, self.servo, self.state, self.frames),
            *(self.dt_s, steps, 1, self.contact),
        )

    # -- observation ------------------------------------------------------------------------------

    @property
    def contacts(self) -> int:
        """How many contacts carry a force."""
        return int(np.count_nonzero(self.contact.force_n.any(axis=1)))

    @property
    def contact_work_j(self) -> float:
        """What all contacts have done since the reset, their elastic energy included."""
        return float(self.contact.work_j[0])

    def energy_j(self) -> tuple[float, float]:
        """Return kinetic and potential energy in J; servos not counted."""
        kinetic, potential = integrator.energy(
            self.tree, self.soft, self.state, self.frames, self.contact
        )
        return float(kinetic), float(potential)

    def position_m(self, body: int = 0) -> FloatArray:
        """Return ``(3,)`` where the frame of a free body is."""
        found: FloatArray = self.state.q[FREE * body : FREE * body + 3].copy()
        return found

    def rotation(self, body: int = 0) -> FloatArray:
        """Return the attitude ``(3, 3)`` of a free body."""
        found: FloatArray = self.frames.rotation[FREE * (body + 1) - 1].copy()
        return found

    def velocity_m_s(self, body: int = 0) -> FloatArray:
        """Return ``(3,)`` the velocity of a free body's frame."""
        found: FloatArray = self.state.v[FREE * body : FREE * body + 3].copy()
        return found

    def sphere_centers_m(self) -> FloatArray:
        """Return ``(s, 3)`` where the spheres' centres are now."""
        rotation, shift = self.frames.rotation[self.contact.link], self.frames.shift_m
        centers: FloatArray = np.einsum("sij,sj->si", rotation, self.contact.center_m)
        return centers + shift[self.contact.link]
