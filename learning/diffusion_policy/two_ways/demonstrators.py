"""Two demonstrators: one goes round the post on the left, the other on the right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from learning.diffusion_policy.training import ChunkData
from learning.diffusion_policy.two_ways.task import (
    DEFAULT_TASK,
    GOAL_FINGER,
    LARGEST_STEP_RAD,
    STEPS,
    PostEpisodes,
    tip_table,
)

# By how much a demonstration passes the post further away or closer than the mean, rad.
SPREAD_RAD = 0.06
# Pace along the way, rad a step, and how unsteady the hand is.
PACE_RAD, UNSTEADY_RAD = 0.09, 0.01
LEFT, RIGHT = 1.0, -1.0


@dataclass(frozen=True)
class PostDemonstrations:
    """What was demonstrated.

    Attributes:
        observations: ``(E, T, 12)`` before each command.
        servos: ``(E, T + 1, 3)`` positions; the last ones stay where an episode is over.
        lengths: ``(E,)`` steps of each.
        sides: ``(E,)`` 1 left, -1 right.
        reached: ``(E,)`` whether the goal was touched.
    """

    observations: npt.NDArray[np.float32]
    servos: FloatArray
    lengths: npt.NDArray[np.int64]
    sides: FloatArray
    reached: npt.NDArray[np.bool_]


def demonstrate(
    count: int, rng: np.random.Generator, task: str = DEFAULT_TASK
) -> PostDemonstrations:
    """Return ``count`` demonstrations, left and right in turn."""
    episodes = PostEpisodes.draw(count, rng, task)
    sides = np.where(np.arange(count) % 2 == 0, LEFT, RIGHT)
    detour = sides * (episodes.task.detour_rad + SPREAD_RAD * rng.uniform(-1, 1, count))
    ways = _ways(episodes, detour)
    observations, servos = [], [episodes.servos]
    lengths = np.zeros(count, np.int64)
    for step in range(STEPS):
        observations.append(episodes.observations)
        lengths += ~(episodes.hit | episodes.reached)
        unsteady = UNSTEADY_RAD * rng.standard_normal((count, 3))
        episodes.step(ways[:, min(step + 1, ways.shape[1] - 1)] + unsteady)
        servos.append(episodes.servos)
    return PostDemonstrations(
        np.stack(observations, axis=1),
        np.stack(servos, axis=1),
        lengths,
        sides,
        episodes.reached,
    )


def _ways(episodes: PostEpisodes, detour: FloatArray) -> FloatArray:
    """Return ``(E, T, 3)`` servo positions at an even pace: start, beside the post, goal."""
    start = episodes.servos
    table = tip_table()
    bearing = _bearing(episodes.post - table.axis)
    beside = np.stack([bearing + detour, np.zeros_like(bearing), np.full_like(bearing, 0.1)], 1)
    end = np.stack(
        [_bearing(episodes.goal - table.axis), _pitch_of(episodes.goal), np.full(len(start), 0.2)],
        axis=1,
    )
    share = np.linspace(0, 1, 101)[None, :, None]
    corners = [corner[:, None] for corner in (start, 2 * beside - 0.5 * (start + end), end)]
    # A parabola through the three.
    fine = (1 - share) ** 2 * corners[0] + 2 * share * (1 - share) * corners[1]
    fine = fine + share**2 * corners[2]
    return np.stack([_even(way) for way in fine])


def _even(way: FloatArray) -> FloatArray:
    """Return ``(STEPS, 3)``: a way walked at :data:`PACE_RAD` a step, then a rest at its end."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    at = np.minimum(np.arange(STEPS) * min(PACE_RAD, LARGEST_STEP_RAD), length[-1])
    return np.stack([np.interp(at, length, column) for column in way.T], axis=1)


def _bearing(point: FloatArray) -> FloatArray:
    """Return ``(E,)`` yaws at which the tip points there; it hangs a little beside the arm."""
    tip = tip_table().tip(np.zeros((1, 3))) - tip_table().axis
    aside = np.arcsin(tip[:, 1] / np.hypot(tip[:, 0], tip[:, 1]))
    bearing: FloatArray = np.arctan2(point[:, 1], point[:, 0]) - aside
    return bearing


def _pitch_of(point: FloatArray) -> FloatArray:
    """Return ``(E,)`` pitches at which the tip, with the goal's finger, is as high as points."""
    table = tip_table()
    pitches = np.linspace(0.2, 1.1, 400)
    rows = np.stack([0 * pitches, pitches, np.full_like(pitches, GOAL_FINGER)], axis=1)
    heights = table.tip(rows)[:, 2]
    pitch: FloatArray = pitches[np.abs(heights[None] - point[:, 2:]).argmin(axis=1)]
    return pitch


def chunk_data(shown: PostDemonstrations, horizon: int) -> ChunkData:
    """Return observations, and chunks of positions relative to the present one, of successes.

    After the end of an episode the position stays.
    """
    observations, chunks = [], []
    for number in np.flatnonzero(shown.reached):
        length = int(shown.lengths[number])
        servos = shown.servos[number]
        for step in range(length):
            ahead = np.minimum(step + 1 + np.arange(horizon), length)
            observations.append(shown.observations[number, step])
            chunks.append(servos[ahead] - servos[step])
    return ChunkData(np.array(observations, np.float32), np.array(chunks, np.float32))
