"""The scenes in PyBullet."""

from __future__ import annotations

import numpy as np

from asterias.arrays import FloatArray
from sim.contact.scenes import GRAVITY_M_S2, SAMPLE_HZ, ContactScene
from sim.physics.rotations import quaternion_from_rotation, rotation_from_rpy
from sim.rendering.bullet import BulletClient

_HZ = 500.0
# Impacts slower than this (m/s) do not bounce; Bullet's own 0.2 would end a bounce too soon.
_RESTING_M_S = 0.05


def run_scene(scene: ContactScene) -> FloatArray:
    """Return the track of a scene in PyBullet; see :class:`sim.contact.scenes.SceneRunner`.

    A ``UserError`` says so where PyBullet is not installed.
    """
    bullet, law = BulletClient(), scene.surface
    bullet.setGravity(0.0, 0.0, -GRAVITY_M_S2)
    bullet.setPhysicsEngineParameter(
        fixedTimeStep=1.0 / _HZ,
        numSolverIterations=200,
        restitutionVelocityThreshold=_RESTING_M_S,
    )
    plane = bullet.createCollisionShape(bullet.GEOM_PLANE, planeNormal=scene.normal)
    ground = bullet.createMultiBody(0.0, plane)
    # Coefficients of the two bodies are multiplied.
    bullet.changeDynamics(
        ground, -1, lateralFriction=1.0, restitution=1.0, contactProcessingThreshold=0.0
    )
    bodies = []
    for solid in scene.solids:
        if solid.shape == "ball":
            shape = bullet.createCollisionShape(bullet.GEOM_SPHERE, radius=solid.size_m[0])
        else:
            half = [0.5 * edge for edge in solid.size_m]
            shape = bullet.createCollisionShape(bullet.GEOM_BOX, halfExtents=half)
        turned = quaternion_from_rotation(rotation_from_rpy(solid.rpy))
        body = bullet.createMultiBody(1.0, shape, -1, solid.position_m, turned.tolist())
        bullet.changeDynamics(
            *(body, -1),
            lateralFriction=law.friction,
            restitution=law.restitution,
            linearDamping=0.0,
            angularDamping=0.0,
            contactProcessingThreshold=0.0,
        )
        bodies.append(body)
    track = [[bullet.getBasePositionAndOrientation(body)[0] for body in bodies]]
    for _ in range(round(scene.duration_s * SAMPLE_HZ)):
        for _ in range(round(_HZ / SAMPLE_HZ)):
            bullet.stepSimulation()
        track.append([bullet.getBasePositionAndOrientation(body)[0] for body in bodies])
    bullet.close()
    return np.array(track)
