"""Tables of crawling: what learners reach, and what is left after a lost limb."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.tables.markdown import load, markdown_table


def _crawl(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        ("learner, seed", "numbers", "episodes of 6 s", "time", "body lengths a minute")
    ]
    for row in load(results, "learning/crawl.json")["rows"]:
        rows.append(
            (
                f"{row['learner']}, {row['seed']}",
                f"{row['parameters']}",
                f"{row['episodes']}",
                f"{row['wall_s']:.0f} s",
                f"{row['lengths_per_min']:.1f}",
            )
        )
    return markdown_table(rows)


def _lost_limbs(results: Path) -> str:
    data = load(results, "learning/crawl.json")
    whole = max(row["lengths_per_min"] for row in data["rows"])
    rows: list[tuple[str, ...]] = [
        ("lost limb", "as it is lost", "after 20 episodes", "of the whole robot's", "leads then")
    ]
    for row in data["lost_limbs"]:
        rows.append(
            (
                f"{row['limb']}",
                f"{row['before']:.1f}",
                f"{row['after']:.1f}",
                f"{100 * row['after'] / whole:.0f} %",
                f"limb {row['leading_limb']}",
            )
        )
    return markdown_table(rows)


def _targets(results: Path) -> str:
    data = load(results, "learning/crawl.json")["targets"]
    rows: list[tuple[str, ...]] = [
        ("targets", "distance", "reached", "median time", "longest"),
        (
            f"{data['targets']}, all round",
            f"{data['distance_m']:g} m",
            f"{data['reached']}",
            f"{data['median_s']} s",
            f"{data['longest_s']} s",
        ),
    ]
    return markdown_table(rows)


def _crawl_to(results: Path) -> str:
    data = load(results, "sim/crawl_to.json")
    rows: list[tuple[str, ...]] = [
        ("runs of `/crawl_to`, all round", "distance", "arrived", "median time", "longest"),
        (
            f"{len(data['runs'])}",
            f"{data['distance_m']:g} m",
            f"{data['arrived']}",
            f"{data['median_s']} s",
            f"{data['longest_s']} s",
        ),
    ]
    return markdown_table(rows)


TABLES: dict[str, Callable[[Path], str]] = {
    "crawl": _crawl,
    "crawl_lost_limbs": _lost_limbs,
    "crawl_targets": _targets,
    "crawl_to": _crawl_to,
}
