"""Tables of the weight space of recurrent networks: encoders on the zoo, the limb's archive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from docs.tables.markdown import load, markdown_table

_ZOO, _ARCHIVE = "learning/weight_space.json", "learning/archive.json"
_ENCODERS = {
    "flat": "flat, with permutations",
    "statistics": "statistics",
    "equivariant": "permutation-equivariant",
    "probing": "probing, constant questions",
    "interactive_probing": "probing, interactive",
}
_FORMS = {"interactive": "interactive", "constant": "constant"}


def _percent(values: Sequence[float]) -> str:
    return ", ".join(f"{100 * value:.0f}" for value in values)


def _zoo(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        (
            "encoder",
            "numbers",
            "language, each seed, %",
            "mean",
            "snapshot",
            "accuracy, explained variance",
            "emulation, total variation",
            "change by permutation",
        )
    ]
    for row in load(results, _ZOO)["rows"]:
        rows.append(
            (
                _ENCODERS.get(row["encoder"], row["encoder"]),
                f"{row['parameters']:,}",
                _percent(row["task_accuracy"]),
                f"**{100 * row['task_accuracy_mean']:.1f} %**",
                f"{100 * row['snapshot_accuracy_mean']:.0f} %",
                f"{row['accuracy_explained_mean']:.2f}",
                f"{row['total_variation_mean']:.3f}",
                f"{max(row['permutation_change']):.0e}",
            )
        )
    return markdown_table(rows)


def _archive(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        (
            "questions",
            "no camera dead",
            "1 of 4",
            "1 or 2 of 4",
            "mean of the three, each fold",
            "able policies",
            "cost of dead cameras",
            "mean error, steps",
        )
    ]
    for form, figures in load(results, _ARCHIVE)["encoders"].items():
        own, folds = figures["all"], figures["folds"]
        each = ", ".join(f"{fold['mean']:.2f}" for fold in folds)
        rows.append(
            (
                _FORMS.get(form, form),
                *(f"{own[faults]:.2f}" for faults in ("kill0", "kill1", "kill12")),
                f"**{own['mean']:.2f}** ({each})",
                f"{own['able']:.2f}",
                f"{own['tolerance']:.2f}",
                f"{own['mean_error_steps']:.2f}, of the mean {own['error_of_the_mean_steps']:.2f}",
            )
        )
    return markdown_table(rows)


def _cost(results: Path) -> str:
    data = load(results, "learning/archive_cost.json")
    rows = [("episodes with and without dead cameras", "from other starts", "from the same starts")]
    rows += [
        (f"{row['episodes']} each", f"{row['apart']:.2f}", f"{row['paired']:.2f}")
        for row in data["reliability"]
    ]
    return markdown_table(rows)


def _predicted_cost(results: Path) -> str:
    data = load(results, "learning/archive_cost.json")
    told = data["predicted"]
    rows = [
        ("prediction that learned of", f"rank correlation, {data['able_held_out']} able policies"),
        ("the simulation, four episodes for each setting", f"{told['steps']:.2f}"),
        ("the nearest-pose copy", f"**{told['copy_steps']:.2f}**"),
    ]
    return markdown_table(rows)


TABLES: dict[str, Callable[[Path], str]] = {
    "weight_space": _zoo,
    "policy_archive": _archive,
    "archive_cost": _cost,
    "archive_cost_predicted": _predicted_cost,
}
