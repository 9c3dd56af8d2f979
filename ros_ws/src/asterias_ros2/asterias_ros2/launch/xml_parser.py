"""Reads XML launch files: every tag and attribute is known, or is an error with file and line."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from asterias_ros2.errors import LaunchError, located
from asterias_ros2.launch.actions import (
    Action,
    Condition,
    DeclareArgument,
    Group,
    Let,
    Log,
    PushNamespace,
    SetEnvironment,
    SetParameter,
    SetRemap,
    UnsetEnvironment,
)
from asterias_ros2.launch.includes import Include, LaunchDescription
from asterias_ros2.launch.process_actions import (
    Execute,
    ExecuteNode,
    ParameterFile,
    ParameterGroup,
    ProcessOptions,
)
from asterias_ros2.launch.substitutions import check
from asterias_ros2.launch.templates import Call, Template, Text, unescape
from asterias_ros2.launch.values import ParameterValue, read_value
from asterias_ros2.launch.xml_elements import Element, read_xml

CONDITIONS = ("if", "unless")
PROCESS_ATTRIBUTES = (
    "cwd",
    "emulate_tty",
    "launch-prefix",
    "name",
    "on_exit",
    "output",
    "respawn",
    "respawn_delay",
    "respawn_max_retries",
    "shell",
    "sigkill_timeout",
    "sigterm_timeout",
)


class LaunchFiles:
    """Loads launch files, each once."""

    def __init__(self) -> None:
        """Start with no file loaded."""
        self._loaded: dict[Path, LaunchDescription] = {}

    def load(self, path: Path) -> LaunchDescription:
        """Return the content of a launch file.

        Raises:
            LaunchError: for a file that cannot be read, or naming the line that is wrong.
        """
        # Not resolve(): in a workspace of symlinks $(dirname) must stay in the install folder.
        path = Path(os.path.abspath(path))  # noqa: PTH100
        if path not in self._loaded:
            root = read_xml(path)
            if root.tag != "launch":
                raise LaunchError(f"the root tag is <{root.tag}>, not <launch>", root.where)
            root.expect(("deprecated",), children=ACTIONS)
            actions = tuple(self._action(child) for child in root.children)
            self._loaded[path] = LaunchDescription(path, actions, root.attributes.get("deprecated"))
        return self._loaded[path]

    def _action(self, element: Element) -> Action:
        return ACTIONS[element.tag](element, self)

    def actions(self, elements: Iterable[Element]) -> tuple[Action, ...]:
        """Return the actions of some tags."""
        return tuple(self._action(element) for element in elements)


def _condition(element: Element) -> Condition | None:
    """Return the `if` or `unless` of a tag.

    Raises:
        LaunchError: it has both.
    """
    if all(name in element.attributes for name in CONDITIONS):
        raise LaunchError(f"<{element.tag}> has both 'if' and 'unless'; keep one", element.where)
    for name in CONDITIONS:
        if name in element.attributes:
            return Condition(element.template(name), negated=name == "unless")
    return None


def _arg(element: Element, _files: LaunchFiles) -> Action:
    element.expect(("default", "description", *CONDITIONS), ("name",), ("choice",))
    for choice in element.named("choice"):
        choice.expect(required=("value",))
    description = element.attributes.get("description")
    return DeclareArgument(
        where=element.where,
        condition=_condition(element),
        name=unescape(element.attributes["name"]),
        default=element.optional("default"),
        description=None if description is None else unescape(description),
        choices=tuple(unescape(choice.attributes["value"]) for choice in element.named("choice")),
    )


def _named_value(
    kind: type[Let] | type[SetEnvironment] | type[SetParameter],
) -> Callable[[Element, LaunchFiles], Action]:
    """Return the reader of a tag that sets a name to a value."""

    def read(element: Element, _files: LaunchFiles) -> Action:
        element.expect(CONDITIONS, ("name", "value"))
        return kind(
            where=element.where,
            condition=_condition(element),
            name=element.template("name"),
            value=element.template("value"),
        )

    return read


def _unset_env(element: Element, _files: LaunchFiles) -> Action:
    element.expect(CONDITIONS, ("name",))
    return UnsetEnvironment(
        where=element.where, condition=_condition(element), name=element.template("name")
    )


def _push_ros_namespace(element: Element, _files: LaunchFiles) -> Action:
    element.expect(CONDITIONS, ("namespace",))
    return PushNamespace(
        where=element.where, condition=_condition(element), namespace=element.template("namespace")
    )


def _set_remap(element: Element, _files: LaunchFiles) -> Action:
    element.expect(CONDITIONS, ("from", "to"))
    return SetRemap(
        where=element.where,
        condition=_condition(element),
        source=element.template("from"),
        target=element.template("to"),
    )


def _log(element: Element, _files: LaunchFiles) -> Action:
    element.expect(CONDITIONS, ("message",))
    return Log(
        where=element.where, condition=_condition(element), message=element.template("message")
    )


def _group(element: Element, files: LaunchFiles) -> Action:
    element.expect(("scoped", "forwarding", *CONDITIONS), children=(*ACTIONS, "keep"))
    return Group(
        where=element.where,
        condition=_condition(element),
        actions=files.actions(child for child in element.children if child.tag != "keep"),
        scoped=element.flag("scoped", True),
        forwarding=element.flag("forwarding", True),
        keep=element.pairs("keep", "name", "value"),
    )


def _include(element: Element, files: LaunchFiles) -> Action:
    element.expect(CONDITIONS, ("file",), ("arg", "let"))
    return Include(
        where=element.where,
        condition=_condition(element),
        file=element.template("file"),
        arguments=element.pairs("arg", "name", "value") + element.pairs("let", "name", "value"),
        load=files.load,
    )


def _executable(element: Element, _files: LaunchFiles) -> Action:
    element.expect((*PROCESS_ATTRIBUTES, *CONDITIONS), ("cmd",), ("env",))
    return Execute(
        where=element.where,
        condition=_condition(element),
        command=_words(element, "cmd") or (),
        name=element.optional("name"),
        options=_process_options(element),
    )


def _node(element: Element, _files: LaunchFiles) -> Action:
    own = ("args", "exec_name", "namespace", "pkg", "ros_args")
    element.expect((*own, *PROCESS_ATTRIBUTES, *CONDITIONS), ("exec",), ("env", "param", "remap"))
    return ExecuteNode(
        where=element.where,
        condition=_condition(element),
        command=(),
        name=element.optional("exec_name"),
        options=_process_options(element),
        package=element.optional("pkg"),
        executable=element.template("exec"),
        arguments=_words(element, "args"),
        ros_arguments=_words(element, "ros_args"),
        node_name=element.optional("name"),
        namespace=element.optional("namespace"),
        parameters=tuple(_parameter(child) for child in element.named("param")),
        remappings=element.pairs("remap", "from", "to"),
    )


def _process_options(element: Element) -> ProcessOptions:
    on_exit = element.attributes.get("on_exit")
    if on_exit not in (None, "shutdown"):
        raise LaunchError(f"on_exit is '{on_exit}'; only 'shutdown' is known", element.where)
    timeouts = {}
    for name in ("sigterm_timeout", "sigkill_timeout"):
        seconds = element.duration(name)
        timeouts[name] = None if seconds is None else str(seconds)
    return ProcessOptions(
        cwd=element.optional("cwd"),
        launch_prefix=element.optional("launch-prefix"),
        output=element.optional("output"),
        respawn=element.optional("respawn"),
        respawn_delay=element.duration("respawn_delay") or 0.0,
        respawn_max_retries=int(_or_default(element.number("respawn_max_retries", int), -1)),
        sigterm_timeout=timeouts["sigterm_timeout"],
        sigkill_timeout=timeouts["sigkill_timeout"],
        shell=element.flag("shell", False),
        emulate_tty=element.flag("emulate_tty", False),
        on_exit_shutdown=on_exit == "shutdown",
        environment=element.pairs("env", "name", "value"),
    )


def _or_default(value: float | None, default: int) -> float:
    return default if value is None else value


def _words(element: Element, name: str) -> tuple[Template, ...] | None:
    """Return an attribute as the arguments of a command line, or None if it is absent.

    Literal text is split as a shell splits it; the value of a `$(…)` is never split. An empty
    text, or one that starts with a space before a `$(…)`, gives an empty argument, as ROS 2 has it.
    """
    template = element.optional(name)
    if template is None:
        return None
    words: list[Template] = []
    current: list[Text | Call] = []

    def end_word() -> None:
        words.append(tuple(current))
        current.clear()

    for part in template:
        if isinstance(part, Call):
            current.append(part)
            continue
        tokens = _shell_words(part.text, element)
        if tokens and part.text[0].isspace() and current:
            end_word()
        current += [Text(token) for token in tokens[:1]]
        if len(tokens) > 1:
            end_word()
            words += [(Text(token),) for token in tokens[1:-1]]
            current.append(Text(tokens[-1]))
        if not tokens or part.text[-1].isspace():
            end_word()
    if current:
        end_word()
    return tuple(words)


def _shell_words(text: str, element: Element) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        message = f"{text!r} cannot be split into arguments: {error}; do not quote around a $(…)"
        raise LaunchError(message, element.where) from None


def _parameter(element: Element) -> ParameterGroup | ParameterFile:
    """Return what one `<param>` of a node gives.

    Raises:
        LaunchError: it has neither name nor file.
    """
    if "from" in element.attributes:
        element.expect(("allow_substs",), ("from",))
        return ParameterFile(element.template("from"), element.flag("allow_substs", False))
    if "name" not in element.attributes:
        raise LaunchError("<param> needs the attribute 'name' or 'from'", element.where)
    return ParameterGroup(tuple(_flat_parameters(element, ())))


def _flat_parameters(
    element: Element, prefix: Template
) -> Iterator[tuple[Template, ParameterValue]]:
    """Yield the full name and the value of each parameter of a, maybe nested, `<param>`.

    Raises:
        LaunchError: it has neither value nor inner parameters, or both.
    """
    element.expect(("type", "value", "value-sep"), ("name",), ("param",))
    name = (*prefix, *element.template("name"))
    nested = element.named("param")
    attributes = element.attributes
    if nested and not attributes.keys() & {"type", "value", "value-sep"}:
        for child in nested:
            yield from _flat_parameters(child, (*name, Text(".")))
    elif nested or "value" not in attributes:
        raise LaunchError("<param> needs either a value or <param> tags inside it", element.where)
    else:
        with located(element.where):
            kind = attributes.get("type", "yaml")
            value = read_value(attributes["value"], kind, attributes.get("value-sep"))
            for template in value.templates():
                check(template)
        yield name, value


ACTIONS: dict[str, Callable[[Element, LaunchFiles], Action]] = {
    "arg": _arg,
    "executable": _executable,
    "group": _group,
    "include": _include,
    "let": _named_value(Let),
    "log": _log,
    "node": _node,
    "push-ros-namespace": _push_ros_namespace,
    "push_ros_namespace": _push_ros_namespace,
    "set_env": _named_value(SetEnvironment),
    "set_parameter": _named_value(SetParameter),
    "set_remap": _set_remap,
    "unset_env": _unset_env,
}
