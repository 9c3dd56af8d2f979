"""Tables of policy search: benchmarks beside the papers, the limb beside PPO, four rooms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs.tables.learning import weight_space
from docs.tables.markdown import load, markdown_table
from learning.target_finding.env.options import DEAD

# RMSVE and its deviation at some iterations, computed from the published set-up by other code.
_ANCHORS = {
    0: (0.4779, 0.0204),
    1: (0.3643, 0.0193),
    5: (0.1387, 0.0115),
    10: (0.0574, 0.0075),
    20: (0.0143, 0.0043),
    40: (0.0014, 0.0004),
}

_LEARNERS = {
    "pgpe": "PGPE, linear, stochastic",
    "ppois": "P-POIS, linear",
    "apois": "A-POIS, steps weighed, linear",
    "cem": "CEM, linear",
    "pssvf": "PSSVF, linear",
    "random_search": "random search, linear",
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


def _limb(results: Path) -> str:
    """Return the table of learners on the limb, the linear PPO at equal steps below them."""
    rows: list[tuple[str, ...]] = [
        (
            "learner",
            "dead cameras",
            "trainings",
            "fresh episodes",
            "found",
            "trained on",
            "episodes until 50 of training are below 4 steps",
        )
    ]
    for row in load(results, "learning/policy_search_limb.json")["rows"]:
        if row.get("without") or row.get("where", "simulation") != "simulation":
            continue
        rows.append(
            (
                f"{_LEARNERS[row['learner']]}, {row['parameters']} numbers",
                DEAD[row["faults"]],
                f"{len(row['seeds'])}",
                ", ".join(f"{steps:.2f}" for steps in row["each"]),
                f"{100 * row['found']:.1f} %",
                f"{row['steps']:,} steps, {row['training_episodes']:,} episodes",
                ", ".join("never" if at is None else f"{at}" for at in row["episodes_until_short"]),
            )
        )
    for row in load(results, "target_finding/study.json")["rows"]:
        if row["method"] == "ppo":
            rows.append(
                (
                    row["told"],
                    DEAD[row["faults"]],
                    f"{len(row['seeds'])}",
                    f"{row['mean_steps']:.2f} ({row['std_steps']:.2f})",
                    f"{100 * row['found']:.1f} %",
                    "3,600 steps",
                    "",
                )
            )
    return markdown_table(rows)


def _limb_ablations(results: Path) -> str:
    """Return means in the copy of A-POIS with each option off, beside those with all of them."""
    rows: list[tuple[str, ...]] = [("options", *DEAD.values(), "trainings of each")]
    held = load(results, "learning/policy_search_limb.json")["rows"]
    own = [row for row in held if row["learner"] == "apois" and row.get("where") == "copy"]
    for without in dict.fromkeys(row["without"] for row in own):
        steps = {row["faults"]: row for row in own if row["without"] == without}
        trainings = {str(len(row["seeds"])) for row in steps.values()}
        rows.append(
            (
                f"`{without}` off" if without else "all",
                *(f"{row['mean_steps']:.2f} ({row['std_steps']:.2f})" for row in steps.values()),
                " or ".join(sorted(trainings)),
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


def _fingerprints(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        ("policy", "predicted steps", "steps in the simulation", "most alike", "distance")
    ]
    data = load(results, "learning/fingerprints.json")
    names = [row["policy"] for row in data["policies"]]
    for number, row in enumerate(data["policies"]):
        apart = data["distances"][number]
        nearest = min((i for i in range(len(names)) if i != number), key=lambda i: apart[i])
        rows.append(
            (
                f"`{row['policy']}`",
                f"{row['predicted_steps']:.2f}",
                f"{row['measured_steps']:.2f}",
                f"`{names[nearest]}`",
                f"{apart[nearest]:.2f}",
            )
        )
    return markdown_table(rows)


def _clones(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        ("states", "kind", "steps of the clones (std)", "teachers", "rank correlation (std)")
    ]
    for row in load(results, "learning/fingerprints.json")["clones"]:
        rows.append(
            (
                f"{row['states']}",
                row["kind"],
                f"{row['clone_steps']:.2f} ({row['clone_std']:.2f})",
                f"{row['teacher_steps']:.2f}",
                f"{row['rank_correlation']:.2f} ({row['rank_correlation_std']:.2f})",
            )
        )
    return markdown_table(rows)


def _command_curves(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        ("learner, task", "seed", "rank correlation", "mean error", "return at the last command")
    ]
    for row in load(results, "learning/policy_search.json")["rows"]:
        for seed, curve, correlation, error in zip(
            row["seeds"] if "command_curves" in row else [],
            row.get("command_curves", []),
            row.get("command_rank_correlations", []),
            row.get("command_errors", []),
            strict=True,
        ):
            asked, obtained = curve[-1]
            rows.append(
                (
                    row["title"],
                    f"{seed}",
                    f"{correlation:.2f}",
                    f"{error:.1f}",
                    f"{obtained:.1f} of {asked:g}",
                )
            )
    return markdown_table(rows)


def _step_generator(results: Path) -> str:
    data = load(results, "learning/step_generator.json")
    commands = data["commands"]
    rows: list[tuple[str, ...]] = [
        ("seed", "dead cameras, where", *(f"{at}" for at in commands), "rank correlation")
    ]
    for made in data["seeds"]:
        told = [(f"{DEAD[row['faults']]}, copy", row) for row in made["copy"]]
        if made["measured"]:
            row = made["measured"]
            where = f"simulation, {row['episodes']} episodes"
            told.append((f"{DEAD[row['faults']]}, {where}", row))
        for name, row in told:
            steps = (f"{at:.1f}" for at in row["obtained"])
            rows.append((f"{made['seed']}", name, *steps, f"{row['rank_correlation']:.2f}"))
    return markdown_table(rows)


def _compute_classes(results: Path) -> str:
    studies = load(results, "learning/compute_classes.json")["studies"]
    each = [at for study in studies for row in study["rows"] for at in row["classes"]]
    classes = sorted({at["seconds"] for at in each})
    rows: list[tuple[str, ...]] = [
        (
            *("task", "method", "trainings", "steps/s"),
            *(f"{seconds:g} s" for seconds in classes),
            "used in the last, s",
        )
    ]
    for study in studies:
        for row in study["rows"]:
            cells = {at["seconds"]: _class_cell(at, row["trainings"]) for at in row["classes"]}
            about = (study["title"], row["method"], str(row["trainings"]))
            scores = (cells.get(seconds, "") for seconds in classes)
            used = f"{row['classes'][-1]['spent_s']:.0f}"
            rows.append((*about, f"{row['steps_per_s']:,.0f}", *scores, used))
    return markdown_table(rows)


def _class_cell(at: dict[str, Any], trainings: int) -> str:
    """Return score, interval, steps; that the trainings had stopped, where they had."""
    if at["stopped"] == trainings:
        return f"{at['iqm']:.1f}, stopped"
    stopped = f", {at['stopped']} stopped" if at["stopped"] else ""
    # One training has no interval.
    ends = f" [{at['low']:.2f}, {at['high']:.2f}]" if trainings > 1 else ""
    return f"{at['iqm']:.2f}{ends} by {at['steps']:,} steps{stopped}"


def _crossings(results: Path) -> str:
    """Return where trends meet beyond a tenth of the shortest class, up to a day."""
    rows: list[tuple[str, ...]] = [("task", "trends of", "meet at [95 %], s")]
    for study in load(results, "learning/compute_classes.json")["studies"]:
        first = min(at["seconds"] for row in study["rows"] for at in row["classes"])
        trainings = {row["method"]: row["trainings"] for row in study["rows"]}
        for met in study["crossings"]:
            if first / 10 <= met["seconds"] <= 86_400:
                names = f"{met['one']} and {met['other']}"
                fewest = min(trainings[met["one"]], trainings[met["other"]])
                rows.append((study["title"], names, f"{met['seconds']:,.1f} {_ends(met, fewest)}"))
    return markdown_table(rows)


def _ends(met: dict[str, Any], trainings: int) -> str:
    """Return the interval of a crossing; one training has none."""
    if trainings < 2:
        return "(one training)"
    low, high = (
        "beyond a year" if end is None else f"{end:,.1f}" for end in (met["low"], met["high"])
    )
    return f"[{low}, {high}]"


def _speed(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        ("learner", "processor time of a million steps", "by the clock", "processor time, of ARS's")
    ]
    for row in load(results, "learning/policy_search_speed.json")["rows"]:
        name = "ARS (sb3-contrib)" if row["learner"] == "ars" else row["learner"]
        figures = f"{row['processor_s']:.0f} s", f"{row['wall_s']:.0f} s", f"{row['ratio']:.2f}"
        rows.append((name, *figures))
    return markdown_table(rows)


def _zero_shot(results: Path) -> str:
    head = "steps", "best policy tried", "learner's policy", "fresh, median", "fresh, best"
    rows: list[tuple[str, ...]] = [(*head, "trainings whose median, best fresh one is above")]
    for row in load(results, "learning/zero_shot.json")["rows"]:
        figures = (row[key] for key in ("best_tried", "policy", "fresh_median", "fresh_best"))
        above = row["median_above_best_tried"], row["best_above_best_tried"]
        rows.append(
            (
                f"{row['steps']:,}",
                *(f"{value:.0f}" for value in figures),
                f"{above[0]}, {above[1]} of {row['trainings']}",
            )
        )
    return markdown_table(rows)


def _clone_study(results: Path) -> str:
    head = "teachers", "states", "kind", "teachers' returns", "clones', mean of each teacher's"
    rows: list[tuple[str, ...]] = [(*head, "share of the teacher's (std)")]
    for row in load(results, "learning/clones.json")["rows"]:
        rows.append(
            (
                row["title"],
                f"{row['states']}",
                row["kind"],
                ", ".join(f"{value:,.0f}" for value in row["teachers"]),
                ", ".join(f"{value:,.0f}" for value in row["clones"]),
                f"{100 * row['share']:.0f} % ({100 * row['share_std']:.0f})",
            )
        )
    return markdown_table(rows)


TABLES: dict[str, Callable[[Path], str]] = {
    "policy_search": _benchmarks,
    "policy_search_limb": _limb,
    "policy_search_limb_ablations": _limb_ablations,
    "four_rooms": _four_rooms,
    "fingerprints": _fingerprints,
    "policy_clones": _clones,
    "command_curves": _command_curves,
    "step_generator": _step_generator,
    "compute_classes": _compute_classes,
    "compute_class_crossings": _crossings,
    "zero_shot": _zero_shot,
    "clone_study": _clone_study,
    "policy_search_speed": _speed,
    **weight_space.TABLES,
}
