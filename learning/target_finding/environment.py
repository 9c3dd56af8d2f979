"""``Asterias/TargetFinding-v0``: the task of arXiv 2404.08093 (version 2) for Gymnasium.

The world is driven directly, as fast as the machine goes; pictures are drawn only where a decision
needs them. Same seed, same episode.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import gymnasium
import numpy as np
import numpy.typing as npt

from hardware.camera import ImageArray
from hardware.errors import HardwareError
from learning.target_finding.observation import (
    PAPER_COMMAND_RANGE,
    CommandUnit,
    Observation,
    observe,
)
from learning.target_finding.task import TargetFindingTask, TaskOptions, draw_dead_cameras
from sim.world import SimWorld

Faults = Literal["kill0", "kill1", "kill12"]
Actions = Literal["increments", "moves"]
Action = npt.NDArray[np.float32] | np.integer[Any] | int


@dataclass(frozen=True)
class TargetFindingOptions:
    """The protocol; as it stands, that of the paper's PPO.

    Attributes:
        robot: name or path of a robot description.
        limb: number of the limb that searches.
        faults: cameras dead in an episode: ``kill0`` none, ``kill1`` one, ``kill12`` one or two.
        actions: ``increments``, one per servo, or ``moves``, each one servo one way.
        increment: largest increment of a servo's command.
        move: size of one of the ``moves``.
        wait_s: simulated s between a command and the look.
        cap: steps after which an episode is truncated; 0 for none.
        command_range: commands at the joints' limits, the authors' unit.
    """

    robot: str = "limb_p1"
    limb: int = 0
    faults: Faults = "kill0"
    actions: Actions = "increments"
    increment: float = 0.4
    move: float = 0.25
    wait_s: float = 2.0
    cap: int = 5
    command_range: tuple[float, ...] = PAPER_COMMAND_RANGE

    def __post_init__(self) -> None:
        if self.actions not in ("increments", "moves"):
            raise HardwareError(f"actions must be increments or moves, not '{self.actions}'.")
        if min(self.increment, self.move, self.wait_s) <= 0 or self.cap < 0:
            raise HardwareError("increment, move and wait_s must be above 0, and cap 0 or more.")


PPO_PROTOCOL = TargetFindingOptions()
ACTOR_CRITIC_PROTOCOL = TargetFindingOptions(actions="moves", wait_s=1.0, cap=0)


class TargetFindingEnv(gymnasium.Env[Observation, Action]):
    """Reward 1, and the end, when a live camera decodes the tag; 0 otherwise.

    Observation ``(n + c,)`` float32: commanded positions of the n servos in the authors' unit, then
    a flag for each of the c cameras (see :func:`learning.target_finding.observation.observe`).
    Action: ``(n,)`` float32 increments of the commands, or a number below 2 n: move servo
    ``number // 2`` up if even, down if odd.

    ``info`` holds ``dead_cameras``, after a step ``found``, and after a find ``camera``.

    Args:
        options: the protocol.
        render_mode: ``rgb_array`` lets :meth:`render` return the tiled pictures.
        changes: single options by name, in place of those in ``options``.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 1}  # noqa: RUF012

    def __init__(
        self,
        options: TargetFindingOptions = PPO_PROTOCOL,
        *,
        render_mode: str | None = None,
        **changes: Any,
    ) -> None:
        self.options = replace(options, **changes)
        self.render_mode = render_mode
        draw_dead_cameras(np.random.default_rng(0), 4, self.options.faults)  # is the name known?
        self.world = SimWorld(self.options.robot)
        if not 0 <= self.options.limb < len(self.world.robot.limbs):
            self.world.close()
            raise HardwareError(f"Robot {self.options.robot} has no limb {self.options.limb}.")
        timing = TaskOptions(wait_s=self.options.wait_s)
        self._task = TargetFindingTask(self.world, self.options.limb, timing)
        self._unit = CommandUnit.of(self._task.lower, self._task.upper, self.options.command_range)
        self._cameras = len(self._task.cameras)
        self._command = np.zeros(self._unit.reach.size)
        self._live: tuple[int, ...] = tuple(range(self._cameras))
        self._steps = 0
        self.observation_space = self._make_observation_space()
        self.action_space = self._make_action_space()

    def _make_observation_space(self) -> gymnasium.spaces.Space[Any]:
        reach, flags = self._unit.reach, np.ones(self._cameras)
        low, high = np.concatenate([-reach, 0 * flags]), np.concatenate([reach, flags])
        return gymnasium.spaces.Box(low.astype(np.float32), high.astype(np.float32))

    def _make_action_space(self) -> gymnasium.spaces.Space[Any]:
        joints, largest = self._unit.reach.size, self.options.increment
        if self.options.actions == "moves":
            return gymnasium.spaces.Discrete(2 * joints)
        return gymnasium.spaces.Box(-largest, largest, (joints,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Draw the dead cameras, then poses until no camera, dead ones included, sees the tag."""
        super().reset(seed=seed)
        rng = self.np_random
        dead = draw_dead_cameras(rng, self._cameras, self.options.faults)
        self._live = tuple(j for j in range(self._cameras) if j not in dead)
        self.world.reset(seed=int(rng.integers(2**31)))
        self._command = self._unit.command(self._task.reset(rng))
        self.world.advance(self.options.wait_s)
        self._steps = 0
        return self._observation(), self._info()

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Move, wait, look; actions are clipped, and so is what they lead to."""
        reach = self._unit.reach
        self._command = np.clip(self._command + self._increments(action), -reach, reach)
        seeing = self._task.step(self._unit.position_rad(self._command), self._live)
        self._steps += 1
        found = bool(seeing)
        info = self._info() | {"found": found} | ({"camera": seeing[0]} if found else {})
        truncated = not found and 0 < self.options.cap <= self._steps
        return self._observation(), float(found), found, truncated, info

    def render(self) -> ImageArray | None:
        """The cameras' pictures as the authors stitch them, two in a row; dead ones are black."""
        if self.render_mode is None:
            return None
        tiles = []
        for number, camera in enumerate(self.world.cameras[self.options.limb]):
            about = camera.description
            alive = number in self._live
            shape = (about.height_px, about.width_px, 3)
            tiles.append(
                self.world.draw(self.options.limb, about) if alive else np.zeros(shape, np.uint8)
            )
        if len(tiles) % 2:
            tiles.append(np.zeros_like(tiles[0]))
        rows = [np.hstack(tiles[i : i + 2]) for i in range(0, len(tiles), 2)]
        return np.vstack(rows)

    def close(self) -> None:
        """Close the world; harmless when done before."""
        self.world.close()

    def _increments(self, action: Action) -> npt.NDArray[np.float64]:
        if self.options.actions == "increments":
            largest = self.options.increment
            return np.clip(np.asarray(action, dtype=np.float64), -largest, largest)
        servo, down = divmod(int(action), 2)
        increments = np.zeros_like(self._command)
        increments[servo] = -self.options.move if down else self.options.move
        return increments

    def _observation(self) -> Observation:
        return observe(self._command, self._live, self._cameras)

    def _info(self) -> dict[str, Any]:
        return {"dead_cameras": [j for j in range(self._cameras) if j not in self._live]}
