"""Mindstorm against plain vote and best single member: embodied questions, 1 to 20 members."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from asterias.arrays import Cell
from asterias.progress import OnProgress
from asterias.provenance import provenance
from asterias.statistics import mean_and_std
from learning.agents.graph.decisions import count_votes
from learning.agents.messages import AgentError, Answer, Message, Outcome
from learning.agents.tasks.embodied_qa import (
    QUESTION_KINDS,
    Explorer,
    MazeWorld,
    Question,
    answer_from,
    draw_explorers,
    draw_worlds,
    truth,
)
from learning.agents.tasks.maze_qa_agents import explorer_speaker, leader_speaker, mission_of
from learning.agents.tasks.mindstorm import POLICIES, decide, mindstorm

WAYS = (*POLICIES, "plain_vote", "best_single")
_LABELS = {
    "monarchy": "mindstorm, leader decides",
    "democracy": "mindstorm, members vote",
    "plain_vote": "plain vote, no interviews",
    "best_single": "best single member",
}


@dataclass(frozen=True)
class Mindstorms:
    """Options of the experiment."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Each draws its own explorers and mazes."""
    members: tuple[int, ...] = (1, 2, 3, 5, 7, 10, 15, 20)
    """Sizes of the society."""
    train: int = 20
    """Mazes that decide which member is the best, per seed."""
    held_out: int = 40
    """Mazes that judge, per seed; three questions each."""
    size: int = 15
    """Rows and columns of a maze."""
    rounds: int = 5
    """Rounds of interviews."""


@dataclass(frozen=True)
class _Case:
    """A question in a maze, what each explorer knows there, and the truth."""

    question: Question
    known: Mapping[str, Mapping[Cell, str]]
    truth: str


def measure(options: Mindstorms, on_progress: OnProgress) -> dict[str, Any]:
    """Run the experiment; return the content of ``results/agents/mindstorm.json``.

    Returns:
        What the file holds.
    """
    rows = []
    for seed in options.seeds:
        explorers = draw_explorers(max(options.members), seed)
        worlds = list(draw_worlds(options.train + options.held_out, seed, options.size))
        cases = [_cases(number, *world, explorers) for number, world in enumerate(worlds)]
        for done, count in enumerate(options.members, start=1):
            rows += asyncio.run(_society(options, seed, explorers[:count], cases))
            on_progress(f"seed {seed}: {count} members", done, len(options.members))
    return {
        **provenance(options.seeds[0]),
        "seeds": options.seeds,
        "options": asdict(options),
        "summary": [_summary(count, rows) for count in options.members],
        "rows": rows,
    }


def _cases(
    number: int, world: MazeWorld, questions: Sequence[Question], explorers: Sequence[Explorer]
) -> list[_Case]:
    known = {explorer.name: explorer.explore(world, number) for explorer in explorers}
    return [_Case(question, known, truth(world, question)) for question in questions]


async def _society(
    options: Mindstorms, seed: int, explorers: Sequence[Explorer], cases: Sequence[Sequence[_Case]]
) -> list[dict[str, Any]]:
    """Return one row per method and kind of question: per cent right on held-out mazes."""
    names = [explorer.name for explorer in explorers]
    train = [case for maze in cases[: options.train] for case in maze]
    held_out = [case for maze in cases[options.train :] for case in maze]
    best = max(names, key=lambda name: sum(_alone(case, name, options) for case in train))
    right: dict[tuple[str, str], list[float]] = {}
    for case in held_out:
        outcomes = await _answers(case, names, options)
        for way in WAYS:
            reply = _alone(case, best, options) if way == "best_single" else outcomes[way]
            right.setdefault((way, case.question.kind), []).append(float(reply))
    return [
        {
            "seed": seed,
            "members": len(names),
            "way": way,
            "kind": kind,
            "right_percent": round(100 * statistics.fmean(scores), 2),
        }
        for (way, kind), scores in right.items()
    ]


def _alone(case: _Case, name: str, options: Mindstorms) -> bool:
    return answer_from(case.known[name], case.question, options.size) == case.truth


async def _answers(case: _Case, names: Sequence[str], options: Mindstorms) -> dict[str, bool]:
    members = [explorer_speaker(name, case.known[name], options.size) for name in names]
    leader = leader_speaker(options.size)
    record = await mindstorm(mission_of(case.question), leader, members, rounds=options.rounds)
    outcomes: dict[str, Outcome] = {policy: decide(record, policy) for policy in POLICIES}
    opinions = [
        Message(
            name, Answer("", {"answer": answer_from(case.known[name], case.question, options.size)})
        )
        for name in names
    ]
    try:
        outcomes["plain_vote"] = count_votes(opinions)
    except AgentError as error:
        outcomes["plain_vote"] = error.failure
    return {
        way: isinstance(reply, Answer) and reply.data["answer"] == case.truth
        for way, reply in outcomes.items()
    }


def _summary(count: int, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    summary: dict[str, Any] = {"members": count}
    for way in WAYS:
        mine = [row for row in rows if row["members"] == count and row["way"] == way]
        seeds = sorted({row["seed"] for row in mine})
        means = [
            statistics.fmean(row["right_percent"] for row in mine if row["seed"] == seed)
            for seed in seeds
        ]
        summary[way] = {
            **mean_and_std(means),
            **{
                kind: round(
                    statistics.fmean(r["right_percent"] for r in mine if r["kind"] == kind), 2
                )
                for kind in QUESTION_KINDS
            },
        }
    return summary


def plot(data: Mapping[str, Any], path: Path) -> None:
    """Draw right answers over the number of members, with one standard deviation."""
    figure = Figure(figsize=(7.5, 4.8), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    members = [row["members"] for row in data["summary"]]
    for way in WAYS:
        means = [row[way]["mean"] for row in data["summary"]]
        errors = [row[way]["std"] for row in data["summary"]]
        axes.errorbar(members, means, errors, marker="o", capsize=3, label=_LABELS[way])
    axes.set_xlabel("members (number)")
    axes.set_xticks(members)
    axes.set_ylabel("right answers in unseen mazes (%)")
    size = data["options"]["size"]
    axes.set_title(f"What is where, how many, how far: {size} x {size} mazes, 5 seeds")
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
