"""The values of `$(…)` in launch files.

Each substitution ROS 2 defines is here with its number of arguments, how it is described by
`--show-args`, and how it gets its value; the few that are left out are refused by name.
"""

from __future__ import annotations

import difflib
import importlib
import math
import os
import random
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from asterias_ros2 import ament_index
from asterias_ros2.errors import LaunchError, VerbError
from asterias_ros2.launch.templates import Call, Template, Text
from asterias_ros2.launch.values import parse_bool


class Scope(Protocol):
    """What a substitution may look at."""

    configurations: dict[str, str]
    environment: dict[str, str]

    def launch_file(self, purpose: str) -> Path:
        """Return the path of the launch file being read."""

    def note_use(self, name: str) -> None:
        """Remember that a launch configuration was asked for."""


Arguments = list[str]
# A launch file has room for a robot's description, not for a recording.
LARGEST_CONTENT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Substitution:
    """One kind of `$(…)`: how many arguments it takes and what it gives."""

    minimum: int
    maximum: int
    label: str
    value: Callable[[Scope, Arguments], str]


def evaluate(template: Template, scope: Scope) -> str:
    """Return the text of a template."""
    return "".join(
        part.text if isinstance(part, Text) else _evaluate_call(part, scope) for part in template
    )


def describe(template: Template) -> str:
    """Return a template in the form `ros2 launch --show-args` prints defaults in."""
    return " + ".join(_describe_part(part) for part in template)


def check(template: Template) -> Template:
    """Return the template if each `$(…)` in it is known and has a fitting number of arguments."""
    for part in template:
        if isinstance(part, Call):
            _substitution(part)
            for argument in part.arguments:
                check(argument)
    return template


def _substitution(call: Call) -> Substitution:
    """Return a substitution by its name, its number of arguments checked.

    Raises:
        LaunchError: it is not known, or has too few or too many arguments.
    """
    known = SUBSTITUTIONS.get(call.name)
    if known is None:
        if call.name in REFUSED:
            raise LaunchError(f"$({call.name} …) is not supported by this ros2 command")
        close = difflib.get_close_matches(call.name, SUBSTITUTIONS, n=1)
        hint = RENAMED.get(call.name) or (f"did you mean $({close[0]} …)?" if close else "")
        hint = hint or f"known are {', '.join(sorted(SUBSTITUTIONS))}"
        raise LaunchError(f"$({call.name} …) is not a substitution; {hint}")
    if not known.minimum <= len(call.arguments) <= known.maximum:
        numbers = {known.minimum, known.maximum}
        wanted = " or ".join(str(number) for number in sorted(numbers))
        raise LaunchError(
            f"$({call.name} …) takes {wanted} argument(s) and got {len(call.arguments)}; "
            "put an argument with spaces in quotes"
        )
    return known


def _evaluate_call(call: Call, scope: Scope) -> str:
    """Return the value of one `$(…)`.

    Raises:
        LaunchError: it has no value.
    """
    known = _substitution(call)
    try:
        return known.value(scope, [evaluate(argument, scope) for argument in call.arguments])
    except LaunchError:
        raise
    except VerbError as error:
        raise LaunchError(f"$({call.name} …): {error}") from error


def _describe_part(part: Text | Call) -> str:
    """Return the description of one literal or one `$(…)`."""
    if isinstance(part, Text):
        return f"'{part.text}'"
    label = _substitution(part).label
    inside = [describe(argument) for argument in part.arguments]
    # The one optional argument a label shows is the list of modules of $(eval …).
    return label.format(*inside, "'math'", all=", ".join(inside))


def _var(scope: Scope, arguments: Arguments) -> str:
    name, *default = arguments
    scope.note_use(name)
    if name in scope.configurations:
        return scope.configurations[name]
    if default:
        return default[0]
    close = difflib.get_close_matches(name, scope.configurations, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f'declare it with <arg name="{name}"/>'
    raise LaunchError(f"$(var {name}): no launch argument or <let> of that name here; {hint}")


def _env(scope: Scope, arguments: Arguments) -> str:
    name, *default = arguments
    if name in scope.environment:
        return scope.environment[name]
    if default:
        return default[0]
    raise LaunchError(
        f"$(env {name}): environment variable '{name}' is not set; "
        f"set it or give a default, $(env {name} DEFAULT)"
    )


def _find_executable(scope: Scope, arguments: Arguments) -> str:
    found = shutil.which(arguments[0], path=scope.environment.get("PATH", os.defpath))
    if found is None:
        raise LaunchError(f"$(find-exec {arguments[0]}): no such executable on PATH; install it")
    return found


def _eval(scope: Scope, arguments: Arguments) -> str:
    """Return the value of a Python expression.

    Only the modules that it names (`math` by default) are in sight.

    Raises:
        LaunchError: the expression fails.
    """
    names = [name.strip() for name in arguments[1].split(",")] if arguments[1:] else ["math"]
    visible: dict[str, Any] = {}
    try:
        for name in names:
            module = importlib.import_module(name)
            visible[module.__name__] = module
        if "math" in visible:
            visible = {**vars(math), **visible}
        with _environment(scope.environment):
            return str(eval(arguments[0], {}, visible))
    except Exception as error:
        kind = type(error).__name__
        raise LaunchError(f"$(eval …): {kind} in {arguments[0]!r}: {error}") from error


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Let an expression see the environment as the launch file has set it."""
    saved = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def _anonymous(scope: Scope, arguments: Arguments) -> str:
    """Return a name of its own for each argument; the same argument gives the same name."""
    key = f"anon{arguments[0]}"
    if key not in scope.configurations:
        number = random.randint(0, sys.maxsize)
        name = f"{arguments[0]}_{socket.gethostname()}_{os.getpid()}_{number}"
        scope.configurations[key] = name.translate(str.maketrans(".-:", "___"))
    return scope.configurations[key]


def _command(scope: Scope, arguments: Arguments) -> str:
    """Return the standard output of a command, unstripped.

    Raises:
        LaunchError: the command cannot be run or fails, or complains and may not.
    """
    line, *policy = arguments
    on_stderr = policy[0] if policy else "fail"
    if on_stderr not in ("fail", "ignore", "warn", "capture"):
        raise LaunchError(f"$(command …): {on_stderr!r} is not fail, ignore, warn or capture")
    if on_stderr == "warn":
        raise LaunchError("$(command …): 'warn' is not supported here; use ignore or capture")
    try:
        result = subprocess.run(
            shlex.split(line),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if on_stderr == "capture" else subprocess.PIPE,
            env=scope.environment,
            text=True,
            check=False,
        )
    except (OSError, ValueError, IndexError) as error:
        raise LaunchError(f"$(command …): cannot run {line!r}: {error}") from error
    complaint = result.stderr or ""
    if result.returncode != 0:
        reason = f": {complaint.strip()}" if complaint.strip() else ""
        raise LaunchError(f"$(command …): {line!r} exited with {result.returncode}{reason}")
    if complaint and on_stderr == "fail":
        raise LaunchError(f"$(command …): {line!r} wrote to standard error: {complaint.strip()}")
    return result.stdout


def _file_content(_scope: Scope, arguments: Arguments) -> str:
    """Return a text file as it is, line end and all.

    Raises:
        LaunchError: it is no readable text file of reasonable size.
    """
    path = Path(arguments[0])
    try:
        if not path.is_file():
            raise LaunchError(f"$(file-content …): {path} is no file; check the path")
        if path.stat().st_size > LARGEST_CONTENT_BYTES:
            limit = f"{LARGEST_CONTENT_BYTES:,}"
            raise LaunchError(f"$(file-content …): {path} has more than {limit} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise LaunchError(f"$(file-content …): {path} cannot be read: {error}") from error


def _equal(arguments: Arguments) -> bool:
    """Return whether two texts are equal: as truth values, else as numbers, else as text."""
    truths = [_as_truth(text) for text in arguments]
    if None not in truths:
        return truths[0] == truths[1]
    try:
        return math.isclose(*(float(text) for text in arguments))
    except ValueError:
        return arguments[0] == arguments[1]


def _as_truth(text: str) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get(text.lower())


def _truths(arguments: Arguments) -> list[bool]:
    return [parse_bool(text, "an argument of $(not …), $(and …) or $(or …)") for text in arguments]


def _word(truth: bool) -> str:
    return str(truth).lower()


def _in_index(find: Callable[[str, Mapping[str, str]], Path]) -> Callable[[Scope, Arguments], str]:
    """Return a substitution that asks the ament index."""
    return lambda scope, arguments: str(find(arguments[0], scope.environment))


def _executable(scope: Scope, arguments: Arguments) -> str:
    return str(ament_index.executable(arguments[1], arguments[0], scope.environment))


SUBSTITUTIONS: dict[str, Substitution] = {
    "var": Substitution(1, 2, "LaunchConfig({0})", _var),
    "env": Substitution(1, 2, "EnvVar({0})", _env),
    "find-pkg-prefix": Substitution(
        1, 1, "FindPackagePrefix(pkg={0})", _in_index(ament_index.package_prefix)
    ),
    "find-pkg-share": Substitution(
        1, 1, "FindPackageShare(pkg={0})", _in_index(ament_index.package_share)
    ),
    "exec-in-pkg": Substitution(2, 2, "ExecInPkg(pkg={1}, exec={0})", _executable),
    "find-exec": Substitution(1, 1, "FindExec({0})", _find_executable),
    "dirname": Substitution(
        0, 0, "ThisLaunchFileDir()", lambda scope, _: str(scope.launch_file("dirname").parent)
    ),
    "filename": Substitution(
        0, 0, "ThisLaunchFile()", lambda scope, _: str(scope.launch_file("filename"))
    ),
    "eval": Substitution(1, 2, "PythonExpr({0}, [{1}])", _eval),
    "file-content": Substitution(1, 1, "FileContent({0})", _file_content),
    "anon": Substitution(1, 1, "AnonName({0})", _anonymous),
    "command": Substitution(1, 2, "Command({0})", _command),
    "not": Substitution(
        1, 1, "NotSubstitution({all})", lambda _, args: _word(not _truths(args)[0])
    ),
    "and": Substitution(2, 2, "AndSubstitution({all})", lambda _, args: _word(all(_truths(args)))),
    "or": Substitution(2, 2, "OrSubstitution({all})", lambda _, args: _word(any(_truths(args)))),
    "equals": Substitution(2, 2, "EqualsSubstitution({all})", lambda _, args: _word(_equal(args))),
    "not-equals": Substitution(
        2, 2, "NotEqualsSubstitution({all})", lambda _, args: _word(not _equal(args))
    ),
}
# Substitutions of the real tool that mean different things in different releases, or nothing.
REFUSED = ("all", "any", "if", "launch_log_dir", "log_dir", "param")
RENAMED = {
    "arg": "write $(var NAME)",
    "find": "write $(find-pkg-share PACKAGE)",
    "optenv": "write $(env NAME DEFAULT)",
}
