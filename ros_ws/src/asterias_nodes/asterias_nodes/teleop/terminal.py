"""The terminal that a node reads keys from, also below ``ros2 launch``, which gives it none."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from hardware.teleop.key_bindings import (
    ASK_SUPPORT,
    REPORT_AS_BEFORE,
    REPORT_RELEASES,
    Key,
    KeyDecoder,
)

ESCAPE_S = 0.05
SUPPORT_S = 0.2
GENERATIONS = 6


class NoTerminalError(ValueError):
    """There is no terminal to read keys from."""


class Terminal:
    """Reads single keys, without echo, until it is closed.

    Args:
        path: of the terminal; empty: the standard input, the controlling terminal, or that of the
            process which launched this one.
        node: what a person would run in a terminal, if there is none.

    Raises:
        NoTerminalError: there is none.
    """

    def __init__(self, path: str = "", node: str = "teleop_keyboard") -> None:
        self._file = _open(path, node)
        self.decoder = KeyDecoder()
        self._before = termios.tcgetattr(self._file)
        tty.setcbreak(self._file)
        settings = termios.tcgetattr(self._file)
        settings[3] &= ~termios.ISIG  # Ctrl-C is a key here, and ends the node as a signal would
        termios.tcsetattr(self._file, termios.TCSADRAIN, settings)
        self._is_open = True
        self._asked = False
        self._thread: threading.Thread | None = None
        self._wake_read, self._wake_write = os.pipe()

    @property
    def reports_releases(self) -> bool:
        """Whether the terminal reports when a key is let go."""
        return self.decoder.reports_releases

    def ask_for_releases(self) -> list[Key]:
        """Return keys that came while the reporting of releases was turned on, if there is one."""
        self.write(ASK_SUPPORT.decode())
        keys: list[Key] = []
        deadline_s = time.monotonic() + SUPPORT_S
        while time.monotonic() < deadline_s and not self.reports_releases:
            if select.select([self._file], [], [], 0.02)[0]:
                keys += self.decoder.feed(os.read(self._file, 1024))
        if self.reports_releases:
            self._asked = True
            self.write(REPORT_RELEASES.decode())
        return keys

    def start(self, on_keys: Callable[[list[Key]], None], on_end: Callable[[], None]) -> None:
        """Read in a thread of its own; both functions are called there.

        Args:
            on_keys: gets keys as soon as they are pressed.
            on_end: the terminal is gone.
        """
        self._thread = threading.Thread(
            target=self._read, args=(on_keys, on_end), name="keys", daemon=True
        )
        self._thread.start()

    def write(self, text: str) -> None:
        """Show text; a terminal that is gone is no error."""
        with suppress(OSError):
            os.write(self._file, text.encode())

    def close(self) -> None:
        """Leave the terminal as it was found."""
        if not self._is_open:
            return
        self._is_open = False
        os.write(self._wake_write, b"x")
        if self._thread is not None:
            self._thread.join(timeout=1.0)
        if self._asked:
            self.write(REPORT_AS_BEFORE.decode())
        with suppress(termios.error, OSError):
            termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)
        for file in (self._file, self._wake_read, self._wake_write):
            os.close(file)

    def _read(self, on_keys: Callable[[list[Key]], None], on_end: Callable[[], None]) -> None:
        while True:
            wait_s = ESCAPE_S if self.decoder.is_waiting else None
            ready = select.select([self._file, self._wake_read], [], [], wait_s)[0]
            if self._wake_read in ready:
                return
            keys = self.decoder.flush()
            if ready:
                try:
                    data = os.read(self._file, 1024)
                except OSError:
                    data = b""
                if not data:
                    on_end()
                    return
                keys = self.decoder.feed(data)
            if keys:
                on_keys(keys)


def _open(path: str, node: str) -> int:
    """Return a file of the terminal of its own: closing it leaves the standard input alone.

    Raises:
        NoTerminalError: there is no terminal.
    """
    for candidate in [path] if path else _candidates():
        with suppress(OSError):
            file = os.open(candidate, os.O_RDWR | os.O_NOCTTY)
            if os.isatty(file):
                return file
            os.close(file)
    place = f"{path} is no terminal that can be opened" if path else "There is no terminal"
    raise NoTerminalError(
        f"{place}: run `ros2 run asterias_nodes {node}` in a terminal, or give parameter "
        "'terminal' the path that the command `tty` prints there."
    )


def _candidates() -> Iterator[str]:
    if sys.stdin is not None and sys.stdin.isatty():
        yield os.ttyname(sys.stdin.fileno())
    yield "/dev/tty"
    # ros2 launch keeps its terminal to itself; it is that of an ancestor's standard input.
    with suppress(psutil.Error):
        for parent in psutil.Process().parents()[:GENERATIONS]:
            with suppress(OSError):
                target = str(Path(f"/proc/{parent.pid}/fd/0").readlink())
                if target.startswith(("/dev/pts/", "/dev/tty")):
                    yield target
