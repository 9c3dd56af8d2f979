"""Several agents as one graph: cross edges between them, and a decision node at the end.

After arXiv 2402.16823, section 2.2 and appendix E: inner edges stay; every ordered pair of nodes
from different agents is a potential edge, as is each agent's output to the decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from learning.agents.graph.graph import Edge, Graph, Node


@dataclass(frozen=True)
class Swarm:
    """A composite graph whose cross edges are still open.

    Attributes:
        agents: graphs by name; a node of an agent with several is called ``agent/node`` here.
        decision: hears the agents and gives the answer.
    """

    agents: Mapping[str, Graph]
    decision: Node

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, the decision last."""
        inner = [
            replace(node, name=_name(agent, graph, node.name))
            for agent, graph in self.agents.items()
            for node in graph.nodes
        ]
        return (*inner, self.decision)

    @cached_property
    def inner_edges(self) -> frozenset[Edge]:
        """The agents' own edges, which are not learned."""
        return frozenset(
            (_name(agent, graph, source), _name(agent, graph, target))
            for agent, graph in self.agents.items()
            for source, target in graph.edges
        )

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """The agents' output nodes."""
        return tuple(_name(agent, graph, graph.output) for agent, graph in self.agents.items())

    @cached_property
    def potential_edges(self) -> tuple[Edge, ...]:
        """All cross edges, then all edges into the decision; none leaves the decision."""
        cross = [
            (_name(one, graph, source.name), _name(other, neighbour, target.name))
            for one, graph in self.agents.items()
            for other, neighbour in self.agents.items()
            if one != other
            for source in graph.nodes
            for target in neighbour.nodes
        ]
        return (*cross, *self.vote_edges)

    @property
    def vote_edges(self) -> tuple[Edge, ...]:
        """From each agent's output to the decision: all that a plain vote has."""
        return tuple((output, self.decision.name) for output in self.outputs)

    def graph(self, edges: Iterable[Edge]) -> Graph:
        """Return the swarm with some of its potential edges."""
        return Graph(self.nodes, self.inner_edges | frozenset(edges), self.decision.name)


def _name(agent: str, graph: Graph, node: str) -> str:
    return agent if len(graph.nodes) == 1 else f"{agent}/{node}"


def single(node: Node) -> Graph:
    """Return an agent of one node."""
    return Graph((node,), frozenset(), node.name)
