"""Whom to believe: edge optimisation of six camera members, k of which lie."""

from __future__ import annotations

import asyncio
import signal
import statistics
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass, field, replace
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

from asterias.progress import OnProgress
from asterias.provenance import provenance
from asterias.statistics import mean_and_std
from asterias.workers import worker_pool
from learning.agents.experiments.resumable_rows import ResumableRows, Rows
from learning.agents.graph.edge_optimisation import (
    EdgeDistribution,
    EdgeOptions,
    EdgeResult,
    optimise,
)
from learning.agents.graph.executor import run
from learning.agents.graph.graph import Edge, Graph
from learning.agents.graph.swarm import Swarm
from learning.agents.messages import Answer, Task
from learning.agents.tasks.camera_dataset import FAILURES, Look, LookAround, draw_liars
from learning.agents.tasks.target_location import QUESTION, camera_swarm

OnIteration = Callable[[int, float], None]
_count: Any = None  # in a worker: choices of liars done by all workers, a shared integer
_CONTROLS = 20  # graphs per random control
_LOOK_S = 0.5


@dataclass(frozen=True)
class FaultyCameras:
    """Options of the experiment."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Each draws its own looks, liars, graphs and tasks."""
    train: int = 300
    """Looks to learn from, per seed."""
    held_out: int = 300
    """Looks that judge, per seed."""
    glances: int = 6
    """Poses per look."""
    liars: tuple[int, ...] = (1, 2, 3)
    """How many of the six cameras lie."""
    mixes: int = 4
    """Choices of liars per seed and number of liars; the first fails in each way in turn."""
    workers: int = 2
    """Processes."""
    edges: EdgeOptions = field(
        default_factory=lambda: EdgeOptions(graphs=24, tasks=6, edge_cost=0.005)
    )
    """The optimiser."""


def measure(
    options: FaultyCameras, on_progress: OnProgress, saved: ResumableRows | None = None
) -> dict[str, Any]:
    """Run the experiment, seeds in parallel; return what ``results/agents/edges.json`` holds.

    Seeds in ``saved`` are not run again.

    Returns:
        The content of the file.
    """
    done = dict(saved.rows) if saved is not None else {}
    for seed, rows_of_seed in _run_seeds(options, set(options.seeds) - set(done), on_progress):
        done[seed] = rows_of_seed
        if saved is not None:
            saved.save(seed, rows_of_seed)
    rows = [row for seed in options.seeds for row in done[seed]]
    rows.sort(key=lambda row: (row["seed"], row["k"]))
    return {
        **provenance(options.seeds[0]),
        "seeds": options.seeds,
        "options": asdict(options),
        "summary": [_summary(k, [row for row in rows if row["k"] == k]) for k in options.liars],
        "rows": rows,
    }


def _run_seeds(
    options: FaultyCameras, seeds: Collection[int], on_progress: OnProgress
) -> Iterator[tuple[int, Rows]]:
    """Yield seeds and their rows, as they are done.

    Yields:
        A seed and its rows.
    """
    # Fresh processes: forking one that has used PyTorch's threads may hang.
    context = get_context("spawn")
    cells = len(options.liars) * options.mixes
    total = cells * len(options.seeds)
    count = context.Value("i", total - cells * len(seeds))
    with worker_pool(options.workers, context, _begin, count) as pool:
        work = {pool.submit(_seed, options, seed): seed for seed in sorted(seeds)}
        waiting: set[Future[Rows]] = set(work)
        while waiting:
            on_progress("choices of liars", count.value, total)
            finished, waiting = wait(waiting, _LOOK_S, FIRST_COMPLETED)
            for one in finished:
                yield work[one], one.result()
    on_progress("choices of liars", total, total)


def _begin(count: Any) -> None:
    """First thing in a worker: ``count`` is what all have done."""
    global _count
    _count = count
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _seed(options: FaultyCameras, seed: int) -> Rows:
    """Return the rows of all choices of liars of one seed."""
    torch.set_num_threads(1)
    around = LookAround(seed, options.glances)
    try:
        looks = list(around.looks(options.train + options.held_out))
    finally:
        around.close()
    rng = np.random.default_rng((seed, 1))
    rows = []
    for k in options.liars:
        for mix in range(options.mixes):
            first = FAILURES[mix % len(FAILURES)]
            states = draw_liars(around.cameras, k, rng, first)
            rows.append(_cell(options, seed, around.cameras, looks, states))
            with _count.get_lock():
                _count.value += 1
    return rows


def _cell(
    options: FaultyCameras,
    seed: int,
    cameras: Sequence[str],
    looks: Sequence[Look],
    states: Mapping[str, str],
) -> dict[str, Any]:
    """Return the row of one choice of liars: learn on the first looks, judge on the others."""
    swarm = camera_swarm(cameras)
    train, held_out = looks[: options.train], looks[options.train :]
    learned = asyncio.run(learn(swarm, train, states, replace(options.edges, seed=seed)))

    def judge(graphs: Sequence[Sequence[Edge]], on: Sequence[Look] = held_out) -> float:
        scores = [asyncio.run(accuracy(swarm.graph(edges), on, states)) for edges in graphs]
        return round(100 * statistics.fmean(scores), 2)

    rng = np.random.default_rng((seed, 2))
    distribution = EdgeDistribution(swarm)
    of_liars = [edge for edge in swarm.potential_edges if edge[0] in states]
    density = len(learned.edges)
    singles = [[(camera, swarm.decision.name)] for camera in cameras]
    best = max(singles, key=lambda one: judge([one], train))
    return {
        "seed": seed,
        "k": len(states),
        "liars": dict(states),
        "learned": judge([learned.edges]),
        "plain_vote": judge([swarm.vote_edges]),
        "oracle": judge([[edge for edge in swarm.vote_edges if edge[0] not in states]]),
        "best_single": judge([best]),
        "random_graph": judge(distribution.draw(_CONTROLS, rng).edges),
        "same_density": judge([distribution.random(density, rng) for _ in range(_CONTROLS)]),
        "edges": [list(edge) for edge in learned.edges],
        "liars_edges": len(of_liars),
        "liars_edges_cut": sum(edge not in learned.edges for edge in of_liars),
        "graphs_tried": learned.graphs_tried,
    }


async def learn(
    swarm: Swarm,
    looks: Sequence[Look],
    states: Mapping[str, str],
    options: EdgeOptions,
    on_step: OnIteration | None = None,
) -> EdgeResult:
    """Optimise the edges of camera members with some cameras failing.

    Returns:
        The learned edges.
    """

    async def utility(graph: Graph, look: Look) -> float:
        return await _is_right(graph, look, states)

    return await optimise(swarm, looks, utility, options, on_step)


async def accuracy(graph: Graph, looks: Sequence[Look], states: Mapping[str, str]) -> float:
    """Return the fraction of looks after which the graph names the target's place."""
    return statistics.fmean([await _is_right(graph, look, states) for look in looks])


async def _is_right(graph: Graph, look: Look, states: Mapping[str, str]) -> float:
    record = await run(graph, Task(QUESTION, look.observations(states)))
    reply = record.result
    return float(isinstance(reply, Answer) and reply.data["answer"] == look.truth)


_COLUMNS = ("learned", "plain_vote", "oracle", "best_single", "random_graph", "same_density")


def _summary(k: int, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return means over the mixes of a seed, then mean and standard deviation over the seeds."""
    seeds = sorted({row["seed"] for row in rows})

    def over_seeds(value: str, less: str = "") -> dict[str, float]:
        means = [
            statistics.fmean(row[value] - row.get(less, 0.0) for row in rows if row["seed"] == seed)
            for seed in seeds
        ]
        return mean_and_std(means)

    cut = sum(row["liars_edges_cut"] for row in rows) / sum(row["liars_edges"] for row in rows)
    return {
        "k": k,
        **{name: over_seeds(name) for name in _COLUMNS},
        "above_plain_vote": over_seeds("learned", less="plain_vote"),
        "above_oracle": over_seeds("learned", less="oracle"),
        "liars_edges_cut_percent": round(100 * cut, 2),
    }
