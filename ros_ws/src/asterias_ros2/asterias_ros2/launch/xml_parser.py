"""Reads XML launch files: every tag and attribute is known, or is an error with file and line."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

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
    Node,
    ParameterFile,
    ParameterGroup,
    ProcessOptions,
)
from asterias_ros2.launch.substitutions import check
from asterias_ros2.launch.templates import Call, Template, Text, parse_template, unescape
from asterias_ros2.launch.values import ParameterValue, parse_bool, read_value

# More than any real file has, and far from where Python's stack ends.
MOST_NESTED_TAGS = 100
SUFFIXES = (".xml", ".launch")
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
# Tags of the real tool that this one leaves out, to say so instead of "unknown".
REFUSED_TAGS = (
    "append_env",
    "composable_node",
    "load_composable_node",
    "node_container",
    "reset",
    "reset_env",
    "ros_timer",
    "set_parameters_from_file",
    "set_ros_log_dir",
    "set_use_sim_time",
    "shutdown",
    "timer",
)


@dataclass
class Element:
    """One tag with its attributes and its place."""

    tag: str
    attributes: dict[str, str]
    where: str
    children: list[Element] = field(default_factory=list)

    def expect(
        self,
        attributes: Iterable[str] = (),
        required: Iterable[str] = (),
        children: Iterable[str] = (),
    ) -> None:
        """Refuse attributes and child tags that are not listed, and missing required ones."""
        known = [*required, *attributes]
        for name in self.attributes:
            if name not in known:
                raise LaunchError(
                    f"<{self.tag}> has no attribute '{name}'; {_hint(name, known)}", self.where
                )
        for name in required:
            if name not in self.attributes:
                raise LaunchError(
                    f"<{self.tag}> needs the attribute '{name}'; add {name}=\"…\"", self.where
                )
        allowed = list(children)
        for child in self.children:
            if child.tag not in allowed:
                raise LaunchError(
                    f"<{self.tag}> cannot hold <{child.tag}>; {_hint(child.tag, allowed)}",
                    child.where,
                )

    def template(self, name: str) -> Template:
        """Return a required attribute with its `$(…)` found."""
        with located(self.where):
            return check(parse_template(self.attributes[name]))

    def optional(self, name: str) -> Template | None:
        """Return an attribute with its `$(…)` found, or None."""
        return self.template(name) if name in self.attributes else None

    def named(self, tag: str) -> list[Element]:
        """Return the children with a tag."""
        return [child for child in self.children if child.tag == tag]

    def flag(self, name: str, default: bool) -> bool:
        """Return a literal truth value."""
        if name not in self.attributes:
            return default
        with located(self.where):
            return parse_bool(self.attributes[name], name)

    def number(self, name: str, kind: type[int] | type[float]) -> int | float | None:
        """Return a literal number, or None."""
        if name not in self.attributes:
            return None
        text = self.attributes[name]
        try:
            return kind(text)
        except ValueError:
            message = f"{name} is '{text}'; it must be a plain {kind.__name__}, without $(…)"
            raise LaunchError(message, self.where) from None

    def duration(self, name: str) -> float | None:
        """Return a literal number of seconds that is not negative, or None."""
        seconds = self.number(name, float)
        if seconds is not None and not seconds >= 0.0:
            raise LaunchError(f"{name} is {seconds}; it cannot be negative", self.where)
        return seconds

    def pairs(self, tag: str, first: str, second: str) -> tuple[tuple[Template, Template], ...]:
        """Return two required attributes of each child with a tag, such as `<env name= value=>`."""
        found = []
        for child in self.named(tag):
            child.expect(required=(first, second))
            found.append((child.template(first), child.template(second)))
        return tuple(found)


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


def read_xml(path: Path) -> Element:
    """Return the root tag of an XML file."""
    if not path.name.endswith(SUFFIXES):
        raise LaunchError(
            f"{path} is not an XML launch file (.launch.xml); "
            "Python and YAML launch files need a full ROS 2"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LaunchError(f"cannot read launch file {path}: {error.strerror}") from error
    return _XmlReader(path).read(content)


class _XmlReader:
    """Builds elements from the events of the XML parser, which alone knows the line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open: list[Element] = []
        self.root: Element | None = None
        # As the real tool: UTF-8, whatever the file's first line declares.
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = lambda _: self.open.pop()
        self.parser.CharacterDataHandler = self.text

    def read(self, content: bytes) -> Element:
        try:
            content.decode("utf-8")
            self.parser.Parse(content, True)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            message = f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
            raise LaunchError(message, f"{self.path}:{line}") from None
        except expat.ExpatError as error:
            message = f"not well-formed XML: {expat.ErrorString(error.code)}"
            raise LaunchError(message, f"{self.path}:{error.lineno}") from None
        assert self.root is not None, "expat accepts no document without a root"
        return self.root

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, self.where)
        if len(self.open) >= MOST_NESTED_TAGS:
            raise LaunchError(f"tags are nested more than {MOST_NESTED_TAGS} deep", self.where)
        if self.open:
            self.open[-1].children.append(element)
        self.root = self.root or element
        self.open.append(element)

    def text(self, text: str) -> None:
        if text.strip():
            raise LaunchError(
                f"text {text.strip()!r} between tags means nothing; use an attribute", self.where
            )

    @property
    def where(self) -> str:
        return f"{self.path}:{self.parser.CurrentLineNumber}"


def _condition(element: Element) -> Condition | None:
    """Return the `if` or `unless` of a tag."""
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


def _let(element: Element, _files: LaunchFiles) -> Action:
    element.expect(CONDITIONS, ("name", "value"))
    return Let(
        where=element.where,
        condition=_condition(element),
        name=element.template("name"),
        value=element.template("value"),
    )


def _set_env(element: Element, _files: LaunchFiles) -> Action:
    element.expect(CONDITIONS, ("name", "value"))
    return SetEnvironment(
        where=element.where,
        condition=_condition(element),
        name=element.template("name"),
        value=element.template("value"),
    )


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


def _set_parameter(element: Element, _files: LaunchFiles) -> Action:
    element.expect(CONDITIONS, ("name", "value"))
    return SetParameter(
        where=element.where,
        condition=_condition(element),
        name=element.template("name"),
        value=element.template("value"),
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
    return Node(
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
    """Split an attribute into the arguments of a command line, or return None if it is absent.

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
    """Return what one `<param>` of a node gives."""
    if "from" in element.attributes:
        element.expect(("allow_substs",), ("from",))
        return ParameterFile(element.template("from"), element.flag("allow_substs", False))
    if "name" not in element.attributes:
        raise LaunchError("<param> needs the attribute 'name' or 'from'", element.where)
    return ParameterGroup(tuple(_flat_parameters(element, ())))


def _flat_parameters(
    element: Element, prefix: Template
) -> Iterator[tuple[Template, ParameterValue]]:
    """Yield the full name and the value of each parameter of a, maybe nested, `<param>`."""
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


def _hint(name: str, known: list[str]) -> str:
    """Return the cure for a name that is not known."""
    if name in REFUSED_TAGS:
        return f"<{name}> is not supported by this ros2 command"
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known here: {', '.join(sorted(known))}" if known else "nothing may stand here"


ACTIONS: dict[str, Callable[[Element, LaunchFiles], Action]] = {
    "arg": _arg,
    "executable": _executable,
    "group": _group,
    "include": _include,
    "let": _let,
    "log": _log,
    "node": _node,
    "push-ros-namespace": _push_ros_namespace,
    "push_ros_namespace": _push_ros_namespace,
    "set_env": _set_env,
    "set_parameter": _set_parameter,
    "set_remap": _set_remap,
    "unset_env": _unset_env,
}
