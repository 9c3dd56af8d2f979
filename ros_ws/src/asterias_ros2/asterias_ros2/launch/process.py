"""One run of one process: its group, its pipes and its lines."""

from __future__ import annotations

import os
import pty
import selectors
import subprocess
from collections.abc import Callable
from contextlib import suppress

from asterias_ros2.launch.context import ProcessDescription
from asterias_ros2.launch.descendants import end_with_parent

CHUNK_BYTES = 1 << 16

ShowLine = Callable[[str, str], None]
"""Takes the name of the stream, `stdout` or `stderr`, and a line without its end."""


class LineStream:
    """The reading end of a pipe; complete lines are passed on as soon as they are there."""

    def __init__(
        self, fd: int, name: str, selector: selectors.BaseSelector, show: ShowLine
    ) -> None:
        """Watch a file descriptor, which is closed at its end."""
        os.set_blocking(fd, False)
        self._fd = fd
        self._name = name
        self._selector = selector
        self._show = show
        self._partial = b""
        self.open = True
        selector.register(fd, selectors.EVENT_READ, self.read)

    def read(self) -> bool:
        """Pass on what is there.

        Returns:
            Whether there was anything.
        """
        if not self.open:
            return False
        try:
            data = os.read(self._fd, CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError:  # how a pseudo-terminal says that its other side is closed
            data = b""
        if not data:
            self.close()
            return False
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._show(self._name, line.decode(errors="replace"))
        return True

    def close(self) -> None:
        """Pass on a last line without an end, and stop watching."""
        if not self.open:
            return
        self.open = False
        self._selector.unregister(self._fd)
        os.close(self._fd)
        if self._partial:
            self._show(self._name, self._partial.decode(errors="replace"))
            self._partial = b""


class Process:
    """A started process that leads a session, and so a process group, of its own."""

    def __init__(
        self,
        description: ProcessDescription,
        selector: selectors.BaseSelector,
        show: ShowLine,
        *,
        emulate_tty: bool,
    ) -> None:
        """Start the process.

        What cannot be started is an OSError.
        """
        self.description = description
        self.returncode: int | None = None
        outputs = [_terminal() if emulate_tty else os.pipe() for _ in range(2)]
        try:
            self._popen = self._start([writer for _, writer in outputs])
        except BaseException:
            for reader, _ in outputs:
                os.close(reader)
            raise
        finally:
            for _, writer in outputs:
                os.close(writer)
        self.pid = self._popen.pid
        self._streams = [
            LineStream(reader, name, selector, show)
            for (reader, _), name in zip(outputs, ("stdout", "stderr"), strict=True)
        ]

    def _start(self, writers: list[int]) -> subprocess.Popen[bytes]:
        description = self.description
        command = list(description.command)
        return subprocess.Popen(
            " ".join(command) if description.shell else command,
            shell=description.shell,
            cwd=description.cwd,
            env=dict(description.environment),
            # A pipe nobody writes to: reading waits for ever, as under the real tool.
            stdin=subprocess.PIPE,
            stdout=writers[0],
            stderr=writers[1],
            start_new_session=True,
            preexec_fn=end_with_parent(os.getpid()),
        )

    @property
    def command_line(self) -> str:
        """The command as one line, for messages."""
        return " ".join(part for part in self.description.command if part.strip())

    @property
    def running(self) -> bool:
        """Whether the process itself has not ended."""
        return self.returncode is None

    @property
    def gone(self) -> bool:
        """Whether neither the process nor anything else in its group is alive."""
        if self.running:
            return False
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False

    def end(self, returncode: int) -> None:
        """Take note of the exit code the kernel gave for this process."""
        self.returncode = self._popen.returncode = returncode
        if self._popen.stdin is not None:
            self._popen.stdin.close()
        self.drain()

    def signal(self, number: int) -> None:
        """Send a signal to the whole group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    @property
    def silent(self) -> bool:
        """Whether nobody can write to the pipes any more."""
        return not any(stream.open for stream in self._streams)

    def drain(self) -> None:
        """Pass on all output that is waiting."""
        for stream in self._streams:
            while stream.read():
                pass

    def close(self) -> None:
        """Pass on all output that is waiting and stop reading."""
        self.drain()
        for stream in self._streams:
            stream.close()


def _terminal() -> tuple[int, int]:
    """Return the reading and the writing end of a pseudo-terminal."""
    return pty.openpty()
