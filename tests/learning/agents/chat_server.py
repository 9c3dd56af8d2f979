"""A server that speaks the OpenAI chat protocol over HTTP, well or badly: by the model's name.

Prints its port, then serves until it is ended.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

GOOD = json.dumps({"answer": "left", "reason": "two of three say so"})


class Handler(BaseHTTPRequestHandler):
    """One request; ``seen`` counts requests per model."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[Counter[str]] = Counter()

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        body = json.loads(self.rfile.read(size))
        model = body["model"]
        self.seen[model] += 1
        getattr(self, f"_{model}")(body)

    def _good(self, body: dict[str, Any]) -> None:
        self._stream(GOOD)

    def _schema(self, body: dict[str, Any]) -> None:
        """Answers with what was asked for, to be looked at."""
        format_ = body["response_format"]["json_schema"]
        reason = json.dumps([format_["name"], format_["strict"], body["stream"], body["messages"]])
        self._stream(json.dumps({"answer": self.path, "reason": reason}))

    def _recovers(self, body: dict[str, Any]) -> None:
        if self.seen["recovers"] == 1:
            self._status(503, "busy")
        else:
            self._stream(GOOD)

    def _babbles(self, body: dict[str, Any]) -> None:
        self._stream("It is on the left, I think!")

    def _learns(self, body: dict[str, Any]) -> None:
        """Babbles until it is told that this was no JSON."""
        self._stream(GOOD if len(body["messages"]) > 2 else "left")

    def _unknown(self, body: dict[str, Any]) -> None:
        self._stream(json.dumps({"answer": "upstairs", "reason": "why not"}))

    def _refuses(self, body: dict[str, Any]) -> None:
        self._status(401, "no such key")

    def _html(self, body: dict[str, Any]) -> None:
        self._send(200, b"<html>It works!</html>", "text/html")

    def _slow(self, body: dict[str, Any]) -> None:
        time.sleep(20)

    def _trickle(self, body: dict[str, Any]) -> None:
        self._begin()
        for _ in range(200):
            self._chunk({"choices": [{"index": 0, "delta": {"content": " "}}]})
            time.sleep(0.1)

    def _breaks(self, body: dict[str, Any]) -> None:
        self._begin()
        self._chunk({"choices": [{"index": 0, "delta": {"content": GOOD[:10]}}]})
        self.close_connection = True

    # -- the protocol -------------------------------------------------------------------------

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, fields: dict[str, Any]) -> None:
        known = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        self._bytes(b"data: " + json.dumps({**known, **fields}).encode() + b"\n\n")

    def _bytes(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _stream(self, text: str) -> None:
        self._begin()
        for first in range(0, len(text), 7):
            delta = {"content": text[first : first + 7]}
            self._chunk({"choices": [{"index": 0, "delta": delta}]})
        usage = {"prompt_tokens": 40, "completion_tokens": 10, "total_tokens": 50}
        self._chunk({"choices": [], "usage": usage})
        self._bytes(b"data: [DONE]\n\n")
        self._bytes(b"")

    def _status(self, number: int, text: str) -> None:
        body = json.dumps({"error": {"message": text, "type": "error"}}).encode()
        self._send(number, body, "application/json")

    def _send(self, number: int, body: bytes, kind: str) -> None:
        self.send_response(number)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
