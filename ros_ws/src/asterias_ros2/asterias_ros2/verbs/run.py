"""`ros2 run`: run an executable of a package."""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from types import FrameType

from asterias_ros2 import ament_index
from asterias_ros2.errors import VerbError
from asterias_ros2.parsers import completed


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `ros2 run`."""
    parser.add_argument("--prefix", help="words to put before the executable, such as 'gdb --args'")
    completed(
        parser.add_argument("package_name", help="name of the package"),
        lambda **_: sorted(ament_index.packages()),
    )
    completed(
        parser.add_argument("executable_name", help="name of the executable"), _executable_names
    )
    parser.add_argument(
        "argv", nargs=argparse.REMAINDER, help="arguments passed on to the executable"
    )
    parser.set_defaults(run=run)


def _executable_names(*, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    with suppress(VerbError):
        return [path.name for path in ament_index.executables(parsed_args.package_name)]
    return []


def run(arguments: argparse.Namespace) -> int:
    """Run the executable until it ends.

    Returns:
        Its exit code.

    Raises:
        VerbError: it cannot be run.
    """
    path = _find(arguments.package_name, arguments.executable_name)
    prefix = shlex.split(arguments.prefix or "")
    # A Ctrl-C in the terminal reaches the executable too, which decides what to do about it.
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        process = subprocess.Popen([*prefix, str(path), *arguments.argv])
    except OSError as error:
        raise VerbError(f"cannot run {path}: {error.strerror}") from error

    def pass_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    code = process.wait()
    if code < 0:
        print("[ros2run]:", signal.strsignal(-code))
    elif code > 0:
        print(f"[ros2run]: Process exited with failure {code}")
    return code


def _find(package: str, name: str) -> Path:
    found = [path for path in ament_index.executables(package) if path.name == name]
    if len(found) > 1:
        listed = "".join(f"\n- {path}" for path in found)
        raise VerbError(f"Multiple executables found:{listed}")
    return found[0] if found else ament_index.executable(package, name)
