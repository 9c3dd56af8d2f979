"""Episodes with a policy that makes chunks, a part of each of which is carried out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from learning.diffusion_policy.two_ways.task import DEFAULT_TASK, PostEpisodes, tip_table
from learning.recordings.episode_data import Floats

# Chunks (B, H, A) of positions relative to the present one, for observations (B, F).
ChunkMaker = Callable[[Floats], Floats]

# Actions of a chunk that are carried out before the next one.
EXECUTED = 8


@dataclass(frozen=True)
class PostRollouts:
    """How episodes went.

    Attributes:
        reached, hit: ``(B,)`` goal touched; post touched.
        left: ``(B,)`` whether the tip passed the post on its left.
        paths: ``(B, T, 3)`` of the tip, m.
        servos: ``(B, T, 3)`` commanded, rad.
    """

    reached: npt.NDArray[np.bool_]
    hit: npt.NDArray[np.bool_]
    left: npt.NDArray[np.bool_]
    paths: npt.NDArray[np.float64]
    servos: npt.NDArray[np.float64]

    @property
    def success(self) -> float:
        """Share of episodes that reached the goal."""
        return float(self.reached.mean())


def roll_out(
    make: ChunkMaker, count: int, seed: int, executed: int = EXECUTED, task: str = DEFAULT_TASK
) -> PostRollouts:
    """Run episodes side by side; the draws of their starts depend on the seed alone.

    Returns:
        How they went.
    """
    episodes = PostEpisodes.draw(count, np.random.default_rng(seed), task)
    begun = episodes.servos[:, 0].copy()
    servos = [episodes.servos]
    while not episodes.over():
        going = ~(episodes.hit | episodes.reached)
        chunk = make(episodes.observations[going])
        origin = episodes.servos
        for action in range(min(executed, chunk.shape[1])):
            wanted = origin.copy()
            wanted[going] += chunk[:, action]
            episodes.step(wanted)
            servos.append(episodes.servos)
            if episodes.over():
                break
    way = np.stack(servos, axis=1)
    yaw = way[:, :, 0] - begun[:, None]
    furthest = np.take_along_axis(yaw, np.abs(yaw).argmax(axis=1)[:, None], axis=1)[:, 0]
    return PostRollouts(episodes.reached, episodes.hit, furthest > 0, tip_table().tip(way), way)
