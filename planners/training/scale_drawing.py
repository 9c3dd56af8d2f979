"""The picture of ``scale``: share of starts that reach the goal, by path length."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from asterias.files import write_bytes

# Okabe and Ito's colours, which the colour-blind can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "os^DvPX"


def draw_scale(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write a picture of the rows of a result on mazes, as PNG.

    Args:
        rows: of a result of ``scale``; a line joins the bins of one size of mazes, and runs that
            differ in their seed alone are one line, at the worst of them.
        path: file to write.
    """
    figure = Figure(figsize=(8, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    names = list(dict.fromkeys(str(row["network"]) for row in rows))
    for (name, suite), points in _lines(rows).items():
        lengths, shares = zip(*sorted(points.items()), strict=True)
        index = names.index(name) % len(_COLOURS)
        is_first = suite == next(s for n, s in _lines(rows) if n == name)
        axes.plot(
            lengths,
            shares,
            color=_COLOURS[index],
            marker=_MARKERS[index],
            label=name if is_first else None,
            clip_on=False,
        )
    axes.set_xscale("log")
    axes.set_ylim(0, 101)
    axes.set_xlabel("steps of the shortest path, up to (upper edge of the bin)")
    axes.set_ylabel("starts that reach the goal, in %")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left", frameon=False)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    write_bytes(path, content.getvalue())


def _lines(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str], dict[int, float]]:
    """Compare networks on mazes, where there is one path length a bin.

    Returns:
        By network and size of mazes, the lowest success for each upper edge of a bin.
    """
    lines: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        if not str(row["suite"]).isdigit():
            continue
        points = lines.setdefault((row["network"], row["suite"]), {})
        for bin_ in row["bins"]:
            if bin_["starts"]:
                worst = points.get(bin_["hi"], 100.0)
                points[bin_["hi"]] = min(worst, bin_["success"])
    return lines
