"""``Asterias/TargetFinding-v0``: the task of arXiv 2404.08093 (version 2) for Gymnasium.

The world is driven directly, as fast as the machine goes; pictures are drawn only where a decision
needs them. Same seed, same episode.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.utils import EzPickle

from asterias.arrays import ImageArray
from asterias.errors import UserError
from learning.target_finding.env.cameras import CameraObservation, FaultyCameraArray
from learning.target_finding.env.observation import CommandUnit, Observation, observe
from learning.target_finding.env.options import (
    ACTOR_CRITIC_PROTOCOL,
    PPO_PROTOCOL,
    Faults,
    SilentFailure,
    TargetFindingOptions,
    with_command_range,
)
from learning.target_finding.env.task import TargetFindingTask, TaskOptions, draw_dead_cameras
from learning.target_finding.env.variations import Randomiser, ServoFailures, TargetMover
from learning.training.actions import continuous_action, discrete_action
from sim.vectorised.lockstep import Course, NeedPictures, Spent, Wait, run_alone
from sim.world import SimWorld

__all__ = [
    "ACTOR_CRITIC_PROTOCOL",
    "PPO_PROTOCOL",
    "Faults",
    "TargetFindingEnv",
    "TargetFindingOptions",
]

TargetFindingAction = npt.NDArray[np.float32] | np.integer[Any] | int
Goal = npt.NDArray[np.float64]

# A camera whose axis passes a goal as closely as this (m) points at it.
GOAL_TOLERANCE_M = 0.15
# Goals lie within so far of the world's origin along each axis.
ROOM_M = 2.0


def goal_reward(achieved_goal: Goal, desired_goal: Goal, info: Any) -> Any:
    """Return 1 where the goals ``(..., 3)`` are within :data:`GOAL_TOLERANCE_M`, else 0: ``(...)``.

    The signature is that of Gymnasium-Robotics' and stable-baselines3's hindsight replay.
    """
    apart_m = np.linalg.norm(np.asarray(achieved_goal) - np.asarray(desired_goal), axis=-1)
    return (apart_m < GOAL_TOLERANCE_M).astype(np.float64)


class TargetFindingEnv(gymnasium.Env[Any, TargetFindingAction], EzPickle):
    """Reward 1, and the end, when a live camera decodes the tag; 0 otherwise.

    Observation, by ``options.observe``: ``commands`` ``(n + c,)`` float32, commanded positions of
    the n servos in the authors' unit, then a flag for each of the c cameras (see
    :func:`learning.target_finding.env.observation.observe`); ``images`` ``(c, H, W)`` uint8, the
    grey tiles; or both, by these names. With ``options.goal`` a dictionary: ``observation`` is any
    of the above, ``desired_goal`` ``(3,)`` the tag's place in m, ``achieved_goal`` ``(3,)`` the
    point of the cameras' axes that is closest to it; reward and end then come from their distance.

    Action: ``(n,)`` float32 increments of the commands, or a number below 2 n: move servo
    ``number // 2`` up if even, down if odd.

    ``info`` holds ``dead_cameras`` (those flagged as dead), ``failing_cameras`` (those that fail
    without a flag, by kind), ``failed_servo`` where one fails, after a step ``found``, and after a
    find ``camera``.

    A pickled environment is one with the same options, before its first reset.

    Args:
        options: the protocol.
        render_mode: ``rgb_array`` lets :meth:`render` return the tiled pictures.
        renderer: what draws; None: as the robot's description says.
        engine: what moves the robot, ``asterias`` or ``pybullet``; None: as its description says.
        changes: single options by name, in place of those in ``options``.

    Attributes:
        compute_reward: :func:`goal_reward`; only in the goal-conditioned form.
        spent: wall time spent so far on the body's motion, and on pictures.

    Raises:
        UserError: an option is unknown or has a wrong value.
    """

    compute_reward: Callable[[Goal, Goal, Any], Any]

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 1}  # noqa: RUF012

    def __init__(
        self,
        options: TargetFindingOptions = PPO_PROTOCOL,
        *,
        render_mode: str | None = None,
        renderer: str | None = None,
        engine: str | None = None,
        **changes: Any,
    ) -> None:
        kept = {"render_mode": render_mode, "renderer": renderer, "engine": engine, **changes}
        EzPickle.__init__(self, options, **kept)
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UserError(f"render_mode is {render_mode!r}: choose rgb_array or None.")
        self.options = with_command_range(_changed(options, changes))
        self.render_mode = render_mode
        self.world = SimWorld(self.options.robot, renderer=renderer, engine=engine)
        limb, world = self.options.limb, self.world
        self._task = TargetFindingTask(world, limb, TaskOptions(wait_s=self.options.wait_s))
        self._cameras = FaultyCameraArray(world, limb, pictures=self.options.observe != "commands")
        self._mover = TargetMover(world, self.options.target, limb)
        self._randomiser = Randomiser(world, limb, self.options.randomise)
        self._servos = ServoFailures(world, limb, self.options.servo)
        self._unit = CommandUnit.of(self._task.lower, self._task.upper, self.options.command_range)
        self._command = np.zeros(self._unit.reach.size)
        self._failing: dict[int, SilentFailure] = {}
        self._steps = -1  # before the first reset
        self.spent = Spent()
        if self.options.goal:
            self.compute_reward = goal_reward
        self.observation_space = self._make_observation_space()
        self.action_space = self._make_action_space()

    # -- Gymnasium ------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Draw what fails, then poses until no camera, failing ones included, sees the tag.

        Returns:
            The first observation, and information on the episode.
        """
        return run_alone(self.world, self.resetting(seed), self.spent)

    def resetting(self, seed: int | None = None) -> Course[tuple[Any, dict[str, Any]]]:
        """Do as :meth:`reset`, and yield where time has to pass, for many worlds in step.

        Args:
            seed: of this and the following episodes; None goes on with the last one's.

        Returns:
            The first observation, and information on the episode.

        Yields:
            What is waited for.
        """
        gymnasium.Env.reset(self, seed=seed)
        rng = self.np_random
        failing = draw_dead_cameras(rng, self._cameras.count, self.options.faults)
        self.world.reset(seed=int(rng.integers(2**31)))
        self._servos.clear()
        self._mover.reset(rng)
        self._randomiser.reset(rng)
        start_rad = yield from self._task.resetting(rng)
        self._servos.reset(rng, start_rad)
        yield Wait(self.options.wait_s)
        self._command = self._unit.command(start_rad)
        self._steps = 0
        self._reset_failures(rng, failing)
        yield NeedPictures(self._cameras.to_be_read)
        return self._observation(self._observe()), self._info()

    def step(self, action: TargetFindingAction) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Move, wait, observe; actions are clipped, and so is what they lead to.

        ``gymnasium.error.ResetNeeded`` comes where no episode has been started.

        Args:
            action: increments, or the number of a move.

        Returns:
            Observation, reward, whether the episode ended or was truncated, and information.
        """
        return run_alone(self.world, self.stepping(action), self.spent)

    def stepping(
        self, action: TargetFindingAction
    ) -> Course[tuple[Any, float, bool, bool, dict[str, Any]]]:
        """Do as :meth:`step`, and yield where time has to pass, for many worlds in step.

        Args:
            action: increments, or the number of a move.

        Returns:
            Observation, reward, whether the episode ended or was truncated, and information.

        Yields:
            What is waited for.

        Raises:
            gymnasium.error.ResetNeeded: no episode has been started.
        """
        if self._steps < 0:
            raise gymnasium.error.ResetNeeded("Call reset() before step().")
        reach = self._unit.reach
        self._command = np.clip(self._command + self._increments(action), -reach, reach)
        self._mover.step()
        self._task.command(self._servos.apply(self._unit.position_rad(self._command)))
        yield Wait(self.options.wait_s)
        yield NeedPictures(self._cameras.to_be_read)
        observed = self._observe()
        self._steps += 1
        found = bool(observed.seeing)
        info = self._info() | {"found": found} | ({"camera": observed.seeing[0]} if found else {})
        observation = self._observation(observed)
        reward, ended = float(found), found
        if self.options.goal:
            goals = observation["achieved_goal"], observation["desired_goal"]
            reward = float(goal_reward(*goals, info))
            ended = reward > 0.0
        truncated = not ended and 0 < self.options.cap <= self._steps
        return observation, reward, ended, truncated, info

    def render(self) -> ImageArray | None:
        """Return the pictures as the authors stitch them, two in a row; dead ones are black."""
        if self.render_mode is None:
            return None
        tiles = []
        for number, camera in enumerate(self.world.cameras[self.options.limb]):
            about = camera.description
            alive = number in self._cameras.live
            shape = (about.height_px, about.width_px, 3)
            tiles.append(
                self.world.draw(self.options.limb, about) if alive else np.zeros(shape, np.uint8)
            )
        if len(tiles) % 2:
            tiles.append(np.zeros_like(tiles[0]))
        rows = [np.hstack(tiles[i : i + 2]) for i in range(0, len(tiles), 2)]
        return np.vstack(rows)

    @property
    def simulate_s(self) -> float:
        """Wall time spent so far on the body's motion."""
        return self.spent.simulate_s

    @property
    def render_s(self) -> float:
        """Wall time spent so far on pictures."""
        return self.spent.render_s

    def close(self) -> None:
        """Close the world; harmless when done before."""
        self.world.close()

    @property
    def command(self) -> npt.NDArray[np.float32]:
        """``(n,)`` positions commanded last, in the authors' unit."""
        return self._command.astype(np.float32)

    # -- parts ----------------------------------------------------------------------------------

    def _make_observation_space(self) -> gymnasium.spaces.Space[Any]:
        reach, flags = self._unit.reach, np.ones(self._cameras.count)
        low, high = np.concatenate([-reach, 0 * flags]), np.concatenate([reach, flags])
        commands = gymnasium.spaces.Box(low.astype(np.float32), high.astype(np.float32))
        space: gymnasium.spaces.Space[Any] = commands
        if self.options.observe != "commands":
            about = self.world.cameras[self.options.limb][0].description
            shape = (self._cameras.count, about.height_px, about.width_px)
            space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
            if self.options.observe == "both":
                space = gymnasium.spaces.Dict({"commands": commands, "images": space})
        if self.options.goal:
            place = gymnasium.spaces.Box(-ROOM_M, ROOM_M, (3,), np.float64)
            goals = {"achieved_goal": place, "desired_goal": place}
            return gymnasium.spaces.Dict({"observation": space, **goals})
        return space

    def _make_action_space(self) -> gymnasium.spaces.Space[Any]:
        joints, largest = self._unit.reach.size, self.options.increment
        if self.options.actions == "moves":
            return gymnasium.spaces.Discrete(2 * joints)
        return gymnasium.spaces.Box(-largest, largest, (joints,), np.float32)

    def _reset_failures(self, rng: np.random.Generator, cameras: list[int]) -> None:
        kinds, onset = self.options.silent, 0
        self._failing = {}
        if kinds:
            self._failing = {j: kinds[int(rng.integers(len(kinds)))] for j in cameras}
        if self.options.mid_episode:
            onset = int(rng.integers(1, (self.options.cap or 5) + 1))
        self._cameras.reset(rng, dead=() if kinds else cameras, failing=self._failing, onset=onset)

    def _observe(self) -> CameraObservation:
        began = time.perf_counter()
        observed = self._cameras.observe()
        self.spent.render_s += time.perf_counter() - began
        return observed

    def _increments(self, action: TargetFindingAction) -> npt.NDArray[np.float64]:
        joints = self._command.size
        if self.options.actions == "increments":
            largest = self.options.increment
            return np.clip(continuous_action(action, joints), -largest, largest)
        servo, down = divmod(discrete_action(action, 2 * joints), 2)
        increments = np.zeros_like(self._command)
        increments[servo] = -self.options.move if down else self.options.move
        return increments

    def _observation(self, observed: CameraObservation) -> Any:
        commands: Observation = observe(self._command, self._cameras.live, self._cameras.count)
        seen: Any = commands if observed.tiles is None else observed.tiles
        if self.options.observe == "both":
            seen = {"commands": commands, "images": observed.tiles}
        if not self.options.goal:
            return seen
        goal = self._mover.place
        return {"observation": seen, "achieved_goal": self._gaze(goal), "desired_goal": goal}

    def _gaze(self, goal: Goal) -> Goal:
        """Return the point ahead on the live cameras' axes that is closest to the goal."""
        assert self.world.scene is not None
        points = []
        for j in self._cameras.live:
            about = self.world.cameras[self.options.limb][j].description
            body = self.world.bodies[self.options.limb]
            rotation, position = self.world.scene.camera_pose(self.options.limb, about, body)
            ahead = max(float((goal - position) @ rotation[:, 0]), 0.0)
            points.append(position + ahead * rotation[:, 0])
        if not points:
            return np.full(3, -ROOM_M)  # no camera is alive: as far from a goal as the room allows
        nearest = min(points, key=lambda point: float(np.linalg.norm(point - goal)))
        return np.clip(nearest, -ROOM_M, ROOM_M)

    def _info(self) -> dict[str, Any]:
        live = self._cameras.live
        dead = [j for j in range(self._cameras.count) if j not in live]
        info: dict[str, Any] = {"dead_cameras": dead}
        if self._failing:
            info["failing_cameras"] = dict(self._failing)
        if self._servos.failed is not None:
            info["failed_servo"] = self._servos.failed
        return info


def _changed(options: TargetFindingOptions, changes: dict[str, Any]) -> TargetFindingOptions:
    """Return the options with changes.

    Raises:
        UserError: there is no such option.
    """
    unknown = sorted(set(changes) - {field.name for field in fields(TargetFindingOptions)})
    if unknown:
        raise UserError(f"There is no option {unknown[0]!r} of the target-finding task.")
    return replace(options, **changes)
