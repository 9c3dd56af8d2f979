"""What a skill is: a name, limits, the orders that mean it, and a routine over a robot's body.

A skill is one file beside this one and a line in ``registry.py``; an allow-list can only narrow it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, field_validator

from asterias.arrays import FloatArray, ImageArray
from learning.agents.messages import Answer

Limits = Mapping[str, tuple[float, float]]


class NumberArgument(BaseModel):
    """A number by name; OpenAI's strict schemas know no free-form objects."""

    model_config = ConfigDict(extra="forbid")

    name: str
    value: float


class PlannedCall(BaseModel):
    """A call of a skill as models write it."""

    model_config = ConfigDict(extra="forbid")

    skill: str
    numbers: list[NumberArgument]

    @field_validator("numbers", mode="before")
    @classmethod
    def _from_object(cls, numbers: Any) -> Any:
        """Return a list also for an object of numbers, as older recordings hold it."""
        if isinstance(numbers, Mapping):
            return [{"name": name, "value": value} for name, value in numbers.items()]
        return numbers


class Plan(BaseModel):
    """A sequence of skills: the answer to *Do X*, and the JSON schema sent to servers."""

    model_config = ConfigDict(extra="forbid")

    calls: list[PlannedCall]
    reason: str


class SkillCall(BaseModel):
    """A skill by name with numbers as arguments."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    skill: str
    numbers: dict[str, float] = {}

    @field_validator("numbers", mode="before")
    @classmethod
    def _from_list(cls, numbers: Any) -> Any:
        """Return an object also for a list of names and values; a name may stand there once.

        Raises:
            ValueError: a name stands there twice.
        """
        if not isinstance(numbers, list):
            return numbers
        pairs = [NumberArgument.model_validate(one) for one in numbers]
        by_name = {one.name: one.value for one in pairs}
        if len(by_name) < len(pairs):
            raise ValueError("a number is given twice")
        return by_name

    def __str__(self) -> str:
        numbers = ", ".join(f"{name}={value:g}" for name, value in sorted(self.numbers.items()))
        return f"{self.skill}({numbers})"


@dataclass(frozen=True)
class SearchResult:
    """How a search for the target ended; ``camera`` names the one that found it."""

    found: bool
    camera: str
    steps: int
    reason: str = ""


class SkillBody(Protocol):
    """What skills may do with a robot's limb; each raises ``AgentError`` where it cannot."""

    joints: list[str]
    cameras: list[str]
    broken: dict[str, str]
    """What is wrong with cameras that the last check found broken."""

    def position_rad(self) -> FloatArray:
        """Return a copy of the measured joints ``(n,)``."""

    async def send(self, position_rad: FloatArray) -> None:
        """Command joint positions once."""

    async def move(self, goal_rad: FloatArray) -> FloatArray:
        """Command joint positions until they are reached; return where the joints then are."""

    async def rest(self) -> None:
        """Wait until the joints have stopped."""

    def last_images(self) -> dict[str, ImageArray]:
        """Return the newest image of each camera that gives some."""

    async def new_images(self) -> dict[str, ImageArray]:
        """Return an image of each camera taken from now on, without cameras that give none."""

    async def sees_target(self, camera: str) -> bool:
        """Return whether a camera's next image shows the target."""

    async def search(self, max_steps: int, seed: int | None, attempt: int) -> SearchResult:
        """Search for the target without the cameras that are broken."""


SkillRoutine = Callable[[SkillBody, SkillCall], Awaitable[Answer]]


@dataclass(frozen=True)
class Skill:
    """One skill.

    Attributes:
        name: as calls and allow-lists name it.
        routine: answers only when it has seen the effect, and else raises ``AgentError``: that a
            command was sent is not reported as success.
        moves: whether the robot moves; such calls need a person's approval where that is on.
        numbers: lowest and highest value of each argument.
        takes_joints: joints of the robot are arguments, too; the allow-list gives their limits.
        example: an order that means it.
        phrases: regular expressions for whole orders, lower case, without words of politeness. A
            group ``joint`` with ``value`` and ``unit`` names an argument.
        continuations: the same for what may follow after *and*, such as ``wrist to 0.3``.
        preparation: skills that are done first, where they are allowed.
        verbs, objects: words of orders for the experiment on learning to choose a skill.
    """

    name: str
    routine: SkillRoutine
    moves: bool
    example: str
    phrases: tuple[str, ...]
    numbers: Limits = field(default_factory=dict)
    takes_joints: bool = False
    continuations: tuple[str, ...] = ()
    preparation: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
