"""What language agents say: tasks, answers, failures. Text in all of them is data, never code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from asterias.errors import AsteriasError

Data = Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """A question or an order, and what there is to look at.

    Attributes:
        text: what a person asks.
        observations: what nodes may look at, by name; not kept in records.
    """

    text: str
    observations: Data = field(default_factory=dict)


@dataclass(frozen=True)
class Usage:
    """What answers cost: model calls, tokens, and money in the price list's currency."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cost + other.cost,
        )


@dataclass(frozen=True)
class Answer:
    """What a node says.

    Attributes:
        text: for people and for language models.
        data: the same as typed fields; ``answer`` is what votes count, None abstains.
        backend: what answered: a model's back end, or the kind of rule.
        usage: what it cost.
    """

    text: str
    data: Data = field(default_factory=dict)
    backend: str = "rule"
    usage: Usage = Usage()


class FailureKind(str, Enum):
    """Why there is no answer."""

    TIMEOUT = "timeout"
    CANCELED = "canceled"
    ERROR = "error"
    MALFORMED = "malformed"
    """The reply could not be read."""
    REFUSED = "refused"
    """Not allowed, or not covered by the rules of a scripted model."""
    NO_INPUT = "no_input"
    """Nobody that this node listens to has an answer."""


@dataclass(frozen=True)
class Failure:
    """That and why a node has no answer."""

    kind: FailureKind
    text: str


Outcome = Answer | Failure


@dataclass(frozen=True)
class Message:
    """What a node hears: the outcome of one of its predecessors."""

    sender: str
    outcome: Outcome


class AgentError(AsteriasError):
    """Raised by a routine or a model to fail with a kind and one sentence."""

    def __init__(self, kind: FailureKind, text: str) -> None:
        super().__init__(text)
        self.kind = kind

    @property
    def failure(self) -> Failure:
        """The same as a value."""
        return Failure(self.kind, str(self))


def answers(inputs: Sequence[Message]) -> list[tuple[str, Answer]]:
    """Return senders and answers among the messages, without the failures."""
    return [(m.sender, m.outcome) for m in inputs if isinstance(m.outcome, Answer)]


def failures(inputs: Sequence[Message]) -> list[tuple[str, Failure]]:
    """Return senders and failures among the messages."""
    return [(m.sender, m.outcome) for m in inputs if isinstance(m.outcome, Failure)]
