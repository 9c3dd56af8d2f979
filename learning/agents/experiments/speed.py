"""How fast graphs run: 129 members at once, and graphs sampled per minute."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from asterias.progress import OnProgress
from asterias.provenance import provenance
from learning.agents.graph.edge_optimisation import EdgeDistribution, EdgeOptions, optimise
from learning.agents.graph.executor import run
from learning.agents.graph.graph import Graph
from learning.agents.messages import Answer, Task
from learning.agents.tasks.target_location import (
    NOWHERE,
    PLACES,
    QUESTION,
    CameraReport,
    camera_swarm,
)


@dataclass(frozen=True)
class Speed:
    """Options of the measurement."""

    members: int = 129
    """Members that answer at once, half of all possible edges between them."""
    swarm: int = 20
    """Members of the swarm whose edges are optimised."""
    repeats: int = 5
    """Answers of the large society; the median counts."""
    seed: int = 0
    """Of edges and reports."""


def measure(options: Speed, on_progress: OnProgress) -> dict[str, Any]:
    """Run the measurement; return the content of ``results/agents/speed.json``.

    Returns:
        What the file holds.
    """
    durations = []
    for done in range(options.repeats):
        durations.append(_answer_once(options.members, (options.seed, done)))
        on_progress("large society", done + 1, options.repeats)
    sampled, seconds = _optimise(options, on_progress)
    return {
        **provenance(options.seed),
        "options": asdict(options),
        "answer_s": {"median": round(float(np.median(durations)), 4), "all": durations},
        "graphs_per_minute": round(60 * sampled / seconds),
        "graphs_sampled": sampled,
    }


def _answer_once(members: int, seed: Sequence[int]) -> float:
    """Return the wall time to build and run one graph of scripted members, s."""
    rng = np.random.default_rng(seed)
    swarm = camera_swarm([f"camera_{i}" for i in range(members)])
    seen = _reports(members, rng)
    edges = EdgeDistribution(swarm).draw(1, rng).edges[0]
    started_s = time.perf_counter()
    record = asyncio.run(run(swarm.graph({*edges, *swarm.vote_edges}), Task(QUESTION, seen)))
    assert isinstance(record.result, Answer) and len(record.steps) == members + 1
    return round(time.perf_counter() - started_s, 4)


def _optimise(options: Speed, on_progress: OnProgress) -> tuple[int, float]:
    """Return the graphs sampled, run and learned from, and the wall time of that, s."""
    rng = np.random.default_rng(options.seed)
    swarm = camera_swarm([f"camera_{i}" for i in range(options.swarm)])
    looks = [_reports(options.swarm, rng) for _ in range(20)]

    async def utility(graph: Graph, look: dict[str, object]) -> float:
        result = (await run(graph, Task(QUESTION, look))).result
        return float(isinstance(result, Answer) and result.data["answer"] != NOWHERE)

    steps = EdgeOptions(iterations=40, graphs=16, tasks=1, seed=options.seed)
    started_s = time.perf_counter()
    learned = asyncio.run(
        optimise(swarm, looks, utility, steps, lambda n, _: on_progress("edges", n, 40))
    )
    return learned.graphs_tried, time.perf_counter() - started_s


def _reports(members: int, rng: np.random.Generator) -> dict[str, object]:
    return {
        f"camera_{i}": CameraReport(str(rng.choice(PLACES)) if rng.random() < 0.7 else None)
        for i in range(members)
    }
