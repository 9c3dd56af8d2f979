"""Orders by rule: every word of an order is accounted for, or the order is refused.

An order is split into clauses; each must be, as a whole, a phrase of a skill, a question that
cameras answer, or a request for a report. Negations, conditions and anything else that is not
wholly understood refuse the whole order, with the words that were not understood.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asterias.errors import UserError
from learning.agents.models.reply_text import short
from learning.agents.skills.registry import SKILLS
from learning.agents.skills.skill import Skill

# Longer orders are no orders, and every expression below takes time in proportion.
_MOST_CHARACTERS = 500
_NEGATIONS = re.compile(
    r"not|never|no|none|nothing|nobody|without|except|avoid|refrain|dont|cant|\w+n't|cannot|nor"
    r"|neither|instead|cancel|skip"
)
_CONDITIONS = re.compile(
    r"if|unless|when|whenever|until|till|would|should|could|might|may|suppose|assume|assuming"
    r"|provided|while|once|before|after|case|else|otherwise|or"
)
_CLAUSE_END = re.compile(r"[;!?]+|[,.:](?=\s|$)|\b(?:and then|and|then)\b")
_POLITE = re.compile(
    r"^(?:(?:please|now|robot|next|hello|hi|ok|okay|(?:could|can|would|will) you)\s+)*"
)
_POLITE_END = re.compile(r"(?:\s+(?:please|for me|thanks|thank you))+$")
_SMALL_TALK = re.compile(r"please|now|robot|thanks|thank you|hello|hi|ok|okay")
_TARGET = r"(?:it|(?:the |a )?(?:target|tag|marker))"
_CAMERA = r"(?:which|what) cameras? (?:sees?|saw|can see|found|finds?|has seen)"
_QUESTIONS = re.compile(
    rf"{_CAMERA} {_TARGET}(?: now)?|(?:do|does|can) (?:you|any camera|a camera) see {_TARGET}"
    rf"|where (?:is|are) (?:{_TARGET}|the joints|your joints)"
)
_REPORTS = re.compile(
    rf"(?:tell|show) me (?:{_CAMERA} {_TARGET}|where (?:{_TARGET} is|it was)|the result)"
)
_HELP = re.compile(
    r"help|what (?:can|do) you (?:do|understand|know)|what are you able to do"
    r"|(?:which|what) orders do you (?:know|understand)|what are your skills"
)
_NAMES = re.compile(r"a|[a-z]+(?:_[a-z0-9]+)+|[+-]?\d+(?:\.\d+)?")  # known wherever they stand
_WORD = re.compile(r"[^\s,;!?]+")


@dataclass
class ReadOrder:
    """What an order means.

    Attributes:
        calls: skills with numbers, in the order in which they are done.
        wants_help: whether it asks what can be ordered.
        units: of angles that were named, for the check that they are the same.
    """

    calls: list[dict[str, Any]] = field(default_factory=list)
    wants_help: bool = False
    units: set[str] = field(default_factory=set)


def read_order(text: str, allowed: Iterable[str] | None = None) -> ReadOrder:
    """Return what an order means.

    Args:
        text: a person's words.
        allowed: names of skills that may be used for preparation; None: all.

    Raises:
        UserError: it is not wholly understood; the message names the words.
    """
    if len(text) > _MOST_CHARACTERS:
        raise UserError(f"An order has at most {_MOST_CHARACTERS} characters; say less at once.")
    known = SKILLS.names() if allowed is None else tuple(allowed)
    order, clauses = ReadOrder(), _clauses(text)
    if not clauses:
        raise UserError("The order is empty.")
    before: Skill | None = None
    for clause in clauses:
        before = _read_clause(clause, before, known, order)
    if len(order.units) > 1:
        raise UserError(f"The order mixes units ({', '.join(sorted(order.units))}); name one.")
    return order


def orders_understood(names: Iterable[str]) -> str:
    """Return a list of orders, one example for each skill."""
    skills = [SKILLS.get(name) for name in names if name in SKILLS]
    examples = [f"'{skill.example}' ({skill.name})" for skill in skills]
    listed = ", ".join([*examples, "'which camera sees the target?'", "'what can you do?'"])
    return f"I understand: {listed}."


def _clauses(text: str) -> list[str]:
    plain = text.lower().replace("\u2212", "-").replace("\u2019", "'")  # as keyboards write them
    clauses = []
    for part in _CLAUSE_END.split(plain):
        clause = _POLITE_END.sub("", _POLITE.sub("", f"{' '.join(part.split())} "))
        if clause.strip() and not _SMALL_TALK.fullmatch(clause.strip()):
            clauses.append(clause.strip())
    return clauses


def _read_clause(
    clause: str, before: Skill | None, allowed: Sequence[str], order: ReadOrder
) -> Skill | None:
    """Add what a clause means to the order; return the skill that it means, if any.

    Returns:
        The skill that the clause means; None when it only changes the order.

    Raises:
        UserError: it is not understood.
    """
    for word in _WORD.findall(clause):
        if _NEGATIONS.fullmatch(word):
            text = f"'{word}' in {short(clause)!r} negates it; only plain orders are obeyed."
            raise UserError(text)
    if _HELP.fullmatch(clause):
        order.wants_help = True
        return None
    if _QUESTIONS.fullmatch(clause) or _REPORTS.fullmatch(clause):
        return None
    for skill in _skills():
        for phrase in skill.phrases:
            if (match := re.fullmatch(phrase, clause)) is not None:
                _add_call(order, skill, match, allowed)
                return skill
    for phrase in before.continuations if before is not None else ():
        if before is not None and (match := re.fullmatch(phrase, clause)) is not None:
            _add_numbers(order, order.calls[-1]["numbers"], match)
            return before
    raise UserError(_not_understood(clause))


def _skills() -> list[Skill]:
    return [skill for _, skill in SKILLS.items()]


def _add_call(order: ReadOrder, skill: Skill, match: re.Match[str], allowed: Sequence[str]) -> None:
    for name in skill.preparation:
        if name in allowed and not any(call["skill"] == name for call in order.calls):
            order.calls.append({"skill": name, "numbers": {}})
    numbers: dict[str, float] = {}
    _add_numbers(order, numbers, match)
    order.calls.append({"skill": skill.name, "numbers": numbers})


def _add_numbers(order: ReadOrder, numbers: dict[str, float], match: re.Match[str]) -> None:
    """Add the joint that a phrase names.

    Raises:
        UserError: it is named twice.
    """
    groups: Mapping[str, str | None] = match.groupdict()
    joint, value = groups.get("joint"), groups.get("value")
    if joint is None or value is None:
        return
    name, unit = joint.strip().replace(" ", "_"), groups.get("unit") or ""
    if name in numbers:
        raise UserError(f"The order names {name} twice; which of the two is meant?")
    is_degrees = unit.startswith(("deg", "°"))
    order.units.add("degrees" if is_degrees else "rad" if unit else "no unit")
    numbers[name] = math.radians(float(value)) if is_degrees else float(value)


def _not_understood(clause: str) -> str:
    words = _WORD.findall(clause)
    for word in words:
        if _CONDITIONS.fullmatch(word):
            return f"'{word}' in {short(clause)!r} makes a condition; only plain orders are obeyed."
    vocabulary = _vocabulary()
    unknown = [word for word in words if word not in vocabulary and not _NAMES.fullmatch(word)]
    return f"I do not understand {', '.join(repr(short(word)) for word in unknown or [clause])}."


def _vocabulary() -> frozenset[str]:
    """Return the words of all phrases."""
    phrases = [phrase for skill in _skills() for phrase in skill.phrases]
    patterns = (*phrases, _QUESTIONS.pattern, _REPORTS.pattern)
    return frozenset(word for text in patterns for word in re.findall(r"[a-z_]{2,}", text))
