"""The rigid tree against PyBullet's own dynamics of the same multibody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hardware.description.limb import Pose
from hardware.description.robot import RobotDescription
from sim.physics import rigid_body
from sim.physics.limb_body import LimbBody, box_inertia
from sim.physics.rotations import quaternion_from_rotation, rotation_from_rpy
from sim.rendering.bullet import pybullet
from sim.rendering.bullet_scene import BulletScene

if TYPE_CHECKING:
    from tests.sim.conftest import FloatArray

BASES = {
    "level": Pose(xyz=(0.0, 0.0, 0.3)),
    "tilted": Pose(xyz=(0.2, -0.1, 0.5), rpy=(0.4, -0.7, 1.9)),
}
HINGES = 6


@dataclass(frozen=True)
class Pair:
    """The same limb here and in PyBullet."""

    body: LimbBody
    scene: BulletScene
    limb_pose: Pose

    @property
    def number(self) -> int:
        """PyBullet's number of the limb."""
        return self.scene.bodies[0]

    def pose(self, seed: int) -> tuple[FloatArray, FloatArray]:
        """Draw a state and put both there; returns ``(h,)`` angles and rates."""
        rng = np.random.default_rng(seed)
        q, v = rng.uniform(-1.5, 1.5, HINGES), rng.uniform(-6.0, 6.0, HINGES)
        self.body.state.q[:HINGES], self.body.state.v[:HINGES] = q, v
        rigid_body.forward_kinematics(self.body.tree, self.body.state.q, self.body.frames)
        self.scene.place_limb(0, q)
        return q, v


@pytest.fixture(params=list(BASES))
def pair(request: pytest.FixtureRequest, limb_p1: RobotDescription) -> Iterator[Pair]:
    """Prototype 1, level and tilted."""
    base = BASES[request.param]
    limb = limb_p1.limbs[0].model_copy(update={"base": base})
    robot = limb_p1.model_copy(update={"limbs": (limb,)})
    scene = BulletScene(robot)
    links = {link.name: link for link in limb.body.links}
    for i, hinge in enumerate(limb.body.hinges):
        link = links[hinge.child]
        # A body made of visual shapes has no inertia in PyBullet.
        diagonal = np.diag(box_inertia(link.mass_kg, link.size_m)).tolist()
        pybullet.changeDynamics(
            scene.bodies[0], i, localInertiaDiagonal=diagonal, physicsClientId=scene.client
        )
    pybullet.setGravity(0.0, 0.0, -9.81, physicsClientId=scene.client)
    yield Pair(LimbBody(limb, robot.materials), scene, base)
    scene.close()


@pytest.mark.parametrize("seed", range(5))
def test_mass_matrix(pair: Pair, seed: int) -> None:
    q, _ = pair.pose(seed)
    theirs = np.array(
        pybullet.calculateMassMatrix(pair.number, q.tolist(), physicsClientId=pair.scene.client)
    )
    ours = pair.body.mass_matrix() - np.diag(pair.body.soft.armature)
    np.testing.assert_allclose(ours[:HINGES, :HINGES], theirs, atol=1e-13 * np.abs(theirs).max())


@pytest.mark.parametrize("seed", range(5))
def test_bias_forces(pair: Pair, seed: int) -> None:
    q, v = pair.pose(seed)
    # PyBullet's inverse dynamics takes a fixed base as level: turn gravity the other way instead.
    down = rotation_from_rpy(pair.limb_pose.rpy).T @ np.array([0.0, 0.0, -9.81])
    pybullet.setGravity(*down.tolist(), physicsClientId=pair.scene.client)
    theirs = np.array(
        pybullet.calculateInverseDynamics(
            pair.number,
            q.tolist(),
            v.tolist(),
            [0.0] * HINGES,
            physicsClientId=pair.scene.client,
        )
    )
    ours = pair.body.bias_forces()[:HINGES]
    np.testing.assert_allclose(ours, theirs, atol=1e-13 * np.abs(theirs).max())


@pytest.mark.parametrize("seed", range(5))
def test_link_frames(pair: Pair, seed: int) -> None:
    pair.pose(seed)
    turned, at = rotation_from_rpy(pair.limb_pose.rpy), np.array(pair.limb_pose.xyz)
    for i, hinge in enumerate(pair.body.limb.body.hinges):
        state = pybullet.getLinkState(
            pair.number, i, computeForwardKinematics=1, physicsClientId=pair.scene.client
        )
        rotation, shift = pair.body.link_pose(hinge.child)
        pivot = turned @ (rotation @ np.array(hinge.pivot_m) + shift) + at
        theirs = np.array(pybullet.getMatrixFromQuaternion(state[5])).reshape(3, 3)
        # PyBullet hands out link states in single precision.
        np.testing.assert_allclose(state[4], pivot, atol=1e-6)
        np.testing.assert_allclose(turned @ rotation, theirs, atol=1e-6)


def fall(pair: Pair, q: FloatArray, v: FloatArray, dt_s: float) -> FloatArray:
    """``(h,)`` rates after one step of PyBullet's own forward dynamics, without losses."""
    number, client = pair.number, pair.scene.client
    pybullet.setTimeStep(dt_s, physicsClientId=client)
    for i in range(-1, HINGES):
        pybullet.changeDynamics(
            number, i, linearDamping=0, angularDamping=0, jointDamping=0, physicsClientId=client
        )
    for i in range(HINGES):
        pybullet.setJointMotorControl2(
            number, i, pybullet.VELOCITY_CONTROL, force=0, physicsClientId=client
        )
        pybullet.resetJointState(number, i, q[i], v[i], physicsClientId=client)
    pybullet.stepSimulation(physicsClientId=client)
    states = pybullet.getJointStates(number, list(range(HINGES)), physicsClientId=client)
    return np.array([state[1] for state in states])


@pytest.mark.parametrize("seed", range(5))
def test_acceleration_of_the_free_tree(pair: Pair, seed: int) -> None:
    q, v = pair.pose(seed)
    body, soft, dt_s = pair.body, pair.body.soft, 1e-5
    none, free = np.zeros_like(soft.armature), np.full_like(soft.armature, np.inf)
    pulley = np.arange(none.size) >= HINGES  # which nothing turns any more
    body.soft = soft._replace(
        **{key: none for key in ("stiffness", "structural", "viscous", "friction")},
        armature=np.where(pulley, 1.0, 0.0),
        lower=-free,
        upper=free,
        arms_m=soft.arms_m[:0],
        tendon=soft.tendon[:0],
    )
    body.power(False)
    body.dt_s = dt_s
    body.advance(1)
    ours, theirs = body.state.v[:HINGES] - v, fall(pair, q, v, dt_s) - v
    # Both are one step away from the state; PyBullet takes its forces at the start of it.
    np.testing.assert_allclose(ours, theirs, atol=5e-3 * np.abs(theirs).max())


@pytest.mark.parametrize("seed", range(20))
def test_quaternion_is_the_rotation(seed: int) -> None:
    rpy = np.random.default_rng(seed).uniform(-np.pi, np.pi, 3)
    rotation = rotation_from_rpy(rpy.tolist())
    quaternion = quaternion_from_rotation(rotation)
    back = np.array(pybullet.getMatrixFromQuaternion(quaternion.tolist())).reshape(3, 3)
    np.testing.assert_allclose(back, rotation, atol=1e-12)
    theirs = pybullet.getQuaternionFromEuler(rpy.tolist())
    assert abs(float(np.dot(theirs, quaternion))) == pytest.approx(1.0, abs=1e-12)
