"""Skills that move a robot: deny by default, numeric limits, approval by a person, effects as seen.

A call is data, whoever wrote it: a rule, a language model, or a model that read something hostile.
The gate looks at the call alone, never at the words around it.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from asterias.errors import UserError
from asterias.files import read_text
from asterias.yaml_text import load_yaml
from hardware.description.fields import Finite
from learning.agents.messages import AgentError, Answer, FailureKind
from learning.agents.models.reply_text import short
from learning.agents.skills.registry import SKILLS
from learning.agents.skills.skill import SkillCall

_LIMIT_BYTES = 64 * 1024
_MOST_DEPTH = 8  # of limits in numbers in skills: 4


class SkillRule(BaseModel):
    """What is allowed of one skill.

    Attributes:
        moves: whether the robot moves; such calls need a person's approval where that is on.
        numbers: lowest and highest value of each argument; others are refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    moves: bool = False
    numbers: dict[str, tuple[Finite, Finite]] = {}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    skills: dict[str, SkillRule]


def load_skill_rules(path: Path) -> dict[str, SkillRule]:
    """Read an allow-list; it narrows the skills' own limits, and cannot widen them.

    Args:
        path: of a YAML file; a skill that it does not name is not allowed.

    Returns:
        The rules by skill.

    Raises:
        UserError: the file cannot be read, or names what no skill has; file, key and reason.
    """
    text = read_text(path, _LIMIT_BYTES)
    _check_structure(path, text)
    try:
        content = load_yaml(text)
    except UserError as error:
        raise UserError(f"{path} is no YAML: {short(str(error))}.") from error
    try:
        rules = _File.model_validate(content).skills
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole"
        raise UserError(f"{path}: {short(key)}: {first['msg']}.") from error
    return {name: _narrowed(path, name, rule) for name, rule in rules.items()}


def _check_structure(path: Path, text: str) -> None:
    """Refuse what would be costly to load.

    Raises:
        UserError: there are aliases, or lists in lists in lists.
    """
    depth = 0
    for event in _events(path, text):
        if isinstance(event, yaml.AliasEvent):
            raise UserError(f"{path} holds YAML aliases, which allow-lists do without.")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MOST_DEPTH:
            raise UserError(f"{path} is nested too deep for an allow-list.")


def _events(path: Path, text: str) -> Iterator[yaml.Event]:
    """Yield the events of a YAML text.

    Raises:
        UserError: it is no YAML.
    """
    try:
        yield from yaml.parse(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no YAML: {short(str(error))}.") from error


def _narrowed(path: Path, name: str, rule: SkillRule) -> SkillRule:
    """Return a rule within the skill's own limits.

    Raises:
        UserError: there is no such skill, or the rule goes beyond it.
    """
    try:
        skill = SKILLS.get(name)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    for number, (low, high) in rule.numbers.items():
        place = f"{path}: skills.{name}.numbers.{number}"
        if low > high:
            raise UserError(f"{place}: the lowest value {low:g} is above the highest {high:g}.")
        if number not in skill.numbers:
            if skill.takes_joints:
                continue
            known = ", ".join(skill.numbers) or "none"
            raise UserError(f"{place}: {name} has no such number (known: {known}).")
        lowest, highest = skill.numbers[number]
        if low < lowest or high > highest:
            limits = f"[{lowest:g}, {highest:g}]"
            raise UserError(f"{place}: [{low:g}, {high:g}] is beyond the skill's {limits}.")
    # A file cannot say that a skill that moves does not.
    return rule.model_copy(update={"moves": rule.moves or skill.moves})


Approve = Callable[[SkillCall], Awaitable[bool]]
Perform = Callable[[SkillCall], Awaitable[Answer]]


class SkillGate:
    """The one way to the robot's skills.

    Args:
        allowed: rules by skill; everything else is refused.
        skills: what a skill does, by name.
        approve: asks a person about each call that moves; anything but a yes in time is a no.
            None: no approval is needed.

    Raises:
        UserError: a rule names a skill that is not there.
    """

    def __init__(
        self,
        allowed: Mapping[str, SkillRule],
        skills: Mapping[str, Perform],
        approve: Approve | None = None,
    ) -> None:
        unknown = set(allowed) - set(skills)
        if unknown:
            known = ", ".join(sorted(skills))
            raise UserError(f"There is no skill '{min(unknown)}' to allow; known are {known}.")
        self._allowed, self._skills, self._approve = dict(allowed), dict(skills), approve

    @property
    def allowed(self) -> Mapping[str, SkillRule]:
        """Rules by skill."""
        return self._allowed

    def check(self, call: SkillCall) -> SkillRule:
        """Return the rule that allows a call.

        Raises:
            AgentError: there is none (refused).
        """
        rule = self._allowed.get(call.skill)
        if rule is None:
            names = ", ".join(sorted(self._allowed)) or "none"
            text = f"The skill {call.skill!r} is not allowed; allowed: {names}."
            raise AgentError(FailureKind.REFUSED, text)
        for name, value in call.numbers.items():
            if name not in rule.numbers:
                text = f"{call.skill} has no number {name!r} with limits, so it is refused."
                raise AgentError(FailureKind.REFUSED, text)
            low, high = rule.numbers[name]
            if not (math.isfinite(value) and low <= value <= high):
                text = f"{call.skill}: {name}={value:g} is outside [{low:g}, {high:g}]."
                raise AgentError(FailureKind.REFUSED, text)
        return rule

    async def perform(self, call: SkillCall) -> Answer:
        """Check a call, ask for approval, do it; return the effect that was seen.

        Returns:
            The effect that was seen.

        Raises:
            AgentError: it is not allowed, not approved, or had no effect.
        """
        rule = self.check(call)
        if rule.moves and self._approve is not None and not await self._approve(call):
            raise AgentError(FailureKind.REFUSED, f"Nobody approved {call}; nothing was done.")
        return await self._skills[call.skill](call)


def describe(rules: Mapping[str, SkillRule]) -> dict[str, Any]:
    """Return the allow-list as plain data, for the prompt of a model."""
    return {
        name: {arg: list(limits) for arg, limits in rule.numbers.items()}
        for name, rule in rules.items()
    }
