"""What changes from one episode to the next beyond the paper: room, target, body and servos."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from asterias.arrays import FloatArray
from hardware.description.limb import Pose
from learning.target_finding.env.options import ServoFailure, TargetMotion, Variation
from sim.rendering.scene import Appearance
from sim.world import SimWorld

# A target that moved is somewhere in a box of these half edges (m) about its described place.
_REACH_M = np.array([0.10, 0.25, 0.10])
# A moving target goes this far (m) between two observations, and turns back at the box's faces.
_STRIDE_M = 0.03
# Half widths of what is drawn: stiffness of flexures and tendons; camera mountings.
_SOFTER = 0.25
_SHIFT_M, _TURN_RAD = 0.003, 0.05


class TargetMover:
    """Puts the target elsewhere, and moves it on.

    Args:
        world: the simulation.
        motion: ``fixed``, ``moved`` or ``moving``.
        limb: number of the limb that searches; a moved target faces it.
    """

    def __init__(self, world: SimWorld, motion: TargetMotion, limb: int = 0) -> None:
        self._world, self._motion = world, motion
        self._limb_m = world.robot.limbs[limb].base.xyz
        self._described = world.robot.target.pose
        self._offset = np.zeros(3)
        self._stride = np.zeros(3)

    @property
    def place(self) -> FloatArray:
        """``(3,)`` centre of the tag in the world, m."""
        return np.asarray(self._described.xyz) + self._offset

    def reset(self, rng: np.random.Generator) -> None:
        """Draw a place and a direction of motion."""
        if self._motion == "fixed":
            return
        self._offset = rng.uniform(-_REACH_M, _REACH_M)
        direction = rng.normal(size=3)
        self._stride = _STRIDE_M * direction / np.linalg.norm(direction)
        self._put()

    def step(self) -> None:
        """Move the target to its place at the next observation."""
        if self._motion == "moving":
            ahead = self._offset + self._stride
            self._stride = np.where(np.abs(ahead) > _REACH_M, -self._stride, self._stride)
            self._offset = self._offset + self._stride
            self._put()

    def _put(self) -> None:
        x, y, z = self.place
        roll, pitch, _ = self._described.rpy
        facing = float(np.arctan2(self._limb_m[1] - y, self._limb_m[0] - x))
        self._world.move_target(Pose(xyz=(x, y, z), rpy=(roll, pitch, facing)))


class Randomiser:
    """Draws the room's look, the body's softness and the cameras' mountings anew.

    Args:
        world: the simulation.
        limb: number of the limb.
        what: that is drawn; all else stays as described.
    """

    def __init__(self, world: SimWorld, limb: int, what: Collection[Variation]) -> None:
        self._world, self._limb, self._what = world, limb, frozenset(what)

    def reset(self, rng: np.random.Generator) -> None:
        """Draw for one episode."""
        scene = self._world.scene
        assert scene is not None
        if self._what & {"light", "texture"}:
            scene.appearance = self._appearance(rng)
        if "stiffness" in self._what:
            self._world.bodies[self._limb].soften(float(rng.uniform(1 - _SOFTER, 1 + _SOFTER)))
        if "camera_pose" in self._what:
            for camera in self._world.robot.limbs[self._limb].live_cameras:
                xyz = tuple(rng.uniform(-_SHIFT_M, _SHIFT_M, 3).tolist())
                rpy = tuple(rng.uniform(-_TURN_RAD, _TURN_RAD, 3).tolist())
                scene.shift_camera(self._limb, camera.name, Pose(xyz=xyz, rpy=rpy))

    def _appearance(self, rng: np.random.Generator) -> Appearance:
        appearance = Appearance()
        colors = appearance.backdrop
        if "light" in self._what:
            turn, ambient = rng.uniform(-np.pi, np.pi), float(rng.uniform(0.55, 0.85))
            colors = colors * (ambient / appearance.ambient)
            appearance = replace(
                appearance,
                light_direction=(float(np.cos(turn)), float(np.sin(turn)), 1.2),
                ambient=ambient,
                diffuse=float(rng.uniform(0.15, 1.1 - ambient)),
            )
        if "texture" in self._what:
            colors = colors * rng.uniform(0.6, 1.25, (4, 1)) * rng.uniform(0.9, 1.1, (4, 3))
            tiling = np.array([rng.uniform(0.15, 0.4), *rng.uniform(-0.5, 0.5, 2)])
            appearance = replace(appearance, tiling=tiling)
        return replace(appearance, backdrop=np.clip(colors, 0, 255))


class ServoFailures:
    """Makes one servo fail in each episode.

    Args:
        world: the simulation.
        limb: number of the limb.
        kind: ``none``, ``stuck`` (stays where the episode starts) or ``limp`` (without power).
    """

    def __init__(self, world: SimWorld, limb: int, kind: ServoFailure) -> None:
        self._body, self._kind = world.bodies[limb], kind
        self._count = len(world.robot.limbs[limb].joints)
        self._start_rad = np.zeros(self._count)
        self.failed: int | None = None

    def clear(self) -> None:
        """Repair all servos, before the drive to a start position."""
        self.failed = None
        if self._kind == "limp":
            self._body.weaken(())

    def reset(self, rng: np.random.Generator, start_rad: FloatArray) -> None:
        """Draw the servo that fails, at ``(n,)`` positions."""
        if self._kind == "none":
            return
        self.failed, self._start_rad = int(rng.integers(self._count)), start_rad.copy()
        if self._kind == "limp":
            self._body.weaken((self.failed,))

    def apply(self, position_rad: FloatArray) -> FloatArray:
        """Return the ``(n,)`` positions that the servos will follow of commanded ones."""
        if self.failed is None or self._kind != "stuck":
            return position_rad
        applied: FloatArray = position_rad.copy()
        applied[self.failed] = self._start_rad[self.failed]
        return applied
