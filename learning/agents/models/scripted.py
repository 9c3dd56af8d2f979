"""The default model: visible rules, no network, seeded errors, and honest about all of that."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from learning.agents.messages import AgentError, Answer, FailureKind, Usage
from learning.agents.models.model import OnText, Request


@dataclass(frozen=True)
class Rule:
    """What a scripted model does with one kind of request.

    Attributes:
        name: in every reply.
        covers: whether the rule has an answer to this request.
        decide: the answer's fields, ``answer`` among them, and ``text`` to say it with.
    """

    name: str
    covers: Callable[[Request], bool]
    decide: Callable[[Request], Mapping[str, Any]]


class ScriptedModel:
    """Answers by the first rule that covers a request, and says so; refuses all others.

    Args:
        rules: in order of precedence.
        error_rate: share of answers replaced by another of the request's options. Which ones
            depends on the seed and the request alone, so runs repeat in whatever order they go.
        seed: of the errors.
    """

    name = "scripted"

    def __init__(self, rules: Sequence[Rule], error_rate: float = 0.0, seed: int = 0) -> None:
        if not 0.0 <= error_rate <= 1.0:
            raise ValueError(f"error_rate is {error_rate:g}: give a share from 0 to 1.")
        self._rules, self._error_rate, self._seed = tuple(rules), error_rate, seed

    async def complete(self, request: Request, on_text: OnText | None = None) -> Answer:
        """Answer by rule; see :class:`learning.agents.models.model.Model`.

        Returns:
            The answer of the first rule that applies.

        Raises:
            AgentError: no rule applies.
        """
        rule = next((rule for rule in self._rules if rule.covers(request)), None)
        if rule is None:
            known = ", ".join(rule.name for rule in self._rules)
            text = f"No rule of this scripted model covers {request.task!r}; its rules: {known}."
            raise AgentError(FailureKind.REFUSED, text)
        fields = dict(rule.decide(request))
        text = str(fields.pop("text", fields.get("answer")))
        if self._errs(request, fields):
            text = str(fields["answer"])
        reply = f"[scripted, rule {rule.name}] {text}"
        if on_text is not None:
            on_text(reply)
        return Answer(reply, fields, self.name, Usage(calls=1))

    def _errs(self, request: Request, fields: dict[str, Any]) -> bool:
        """Return whether to replace the answer by a wrong one, now and then."""
        others = [option for option in request.options if option != fields.get("answer")]
        if self._error_rate == 0.0 or not others:
            return False
        key = f"{self._seed}|{request.system}|{request.prompt()}".encode()
        rng = np.random.default_rng(list(hashlib.blake2b(key, digest_size=16).digest()))
        if rng.random() >= self._error_rate:
            return False
        fields["answer"] = str(rng.choice(others))
        return True
