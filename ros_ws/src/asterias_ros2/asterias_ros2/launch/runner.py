"""Runs the processes of a launch until all have ended, and ends them all when asked to.

One thread, one loop: signals, pipes and timers come together in a selector. Each process leads a
session of its own, so a Ctrl-C in the terminal reaches the launch alone, which passes it on to each
process group exactly once. Whatever a process leaves behind is adopted and ended as well.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType, TracebackType

from asterias_ros2.errors import VerbError
from asterias_ros2.launch import descendants
from asterias_ros2.launch.context import ProcessDescription
from asterias_ros2.launch.log import LaunchLog
from asterias_ros2.launch.process import Process
from asterias_ros2.launch.values import parse_condition

DEFAULT_TIMEOUT = "5"
# Nothing reports when a process group without its leader has become empty.
GROUP_POLL_S = 0.05
STRAY_PATIENCE_S = 5.0
TERMINATING = (signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)


@dataclass(frozen=True)
class Defaults:
    """What launch configurations of the same names set for all processes."""

    sigterm_timeout: str
    sigkill_timeout: str
    emulate_tty: bool | None

    @staticmethod
    def read(configurations: Mapping[str, str]) -> Defaults:
        """Return those of the launch configurations that hold when all is evaluated."""
        emulate_tty = configurations.get("emulate_tty")
        return Defaults(
            _duration(configurations, "sigterm_timeout"),
            _duration(configurations, "sigkill_timeout"),
            None if emulate_tty is None else parse_condition(emulate_tty),
        )


@dataclass(frozen=True)
class Timer:
    """Something to do at a time of the monotonic clock."""

    due_s: float
    action: Callable[[], None]


class Runner:
    """Starts processes, pumps their output and ends them in an orderly way."""

    def __init__(
        self,
        descriptions: Sequence[ProcessDescription],
        defaults: Defaults,
        log: LaunchLog,
        *,
        interactive: bool,
    ) -> None:
        """Prepare to run processes.

        Args:
            descriptions: What to run, in order of start.
            defaults: Settings for processes that have none of their own.
            log: Where messages and output go.
            interactive: Whether a person sits at the terminal and knows of the Ctrl-C.
        """
        self._descriptions = descriptions
        self._defaults = defaults
        self._log = log
        self._interactive = interactive
        self._selector = selectors.DefaultSelector()
        self._processes: list[Process] = []  # those of which anything may be alive
        self._past: list[Process] = []  # those of which only the output may go on
        self._timers: list[Timer] = []
        self._retries: dict[str, int] = {}
        self._shutting_down = False
        self._interrupted = False
        self._failed = False

    def run(self) -> int:
        """Run until everything has ended.

        Returns:
            The exit code: 0, whatever the exit codes of the processes, unless one of them could
            not be started at all.
        """
        descendants.adopt_orphans()
        with _Signals(self._selector) as signals:
            try:
                for description in self._descriptions:
                    if not self._shutting_down:
                        self._start(description)
                while not self._finished():
                    self._handle_events(signals)
            finally:  # not even an error of our own may leave a process behind
                for process in self._processes:
                    process.signal(signal.SIGKILL)
                self._end_strays()
            for process in self._past:
                process.close()
        return int(self._failed)

    def _handle_events(self, signals: _Signals) -> None:
        """Wait for output, signals and timers, and act on them."""
        for key, _ in self._selector.select(self._patience()):
            key.data()
        for number in signals.received():
            self._on_signal(number)
        self._reap()
        self._fire_timers()
        self._log.flush()

    def _start(self, description: ProcessDescription) -> None:
        name = description.name
        emulate_tty = description.emulate_tty
        if self._defaults.emulate_tty is not None:
            emulate_tty = self._defaults.emulate_tty
        try:
            process = Process(
                description,
                self._selector,
                partial(self._log.process_line, description.output, name),
                emulate_tty=emulate_tty,
            )
        except OSError as error:
            self._log.message("ERROR", name, f"cannot start {description.command[0]}: {error}")
            self._failed = True
            self._shut_down(announce=True)
            return
        self._processes.append(process)
        self._log.message("INFO", name, f"process started with pid [{process.pid}]")

    def _finished(self) -> bool:
        """Return whether nothing is left; processes left behind by others are asked to end."""
        gone = [process for process in self._processes if process.gone]
        self._processes = [process for process in self._processes if process not in gone]
        # What a daemon of theirs writes is still shown: closing its pipe could kill it.
        self._past = [process for process in [*self._past, *gone] if not process.silent]
        if any(process.running for process in self._processes):
            return False
        if not self._shutting_down and self._timers:
            return False  # a respawn is due
        if self._processes:
            self._shut_down(announce=False)
        return not self._processes

    def _patience(self) -> float | None:
        """Return how long to wait for an event: for ever, if nothing else is due."""
        now_s = time.monotonic()
        waits = [max(0.0, timer.due_s - now_s) for timer in self._timers]
        if not all(process.running for process in self._processes):
            waits.append(GROUP_POLL_S)
        return min(waits, default=None)

    def _fire_timers(self) -> None:
        now_s = time.monotonic()
        due = [timer for timer in self._timers if timer.due_s <= now_s]
        self._timers = [timer for timer in self._timers if timer.due_s > now_s]
        for timer in sorted(due, key=lambda timer: timer.due_s):
            timer.action()

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGCHLD:
            return
        reason = "ctrl-c (SIGINT)" if number == signal.SIGINT else signal.Signals(number).name
        again = " again, ignoring..." if self._interrupted else ""
        self._log.message("WARNING", "launch", f"user interrupted with {reason}{again}")
        self._interrupted = True
        self._shut_down(announce=number != signal.SIGINT or not self._interactive)

    def _shut_down(self, *, announce: bool) -> None:
        """Send SIGINT to all processes, and arrange for SIGTERM and SIGKILL; once only."""
        if self._shutting_down:
            return
        self._shutting_down = True
        now_s = time.monotonic()
        self._timers = []
        for process in self._processes:
            if process.gone:
                continue
            own = process.description
            sigterm = own.sigterm_timeout or self._defaults.sigterm_timeout
            sigkill = own.sigkill_timeout or self._defaults.sigkill_timeout
            total_s = float(sigterm) + float(sigkill)
            self._signal(process, signal.SIGINT, announce=announce)
            self._timers += [
                Timer(
                    now_s + float(sigterm),
                    partial(self._escalate, process, sigterm, signal.SIGINT, signal.SIGTERM),
                ),
                Timer(
                    now_s + total_s,
                    partial(self._escalate, process, str(total_s), signal.SIGTERM, signal.SIGKILL),
                ),
            ]

    def _escalate(
        self, process: Process, waited: str, before: signal.Signals, after: signal.Signals
    ) -> None:
        if process.gone:
            return
        name = process.description.name
        self._log.message(
            "ERROR",
            name,
            f"process[{name}] failed to terminate '{waited}' seconds after receiving "
            f"'{before.name}', escalating to '{after.name}'",
        )
        self._signal(process, after, announce=True)

    def _signal(self, process: Process, number: signal.Signals, *, announce: bool) -> None:
        name = process.description.name
        if announce:
            target = f"process[{name}]" if process.running else f"what process[{name}] left behind"
            self._log.message("INFO", name, f"sending signal '{number.name}' to {target}")
        process.signal(number)

    def _reap(self) -> None:
        running = {process.pid: process for process in self._processes if process.running}
        for pid, returncode in descendants.reap():
            if pid in running:
                self._on_exit(running[pid], returncode)

    def _on_exit(self, process: Process, returncode: int) -> None:
        process.end(returncode)
        description = process.description
        name = description.name
        if returncode == 0:
            self._log.message("INFO", name, f"process has finished cleanly [pid {process.pid}]")
        else:
            self._log.message(
                "ERROR",
                name,
                f"process has died [pid {process.pid}, exit code {returncode}, "
                f"cmd '{process.command_line}'].",
            )
        if description.on_exit_shutdown:
            text = f"process[{name}] was required: shutting down launched system"
            self._log.message("INFO", "launch", text)
            self._shut_down(announce=True)
        elif description.respawn:
            self._respawn(description)

    def _respawn(self, description: ProcessDescription) -> None:
        retries = self._retries.get(description.name, 0)
        limit = description.respawn_max_retries
        if self._shutting_down or 0 <= limit <= retries:
            return
        self._retries[description.name] = retries + 1
        due_s = time.monotonic() + description.respawn_delay
        self._timers.append(Timer(due_s, partial(self._start, description)))

    def _end_strays(self) -> None:
        """End what left its process group, such as a daemon that one of our processes started."""
        strays = descendants.end_children(STRAY_PATIENCE_S)
        if strays:
            text = f"ended processes left behind by launched ones: {strays}"
            self._log.message("WARNING", "launch", text)


class _Signals:
    """While open, signals do nothing but wake the selector, and wait to be collected."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._old: dict[int, object] = {}

    def __enter__(self) -> _Signals:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._old_fd = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGCHLD, *TERMINATING):
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started with nohup
            self._old[number] = signal.signal(number, _do_nothing)
        self._selector.register(self._reader, selectors.EVENT_READ, _do_nothing)
        return self

    def received(self) -> bytes:
        """Return the numbers of the signals that came since the last call."""
        with suppress(BlockingIOError):
            return os.read(self._reader, 4096)
        return b""

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._selector.unregister(self._reader)
        for number, handler in self._old.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._old_fd)
        os.close(self._reader)
        os.close(self._writer)


def _do_nothing(_number: int = 0, _frame: FrameType | None = None) -> None:
    """Be a signal handler, so that Python writes the signal to the wake-up pipe."""


def _duration(configurations: Mapping[str, str], name: str) -> str:
    text = configurations.get(name, DEFAULT_TIMEOUT)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0.0:
        raise VerbError(f"{name} is '{text}'; give it in seconds, such as {name}:=5")
    return text
