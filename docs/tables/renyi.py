"""Tables of Rényi bounds: fits of a mixture, the published bandit, search by belief."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs.tables.markdown import load, markdown_table
from learning.target_finding.env.options import DEAD

# Fits and regrets computed from the published set-up by other code, beside ours.
_FIT_ANCHORS = {0.05: "-0.80, 1.90", 0.2: "-0.80, 1.90", 0.5: "-2.00, 0.60"}
_REGRET_ANCHORS = {1e-6: 3.83, 0.5: 2.64, 0.99999: 0.03, 2.0: 0.26, 10.0: 0.88, 1e9: 1.81}


def _mixture(results: Path) -> str:
    rows: list[tuple[str, ...]] = [("alpha", "mean", "deviation", "divergence left", "anchor")]
    for row in load(results, "learning/renyi_bounds.json")["mixture"]:
        alpha = row["alpha"]
        rows.append(
            (
                "infinity" if alpha == "inf" else f"{alpha:g}",
                f"{row['mean']:.2f}",
                f"{row['std']:.2f}",
                f"{row['divergence']:.3f}",
                _FIT_ANCHORS.get(alpha, ""),
            )
        )
    return markdown_table(rows)


def _bandit(results: Path) -> str:
    about = load(results, "learning/renyi_bounds.json")
    rows: list[tuple[str, ...]] = [
        (
            "alpha",
            "mean / variance of pay-offs (std over runs)",
            "regret",
            "anchor",
            "pulls of the best arm",
            "variance of q, arms 0, 1, 2",
            "cumulative regret",
        )
    ]
    for row in about["bandit"]:
        rows.append(
            (
                f"{row['alpha']:g}",
                f"{row['achieved']:.2f} ({row['achieved_std']:.2f})",
                f"{row['regret']:.2f}",
                f"{_REGRET_ANCHORS[row['alpha']]:.2f}",
                f"{100 * row['best_arm_share']:.0f} %",
                ", ".join(f"{value:.1f}" for value in row["q_variance"]),
                f"{row['cumulative_regret']:,.0f}",
            )
        )
    free = about["random"]
    achieved, lost = f"{free['achieved']:.2f}", f"{free['cumulative_regret']:,.0f}"
    rows.append(("arms at random", achieved, f"{free['regret']:.2f}", "", "33 %", "", lost))
    return markdown_table(rows)


_SEARCHERS = {
    "bmss": "BMSS, one servo at random",
    "bmms": "BMMS, all servos at random",
    "ppo": "PPO, trained for the described place",
    "grid_filter": "`grid_filter`, information gain",
}


def _belief(place: str) -> Callable[[Path], str]:
    def table(results: Path) -> str:
        rows = load(results, "learning/belief_search.json")["rows"]
        own = [row for row in rows if row["place"] == place]
        random = {row["faults"]: row["mean_steps"] for row in own if row["searcher"] == "bmms"}
        head = [f"dead: {DEAD[faults]}" for faults in DEAD]
        made = [("searcher", *(f"{name}: steps (error)" for name in head), "of BMMS")]
        for searcher in dict.fromkeys(row["searcher"] for row in own):
            cells = {row["faults"]: row for row in own if row["searcher"] == searcher}
            shares = [cells[f]["mean_steps"] / random[f] for f in DEAD]
            made.append(
                (
                    _SEARCHERS.get(searcher, f"`{searcher}`"),
                    *(_belief_cell(cells[f]) for f in DEAD),
                    ", ".join(f"{share:.2f}" for share in shares),
                )
            )
        return markdown_table(made)

    return table


def _belief_cell(row: dict[str, Any]) -> str:
    text = f"{row['mean_steps']:.2f} ({row['standard_error']:.2f})"
    return text if row["found"] == 1.0 else f"{text}, found {100 * row['found']:.1f} %"


TABLES: dict[str, Callable[[Path], str]] = {
    "renyi_mixture": _mixture,
    "renyi_bandit": _bandit,
    "belief_described": _belief("described"),
    "belief_anywhere": _belief("anywhere"),
}
