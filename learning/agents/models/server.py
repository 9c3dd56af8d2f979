"""Models behind any server that speaks the OpenAI chat protocol (vLLM, llama.cpp, Ollama, ...)."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import math
import os
import re
from dataclasses import dataclass
from typing import Any

import httpx

from learning.agents.messages import AgentError, Answer, FailureKind, Usage
from learning.agents.models.model import OnText, Request
from learning.agents.models.reply_stream import (
    ReplyReader,
    ReplyTooLongError,
    ServerReply,
    ServerSaidError,
)
from learning.agents.models.reply_text import (
    UnreadableReplyError,
    describe_error,
    read_reply,
    short,
)

_LOG = logging.getLogger(__name__)
_KEY = "OPENAI_API_KEY"
_ERROR_BODY_BYTES = 64 * 1024
_FORMATS = ("json_schema", "json_object", "none")
_DROPPABLE = ("stream_options", "seed", "temperature", "stream")
_PAUSE_S = 0.5  # before the second attempt; twice as long before each further one


@dataclass(frozen=True)
class ServerOptions:
    """How to reach a model."""

    model: str = "llama3.1"
    """Name of the model on the server."""
    base_url: str = "http://127.0.0.1:11434/v1"
    """Root of the server's API; the default is Ollama's on this machine."""
    timeout_s: float = 30.0
    """Time for one attempt."""
    retries: int = 2
    """Attempts after a first that failed on the way, and again after one that cannot be read."""
    temperature: float = 0.0
    """0 is as repeatable as the server can be, which is not a promise."""
    seed: int = 0
    """Sent along; servers may ignore it."""
    prompt_price: float = 0.0
    """Price of a million prompt tokens."""
    completion_price: float = 0.0
    """Price of a million completion tokens."""


class _TryAgainError(Exception):
    """An attempt failed on the way.

    Attributes:
        failure: reported when no attempt is left.
        pause_s: how long the server asks to wait; None where it does not.
    """

    def __init__(self, failure: AgentError, pause_s: float | None = None) -> None:
        super().__init__(str(failure))
        self.failure, self.pause_s = failure, pause_s


class _RejectedError(Exception):
    """The server does not take the request as it is; the message is its reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class ServerModel:
    """A model on a server; replies are streamed, must fit the request's JSON schema, and are paid.

    What a server refuses (a kind of response format, a parameter) is left out from then on.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._format, self._dropped = 0, set[str]()
        self.name = f"openai:{options.model}"
        self._where = re.sub(r"//[^/@]*@", "//", options.base_url.rstrip("/"))

    async def complete(self, request: Request, on_text: OnText | None = None) -> Answer:
        """Return a reply that can be read; see :class:`learning.agents.models.model.Model`.

        Raises:
            AgentError: there is none, and why.
        """
        usage, wrong = Usage(), ""
        messages = [
            {"role": "system", "content": _system(request)},
            {"role": "user", "content": request.prompt()},
        ]
        attempts = self._options.retries + 1
        for _ in range(attempts):
            reply = await self._ask(messages, request, on_text)
            usage += self._price(reply)
            try:
                self._check_finish(reply)
                fields = read_reply(reply.text, request.schema, request.options)
                return Answer(reply.text, fields, self.name, usage)
            except UnreadableReplyError as error:
                wrong = str(error)
            if reply.finish_reason == "length":
                wrong = f"cut off at the server's limit of length ({wrong})"
            again = f"That was not the JSON asked for ({wrong}). Answer again."
            messages = [
                *messages[:2],
                {"role": "assistant", "content": reply.text[:2000]},
                {"role": "user", "content": again},
            ]
        text = f"{self.name} gave no readable reply in {attempts} attempts: {wrong}."
        raise AgentError(FailureKind.MALFORMED, text)

    def _price(self, reply: ServerReply) -> Usage:
        prompt, completion, prices = reply.prompt_tokens, reply.completion_tokens, self._options
        cost = (prompt * prices.prompt_price + completion * prices.completion_price) / 1e6
        return Usage(1, prompt, completion, cost)

    def _check_finish(self, reply: ServerReply) -> None:
        """Raise ``AgentError`` (refused) for a reply that was held back.

        Raises:
            AgentError: the server held the reply back.
        """
        if reply.finish_reason == "content_filter":
            text = f"{self.name}: the server's content filter held the reply back."
            raise AgentError(FailureKind.REFUSED, text)
        if reply.refusal and not reply.text:
            raise AgentError(FailureKind.REFUSED, f"{self.name} refuses: {short(reply.refusal)}")

    # -- requests -----------------------------------------------------------------------------

    async def _ask(
        self, messages: list[dict[str, str]], request: Request, on_text: OnText | None
    ) -> ServerReply:
        """Return one reply, in the form that the server takes.

        Raises:
            AgentError: it takes none.
        """
        first: _RejectedError | None = None
        while True:
            try:
                return await self._with_retries(self._body(messages, request), on_text)
            except _RejectedError as error:
                first = first or error
                if not self._give_way(str(error)):
                    text = f"{self._where} answered {first.status}: {first}"
                    raise AgentError(FailureKind.ERROR, text) from error

    def _body(self, messages: list[dict[str, str]], request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._options.model,
            "messages": messages,
            "temperature": self._options.temperature,
            "seed": self._options.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if "stream" in self._dropped:
            body["stream"] = False
            del body["stream_options"]
        body = {key: one for key, one in body.items() if key not in self._dropped - {"stream"}}
        if _FORMATS[self._format] == "json_schema":
            schema = {
                "name": request.schema.__name__,
                "schema": request.schema.model_json_schema(),
                "strict": True,
            }
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif _FORMATS[self._format] == "json_object":
            body["response_format"] = {"type": "json_object"}
        return body

    def _give_way(self, reason: str) -> bool:
        """Leave out what the server's reason names, or else ask less of its format.

        Returns:
            Whether there was something to leave out.
        """
        for name in _DROPPABLE:
            if name not in self._dropped and re.search(rf"\b{name}\b", reason):
                self._dropped.add(name)
                _LOG.warning("%s does not take %s; it is left out.", self._where, name)
                return True
        if self._format + 1 == len(_FORMATS):
            return False
        refused = _FORMATS[self._format]
        self._format += 1
        _LOG.warning(
            "%s does not take the response format %s (%s); it is asked for %s.",
            *(self._where, refused, reason, _FORMATS[self._format].replace("none", "text")),
        )
        return True

    async def _with_retries(self, body: dict[str, Any], on_text: OnText | None) -> ServerReply:
        """Return a reply, after further attempts where the way failed.

        Raises:
            AgentError: all attempts failed, or the server asks to wait longer than allowed.
        """
        pause_s = _PAUSE_S
        for left in range(self._options.retries, -1, -1):
            try:
                return await self._attempt(body, on_text)
            except _TryAgainError as error:
                if error.pause_s is not None and error.pause_s > self._options.timeout_s:
                    limit = f"longer than the limit of {self._options.timeout_s:g} s"
                    text = f"{error.failure} It asks to wait {error.pause_s:g} s, {limit}."
                    raise AgentError(error.failure.kind, text) from error
                if left == 0:
                    raise error.failure from error
                await asyncio.sleep(pause_s if error.pause_s is None else error.pause_s)
                pause_s *= 2
        raise AgentError(FailureKind.ERROR, "retries is below 0; give 0 or more.")

    async def _attempt(self, body: dict[str, Any], on_text: OnText | None) -> ServerReply:
        """Return the reply to one request.

        Raises:
            AgentError: the address or the key cannot be used, or the reply is none.
            _TryAgainError: the way failed.
        """
        timeout_s = self._options.timeout_s
        try:
            # The client's time-out is for each piece: a trickle has to end as well.
            return await asyncio.wait_for(self._post(body, on_text), timeout_s)
        except (asyncio.TimeoutError, httpx.TimeoutException) as error:
            text = f"{self.name} did not answer within {timeout_s:g} s."
            raise _TryAgainError(AgentError(FailureKind.TIMEOUT, text)) from error
        except httpx.ConnectError as error:
            text = f"{self._where} cannot be reached; is the server running?"
            raise _TryAgainError(AgentError(FailureKind.ERROR, text)) from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError) as error:
            text = f"{self._where} is no address of a server: {short(str(error))}"
            raise AgentError(FailureKind.ERROR, text) from error
        except httpx.HTTPError as error:
            text = f"{self._where} broke off: {short(str(error)) or type(error).__name__}"
            raise _TryAgainError(AgentError(FailureKind.ERROR, text)) from error
        except ReplyTooLongError as error:
            text = f"{self._where} gives a reply of {error}; it is not read on."
            raise AgentError(FailureKind.MALFORMED, text) from error
        except ServerSaidError as error:
            raise AgentError(FailureKind.ERROR, f"{self._where} says: {error}") from error

    async def _post(self, body: dict[str, Any], on_text: OnText | None) -> ServerReply:
        url = f"{self._options.base_url.rstrip('/')}/chat/completions"
        # A client per call: its connections belong to the event loop that runs now.
        async with self._client() as client, client.stream("POST", url, json=body) as response:
            if response.status_code != httpx.codes.OK:
                raise await self._status_error(response)
            reply = ServerReply(on_text)
            reader = ReplyReader(reply)
            async for data in response.aiter_bytes():
                reader.feed(data)
                if reader.is_done:
                    break
            rest = reader.end()
        if not reply.is_chat:
            text = f"{self._where} does not speak the chat protocol: {short(rest) or 'nothing'}"
            raise AgentError(FailureKind.MALFORMED, text)
        return reply

    def _client(self) -> httpx.AsyncClient:
        """Return a client of the server.

        Raises:
            AgentError: what the environment says of proxies or certificates cannot be used.
        """
        headers = {"Authorization": f"Bearer {_api_key()}", "Accept-Encoding": "identity"}
        try:
            return httpx.AsyncClient(
                headers=headers,
                timeout=self._options.timeout_s,
                # A proxy cannot reach this machine's own server.
                trust_env=not _is_loopback(self._options.base_url),
                follow_redirects=True,
            )
        except (ValueError, OSError, ImportError, httpx.HTTPError, httpx.InvalidURL) as error:
            text = f"The proxy or certificate settings cannot be used: {short(str(error))}"
            raise AgentError(FailureKind.ERROR, text) from error

    async def _status_error(self, response: httpx.Response) -> Exception:
        """Return what a status other than 200 means; a part of its body is read."""
        body = b""
        async for data in response.aiter_bytes():
            body += data
            if len(body) > _ERROR_BODY_BYTES:
                break
        reason = describe_error(body[:_ERROR_BODY_BYTES].decode("utf-8", "replace"))
        reason = reason.replace(_api_key(), "***") if len(_api_key()) > 8 else reason
        status = response.status_code
        if status in (400, 422):
            return _RejectedError(status, reason)
        failure = AgentError(FailureKind.ERROR, f"{self._where} answered {status}: {reason}.")
        if status in (408, 409, 429) or status >= 500:
            return _TryAgainError(failure, _retry_after(response.headers.get("retry-after")))
        return failure


def _api_key() -> str:
    """Return the key from the environment, without line ends; local servers ask for none.

    Raises:
        AgentError: it holds what no header can carry; the key is not printed.
    """
    key = os.environ.get(_KEY, "").strip() or "none"
    if not (key.isascii() and key.isprintable()):
        text = f"{_KEY} holds characters that a header cannot carry; copy the key again."
        raise AgentError(FailureKind.ERROR, text)
    return key


def _is_loopback(url: str) -> bool:
    try:
        host = httpx.URL(url).host
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except (ValueError, httpx.InvalidURL):
        return False


def _retry_after(value: str | None) -> float | None:
    try:
        pause_s = float(value or "")
    except ValueError:
        return None
    return max(0.0, pause_s) if math.isfinite(pause_s) else None


def _system(request: Request) -> str:
    schema = json.dumps(request.schema.model_json_schema())
    return f"{request.system}\nAnswer with one JSON object of this schema: {schema}"
