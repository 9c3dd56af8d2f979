"""The state a launch file is evaluated in: arguments, environment, namespace, current file.

Evaluation comes first, as a whole; processes start only when all of it has succeeded.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asterias_ros2.errors import LaunchError
from asterias_ros2.launch.log import LaunchLog
from asterias_ros2.launch.values import Value

NODE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NAMESPACE = re.compile(r"/|(/[A-Za-z_][A-Za-z0-9_]*)+")
LONGEST_NODE_NAME = 255

# Launch configurations that mean something to the launch itself, declared or not.
RESERVED = (
    "emulate_tty",
    "launch-prefix",
    "launch-prefix-filter",
    "ros_namespace",
    "sigkill_timeout",
    "sigterm_timeout",
)


@dataclass(frozen=True)
class ProcessDescription:
    """One process to run, with nothing left to evaluate."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    where: str
    cwd: str | None = None
    shell: bool = False
    output: str = "log"
    emulate_tty: bool = False
    on_exit_shutdown: bool = False
    respawn: bool = False
    respawn_delay: float = 0.0
    respawn_max_retries: int = -1
    sigterm_timeout: str | None = None
    sigkill_timeout: str | None = None


@dataclass(frozen=True)
class _Scope:
    """What a scope comes back to at its end."""

    configurations: dict[str, str]
    environment: dict[str, str]
    remappings: tuple[tuple[str, str], ...]
    parameters: tuple[tuple[str, Value], ...]


class LaunchContext:
    """Launch configurations, environment and what has been evaluated so far."""

    def __init__(self, environment: Mapping[str, str], log: LaunchLog | None = None) -> None:
        """Start with an environment and no launch configuration at all."""
        self.environment = dict(environment)
        self.configurations: dict[str, str] = {}
        self.log = log
        self.processes: list[ProcessDescription] = []
        self.node_names: Counter[str] = Counter()
        self.declared: set[str] = set()
        self.used: set[str] = set()
        self.depth = 0
        self.initial_environment = dict(environment)
        # Of all nodes in the current scope.
        self.remappings: tuple[tuple[str, str], ...] = ()
        self.parameters: tuple[tuple[str, Value], ...] = ()
        self._saved: list[_Scope] = []
        self._file: Path | None = None
        self._last_entered: Path | None = None
        self._parameter_directory: Path | None = None

    def push(self) -> None:
        """Open a scope: what is set inside it is undone by `pop`."""
        scope = _Scope(
            dict(self.configurations), dict(self.environment), self.remappings, self.parameters
        )
        self._saved.append(scope)

    def pop(self) -> None:
        """Close the innermost scope."""
        scope = self._saved.pop()
        self.configurations, self.environment = scope.configurations, scope.environment
        self.remappings, self.parameters = scope.remappings, scope.parameters

    def reset_environment(self) -> None:
        """Return to the environment the launch was started with."""
        self.environment = dict(self.initial_environment)

    def note_use(self, name: str) -> None:
        """Remember that a launch configuration was asked for."""
        self.used.add(name)

    def enter_file(self, path: Path) -> Path | None:
        """Make `path` the current launch file.

        Returns:
            The one before it, for `leave_file`.
        """
        previous = self._file
        self._file = self._last_entered = path
        return previous

    def leave_file(self, previous: Path | None) -> None:
        """Return to the launch file that included the current one."""
        self._file = previous

    def launch_file(self, purpose: str) -> Path:
        """Return the current launch file for `$(dirname)` or `$(filename)`.

        Releases of ROS 2 differ on what these give after an `<include>`: this file, or the one
        included last. Where that matters they are refused, so that no file has two meanings.

        Raises:
            LaunchError: there is none, or the releases differ.
        """
        path, last = self._file, self._last_entered
        if path is None or last is None:
            raise LaunchError(f"$({purpose}) needs a launch file around it")
        if (path.parent != last.parent) if purpose == "dirname" else (path != last):
            raise LaunchError(
                f"$({purpose}) after an <include> differs between releases of ROS 2; "
                f'put <let name="here" value="$({purpose})"/> before it and write $(var here)'
            )
        return path

    def namespace(self, own: str | None) -> str | None:
        """Return the absolute namespace of a node, or None if none was given anywhere."""
        return join_namespace(self.configurations.get("ros_namespace"), own)

    def parameter_file(self) -> Path:
        """Return the path of a new, empty parameter file; `clean_up` removes it."""
        if self._parameter_directory is None:
            self._parameter_directory = Path(tempfile.mkdtemp(prefix="launch_params_"))
        handle, name = tempfile.mkstemp(prefix="launch_params_", dir=self._parameter_directory)
        os.close(handle)
        return Path(name)

    def clean_up(self) -> None:
        """Remove the parameter files that were written for nodes."""
        if self._parameter_directory is not None:
            shutil.rmtree(self._parameter_directory, ignore_errors=True)
            self._parameter_directory = None


def join_namespace(base: str | None, own: str | None) -> str | None:
    """Return a given namespace below a pushed one; an absolute one stands alone.

    Raises:
        LaunchError: if the result is not a valid namespace.
    """
    if base is None and own is None:
        return None
    if own is None:
        joined = base or ""
    elif not base or own.startswith("/"):
        joined = own
    else:
        joined = f"{'' if base == '/' else base}/{own}"
    joined = joined.rstrip("/")
    joined = joined if joined.startswith("/") else f"/{joined}"
    if not NAMESPACE.fullmatch(joined):
        raise LaunchError(
            f"namespace '{joined}' is not valid; use names of letters, digits and '_' between '/'"
        )
    return joined


def check_node_name(name: str) -> str:
    """Return the name if a ROS 2 node may have it.

    Raises:
        LaunchError: it may not.
    """
    if NODE_NAME.fullmatch(name) and len(name) <= LONGEST_NODE_NAME:
        return name
    raise LaunchError(f"node name '{name}' is not valid; use letters, digits and '_' only")
