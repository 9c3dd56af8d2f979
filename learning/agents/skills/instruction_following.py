"""*Do X*: from a sentence to a sequence of skills, and to what became of it.

The plan is made from the person's order alone; what cameras, topics or other members say is never
part of the request. The graph: plan -> act -> one witness per camera -> answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from asterias.errors import UserError
from learning.agents.graph.graph import Graph, Node
from learning.agents.messages import (
    AgentError,
    Answer,
    FailureKind,
    Message,
    Task,
    answers,
    failures,
)
from learning.agents.models.model import Model, Request
from learning.agents.models.scripted import Rule, ScriptedModel
from learning.agents.skills.orders import orders_understood, read_order
from learning.agents.skills.registry import SKILLS
from learning.agents.skills.skill import Plan, SkillCall
from learning.agents.skills.skill_gate import SkillGate, describe

_SYSTEM = (
    "You turn a person's order into a sequence of the skills you know, as few as possible. "
    "Use only these skills and numbers. If nothing fits, give no calls and say why."
)
_MOST_CALLS = 20


def scripted_planner() -> ScriptedModel:
    """Return a model that plans by the words of the order; see ``orders.py``."""
    return ScriptedModel([Rule("words of the order", lambda r: True, _plan)])


def _plan(request: Request) -> Mapping[str, Any]:
    """Return the plan of an order.

    Raises:
        AgentError: the order is not wholly understood (refused).
    """
    allowed = tuple(request.fields.get("skills", SKILLS.names()))
    try:
        order = read_order(request.task, allowed)
    except UserError as error:
        text = f"{error} {orders_understood(allowed)}"
        raise AgentError(FailureKind.REFUSED, text) from error
    if order.wants_help:
        text = orders_understood(allowed)
        return {"calls": order.calls, "reason": "", "help": text, "text": text}
    if not order.calls:
        return {"calls": [], "reason": "", "text": "No skill is needed."}
    text = f"I do: {', '.join(call['skill'] for call in order.calls)}."
    return {"calls": order.calls, "reason": "Its words mean these skills.", "text": text}


def planner(model: Model, gate: SkillGate, name: str = "plan") -> Node:
    """Return the node *Which skills?*, without inputs: only the person's words make the plan."""

    async def routine(task: Task, inputs: Sequence[Message]) -> Answer:
        fields = {"skills": describe(gate.allowed)}
        return await model.complete(Request(_SYSTEM, task.text, fields=fields, schema=Plan))

    return Node(name, routine, "model")


def actor(gate: SkillGate, timeout_s: float, name: str = "act") -> Node:
    """Return the node that does the planned skills in turn, through the gate, until one fails."""

    async def routine(task: Task, inputs: Sequence[Message]) -> Answer:
        done: list[str] = []
        facts: dict[str, Any] = {}
        calls = _planned(inputs)
        for call in calls:
            gate.check(call)  # all of them, before the first is done
        for call in calls:
            try:
                effect = await gate.perform(call)
            except AgentError as error:
                before = f"Done before: {'; '.join(done)}. " if done else ""
                raise AgentError(error.kind, f"{before}{error}") from error
            done.append(effect.text)
            facts |= effect.data
        return Answer("; ".join(done), facts, "skills")

    return Node(name, routine, "skill", timeout_s)


def _planned(inputs: Sequence[Message]) -> list[SkillCall]:
    """Return the calls of the plan among the inputs; all of them can be read, or none is done.

    Raises:
        AgentError: the plan is missing, unreadable or too long.
    """
    calls: list[SkillCall] = []
    for sender, failure in failures(inputs):
        raise AgentError(FailureKind.NO_INPUT, f"'{sender}' made no plan: {failure.text}")
    for sender, plan in answers(inputs):
        try:
            calls += [SkillCall.model_validate(call) for call in plan.data.get("calls", [])]
        except (ValidationError, TypeError) as error:
            text = f"The plan of '{sender}' cannot be read: {error}"
            raise AgentError(FailureKind.MALFORMED, text) from error
    if len(calls) > _MOST_CALLS:
        text = f"The plan has {len(calls)} steps; at most {_MOST_CALLS} are done."
        raise AgentError(FailureKind.REFUSED, text)
    return calls


def joints_member(read: Callable[[], Mapping[str, float]], name: str = "joints") -> Node:
    """Return a node that reports joints; ``read`` gives rad by joint, empty when none is known."""

    async def routine(task: Task, inputs: Sequence[Message]) -> Answer:
        position = read()
        if not position:
            raise AgentError(FailureKind.ERROR, "No joint states come.")
        text = ", ".join(f"{joint} {angle:.2f} rad" for joint, angle in position.items())
        return Answer(f"{text}.", {"position_rad": dict(position)})

    return Node(name, routine, "perception")


def order_graph(plan: Node, act: Node, witnesses: Sequence[Node]) -> Graph:
    """Return the graph: plan, act, look, answer."""
    answer = Node("answer", _answer, "decision")
    edges = {(plan.name, act.name), (plan.name, answer.name), (act.name, answer.name)}
    for witness in witnesses:
        edges |= {(act.name, witness.name), (witness.name, answer.name)}
    return Graph((plan, act, *witnesses, answer), frozenset(edges), answer.name)


def plan_graph(plan: Node) -> Graph:
    """Return the graph of *Which skill next?*: the plan alone; nothing is done."""
    return Graph((plan,), frozenset(), plan.name)


async def _answer(task: Task, inputs: Sequence[Message]) -> Answer:
    """Return what was done, which healthy cameras see the target now, and the failures.

    Raises:
        AgentError: there is no plan, or it was not carried out.
    """
    replies, failed = dict(answers(inputs)), dict(failures(inputs))
    if "plan" in failed or "act" in failed:
        failure = failed.get("plan") or failed["act"]
        raise AgentError(failure.kind, failure.text)
    plan, act = replies.get("plan"), replies["act"]
    if plan is not None and plan.data.get("help"):
        return Answer(str(plan.data["help"]), {"answer": None, "evidence": [], "broken": {}})
    reason = "" if plan is None or plan.data.get("calls") else str(plan.data.get("reason", ""))
    broken: Mapping[str, str] = act.data.get("broken", {})
    cameras = {who: one for who, one in replies.items() if one.data.get("sees") is not None}
    seeing = [who for who, one in cameras.items() if one.data["sees"] and who not in broken]
    # The camera that an act named comes first, if it still sees the target.
    seeing.sort(key=lambda who: who != act.data.get("camera"))
    evidence = [f"{who}: {one.text}" for who, one in replies.items() if who != "plan" and one.text]
    evidence += [f"{who} failed: {failure.text}" for who, failure in failed.items()]
    where = f"{seeing[0]} sees the target" if seeing else "No healthy camera sees the target now"
    text = (
        "; ".join(
            part for part in (act.text or reason.rstrip("."), where if cameras else "") if part
        )
        + "."
    )
    data = {"answer": seeing[0] if seeing else None, "evidence": evidence, "broken": dict(broken)}
    return Answer(text, data)
