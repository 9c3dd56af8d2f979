"""Mindstorms (arXiv 2305.17066): members interview one another before the society answers.

Four phases: the mission is told; in rounds, the leader asks and all members answer at once; each
member, and the leader, forms an opinion on the whole record; a decision is made. Who decides is a
policy over the same record: the leader alone (monarchy) or a vote of the members (democracy).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from asterias.files import write_bytes
from learning.agents.graph.decisions import count_votes
from learning.agents.messages import (
    AgentError,
    Answer,
    Failure,
    FailureKind,
    Message,
    Outcome,
    Usage,
)
from learning.agents.models.model import Model, Request

Phase = Literal["mission", "interview", "opinion", "decision"]
Policy = Literal["monarchy", "democracy"]
POLICIES: tuple[Policy, ...] = ("monarchy", "democracy")


@dataclass(frozen=True)
class Utterance:
    """One reply: in which phase and round (from 1; 0 outside interviews), by whom."""

    phase: Phase
    round: int
    speaker: str
    outcome: Outcome


@dataclass(frozen=True)
class Mission:
    """What the society is to find out.

    Attributes:
        text: the question.
        fields: the same, typed.
        options: allowed answers; empty for a free answer.
    """

    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class MindstormRecord:
    """All replies; the decisions of both policies are made from it."""

    mission: Mission
    leader: str
    utterances: tuple[Utterance, ...]

    @property
    def usage(self) -> Usage:
        """What the whole mindstorm cost."""
        spent = (u.outcome.usage for u in self.utterances if isinstance(u.outcome, Answer))
        return sum(spent, Usage())

    def save(self, path: Path) -> None:
        """Write JSON, whole or not at all."""
        write_bytes(path, TypeAdapter(MindstormRecord).dump_json(self, indent=2) + b"\n")


@dataclass(frozen=True)
class Speaker:
    """A member: a model, its role, and what it alone knows (typed, never what is asked for)."""

    name: str
    model: Model
    role: str
    knows: Mapping[str, Any] = field(default_factory=dict)

    async def say(
        self, phase: Phase, task: str, mission: Mission, inputs: Sequence[Message]
    ) -> Outcome:
        """Return the answer to ``task``, given the record so far; a failure is an outcome, too."""
        request = Request(
            system=self.role,
            task=task,
            inputs=tuple(inputs),
            options=mission.options if phase == "opinion" else (),
            fields={**mission.fields, **self.knows, "phase": phase, "me": self.name},
        )
        try:
            return await self.model.complete(request)
        except AgentError as error:
            return error.failure


async def mindstorm(
    mission: Mission,
    leader: Speaker,
    members: Sequence[Speaker],
    *,
    rounds: int = 5,
    timeout_s: float = 300.0,
    on_utterance: Callable[[Utterance], None] = lambda utterance: None,
) -> MindstormRecord:
    """Hold the first three phases; :func:`decide` is the fourth.

    Args:
        mission: what to find out.
        leader: asks the questions; in a monarchy it decides.
        members: are interviewed, and have opinions.
        rounds: of interviews.
        timeout_s: after which interviews end and opinions are asked for.
        on_utterance: gets each utterance at once.

    Returns:
        The utterances of the three phases.
    """
    utterances: list[Utterance] = []

    def note(phase: Phase, number: int, speaker: str, outcome: Outcome) -> None:
        utterances.append(Utterance(phase, number, speaker, outcome))
        on_utterance(utterances[-1])

    note("mission", 0, leader.name, Answer(mission.text))
    deadline_s = asyncio.get_running_loop().time() + timeout_s
    for number in range(1, rounds + 1):
        if asyncio.get_running_loop().time() > deadline_s:
            break
        inputs = _inputs(utterances)
        question = await leader.say("interview", mission.text, mission, inputs)
        note("interview", number, leader.name, question)
        task = question.text if isinstance(question, Answer) else mission.text
        replies = [
            member.say("interview", task, mission, _inputs(utterances)) for member in members
        ]
        for member, reply in zip(members, await asyncio.gather(*replies), strict=True):
            note("interview", number, member.name, reply)
    everyone = [*members, leader]
    inputs = _inputs(utterances)
    opinions = [one.say("opinion", mission.text, mission, inputs) for one in everyone]
    for one, opinion in zip(everyone, await asyncio.gather(*opinions), strict=True):
        note("opinion", 0, one.name, opinion)
    return MindstormRecord(mission, leader.name, tuple(utterances))


def _inputs(utterances: Sequence[Utterance]) -> list[Message]:
    return [Message(one.speaker, one.outcome) for one in utterances if one.phase == "interview"]


def decide(record: MindstormRecord, policy: Policy) -> Outcome:
    """Return the decision: the leader's opinion, or the vote of the members' opinions.

    An opinion without a readable answer (``data["answer"]``, one of the mission's options where
    there are any) is an abstention; when all abstain, so does the society, with a failure.
    """
    opinions = [
        Message(one.speaker, _readable(one.outcome, record.mission))
        for one in record.utterances
        if one.phase == "opinion" and (one.speaker == record.leader) == (policy == "monarchy")
    ]
    try:
        return count_votes(opinions)
    except AgentError as error:
        return Failure(FailureKind.NO_INPUT, f"The {policy} has no answer: {error}")


def _readable(outcome: Outcome, mission: Mission) -> Outcome:
    if not isinstance(outcome, Answer):
        return outcome
    answer = outcome.data.get("answer")
    is_allowed = isinstance(answer, str) and (not mission.options or answer in mission.options)
    return outcome if is_allowed else Answer(outcome.text, {"answer": None}, outcome.backend)
