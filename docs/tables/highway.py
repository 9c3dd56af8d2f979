"""Tables of highway reinforcement learning: fixed points, noise, four rooms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs.tables.markdown import load, markdown_table

# The bias of n-step backups in one random process whose draw is not known; it was computed from
# the same equations by other code.
_BIAS_ANCHORS = {2: -1.62, 5: -2.39, 20: -2.73, 100: -2.80}
_FILE = "learning/highway.json"
TARGETS = {
    "n_step": "n steps",
    "highway": "highway, single samples",
    "highway_critics": "highway, two tables",
}


def _fixed_points(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        (
            "depth",
            "highway: largest error",
            "n steps: mean bias (range)",
            "anchor",
            "softmax without gate: mean bias",
        )
    ]
    for row in load(results, _FILE)["fixed_points"]:
        bias = row["n_step_bias"]
        rows.append(
            (
                f"{row['depth']}",
                f"{max(row['highway_errors'].values()):.0e}",
                f"{bias['mean']:.2f} ({bias['least']:.2f} to {bias['most']:.2f})",
                f"{_BIAS_ANCHORS[row['depth']]:.2f}",
                f"{row['softmax_without_gate_bias']['mean']:.2f}",
            )
        )
    return markdown_table(rows)


def _corridor(results: Path) -> str:
    rows = load(results, _FILE)["corridor"]
    return markdown_table(
        [
            ("depth", *(f"{row['depth']}" for row in rows)),
            ("iterations", *(f"{row['iterations']}" for row in rows)),
        ]
    )


def _noise(results: Path) -> str:
    rows = load(results, _FILE)["noise"]
    repeats = list(rows[0]["bias"])
    return markdown_table(
        [
            ("depth", *(f"{count} averaged" for count in repeats)),
            *(
                (f"{row['depth']}", *(f"{row['bias'][count]:.3f}" for count in repeats))
                for row in rows
            ),
        ]
    )


def _four_rooms(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        (
            "slip",
            "target",
            "n",
            "solved, first 5 seeds",
            "solved, all seeds",
            "median episodes",
            "mean of V - V*",
            "open gates",
        )
    ]
    for row in load(results, _FILE)["four_rooms"]:
        limit, median = row["episodes"], row["median"]
        count = sum(solved is not None for solved in row["solved"])
        rows.append(
            (
                f"{100 * row['slip']:.0f} %",
                TARGETS[row["target"]],
                f"{row['depth']}",
                f"{row['solved_of_first_5']} of 5",
                f"{count} of {len(row['solved'])}",
                f"{median:g}" if median <= limit else "never",
                f"{row['bias']:.2f}",
                f"{100 * row['open_gates']:.0f} %" if row["target"] != "n_step" else "",
            )
        )
    return markdown_table(rows)


_DEEP = {
    "ppo": "PPO",
    "dqn": "DQN",
    "dqn_5": "DQN, 5 steps",
    "dqn_20": "DQN, 20 steps",
    "dqn_50": "DQN, 50 steps",
    "highway_20": "Highway DQN, N = 20",
    "highway_50": "Highway DQN, N = 50",
    "highway_critics_50": "Highway DQN, N = 50, two critics",
    "dqn_3": "DQN, 3 steps",
    "sac": "SAC",
    "sac_20": "SAC, 20 steps",
    "highway_sac_20": "Highway SAC, N = 20",
    "td3": "TD3",
    "td3_20": "TD3, 20 steps",
    "highway_td3_20": "Highway TD3, N = 20",
}


def _dqn(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        (
            "task",
            "learner",
            "steps until solved, each seed",
            "last episodes' length",
            "mean of V - V*",
            "open gates",
            "mean gain",
        )
    ]
    for row in load(results, "learning/highway_dqn.json")["rows"]:
        bias = "" if row["bias"] is None else f"{row['bias']:.3f}"
        length = f"{row['last_length']:.1f}"
        rows.append((row["title"], _DEEP[row["learner"]], _solved(row), length, bias, *_gates(row)))
    return markdown_table(rows)


def _solved(row: dict[str, Any]) -> str:
    return ", ".join("never" if s is None else f"{s:,}" for s in row["solved"])


def _gates(row: dict[str, Any]) -> tuple[str, str]:
    gates = row["gates"]
    return (
        (f"{100 * gates['open_gates']:.0f} %", f"{gates['mean_gain']:.3f}") if gates else ("", "")
    )


# An update every so many steps, ever fewer random moves over so many, steps of an episode.
_EXITS = {
    "doom_exit": ("2", "2,400", "300"),
    "doom_exit_sb3": ("4", "2,400", "300"),
    "doom_exit_explored": ("4", "4,800", "600"),
}


def _doom_exit(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        (
            "steps an update",
            "steps with random moves",
            "steps an episode",
            "learner",
            "steps until solved, each seed",
            "median, times Highway DQN's",
            "each seed, times Highway DQN's",
            "last way, each seed",
            "open gates",
            "mean gain",
        )
    ]
    found = load(results, "learning/highway_doom_exit.json")["rows"]
    for row in found:
        ways = [curve[-1] for curve in row["curves"]]
        shown = ", ".join(f"{way['length']:.0f}" if way["return"] > 0 else "none" for way in ways)
        updates, moves, episode = _EXITS[row["task"]]
        learned = ("", "") if row["learner"] == "ppo" else (updates, moves)
        about = (*learned, episode, _DEEP[row["learner"]], _solved(row), *_times(row, found))
        rows.append((*about, shown, *_gates(row)))
    return markdown_table(rows)


def _doom_exits(results: Path) -> str:
    """Return steps until solved by maze; a training that never arrives counts as all its steps."""
    rows: list[tuple[str, ...]] = [
        (
            "maze",
            "shortest way",
            "DQN, each seed",
            "Highway DQN, each seed",
            "of means",
            "of medians",
        )
    ]
    found = load(results, "learning/highway_doom_exits.json")["rows"]
    totals = [0, 0]
    for row, own in zip(found[::2], found[1::2], strict=True):
        assert row["task"] == own["task"] and "highway" in own["learner"]
        taken = [sum(s or one["steps"] for s in one["solved"]) for one in (row, own)]
        totals = [total + more for total, more in zip(totals, taken, strict=True)]
        median = _ratio(_median(row), _median(own), row["steps"])
        name, steps = row["task"].rpartition("_")[2], row["title"].split(", ")[1].split()[0]
        shown = (_solved(row), _solved(own), f"{taken[0] / taken[1]:.1f}", median)
        rows.append((name, steps, *shown))
    rows.append(("all", "", "", "", f"{totals[0] / totals[1]:.2f}", ""))
    return markdown_table(rows)


def _times(row: dict[str, Any], rows: list[dict[str, Any]]) -> tuple[str, str]:
    """Return how many times as many steps as Highway DQN a learner takes: medians, each seed.

    A training that is not solved counts as all of its steps, and the figure as a bound.
    """
    own = next(r for r in rows if r["task"] == row["task"] and "highway" in r["learner"])
    if own is row:
        return "", ""
    pairs = zip(row["solved"], own["solved"], strict=True)
    shown = [_ratio(taken, best, row["steps"]) for taken, best in pairs]
    return _ratio(_median(row), _median(own), row["steps"]), ", ".join(shown)


def _median(row: dict[str, Any]) -> int | None:
    ordered = sorted(row["steps"] + 1 if s is None else s for s in row["solved"])
    middle = ordered[len(ordered) // 2]
    return None if middle > row["steps"] else int(middle)


def _ratio(taken: int | None, best: int | None, steps: int) -> str:
    """Return how many times as many steps, a bound where one never arrives, none where both."""
    if taken is None and best is None:
        return "none"
    sign = "> " if taken is None else "< " if best is None else ""
    return f"{sign}{(taken or steps) / (best or steps):.1f}"


def _target_finding(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        (
            "dead cameras",
            "learner",
            "steps until solved, each seed",
            "median, times Highway DQN's",
            "each seed, times Highway DQN's",
            "last episodes' length",
            "open gates",
            "mean gain",
        )
    ]
    found = load(results, "learning/highway_target_finding.json")["rows"]
    for row in found:
        cameras = row["title"].rsplit(", ", 1)[-1]
        length = f"{row['last_length']:.1f}"
        times = _times(row, found)
        rows.append((cameras, _DEEP[row["learner"]], _solved(row), *times, length, *_gates(row)))
    return markdown_table(rows)


# What the arm is paid for no distance after 20 steps, with a discount of 0.95.
_ARM_BEST = 0.95**19


def _reach(results: Path) -> str:
    rows: list[tuple[str, ...]] = [
        (
            "learner",
            "steps until solved, each seed",
            "1 less distance in m, half-way",
            "at the end",
            "open gates",
            "mean gain",
        )
    ]
    for row in load(results, "learning/highway_reach.json")["rows"]:
        half = [curve[len(curve) // 2 - 1]["return"] / _ARM_BEST for curve in row["curves"]]
        last = [curve[-1]["return"] / _ARM_BEST for curve in row["curves"]]
        rows.append(
            (
                _DEEP[row["learner"]],
                _solved(row),
                ", ".join(f"{value:.2f}" for value in half),
                ", ".join(f"{value:.2f}" for value in last),
                *_gates(row),
            )
        )
    return markdown_table(rows)


def _minatar(results: Path) -> str:
    found = load(results, "learning/highway_minatar.json")
    games = list(dict.fromkeys(row["game"] for row in found["rows"]))
    summary = {row["learner"]: row for row in found["summary"]}
    rows: list[tuple[str, ...]] = [
        (
            "learner",
            *(f"{game.replace('_', ' ')}: each seed" for game in games),
            "interquartile mean",
            "95 %",
        )
    ]
    for learner in dict.fromkeys(row["learner"] for row in found["rows"]):
        own = {row["game"]: row["scores"] for row in found["rows"] if row["learner"] == learner}
        whole = summary.get(learner)
        interval = whole["interval"] if whole and whole["seeds"] > 1 else None
        rows.append(
            (
                _DEEP[learner],
                *(", ".join(f"{score:.2f}" for score in own.get(game, [])) for game in games),
                f"{whole['iqm']:.2f}" if whole else "",
                f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else "",
            )
        )
    chance = [f"{found['random'][game]:.2f}" for game in games]
    return markdown_table([*rows, ("random actions", *chance, "", "")])


TABLES: dict[str, Callable[[Path], str]] = {
    "highway_fixed_points": _fixed_points,
    "highway_corridor": _corridor,
    "highway_noise": _noise,
    "highway_four_rooms": _four_rooms,
    "highway_dqn": _dqn,
    "highway_doom_exit": _doom_exit,
    "highway_doom_exits": _doom_exits,
    "highway_target_finding": _target_finding,
    "highway_reach": _reach,
    "highway_minatar": _minatar,
}
