"""Prompt rewriting and demonstration selection: what each gains on orders no one has seen."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from asterias.progress import OnProgress
from asterias.provenance import provenance
from asterias.statistics import mean_and_std
from learning.agents.graph.node_optimisation import (
    NodeOptions,
    PromptedAgent,
    Prompting,
    improve,
    score,
)
from learning.agents.skills.next_skill import (
    FIRST_PROMPT,
    SKILL_NAMES,
    draw_orders,
    scripted_assistant,
    scripted_improver,
)

_WAYS = {
    "demonstrations": {"learn_prompt": False},
    "prompt": {"learn_demonstrations": False},
    "both": {},
}


@dataclass(frozen=True)
class Nodes:
    """Options of the experiment."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Each draws its own orders."""
    train: int = 200
    """Orders that make the history, per seed."""
    held_out: int = 60
    """Orders on which candidates must score higher."""
    test: int = 300
    """Orders that judge, which neither has seen."""
    optimiser: NodeOptions = field(default_factory=NodeOptions)
    """The optimiser."""


def measure(options: Nodes, on_progress: OnProgress) -> dict[str, Any]:
    """Run the experiment; return the content of ``results/agents/nodes.json``.

    Returns:
        What the file holds.
    """
    rows = []
    for done, seed in enumerate(options.seeds, start=1):
        rows.append(asyncio.run(_run(options, seed)))
        on_progress("seeds", done, len(options.seeds))
    return {
        **provenance(options.seeds[0]),
        "seeds": options.seeds,
        "options": asdict(options),
        "summary": {way: mean_and_std([row[way] for row in rows]) for way in ("before", *_WAYS)},
        "rows": rows,
    }


async def _run(options: Nodes, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng((seed, 5))
    counts = (options.train, options.held_out, options.test)
    train, held_out, test = (draw_orders(count, rng) for count in counts)
    agent = PromptedAgent(scripted_assistant(), SKILL_NAMES, Prompting(FIRST_PROMPT))
    row: dict[str, Any] = {"seed": seed, "before": round(100 * await score(agent, test), 2)}
    for way, changes in _WAYS.items():
        chosen = replace(options.optimiser, seed=seed, **changes)
        result = await improve(agent, train, held_out, scripted_improver(), chosen)
        row[way] = round(100 * await score(result.agent, test), 2)
        row[f"{way}_accepted"] = f"{len(result.accepted)} of {result.tried}"
    return row
