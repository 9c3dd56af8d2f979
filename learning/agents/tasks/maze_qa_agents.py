"""Explorers of a maze as speakers of a mindstorm: what they ask, tell and conclude, by rule.

They speak of facts, ``[row, column, content]``, a few per turn. What several say of a cell is
settled by majority; one's own eyes count once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from asterias.arrays import Cell
from learning.agents.messages import Message, answers
from learning.agents.models.model import Model, Request
from learning.agents.models.scripted import Rule, ScriptedModel
from learning.agents.tasks.embodied_qa import FLOOR, WALL, KnownMap, Question, answer_from
from learning.agents.tasks.mindstorm import Mission, Speaker

FACTS_PER_TURN = 15
_REPORTED_OFTEN = 2  # what so many have reported need not be reported again


def mission_of(question: Question) -> Mission:
    """Return the question as a mission."""
    return Mission(question.text, {"question": question})


def explorer_speaker(name: str, known: KnownMap, size: int, model: Model | None = None) -> Speaker:
    """Return a member that knows a part of the maze."""
    role = "You explored a part of a maze. Tell what you saw; answer null if nobody can know."
    facts = [[row, column, content] for (row, column), content in known.items()]
    return Speaker(name, model or SCRIPTED, role, {"known": facts, "size": size})


def leader_speaker(size: int, model: Model | None = None, name: str = "leader") -> Speaker:
    """Return the leader, who knows nothing of the maze but what members report."""
    role = "You lead explorers of a maze. Ask what you need to know, then answer from it."
    return Speaker(name, model or SCRIPTED, role, {"size": size})


def _facts(inputs: Sequence[Message]) -> list[tuple[Cell, str]]:
    reported_facts = [answer.data.get("facts", ()) for _, answer in answers(inputs)]
    return [entry for facts in reported_facts for entry in _entries(facts)]


def _entries(facts: Iterable[Sequence[Any]]) -> list[tuple[Cell, str]]:
    return [((row, column), content) for row, column, content in facts]


def _known(request: Request) -> dict[Cell, str]:
    return dict(_entries(request.fields.get("known", ())))


def fuse(own: KnownMap, facts: Iterable[tuple[Cell, str]]) -> dict[Cell, str]:
    """Return one map from many reports: of each cell the most frequent; of equals, the first."""
    reports: dict[Cell, Counter[str]] = {cell: Counter([content]) for cell, content in own.items()}
    for cell, content in facts:
        reports.setdefault(cell, Counter())[content] += 1
    return {cell: reported.most_common(1)[0][0] for cell, reported in reports.items()}


def _ask(request: Request) -> Mapping[str, Any]:
    question: Question = request.fields["question"]
    reported_facts = len(_facts(request.inputs))
    about = {
        "what": "What have you seen there and around it?",
        "how many": f"Where have you seen this: {question.thing}? And what else lies where?",
        "how far": "What have you seen between these two places?",
    }[question.kind]
    return {"answer": None, "text": f"{about} I know {reported_facts} facts; tell what is missing."}


def _tell(request: Request) -> Mapping[str, Any]:
    known = _known(request)
    often = Counter(_facts(request.inputs))
    news = [entry for entry in known.items() if often[entry] < _REPORTED_OFTEN]
    mine = _facts_of(request.fields["me"], request.inputs)
    news = [entry for entry in news if entry not in mine]
    news.sort(key=lambda entry: _relevance(request.fields["question"], *entry))
    facts = [[row, column, content] for (row, column), content in news[:FACTS_PER_TURN]]
    things = [
        f"{what} at {row},{column}" for row, column, what in facts if what not in (WALL, FLOOR)
    ]
    text = f"I saw {len(facts)} more cells; {', '.join(things) or 'nothing lies there'}."
    return {"answer": None, "facts": facts, "text": text}


def _facts_of(name: str, inputs: Sequence[Message]) -> set[tuple[Cell, str]]:
    return set(_facts([message for message in inputs if message.sender == name]))


def _relevance(question: Question, cell: Cell, content: str) -> tuple[float, ...]:
    """Return the sort key of a fact: what helps most comes first."""
    if question.kind == "how many":
        return (content != question.thing, content in (WALL, FLOOR), *cell)
    # Cells on the straight way between the ends; for a single cell, those around it.
    detour = sum(abs(cell[0] - row) + abs(cell[1] - column) for row, column in question.cells)
    return (float(detour), *cell)


def _conclude(request: Request) -> Mapping[str, Any]:
    whole = fuse(_known(request), _facts(request.inputs))
    answer = answer_from(whole, request.fields["question"], request.fields["size"])
    text = "I cannot know." if answer is None else f"{answer}, from {len(whole)} known cells."
    return {"answer": answer, "text": text}


def _in_phase(phase: str, *, has_eyes: bool | None = None) -> Any:
    def covers(request: Request) -> bool:
        sees = "known" in request.fields
        is_phase = request.fields.get("phase") == phase and "question" in request.fields
        return is_phase and (has_eyes is None or sees == has_eyes)

    return covers


RULES = (
    Rule("tell what is new and near", _in_phase("interview", has_eyes=True), _tell),
    Rule("ask for what is missing", _in_phase("interview", has_eyes=False), _ask),
    Rule("fuse by majority", _in_phase("opinion"), _conclude),
)
SCRIPTED = ScriptedModel(RULES)
