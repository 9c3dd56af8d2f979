"""Pictures of a plan: the maze, the value map, the optimal path, the path, and what was driven."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from asterias.arrays import Cell
from asterias.errors import UserError
from asterias.files import write_bytes

_DPI = 100
_SIDE_PX = 900  # of the map, where its cells are not larger or smaller than these
_CELL_PX = (3, 48)
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 90, 78, 64
_LEAST_WIDTH = 640
_OPTIMAL, _OPTIMAL_ON_LIGHT, _PATH, _DRIVEN = "#ffffff", "#7fb3e6", "#e6194b", "#111111"


@dataclass(frozen=True)
class Drawing:
    """What a picture shows; what is empty is left out."""

    maze: NDArray[np.uint8]
    """Cells ``(H, W)``, 1 = free."""
    start: Cell
    goal: Cell
    title: str = ""
    cells: Sequence[Cell] = ()
    """The plan."""
    optimal_cells: Sequence[Cell] = ()
    values: NDArray[Any] | None = None
    """Value map ``(H, W)``; free cells are coloured by rank."""
    driven: Sequence[tuple[float, float]] = ()
    """Places (row, column) with fractions, (0.5, 0.5) in the middle of the first cell."""


def save_drawing(drawing: Drawing, path: Path) -> None:
    """Write a picture (.png) that appears whole or not at all.

    Raises:
        UserError: the name does not end in .png.
    """
    if path.suffix.lower() != ".png":
        raise UserError(f"the picture {path} cannot be written: choose a name that ends in .png.")
    buffer = io.BytesIO()
    _figure(drawing).savefig(buffer, format="png", dpi=_DPI)
    write_bytes(path, buffer.getvalue())


def _figure(drawing: Drawing) -> Figure:
    rows, columns = drawing.maze.shape
    cell = int(np.clip(_SIDE_PX // max(rows, columns), *_CELL_PX))
    size = columns * cell, rows * cell
    right = _RIGHT if drawing.values is not None else 30
    zoom = max(1.0, max(size) / 1000)  # of text and lines in large pictures
    width = max(size[0] + _LEFT + right, _LEAST_WIDTH)
    height = size[1] + round((_TOP + _BOTTOM) * zoom)
    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    FigureCanvasAgg(figure)
    left = (width - size[0] + _LEFT - right) / 2
    place = (left / width, _BOTTOM * zoom / height, size[0] / width, size[1] / height)
    axes = figure.add_axes(place, xlim=(0, columns), ylim=(rows, 0))
    axes.imshow(_colours(drawing), extent=(0, columns, rows, 0), interpolation="nearest")
    _ticks(axes, rows, columns, 8 * zoom)
    handles = _lines(axes, drawing, cell * 72 / _DPI, zoom)
    figure.text(0.5, 1 - 14 / height, drawing.title, ha="center", va="top", size=11 * zoom)
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=len(handles),
        fontsize=9 * zoom,
        facecolor="#c9ccd3",
        framealpha=1,
    )
    if drawing.values is not None:
        bar = figure.add_axes(((left + size[0] + 16) / width, place[1], 14 / width, place[3]))
        figure.colorbar(ScalarMappable(cmap="viridis"), cax=bar, ticks=[0, 1])
        bar.set_yticklabels(["low", "high"], fontsize=8 * zoom)
        bar.set_title("value", fontsize=8 * zoom, pad=16 * zoom)
    return figure


def _colours(drawing: Drawing) -> NDArray[Any]:
    """Return the map in colours ``(H, W, 3)``: walls dark, free cells light or by their value."""
    free = drawing.maze > 0
    colours = np.where(free[..., None], 0.93, 0.13) * np.ones(3)
    if drawing.values is not None:
        order = drawing.values[free].argsort().argsort()
        # By rank: a long maze has a few very low values that would take all colours.
        colours[free] = colormaps["viridis"](order / max(1, order.size - 1))[:, :3]
    return colours


def _ticks(axes: Axes, rows: int, columns: int, size: float) -> None:
    """Write numbers of rows and columns as --start and --goal count them."""
    steps = (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**9)
    step = next(step for step in steps if max(rows, columns) < 15 * step)
    for axis, count in ((axes.xaxis, columns), (axes.yaxis, rows)):
        numbers = np.arange(0, count, step)
        axis.set_ticks((numbers + 0.5).tolist(), labels=[str(n) for n in numbers])
    axes.tick_params(
        labelsize=size, length=2, top=True, bottom=False, labeltop=True, labelbottom=False
    )


def _lines(axes: Axes, drawing: Drawing, cell_pt: float, zoom: float) -> list[Line2D]:
    """Draw paths and ends; return what the legend names.

    Returns:
        What the legend names.
    """
    thin = max(1.3 * zoom, 0.2 * cell_pt)
    optimal = {"color": _OPTIMAL, "linewidth": max(3.2 * zoom, 0.55 * cell_pt)}
    if drawing.values is None:
        optimal["color"] = _OPTIMAL_ON_LIGHT
    shortest = drawing.optimal_cells
    reached = bool(drawing.cells) and tuple(drawing.cells[-1]) == tuple(drawing.goal)
    if reached and len(drawing.cells) == len(shortest):
        shortest = drawing.cells  # of several shortest paths the one that was planned
    handles = []
    for cells, name, style in (
        (shortest, "shortest path", optimal),
        (drawing.cells, "plan", {"color": _PATH, "linewidth": thin}),
    ):
        if cells:
            places = np.array(cells) + 0.5
            text = f"{name}: {len(cells) - 1} steps"
            handles += _line(axes, places, text, solid_capstyle="round", **style)
    if len(drawing.driven):
        style = {"color": _DRIVEN, "linewidth": max(0.7 * zoom, 0.08 * cell_pt), "linestyle": "-"}
        handles += _line(axes, np.array(drawing.driven), "driven", **style)
    size = max(8.0 * zoom, 0.62 * cell_pt)
    marks = [(drawing.start, "start", "o", "#2ca02c"), (drawing.goal, "goal", "*", "#ffb000")]
    if drawing.cells and drawing.cells[-1] != drawing.goal:
        marks.append((drawing.cells[-1], "plan ends", "X", _PATH))
    for cell, name, shape, colour in marks:
        if not (0 <= cell[0] < drawing.maze.shape[0] and 0 <= cell[1] < drawing.maze.shape[1]):
            continue
        style = {
            "marker": shape,
            "color": colour,
            "markersize": size * (1.5 if shape == "*" else 1),
        }
        place = np.array([cell]) + 0.5
        handles += _line(axes, place, name, linestyle="", markeredgecolor="black", **style)
    return handles


def _line(axes: Axes, places: NDArray[Any], name: str, **style: Any) -> list[Line2D]:
    """Draw a line through (row, column) places; return its sample for the legend.

    Returns:
        The line's sample for the legend.
    """
    axes.plot(places[:, 1], places[:, 0], clip_on=False, **style)
    sample = {**style, "linewidth": min(style.get("linewidth", 1), 6)}
    sample["markersize"] = min(style.get("markersize", 1), 12)
    return [Line2D([], [], label=name, **sample)]
