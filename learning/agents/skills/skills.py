"""Skills that move a robot: deny by default, numeric limits, a person's yes, the effect told truly.

A call is data, whoever wrote it: a rule, a language model, or a model that read something hostile.
The gate looks at the call alone, never at the words around it.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from learning.agents.graph.messages import AgentError, Answer, FailureKind

Finite = Annotated[float, Field(allow_inf_nan=False)]


class SkillCall(BaseModel):
    """A skill by name with numbers as arguments, as models write it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    skill: str
    numbers: dict[str, float] = {}

    def __str__(self) -> str:
        numbers = ", ".join(f"{name}={value:g}" for name, value in sorted(self.numbers.items()))
        return f"{self.skill}({numbers})"


class Plan(BaseModel):
    """A sequence of skills: the answer to *Do X*, and the JSON schema sent to servers."""

    model_config = ConfigDict(extra="forbid")

    calls: list[SkillCall]
    reason: str


class SkillRule(BaseModel):
    """What is allowed of one skill.

    Attributes:
        moves: whether the robot moves; such calls need a person's yes in approval mode.
        numbers: lowest and highest value of each argument; others are refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    moves: bool = False
    numbers: dict[str, tuple[Finite, Finite]] = {}


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    skills: dict[str, SkillRule]


def load_skill_rules(path: Path) -> dict[str, SkillRule]:
    """Read an allow-list; raises ``ValueError`` that names file, key and what is wrong."""
    try:
        return _File.model_validate(yaml.safe_load(path.read_text("utf-8"))).skills
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole"
        raise ValueError(f"{path}: {key}: {first['msg']}.") from error


Approve = Callable[[SkillCall], Awaitable[bool]]
Perform = Callable[[SkillCall], Awaitable[Answer]]


class SkillGate:
    """The one way to the robot's skills.

    Args:
        allowed: rules by skill; everything else is refused.
        skills: what a skill does. It answers only when it has seen the effect, and else raises
            ``AgentError``: that an act was sent is not told as success.
        approve: asks a person about each call that moves; anything but a yes in time is a no.
            None: no approval is needed.
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
            raise ValueError(f"There is no skill '{min(unknown)}' to allow; known are {known}.")
        self._allowed, self._skills, self._approve = dict(allowed), dict(skills), approve

    @property
    def allowed(self) -> Mapping[str, SkillRule]:
        """The rules."""
        return self._allowed

    def check(self, call: SkillCall) -> SkillRule:
        """The rule that allows a call; raises ``AgentError`` (refused) for all others."""
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
        """Check, ask, do; the answer tells the effect that was seen."""
        rule = self.check(call)
        if rule.moves and self._approve is not None and not await self._approve(call):
            raise AgentError(FailureKind.REFUSED, f"Nobody approved {call}; nothing was done.")
        return await self._skills[call.skill](call)


def describe(rules: Mapping[str, SkillRule]) -> dict[str, Any]:
    """The allow-list as plain data, to tell a model what it may ask for."""
    return {
        name: {arg: list(limits) for arg, limits in rule.numbers.items()}
        for name, rule in rules.items()
    }
