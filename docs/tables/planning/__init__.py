"""Tables of plans by length, anytime planning, threads, and the GPU kernels' checks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs.tables.markdown import load, markdown_table

_OCTILE_NAMES = {"octile": "told apart by 0.006 steps", "octile_soft": "told apart by 2 steps"}
_MAPS = {"octile_35": "mazes", "octile_obstacles": "obstacles", "octile_rooms": "rooms"}


def _octile(results: Path) -> str:
    """Return the table of ways by octile length."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in load(results, "planners/octile.json")["rows"]:
        groups.setdefault((row["network"], row["suite"]), []).append(row)
    rows: list[tuple[str, ...]] = [
        ("moves", "a diagonal one costs", "maps", "length", "starts, maps", "success", "shortest")
    ]
    for (network, suite), group in groups.items():
        first = group[0]
        costs = [row["learned"]["diagonal_steps"] for row in group]
        for index, bin_ in enumerate(first["bins"]):
            parts = [row["bins"][index] for row in group]
            rows.append(
                (
                    f"{_OCTILE_NAMES[network]}, {len(group)} seeds",
                    f"{min(costs):.3f} to {max(costs):.3f} steps",
                    f"{first['size']} x {first['size']}, {_MAPS[suite]}",
                    f"{bin_['lo']:,} to {min(bin_['hi'], first['longest_path']):,}",
                    f"{bin_['starts']:,}, {bin_['mazes']}",
                    _worst([part["success"] for part in parts]),
                    _worst([part["optimal"] for part in parts]),
                )
            )
    return markdown_table(rows)


def _worst(shares: list[float]) -> str:
    """Return the least share in per cent, rounded down: 100.00 says all."""
    return f"{int(100 * min(shares)) / 100:.2f} %"


def _anytime(results: Path) -> str:
    """Return the table of first and last answers of anytime planning."""
    rows: list[tuple[str, ...]] = [
        (
            "network",
            "first answer (95 %)",
            "layers",
            "optimal",
            "settled (95 %)",
            "optimal",
            "all layers of the training",
            "optimal",
        )
    ]
    for row in load(results, "planners/anytime.json")["rows"]:
        first, last = row["first_ms"], row["last_ms"]
        rows.append(
            (
                row["weights"],
                f"{first['median']:.1f} ms ({first['p95']:.1f})",
                f"{row['first_layers']['median']:,.0f}",
                f"{row['first_is_optimal']:.0f} %",
                f"{last['median']:.1f} ms ({last['p95']:.1f})",
                f"{row['last_is_optimal']:.0f} %",
                f"{row['whole_ms']['median']:.1f} ms",
                f"{row['whole_is_optimal']:.0f} %",
            )
        )
    return markdown_table(rows)


def _neural_a_star(results: Path) -> str:
    """Return the table of Neural A* beside A*."""
    rows: list[tuple[str, ...]] = [
        (
            "maps",
            "by a shortest way",
            "longer",
            "cells expanded",
            "A*, heuristic twice: shortest, longer, expanded",
            "A*: expanded",
            "time",
            "A*",
        )
    ]
    for row in load(results, "planners/neural_a_star.json")["rows"]:
        kind = {"depth_first": "mazes"}.get(row["kind"], row["kind"])
        rows.append(
            (
                f"{row['size']} x {row['size']}, {kind}",
                f"{row['optimal']:.1f} %",
                f"{row['longer']:.1f} %",
                f"{row['expanded']:,.0f}",
                f"{row['optimal_hasty']:.1f} %, {row['longer_hasty']:.1f} %, "
                f"{row['expanded_hasty']:,.0f}",
                f"{row['expanded_a_star']:,.0f}",
                f"{row['ms']:.2f} ms",
                f"{row['a_star_ms']:.2f} ms",
            )
        )
    return markdown_table(rows)


def _gpu(results: Path) -> str:
    """Return what the emulation of the GPU kernels was held against."""
    rows: dict[tuple[str, str], list[float]] = {}
    for row in load(results, "planners/gpu_emulated.json")["checks"]:
        case, geometry = row["case"], row["geometry"]
        shared = ", one kernel for all cells" if case["shared"] else ""
        what = (
            f"{case['height']} x {case['width']} x {case['depth']}, {case['actions']} actions, "
            f"{case['field']} x {case['field']}{shared}"
        )
        where = f"{geometry['cluster']} x {geometry['threads']} x {geometry['cells']}"
        rows.setdefault((what, where), []).append(max(row["errors"].values()))
    head = ("map x layers", "blocks x threads x cells", "largest relative error, V and gradients")
    return markdown_table([head, *((*key, f"{max(found):.1e}") for key, found in rows.items())])


def _two_threads(results: Path) -> str:
    """Return the table of the operator's passes by one thread and by two."""
    rows: list[tuple[str, ...]] = [
        ("map x layers", "forward, one thread", "two", "training step, one thread", "two")
    ]
    for row in load(results, "planners/two_threads.json")["rows"]:
        times = [
            f"{row[f'{name}_ms']:.1f} ms"
            for name in ("forward_one", "forward_two", "train_one", "train_two")
        ]
        rows.append((f"{row['size']} x {row['size']} x {row['depth']:,}", *times))
    return markdown_table(rows)


TABLES: dict[str, Callable[[Path], str]] = {
    "octile": _octile,
    "anytime": _anytime,
    "neural_a_star": _neural_a_star,
    "gpu": _gpu,
    "two_threads": _two_threads,
}
