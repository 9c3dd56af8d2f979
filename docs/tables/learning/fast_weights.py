"""Tables of the state estimator: errors by share of lost pictures, searches, networks, cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def _joints(results: Path) -> str:
    data = load(results, _FILE)
    drops = [drop for drop in ("0", "0.6") if drop in data["by_joint_deg"]]
    rows: list[tuple[str, ...]] = [("pictures lost", *data["joints"])]
    for drop in drops:
        errors = (f"{error:.2f}" for error in data["by_joint_deg"][drop])
        rows.append((f"{100 * float(drop):.0f} %", *errors))
    return markdown_table(rows)


def _study(results: Path) -> str:
    rows: list[tuple[str, ...]] = []
    for row in load(results, "learning/fast_weights.json")["rows"]:
        errors = row["rmse_deg"]
        if not rows:
            lost = (f"{100 * float(drop):.0f} % lost" for drop in errors)
            rows.append(("memory", "weights", "seeds", *lost, "sudden moves", "processor s"))
        rows.append(
            (
                _MEMORIES[row["model"]],
                str(row["parameters"]),
                str(row["seeds"]),
                *(_with_range(error) for error in errors.values()),
                f"{row['sudden_rmse_deg']:.2f}",
                f"{row['processor_s']:.0f}",
            )
        )
    return markdown_table(rows)


def _with_range(error: dict[str, float]) -> str:
    if error["least"] == error["most"]:
        return f"{error['mean']:.2f}"
    return f"{error['mean']:.2f} ({error['least']:.2f} to {error['most']:.2f})"


def _searches(results: Path) -> str:
    head = ("policy", "joints, with noise for encoders", "found", "steps on average")
    rows: list[tuple[str, ...]] = [head]
    for policy in ("ppo_kill0", "grid_filter"):
        for name, joints in (
            ("garbage", "as measured"),
            ("estimated", "estimated from cameras"),
        ):
            search = load(results, f"learning/joint_faults/{policy}_{name}.json")["searches"][0]
            found = f"{search['found']} of {len(search['episodes'])}"
            rows.append((f"`{policy}`", joints, found, f"{search['mean_steps_of_finds']:.2f}"))
    return markdown_table(rows)


def _node(results: Path) -> str:
    data = load(results, "learning/state_estimator_node.json")
    return markdown_table(
        [
            ("counted for", f"{data['seconds']:.0f} s"),
            ("estimates a second", f"{data['estimates_hz']:.1f}"),
            (
                "from a picture's arrival to its estimate, 95th percentile",
                f"{data['latency_p95_median_ms']:.0f} ms; "
                f"in the worst second {data['latency_p95_worst_ms']:.0f} ms",
            ),
            ("cores that the node takes", f"{data['cores']:.2f}"),
            ("load of the 2-core machine meanwhile", f"{data['load_average']:.1f}"),
        ]
    )


_MEMORIES = {
    "delta_ode": "fast weights, Delta, ODE",
    "delta_unit": "fast weights, Delta",
    "oja_unit": "fast weights, Oja",
    "hebb_unit": "fast weights, Hebb",
    "delta_cde": "fast weights, Delta, CDE",
    "oja_ode": "fast weights, Oja, ODE",
    "oja_cde": "fast weights, Oja, CDE",
    "hebb_ode": "fast weights, Hebb, ODE",
    "hebb_cde": "fast weights, Hebb, CDE",
    "gru_gaps": "GRU with time gaps",
    "filter": "none but the filter's",
    "nearest_frame": "none: the encoder's guess",
    "gru_d": "GRU whose state decays (GRU-D)",
    "neural_cde": "neural CDE",
    "ridge": "ridge regression on six numbers",
}
_KINDS = {
    "delta_exact": "softmax",
    "delta_unit": "length 1",
    "delta_decaying": "softmax; weights decay",
    "delta_gated": "length 1; weights decay",
}


def _gestures(name: str) -> Callable[[Path], str]:
    """Return the table of a result file; settings are told where each memory chose its own."""

    def table(results: Path) -> str:
        data = load(results, f"learning/{name}.json")
        ahead, chosen = data["better_worse_seeds"], any("tried" in row for row in data["rows"])
        head = ("right, %", "deviation over seeds", "least and most", "Delta better, worse")
        setting = ("updates, rate", "cross-validated, %") if chosen else ()
        rows: list[tuple[str, ...]] = [("memory", *setting, *head, "processor s")]
        for row in data["rows"]:
            each, memory = row["accuracy"], str(row["memory"])
            cells = [
                f"**{row['mean']:.1f}**" if chosen else f"{row['mean']:.1f}",
                f"{row['deviation']:.1f}",
                f"{min(each):.0f}, {max(each):.0f}",
                ", ".join(map(str, ahead[memory])) if memory in ahead else "",
                f"{row['processor_s']:.0f}",
            ]
            rows.append((_MEMORIES[memory], *(_setting(row) if chosen else ()), *cells))
        return markdown_table(rows)

    return table


def _setting(row: dict[str, Any]) -> tuple[str, str]:
    if "tried" not in row:
        return "", ""
    best = max(one["mean"] for one in row["tried"])
    return f"{row['updates']}, {row['learning_rate']}", f"{best:.0f}"


def _architectures(results: Path) -> str:
    data = load(results, "learning/gestures_architectures.json")
    rows = [("keys and queries", "cross-validated, %")]
    rows += [
        (_KINDS[row["memory"]], f"{row['mean']:.0f}")
        for row in data["rows"]
        if row["memory"] in _KINDS
    ]
    return markdown_table(rows)


TABLES: dict[str, Callable[[Path], str]] = {
    "state_estimator": _state_estimator,
    "state_estimator_joints": _joints,
    "fast_weights": _study,
    "state_estimator_searches": _searches,
    "state_estimator_node": _node,
    "gestures": _gestures("gestures"),
    "gestures_common": _gestures("gestures_common"),
    "gestures_architectures": _architectures,
}
