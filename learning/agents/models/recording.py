"""Recorded traffic: replies of a model in a file, and a model that gives them again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from asterias.errors import UserError
from asterias.files import read_text
from learning.agents.messages import AgentError, Answer, FailureKind
from learning.agents.models.model import Model, OnText, Request
from learning.agents.models.reply_text import short

_ANSWER = TypeAdapter(Answer)


class RecordingModel:
    """Passes requests on to a model and appends request and reply to a file, one JSON per line."""

    def __init__(self, model: Model, path: Path) -> None:
        self._model, self._path = model, path
        self.name = model.name
        path.parent.mkdir(parents=True, exist_ok=True)

    async def complete(self, request: Request, on_text: OnText | None = None) -> Answer:
        """Return the model's answer; see :class:`learning.agents.models.model.Model`."""
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
        UserError: the file cannot be read, or holds a line that is no recorded reply.
    """

    name = "replay"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._replies: dict[str, list[Answer]] = {}
        for number, text in enumerate(read_text(path).splitlines(), start=1):
            try:
                line = json.loads(text)
                reply = _ANSWER.validate_python(line["answer"])
                self._replies.setdefault(line["key"], []).append(reply)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                text = f"{path}, line {number}: no recorded reply ({_reason(error)})."
                raise UserError(text) from error

    async def complete(self, request: Request, on_text: OnText | None = None) -> Answer:
        """Return the recorded reply; see :class:`learning.agents.models.model.Model`.

        Raises:
            AgentError: there is none (refused).
        """
        replies = self._replies.get(_key(request))
        if not replies:
            text = f"{self._path} holds no reply to {request.task!r}; record the traffic anew."
            raise AgentError(FailureKind.REFUSED, text)
        answer = replies.pop(0) if len(replies) > 1 else replies[0]
        if on_text is not None:
            on_text(answer.text)
        return Answer(answer.text, answer.data, f"replay of {answer.backend}", answer.usage)


def _reason(error: Exception) -> str:
    """Return why a line is no reply, in a few words."""
    if isinstance(error, ValidationError):
        return short(error.errors()[0]["msg"])
    return f"it has no {error}" if isinstance(error, KeyError) else short(str(error))


def _key(request: Request) -> str:
    """Return a digest that is equal for requests that a server could not distinguish."""
    schema = json.dumps(request.schema.model_json_schema(), sort_keys=True)
    text = "\x00".join((request.system, request.prompt(), schema))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
