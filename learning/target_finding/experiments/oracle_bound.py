"""Oracle bound on the steps of any policy: a searcher that knows which poses see the tag.

Poses are sampled uniformly and observed. From a pose that does not see the tag, the searcher goes
straight to the nearest one that does through a live camera; as no command moves further than the
increment in a step, it needs the largest of the servos' displacements, in increments, rounded up.
With more poses sampled the nearest comes nearer, so the figure falls towards the true bound from
above.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from learning.target_finding.env.observation import CommandUnit
from learning.target_finding.env.options import Faults, TargetFindingOptions, with_command_range
from learning.target_finding.env.task import TargetFindingTask, TaskOptions, draw_dead_cameras
from sim.world import SimWorld

# Time in which a limb that starts at a pose sags under its own weight; chosen.
_SETTLE_S = 0.4
_ROWS = 200


@dataclass(frozen=True)
class SampledPoses:
    """Commands ``(N, n)`` of uniformly drawn poses, and ``(N, c)`` which camera sees the tag."""

    commands: FloatArray
    seeing: npt.NDArray[np.bool_]


def sample_poses(
    options: TargetFindingOptions, count: int, seed: int, on_pose: Callable[[], None]
) -> SampledPoses:
    """Observe from random poses.

    Args:
        options: the protocol.
        count: number of poses.
        seed: of the poses.
        on_pose: called after each.

    Returns:
        Their commands, and which cameras see the tag.
    """
    options = with_command_range(options)
    rng = np.random.default_rng(seed)
    commands, seeing = [], []
    with SimWorld(options.robot) as world:
        task = TargetFindingTask(world, options.limb, TaskOptions(wait_s=_SETTLE_S))
        unit = CommandUnit.of(task.lower, task.upper, options.command_range)
        cameras = range(len(task.cameras))
        for _ in range(count):
            position = rng.uniform(task.lower, task.upper)
            world.bodies[options.limb].reset(position)
            seen = task.step(position, cameras)
            commands.append(unit.command(position))
            seeing.append([j in seen for j in cameras])
            on_pose()
    return SampledPoses(np.array(commands), np.array(seeing))


def oracle_bounds(
    poses: SampledPoses, options: TargetFindingOptions, seed: int, starts: int = 2000
) -> list[dict[str, Any]]:
    """Return a row per setting of dead cameras: mean steps, fractions found in 1 and 2.

    Args:
        poses: observed poses.
        options: the protocol.
        seed: of the dead cameras.
        starts: poses to start from, at most.
    """
    unseen = poses.commands[~poses.seeing.any(axis=1)][:starts]
    made = []
    for faults in get_args(Faults):
        rng = np.random.default_rng(seed)
        steps = np.zeros(len(unseen))
        dead = [draw_dead_cameras(rng, poses.seeing.shape[1], faults) for _ in unseen]
        for some in {tuple(cameras) for cameras in dead}:
            live = [j for j in range(poses.seeing.shape[1]) if j not in some]
            goals = poses.commands[poses.seeing[:, live].any(axis=1)]
            own = np.array([tuple(cameras) == some for cameras in dead])
            needed = np.ceil(_furthest(unseen[own], goals) / options.increment)
            steps[own] = np.minimum(needed, options.cap or np.inf)
        made.append(
            {
                "faults": faults,
                "starts": len(unseen),
                "mean_steps": round(float(steps.mean()), 3),
                "found_in_1": round(float((steps <= 1).mean()), 4),
                "found_in_2": round(float((steps <= 2).mean()), 4),
            }
        )
    return made


def _furthest(starts: FloatArray, goals: FloatArray) -> FloatArray:
    """Return per start ``(S, n)`` the largest servo displacement to the nearest goal."""
    if not len(goals):
        return np.full(len(starts), np.inf)
    parts = [
        np.abs(starts[i : i + _ROWS, None] - goals[None]).max(axis=2).min(axis=1)
        for i in range(0, len(starts), _ROWS)
    ]
    displacement: FloatArray = np.maximum(np.concatenate(parts), 1e-9)
    return displacement
