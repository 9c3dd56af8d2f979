"""The scenes, and a dropped robot, in MuJoCo: the extra ``mujoco``."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from hardware.description.limb import Limb
from sim.contact.body import ContactBody
from sim.contact.scenes import GRAVITY_M_S2, SAMPLE_HZ, ContactScene, Solid
from sim.physics.rotations import quaternion_from_rotation, rotation_from_rpy

MISSING = "MuJoCo is not installed; it comes with the extra mujoco: pip install 'asterias[mujoco]'."
# Of the contact spring, per kilogram: stiff enough for a bounce within 3 ms.
_STIFFNESS = 1e6
_HZ = 5000.0


def load_mujoco() -> Any:
    """Return the module.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module("mujoco")
    except ImportError as error:
        raise UserError(MISSING) from error


def run_scene(scene: ContactScene) -> FloatArray:
    """Return the track of a scene in MuJoCo; see :class:`sim.contact.scenes.SceneRunner`."""
    law = scene.surface
    # The plane's own z along its normal, which leans towards x.
    turned = _quaternion((0.0, scene.slope_rad, 0.0))
    solids = "".join(_solid(k, solid) for k, solid in enumerate(scene.solids))
    geom = f'friction="{law.friction} 0 0" {_softness(law.restitution)}'
    text = _model(f'<geom type="plane" size="50 50 1" quat="{turned}"/>{solids}', geom=geom, hz=_HZ)
    return _track(text, [f"solid_{k}" for k in range(len(scene.solids))], scene.duration_s)


def _softness(restitution: float) -> str:
    """Return the contact spring: its damping ratio gives the restitution."""
    slow = math.log(restitution) if restitution > 0.0 else -math.inf
    ratio = 1.0 if math.isinf(slow) else -slow / math.hypot(math.pi, slow)
    damping = 2.0 * ratio * math.sqrt(_STIFFNESS)
    return f'solref="{-_STIFFNESS} {-damping}" solimp="0.99 0.99 0.001"'


def _solid(k: int, solid: Solid) -> str:
    kind = "sphere" if solid.shape == "ball" else "box"
    half = solid.size_m if solid.shape == "ball" else [0.5 * edge for edge in solid.size_m]
    return (
        f'<body name="solid_{k}" pos="{_text(solid.position_m)}" quat="{_quaternion(solid.rpy)}">'
        f'<freejoint/><geom type="{kind}" size="{_text(half)}" mass="1"/></body>'
    )


def _model(world: str, *, geom: str, hz: float, actuators: str = "") -> str:
    return (
        f'<mujoco><compiler angle="radian"/><option timestep="{1.0 / hz}" cone="elliptic" '
        f'gravity="0 0 {-GRAVITY_M_S2}" integrator="implicitfast" noslip_iterations="10"/>'
        f'<default><geom condim="3" {geom}/></default>'
        f"<worldbody>{world}</worldbody><actuator>{actuators}</actuator></mujoco>"
    )


def _track(text: str, names: list[str], duration_s: float) -> FloatArray:
    mujoco = load_mujoco()
    model = mujoco.MjModel.from_xml_string(text)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    track = [[data.body(name).xpos.copy() for name in names]]
    every = round(1.0 / (model.opt.timestep * SAMPLE_HZ))
    for _ in range(round(duration_s * SAMPLE_HZ)):
        mujoco.mj_step(model, data, every)
        track.append([data.body(name).xpos.copy() for name in names])
    return np.array(track)


# -- a robot --------------------------------------------------------------------------------------


def run_robot(robot: ContactBody, duration_s: float, *, hz: float = 2000.0) -> FloatArray:
    """Return the track ``(T, 1, 3)`` of a robot's body, dropped in MuJoCo, its servos at home.

    Masses, inertias, flexures, servos and spheres are those of ``robot``; limbs do not touch one
    another.
    """
    body = robot.bodies[0]
    limbs = "".join(_limb(robot, number, limb) for number, limb in enumerate(robot.limbs))
    world = (
        '<geom type="plane" size="50 50 1" contype="1" conaffinity="2"/>'
        f'<body name="body" pos="{_text(body.position_m)}"><freejoint/>'
        f"{_inertial(body.mass_kg, body.center_m, body.inertia_kg_m2)}"
        f"{_spheres(robot, 5)}{limbs}</body>"
    )
    law = robot.ground.surface
    geom = f'friction="{law.friction} 0 0" contype="2" conaffinity="1" {_softness(0.0)}'
    text = _model(world, geom=geom, hz=hz, actuators=_actuators(robot))
    return _track(text, ["body"], duration_s)


def _limb(robot: ContactBody, number: int, limb: Limb) -> str:
    """Return nested bodies, one for each hinge; frames of all bodies are that of the robot."""
    opened, tree, soft = [], robot.tree, robot.soft
    for k, i in enumerate(robot.coordinates[number][: len(limb.body.hinges)]):
        opened.append(
            f"<body>{_inertial(tree.mass_kg[i], tree.center_m[i], tree.inertia_kg_m2[i])}"
            f'<joint name="limb_{number}_{k}" type="hinge" pos="{_text(tree.pivot_m[i])}" '
            f'axis="{_text(tree.axis[i])}" stiffness="{soft.stiffness[i]}" '
            f'damping="{soft.structural[i] + soft.viscous[i]}" armature="{soft.armature[i]}" '
            f'frictionloss="{soft.friction[i]}"/>{_spheres(robot, int(i))}'
        )
    return "".join(opened) + "</body>" * len(opened)


def _spheres(robot: ContactBody, coordinate: int) -> str:
    return "".join(
        f'<geom type="sphere" mass="0" pos="{_text(touching.sphere.center_m)}" '
        f'size="{touching.sphere.radius_m}"/>'
        for touching in robot.spheres
        if touching.coordinate == coordinate
    )


def _actuators(robot: ContactBody) -> str:
    made = []
    for number, limb in enumerate(robot.limbs):
        names = [hinge.name for hinge in limb.body.hinges]
        for joint in limb.joints:
            k, limit = names.index(joint.hinge or ""), joint.torque_limit_nm
            made.append(
                f'<general joint="limb_{number}_{k}" biastype="affine" '
                f'gainprm="{joint.stiffness_nm_rad}" '
                f'biasprm="0 {-joint.stiffness_nm_rad} {-joint.damping_nms_rad}" '
                f'forcelimited="true" forcerange="{-limit} {limit}"/>'
            )
    return "".join(made)


def _inertial(mass: float, center: Any, inertia: FloatArray) -> str:
    full = (*np.diag(inertia), inertia[0, 1], inertia[0, 2], inertia[1, 2])
    return f'<inertial mass="{mass}" pos="{_text(center)}" fullinertia="{_text(full)}"/>'


def _quaternion(rpy: tuple[float, float, float]) -> str:
    x, y, z, w = quaternion_from_rotation(rotation_from_rpy(rpy))
    return _text((w, x, y, z))


def _text(values: Any) -> str:
    return " ".join(repr(float(value)) for value in values)
