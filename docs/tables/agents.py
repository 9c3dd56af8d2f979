"""Tables of language agents: learned edges and mindstorms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs.tables.markdown import load, markdown_table, mean_std


def _agents(results: Path) -> str:
    """Return the table of learned edges beside their controls: per cent right on unseen data."""
    rows: list[tuple[str, ...]] = [
        (
            "of 6 cameras lie",
            "learned edges",
            "plain vote",
            "knows the liars",
            "best camera",
            "random graph",
            "same density",
            "liars' edges cut",
        )
    ]
    ways = ("learned", "plain_vote", "oracle", "best_single", "random_graph", "same_density")
    data = load(results, "agents/edges.json")
    for row in data["summary"]:
        cells = [cell for cell in data["rows"] if cell["k"] == row["k"]]
        cut = f"{100 * _liars_edges_cut(cells):.1f} %"
        rows.append((str(row["k"]), *(mean_std(row[way]) for way in ways), cut))
    return markdown_table(rows)


def _liars_edges_cut(cells: list[dict[str, Any]]) -> float:
    """Return the fraction of the liars' edges that no answer passes.

    They are cut, or lead to members that nobody hears.
    """
    possible = carrying = 0
    for cell in cells:
        heard, before = {"decision"}, 0
        while len(heard) > before:
            before = len(heard)
            heard |= {source for source, target in cell["edges"] if target in heard}
        possible += cell["liars_edges"]
        carrying += sum(s in cell["liars"] and t in heard for s, t in cell["edges"])
    return 1.0 - carrying / possible


def _mindstorms(results: Path) -> str:
    """Return the table of right answers about unseen mazes by the number of members."""
    ways = ("monarchy", "democracy", "plain_vote", "best_single")
    heading = ("members", "leader decides", "members vote", "vote without talk", "best member")
    rows: list[tuple[str, ...]] = [heading]
    for row in load(results, "agents/mindstorm.json")["summary"]:
        rows.append((str(row["members"]), *(mean_std(row[way]) for way in ways)))
    return markdown_table(rows)


TABLES: dict[str, Callable[[Path], str]] = {
    "agents": _agents,
    "mindstorms": _mindstorms,
}
