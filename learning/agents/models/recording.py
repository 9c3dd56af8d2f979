"""Recorded traffic: keep what a model said, and let it say the same again without it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from learning.agents.graph.messages import AgentError, Answer, FailureKind
from learning.agents.models.model import Model, OnText, Request

_ANSWER = TypeAdapter(Answer)


class RecordingModel:
    """Passes requests on to a model and appends request and reply to a file, one JSON per line."""

    def __init__(self, model: Model, path: Path) -> None:
        self._model, self._path = model, path
        self.name = model.name
        path.parent.mkdir(parents=True, exist_ok=True)

    async def complete(self, request: Request, on_text: OnText | None = None) -> Answer:
        """Ask the model; see :class:`learning.agents.models.model.Model`."""
        answer = await self._model.complete(request, on_text)
        line = {
            "key": _key(request),
            "task": request.task,
            "answer": _ANSWER.dump_python(answer, mode="json"),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        return answer


class ReplayModel:
    """Says again what was recorded; of several replies to one request, one after the other.

    Raises:
        ValueError: the file holds a line that is no recorded reply.
    """

    name = "replay"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._replies: dict[str, list[Answer]] = {}
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                line = json.loads(text)
                reply = _ANSWER.validate_python(line["answer"])
                self._replies.setdefault(line["key"], []).append(reply)
            except (ValueError, KeyError, TypeError, ValidationError) as error:
                raise ValueError(f"{path}, line {number}: no recorded reply ({error}).") from error

    async def complete(self, request: Request, on_text: OnText | None = None) -> Answer:
        """The recorded reply; see :class:`learning.agents.models.model.Model`."""
        replies = self._replies.get(_key(request))
        if not replies:
            text = f"{self._path} holds no reply to {request.task!r}; record the traffic anew."
            raise AgentError(FailureKind.REFUSED, text)
        answer = replies.pop(0) if len(replies) > 1 else replies[0]
        if on_text is not None:
            on_text(answer.text)
        return Answer(answer.text, answer.data, f"replay of {answer.backend}", answer.usage)


def _key(request: Request) -> str:
    """Equal for requests that a server could not tell apart."""
    schema = json.dumps(request.schema.model_json_schema(), sort_keys=True)
    text = "\x00".join((request.system, request.prompt(), schema))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
