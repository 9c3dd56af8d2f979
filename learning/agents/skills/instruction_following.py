"""*Do X*: from a sentence to a sequence of skills, and to what became of it.

The plan is made from the person's order alone; what cameras, topics or other members say is never
part of the request. The graph: plan -> act -> one witness per camera -> answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from learning.agents.graph.graph import Graph, Node
from learning.agents.graph.messages import (
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
from learning.agents.skills.skills import Plan, SkillCall, SkillGate, describe

_SYSTEM = (
    "You turn a person's order into a sequence of the skills you know, as few as possible. "
    "Use only these skills and numbers. If nothing fits, give no calls and say why."
)
_NUMBER = r"(-?\d+(?:\.\d+)?)"
_MOVE = re.compile(rf"\b([a-z_]+(?: ?\d+)?) (?:to|by|at) {_NUMBER}(?: ?(rad|deg\w*|°))?")
_MEANS = {  # words of an order, and the skills they stand for, in the order in which they are done
    "check_cameras": r"\b(check|broken|look around|glance|inspect)\b|\bfind\b|\bsearch\b|\bseek\b",
    "find_target": r"\b(find|search|seek|locate)\b",
    "hold": r"\b(hold|stop|freeze|stay)\b",
}


def scripted_planner() -> ScriptedModel:
    """Plans by the words of the order."""
    return ScriptedModel(
        [
            Rule("move joints by name", lambda r: bool(_moves(r.task)), _plan_moves),
            Rule("words that mean skills", lambda r: bool(_meant(r.task)), _plan_words),
            Rule("questions need no skill", lambda r: "?" in r.task, _plan_nothing),
        ]
    )


def _moves(text: str) -> dict[str, float]:
    found = {}
    for name, value, unit in _MOVE.findall(text.lower()):
        factor = 0.017453292519943295 if unit and unit != "rad" else 1.0
        found[name.strip().replace(" ", "_")] = float(value) * factor
    return found


def _meant(text: str) -> list[str]:
    return [skill for skill, words in _MEANS.items() if re.search(words, text.lower())]


def _plan_moves(request: Request) -> Mapping[str, Any]:
    calls = [{"skill": "move_joints", "numbers": _moves(request.task)}]
    return {"calls": calls, "reason": "It names joints and numbers.", "text": "I move joints."}


def _plan_words(request: Request) -> Mapping[str, Any]:
    calls = [{"skill": skill} for skill in _meant(request.task)]
    text = f"I do: {', '.join(call['skill'] for call in calls)}."
    return {"calls": calls, "reason": "Its words mean these skills.", "text": text}


def _plan_nothing(request: Request) -> Mapping[str, Any]:
    return {"calls": [], "reason": "It is a question.", "text": "No skill is needed."}


def planner(model: Model, gate: SkillGate, name: str = "plan") -> Node:
    """*Which skills?* Hears nobody, so that only the person's words make the plan."""

    async def routine(task: Task, heard: Sequence[Message]) -> Answer:
        fields = {"skills": describe(gate.allowed)}
        return await model.complete(Request(_SYSTEM, task.text, fields=fields, schema=Plan))

    return Node(name, routine, "model")


def actor(gate: SkillGate, timeout_s: float, name: str = "act") -> Node:
    """Does the planned skills one after the other, through the gate; ends at the first failure."""

    async def routine(task: Task, heard: Sequence[Message]) -> Answer:
        done: list[str] = []
        facts: dict[str, Any] = {}
        for call in _planned(heard):
            try:
                effect = await gate.perform(call)
            except AgentError as error:
                before = f"Done before: {'; '.join(done)}. " if done else ""
                raise AgentError(error.kind, f"{before}{error}") from error
            done.append(effect.text)
            facts |= effect.data
        return Answer("; ".join(done), facts, "skills")

    return Node(name, routine, "skill", timeout_s)


def _planned(heard: Sequence[Message]) -> list[SkillCall]:
    """The calls of the plan that was heard; all of them can be read, or none is done."""
    calls: list[SkillCall] = []
    for sender, failure in failures(heard):
        raise AgentError(FailureKind.NO_INPUT, f"'{sender}' made no plan: {failure.text}")
    for sender, plan in answers(heard):
        try:
            calls += [SkillCall.model_validate(call) for call in plan.data.get("calls", [])]
        except (ValidationError, TypeError) as error:
            text = f"The plan of '{sender}' cannot be read: {error}"
            raise AgentError(FailureKind.MALFORMED, text) from error
    return calls


def joints_member(read: Callable[[], Mapping[str, float]], name: str = "joints") -> Node:
    """Says where the joints are; ``read`` gives rad by joint, or nothing when none is known."""

    async def routine(task: Task, heard: Sequence[Message]) -> Answer:
        position = read()
        if not position:
            raise AgentError(FailureKind.ERROR, "No joint states come.")
        text = ", ".join(f"{joint} {angle:.2f} rad" for joint, angle in position.items())
        return Answer(f"{text}.", {"position_rad": dict(position)})

    return Node(name, routine, "perception")


def order_graph(plan: Node, act: Node, witnesses: Sequence[Node]) -> Graph:
    """Plan, act, look, answer."""
    answer = Node("answer", _answer, "decision")
    edges = {(plan.name, act.name), (plan.name, answer.name), (act.name, answer.name)}
    for witness in witnesses:
        edges |= {(act.name, witness.name), (witness.name, answer.name)}
    return Graph((plan, act, *witnesses, answer), frozenset(edges), answer.name)


def plan_graph(plan: Node) -> Graph:
    """*Which skill next?* The plan alone; nothing is done."""
    return Graph((plan,), frozenset(), plan.name)


async def _answer(task: Task, heard: Sequence[Message]) -> Answer:
    """What was done, and which healthy cameras see the target now; failures are told."""
    said, failed = dict(answers(heard)), dict(failures(heard))
    if "plan" in failed or "act" in failed:
        failure = failed.get("plan") or failed["act"]
        raise AgentError(failure.kind, failure.text)
    act = said["act"]
    broken: Mapping[str, str] = act.data.get("broken", {})
    cameras = {who: one for who, one in said.items() if one.data.get("sees") is not None}
    seeing = [who for who, one in cameras.items() if one.data["sees"] and who not in broken]
    # The camera that an act named comes first, if it still sees the target.
    seeing.sort(key=lambda who: who != act.data.get("camera"))
    evidence = [f"{who}: {one.text}" for who, one in said.items() if who != "plan" and one.text]
    evidence += [f"{who} failed: {failure.text}" for who, failure in failed.items()]
    where = f"{seeing[0]} sees the target" if seeing else "No healthy camera sees the target now"
    text = "; ".join(part for part in (act.text, where if cameras else "") if part) + "."
    data = {"answer": seeing[0] if seeing else None, "evidence": evidence, "broken": dict(broken)}
    return Answer(text, data)
