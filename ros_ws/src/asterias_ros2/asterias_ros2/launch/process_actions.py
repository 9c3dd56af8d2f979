"""`<executable>` and `<node>`: from a tag to a process with nothing left to evaluate."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from asterias_ros2 import ament_index
from asterias_ros2.errors import LaunchError, VerbError
from asterias_ros2.launch.actions import Action
from asterias_ros2.launch.context import LaunchContext, ProcessDescription, check_node_name
from asterias_ros2.launch.log import OUTPUTS
from asterias_ros2.launch.substitutions import evaluate
from asterias_ros2.launch.templates import Template, parse_template
from asterias_ros2.launch.values import ParameterValue, Value, final_value, parse_bool
from asterias_ros2.safe_yaml import DepthError, load_yaml


@dataclass(frozen=True, kw_only=True)
class ProcessOptions:
    """The attributes `<node>` and `<executable>` share, apart from the command."""

    cwd: Template | None = None
    launch_prefix: Template | None = None
    output: Template | None = None
    respawn: Template | None = None
    respawn_delay: float = 0.0
    respawn_max_retries: int = -1
    sigterm_timeout: str | None = None
    sigkill_timeout: str | None = None
    shell: bool = False
    emulate_tty: bool = False
    on_exit_shutdown: bool = False
    environment: tuple[tuple[Template, Template], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Execute(Action):
    """`<executable>`: any process."""

    command: tuple[Template, ...]
    name: Template | None = None
    options: ProcessOptions

    def execute(self, context: LaunchContext) -> None:
        """Add the process to those that will be started."""
        command = [evaluate(part, context) for part in self.command]
        self.add_process(context, command)

    def add_process(self, context: LaunchContext, command: list[str]) -> ProcessDescription:
        """Evaluate what is left, number the process and add it to the launch.

        Returns:
            The process.

        Raises:
            LaunchError: the command or its output is not valid.
        """
        if not command:
            raise LaunchError("the command is empty")
        options = self.options
        command = self._prefix(context, command[0]) + command
        label = Path(command[0]).name if self.name is None else evaluate(self.name, context)
        output = "log" if options.output is None else evaluate(options.output, context)
        output = context.initial_environment.get("OVERRIDE_LAUNCH_PROCESS_OUTPUT", output)
        if output not in OUTPUTS:
            raise LaunchError(f"output is '{output}'; it must be one of {', '.join(OUTPUTS)}")
        process = ProcessDescription(
            name=f"{label}-{len(context.processes) + 1}",
            command=tuple(command),
            environment=self._environment(context),
            where=self.where,
            cwd=None if options.cwd is None else evaluate(options.cwd, context),
            shell=options.shell,
            output=output,
            emulate_tty=options.emulate_tty,
            on_exit_shutdown=options.on_exit_shutdown,
            respawn=options.respawn is not None
            and parse_bool(evaluate(options.respawn, context), "respawn"),
            respawn_delay=options.respawn_delay,
            respawn_max_retries=options.respawn_max_retries,
            sigterm_timeout=options.sigterm_timeout,
            sigkill_timeout=options.sigkill_timeout,
        )
        check_command(process)
        context.processes.append(process)
        return process

    def _prefix(self, context: LaunchContext, executable: str) -> list[str]:
        """Return the words to put before the command, such as `gdb --args`.

        Raises:
            LaunchError: the filter is no regular expression.
        """
        if self.options.launch_prefix is not None:
            return _split_words(evaluate(self.options.launch_prefix, context))
        pattern = context.configurations.get("launch-prefix-filter", "")
        try:
            if re.match(pattern, Path(executable).name) is None:
                return []
        except re.error as error:
            raise LaunchError(f"launch-prefix-filter {pattern!r} is not valid: {error}") from error
        return _split_words(context.configurations.get("launch-prefix", ""))

    def _environment(self, context: LaunchContext) -> dict[str, str]:
        environment = dict(context.environment)
        for name, value in self.options.environment:
            environment[evaluate(name, context)] = evaluate(value, context)
        return environment


@dataclass(frozen=True)
class ParameterGroup:
    """One `<param name=…>`: flat names and their values."""

    values: tuple[tuple[Template, ParameterValue], ...]

    def file(self, context: LaunchContext, node: str) -> Path:
        """Write the parameters into a file of their own for one node, or `/**` for any.

        Returns:
            The path of the file.
        """
        parameters: dict[str, Value] = {}
        for name, value in self.values:
            texts = [evaluate(template, context) for template in value.templates()]
            parameters[evaluate(name, context)] = final_value(value, texts)
        path = context.parameter_file()
        content = {node: {"ros__parameters": parameters}}
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        return path


@dataclass(frozen=True)
class ParameterFile:
    """One `<param from=…>`: a YAML file, passed on as it is or with its `$(…)` replaced."""

    path: Template
    allow_substitutions: bool = False

    def file(self, context: LaunchContext, node: str) -> Path:
        """Return the path to pass on; `node` is not needed, the file names its nodes itself.

        Raises:
            LaunchError: the file is not there, or is not YAML once its `$(…)` are replaced.
        """
        del node
        path = Path(evaluate(self.path, context))
        if not path.is_file():
            raise LaunchError(f"parameter file {path} not found; check the path in from=…")
        if not self.allow_substitutions:
            return path
        text = evaluate(parse_template(path.read_text(encoding="utf-8")), context)
        try:
            load_yaml(text)
        except DepthError as error:
            raise LaunchError(f"{path} is nested too deep") from error
        except yaml.YAMLError as error:
            raise LaunchError(f"{path} is not YAML once its $(…) are replaced: {error}") from error
        copy = context.parameter_file()
        copy.write_text(text, encoding="utf-8")
        return copy


@dataclass(frozen=True, kw_only=True)
class ExecuteNode(Execute):
    """`<node>`: a process with the ROS arguments for one node."""

    package: Template | None = None
    executable: Template
    arguments: tuple[Template, ...] | None = None
    ros_arguments: tuple[Template, ...] | None = None
    node_name: Template | None = None
    namespace: Template | None = None
    parameters: tuple[ParameterGroup | ParameterFile, ...] = ()
    remappings: tuple[tuple[Template, Template], ...] = ()

    def execute(self, context: LaunchContext) -> None:
        """Build the command line as `launch_ros` does, in its order, and add the process."""
        name = None
        if self.node_name is not None:
            name = check_node_name(evaluate(self.node_name, context))
        own = None if self.namespace is None else evaluate(self.namespace, context)
        namespace = context.namespace(own)
        full_name = None
        if name is not None and namespace is not None:
            full_name = f"{namespace.rstrip('/')}/{name}"
        command = [
            *self._program(context),
            *self._names(name, namespace),
            *(word for name, value in context.parameters for word in ("-p", f"{name}:={value}")),
            *self._parameters(context, full_name or "/**"),
            *self._remappings(context),
        ]
        process = self.add_process(context, command)
        if full_name is not None:
            _warn_if_repeated(context, process, full_name)

    def _program(self, context: LaunchContext) -> Iterator[str]:
        """Yield the executable and its own arguments.

        Raises:
            LaunchError: the package or its executable is not there.
        """
        executable = evaluate(self.executable, context)
        if self.package is not None:
            package = evaluate(self.package, context)
            try:
                executable = str(ament_index.executable(package, executable, context.environment))
            except VerbError as error:
                raise LaunchError(str(error)) from error
        yield executable
        for argument in self.arguments or ():
            yield evaluate(argument, context)
        if self.ros_arguments is not None:
            yield "--ros-args"
            for argument in self.ros_arguments:
                yield evaluate(argument, context)

    @staticmethod
    def _names(name: str | None, namespace: str | None) -> Iterator[str]:
        yield "--ros-args"
        if name is not None:
            yield from ("-r", f"__node:={name}")
        if namespace is not None:
            yield from ("-r", f"__ns:={namespace}")

    def _parameters(self, context: LaunchContext, node: str) -> Iterator[str]:
        for parameter in self.parameters:
            yield from ("--params-file", str(parameter.file(context, node)))

    def _remappings(self, context: LaunchContext) -> Iterator[str]:
        for rule in context.remappings:
            yield from ("-r", ":=".join(rule))
        for source, target in self.remappings:
            yield from ("-r", f"{evaluate(source, context)}:={evaluate(target, context)}")


def check_command(process: ProcessDescription) -> None:
    """Refuse a command or working directory that does not exist, before anything is started.

    Raises:
        LaunchError: naming what does not exist.
    """
    if process.cwd is not None and not Path(process.cwd).is_dir():
        raise LaunchError(f"working directory {process.cwd} does not exist; create it or fix cwd=…")
    if process.shell:
        return
    program = process.command[0]
    if "/" in program:
        path = Path(process.cwd or ".", program)
        found = path.is_file() and os.access(path, os.X_OK)
    else:
        path_variable = process.environment.get("PATH", os.defpath)
        found = shutil.which(program, path=path_variable) is not None
    if not found:
        raise LaunchError(f"executable '{program}' not found; install it or fix its path")


def _split_words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise LaunchError(f"launch-prefix {text!r} cannot be split into words: {error}") from error


def _warn_if_repeated(context: LaunchContext, process: ProcessDescription, node: str) -> None:
    context.node_names[node] += 1
    count = context.node_names[node]
    if count > 1 and context.log is not None:
        context.log.message(
            "WARNING",
            process.name,
            f"there are now at least {count} nodes with the name {node} created within this "
            "launch context",
        )
