"""An HTTP server of JPEG streams, part for part as the ESP32-CAM's example firmware serves them.

Source: espressif/arduino-esp32, example CameraWebServer: ``multipart/x-mixed-replace`` in chunks
(boundary, head and picture are one chunk each), with ``Content-Type``, ``Content-Length`` and
``X-Timestamp`` per part.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hardware.emulated.pictures import FailingPictures, PictureSource, Shot
from hardware.faults.words import Fault

BOUNDARY = "123456789000000000000987654321"
WAIT_S = 0.02


class MjpegServer:
    """Serves ``http://127.0.0.1:<port>/<name>`` per source; a stream with fault ``off`` is closed.

    Args:
        sources: by name.
        seed: of the failures.
        chunked: as the ESP32 does; False sends plain bytes, as many other cameras do.
    """

    def __init__(
        self, sources: Mapping[str, PictureSource], seed: int = 0, chunked: bool = True
    ) -> None:
        self.chunked = chunked
        self.streams = {name: FailingPictures(source, seed) for name, source in sources.items()}
        self._is_closing = threading.Event()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def url(self, name: str) -> str:
        """Return the address of a stream."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/{name}"

    def inject(self, name: str, word: Fault | str, value: float | None = None) -> None:
        """Inject a fault into a stream; ``ok`` ends it."""
        self.streams[name].inject(word, value)

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def close(self) -> None:
        """Drop all connections."""
        self._is_closing.set()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()

    def send(self, name: str, out: Any) -> None:
        """Send a stream until the viewer closes it; runs in a thread of its own."""
        stream = self.streams[name]
        number = stream.source.latest().number
        while not self._is_closing.is_set() and not stream.is_off:
            number, shot = stream.take(number, WAIT_S)
            for piece in _pieces(shot) if shot is not None else ():
                out.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self.chunked else piece)


def _pieces(shot: Shot) -> tuple[bytes, bytes, bytes]:
    """Return boundary, head and content of a part."""
    seconds, microseconds = divmod(round(shot.time_s * 1e6), 1_000_000)
    head = (
        f"Content-Type: image/jpeg\r\nContent-Length: {len(shot.jpeg)}\r\n"
        f"X-Timestamp: {seconds}.{microseconds:06d}\r\n\r\n"
    )
    return f"\r\n--{BOUNDARY}\r\n".encode(), head.encode(), shot.jpeg


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: MjpegServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore errors of a connection: a viewer may close it at any time."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        """Set TCP_NODELAY, so that small parts are sent at once."""
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def do_GET(self) -> None:
        """Serve one stream until the viewer closes it."""
        name = self.path.strip("/")
        stream = self.server.owner.streams.get(name)
        if stream is None:
            self.send_error(404)
            return
        if stream.is_off:
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace;boundary={BOUNDARY}")
        if self.server.owner.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        self.server.owner.send(name, self.wfile)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""
