"""Tables of target finding: Brownian searchers, trained policies, harder forms of the task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.tables.markdown import counted, load, markdown_table
from learning.target_finding.env.options import DEAD


def _baselines(results: Path) -> str:
    data = load(results, "target_finding/brownian_baselines.json")
    searchers = {"bmms": "all servos (BMMS)", "bmss": "one servo (BMSS)"}
    rows: list[tuple[str, ...]] = [
        ("Brownian motion of", "dead cameras", "simulation", "paper, real limb", "ratio")
    ]
    for row in sorted(data["rows"], key=lambda row: list(searchers).index(row["policy"])):
        rows.append(
            (
                searchers[row["policy"]],
                DEAD[row["faults"]],
                f"{row['mean_steps']:.1f} ({row['std_steps']:.1f})",
                f"{row['paper_mean_steps']:.1f} ({row['paper_std_steps']:.1f})",
                f"{row['ratio_to_paper']:.2f}",
            )
        )
    return markdown_table(rows)


def _policies(results: Path) -> str:
    """Return the table of trained policies beside the paper's and the oracle bound."""
    head = (
        "learner",
        "dead cameras",
        "last 15 episodes",
        "fresh episodes",
        "found",
        "below the cap",
    )
    rows: list[tuple[str, ...]] = [(*head, "paper, real limb")]
    for row in load(results, "target_finding/study.json")["rows"]:
        below = row.get("below_cap_last_5")
        rows.append(
            (
                f"{row['told']} ({counted(len(row['seeds']), 'training')})",
                DEAD[row["faults"]],
                f"{row['last_mean_steps']:.2f} ({row['last_std_steps']:.2f})",
                f"{row['mean_steps']:.2f} ({row['std_steps']:.2f})",
                f"{100 * row['found']:.1f} %",
                "" if below is None else f"{100 * below:.0f} %",
                f"{row['paper_mean_steps']:.2f} ({row['paper_std_steps']:.2f})",
            )
        )
    bound = load(results, "target_finding/bound.json")
    rows += [
        (
            f"a searcher that knows which of {bound['poses']:,} poses see the tag",
            DEAD[row["faults"]],
            "",
            f"{row['mean_steps']:.2f}",
            *[""] * 3,
        )
        for row in bound["rows"]
    ]
    return markdown_table(rows)


def _beyond(results: Path) -> str:
    """Return the table of policies for what the paper left open."""
    rows: list[tuple[str, ...]] = [("policy", "tested with", "steps", "found", "within")]
    for row in load(results, "target_finding/beyond.json")["rows"]:
        rows.append(
            (
                f"`{row['policy']}`",
                row["told"],
                f"{row['mean_steps']:.2f} ({row['std_steps']:.2f})",
                f"{100 * row['success_within_cap']:.1f} %",
                f"{row['cap']} steps",
            )
        )
    return markdown_table(rows)


def _imported(results: Path) -> str:
    """Return the table of policies that others trained, in simulation and over topics."""
    head = ("trained by", "simulation", "found within the cap", "over topics, `/find_target`")
    rows: list[tuple[str, ...]] = [head]
    for name, told in (("zoo", "rl-zoo3"), ("sb3", "stable-baselines3")):
        alone = load(results, f"target_finding/imported_{name}.json")
        launched = load(results, f"target_finding/imported_{name}_over_topics.json")
        episodes = launched["episodes"]
        found = [one["steps"] for one in episodes if one["found"]]
        steps = f"{sum(found) / max(len(found), 1):.1f} steps"
        rows.append(
            (
                f"{told}, {alone['algorithm'].upper()}",
                f"{alone['mean_steps']:.2f} ({alone['std_steps']:.2f}) steps",
                f"{100 * alone['success_within_cap']:.0f} %",
                f"found {len(found)} of {len(episodes)}, {steps}",
            )
        )
    return markdown_table(rows)


TABLES: dict[str, Callable[[Path], str]] = {
    "baselines": _baselines,
    "policies": _policies,
    "beyond": _beyond,
    "imported": _imported,
}
