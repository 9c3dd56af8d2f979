"""The record of a run: inputs and outcome of each node; saved as JSON, replayed, drawn."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from asterias.errors import UserError
from asterias.files import TEXT_LIMIT_BYTES, read_bytes, write_bytes
from learning.agents.graph.graph import Edge, Graph, Node, NodeKind, Routine
from learning.agents.messages import (
    AgentError,
    Answer,
    Failure,
    FailureKind,
    Message,
    Outcome,
    Task,
    Usage,
)


@dataclass(frozen=True)
class Step:
    """One node's turn; times in s since the run's start."""

    node: str
    kind: NodeKind
    # The key in files is older than the name.
    inputs: Annotated[tuple[str, ...], Field(validation_alias="heard", serialization_alias="heard")]
    outcome: Outcome
    started_s: float
    ended_s: float


@dataclass(frozen=True)
class RunRecord:
    """A whole run.

    Attributes:
        graph, task, output, edges: what was run.
        steps: in the order in which nodes ended.
        skipped: nodes off every path to the output, which did not run.
        duration_s: of the whole run, wall time.
    """

    graph: str
    task: str
    output: str
    edges: tuple[Edge, ...]
    steps: tuple[Step, ...]
    skipped: tuple[str, ...]
    duration_s: float

    @property
    def result(self) -> Outcome:
        """The output node's outcome."""
        return self.step(self.output).outcome

    @property
    def usage(self) -> Usage:
        """What all answers cost together."""
        spent = (s.outcome.usage for s in self.steps if isinstance(s.outcome, Answer))
        return sum(spent, Usage())

    @property
    def backends(self) -> tuple[str, ...]:
        """Back ends that answered, each once."""
        back_ends = {s.outcome.backend for s in self.steps if isinstance(s.outcome, Answer)}
        return tuple(sorted(back_ends))

    def step(self, node: str) -> Step:
        """Return a node's turn.

        Raises:
            KeyError: the node did not run.
        """
        for step in self.steps:
            if step.node == node:
                return step
        raise KeyError(node)

    def save(self, path: Path) -> None:
        """Write JSON, whole or not at all."""
        write_bytes(path, _JSON.dump_json(self, indent=2, by_alias=True) + b"\n")

    @classmethod
    def load(cls, path: Path) -> RunRecord:
        """Return the record in a JSON file.

        Raises:
            UserError: it cannot be read or is no record; the file, the key and what is wrong.
        """
        content = read_bytes(path, TEXT_LIMIT_BYTES)
        try:
            return _JSON.validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the whole"
            raise UserError(f"{path} is no record of a run: {place}: {first['msg']}.") from error


def recorded_graph(record: RunRecord) -> Graph:
    """Return the graph that was run, to be drawn or replayed from the record."""
    steps = {step.node: step for step in record.steps}
    ends = [name for edge in record.edges for name in edge]
    names = dict.fromkeys([*steps, *record.skipped, *ends])
    nodes = [Node(name, _silence, steps[name].kind if name in steps else "tool") for name in names]
    return replay(Graph(tuple(nodes), frozenset(record.edges), record.output), record)


async def _silence(task: Task, inputs: Sequence[Message]) -> Answer:
    raise AgentError(FailureKind.ERROR, "This node was not recorded.")


def replay(graph: Graph, record: RunRecord, live: Collection[str] = ()) -> Graph:
    """Return the graph with each node giving again its outcome of the record.

    Nodes in ``live`` keep their routines: a decision can be tried anew over recorded witnesses.
    Nodes that the record does not hold fail, as do those that now hear other nodes than then.
    """
    steps = {step.node: step for step in record.steps}
    nodes = [
        node if node.name in live else replace(node, routine=_repeat(node, steps.get(node.name)))
        for node in graph.nodes
    ]
    return Graph(tuple(nodes), graph.edges, graph.output)


def _repeat(node: Node, step: Step | None) -> Routine:
    async def routine(task: Task, inputs: Sequence[Message]) -> Answer:
        if step is None or step.inputs != tuple(message.sender for message in inputs):
            text = f"The record holds no answer of '{node.name}' to what it hears now; run it live."
            raise AgentError(FailureKind.ERROR, text)
        if isinstance(step.outcome, Failure):
            raise AgentError(step.outcome.kind, step.outcome.text)
        return step.outcome

    return routine


_JSON = TypeAdapter(RunRecord)
