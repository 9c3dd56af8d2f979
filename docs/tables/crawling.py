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


def _learners(results: Path) -> str:
    """Return the table of learners at equal processor time."""
    data = load(results, "learning/crawl_compare.json")
    names = list(dict.fromkeys(row["learner"] for row in data["rows"]))
    rows: list[tuple[str, ...]] = [
        (
            "learner",
            "numbers",
            "episodes of 6 s",
            "processor time",
            "body lengths a minute, by seed",
        )
    ]
    for name in names:
        own = [row for row in data["rows"] if row["learner"] == name]
        speeds = ", ".join(f"{row['lengths_per_min']:.1f}" for row in own)
        episodes = ", ".join(str(row["episodes"]) for row in own)
        longest = max(row["processor_s"] for row in own)
        rows.append((f"`{name}`", f"{own[0]['parameters']}", episodes, f"{longest:.0f} s", speeds))
    return markdown_table(rows)


def _lost_limbs(results: Path) -> str:
    data = load(results, "learning/crawl_compare.json")
    whole = data["engines"]["asterias"]["limb leads"]
    rows: list[tuple[str, ...]] = [
        (
            "lost limbs",
            "as they are lost",
            "after 20 episodes",
            "of the whole robot's",
            "leads then",
        )
    ]
    for row in data["lost"]:
        rows.append(
            (
                ", ".join(map(str, row["limbs"])),
                f"{row['before']:.1f}",
                f"{row['after']:.1f}",
                f"{100 * row['after'] / whole:.0f} %",
                row["leader"],
            )
        )
    return markdown_table(rows)


def _crawl_engines(results: Path) -> str:
    """Return the table of one gait by each engine."""
    data = load(results, "learning/crawl_compare.json")
    found = data["engines"]
    leaders = list(next(iter(found.values())))
    rows: list[tuple[str, ...]] = [(f"gait `{data['gait']}`", *leaders)]
    rows += [
        (f"`{name}`", *(f"{row[leader]:.1f}" for leader in leaders)) for name, row in found.items()
    ]
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
    "crawl_learners": _learners,
    "crawl_lost_limbs": _lost_limbs,
    "crawl_engines": _crawl_engines,
    "crawl_targets": _targets,
    "crawl_to": _crawl_to,
}
