"""Graphs and runs as pictures: edges, their probabilities, and what each node answered."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from asterias.arrays import ImageArray
from learning.agents.graph.graph import Edge, Graph
from learning.agents.graph.run_trace import RunRecord
from learning.agents.messages import Failure

_COLORS = {
    "model": "#4c78a8",
    "tool": "#72b7b2",
    "perception": "#54a24b",
    "skill": "#e45756",
    "decision": "#b279a2",
}
_PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
_MOST_COLUMNS = 4  # after the first
_FAILED, _SKIPPED, _INK = "#d62728", "#c8c8c8", "#282c34"


def draw(
    graph: Graph,
    record: RunRecord | None = None,
    probabilities: Mapping[Edge, float] | None = None,
    title: str = "",
) -> ImageArray:
    """Return a picture ``(H, W, 3)`` RGB of a graph, from its sources (left) to its output (right).

    Args:
        graph: what to draw.
        record: of a run; adds what each node answered, failures in red.
        probabilities: of edges, drawn by the width of their arrows.
        title: heading; None takes the record's task.
    """
    places = _layout(graph)
    columns = max(x for x, _ in places.values()) + 1
    rows = max(y for _, y in places.values()) + 1
    figure = Figure(figsize=(3.2 * columns + 0.6, 0.95 * rows + 1.0), dpi=110)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(-0.6, columns - 0.4)
    axes.set_ylim(-0.5, rows + 0.2)
    axes.axis("off")
    for edge in sorted(graph.edges):
        strength = 1.0 if probabilities is None else probabilities.get(edge, 1.0)
        is_live = {*edge} <= graph.needed
        axes.add_patch(_arrow(places[edge[0]], places[edge[1]], strength, is_live))
    outcomes = {step.node: step.outcome for step in record.steps} if record is not None else {}
    for node in graph.nodes:
        x, y = places[node.name]
        is_failed = isinstance(outcomes.get(node.name), Failure)
        color = _COLORS[node.kind] if node.name in graph.needed else _SKIPPED
        edge_color = _FAILED if is_failed else color
        axes.scatter([x], [y], s=260, color=color, edgecolors=edge_color, linewidths=3, zorder=3)
        name = node.name + (" (output)" if node.name == graph.output else "")
        axes.text(x, y + 0.22, name, ha="center", size=8, weight="bold", color=_INK, zorder=4)
        if node.name in outcomes:
            text = textwrap.shorten(outcomes[node.name].text, 72, placeholder=" …")
            text = "\n".join(textwrap.wrap(text, 38))
            color = _FAILED if is_failed else _INK
            about: dict[str, Any] = {
                "ha": "center",
                "va": "top",
                "size": 6.5,
                "color": color,
                "bbox": _PAPER,
            }
            axes.text(x, y - 0.2, text, zorder=4, **about)
    heading = title or (record.task if record is not None else "")
    axes.text(-0.5, rows + 0.02, heading, size=10, va="center", color=_INK)
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib types its canvas only in part
    canvas.draw()
    picture: ImageArray = np.array(canvas.buffer_rgba(), dtype=np.uint8)[:, :, :3]
    return np.ascontiguousarray(picture)


def _layout(graph: Graph) -> dict[str, tuple[float, float]]:
    """Return where nodes lie, x from the left and y from below, a place taking about 1 by 1.

    In columns by the longest way from a source, the output last; on a ring, the output beside it,
    where that would be too many columns.
    """
    columns: dict[str, int] = {}
    for name in graph.order:
        columns[name] = 1 + max((columns[one] for one in graph.predecessors[name]), default=-1)
    columns[graph.output] = max(columns.values())
    if columns[graph.output] > _MOST_COLUMNS:
        return _ring(graph)
    members: dict[int, list[str]] = {}
    for node in graph.nodes:
        members.setdefault(columns[node.name], []).append(node.name)
    middle = (max(map(len, members.values())) - 1) / 2
    return {
        name: (float(column), middle + (len(names) - 1) / 2 - place)
        for column, names in members.items()
        for place, name in enumerate(names)
    }


def _ring(graph: Graph) -> dict[str, tuple[float, float]]:
    names = [node.name for node in graph.nodes if node.name != graph.output]
    height = max(5.0, len(names) / 2)
    angles = np.pi * (0.5 + 2 * (np.arange(len(names)) + 0.5) / len(names))
    ring = {
        name: (0.9 + 0.9 * float(np.cos(angle)), height / 2 * (1 + float(np.sin(angle))))
        for name, angle in zip(names, angles, strict=True)
    }
    return {**ring, graph.output: (2.8, height / 2)}


def _arrow(
    start: tuple[float, float], end: tuple[float, float], strength: float, is_live: bool
) -> FancyArrowPatch:
    return FancyArrowPatch(
        start,
        end,
        connectionstyle="arc3,rad=0.12",
        arrowstyle="-|>",
        mutation_scale=10,
        shrinkA=9,
        shrinkB=9,
        linewidth=0.4 + 1.8 * strength,
        alpha=0.15 + 0.6 * strength,
        color=_INK if is_live else _SKIPPED,
        zorder=1,
    )
