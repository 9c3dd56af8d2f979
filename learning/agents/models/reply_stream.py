"""A server's reply, put together from events or from one JSON body, whatever is odd about them."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from learning.agents.models.reply_text import describe_error, printable

# An answer is a few hundred bytes; events wrap each word in some 200 more.
LIMIT_BYTES = 4 * 1024 * 1024


class ReplyTooLongError(ValueError):
    """A reply goes beyond its limit of bytes."""


class ServerSaidError(ValueError):
    """A reply with status 200 that is an error."""


@dataclass
class ServerReply:
    """What came of one request.

    Attributes:
        on_text: gets each piece of the answer.
        pieces: of the answer's text.
        arguments: of tool calls, where a server answers by one.
        refusal: why a model refuses.
        finish_reason: why it ended; empty where it does not say.
        prompt_tokens, completion_tokens: what it cost; 0 where it does not say.
    """

    on_text: Callable[[str], None] | None = None
    pieces: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    refusal: str = ""
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    is_chat: bool = False

    @property
    def text(self) -> str:
        """The answer; that of its tool calls where there is no other."""
        return "".join(self.pieces) or "".join(self.arguments)

    def add(self, chunk: Any) -> None:
        """Take one event or body; what has no known form is passed over.

        Raises:
            ServerSaidError: it is an error.
        """
        if not isinstance(chunk, Mapping):
            return
        if chunk.get("error"):
            raise ServerSaidError(describe_error(json.dumps(chunk)))
        self._count(chunk.get("usage"))
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            # One answer was asked for; others would be mixed into it.
            if isinstance(choice, Mapping) and choice.get("index") in (None, 0):
                self.is_chat = True
                self._add_choice(choice)

    def _count(self, usage: Any) -> None:
        if isinstance(usage, Mapping):
            self.prompt_tokens = _tokens(usage.get("prompt_tokens"), self.prompt_tokens)
            self.completion_tokens = _tokens(usage.get("completion_tokens"), self.completion_tokens)

    def _add_choice(self, choice: Mapping[str, Any]) -> None:
        if isinstance(choice.get("finish_reason"), str):
            self.finish_reason = choice["finish_reason"]
        self._add_text(choice.get("text"))
        part = choice.get("delta") or choice.get("message")
        if not isinstance(part, Mapping):
            return
        self._add_text(part.get("content"))
        if isinstance(part.get("refusal"), str):
            self.refusal += part["refusal"]
        calls = part.get("tool_calls")
        for call in calls if isinstance(calls, list) else []:
            self._add_call(call.get("function") if isinstance(call, Mapping) else None)
        self._add_call(part.get("function_call"))

    def _add_text(self, content: Any) -> None:
        if isinstance(content, list):
            for one in content:
                self._add_text(one.get("text") if isinstance(one, Mapping) else one)
            return
        text = json.dumps(content) if isinstance(content, Mapping) else content
        if isinstance(text, str) and text:
            self.pieces.append(printable(text))
            if self.on_text is not None:
                self.on_text(self.pieces[-1])

    def _add_call(self, function: Any) -> None:
        arguments = function.get("arguments") if isinstance(function, Mapping) else None
        if arguments:
            self.arguments.append(
                arguments if isinstance(arguments, str) else json.dumps(arguments)
            )


class ReplyReader:
    """Reads the bytes of a reply into a :class:`ServerReply`.

    Args:
        reply: what is filled.
        limit_bytes: of the whole body.
    """

    def __init__(self, reply: ServerReply, limit_bytes: int = LIMIT_BYTES) -> None:
        self._reply, self._left = reply, limit_bytes
        self._limit = limit_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._line: list[str] = []
        self._event: list[str] = []
        self._body: list[str] = []  # lines that belong to no event
        self.is_done = False

    def feed(self, data: bytes) -> None:
        """Take bytes as they come.

        Raises:
            ReplyTooLongError: there are more than the limit.
        """
        self._left -= len(data)
        if self._left < 0:
            raise ReplyTooLongError(f"more than {self._limit:,} bytes")
        first, *rest = self._decoder.decode(data).split("\n")
        self._line.append(first)
        for piece in rest:
            self._take("".join(self._line).rstrip("\r"))
            self._line = [piece]

    def end(self) -> str:
        """Take what is left; return the body, where the reply was no stream of events.

        Returns:
            The body as text; empty after a stream of events.
        """
        self._take("".join(self._line).rstrip("\r"))
        self._take("")
        body = "\n".join(self._body).strip()
        if not self._reply.is_chat:
            for value in _values(body):
                self._reply.add(value)
        return body

    def _take(self, line: str) -> None:
        if line.startswith("data:"):
            self._event.append(line[5:].removeprefix(" "))
        elif line.strip():
            # Names, numbers and pings of events are passed over, too: they are no JSON.
            self._body.append(line)
        elif self._event:
            self._dispatch("\n".join(self._event))
            self._event = []

    def _dispatch(self, data: str) -> None:
        if data.strip() == "[DONE]":
            self.is_done = True
            return
        # Some servers leave out the empty line between events.
        for value in _values(data):
            self._reply.add(value)


def _values(text: str) -> Iterator[Any]:
    """Yield the JSON of a text, or of each of its lines that holds some."""
    for part in (text, *text.split("\n")):
        try:
            yield json.loads(part)
        except (ValueError, RecursionError):
            continue
        if part is text:
            return


def _tokens(value: Any, default: int) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return int(value) if is_count else default
