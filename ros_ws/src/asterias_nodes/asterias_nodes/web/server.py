"""A web server in a thread of its own, beside the node's executor."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import uvicorn

from asterias_nodes.web.access import App

START_S = 20.0
STOP_S = 5.0


class WebServer:
    """Serves an ASGI app.

    Args:
        app: what to serve.
        host, port: where; port 0 takes any that is free.

    Raises:
        OSError: the address is in use, or not of this machine; the text says what to do.
    """

    def __init__(self, app: App, host: str, port: int) -> None:
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
        """Serve; returns when pages can be opened."""
        self._thread.start()
        deadline_s = time.monotonic() + START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline_s:
                raise OSError("The web server did not start; see its message above.")
            time.sleep(0.01)

    def close(self, on_wait: Callable[[], None] = lambda: None) -> None:
        """End, at once for open pages."""
        self._server.should_exit = True
        deadline_s = time.monotonic() + STOP_S
        while self._thread.is_alive() and time.monotonic() < deadline_s:
            on_wait()
            self._thread.join(0.05)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])
