"""Table of the state estimator: errors by share of lost pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from docs.tables.markdown import load, markdown_table

_FILE = "learning/state_estimator.json"


def _state_estimator(results: Path) -> str:
    data = load(results, _FILE)
    drops = list(data["rmse_deg"])
    rows: list[tuple[str, ...]] = [
        ("pictures lost", *(f"{100 * float(drop):.0f} %" for drop in drops))
    ]
    for title, key in (
        ("newest picture of each camera, no memory: error, degrees", "nearest_frame_rmse_deg"),
        ("shipped estimator (Delta, ODE): error, degrees", "rmse_deg"),
        ("its median, degrees", "median_deg"),
    ):
        rows.append((title, *(f"{data[key][drop]:.2f}" for drop in drops)))
    within = (f"{100 * data['within_2_std'][drop]:.0f} %" for drop in drops)
    rows.append(("truth within 2 standard deviations", *within))
    sudden = [f"{data['sudden_rmse_deg']:.1f}", *[""] * (len(drops) - 1)]
    rows.append(("moves at the servos' limit: error, degrees", *sudden))
    return markdown_table(rows)


TABLES: dict[str, Callable[[Path], str]] = {"state_estimator": _state_estimator}
