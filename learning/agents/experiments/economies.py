"""Ten thousand rounds of an economy of explorers, who live by answering questions about mazes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from asterias.progress import OnProgress
from asterias.provenance import provenance
from asterias.statistics import mean_and_std
from learning.agents.tasks.economy import Economy, EconomyOptions, Trader
from learning.agents.tasks.embodied_qa import (
    Explorer,
    MazeWorld,
    Question,
    answer_from,
    draw_worlds,
    truth,
)

_WINDOW = 500  # rounds that one point of the curves sums up


@dataclass(frozen=True)
class Economies:
    """Options of the experiment."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Each draws its own members and mazes."""
    rounds: int = 10_000
    """Rounds per seed."""
    mazes: int = 200
    """Different mazes, asked about again and again; each walk through them is a new one."""
    size: int = 15
    """Rows and columns of a maze."""
    rules: EconomyOptions = field(default_factory=EconomyOptions)
    """Of the economy."""


def measure(options: Economies, on_progress: OnProgress) -> dict[str, Any]:
    """Run the experiment; return the content of ``results/agents/economy.json``.

    Returns:
        What the file holds.
    """
    rows = [_run(options, seed, on_progress) for seed in options.seeds]
    return {
        **provenance(options.seeds[0]),
        "seeds": options.seeds,
        "options": asdict(options),
        "window": _WINDOW,
        "summary": _summary(rows),
        "rows": rows,
    }


def draw_founders(count: int, rng: np.random.Generator) -> list[Trader]:
    """Return members that differ; every second has bad eyes and short legs, and none knows it."""
    founders = []
    for i in range(count):
        is_bad = i % 2 == 1
        traits = {
            "steps": float(rng.uniform(10, 25) if is_bad else rng.uniform(50, 90)),
            "misreads": float(rng.uniform(0.4, 0.6) if is_bad else rng.uniform(0.02, 0.1)),
        }
        name = f"{'bad' if is_bad else 'good'}_{i}"
        founders.append(Trader(name, traits, margin=float(rng.uniform(0.4, 0.9))))
    return founders


def _run(options: Economies, seed: int, on_progress: OnProgress) -> dict[str, Any]:
    rng = np.random.default_rng((seed, 11))
    worlds = list(draw_worlds(options.mazes, seed, options.size))
    asked: list[tuple[MazeWorld, Question, str]] = [
        (world, question, truth(world, question))
        for world, questions in worlds
        for question in questions
    ]
    order = rng.integers(len(asked), size=options.rounds)

    def answers_right(trader: Trader, number: int) -> bool:
        world, question, right = asked[order[number]]
        steps, misreads = max(1, round(trader.traits["steps"])), min(trader.traits["misreads"], 1.0)
        explorer = Explorer(trader.name, min(steps, 150), misreads, seed)
        reply = answer_from(explorer.explore(world, number), question, options.size)
        return bool(reply == right)

    economy = Economy(
        options.rules,
        draw_founders(options.rules.founders, rng),
        lambda number: asked[order[number]][1].kind,
        answers_right,
        rng,
    )
    return _observe(options, seed, economy, on_progress)


def _observe(
    options: Economies, seed: int, economy: Economy, on_progress: OnProgress
) -> dict[str, Any]:
    """Play all rounds; return the row of the seed.

    Returns:
        The curves and the sums that the result file holds for one seed.
    """
    right: list[bool] = []
    bankrupt: dict[str, int] = {}
    members, bad_share, services, births, drift = [], [], 0, 0, 0
    for number in range(options.rounds):
        done = economy.play(number)
        right.append(done.was_right)
        services += bool(done.adviser)
        births += len(done.born)
        bankrupt |= dict.fromkeys(done.bankrupt, number)
        total = sum(economy.ledger.accounts().values())
        drift = max(drift, abs(total - options.rules.credits))
        if (number + 1) % _WINDOW == 0:
            bad = sum(name.startswith("bad") for name in economy.members)
            members.append(len(economy.members))
            bad_share.append(round(bad / max(1, len(economy.members)), 4))
            on_progress(f"seed {seed}: rounds", number + 1, options.rounds)
    founders = [name for name in bankrupt if "." not in name]
    windows = np.array(right).reshape(-1, _WINDOW).mean(axis=1)
    half = options.rules.founders // 2
    return {
        "seed": seed,
        "largest_change_of_total_credit": drift,
        "accuracy_percent": [round(100 * float(share), 2) for share in windows],
        "members": members,
        "bad_share": bad_share,
        "bad_founders_bankrupt_percent": 100 * sum(n.startswith("bad") for n in founders) / half,
        "good_founders_bankrupt_percent": 100 * sum(n.startswith("good") for n in founders) / half,
        "births": births,
        "services": services,
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "largest_change_of_total_credit": max(r["largest_change_of_total_credit"] for r in rows),
        "first_accuracy_percent": mean_and_std([row["accuracy_percent"][0] for row in rows]),
        "last_accuracy_percent": mean_and_std([row["accuracy_percent"][-1] for row in rows]),
        **{
            key: mean_and_std([float(row[key]) for row in rows])
            for key in ("bad_founders_bankrupt_percent", "good_founders_bankrupt_percent", "births")
        },
    }


def plot(data: Mapping[str, Any], path: Path) -> None:
    """Draw accuracy and the share of bad members over the rounds, one line per seed."""
    figure = Figure(figsize=(7.5, 4.2), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    for row in data["rows"]:
        rounds = data["window"] * (1 + np.arange(len(row["accuracy_percent"])))
        is_first = row is data["rows"][0]
        label = "right answers" if is_first else None
        axes.plot(rounds, row["accuracy_percent"], color="#4c78a8", alpha=0.8, label=label)
        bad = 100 * np.array(row["bad_share"])
        label = "bad members, of all" if is_first else None
        axes.plot(rounds, bad, color="#e45756", alpha=0.8, linestyle="--", label=label)
    axes.set_xlabel("rounds played (number)")
    axes.set_ylabel("right answers, and bad members of all (%)")
    axes.set_ylim(0, 100)
    axes.set_title("An economy of explorers: one line per seed")
    axes.grid(alpha=0.3)
    axes.legend(loc="center right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
