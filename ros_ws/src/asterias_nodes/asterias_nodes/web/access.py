"""Who may open the page: this machine, and others that know the token."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "asterias_token"
MIN_TOKEN_CHARS = 16
NEEDS_TOKEN = b"This page needs its token: open the address that the dashboard node has printed."
FOREIGN = b"A page from elsewhere must not talk to this robot."
MALFORMED = b"This request cannot be understood."
FAILED = b"The page could not answer this request."
# Bounds of what a browser sends. The page sends far less: its longest text is a goal in YAML.
MAX_BODY_BYTES = 1_000_000
MAX_DEPTH = 64
# A long poll of socket.io is answered within 25 s.
RESPONSE_TIMEOUT_S = 90.0
# The page's own requests, and those that a person makes (an address typed, a bookmark).
OWN_SITES = ("", "same-origin", "none")

logger = logging.getLogger(__name__)


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(24)


class Gate:
    """ASGI middleware that lets requests through, or answers 400, 401 or 403.

    With a token each request needs it, in the address (``?token=…``) or in the cookie that the
    first such request sets. Requests that another site's page causes are refused, but for a link
    that is followed to the page itself: otherwise any page in somebody's browser could drive the
    robot (cross-site web sockets, frames, DNS rebinding). The name by which the server is called
    must be one of its own.

    Args:
        app: what is behind it.
        token: empty: everybody who reaches the server may come in.
        only_local: the server listens on this machine only; its name is checked then.
    """

    def __init__(self, app: App, token: str, only_local: bool) -> None:
        self._app, self._token, self._only_local = app, token, only_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        # HTTP defines headers as Latin-1; others (UTF-8 by mistake) must not raise here.
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        try:
            refusal = self._refusal(scope, headers)
        except ValueError:  # urlsplit: brackets or a port that cannot be
            refusal = 400, MALFORMED
        if refusal is not None:
            await _refuse(scope, send, *refusal)
            return
        if self._token and not self._is_known(_cookie(headers)):
            send = self._with_cookie(send)
        await self._answer(scope, receive, send)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, bytes] | None:
        """Return status and reason of a refusal; None: the request may pass.

        Passes on ``ValueError``: host or origin cannot be parsed.
        """
        if sum(key.lower() == b"host" for key, _ in scope["headers"]) != 1:
            return 400, MALFORMED
        if any(ord(letter) < 32 for letter in scope["path"]):
            return 400, MALFORMED
        if not self._is_own(scope, headers):
            return 403, FOREIGN
        is_known = self._is_known(_cookie(headers)) or self._is_known(_query(scope))
        return (401, NEEDS_TOKEN) if self._token and not is_known else None

    def _is_known(self, token: str) -> bool:
        return secrets.compare_digest(token.encode("utf-8", "replace"), self._token.encode())

    def _is_own(self, scope: Scope, headers: dict[str, str]) -> bool:
        host = headers["host"]
        if self._only_local and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return False
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return False
        if headers.get("sec-fetch-site", "") in OWN_SITES:
            return True
        is_page = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == "/"
        kind = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
        return is_page and kind == ("navigate", "document")

    def _with_cookie(self, send: Send) -> Send:
        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                cookie = f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
                message["headers"] = [
                    *message.get("headers", []),
                    (b"set-cookie", cookie.encode()),
                ]
            await send(message)

        return wrapped

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the app answer, within bounds; an error in it is one sentence, no traceback."""
        bounded = _Bounded(receive, send)
        try:
            if scope["type"] == "websocket":
                await self._app(scope, bounded.receive, bounded.send)
            else:
                await bounded.read_body()
                answer = self._app(scope, bounded.receive, bounded.send)
                await asyncio.wait_for(answer, RESPONSE_TIMEOUT_S)
        except _MalformedError:
            if not bounded.has_started:
                await _refuse(scope, send, 400, MALFORMED)
        except asyncio.TimeoutError:
            pass  # the browser has not taken its answer
        except Exception as error:
            logger.warning("A request to the page failed: %s: %s", type(error).__name__, error)
            if not bounded.has_started:
                await _refuse(scope, send, 500, FAILED)


class _MalformedError(Exception):
    """A body or a message of a web socket is too large, nested too deeply, or binary."""


class _Bounded:
    """Receive and send of one request, with what comes in checked before the app parses it."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._body: bytes | None = None
        self.has_started = False

    async def read_body(self) -> None:
        """Read the body of a request.

        Raises:
            _MalformedError: it is too large, or nested too deeply.
        """
        parts, size, has_more = [], 0, True
        while has_more:
            message = await self._receive()
            if message["type"] != "http.request":
                raise _MalformedError
            parts.append(message.get("body", b""))
            size, has_more = size + len(parts[-1]), message.get("more_body", False)
            if size > MAX_BODY_BYTES:
                raise _MalformedError
        body = b"".join(parts)
        if depth(body.decode("latin-1")) > MAX_DEPTH:
            raise _MalformedError
        self._body = body

    async def receive(self) -> Message:
        """Return the next message; a web socket that sends what it must not is disconnected."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        message = await self._receive()
        if message["type"] == "websocket.receive":
            text = message.get("text")
            if text is None or len(text) > MAX_BODY_BYTES or depth(text) > MAX_DEPTH:
                await self._send({"type": "websocket.close", "code": 1008})
                return {"type": "websocket.disconnect", "code": 1008}
        return message

    async def send(self, message: Message) -> None:
        """Send the app's answer."""
        self.has_started = True
        await self._send(message)


def depth(text: str) -> int:
    """Return how deeply the brackets of a JSON text are nested, at most; quick for any text."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return 0
    deepest = now = 0
    for letter in text:
        if letter in "[{":
            now += 1
            deepest = max(deepest, now)
        elif letter in "]}":
            now -= 1
    return deepest


def _cookie(headers: dict[str, str]) -> str:
    try:
        jar = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return jar[COOKIE].value if COOKIE in jar else ""


def _query(scope: Scope) -> str:
    query = scope.get("query_string", b"").decode("latin-1")
    return parse_qs(query, max_num_fields=100).get("token", [""])[0]


async def _refuse(scope: Scope, send: Send, status: int, text: bytes) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4000 + status, "reason": text.decode()})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
