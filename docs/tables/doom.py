"""Tables of navigation in ViZDoom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs.tables.markdown import load, markdown_table
from sim.doom.textures import TRAINING, UNSEEN

_TEXTURES = {"training": "known", "held_out": "held out", "unseen": "in no set"}


def _doom(results: Path) -> str:
    """Return the table of ViZDoom with all views given: planner, soft maps, A*."""
    rows: list[tuple[str, ...]] = [
        (
            "mazes",
            "textures",
            "steps",
            "starts",
            "mapper + DT-VIN",
            "end to end",
            "mapper + A*",
            "paper",
        )
    ]
    for size in (15, 35):
        data = load(results, f"doom/maze_{size}.json")
        given = [row for row in data["surveyed"] if row["views_given"] == 1]
        paper = [f"{one['mean']:.2f} ({one['std']:.2f}) %" for one in data.get("paper_success", [])]
        for textures, name in _TEXTURES.items():
            ways = {row["planner"]: row["bins"] for row in given if row["textures"] == textures}
            three = zip(ways[data["planner"]], ways["end_to_end"], ways["a_star"], strict=True)
            for number, bins in enumerate(three):
                is_papers = paper and textures == "training"
                rows.append(
                    (
                        f"{size} x {size}",
                        name,
                        f"{bins[0]['lo']} to {bins[0]['hi']}",
                        f"{bins[0]['starts']:,}",
                        *(f"{one['success']:.2f} %" for one in bins),
                        paper[number] if is_papers else "",
                    )
                )
    return markdown_table(rows)


def _doom_textures(results: Path) -> str:
    """Return the table of wrong cells by texture set, with all views given."""
    shares: dict[str, dict[int, float]] = {}
    for size in (15, 35):
        rows = load(results, f"doom/maze_{size}.json")["surveyed"]
        for row in rows:
            if row["views_given"] == 1 and row["planner"] == "a_star":
                for name, share in row["wrong_cells_by_set"].items():
                    shares.setdefault(name, {})[size] = share
    known = [
        [shares[name][size] for name in TRAINING if size in shares.get(name, {})]
        for size in (15, 35)
    ]
    table: list[tuple[str, ...]] = [("textures", "15 x 15", "35 x 35")]
    table.append(("sets for training, mean", *(f"{sum(own) / len(own):.4f}" for own in known)))
    for name, by_size in shares.items():
        if name in TRAINING:
            continue
        cells = [f"{by_size[n]:.4f}" if n in by_size else "" for n in (15, 35)]
        table.append(("in no set" if name == UNSEEN else f"`{name}`", *cells))
    return markdown_table(table)


def _doom_explored(results: Path) -> str:
    """Return the table of exploring ViZDoom: goals reached, path over the shortest path."""
    agents = {"dt_vin": "DT-VIN", "a_star": "A*", "random_walk": "random walk"}
    rows: list[tuple[str, ...]] = [
        (
            "mazes",
            "textures",
            "agent",
            "frontiers",
            "goals reached",
            "way over shortest",
            "median",
            "looks",
            "mazes tried",
        )
    ]
    for size in (15, 35):
        for row in load(results, f"doom/maze_{size}.json")["explored"]:
            ratio, median = row["path_over_optimum"], row["path_over_optimum_median"]
            frontiers = row.get("frontiers", "optimistic")  # files before there was a choice
            is_random = row["agent"] == "random_walk"
            rows.append(
                (
                    f"{size} x {size}",
                    _TEXTURES[row["textures"]],
                    agents.get(row["agent"], row["agent"]),
                    "" if is_random else frontiers,
                    f"{row['reached']:.1f} %",
                    "" if ratio is None else f"{ratio:.2f}",
                    "" if median is None else f"{median:.2f}",
                    f"{row['looks']:.0f}",
                    str(row["mazes"]),
                )
            )
    return markdown_table(rows)


def _doom_joint(results: Path) -> str:
    """Return the table of joint training: success by length of the way, by textures and views."""
    found: dict[tuple[str, str, str], dict[tuple[float, bool], list[str]]] = {}
    for row in load(results, "doom/joint.json")["rows"]:
        key = _joint_training(row), _TEXTURES[row["textures"]]
        minutes = f"{row['training_cpu_seconds'] / 60:.1f} min"
        rates = [f"{one['success']:.1f}" for one in row["bins"]]
        found.setdefault((*key, minutes), {})[row["views_given"], row["blank"]] = rates
    spans = [f"{one['lo']} to {one['hi']} steps" for one in row["bins"]]
    rows: list[tuple[str, ...]] = [
        ("trained with", "textures", *spans, "80 % of the views", "blank views", "processor time")
    ]
    for (training, textures, minutes), by_case in found.items():
        others = [f"{' / '.join(by_case[case])} %" for case in ((0.8, False), (1.0, True))]
        whole = [f"{rate} %" for rate in by_case[1.0, False]]
        rows.append((training, textures, *whole, *others, minutes))
    return markdown_table(rows)


def _doom_joint_fresh(results: Path) -> str:
    """Return the table of the longest joint trainings on many mazes."""
    rows: list[tuple[str, ...]] = []
    for row in load(results, "doom/joint_fresh.json")["rows"]:
        if row["views_given"] < 1 or row["blank"]:
            continue
        rates = [f"{one['success']:.1f} %" for one in row["bins"]]
        rows.append((str(row["training"]["seed"]), _TEXTURES[row["textures"]], *rates))
    spans = [
        f"{one['lo']} to {one['hi']} steps ({one['starts']:,} starts, {one['mazes']} mazes)"
        for one in row["bins"]
    ]
    return markdown_table([("seed", "textures", *spans), *rows])


def _joint_training(row: dict[str, Any]) -> str:
    """Return what a mapper and its planner were taught, in words."""
    training = row["training"]
    taught = "map and actions" if training["map_loss"] else "actions alone"
    epochs = f"{training['epochs']} epochs{', resumed' * ('--resume' in row['trained_with'])}"
    sharp = training.get("map_sharpness", 1.0)
    more = f", map {sharp:g} times as sharp" if sharp != 1 else ""
    if training.get("textures") == "any":
        more += ", textures drawn, too"
    return f"{taught}, {training['mazes']:,} mazes, {epochs}{more}, seed {training['seed']}"


def _doom_sight(results: Path) -> str:
    """Return the table of exploring with perfect sight: path over the shortest path."""
    data = load(results, "doom/sight.json")
    rows: list[tuple[str, ...]] = [
        ("cells in sight", "frontiers", "way over shortest", "median", "looks", "mazes")
    ]
    for row in data["rows"]:
        rows.append(
            (
                str(row["sight_cells"]),
                row["frontiers"],
                f"{row['path_over_optimum']:.2f}",
                f"{row['path_over_optimum_median']:.2f}",
                f"{row['looks']:.0f}",
                str(row["mazes"]),
            )
        )
    return markdown_table(rows)


TABLES: dict[str, Callable[[Path], str]] = {
    "doom": _doom,
    "doom_textures": _doom_textures,
    "doom_explored": _doom_explored,
    "doom_joint": _doom_joint,
    "doom_joint_fresh": _doom_joint_fresh,
    "doom_sight": _doom_sight,
}
