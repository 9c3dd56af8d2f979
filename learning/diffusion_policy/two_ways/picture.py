"""Pictures of the study: ways round the post, heat maps of similarity, success over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from learning.diffusion_policy.sampling import measured_similarity
from learning.diffusion_policy.transformer import BLOCKS
from learning.diffusion_policy.two_ways.demonstrators import demonstrate
from learning.diffusion_policy.two_ways.learners import (
    LEARNERS,
    TwoWayRun,
    load_model,
)
from learning.diffusion_policy.two_ways.measures import EPISODES, TRIALS
from learning.diffusion_policy.two_ways.study import DRAWN, learner_rollouts
from learning.diffusion_policy.two_ways.task import PostEpisodes, tip_table

# Ways that are drawn of each learner.
_DRAWN_WAYS = 60
_COLOURS = {"none": "C7", "exact": "C0", "tgate": "C3", "schedule": "C2"}


def draw_ways(runs: list[TwoWayRun], path: Path) -> None:
    """Draw the tip's ways as seen along the post's bearing, one panel for each learner.

    Args:
        runs: trainings; of each learner the first seed is drawn.
        path: of the picture.
    """
    first = {run.learner: run for run in reversed(runs)}
    ordered = [first[name] for name in LEARNERS.names() if name in first]
    figure, axes = _figure(1, len(ordered) + 1, (3.1 * (len(ordered) + 1), 3.6))
    task = ordered[0].task
    starts = PostEpisodes.draw(EPISODES, np.random.default_rng(TRIALS), task)
    shown = demonstrate(EPISODES, np.random.default_rng(TRIALS), task)
    ways = tip_table().tip(shown.servos)
    _draw_panel(axes[0, 0], starts, ways, shown.reached, "two demonstrators")
    for axis, run in zip(axes[0, 1:], ordered, strict=True):
        rolled = learner_rollouts(run)
        _draw_panel(axis, starts, rolled.paths, rolled.reached, LEARNERS.get(run.learner).summary)
    axes[0, 0].set_ylabel("height of the tip, cm")
    _save(figure, path)


def _draw_panel(
    axis: Any,
    starts: PostEpisodes,
    ways: npt.NDArray[np.float64],
    reached: npt.NDArray[np.bool_],
    title: str,
) -> None:
    """Draw ways to the left and right of the line from the limb's axis to the post."""
    from matplotlib.patches import Circle

    post = starts.post - tip_table().axis
    bearing = np.arctan2(post[:, 1], post[:, 0])
    centred = ways - tip_table().axis
    aside = np.arctan2(centred[..., 1], centred[..., 0]) - bearing[:, None]
    across = -np.hypot(centred[..., 0], centred[..., 1]) * np.sin(aside)
    for number in range(_DRAWN_WAYS):
        colour = "C0" if reached[number] else "C3"
        height = 100 * (ways[number, :, 2] - starts.post[number, 2])
        axis.plot(100 * across[number], height, color=colour, linewidth=0.7, alpha=0.6)
    axis.add_patch(Circle((0, 0), 100 * starts.task.post_m, color="0.75", zorder=0))
    axis.set(
        title=f"{title}\n{100 * reached.mean():.1f} % reach the goal",
        xlabel="aside of the post, cm",
        aspect="equal",
        xlim=(-20, 20),
        ylim=(-20, 20),
    )
    axis.title.set_fontsize(9)


def draw_similarity(runs: list[TwoWayRun], path: Path) -> None:
    """Draw cosine similarity of block outputs between all steps, a row for each layer.

    Args:
        runs: trainings; the first transformer is drawn.
        path: of the picture.
    """
    run = next(run for run in runs if run.learner == "transformer")
    model, seen = load_model(run.folder), run.demonstrated.observations
    found = measured_similarity(model.denoiser, DRAWN, model.scales.observation(seen).numpy())
    layers = model.denoiser.shape.layers
    figure, axes = _figure(layers, len(BLOCKS), (3.3 * len(BLOCKS) + 0.8, 2.9 * layers))
    for layer in range(layers):
        for kind, name in enumerate(BLOCKS):
            axis = axes[layer, kind]
            image = axis.imshow(
                found.values[layer, kind], vmin=0, vmax=1, cmap="viridis", origin="lower"
            )
            axis.set_title(f"{name.replace('_', '-')}, layer {layer + 1}", fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel(f"step of {DRAWN.steps} (DDIM)")
    for axis in axes[:, 0]:
        axis.set_ylabel("step")
    figure.colorbar(image, ax=axes, shrink=0.6, label="cosine similarity of outputs")
    _save(figure, path)


def draw_cells(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw success over the time of a chunk; a point for each cell, the mean over seeds."""
    figure, axes = _figure(1, 1, (6.4, 4.0))
    axis = axes[0, 0]
    for label in dict.fromkeys(row["label"] for row in rows):
        points = []
        for key in dict.fromkeys((r["sampler"], r["steps"]) for r in rows):
            alike = [r for r in rows if (r["sampler"], r["steps"]) == key and r["label"] == label]
            milliseconds = float(np.median([r["chunk_ms"] for r in alike]))
            points.append((milliseconds, 100 * np.mean([r["success"] for r in alike]), key[1]))
        axis.plot(
            [p[0] for p in points],
            [p[1] for p in points],
            "o-",
            color=_COLOURS.get(label, "C4"),
            label=label,
            alpha=0.8,
        )
        for spent, success, steps in points:
            axis.annotate(
                str(steps), (spent, success), xytext=(3, 4), textcoords="offset points", fontsize=7
            )
    axis.axvline(30, color="grey", linewidth=0.8, linestyle="--")
    axis.set(
        xscale="log",
        xlabel="ms of one core for a chunk (numbers: steps of denoising)",
        ylabel="goal reached, %",
    )
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8)
    _save(figure, path)


def _figure(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)


def _save(figure: Any, path: Path) -> None:
    from matplotlib import pyplot

    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
