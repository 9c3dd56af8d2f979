"""The `ros2` command line: finds the verb, runs it, turns errors into one sentence."""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from functools import partial
from types import FrameType
from typing import Any

from asterias_ros2.errors import VerbError
from asterias_ros2.parsers import check_verb, nearest

COMMANDS = {
    "action": "list and describe actions, send a goal",
    "bag": "record topics, describe and play recordings",
    "daemon": "tell that there is no daemon",
    "doctor": "check the setup and the running system",
    "interface": "list and show messages, services and actions",
    "launch": "run a launch file",
    "lifecycle": "show and change the state of managed nodes",
    "node": "list and describe nodes",
    "param": "list, get, set, dump and load parameters",
    "pkg": "list packages, their prefixes and executables",
    "run": "run an executable of a package",
    "service": "list, describe and call services",
    "topic": "list, describe, print, publish and measure topics",
    "wtf": "the same as doctor",
}
ALIASES = {"wtf": "doctor"}
# Commands of the real ros2 that this one lacks.
ELSEWHERE = ("component", "multicast", "security", "plugin", "test", "control")
EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
# Set by the shell, which asks how a line may go on.
COMPLETION = "_ARGCOMPLETE"


def main(words: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        words: of the command line; None takes this process's own.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if words is None else list(words)
    # SIGINT too: started by nohup, cron or `&` in a script, we arrive with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    if COMPLETION in os.environ:
        _complete()
    try:
        parser = _parser(arguments)
        parsed = parser.parse_args(arguments)
        sys.stdout.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr]
        code: int = parsed.run(parsed)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return EXIT_OK
    except BrokenPipeError:
        # Whoever read our output has had enough; keep the interpreter from flushing into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except VerbError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE if isinstance(error, UnknownWordError) else EXIT_FAILED


class UnknownWordError(VerbError):
    """A command or verb that there is not."""


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return a parser that knows the commands, and of the one named also its arguments.

    The modules of the other commands are not imported: `ros2 launch` must not wait for rclpy.

    Raises:
        UnknownWordError: there is no such command or verb.
    """
    parser = argparse.ArgumentParser(
        prog="ros2",
        description="ros2 is a command-line tool for ROS 2; this one has the verbs of this project "
        "and looks at the running system directly: there is no daemon.",
    )
    parser.set_defaults(run=partial(_show_help, parser))
    commands = parser.add_subparsers(
        title="Commands", metavar="Call `ros2 <command> -h` for more detailed usage."
    )
    named = next((word for word in words if not word.startswith("-")), None)
    if named is not None and named not in COMMANDS and COMPLETION not in os.environ:
        raise UnknownWordError(_unknown_command(named))
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary.capitalize() + ".")
        if name == named:
            _load(ALIASES.get(name, name)).configure(command)
            if command.get_default("run") is None:
                command.set_defaults(run=partial(_show_help, command))
            try:
                check_verb(words, command, name)
            except VerbError as error:
                if COMPLETION not in os.environ:
                    raise UnknownWordError(str(error)) from None
    return parser


def _unknown_command(name: str) -> str:
    if name in ELSEWHERE:
        return (
            f"'{name}' is a command of the real ros2 that this one lacks; source a ROS 2 "
            f"installation for it. There is: {', '.join(COMMANDS)}"
        )
    return nearest(name, COMMANDS, "command of ros2")


def _complete() -> None:
    """Answer the shell, which asks how a line may go on, and end."""
    import argcomplete

    line = os.environ.get("COMP_LINE", "")[: int(os.environ.get("COMP_POINT") or 0) or None]
    try:
        words = shlex.split(line)[1:]
    except ValueError:  # a quote is still open
        words = line.split()[1:]
    try:
        parser = _parser(words)
    except VerbError:
        parser = _parser([])
    argcomplete.autocomplete(parser, exclude=["-h", "--help"])


def _load(name: str) -> Any:
    """Return the module of a command.

    Raises:
        VerbError: a package that it needs is not there.
    """
    try:
        return importlib.import_module(f"asterias_ros2.verbs.{name}")
    except ImportError as error:
        missing = error.name or error
        raise VerbError(
            f"ros2 {name} needs '{missing}', which is not there; source the setup file"
        ) from error


def _show_help(parser: argparse.ArgumentParser, _arguments: argparse.Namespace) -> int:
    parser.print_help()
    return EXIT_OK


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
