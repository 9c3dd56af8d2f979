"""An agent as a graph: nodes, edges, one routine per node, one output node (arXiv 2402.16823, 2.2).

Graphs do not change; adding or removing an edge gives a new one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal

from asterias.errors import UserError
from asterias.files import read_json, write_json
from learning.agents.messages import Answer, Message, Task

Routine = Callable[[Task, Sequence[Message]], Awaitable[Answer]]
NodeKind = Literal["model", "tool", "perception", "skill", "decision"]
Edge = tuple[str, str]


class GraphError(UserError):
    """Nodes and edges do not make a graph; the message names the node."""


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        name: unique in its graph.
        routine: gets the task and its predecessors' outcomes, **always both**, and answers. Work
            that blocks goes through :func:`blocking`.
        kind: what it is, for records and drawings.
        timeout_s: how long it may take.
    """

    name: str
    routine: Routine
    kind: NodeKind = "tool"
    timeout_s: float = 30.0


@dataclass(frozen=True)
class Graph:
    """A directed acyclic graph of nodes with one output.

    Raises:
        GraphError: two nodes of one name, an edge to nowhere, a cycle, no such output.
    """

    nodes: tuple[Node, ...]
    edges: frozenset[Edge]
    output: str

    def __post_init__(self) -> None:
        known = {node.name for node in self.nodes}
        if len(known) < len(self.nodes):
            raise GraphError(f"Node names repeat in {sorted(node.name for node in self.nodes)}.")
        for name in (self.output, *(end for edge in self.edges for end in edge)):
            if name not in known:
                raise GraphError(
                    f"There is no node '{name}'; known are {', '.join(sorted(known))}."
                )
        try:
            self.order  # noqa: B018 - computed now, so that cycles are reported where they are made
        except CycleError as error:
            circle = " -> ".join(map(str, error.args[1]))
            raise GraphError(f"The edges go round in a circle: {circle}.") from error

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Names in topological order; of those that could come next, the one given first."""
        rank = {node.name: place for place, node in enumerate(self.nodes)}
        sorter = TopologicalSorter({name: self.predecessors[name] for name in rank})
        sorter.prepare()
        order: list[str] = []
        while sorter.is_active():
            ready = sorted(sorter.get_ready(), key=rank.__getitem__)
            order += ready
            sorter.done(*ready)
        return tuple(order)

    @cached_property
    def predecessors(self) -> dict[str, tuple[str, ...]]:
        """For each node, who it hears, in the order in which nodes were given."""
        rank = {node.name: place for place, node in enumerate(self.nodes)}
        inputs: dict[str, list[str]] = {name: [] for name in rank}
        for source, target in self.edges:
            inputs[target].append(source)
        return {name: tuple(sorted(who, key=rank.__getitem__)) for name, who in inputs.items()}

    @cached_property
    def needed(self) -> frozenset[str]:
        """Nodes on some path to the output; no others run."""
        found, open_ = {self.output}, [self.output]
        while open_:
            fresh = set(self.predecessors[open_.pop()]) - found
            found |= fresh
            open_ += fresh
        return frozenset(found)

    def node(self, name: str) -> Node:
        """Return the node of that name."""
        return next(node for node in self.nodes if node.name == name)

    def with_edges(self, edges: Iterable[Edge]) -> Graph:
        """Return the same graph with more edges."""
        return Graph(self.nodes, self.edges | frozenset(edges), self.output)

    def without_edges(self, edges: Iterable[Edge]) -> Graph:
        """Return the same graph with fewer edges."""
        return Graph(self.nodes, self.edges - frozenset(edges), self.output)


def save_edges(path: Path, edges: Iterable[Edge], probabilities: Mapping[Edge, float]) -> None:
    """Write the edges of a realised graph, and the probability of each potential edge."""
    chances = [[*edge, round(chance, 4)] for edge, chance in probabilities.items()]
    write_json(path, {"edges": [list(edge) for edge in edges], "probabilities": chances})


def load_edges(path: Path) -> tuple[Edge, ...]:
    """Return the edges in a file that ``save_edges`` has written.

    Raises:
        UserError: it cannot be read, or holds no graph.
    """
    content = read_json(path)
    try:
        return tuple((str(source), str(target)) for source, target in content["edges"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no learned graph; let optimise write one.") from error
