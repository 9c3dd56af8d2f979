"""A nearest-pose copy of target finding: thousands of episodes in the time of one simulated.

Poses are sampled once in the simulation, with the cameras that see the tag from each. In the copy a
command stands for the nearest sampled pose: no motion, no sag on the way, no noise. It ranks
policies well and flatters none by much; what is reported of a policy is measured in the simulation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.files import write_bytes
from learning.target_finding.env.options import TargetFindingOptions, with_command_range
from learning.target_finding.env.task import draw_dead_cameras
from learning.target_finding.experiments.oracle_bound import SampledPoses, sample_poses

# What many policies do: numbers of policies (E,) and observations (E, n + c) to increments (E, n).
ActMany = Callable[[npt.NDArray[np.int64], FloatArray], FloatArray]
_CHUNK = 2048


@dataclass(frozen=True)
class PoseMap:
    """Sampled poses of a limb.

    Attributes:
        poses: commands ``(N, n)``, and which cameras see the tag ``(N, c)``.
        options: the protocol.
    """

    poses: SampledPoses
    options: TargetFindingOptions

    @classmethod
    def sample(
        cls,
        options: TargetFindingOptions,
        count: int,
        seed: int = 0,
        on_pose: Callable[[], None] = lambda: None,
    ) -> PoseMap:
        """Sample poses in the simulation.

        Args:
            options: the protocol.
            count: number of poses.
            seed: of the poses.
            on_pose: called after each.

        Returns:
            The map.
        """
        options = with_command_range(options)
        return cls(sample_poses(options, count, seed, on_pose), options)

    @classmethod
    def kept(
        cls,
        path: Path,
        options: TargetFindingOptions,
        count: int,
        on_pose: Callable[[], None] = lambda: None,
    ) -> PoseMap:
        """Return the map in a file; where there is none, sample it and write the file.

        Args:
            path: of the ``.safetensors`` file.
            options: the protocol.
            count: number of poses.
            on_pose: called after each pose that is sampled.

        Returns:
            The map.

        Raises:
            UserError: the file is damaged.
        """
        options = with_command_range(options)
        if not path.exists():
            made = cls.sample(options, count, on_pose=on_pose)
            held: dict[str, Any] = {
                "commands": made.poses.commands,
                "seeing": made.poses.seeing.astype(np.uint8),
            }
            write_bytes(path, save(held))
        try:
            tensors = load(path.read_bytes())
            poses = SampledPoses(tensors["commands"], tensors["seeing"].astype(bool))
        except Exception as error:  # safetensors raises its own kinds
            raise UserError(
                f"{path} holds no poses; remove it, and they are sampled anew."
            ) from error
        return cls(poses, options)

    @property
    def joints(self) -> int:
        """Number n of the limb's joints."""
        return int(self.poses.commands.shape[1])

    @property
    def cameras(self) -> int:
        """Number c of the limb's cameras."""
        return int(self.poses.seeing.shape[1])

    @property
    def reach(self) -> FloatArray:
        """``(n,)`` largest commands."""
        return np.array(self.options.command_range)

    def nearest(self, commands: FloatArray) -> npt.NDArray[np.int64]:
        """Return the numbers ``(E,)`` of the poses nearest to commands ``(E, n)``."""
        own = self.poses.commands.astype(np.float32)
        squares = (own**2).sum(1)
        parts = [
            (squares - 2 * commands[i : i + _CHUNK].astype(np.float32) @ own.T).argmin(1)
            for i in range(0, len(commands), _CHUNK)
        ]
        return np.concatenate(parts).astype(np.int64)

    def draw_episodes(
        self, episodes: int, rng: np.random.Generator, faults: str | None = None
    ) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Draw starts and dead cameras.

        Args:
            episodes: number M of episodes.
            rng: of the draws.
            faults: setting of dead cameras; None takes the protocol's.

        Returns:
            Commands ``(M, n)`` from which no camera sees the tag, and live cameras ``(M, c)``.
        """
        unseen = np.flatnonzero(~self.poses.seeing.any(1))
        starts = self.poses.commands[rng.choice(unseen, episodes)]
        live = np.ones((episodes, self.cameras), bool)
        for row in live:
            row[draw_dead_cameras(rng, self.cameras, faults or self.options.faults)] = False
        return starts, live

    def run(
        self,
        act: ActMany,
        policies: int,
        episodes: int,
        rng: np.random.Generator,
        faults: str | None = None,
    ) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """Run episodes of many policies at once; all policies get the same starts and failures.

        Args:
            act: what they do.
            policies: number P of policies.
            episodes: number M of episodes of each.
            rng: of starts and dead cameras.
            faults: setting of dead cameras; None takes the protocol's.

        Returns:
            Steps ``(P, M)``, the cap's where the tag was not found; and the observations of all
            steps of all episodes ``(S, n + c)``.
        """
        starts, live = self.draw_episodes(episodes, rng, faults)
        number = np.repeat(np.arange(policies), episodes)
        command, live = np.tile(starts, (policies, 1)), np.tile(live, (policies, 1))
        flags = live / np.maximum(live.sum(1, keepdims=True), 1)
        steps = np.full(len(number), self.options.cap, np.int64)
        searching, visited = np.arange(len(number)), []
        for step in range(1, self.options.cap + 1):
            seen = np.hstack([command[searching], flags[searching]])
            visited.append(seen)
            largest = self.options.increment
            moves = np.clip(act(number[searching], seen), -largest, largest)
            command[searching] = np.clip(command[searching] + moves, -self.reach, self.reach)
            at = self.nearest(command[searching])
            found = (self.poses.seeing[at] & live[searching]).any(1)
            steps[searching[found]] = step
            searching = searching[~found]
            if not len(searching):
                break
        return steps.reshape(policies, episodes), np.concatenate(visited)
