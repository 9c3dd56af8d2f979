"""Reads the page's live channel as a browser does, and counts its pictures: for benches.

``python -m asterias_nodes.page_viewer PORT SECONDS`` prints JSON: pictures by camera and the
time each took from its arrival at the page's node.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from asterias_nodes.web.live import HEAD

ANSWER_TIMEOUT_S = 5.0
# A page's node that has just been launched listens after some seconds.
START_S = 30.0
RETRY_S = 0.2


def _opened(port: int) -> ClientConnection:
    """Return the page's live channel, once its node listens.

    Raises:
        ConnectionRefusedError: it never does.
    """
    origin = Origin(f"http://127.0.0.1:{port}")
    deadline_s = time.monotonic() + START_S
    while True:
        try:
            return connect(f"ws://127.0.0.1:{port}/live", origin=origin)
        except ConnectionRefusedError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(RETRY_S)


def watch(port: int, seconds: float) -> dict[str, Any]:
    """Watch all cameras for ``seconds``, reporting each picture as drawn.

    Returns:
        The counts.
    """
    counts: dict[tuple[int, int], int] = {}
    delays_ms = []
    with _opened(port) as page:
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s:
            message = page.recv(timeout=ANSWER_TIMEOUT_S)
            if isinstance(message, str):
                continue
            limb, camera, _, _, received_s = HEAD.unpack(message[: HEAD.size])
            counts[limb, camera] = counts.get((limb, camera), 0) + 1
            delays_ms.append(1e3 * (time.time() - received_s))
            page.send(json.dumps({"t": "seen", "limb": limb, "camera": camera}))
    return {
        "cameras": len(counts),
        "pictures": sum(counts.values()),
        "delay_median_ms": statistics.median(delays_ms) if delays_ms else None,
    }


def main() -> int:
    """Return 0 after printing what was counted."""
    print(json.dumps(watch(int(sys.argv[1]), float(sys.argv[2]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
