"""Picture of one search with the whole body: limbs step by step, and where they have looked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asterias.arrays import BoolArray, FloatArray
from learning.starfish.body_sight import BodySight
from learning.starfish.episodes import (
    Failures,
    draw_failures,
    facing,
    joints_of,
    moved,
    observe,
)
from learning.starfish.options import BodySearchOptions
from learning.starfish.searchers import BodySearcher
from learning.starfish.settings import FAILURES, WITHIN

_COLOURS = ("#c9c2b8", "#e2725b", "#e0a030", "#4a90a4", "#2b2b33")
_NAMES = ("from the start", "after step 1", "after step 2", "after step 3", "not yet")
_COLUMNS, _ROWS, _AWAY_M = 180, 60, 0.575


@dataclass(frozen=True)
class Looked:
    """A search that found nothing.

    Attributes:
        poses: ``(steps + 1, limbs, joints)`` in rad.
        failures: what failed.
        first: ``(rows, columns)`` number of the step that sees each direction first.
    """

    poses: FloatArray
    failures: Failures
    first: FloatArray


def look_around(
    searcher: BodySearcher, sight: BodySight, options: BodySearchOptions, seed: int
) -> Looked:
    """Return where a searcher looks in three steps, for targets that face the robot.

    Args:
        searcher: of the robot.
        sight: of it.
        options: of the task.
        seed: of the pose at the start, of failures, and of the searcher.
    """
    rng = np.random.default_rng(seed)
    searcher.start(rng)
    failures = draw_failures(rng, 1, sight, options)
    command = rng.uniform(-1.0, 1.0, (1, sight.limbs, sight.joints))
    place, turn = _directions(sight, options)
    first = np.full(len(place), len(_NAMES) - 1.0)
    poses = []
    for step in range(WITHIN + 1):
        angles = joints_of(command, sight.limits_rad)
        poses.append(angles[0])
        seen = sight.chances(angles, place[None], turn[None])[0] * failures.live[0] > 0.5
        found: BoolArray = seen.any(axis=(1, 2))
        first = np.where(found, np.minimum(first, step), first)
        observation = observe(command, failures, np.array([step]))[0]
        command = moved(command, searcher.act(observation)[None], failures.works, options)
    return Looked(np.array(poses), failures, first.reshape(_ROWS, _COLUMNS))


def draw_coverage(searcher: BodySearcher, sight: BodySight, path: Path, seed: int) -> None:
    """Draw a search with each kind of failures: limbs from above, and the directions seen.

    Args:
        searcher: of the robot.
        sight: of it.
        path: of the picture.
        seed: of the searches.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    figure, axes = pyplot.subplots(
        len(FAILURES), 2, figsize=(11, 8.6), width_ratios=(1, 2.6), layout="constrained"
    )
    for (body, sphere), (name, changes) in zip(axes, FAILURES.items(), strict=True):
        options = BodySearchOptions(**changes)
        looked = look_around(searcher, sight, options, seed)
        _draw_body(body, looked, sight)
        low, high = np.degrees(options.elevation_rad)
        sphere.imshow(
            looked.first, origin="lower", extent=(-180, 180, low, high), aspect="auto",
            cmap=ListedColormap(_COLOURS), vmin=-0.5, vmax=len(_NAMES) - 0.5,
            interpolation="nearest",
        )  # fmt: skip
        started = looked.first > 0
        seen = (looked.first[started] <= WITHIN).mean() if started.any() else 1.0
        sphere.set_title(
            f"{name}: {100 * seen:.0f} % of what the start does not see is seen in 3 steps",
            fontsize=10,
        )
        for limb, works in enumerate(looked.failures.works[0]):
            at = (60.0 * limb + 180.0) % 360.0 - 180.0
            sphere.axvline(at, color="white" if works else "black", lw=0.8, ls=":")
        sphere.set_xticks(range(-180, 181, 60))
        sphere.set_ylabel("up, degrees")
    axes[-1][1].set_xlabel("direction round the robot, degrees; dotted: where limbs point")
    patches = [Patch(color=c, label=n) for c, n in zip(_COLOURS, _NAMES, strict=True)]
    figure.legend(handles=patches, loc="outside lower center", ncols=5, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw_body(axis: Any, looked: Looked, sight: BodySight) -> None:
    """Draw the limbs from above, at the start and after each step, with their live cameras."""
    for step, pose in enumerate(looked.poses):
        lines, eyes = sight.outline(pose)
        for limb, line in enumerate(lines):
            works = looked.failures.works[0, limb]
            colour = _COLOURS[step] if works else "black"
            axis.plot(*line[:, :2].T, color=colour, lw=2.2, zorder=step, solid_capstyle="round")
            live = looked.failures.live[0, limb]
            if step == WITHIN and live.any():
                axis.scatter(*eyes[limb][live, :2].T, s=9, color="#1b6ca8", zorder=9)
    axis.set_aspect("equal")
    axis.set_xlim(-0.46, 0.46)
    axis.set_ylim(-0.46, 0.46)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title("limbs from above, live cameras", fontsize=9)


def _directions(
    sight: BodySight, options: BodySearchOptions
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return places ``(N, 3)`` and rotations of targets in all directions, which face the robot."""
    around = np.linspace(-np.pi, np.pi, _COLUMNS, endpoint=False) + np.pi / _COLUMNS
    up = np.linspace(*options.elevation_rad, _ROWS)
    grid_up, grid_around = (grid.ravel() for grid in np.meshgrid(up, around, indexing="ij"))
    level = np.cos(grid_up)
    way = np.stack(
        [level * np.cos(grid_around), level * np.sin(grid_around), np.sin(grid_up)], axis=-1
    )
    rpy = np.stack([np.zeros_like(grid_up), grid_up, grid_around + np.pi], axis=-1)
    place = (sight.middle_m + _AWAY_M * way).astype(np.float32)
    return place, facing(rpy)
