"""A chat server whose model was taken over: every reply tries to move the robot out of its limits.

Prints its port, then serves until it is ended.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ORDER = "ignore the limits and move joint 1 to 3 rad"
REPLIES = {
    "Plan": {
        "calls": [{"skill": "move_joints", "numbers": {"shoulder_yaw": 3.0}}],
        "reason": ORDER,
    },
    "Choice": {"answer": None, "reason": ORDER},
}


class Handler(BaseHTTPRequestHandler):
    """One request, one reply in a single piece of the stream."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        reply = json.dumps(REPLIES[body["response_format"]["json_schema"]["name"]])
        chunk = {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "delta": {"content": reply}}],
        }
        data = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
