"""`ros2 launch`: run a launch file."""

from __future__ import annotations

import argparse
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

from asterias_ros2 import ament_index
from asterias_ros2.errors import VerbError
from asterias_ros2.launch.service import launch, parse_arguments
from asterias_ros2.launch.show_args import argument_lines
from asterias_ros2.launch.xml_parser import LaunchFiles
from asterias_ros2.parsers import completed

LAUNCH_SUFFIX = ".launch.xml"
# A line of `--show-args` that names an argument.
ARGUMENT_NAME = re.compile(r"\s*'([^']+)':")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `ros2 launch`."""
    parser.add_argument(
        "-n",
        "--noninteractive",
        action="store_true",
        default=not sys.stdin.isatty(),
        help="say when a Ctrl-C is passed on to the processes, as there is no terminal to show it",
    )
    parser.add_argument("-d", "--debug", action="store_true", help="say more about errors")
    parser.add_argument(
        "-s",
        "--show-args",
        "--show-arguments",
        action="store_true",
        help="show the arguments that may be given to the launch file",
    )
    parser.add_argument(
        "-a",
        "--show-all-subprocesses-output",
        action="store_true",
        help="show the output of all processes, whatever their output setting",
    )
    parser.add_argument("--launch-prefix", help="words to put before each command")
    parser.add_argument(
        "--launch-prefix-filter", help="regular expression of the executables to put them before"
    )
    completed(
        parser.add_argument("package_name", help="a package, or the path of a launch file"),
        _packages_and_files,
    )
    completed(
        parser.add_argument("launch_file_name", nargs="?", help="a launch file of the package"),
        _files_or_arguments,
    )
    completed(
        parser.add_argument(
            "launch_arguments", nargs="*", help="arguments as '<name>:=<value>'; the last one wins"
        ),
        _arguments,
    )
    parser.set_defaults(run=run)


def _packages_and_files(*, prefix: str, **_: object) -> list[str]:
    folder = Path(prefix).parent if "/" in prefix else Path()
    files = [str(path) for path in folder.glob(f"*{LAUNCH_SUFFIX}")]
    folders = [f"{path}/" for path in folder.glob("*/") if not path.name.startswith(".")]
    return [*files, *folders, *sorted(ament_index.packages())]


def _files_or_arguments(*, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    if Path(parsed_args.package_name).is_file():
        return _arguments(parsed_args=parsed_args)
    with suppress(VerbError):
        share = ament_index.package_share(parsed_args.package_name)
        return [path.name for path in share.rglob(f"*{LAUNCH_SUFFIX}")]
    return []


def _arguments(*, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    with suppress(VerbError):
        path, _words = _find(parsed_args)
        lines = argument_lines(LaunchFiles().load(path))
        return [f"{found[1]}:=" for line in lines if (found := ARGUMENT_NAME.match(line))]
    return []


def run(arguments: argparse.Namespace) -> int:
    """Run, or with `--show-args` describe, a launch file.

    Returns:
        The exit code.

    Raises:
        VerbError: the options do not go together.
    """
    path, words = _find(arguments)
    if arguments.show_args:
        print(*argument_lines(LaunchFiles().load(path)), sep="\n")
        return 0
    if arguments.launch_prefix_filter and not arguments.launch_prefix:
        raise VerbError("--launch-prefix-filter needs --launch-prefix; add it")
    if arguments.launch_prefix:
        words.append(f"launch-prefix:={arguments.launch_prefix}")
    if arguments.launch_prefix_filter:
        words.append(f"launch-prefix-filter:={arguments.launch_prefix_filter}")
    if arguments.show_all_subprocesses_output:
        os.environ["OVERRIDE_LAUNCH_PROCESS_OUTPUT"] = "both"
    return launch(
        path,
        parse_arguments(words),
        interactive=not arguments.noninteractive,
        debug=arguments.debug,
    )


def _find(arguments: argparse.Namespace) -> tuple[Path, list[str]]:
    """Return the launch file that is meant and the words left for it.

    Raises:
        VerbError: there is no such launch file.
    """
    words: list[str] = list(arguments.launch_arguments)
    named = Path(arguments.package_name)
    second: str | None = arguments.launch_file_name
    if named.is_file():
        return named, ([second] if second is not None else []) + words
    if second is None or ":=" in second:
        raise VerbError(
            f"'{named}' is not a launch file; give the path of one, or a package and a file in it"
        )
    return _in_package(arguments.package_name, second), words


def _in_package(package: str, name: str) -> Path:
    """Return the one file of that name in the share directory of a package.

    Raises:
        VerbError: there is none, or more than one.
    """
    share = ament_index.package_share(package)
    found = sorted(Path(folder, name) for folder, _, names in os.walk(share) if name in names)
    if len(found) == 1:
        return found[0]
    if found:
        raise VerbError(
            f"file '{name}' is more than once in package '{package}': "
            f"{', '.join(map(str, found))}; give the path of one"
        )
    raise VerbError(
        f"file '{name}' not found in the share directory {share} of package '{package}'; "
        "build the package again if the file is new"
    )
