"""Tables of policy search: benchmarks beside the papers, four rooms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.tables.markdown import load, markdown_table

# RMSVE and its deviation at some iterations, computed from the published set-up by other code.
_ANCHORS = {
    0: (0.4779, 0.0204),
    1: (0.3643, 0.0193),
    5: (0.1387, 0.0115),
    10: (0.0574, 0.0075),
    20: (0.0143, 0.0043),
    40: (0.0014, 0.0004),
}


def _benchmarks(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        ("learner, task", "steps", "return of each seed", "mean (std)", "target", "paper", "time")
    ]
    for row in load(results, "learning/policy_search.json")["rows"]:
        target, paper = row["target"], row["paper"]
        near = [point for point in paper if point[0] <= row["steps"]]
        wanted = f"{target['return']:g} by {target['unit']} {target['by']:,}" if target else ""
        rows.append(
            (
                row["title"],
                f"{row['steps']:,}",
                ", ".join(f"{value:.1f}" for value in row["returns"]),
                f"{row['mean_return']:.1f} ({row['std_return']:.1f})",
                f"{wanted}: {target['reached']}" if target else "",
                f"{near[-1][1]:g} at {near[-1][0]:,}" if near else "",
                f"{row['wall_s']:.0f} s",
            )
        )
    return markdown_table(rows)


def _four_rooms(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        ("iteration", "RMSVE, mean (std)", "anchor", "V(start), mean (std)")
    ]
    for row in load(results, "learning/policy_search_four_rooms.json")["rows"]:
        anchor, spread = _ANCHORS[row["iteration"]]
        rows.append(
            (
                f"{row['iteration']}",
                f"{row['rmsve']:.4f} ({row['rmsve_std']:.4f})",
                f"{anchor:.4f} ({spread:.4f})",
                f"{row['start_value']:.4f} ({row['start_value_std']:.4f})",
            )
        )
    return markdown_table(rows)


TABLES: dict[str, Callable[[Path], str]] = {
    "policy_search": _benchmarks,
    "four_rooms": _four_rooms,
}
