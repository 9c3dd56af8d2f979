"""Tables of the planners: networks by maze size, starts, ablations, transfer, speed."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from docs.tables.markdown import load, markdown_table, mean_std_percent

# Success rates of DT-VIN, Table 7 of Wang et al., ICML 2025; there is no table for 15 x 15.
_PAPER_DT_VIN = {35: (100.00, 99.99, 99.77), 100: (99.98, 99.56, 88.65)}

# The same network with other moves at 35 x 35, Tables 9 and 8.
_PAPER_MOVES = {"moore_35": (100.0, 98.9, 96.7), "drive_35": (100.00, 100.00, 99.99)}
_MOVE_NAMES = {"moore": "eight moves", "diff_drive": "differential drive"}

_NETWORK_NAMES = {
    "dt_vin": "DT-VIN",
    "vin": "VIN",
    "highway_vin": "Highway VIN, one flat gate",  # all rows of it are from before its block
    "gppn": "GPPN",
}


def _planners(results: Path) -> str:
    """Return the table of DT-VIN by maze size, beside the paper."""
    rows: list[tuple[str, ...]] = [
        ("mazes", "steps", "starts, mazes", "success", "optimal", "paper", "processor time")
    ]
    for size in (15, 35, 100):
        data = load(results, f"planners/maze_{size}.json")
        case = next(row for row in data["summary"] if row["case"] == "dt_vin")
        paper = _PAPER_DT_VIN.get(size)
        for index, bin_ in enumerate(case["bins"]):
            rows.append(
                (
                    f"{size} x {size}",
                    f"{bin_['lo']} to {bin_['hi']}",
                    f"{bin_['starts']:,}, {bin_['mazes']}",
                    mean_std_percent(bin_["success"]),
                    mean_std_percent(bin_["optimal"]),
                    f"{paper[index]:.2f} %" if paper else "",
                    f"{case['training_cpu_seconds']['mean']:.0f} s",
                )
            )
    return markdown_table(rows)


def _networks(results: Path) -> str:
    """Return the table of all networks at 15 x 15, by start."""
    data = load(results, "planners/maze_15.json")
    about = {run["case"]: run for run in data["runs"]}
    spans = [f"{bin_['lo']} to {bin_['hi']}" for bin_ in data["summary"][0]["bins"]]
    rows: list[tuple[str, ...]] = [("network", "start", *spans, "seeds", "processor time")]
    for case in data["summary"]:
        run = about[case["case"]]
        rows.append(
            (
                _NETWORK_NAMES[run["model"]],
                run["about"],
                *(mean_std_percent(bin_["success"]) for bin_ in case["bins"]),
                str(len(case["seeds"])),
                f"{case['training_cpu_seconds']['mean']:.0f} s",
            )
        )
    return markdown_table(rows)


def _plain_35(results: Path) -> str:
    """Return the table of DT-VIN at 35 x 35 by start, seed by seed."""
    data = load(results, "planners/maze_35.json")
    spans = [f"{bin_['lo']} to {bin_['hi']}" for bin_ in data["summary"][0]["bins"]]
    rows: list[tuple[str, ...]] = [("start", "seed", *spans, "updates", "processor time")]
    for run in data["runs"]:
        bins = run["tests"]["stratified"]["bins"]
        rows.append(
            (
                run["about"],
                str(run["seed"]),
                *(f"{bin_['success']:.2f} %" for bin_ in bins),
                f"{run['updates']:,}",
                f"{run['training_cpu_seconds']:.0f} s",
            )
        )
    return markdown_table(rows)


def _ablations(results: Path) -> str:
    """Return the table of DT-VIN at 15 x 15 with one thing changed."""
    data = load(results, "planners/maze_15_ablations.json")
    about = {run["case"]: run["about"] for run in data["runs"]}
    spans = [f"{bin_['lo']} to {bin_['hi']}" for bin_ in data["summary"][0]["bins"]]
    rows: list[tuple[str, ...]] = [("changed", *spans, "processor time")]
    for case in data["summary"]:
        rows.append(
            (
                about[case["case"]],
                *(mean_std_percent(bin_["success"]) for bin_ in case["bins"]),
                f"{case['training_cpu_seconds']['mean']:.0f} s",
            )
        )
    return markdown_table(rows)


def _transfer(results: Path) -> str:
    """Return the table of DT-VIN of 100 x 100 on larger mazes."""
    data = load(results, "planners/transfer.json")
    rows: list[tuple[str, ...]] = [
        ("mazes", "sharpness", "steps", "starts, mazes", "success", "optimal", "layers", "per maze")
    ]
    for row in data["sizes"]:
        for bin_ in row["bins"]:
            rows.append(
                (
                    f"{row['size']} x {row['size']}",
                    f"{row['sharpness']:g}",
                    f"{bin_['lo']:,} to {bin_['hi']:,}",
                    f"{bin_['starts']:,}, {bin_['mazes']}",
                    f"{bin_['success']:.2f} %",
                    f"{bin_['optimal']:.2f} %",
                    f"{row['depth']:,}",
                    f"{row['cpu_seconds'] / row['mazes']:.1f} s",
                )
            )
    return markdown_table(rows)


def _scale(results: Path) -> str:
    """Return the table of weights of 15 x 15 on larger mazes and other kinds of maps."""
    data = load(results, "planners/scale.json")
    groups: dict[tuple[str, str, bool], list[dict[str, Any]]] = {}
    for row in data["rows"]:
        key = (row["network"], row["suite"], row["sweep"])
        groups.setdefault(key, []).append(row)
    rows: list[tuple[str, ...]] = [
        ("network", "maps", "steps", "starts, maps", "success", "optimal", "layers", "per map")
    ]
    for (name, _, sweep), group in groups.items():
        seeds = f", {len(group)} seeds" if len(group) > 1 else ""
        first, maps = group[0], f"{group[0]['size']} x {group[0]['size']}"
        maps += "" if first["suite"].isdigit() else f", {first['suite'].replace('_', ' ')}"
        seconds = sum(row["cpu_seconds"] for row in group) / sum(row["mazes"] for row in group)
        how = "" if first["closed_form"] else ", swept" if sweep else ""
        for index, bin_ in enumerate(first["bins"]):
            if not bin_["starts"]:
                continue
            parts = [row["bins"][index] for row in group]
            span = f"{bin_['lo']:,} to {min(bin_['hi'], first['longest_path']):,}"
            rows.append(
                (
                    f"{name}{seeds}{how}",
                    maps,
                    span,
                    f"{bin_['starts']:,}, {bin_['mazes']}",
                    _worst([part["success"] for part in parts]),
                    _worst([part["optimal"] for part in parts]),
                    f"{first['depth']:,}",
                    f"{1000 * seconds:,.1f} ms",
                )
            )
    return markdown_table(rows)


def _moves(results: Path) -> str:
    """Return the table of eight moves and of a differential drive, beside the paper."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in load(results, "planners/moves.json")["rows"]:
        groups.setdefault(row["suite"], []).append(row)
    rows: list[tuple[str, ...]] = [
        ("moves", "mazes", "steps", "starts, mazes", "success", "optimal", "paper", "layers")
    ]
    for suite, group in groups.items():
        first, paper = group[0], _PAPER_MOVES.get(suite)
        for index, bin_ in enumerate(first["bins"]):
            parts = [row["bins"][index] for row in group]
            rows.append(
                (
                    _MOVE_NAMES[first["moves"]],
                    f"{first['size']} x {first['size']}",
                    f"{bin_['lo']:,} to {min(bin_['hi'], first['longest_path']):,}",
                    f"{bin_['starts']:,}, {bin_['mazes']}",
                    _worst([part["success"] for part in parts]),
                    _worst([part["optimal"] for part in parts]),
                    f"{paper[index]:.2f} %" if paper else "",
                    f"{first['depth']:,}",
                )
            )
    return markdown_table(rows)


def _closed_form(results: Path) -> str:
    """Return the table of the closed form's speed beside breadth-first search."""
    rows: list[tuple[str, ...]] = [("map x layers, path", "closed form", "breadth-first search")]
    for row in load(results, "planners/closed_form.json")["rows"]:
        rows.append(
            (
                f"{row['size']} x {row['size']} x {row['depth']:,}, {row['length']:,} steps",
                f"{row['closed_form_ms']:.2f} ms",
                f"{row['bfs_ms']:.3f} ms",
            )
        )
    return markdown_table(rows)


def _gates(results: Path) -> str:
    """Return the table of gradients through VIN and Highway VIN before any training."""
    rows: list[tuple[str, ...]] = [
        ("start", "layers", "VIN", "Highway VIN", "filter closed", "weight of the last layer")
    ]
    found = load(results, "planners/gates.json")["rows"]
    for vin, highway in zip(found[::2], found[1::2], strict=True):
        rows.append(
            (
                vin["init"],
                str(vin["depth"]),
                f"{vin['gradient_ratio']:.2g}",
                f"{highway['gradient_ratio']:.2g}",
                f"{100 * highway['gate_closed']:.0f} %",
                f"{highway['gate_last_weight']:.2f}",
            )
        )
    return markdown_table(rows)


def _by_case(results: Path, study: str, head: str) -> str:
    """Return the table of a study, a row for each case."""
    data = load(results, f"planners/maze_{study}.json")
    about = {run["case"]: run["about"] for run in data["runs"]}
    spans = [f"{bin_['lo']} to {bin_['hi']}" for bin_ in data["summary"][0]["bins"]]
    rows: list[tuple[str, ...]] = [(head, *spans, "seeds", "processor time")]
    for case in data["summary"]:
        rows.append(
            (
                about[case["case"]],
                *(mean_std_percent(bin_["success"]) for bin_ in case["bins"]),
                str(len(case["seeds"])),
                f"{case['training_cpu_seconds']['mean']:.0f} s",
            )
        )
    return markdown_table(rows)


def _noise(results: Path) -> str:
    """Return the table of noisy mazes, beside exact search on the map that is cut."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in load(results, "planners/noise.json")["rows"]:
        groups.setdefault((row["suite"], row["network"]), []).append(row)
    rows: list[tuple[str, ...]] = [
        ("mazes, variance", "planner", "steps", "starts, mazes", "success", "optimal")
    ]
    for (suite, network), group in groups.items():
        first = group[0]
        for index, bin_ in enumerate(first["bins"]):
            parts = [row["bins"][index] for row in group]
            means = [sum(one[key] for one in parts) / len(parts) for key in ("success", "optimal")]
            seeds = f", {len(group)} seeds" if len(group) > 1 else ""
            rows.append(
                (
                    f"{first['size']} x {first['size']}, {suite.rpartition('_')[2]}",
                    f"{network}{seeds}",
                    f"{bin_['lo']:,} to {min(bin_['hi'], first['longest_path']):,}",
                    f"{bin_['starts']:,}, {bin_['mazes']}",
                    *(f"{math.floor(100 * mean) / 100:.2f} %" for mean in means),
                )
            )
    return markdown_table(rows)


def _terrain(results: Path) -> str:
    """Return the table of planning on pictures of terrain: means and deviations of the seeds."""
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in load(results, "planners/terrain.json")["rows"]:
        groups.setdefault((row["size"], row["planner"]), []).append(row)
    rows: list[tuple[str, ...]] = [("maps", "planner", "near", "middle", "far")]
    for (size, planner), group in groups.items():
        cells = []
        for parts in zip(*(row["bins"] for row in group), strict=True):
            shares = [one["success"] for one in parts]
            mean = sum(shares) / len(shares)
            spread = math.sqrt(sum((one - mean) ** 2 for one in shares) / max(1, len(shares) - 1))
            span = f"{parts[0]['lo']} to {parts[0]['hi']}"
            cells.append(f"{mean:.2f} ± {spread:.2f} % ({span})")
        rows.append((f"{size} x {size}", planner, *cells))
    return markdown_table(rows)


def _worst(shares: list[float]) -> str:
    """Return the lowest of some shares, in a way that never rounds up to 100 %."""
    low = math.floor(min(shares) * 100) / 100
    return f"{low:.2f} %" if min(shares) == max(shares) else f"{low:.2f} % (worst seed)"


def _sparse(results: Path) -> str:
    """Return the table of the sparse DT-VIN with one ingredient exchanged."""
    data = load(results, "planners/sparse_15.json")
    scaled = load(results, "planners/scale_ablations.json")["rows"]
    suites = list(dict.fromkeys(row["suite"] for row in scaled))
    about = {run["case"]: run["about"] for run in data["runs"]}
    seeds = {
        name: len({row["weights"] for row in scaled if row["network"] == name})
        for name in {row["network"] for row in scaled}
    }
    head = [f"{name} x {name}" if name.isdigit() else name for name in suites]
    rows: list[tuple[str, ...]] = [("changed", "seeds", *head, "processor time")]
    for case in data["summary"]:
        cells = []
        for suite in suites:
            found = [
                bin_["success"]
                for row in scaled
                if row["network"] == case["case"] and row["suite"] == suite
                for bin_ in row["bins"]
                if bin_["starts"]
            ]
            cells.append(f"{math.floor(min(found) * 100) / 100:.2f} %" if found else "")
        seconds = f"{case['training_cpu_seconds']['mean']:.0f} s"
        count = str(seeds.get(case["case"], 0))
        rows.append((about[case["case"]], count, *cells, seconds))
    return markdown_table(rows)


def _unlike(results: Path) -> str:
    """Return the table of how path length tells failures of soft weights from successes."""
    data = load(results, "planners/unlike.json")
    rows: list[tuple[str, ...]] = [("shortest path", "starts", "fail")]
    for name, auc in data["length_auc"].items():
        counted = [row for row in data["rows"] if row["network"] == name]
        edges = (0, 30, 60, 90, 120, 180, 300, 600, 10**9)
        for low, high in pairwise(edges):
            parts = [one for row in counted for one in row["by_length"] if low < one[0] <= high]
            starts = sum(part[1] for part in parts)
            if starts:
                failures = 100 * sum(part[2] for part in parts) / starts
                span = f"{low + 1} to {high} steps" if high < 10**9 else f"above {low} steps"
                rows.append((span, f"{starts:,}", f"{failures:.2f} %"))
        rows.append((f"AUC of the length, {name}", "", f"{auc:.3f}"))
    return markdown_table(rows)


def _compare(results: Path) -> str:
    """Return the table of what people plan on grids with, beside ours."""
    rows: list[tuple[str, ...]] = [
        ("maze, path", "method", "answers for", "per question", "per map", "steps", "memory")
    ]
    for row in load(results, "planners/compare.json")["rows"]:
        rows.append(
            (
                f"{row['size']} x {row['size']}, {row['shortest']:,} steps",
                row["method"],
                row["answers_for"],
                f"{row['answer_ms']:,.2f} ms",
                f"{row['map_ms']:,.2f} ms" if row["map_ms"] >= 0.005 else "",
                f"{row['steps']:,}" if row["steps"] >= 0 else "does not arrive",
                "" if row["memory_mb"] is None else f"{row['memory_mb']:.0f} MB",
            )
        )
    return markdown_table(rows)


def _operator(results: Path) -> str:
    """Return the table of the operator's speed beside PyTorch, and of search beside DT-VIN."""
    data = load(results, "planners/bench.json")
    rows: list[tuple[str, ...]] = [
        ("map x layers", "forward", "PyTorch", "training step", "PyTorch", "BFS", "A*", "DT-VIN")
    ]
    for one, search in zip(data["operator"], data["planners"], strict=True):
        rows.append(
            (
                f"{one['size']} x {one['size']} x {one['depth']}",
                f"{one['cpu_ms']:.2f} ms",
                f"{one['ratio']:.0f} times as long",
                f"{one['train_ms']:.1f} ms",
                f"{one['train_ratio']:.0f} times as long",
                f"{search['bfs_ms']:.3f} ms",
                f"{search['a_star_ms']:.3f} ms",
                f"{search['dt_vin_ms']:.1f} ms",
            )
        )
    return markdown_table(rows)


TABLES: dict[str, Callable[[Path], str]] = {
    "planners": _planners,
    "networks": _networks,
    "plain_35": _plain_35,
    "ablations": _ablations,
    "transfer": _transfer,
    "scale": _scale,
    "closed_form": _closed_form,
    "gates": _gates,
    "highway": partial(_by_case, study="15_highway", head="network"),
    "highway_35": partial(_by_case, study="35_highway", head="network"),
    "highway_random": partial(_by_case, study="15_highway_random", head="network"),
    "noise": _noise,
    "terrain": _terrain,
    "moves": _moves,
    "moore_parity": partial(_by_case, study="15_moore", head="latent actions"),
    "sparse": _sparse,
    "compare": _compare,
    "unlike": _unlike,
    "operator": _operator,
}
