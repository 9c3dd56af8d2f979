"""What a detector marked, above what decided, with the frames that it chose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from asterias.arrays import ImageArray
from learning.critical_states.identifier import CriticalStates
from learning.critical_states.study import TASKS, Examination, MaskRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MASK, _TRUE = "#d66614", "#2b6cb0"
# Examples of each task, and frames shown of each: the highest of the mask, in the order of time.
_EXAMPLES, _SHOWN = 4, 6


def draw_examples(runs: Sequence[MaskRun], path: Path) -> None:
    """Draw a few test clips of each task's first finished training.

    Args:
        runs: of a study.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    chosen = {run.task: run for run in reversed(runs) if run.weights.exists() and not run.ablation}
    rows = [(task, place) for task in chosen for place in range(_EXAMPLES)]
    figure, axes = pyplot.subplots(
        len(rows),
        1 + _SHOWN,
        figsize=(13, 1.35 * len(rows) + 0.4),
        width_ratios=[6, *[1] * _SHOWN],
        layout="constrained",
        squeeze=False,
    )
    for task in chosen:
        own = [line for line, (name, _) in zip(axes, rows, strict=True) if name == task]
        _draw_task(own, chosen[task])
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw_task(lines: Sequence[npt.NDArray[np.object_]], run: MaskRun) -> None:
    exam = TASKS.get(run.task).make(run.seed, lambda done, total: None)
    model = CriticalStates.load(run.weights)
    places = _examples(exam)
    masks = model.predict(exam.test_clips[places])
    for line, place, mask in zip(lines, places, masks, strict=True):
        kinds = [name for name, own in exam.groups.items() if own[place]]
        _draw_mask(line[0], mask, exam.decided[place])
        line[0].set_title(f"{run.task}: {', '.join(kinds)}", fontsize=8, loc="left")
        best = np.sort(np.argsort(-mask, kind="stable")[:_SHOWN])
        for axis, frame in zip(line[1:], best, strict=True):
            axis.imshow(_tiled(exam.test_clips[place, frame]), interpolation="nearest")
            axis.set_title(f"{frame}: {mask[frame]:.2f}", fontsize=7, pad=2)
            axis.axis("off")


def _examples(exam: Examination) -> npt.NDArray[np.int64]:
    """Return numbers of test clips, of all groups in turn."""
    members = [np.flatnonzero(own) for own in exam.groups.values()]
    members = [own for own in members if len(own)]
    chosen = [members[n % len(members)][n // len(members)] for n in range(_EXAMPLES)]
    return np.array(chosen, np.int64)


def _draw_mask(axis: Axes, mask: npt.NDArray[np.float32], decided: npt.NDArray[np.bool_]) -> None:
    axis.bar(np.arange(len(mask)), mask, width=1.0, color=_MASK, label="learned mask")
    truth = np.flatnonzero(decided)
    axis.plot(truth, np.full(len(truth), 1.1), "v", color=_TRUE, ms=5, label="what decided")
    axis.set_ylim(0, 1.25)
    axis.set_xlim(-1, len(mask))
    axis.tick_params(labelsize=7)


def _tiled(frame: ImageArray) -> ImageArray:
    """Return a picture in RGB, from RGB or grey."""
    tiled: ImageArray = np.broadcast_to(frame, (*frame.shape[:2], 3))
    return tiled
