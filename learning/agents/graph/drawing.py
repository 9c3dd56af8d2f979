"""Graphs and runs as pictures: edges, their probabilities, and what each node answered."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from asterias.arrays import ImageArray
from learning.agents.graph.graph import Edge, Graph
from learning.agents.graph.run_trace import RunRecord
from learning.agents.messages import Answer, Failure, Outcome

_COLORS = {
    "model": "#4c78a8",
    "tool": "#72b7b2",
    "perception": "#54a24b",
    "skill": "#f58518",
    "decision": "#b279a2",
}
_MOST_COLUMNS = 4  # after the first
_FAILED, _SKIPPED, _INK = "#d62728", "#c8c8c8", "#282c34"
# Half the width of a node's box, a column being 1; it holds the node's name and what it said.
_HALF = 0.38
_LINE, _NAME_LINE = 0.125, 0.20
_WRAP = 42
_LEGEND = {
    "model": "language model",
    "tool": "tool",
    "perception": "perception",
    "skill": "skill",
    "decision": "decision",
}


def draw(
    graph: Graph,
    record: RunRecord | None = None,
    probabilities: Mapping[Edge, float] | None = None,
    title: str = "",
    broken: Mapping[str, str] | None = None,
) -> ImageArray:
    """Return a picture ``(H, W, 3)`` RGB of a graph, from its sources (left) to its output (right).

    Args:
        graph: what to draw.
        record: of a run; adds what each node answered, failures in red.
        probabilities: of edges, drawn by the width of their arrows.
        title: heading; an empty one takes the record's task.
        broken: what is wrong with cameras, by name, beside what nodes of the run have found.
    """
    places = _layout(graph)
    columns = max(x for x, _ in places.values()) + 1
    rows = max(y for _, y in places.values()) + 1
    figure = Figure(figsize=(3.2 * columns + 0.6, 0.95 * rows + 1.3), dpi=110)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(-0.6, columns - 0.4)
    axes.set_ylim(-0.9, rows + 0.2)
    axes.axis("off")
    for edge in sorted(graph.edges):
        strength = 1.0 if probabilities is None else probabilities.get(edge, 1.0)
        is_live = {*edge} <= graph.needed
        axes.add_patch(_arrow(places[edge[0]], places[edge[1]], strength, is_live))
    outcomes = {step.node: step.outcome for step in record.steps} if record is not None else {}
    wrong = {**(broken or {}), **_broken(outcomes)}
    for node in graph.nodes:
        outcome = outcomes.get(node.name)
        is_bad = isinstance(outcome, Failure) or node.name in wrong
        color = _COLORS[node.kind] if node.name in graph.needed else _SKIPPED
        name = node.name + (" (output)" if node.name == graph.output else "")
        said = "" if outcome is None else outcome.text
        if node.name in wrong:
            said = f"broken: {wrong[node.name]}. {said}"
        _add_node(axes, places[node.name], name, said, _FAILED if is_bad else color)
    heading = title or (record.task if record is not None else "") or "A graph of agents"
    axes.text(-0.5, rows + 0.02, heading, size=10, va="center", color=_INK)
    _add_legend(axes, {node.kind for node in graph.nodes}, bool(wrong or _failed(outcomes)))
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib types its canvas only in part
    canvas.draw()
    picture: ImageArray = np.array(canvas.buffer_rgba(), dtype=np.uint8)[:, :, :3]
    return np.ascontiguousarray(picture)


def _failed(outcomes: Mapping[str, Outcome]) -> list[str]:
    return [name for name, outcome in outcomes.items() if isinstance(outcome, Failure)]


def _broken(outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    """Return what is wrong with the cameras that a node of the run found broken."""
    found: dict[str, str] = {}
    for outcome in outcomes.values():
        told = outcome.data.get("broken") if isinstance(outcome, Answer) else None
        if isinstance(told, Mapping):
            found.update((str(name), str(fault)) for name, fault in told.items())
    return found


def _add_node(axes: Axes, place: tuple[float, float], name: str, said: str, color: str) -> None:
    """Draw a node as an opaque box with its name and what it said: arrows pass behind it."""
    x, y = place
    text = textwrap.shorten(said, 2 * _WRAP, placeholder=" …") if said else ""
    lines = textwrap.wrap(text, _WRAP)
    height = _NAME_LINE + 0.08 + _LINE * len(lines)
    box = FancyBboxPatch(
        (x - _HALF, y - height / 2),
        2 * _HALF,
        height,
        boxstyle="round,pad=0.02,rounding_size=0.05",
        facecolor="white",
        edgecolor=color,
        linewidth=2.2,
        zorder=3,
    )
    axes.add_patch(box)
    top = y + height / 2 - 0.03
    axes.text(x, top, name, ha="center", va="top", size=8, weight="bold", color=color, zorder=4)
    about: dict[str, Any] = {"ha": "center", "va": "top", "size": 6.5, "color": _INK, "zorder": 4}
    if lines:
        axes.text(x, top - _NAME_LINE, "\n".join(lines), **about)


def _add_legend(axes: Axes, kinds: Collection[str], has_failures: bool) -> None:
    """Say below what the colours of the boxes mean."""
    shown = [(_COLORS[kind], words) for kind, words in _LEGEND.items() if kind in kinds]
    shown += [(_FAILED, "failed or broken")] if has_failures else []
    handles = [
        FancyBboxPatch((0, 0), 1, 1, facecolor="white", edgecolor=color, linewidth=2.2, label=words)
        for color, words in shown
    ]
    axes.legend(handles=handles, loc="lower left", ncols=len(handles), fontsize=7, frameon=False)


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
    """Return the arrow between two nodes, from the side of one box to that of the other."""
    way = end[0] - start[0]
    side = _HALF + 0.02 if way > 0.5 else -_HALF - 0.02 if way < -0.5 else 0.0
    below = 0.0 if side else 0.24 * (1 if end[1] > start[1] else -1)
    return FancyArrowPatch(
        (start[0] + side, start[1] + below),
        (end[0] - side, end[1] - below),
        connectionstyle="arc3,rad=0.06",
        arrowstyle="-|>",
        mutation_scale=10,
        linewidth=0.4 + 1.8 * strength,
        alpha=0.15 + 0.6 * strength,
        color=_INK if is_live else _SKIPPED,
        zorder=1,
    )
