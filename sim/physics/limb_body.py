"""The arrays of :mod:`sim.physics.model` from a limb's description, and the limb that moves."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from hardware.description.limb import Hinge, JointDescription, Limb, Link, Material, Tendon
from hardware.description.urdf import box_moments
from sim.physics import integrator, rigid_body
from sim.physics.model import LinkFrames, ServoDynamics, SoftModel, State, TreeModel
from sim.physics.rotations import rotation_from_rpy
from sim.physics.soft_parts import tendon_tension


def box_inertia(mass_kg: float, size_m: Sequence[float]) -> FloatArray:
    """Return ``(3, 3)`` inertia in kg m2 of a solid box about its centre, edges along the axes."""
    return np.diag(box_moments(mass_kg, size_m))


def flexure_stiffness(hinge: Hinge, materials: Mapping[str, Material]) -> float:
    """Return the bending stiffness ``E I / length`` in N m/rad of a hinge; 0 for a plain one."""
    if hinge.flexure is None:
        return 0.0
    modulus = materials[hinge.flexure.material].youngs_modulus_pa
    return modulus * hinge.flexure.section.second_moment_m4 / hinge.flexure.length_m


def tree_model(limb: Limb, gravity_m_s2: float) -> TreeModel:
    """Return the rigid tree of a limb; gravity is turned into the limb's own frame."""
    hinges = limb.body.hinges
    links = {link.name: link for link in limb.body.links}
    number = {hinge.child: i for i, hinge in enumerate(hinges)}
    moved = [links[hinge.child] for hinge in hinges]
    axes = np.array([hinge.axis for hinge in hinges], dtype=np.float64).reshape(-1, 3)
    down = rotation_from_rpy(limb.base.rpy).T @ np.array([0.0, 0.0, -gravity_m_s2])
    return TreeModel(
        kind=np.zeros(len(hinges), dtype=np.int64),
        reference=np.tile(np.eye(3), (len(hinges), 1, 1)),
        parent=np.array([number.get(hinge.parent, -1) for hinge in hinges], dtype=np.int64),
        pivot_m=np.array([hinge.pivot_m for hinge in hinges], dtype=np.float64).reshape(-1, 3),
        axis=axes / np.linalg.norm(axes, axis=1, keepdims=True),
        mass_kg=np.array([link.mass_kg for link in moved], dtype=np.float64),
        center_m=np.array([link.center_m for link in moved], dtype=np.float64).reshape(-1, 3),
        inertia_kg_m2=_inertias(moved),
        gravity_m_s2=down,
    )


def _inertias(links: Sequence[Link]) -> FloatArray:
    return np.array([box_inertia(link.mass_kg, link.size_m) for link in links]).reshape(-1, 3, 3)


def soft_model(limb: Limb, materials: Mapping[str, Material]) -> SoftModel:
    """Return springs, dampers, friction, end stops and tendons along hinges, then pulleys."""
    hinges, pulleys = limb.body.hinges, _pulleys(limb)
    stiffness = np.array([flexure_stiffness(hinge, materials) for hinge in hinges])
    retardation = np.array(
        [
            0.0 if h.flexure is None else materials[h.flexure.material].retardation_time_s
            for h in hinges
        ]
    )
    armature = np.zeros(len(hinges) + len(pulleys))
    for joint, i in zip(limb.joints, _coordinates(limb), strict=True):
        armature[i] = joint.armature_kg_m2
    free = [np.inf] * len(pulleys)

    def padded(values: Sequence[float], fill: float = 0.0) -> FloatArray:
        return np.array([*values, *[fill] * len(pulleys)], dtype=np.float64)

    return SoftModel(
        armature=armature,
        stiffness=padded([*stiffness]),
        rest=padded([0.0 if h.flexure is None else h.flexure.rest_rad for h in hinges]),
        structural=padded([*(stiffness * retardation)]),
        viscous=padded([h.damping_nms_rad for h in hinges]),
        friction=padded([h.friction_nm for h in hinges]),
        lower=np.array([*[h.limits_rad[0] for h in hinges], *[-x for x in free]]),
        upper=np.array([*[h.limits_rad[1] for h in hinges], *free]),
        stop_stiffness=padded([h.stop_stiffness_nm_rad for h in hinges]),
        stop_damping=padded([h.stop_damping_nms_rad for h in hinges]),
        arms_m=_arms(limb, pulleys),
        tendon=np.array([_tendon(t) for t in limb.body.tendons], dtype=np.float64).reshape(-1, 6),
    )


def _tendon(tendon: Tendon) -> tuple[float, ...]:
    return (
        tendon.stiffness_n_m,
        tendon.damping_ns_m,
        tendon.pretension_n,
        tendon.slack_m,
        tendon.capstan_friction,
        tendon.wrap_rad,
    )


def _pulleys(limb: Limb) -> list[JointDescription]:
    return [joint for joint in limb.joints if joint.tendon is not None]


def _coordinates(limb: Limb) -> list[int]:
    """Return coordinate of each joint: its hinge, or its pulley behind all hinges."""
    hinge_number = {hinge.name: i for i, hinge in enumerate(limb.body.hinges)}
    pulleys = [joint.name for joint in _pulleys(limb)]
    return [
        hinge_number[joint.hinge]
        if joint.hinge is not None
        else len(hinge_number) + pulleys.index(joint.name)
        for joint in limb.joints
    ]


def _arms(limb: Limb, pulleys: Sequence[JointDescription]) -> FloatArray:
    """Return signed moment arms: positive along the hinges, minus the radius at the pulley."""
    hinge_number = {hinge.name: i for i, hinge in enumerate(limb.body.hinges)}
    arms = np.zeros((len(limb.body.tendons), len(hinge_number) + len(pulleys)))
    for t, tendon in enumerate(limb.body.tendons):
        for name, arm in zip(tendon.hinges, tendon.moment_arms_m, strict=True):
            arms[t, hinge_number[name]] = arm
        for p, joint in enumerate(pulleys):
            if joint.tendon == tendon.name:
                arms[t, len(hinge_number) + p] = -tendon.pulley_radius_m
    return arms


def servo_model(limb: Limb) -> ServoDynamics:
    """Return the servos, in command order."""

    def column(values: Sequence[float]) -> FloatArray:
        return np.array(values, dtype=np.float64)

    return ServoDynamics(
        joint=np.array(_coordinates(limb), dtype=np.int64),
        stiffness=column([j.stiffness_nm_rad for j in limb.joints]),
        damping=column([j.damping_nms_rad for j in limb.joints]),
        torque_limit=column([j.torque_limit_nm for j in limb.joints]),
        speed_limit=column([j.velocity_limit_rad_s for j in limb.joints]),
        lag_s=column([j.lag_s for j in limb.joints]),
    )


class LimbBody:
    """A limb's moving body: state, models, and integration over whole steps.

    Args:
        limb: the description.
        materials: materials by name.
        physics_hz: integration steps per second.
        gravity_m_s2: downward acceleration in the world.
        powered: without power the servos let go and only passive parts act.

    Attributes:
        creep_stride: steps taken as one while the limb only creeps towards rest; 1, as it is
            unless set, takes each by itself.
    """

    def __init__(
        self,
        limb: Limb,
        materials: Mapping[str, Material],
        *,
        physics_hz: float = 500.0,
        gravity_m_s2: float = 9.81,
        powered: bool = True,
    ) -> None:
        self.limb = limb
        self.dt_s = 1.0 / physics_hz
        self.creep_stride = 1
        self.tree = tree_model(limb, gravity_m_s2)
        self.soft = self._described = soft_model(limb, materials)
        self._all_servos = servo_model(limb)
        self.servo = self._all_servos
        self.hinge_count = len(limb.body.hinges)
        size, servos = self.soft.armature.size, len(limb.joints)
        self.state = State(
            q=np.zeros(size),
            v=np.zeros(size),
            goal=np.zeros(servos),
            ramp=np.zeros(servos),
            reference=np.zeros(servos),
            torque=np.zeros(servos),
            external=np.zeros(size),
        )
        count = self.hinge_count
        self.frames = LinkFrames(
            rotation=np.zeros((count, 3, 3)),
            shift_m=np.zeros((count, 3)),
            pivot_m=np.zeros((count, 3)),
            axis=np.zeros((count, 3)),
        )
        self.power(powered)
        self.reset(np.array([j.home_rad for j in limb.joints]))

    @property
    def described_servos(self) -> ServoDynamics:
        """All servos as described: with power, and none weakened."""
        return self._all_servos

    # -- motion ---------------------------------------------------------------------------------

    def power(self, on: bool) -> None:
        """Switch all servos; without power they neither hold nor brake.

        Switched on, they hold where they are until they get a goal.
        """
        full = self._all_servos
        if on and self.servo is not full:
            for part in (self.state.goal, self.state.ramp, self.state.reference):
                part[:] = self.servo_rad
        none = ServoDynamics(full.joint[:0], *(part[:0] for part in full[1:]))
        self.servo = full if on else none
        self.state.torque[:] = 0.0

    def weaken(self, servos: Collection[int], share: float = 0.1) -> None:
        """Leave these servos a share of their torque limit, and the others all of theirs.

        A tenth is about what the gears of an unpowered servo hold by themselves.
        """
        limits = self._all_servos.torque_limit.copy()
        limits[list(servos)] *= share
        self.servo = self._all_servos._replace(torque_limit=limits)

    def soften(self, share: float) -> None:
        """Make flexures and tendons ``share`` times as stiff as described."""
        soft, tendon = self._described, self._described.tendon.copy()
        tendon[:, 0] *= share
        self.soft = soft._replace(
            stiffness=share * soft.stiffness, structural=share * soft.structural, tendon=tendon
        )

    def reset(self, servo_rad: npt.ArrayLike) -> None:
        """Put the limb at rest at ``(s,)`` servo positions; a tendon shares its pull evenly."""
        goal = np.asarray(servo_rad, dtype=np.float64)
        state = self.state
        for part in (state.q, state.v, state.torque, state.external):
            part[:] = 0.0
        for part in (state.goal, state.ramp, state.reference):
            part[:] = goal
        state.q[self._all_servos.joint] = goal
        for arms in self.soft.arms_m:
            hinges = arms > 0
            # Even bending that leaves both sides as long as they were.
            pull = -float(np.dot(arms[~hinges], state.q[~hinges]))
            state.q[hinges] = pull / arms[hinges].sum()
        rigid_body.forward_kinematics(self.tree, state.q, self.frames)

    def place(self, hinge_rad: npt.ArrayLike) -> None:
        """Put the hinges at ``(h,)`` angles, at rest; servos and tendons are left as they were."""
        self.state.q[: self.hinge_count] = hinge_rad
        self.state.v[:] = 0.0
        rigid_body.forward_kinematics(self.tree, self.state.q, self.frames)

    def set_goal(self, servo_rad: npt.ArrayLike) -> None:
        """Command ``(s,)`` servo positions; the servos move there at their own speed."""
        self.state.goal[:] = servo_rad

    def advance(self, steps: int) -> None:
        """Integrate ``steps`` steps of ``dt_s``."""
        integrator.advance(
            self.tree,
            self.soft,
            self.servo,
            self.state,
            self.frames,
            self.dt_s,
            steps,
            self.creep_stride,
            None,
        )

    # -- observation ----------------------------------------------------------------------------

    @property
    def servo_rad(self) -> FloatArray:
        """``(s,)`` measured servo positions."""
        measured: FloatArray = self.state.q[self._all_servos.joint]
        return measured

    @property
    def servo_rad_s(self) -> FloatArray:
        """``(s,)`` measured servo speeds."""
        measured: FloatArray = self.state.v[self._all_servos.joint]
        return measured

    @property
    def servo_nm(self) -> FloatArray:
        """``(s,)`` last servo torques."""
        torque: FloatArray = self.state.torque.copy()
        return torque

    @property
    def hinge_rad(self) -> FloatArray:
        """``(h,)`` hinge angles."""
        angles: FloatArray = self.state.q[: self.hinge_count].copy()
        return angles

    def tendon_tensions_n(self) -> FloatArray:
        """Return ``(t, 2)`` tension of each tendon's flexor and extensor side."""
        rows = zip(self.soft.arms_m, self.soft.tendon, strict=True)
        return np.array(
            [[tendon_tension(a, c, side, self.state.q) for side in (1.0, -1.0)] for a, c in rows]
        ).reshape(-1, 2)

    def energy_j(self) -> tuple[float, float]:
        """Return kinetic and potential energy in J; servos not counted."""
        kinetic, potential = integrator.energy(self.tree, self.soft, self.state, self.frames, None)
        return float(kinetic), float(potential)

    def mass_matrix(self) -> FloatArray:
        """Return ``(n, n)`` joint-space inertia in kg m2 at the present pose, armature included."""
        count, size = self.hinge_count, self.state.q.size
        centers, inertia, mass = (
            self._moved_inertia(),
            np.empty((count, 3, 3)),
            np.zeros((size, size)),
        )
        rigid_body.world_inertia(self.tree, self.frames, inertia)
        rigid_body.mass_matrix(self.tree, self.frames, centers, inertia, mass)
        return mass + np.diag(self.soft.armature)

    def bias_forces(self) -> FloatArray:
        """Return ``(n,)`` gravity and velocity forces in N m at the present state."""
        count, out = self.hinge_count, np.zeros(self.state.q.size)
        centers, inertia = self._moved_inertia(), np.empty((count, 3, 3))
        rigid_body.world_inertia(self.tree, self.frames, inertia)
        rigid_body.bias_forces(self.tree, self.frames, self.state.v, centers, inertia, out)
        return out

    def _moved_inertia(self) -> FloatArray:
        centers = np.empty((self.hinge_count, 3))
        rigid_body.centers_of_mass(self.tree, self.frames, centers)
        return centers

    def link_pose(self, link: str) -> tuple[FloatArray, FloatArray]:
        """Return rotation ``(3, 3)`` and shift ``(3,)`` of a link in the limb's common frame."""
        for i, hinge in enumerate(self.limb.body.hinges):
            if hinge.child == link:
                return self.frames.rotation[i].copy(), self.frames.shift_m[i].copy()
        return np.eye(3), np.zeros(3)

    def push(self, link: str, point_m: npt.ArrayLike, force_n: npt.ArrayLike) -> None:
        """Apply a constant force at a point of a link (straight-pose coordinates) until reset.

        The generalised force is taken at the present pose: exact for small motions.
        """
        rotation, shift = self.link_pose(link)
        at = rotation @ np.asarray(point_m, dtype=np.float64) + shift
        force = np.asarray(force_n, dtype=np.float64)
        number = {hinge.child: i for i, hinge in enumerate(self.limb.body.hinges)}
        i = number.get(link, -1)
        while i >= 0:
            lever = at - self.frames.pivot_m[i]
            self.state.external[i] += self.frames.axis[i] @ np.cross(lever, force)
            i = int(self.tree.parent[i])
