"""Learning which edges a swarm needs: REINFORCE over graphs (arXiv 2402.16823, 2.3, appendix E).

One Bernoulli probability per potential edge. A graph is drawn by visiting the edges in an order;
one that would close a circle is skipped, so graphs are acyclic by construction. With
``learned_order`` the nodes' order is drawn too, from a softmax over those that can come next, and
only edges along it are visited: no edge then suffers from its place in a list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import binary_cross_entropy_with_logits

from learning.agents.graph.graph import Edge, Graph
from learning.agents.graph.swarm import Swarm

Baseline = Literal["none", "constant", "batch_mean", "leave_one_out"]
BASELINES: tuple[Baseline, ...] = ("none", "constant", "batch_mean", "leave_one_out")
T = TypeVar("T")
Utility = Callable[[Graph, T], Awaitable[float]]


@dataclass(frozen=True)
class EdgeOptions:
    """Options of edge optimisation; the defaults of the paper's MMLU runs are in brackets."""

    iterations: int = 200
    """Steps of Adam (200)."""
    graphs: int = 16
    """Graphs drawn per step, M in the paper (4)."""
    tasks: int = 4
    """Tasks on which all graphs of a step are tried (1, another one for each graph)."""
    learning_rate: float = 0.1
    """Of Adam, on the logits (0.1)."""
    initial: float = 0.5
    """Probability of each edge at the start (0.5)."""
    baseline: Baseline = "leave_one_out"
    """Subtracted from utilities: none, constant, batch_mean or leave_one_out (none)."""
    constant: float = 0.5
    """The constant baseline."""
    learned_order: bool = False
    """Draw the order of nodes as well (false)."""
    edge_cost: float = 0.0
    """Taken from the utility for each edge: what a message costs (0)."""
    threshold: float = 0.5
    """Edges above it are realised (0.5)."""
    seed: int = 0
    """Of graphs and tasks."""

    def __post_init__(self) -> None:
        if self.baseline not in BASELINES:
            names = ", ".join(BASELINES)
            raise ValueError(f"baseline is {self.baseline!r}: choose one of {names}.")
        if not 0.0 < self.initial < 1.0:
            raise ValueError(f"initial is {self.initial:g}: give a probability between 0 and 1.")
        if min(self.iterations, self.graphs, self.tasks) < 1:
            raise ValueError("iterations, graphs and tasks must be 1 or more.")
        if self.baseline == "leave_one_out" and self.graphs < 2:
            raise ValueError("The baseline leave_one_out needs 2 graphs or more per step.")


@dataclass(frozen=True)
class DrawnGraphs:
    """Some graphs drawn at once.

    Attributes:
        edges: of each graph.
        taken: ``(M, d)`` 1 for edges that are in.
        visited: ``(M, d)`` 1 for edges that chance decided; others add nothing to the likelihood.
        orders: ``(M, n)`` drawn node orders, or None.
    """

    edges: tuple[tuple[Edge, ...], ...]
    taken: torch.Tensor
    visited: torch.Tensor
    orders: NDArray[np.int64] | None


class EdgeDistribution:
    """A distribution over the graphs of a swarm.

    Attributes:
        swarm: whose potential edges these are.
        logits: ``(d,)`` of the edges' probabilities.
        order_logits: ``(n,)`` of the nodes' places, high is early; used with ``learned_order``.
    """

    def __init__(self, swarm: Swarm, initial: float = 0.5, learned_order: bool = False) -> None:
        self.swarm = swarm
        self.potential = swarm.potential_edges
        self._number = {node.name: i for i, node in enumerate(swarm.nodes)}
        self._ends = [(self._number[a], self._number[b]) for a, b in self.potential]
        self._inner = [(self._number[a], self._number[b]) for a, b in sorted(swarm.inner_edges)]
        logit = float(np.log(initial / (1.0 - initial)))
        self.logits = torch.full((len(self.potential),), logit, requires_grad=True)
        self.order_logits = torch.zeros(len(self._number), requires_grad=True)
        self.learned_order = learned_order

    @property
    def probabilities(self) -> dict[Edge, float]:
        """Each potential edge's probability."""
        return dict(zip(self.potential, torch.sigmoid(self.logits).tolist(), strict=True))

    def draw(self, count: int, rng: np.random.Generator) -> DrawnGraphs:
        """Draw graphs.

        Returns:
            The graphs and what is needed for their likelihood.
        """
        chance = torch.sigmoid(self.logits).detach().numpy()
        orders = np.stack([self._draw_order(rng) for _ in range(count)])
        taken = np.zeros((count, len(self._ends)), np.float32)
        visited = np.zeros_like(taken)
        for m in range(count):
            wanted = rng.random(len(self._ends)) < chance
            order = orders[m] if self.learned_order else None
            self._admit(wanted, order, taken[m], visited[m])
        edges = tuple(self._edges(row) for row in taken)
        drawn = orders if self.learned_order else None
        return DrawnGraphs(edges, torch.from_numpy(taken), torch.from_numpy(visited), drawn)

    def log_likelihood(self, drawn: DrawnGraphs) -> torch.Tensor:
        """Return ``(M,)`` log-probabilities of the drawn graphs, differentiable in the logits."""
        logits = self.logits.expand_as(drawn.taken)
        losses = binary_cross_entropy_with_logits(logits, drawn.taken, reduction="none")
        total = -(losses * drawn.visited).sum(dim=1)
        if drawn.orders is not None:
            total = total + torch.stack([self._order_likelihood(order) for order in drawn.orders])
        return total

    def realise(self, threshold: float = 0.5) -> tuple[Edge, ...]:
        """Return the one graph to use: edges above the threshold, the likeliest first, no circles.

        Edges that lead to nodes off every path to the decision carry nothing, and are left out.
        """
        chance = torch.sigmoid(self.logits).detach().numpy()
        taken = np.zeros(len(chance), np.float32)
        order = self._draw_order(None) if self.learned_order else None
        ranked = np.argsort(-chance, kind="stable")
        self._admit(chance > threshold, order, taken, np.zeros_like(taken), ranked.tolist())
        needed = self.swarm.graph(self._edges(taken)).needed
        return tuple(edge for edge in self._edges(taken) if edge[1] in needed)

    def random(self, count: int, rng: np.random.Generator) -> tuple[Edge, ...]:
        """Return a control without learning: ``count`` random edges, fewer where circles forbid."""
        taken = np.zeros(len(self._ends), np.float32)
        everything = np.ones(len(self._ends), np.bool_)
        sequence = rng.permutation(len(self._ends)).tolist()
        self._admit(everything, None, taken, np.zeros_like(taken), sequence, most=count)
        return self._edges(taken)

    # -- parts --------------------------------------------------------------------------------

    def _edges(self, taken: NDArray[np.float32]) -> tuple[Edge, ...]:
        return tuple(edge for edge, is_in in zip(self.potential, taken, strict=True) if is_in)

    def _admit(
        self,
        wanted: NDArray[np.bool_],
        order: NDArray[np.int64] | None,
        taken: NDArray[np.float32],
        visited: NDArray[np.float32],
        sequence: Iterable[int] | None = None,
        most: int | None = None,
    ) -> None:
        """Go through the edges; fill in which were taken and which chance decided."""
        # Node sets as bits of an integer: before[j] holds all from which j can be reached.
        before = [1 << i for i in range(len(self._number))]
        for edge in self._inner:
            _join(before, *edge)
        place = None if order is None else np.argsort(order)
        for e in range(len(self._ends)) if sequence is None else sequence:
            source, target = self._ends[e]
            closes = before[source] >> target & 1
            if closes or (place is not None and place[source] > place[target]):
                continue
            if most is not None and taken.sum() >= most:
                return
            visited[e] = 1.0
            if wanted[e]:
                taken[e] = 1.0
                _join(before, source, target)

    def _draw_order(self, rng: np.random.Generator | None) -> NDArray[np.int64]:
        """Return nodes in an order that inner edges allow; without ``rng``, the likeliest one."""
        if not self.learned_order:
            return np.arange(len(self._number))
        logits = self.order_logits.detach().numpy()
        order: list[int] = []
        while len(order) < len(logits):
            ready = self._ready(order)
            if rng is None:
                order.append(max(ready, key=lambda i: (logits[i], -i)))
            else:
                weights = np.exp(logits[ready] - logits[ready].max())
                order.append(int(rng.choice(ready, p=weights / weights.sum())))
        return np.array(order)

    def _order_likelihood(self, order: NDArray[np.int64]) -> torch.Tensor:
        total = torch.zeros(())
        for place, node in enumerate(order.tolist()):
            ready = self._ready(order[:place].tolist())
            total = total + self.order_logits[node] - torch.logsumexp(self.order_logits[ready], 0)
        return total

    def _ready(self, done: Sequence[int]) -> list[int]:
        """Return nodes that may come next: all inner predecessors placed, and the decision last."""
        waiting = {target for source, target in self._inner if source not in done}
        last = self._number[self.swarm.decision.name]
        ready = [i for i in self._number.values() if i not in done and i not in waiting]
        return [i for i in ready if i != last] or ready


def _join(before: list[int], source: int, target: int) -> None:
    """Note that whatever reaches ``source`` now reaches ``target`` and all behind it."""
    for node, reached_from in enumerate(before):
        if reached_from >> target & 1:
            before[node] |= before[source]


@dataclass
class EdgeResult:
    """What was learned.

    Attributes:
        distribution: of graphs, at the end.
        edges: of the realised graph.
        utilities: mean utility of the drawn graphs, per step.
        graphs_tried: how many graphs were drawn.
    """

    distribution: EdgeDistribution
    edges: tuple[Edge, ...]
    utilities: list[float] = field(default_factory=list)
    graphs_tried: int = 0


async def optimise(
    swarm: Swarm,
    tasks: Sequence[T],
    utility: Utility[T],
    options: EdgeOptions,
    on_step: Callable[[int, float], None] | None = None,
) -> EdgeResult:
    """Learn a swarm's edges on training tasks.

    Args:
        swarm: its potential edges are learned.
        tasks: to draw from; keep others back to judge the result.
        utility: how well a graph does on a task, higher is better.
        options: of the optimisation.
        on_step: gets the number of each step done and its mean utility.

    Returns:
        The edges to use, their distribution and the course of the optimisation.
    """
    rng = np.random.default_rng(options.seed)
    distribution = EdgeDistribution(swarm, options.initial, options.learned_order)
    parameters = [distribution.logits, distribution.order_logits]
    adam = torch.optim.Adam(parameters, lr=options.learning_rate)
    result = EdgeResult(distribution, ())
    for step in range(options.iterations):
        drawn = distribution.draw(options.graphs, rng)
        chosen = [tasks[i] for i in rng.integers(len(tasks), size=options.tasks)]
        graphs = [swarm.graph(edges) for edges in drawn.edges]
        tries = [utility(graph, task) for graph in graphs for task in chosen]
        scores = np.reshape(await asyncio.gather(*tries), (len(graphs), -1)).mean(axis=1)
        costs = options.edge_cost * drawn.taken.sum(dim=1)
        advantage = advantages(torch.tensor(scores, dtype=torch.float32) - costs, options)
        adam.zero_grad()
        loss = -(advantage * distribution.log_likelihood(drawn)).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        result.utilities.append(float(scores.mean()))
        result.graphs_tried += len(graphs)
        if on_step is not None:
            on_step(step + 1, result.utilities[-1])
    result.edges = distribution.realise(options.threshold)
    return result


def advantages(utilities: torch.Tensor, options: EdgeOptions) -> torch.Tensor:
    """Return utilities ``(M,)`` less the baseline."""
    if options.baseline == "none":
        return utilities
    if options.baseline == "constant":
        return utilities - options.constant
    centred = utilities - utilities.mean()
    if options.baseline == "batch_mean":
        return centred
    # u_i less the mean of the others: the batch mean without its bias.
    return centred * len(utilities) / (len(utilities) - 1)
