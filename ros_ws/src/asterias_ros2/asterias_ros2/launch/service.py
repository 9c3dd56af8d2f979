"""From a launch file and its arguments to running processes and an exit code."""

from __future__ import annotations

import difflib
import os
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from asterias_ros2.errors import LaunchError, VerbError
from asterias_ros2.launch.context import RESERVED, LaunchContext
from asterias_ros2.launch.includes import Include, LaunchDescription, declared_arguments
from asterias_ros2.launch.log import LaunchLog
from asterias_ros2.launch.runner import Defaults, Runner
from asterias_ros2.launch.templates import Text
from asterias_ros2.launch.xml_parser import LaunchFiles

EXIT_FAILED = 1


def parse_arguments(words: Sequence[str]) -> dict[str, str]:
    """Return the arguments of `name:=value` words; of several with one name the last wins.

    Raises:
        VerbError: naming the word that has another form.
    """
    arguments: dict[str, str] = {}
    for word in words:
        name, separator, value = word.partition(":=")
        if not (name and separator and value):
            raise VerbError(
                f"malformed launch argument '{word}', expected format '<name>:=<value>'"
            )
        arguments[name] = value
    return arguments


def launch(path: Path, arguments: Mapping[str, str], *, interactive: bool, debug: bool) -> int:
    """Evaluate a launch file and run its processes until they end.

    Returns:
        The exit code.
    """
    log = LaunchLog(os.environ, debug=debug)
    log.open()
    context = LaunchContext(os.environ, log)
    try:
        evaluate_file(path, arguments, context)
        runner = Runner(
            context.processes,
            Defaults.read(context.configurations),
            log,
            interactive=interactive,
        )
        return runner.run()
    except VerbError as error:
        log.message("DEBUG", "launch", traceback.format_exc())
        text = f"Caught exception in launch (see debug for traceback): {error}"
        log.message("ERROR", "launch", text)
        return EXIT_FAILED
    finally:
        context.clean_up()
        log.close()


def evaluate_file(path: Path, arguments: Mapping[str, str], context: LaunchContext) -> None:
    """Evaluate a launch file as a whole; its processes are then in the context.

    Raises:
        LaunchError: for the first mistake; nothing has been started then.
    """
    files = LaunchFiles()
    command_line = Include(
        where="",
        file=(Text(str(path)),),
        arguments=tuple(((Text(name),), (Text(value),)) for name, value in arguments.items()),
        load=files.load,
        from_command_line=True,
    )
    try:
        command_line.visit(context)
        _refuse_unknown(files.load(path), arguments, context)
    except RecursionError:
        raise LaunchError(f"{path}: its tags and includes are nested too deep") from None


def _refuse_unknown(
    description: LaunchDescription, arguments: Mapping[str, str], context: LaunchContext
) -> None:
    """Refuse an argument that nothing declares or reads: most likely it is misspelt.

    Raises:
        LaunchError: naming the argument, and the nearest that is known.
    """
    visible = declared_arguments(description.actions, context.environment)
    declared = context.declared | {item.argument.name for item in visible}
    for name in arguments:
        if name in declared or name in context.used or name in RESERVED:
            continue
        close = difflib.get_close_matches(name, declared, n=1)
        hint = f"did you mean '{close[0]}'?" if close else "see --show-args"
        raise LaunchError(f"launch argument '{name}' is not known to {description.path}; {hint}")
