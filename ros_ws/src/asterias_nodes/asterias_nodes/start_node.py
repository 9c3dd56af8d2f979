"""Entry point of all nodes: it imports nothing slow, so that a signal on the way ends them cleanly.

rclpy, PyTorch and compiled code take up to seconds to import. A launch that ends meanwhile, since
another node could not start, must not fill the screen with tracebacks of interrupted imports.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from asterias_nodes.nodes import module_of


def main() -> int:
    """Return the exit code of the node that this command is named after.

    Until ``run_node`` takes the signals over, and after it gives them back, nothing is open: SIGINT
    and SIGTERM end the process at once, as a clean stop.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    module = import_module(module_of(Path(sys.argv[0]).name))
    return int(module.main() or 0)
