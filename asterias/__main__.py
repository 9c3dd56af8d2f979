"""``asterias``: the commands of all rooms."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from asterias import __version__
from asterias.cli import LazyCommand, run_command

ROOMS = {
    "hardware": LazyCommand("hardware.__main__:main", "Set up, examine and try a robot's devices."),
    "sim": LazyCommand("sim.__main__:main", "Look at the simulated robot, and measure it."),
    "planners": LazyCommand("planners.__main__:main", "Plan through mazes; train the planners."),
    "learning": LazyCommand("learning.__main__:main", "Train and evaluate policies; recordings."),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command of a room.

    Returns:
        The command's exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        print(f"asterias {__version__}")
        return 0
    return run_command(ROOMS, "asterias", __doc__, words)


if __name__ == "__main__":
    sys.exit(main())
