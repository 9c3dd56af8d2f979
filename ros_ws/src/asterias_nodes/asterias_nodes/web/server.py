"""A web server in a thread of its own, beside the node's executor."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from asterias_nodes.web.access import App

START_S = 20.0
STOP_S = 5.0
# Headers and body of a request must be there within this time.
REQUEST_TIMEOUT_S = 10.0
# 256 pages take two web sockets each, and some more while they load.
MAX_CONNECTIONS = 1024
# On every answer: no other page may frame this one, read its answers or learn its address.
SECURITY_HEADERS = [
    ("content-security-policy", "frame-ancestors 'none'"),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
]


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn, for requests that come in time and are not too many.

    uvicorn itself waits for the rest of a request for ever.
    """

    _timeout: asyncio.TimerHandle | None = None
    _is_upgraded = False

    def connection_made(self, transport: Any) -> None:
        """Take a new connection, or refuse one too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._end_watch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request."""
        super().data_received(data)
        self._watch()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection to a web socket, which has time-outs of its own."""
        self._is_upgraded = True
        self._end_watch()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is no HTTP, with the same headers as any other answer."""
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"connection", b"close"),
            *((key.encode(), value.encode()) for key, value in SECURITY_HEADERS),
        ]
        events = (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=msg.encode("ascii")),
            h11.EndOfMessage(),
        )
        try:
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:
            pass  # an answer is on its way already
        self.transport.close()

    def _watch(self) -> None:
        """Close the connection in a while, unless the request is complete by then."""
        if self._is_upgraded or self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._end_watch()
        elif self._timeout is None:
            self._timeout = self.loop.call_later(REQUEST_TIMEOUT_S, self.transport.abort)

    def _end_watch(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None


class WebServer:
    """Serves an ASGI app.

    Args:
        app: what to serve.
        host, port: where; port 0 takes any that is free.
    """

    def __init__(self, app: App, host: str, port: int) -> None:
        """Take the port.

        Raises:
            OSError: it is in use, or the address is not of this machine; the text says what to do.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise OSError(
                f"The page cannot be served on {host}, port {port} ({error.strerror}); give "
                "parameter 'port' another number, or 0 for any that is free."
            ) from error
        self.port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            headers=SECURITY_HEADERS,
            server_header=False,
            h11_max_incomplete_event_size=32_768,
            ws_max_size=1_000_000,
            log_level="error",
            access_log=False,
            lifespan="on",
            ws_ping_interval=2.0,
            ws_ping_timeout=4.0,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="web page", daemon=True)

    def start(self) -> None:
        """Serve, and wait until pages can be opened.

        Raises:
            OSError: the server did not start.
        """
        self._thread.start()
        deadline_s = time.monotonic() + START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline_s:
                raise OSError("The web server did not start; see its message above.")
            time.sleep(0.01)

    def close(self, on_wait: Callable[[], None] = lambda: None) -> None:
        """End the server, at once for open pages."""
        self._server.should_exit = True
        deadline_s = time.monotonic() + STOP_S
        while self._thread.is_alive() and time.monotonic() < deadline_s:
            on_wait()
            self._thread.join(0.05)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])
