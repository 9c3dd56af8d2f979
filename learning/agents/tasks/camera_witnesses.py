"""Camera tiles as witnesses: "I see the tag at left, 30 px", or nothing, as things stand now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learning.agents.graph.decisions import vote
from learning.agents.graph.graph import Graph, Node
from learning.agents.messages import Answer, Message, Task
from learning.agents.models.model import Model, Request
from learning.agents.models.scripted import Rule, ScriptedModel

# What agents call what is seen: the word of the fault that shows itself so.


@dataclass(frozen=True)
class TileReport:
    """What a camera's newest picture shows.

    Attributes:
        sees: whether the tag is in it.
        across: where, from 0 (left edge) to 1 (right edge).
        side_px: mean length of the tag's sides.
    """

    sees: bool
    across: float = 0.0
    side_px: float = 0.0


Look = Callable[[], Awaitable[TileReport]]


def _say(request: Request) -> Mapping[str, Any]:
    report: Mapping[str, Any] = request.fields["tile"]
    if not report["sees"]:
        return {"answer": None, "text": "I see no tag."}
    across = report["across"]
    side = "left" if across < 1 / 3 else "right" if across > 2 / 3 else "the middle"
    text = f"I see the tag at {side}, {report['side_px']:.0f} px."
    return {"answer": request.fields["me"], "text": text}


def scripted_witness() -> ScriptedModel:
    """Return a model that answers with the camera's report."""
    return ScriptedModel([Rule("say what is seen", lambda r: "tile" in r.fields, _say)])


def witness(name: str, look: Look, model: Model, timeout_s: float) -> Node:
    """Return a member that reports for one camera.

    What it says comes from a model; ``sees`` in its data comes from the detector alone, so that no
    text can make a camera see.
    """

    async def routine(task: Task, inputs: Sequence[Message]) -> Answer:
        report = await look()
        request = Request(
            system=f"You speak for {name} of a robot. Say what its picture shows.",
            task=task.text,
            fields={"tile": vars(report), "me": name},
        )
        reply = await model.complete(request)
        data = {**reply.data, "answer": name if report.sees else None, "sees": report.sees}
        return Answer(reply.text, data, reply.backend, reply.usage)

    return Node(name, routine, "perception", timeout_s)


def cameras_graph(witnesses: Sequence[Node]) -> Graph:
    """Return the graph of *Which camera sees the target?*, without moving."""
    decision = vote(silence="none")
    edges = frozenset((one.name, decision.name) for one in witnesses)
    return Graph((*witnesses, decision), edges, decision.name)
