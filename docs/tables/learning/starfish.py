"""Tables of target finding with the whole starfish: who finds it in how many steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs.tables.markdown import load, markdown_table
from learning.starfish.settings import FAILURES

_FILE = "learning/starfish_find.json"
_LEARNERS = {
    "pathwise": "gradient through the geometry of sight",
    "ppo": "PPO, stable-baselines3",
    "pgpe": "PGPE, linear",
}
_SHARED = {"limbs": "shared by the limbs", "body": "one for all limbs"}
_SEARCHERS = {
    "knows": "`knows` where the target is: each limb goes to its nearest pose that sees it",
    "together": "`together`: by belief, each limb takes what the others leave",
    "alone": "`alone`: each limb by belief, as a single limb does best",
    "random": "`random`: all servos, the paper's BMMS",
}


def _found(results: Path) -> str:
    data = load(results, _FILE)
    trained = {one["searcher"]: one for one in data["trainings"]}
    head = ("searcher", "episodes", *(f"{name}: within 3 steps (mean steps)" for name in FAILURES))
    rows: list[tuple[str, ...]] = [head]
    for searcher in dict.fromkeys(row["searcher"] for row in data["rows"]):
        own = {row["failures"]: row for row in data["rows"] if row["searcher"] == searcher}
        cells = (_cell(own[name]) if name in own else "" for name in FAILURES)
        episodes = ", ".join(sorted({str(row["episodes"]) for row in own.values()}))
        rows.append((_name(searcher, trained), episodes, *cells))
    return markdown_table(rows)


def _cell(row: dict[str, Any]) -> str:
    return f"{100 * row['found_within'][-1]:.1f} % ({row['mean_steps']:.2f})"


def _name(searcher: str, trained: dict[str, Any]) -> str:
    if searcher in _SEARCHERS:
        return _SEARCHERS[searcher]
    about = trained[searcher]
    return f"{_LEARNERS[about['algorithm']]}, {_SHARED[about['sharing']]}, seed {about['seed']}"


def _trainings(results: Path) -> str:
    head = ("learner", "policy", "step at most", "steps", "time", *FAILURES)
    rows: list[tuple[str, ...]] = [head]
    for one in load(results, _FILE)["trainings"]:
        shares = (f"{100 * one['found_by_geometry'][name][-1]:.1f} %" for name in FAILURES)
        rows.append(
            (
                f"{_LEARNERS[one['algorithm']]}, seed {one['seed']}",
                f"{_SHARED[one['sharing']]}, {one['parameters']:,} numbers",
                f"{one['increment']:g}",
                f"{one['steps']:,}",
                f"{one['wall_s']:.0f} s",
                *shares,
            )
        )
    return markdown_table(rows)


def _over_ros(results: Path) -> str:
    made = load(results, "target_finding/starfish_find_target.json")
    searches = len(made["episodes"])
    rows: list[tuple[str, ...]] = [
        ("searches", "policy", "found", "within 3 steps", "steps on average"),
        (
            str(searches),
            f"`{made['policy']}`",
            f"{made['found']} of {searches}",
            f"{made['within_3']} of {searches}",
            f"{made['mean_steps_of_finds']:.2f}",
        ),
    ]
    return markdown_table(rows)


TABLES: dict[str, Callable[[Path], str]] = {
    "starfish_found": _found,
    "starfish_trainings": _trainings,
    "starfish_over_ros": _over_ros,
}
