"""Tables of upside-down RL: the counter-example, and the learners' cards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.tables.markdown import load, markdown_table

_FILE = "learning/upside_down.json"
_LEARNERS = {
    "upside_down": "upside-down RL, table",
    "goal_cloning": "goal-conditioned cloning, network",
    "decision_transformer": "decision transformer",
}


def _recursion(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        (
            "alpha",
            "exact",
            "started at the best policy",
            "sampled, mean (std)",
            "mixed with 10 % uniform",
            "optimum",
        )
    ]
    for row in load(results, _FILE)["recursion"]:
        rows.append(
            (
                f"{row['alpha']:g}",
                f"{row['from_uniform'][-1]:.2f}",
                f"{row['from_optimum'][0]:.2f}, then {row['from_optimum'][1]:.2f}",
                f"{row['sampled_mean']:.4f} ({row['sampled_std']:.4f})",
                f"{row['mixed'][-1]:.3f}",
                f"{row['optimum']:.2f}",
            )
        )
    return markdown_table(rows)


def _cards(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        ("learner", "J (std)", "matching", "optimum", "on its own data, last round", "verdict")
    ]
    for card in load(results, _FILE)["cards"]:
        rows.append(
            (
                _LEARNERS.get(card["learner"], card["learner"]),
                f"{card['reached'][0]:.3f} ({card['reached_std'][0]:.3f})",
                f"{card['matching']:.2f}",
                f"{card['optimum']:.2f}",
                f"{card['reached'][-1]:.3f} after {card['rounds']}",
                card["verdict"],
            )
        )
    return markdown_table(rows)


TABLES: dict[str, Callable[[Path], str]] = {
    "upside_down": _recursion,
    "command_conditioned": _cards,
}
