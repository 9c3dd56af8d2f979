"""The tags of an XML file with their places, before they mean anything."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from asterias_ros2.errors import LaunchError, located
from asterias_ros2.launch.substitutions import check
from asterias_ros2.launch.templates import Template, parse_template
from asterias_ros2.launch.values import parse_bool

# More than any real file has, and far from where Python's stack ends.
MOST_NESTED_TAGS = 100
SUFFIXES = (".xml", ".launch")
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
        """Refuse attributes and child tags that are not listed, and missing required ones.

        Raises:
            LaunchError: naming the first of them, and the nearest that is known.
        """
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
        """Return a literal number, or None.

        Raises:
            LaunchError: it is no number.
        """
        if name not in self.attributes:
            return None
        text = self.attributes[name]
        try:
            return kind(text)
        except ValueError:
            message = f"{name} is '{text}'; it must be a plain {kind.__name__}, without $(…)"
            raise LaunchError(message, self.where) from None

    def duration(self, name: str) -> float | None:
        """Return a literal number of seconds that is not negative, or None.

        Raises:
            LaunchError: it is negative.
        """
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


def read_xml(path: Path) -> Element:
    """Return the root tag of an XML file.

    Raises:
        LaunchError: the file cannot be read or is not XML.
    """
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


def _hint(name: str, known: list[str]) -> str:
    """Return the cure for a name that is not known."""
    if name in REFUSED_TAGS:
        return f"<{name}> is not supported by this ros2 command"
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known here: {', '.join(sorted(known))}" if known else "nothing may stand here"
