"""Pictures of the archive: predicted against measured steps, and the map of policies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from asterias.arrays import FloatArray

_NAMED = 40


def draw_predictions(
    told: dict[str, Any],
    predicted: FloatArray,
    measured: FloatArray,
    runs: np.ndarray[Any, np.dtype[np.int64]],
    path: Path,
) -> None:
    """Draw predicted against measured steps, and the same of what dead cameras cost.

    Args:
        told: figures of the study.
        predicted: ``(P, 3)`` steps, each by an encoder that does not know the policy's training.
        measured: ``(P, 3)`` in the simulation.
        runs: ``(P,)`` trainings.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    cells = [told["trainings"][run]["cell"] for run in runs]
    own = next(iter(told["encoders"].values()))["all"]
    figure, axes = pyplot.subplots(1, 3, figsize=(13, 4.3), layout="constrained")
    panels = (
        (measured[:, 0], predicted[:, 0], f"No camera dead: rank correlation {own['kill0']:.2f}"),
        (measured[:, 2], predicted[:, 2], f"1 or 2 of 4 dead: {own['kill12']:.2f}"),
        (
            measured[:, 2] - measured[:, 0],
            predicted[:, 2] - predicted[:, 0],
            f"What dead cameras cost: {own['tolerance']:.2f} of able policies",
        ),
    )
    for axis, (true, said, title) in zip(axes, panels, strict=True):
        for number, cell in enumerate(sorted(set(cells))):
            some = np.array([one == cell for one in cells])
            axis.plot(true[some], said[some], "o", color=f"C{number}", ms=4, alpha=0.7, label=cell)
        ends = [min(true.min(), said.min()), max(true.max(), said.max())]
        axis.plot(ends, ends, color="grey", linewidth=0.8)
        axis.set(xlabel="steps measured in the simulation", title=title)
        axis.grid(alpha=0.25)
    axes[0].set_ylabel("steps predicted from answers")
    axes[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def map_places(embeddings: FloatArray) -> FloatArray:
    """Return places ``(P, 2)``: the two principal components of representations ``(P, k)``."""
    centred = embeddings - embeddings.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    places = np.zeros((len(embeddings), 2))
    some = centred @ axes[:2].T
    places[:, : some.shape[1]] = some
    # A component has no sign of its own; the largest part of each points up.
    for column, axis in enumerate(axes[:2]):
        places[:, column] *= np.sign(axis[np.abs(axis).argmax()]) or 1.0
    return places


def draw_map(
    names: Sequence[str],
    cells: Sequence[str],
    places: FloatArray,
    colours: tuple[FloatArray, FloatArray],
    path: Path,
) -> None:
    """Draw the map: near policies do alike; colours are predicted steps.

    Args:
        names: of P policies; written beside them where there are few.
        cells: of each.
        places: ``(P, 2)``.
        colours: ``(P,)`` predicted steps without dead cameras, and what one or two cost.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    marks = {"rnn": "s", "gru": "o", "lstm": "^"}
    figure, axes = pyplot.subplots(1, 2, figsize=(13, 5.6), layout="constrained")
    panels = (
        (colours[0], "predicted steps to the target, no camera dead", "viridis_r"),
        (colours[1], "more steps with 1 or 2 cameras dead, predicted", "magma_r"),
    )
    for axis, (colour, title, palette) in zip(axes, panels, strict=True):
        shown: Any = None
        for cell in sorted(set(cells)):
            some = np.array([one == cell for one in cells])
            shown = axis.scatter(
                *places[some].T,
                c=colour[some],
                cmap=palette,
                vmin=float(colour.min()),
                vmax=float(colour.max()),
                marker=marks[cell],
                s=36,
                edgecolors="0.3",
                linewidths=0.4,
                label=cell,
            )
        figure.colorbar(shown, ax=axis, label="steps")
        axis.set(title=title, xlabel="first component", ylabel="second component")
        axis.grid(alpha=0.2)
    if len(names) <= _NAMED:
        for name, place in zip(names, places, strict=True):
            axes[0].annotate(name, place, fontsize=6, xytext=(3, 3), textcoords="offset points")
    axes[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
