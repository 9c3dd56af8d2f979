"""Who may open the page: this machine, and others that know the token."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "asterias_token"
LEAST_TOKEN = 16
REFUSAL = b"This page needs its token: open the address that the dashboard node has printed."
FOREIGN = b"A page from elsewhere must not talk to this robot."


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(24)


class Gate:
    """ASGI middleware that lets requests through, or answers 401 or 403.

    With a token each request needs it, in the address (``?token=…``) or in the cookie that the
    first such request sets. Always, a web socket must come from a page of this very server, and the
    name by which the server is called must be one of its own: otherwise any page in somebody's
    browser could drive the robot (cross-site web sockets, DNS rebinding).

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
        headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
        if not self._is_of_ours(scope, headers):
            await _refuse(scope, send, 403, FOREIGN)
        elif not self._token or self._is_known(_cookie(headers)):
            await self._app(scope, receive, send)
        elif self._is_known(_query(scope)):
            await self._app(scope, receive, self._with_cookie(send))
        else:
            await _refuse(scope, send, 401, REFUSAL)

    def _is_known(self, token: str) -> bool:
        return secrets.compare_digest(token.encode(), self._token.encode())

    def _is_of_ours(self, scope: Scope, headers: dict[str, str]) -> bool:
        host = headers.get("host", "")
        if self._only_local and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return False
        origin = headers.get("origin")
        must_match = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        return not must_match or origin is None or urlsplit(origin).netloc == host

    def _with_cookie(self, send: Send) -> Send:
        async def wrapped(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                cookie = f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
                message["headers"] = [
                    *message.get("headers", []),
                    (b"set-cookie", cookie.encode()),
                    (b"referrer-policy", b"no-referrer"),
                ]
            await send(message)

        return wrapped


def _cookie(headers: dict[str, str]) -> str:
    try:
        jar = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return jar[COOKIE].value if COOKIE in jar else ""


def _query(scope: Scope) -> str:
    return parse_qs(scope.get("query_string", b"").decode()).get("token", [""])[0]


async def _refuse(scope: Scope, send: Send, status: int, text: bytes) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4000 + status, "reason": text.decode()})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
