"""Tables of Rényi bounds: fits of a mixture, and the published bandit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.tables.markdown import load, markdown_table

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


TABLES: dict[str, Callable[[Path], str]] = {"renyi_mixture": _mixture, "renyi_bandit": _bandit}
