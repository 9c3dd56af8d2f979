"""``python -m learning upside-down``: the counter-example, and the acceptance test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from asterias.cli import check_file
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import progress_bars
from asterias.provenance import provenance
from learning.upside_down.acceptance import accept
from learning.upside_down.learners import COMMANDED_LEARNERS
from learning.upside_down.recursion import counter_example, udrl_recursion

ALPHAS = (1.0, 0.9, 0.6)
EPSILON = 0.1
_ITERATIONS = 6
_EPISODES = 10_000
# Rounds in which a learner goes on from its own behaviour.
_ROUNDS = 8


@dataclass(frozen=True)
class UpsideDown:
    """Measure where upside-down RL fails, and run command-conditioned learners through it."""

    learners: tuple[str, ...] = COMMANDED_LEARNERS.names()
    """Command-conditioned learners, by name."""
    seeds: int = 20
    """Runs of the sampled recursion, with the seeds from 0 on; 3 of them for each learner."""
    json: Path | None = None
    """Result file to write, for example results/learning/upside_down.json."""
    picture: Path | None = None
    """Picture to draw, for example results/learning/upside_down.png."""

    def run(self) -> int:
        """Measure, print the tables, write and draw.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        for name in self.learners:
            COMMANDED_LEARNERS.get(name)
        if self.seeds < 2:
            raise UserError("--seeds must be 2 or more.")
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        rows, cards = [recursion_row(alpha, self.seeds) for alpha in ALPHAS], self._cards()
        Console().print(_recursion_table(rows), _card_table(cards))
        data = {"seeds": self.seeds, "episodes": _EPISODES, "recursion": rows, "cards": cards}
        if self.json is not None:
            write_json(self.json, {**provenance(0), **data})
        if self.picture is not None:
            draw(data, self.picture)
        return 0

    def _cards(self) -> list[dict[str, Any]]:
        torch.set_num_threads(1)  # the nets are tiny
        cards = []
        with progress_bars(unit="learners") as progress:
            bar = progress.add_task("learners", total=len(self.learners))
            for name in self.learners:
                cards.append(learner_card(name, min(self.seeds, 3)))
                progress.advance(bar)
        return cards


def recursion_row(alpha: float, seeds: int) -> dict[str, Any]:
    """Return J of the recursion on the counter-example, exact and sampled.

    Args:
        alpha: probability that an action leads to its goal.
        seeds: sampled runs.
    """
    process = counter_example(alpha)
    best = process.optimal_policy()
    # A policy that never takes the second action, whatever it is told.
    stubborn = np.zeros(process.shape)
    stubborn[..., 0] = 1.0
    sampled = [
        udrl_recursion(
            process, None, _ITERATIONS, episodes=_EPISODES, rng=np.random.default_rng(seed)
        )
        for seed in range(seeds)
    ]
    last = np.array(sampled)[:, -1]
    return {
        "alpha": alpha,
        "optimum": process.optimum(),
        "from_uniform": udrl_recursion(process, None, _ITERATIONS),
        "from_optimum": udrl_recursion(process, best, _ITERATIONS),
        "mixed": udrl_recursion(process, None, _ITERATIONS, EPSILON),
        "stubborn": udrl_recursion(process, stubborn, _ITERATIONS),
        "stubborn_mixed": udrl_recursion(process, stubborn, 60, EPSILON),
        "sampled": sampled,
        "sampled_mean": float(last.mean()),
        "sampled_std": float(last.std(ddof=1)),
    }


def learner_card(name: str, seeds: int, rounds: int = _ROUNDS) -> dict[str, Any]:
    """Return the acceptance card of a learner at alpha 0.6, over seeds.

    Args:
        name: in the registry of command-conditioned learners.
        seeds: runs.
        rounds: of learning, each from the behaviour of the one before.
    """
    make = COMMANDED_LEARNERS.get(name)
    cards = [accept(make, rounds=rounds, episodes=_EPISODES, seed=seed) for seed in range(seeds)]
    reached = np.array([card.reached for card in cards])
    return {
        **cards[0].to_dict(),
        "learner": name,
        "reached": reached.mean(0).round(4).tolist(),
        "reached_std": reached.std(0).round(4).tolist(),
        "seeds": seeds,
    }


def draw(data: dict[str, Any], path: Path) -> None:
    """Draw J over iterations, of the recursion and of the learners.

    Args:
        data: as the command writes it.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for number, row in enumerate(data["recursion"]):
        label = f"alpha {row['alpha']:g}"
        left.plot(row["from_uniform"], "o-", color=f"C{number}", label=f"{label}, from uniform")
        left.plot(row["from_optimum"], "s--", color=f"C{number}", label=f"{label}, from the best")
        for run in row["sampled"]:
            left.plot(run, color=f"C{number}", alpha=0.15, linewidth=0.8)
    left.set(
        xlabel="iteration",
        ylabel="J: goals reached",
        title="The recursion, exact (marks) and sampled (thin)",
    )
    for number, card in enumerate(data["cards"]):
        reached = card["reached"]
        right.plot(
            range(1, len(reached) + 1), reached, "o-", color=f"C{number}", label=card["learner"]
        )
    for height, words in ((card["matching"], "matching"), (card["optimum"], "optimum")):
        right.axhline(height, color="grey", linestyle="--", linewidth=0.8)
        right.text(1, height + 0.002, f"{words} {height:.2f}", fontsize=8, color="grey")
    right.set(xlabel="round, each from its own behaviour", title="Learners at alpha 0.6")
    right.set_ylim(0.475, 0.615)
    for axis in (left, right):
        axis.grid(alpha=0.25)
    # Between the lines of alpha 0.9 and 0.6.
    left.legend(fontsize=7, loc="lower right", bbox_to_anchor=(1.0, 0.13))
    right.legend(fontsize=8, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _recursion_table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="J of upside-down RL on the counter-example")
    for heading in ("alpha", "from uniform", "from the best", "sampled", "optimum"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            f"{row['alpha']:g}",
            f"{row['from_uniform'][-1]:.4f}",
            f"{row['from_optimum'][0]:.2f} to {row['from_optimum'][1]:.4f}",
            f"{row['sampled_mean']:.4f} ± {row['sampled_std']:.4f}",
            f"{row['optimum']:.2f}",
        )
    return table


def _card_table(cards: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="Command-conditioned learners, alpha 0.6")
    for heading in ("learner", "J", "matching", "optimum", "last round", "verdict"):
        table.add_column(heading)
    for card in cards:
        table.add_row(
            card["learner"],
            f"{card['reached'][0]:.3f}",
            f"{card['matching']:.2f}",
            f"{card['optimum']:.2f}",
            f"{card['reached'][-1]:.3f}",
            str(card["verdict"]),
        )
    return table
