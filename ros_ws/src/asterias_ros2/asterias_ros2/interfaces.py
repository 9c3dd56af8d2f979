"""Messages, services and actions that are installed, by the ament resource index.

Each package that has some is a file in `resource_index/rosidl_interfaces` whose lines name their
files, such as `msg/String.msg`. The texts lie below the package's share directory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from asterias_ros2.ament_index import PREFIX_PATH
from asterias_ros2.errors import VerbError
from asterias_ros2.parsers import nearest

MARKERS = Path("share/ament_index/resource_index/rosidl_interfaces")
KINDS = ("msg", "srv", "action")
SEPARATOR = "---"
PRIMITIVES = frozenset({"bool", "byte", "char", "float32", "float64", "string", "wstring"}) | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
# A field: its type, perhaps an array's brackets, its name. What follows is a value.
_FIELD = re.compile(r"\s*([A-Za-z][\w/]*)(?:<=\d+)?(?:\[[^\]]*\])?\s+[A-Za-z]\w*")
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")


def interfaces() -> dict[str, dict[str, Path]]:
    """Return the path of the text of each interface, by package and name such as `msg/String`.

    The first prefix on the search path wins.
    """
    found: dict[str, dict[str, Path]] = {}
    for prefix in map(Path, os.environ.get(PREFIX_PATH, "").split(os.pathsep)):
        markers = prefix / MARKERS
        for marker in sorted(markers.iterdir()) if markers.is_dir() else ():
            if marker.name not in found:
                found[marker.name] = dict(_listed(marker, prefix / "share" / marker.name))
    return found


def _listed(marker: Path, share: Path) -> Iterator[tuple[str, Path]]:
    for line in marker.read_text(encoding="utf-8").split():
        stem, _, ending = line.rpartition(".")
        if line.partition("/")[0] == ending and ending in KINDS:
            yield stem, share / line


def interface_names(kinds: tuple[str, ...] = KINDS, package: str | None = None) -> list[str]:
    """Return names such as `std_msgs/msg/String`, sorted by package and name.

    Args:
        kinds: which ones: `msg`, `srv`, `action`.
        package: of one package alone.
    """
    return [
        f"{name}/{one}"
        for name, ones in sorted(interfaces().items())
        for one in sorted(ones)
        if one.partition("/")[0] in kinds and package in (None, name)
    ]


def interface_path(identifier: str) -> Path:
    """Return the file of an interface such as `std_msgs/msg/String`.

    Raises:
        VerbError: it is no such name, or none is installed.
    """
    parts = identifier.split("/")
    if len(parts) != 3:
        raise VerbError(
            f"Invalid name '{identifier}'. Expected three parts separated by '/', such as "
            "std_msgs/msg/String"
        )
    known = interfaces()
    package, name = parts[0], "/".join(parts[1:])
    if package not in known:
        raise VerbError(f"Unknown package: {nearest(package, known, 'package with interfaces')}")
    if name not in known[package]:
        raise VerbError(
            f"Could not find the interface '{identifier}': "
            f"{nearest(name, known[package], f'interface of {package}')}"
        )
    return known[package][name]


def shown_lines(
    identifier: str, *, comments: bool = True, nested_comments: bool = False, depth: int = 0
) -> Iterator[str]:
    """Yield the text of an interface, and below each field of another type that one's.

    Args:
        identifier: such as `sensor_msgs/msg/JointState`.
        comments: whether its comments and empty lines are shown.
        nested_comments: whether those of the types it uses are.
        depth: tabs before each line.
    """
    for line in interface_path(identifier).read_text(encoding="utf-8").splitlines():
        text = line.rstrip()
        code = _without_comment(text)
        if comments:
            yield "\t" * depth + text if text else ""
        elif code:
            yield "\t" * depth + code
        nested = _nested_type(code, identifier.partition("/")[0])
        if nested is not None:
            yield from shown_lines(
                nested, comments=nested_comments, nested_comments=nested_comments, depth=depth + 1
            )


def _without_comment(line: str) -> str:
    blank = _QUOTED.sub(lambda found: "_" * len(found[0]), line)
    return line[: len(blank.partition("#")[0])].strip()


def _nested_type(code: str, package: str) -> str | None:
    """Return the type of a field where it is a message of its own."""
    match = _FIELD.match(code)
    if match is None or match[1] in PRIMITIVES:
        return None
    name = match[1] if "/" in match[1] else f"{package}/{match[1]}"
    return name if name.count("/") == 2 else name.replace("/", "/msg/")
