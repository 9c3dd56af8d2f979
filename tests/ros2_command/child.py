"""A process that counts the signals it gets, for the tests of `ros2 launch`.

Options: --slow-end takes a while to end; --ignore-int and --ignore-all are deaf; --end-at-once ends
by itself; --with-child starts a process in the same group, --with-deaf-child one that ignores
signals, --with-daemon one in a session of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import FrameType

SLEEPER = "import time; time.sleep(60)"
DEAF = "import signal; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; " + SLEEPER

counts: dict[str, int] = {}
ending = False


def main(options: list[str]) -> None:
    """Run until a signal comes that is not ignored."""
    global ending
    ignored = {"--ignore-int": ["SIGINT"], "--ignore-all": ["SIGINT", "SIGTERM"]}
    deaf = [name for option in options for name in ignored.get(option, [])]
    for name in ("SIGINT", "SIGTERM"):
        handler = signal.SIG_IGN if name in deaf else count
        signal.signal(signal.Signals[name], handler)
    for option, program in (
        ("--with-child", SLEEPER),
        ("--with-deaf-child", DEAF),
        ("--with-daemon", SLEEPER),
    ):
        if option in options:
            subprocess.Popen(
                [sys.executable, "-S", "-c", program], start_new_session=option == "--with-daemon"
            )
    say("ready")
    if "--end-at-once" in options:
        return
    while not ending:
        time.sleep(0.01)
    if "--slow-end" in options:
        time.sleep(0.6)
    say("bye")


def count(number: int, _frame: FrameType | None) -> None:
    """Count a signal and end soon."""
    global ending
    name = signal.Signals(number).name
    counts[name] = counts.get(name, 0) + 1
    say(f"{name} {counts[name]}")
    ending = True


def say(text: str) -> None:
    """Print at once; unlike print(), it may be interrupted by a handler that prints too."""
    os.write(sys.stdout.fileno(), f"{text}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1:])
