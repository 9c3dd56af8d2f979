"""``Asterias/StarfishTargetFinding-v0``: all limbs and all cameras search for the target at once.

Observation ``(limbs (joints + cameras + 1) + 3,)`` float32: for each limb its commands from -1 to
1, a flag for each camera that is alive, and whether the limb works; then which step is next (first,
second, later). Action ``(limbs joints,)``: where each servo is to go, from -1 to 1, which is its
whole range; in a step it comes as near as the increment of the options allows. Limbs that do not
work stay limp. Reward 1, and the end, when a live camera decodes
the tag; 0 otherwise. ``info`` holds ``dead_limbs``, ``dead_cameras`` and ``failing_cameras``
(numbers of cameras, counted through all limbs), after a step ``found``, and after a find
``camera``. Same seed, same episode.
"""

from __future__ import annotations

from typing import Any

import cv2
import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import EzPickle
from numpy.typing import NDArray

from asterias.arrays import BoolArray, FloatArray, ImageArray
from asterias.errors import UserError
from hardware.description.limb import Pose
from hardware.perception.apriltag import detect_tags
from learning.starfish.body_sight import BodySight, Observations
from learning.starfish.episodes import (
    draw_failures,
    draw_targets,
    facing,
    joints_of,
    moved,
    observe,
)
from learning.starfish.options import BodySearchOptions
from learning.training.actions import continuous_action
from learning.training.environment_options import changed_options, check_render_mode
from sim.world import SimWorld

# The drive to a start, in simulated s, and starts that are tried until nothing is seen.
_SETTLE_S, _TRIES = 1.0, 200
# Physics steps taken as one once limbs only settle, as in the task of a single limb.
_CREEP_STRIDE = 8


class StarfishTargetFindingEnv(gymnasium.Env[Observations, NDArray[np.float32]], EzPickle):
    """Task for learners.

    A pickled environment is one with the same options, before its first reset.

    Args:
        options: of the task.
        render_mode: ``rgb_array`` lets :meth:`render` return what all cameras see, a row a limb.
        changes: fields of the options, as ``gymnasium.make`` passes them.

    Attributes:
        command: ``(1, limbs, joints)`` from -1 to 1, as commanded last.
        failures: what fails in this episode.
        target: place ``(1, 3)`` and rotation ``(1, 3, 3)``.

    Raises:
        UserError: an option cannot be used, or the robot cannot search with its whole body.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 1}  # noqa: RUF012

    def __init__(
        self,
        options: BodySearchOptions | None = None,
        render_mode: str | None = None,
        **changes: Any,
    ) -> None:
        EzPickle.__init__(self, options, render_mode, **changes)
        check_render_mode(render_mode)
        self.options = changed_options(
            "StarfishTargetFinding", options or BodySearchOptions(), changes
        )
        self.render_mode = render_mode
        self.world = SimWorld(self.options.robot)
        self.sight = sight = BodySight(self.world.robot)
        for body in self.world.bodies:
            body.creep_stride = _CREEP_STRIDE
        self._rng = np.random.default_rng(0)
        self._steps, self._ready = 0, False
        self.command = np.zeros((1, sight.limbs, sight.joints))
        self.failures = draw_failures(self._rng, 1, sight, self.options)
        self._place_target()
        self._saw = np.zeros((sight.limbs, sight.cameras), np.bool_)
        self.action_space = spaces.Box(-1.0, 1.0, (sight.limbs * sight.joints,), np.float32)
        size = self._observation().size
        self.observation_space = spaces.Box(-1.0, 1.0, (size,), np.float32)

    # -- Gymnasium ------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Draw what fails, then target and poses until no live camera sees the tag.

        Returns:
            The first observation, and information on the episode.

        Raises:
            UserError: the tag is in sight from everywhere.
        """
        super().reset(seed=seed)
        self._rng = self.np_random
        self.world.reset(seed=int(self._rng.integers(2**31)))
        self.failures = draw_failures(self._rng, 1, self.sight, self.options)
        for number, body in enumerate(self.world.bodies):
            body.power(bool(self.failures.works[0, number]))
        for _ in range(_TRIES):
            self._place_target()
            self.command = self._rng.uniform(-1.0, 1.0, self.command.shape)
            # Most poses are judged by geometry, which takes no time; the last word has a look.
            if (self._geometric() & self.failures.live[0]).any():
                continue
            self._drive(_SETTLE_S, from_there=True)
            self._saw = self._look()
            if not (self._saw & self.failures.live[0]).any():
                self._steps, self._ready = 0, True
                return self._observation(), self._info()
        raise UserError(f"After {_TRIES} poses the tag was always in sight; move it away.")

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Command all limbs, wait, and look.

        Returns:
            Observation, reward, whether the episode ended or was truncated, and information.

        Raises:
            gymnasium.error.ResetNeeded: no episode is under way.
        """
        if not self._ready:
            raise gymnasium.error.ResetNeeded("Call reset() before step().")
        wanted = continuous_action(action, self.command.size)
        self.command = moved(self.command, wanted, self.failures.works, self.options)
        self._drive(self.options.wait_s)
        self._steps += 1
        sees = self._look()
        found = self.failures.finds(sees[None], self._saw[None])[0]
        self._saw = sees
        ended = bool(found.any())
        truncated = not ended and self._steps >= self.options.cap
        self._ready = not (ended or truncated)
        info = {**self._info(), "found": ended}
        if ended:
            info["camera"] = int(np.flatnonzero(found)[0])
        return self._observation(), float(ended), ended, truncated, info

    def render(self) -> ImageArray | None:
        """Return what all cameras see ``(H, W, 3)`` RGB, a row a limb, where that was asked for.

        Returns:
            The picture, or None.
        """
        if self.render_mode is None:
            return None
        rows = [
            np.hstack([self.world.draw(limb, camera.description) for camera in row])
            for limb, row in enumerate(self.world.cameras)
        ]
        picture = np.vstack(rows)
        height, width = picture.shape[:2]
        return cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA).astype(
            np.uint8
        )

    def close(self) -> None:
        """Close the world; harmless when done before."""
        self.world.close()

    # -- parts ----------------------------------------------------------------------------------

    def _place_target(self) -> None:
        places, turns = draw_targets(self._rng, 1, self.sight.middle_m, self.options)
        (x, y, z), (roll, pitch, yaw) = places[0].tolist(), turns[0].tolist()
        self.target = places.astype(np.float32), facing(turns)
        self.world.move_target(Pose(xyz=(x, y, z), rpy=(roll, pitch, yaw)))

    def _goal_rad(self) -> FloatArray:
        goal: FloatArray = joints_of(self.command, self.sight.limits_rad)[0]
        return goal

    def _geometric(self) -> BoolArray:
        seen: BoolArray = self.sight.sees(self._goal_rad()[None], *self.target)[0]
        return seen

    def _drive(self, duration_s: float, *, from_there: bool = False) -> None:
        """Send all working limbs where they are commanded; ``from_there`` starts them there."""
        if not self.options.simulate:
            return
        for number, goal in enumerate(self._goal_rad()):
            body, works = self.world.bodies[number], self.failures.works[0, number]
            if from_there:
                body.reset(goal if works else np.zeros_like(goal))
            if works:
                body.set_goal(goal)
        self.world.advance(duration_s)

    def _look(self) -> BoolArray:
        """Return ``(limbs, c)`` which cameras, if they worked, see the target now."""
        if not self.options.simulate:
            return self._geometric()
        seen = np.zeros_like(self._saw)
        wanted = [self.world.robot.target.id]
        for limb, row in enumerate(self.world.cameras):
            for number, camera in enumerate(row):
                flagged = self.failures.live[0, limb, number]
                if flagged and self.world.frames_target(limb, camera.description):
                    camera.connect()
                    seen[limb, number] = bool(detect_tags(camera.read().image, ids=wanted))
        return seen

    def _observation(self) -> Observations:
        told: Observations = observe(self.command, self.failures, np.array([self._steps]))[0]
        return told

    def _info(self) -> dict[str, Any]:
        failing = self.failures.blind | self.failures.late
        working = self.failures.works[0][:, None] & ~self.failures.live[0]
        return {
            "dead_limbs": np.flatnonzero(~self.failures.works[0]).tolist(),
            "dead_cameras": np.flatnonzero(working).tolist(),
            "failing_cameras": np.flatnonzero(failing[0]).tolist(),
        }
