"""Interface types by name: their classes, and their full text as recordings carry it.

The text is that of schema encoding ``ros2msg``.
"""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

PRIMITIVES = frozenset(
    [
        "bool",
        "byte",
        "char",
        "float32",
        "float64",
        "int8",
        "uint8",
        "int16",
        "uint16",
        "int32",
        "uint32",
        "int64",
        "uint64",
        "string",
        "wstring",
    ]
)
SEPARATOR = "=" * 80
# The type is the first word of a line, without array bounds and string bounds.
FIELD_TYPE = re.compile(r"^\s*([A-Za-z][\w/]*)", re.MULTILINE)
TYPE_NAME = re.compile(r"([A-Za-z]\w*)/msg/([A-Za-z]\w*)")


class DefinitionNotFoundError(LookupError):
    """The text of a message type is not installed on this machine."""


def interface_type(type_name: str) -> Any:
    """Return the class of a type such as ``sensor_msgs/msg/Image``.

    Raises:
        ImportError: its package is not installed, or has no such type.
    """
    package, folder, name = type_name.split("/")
    module = importlib.import_module(f"{package}.{folder}")
    if not hasattr(module, name):
        raise ImportError(f"package {package} has no {name}; build the workspace again")
    return getattr(module, name)


@cache
def message_definition(type_name: str) -> str:
    """Return the definition of a type, followed by those of all types that it uses.

    Args:
        type_name: such as ``sensor_msgs/msg/Image``.

    Passes on ``DefinitionNotFoundError``: the type, or one that it uses, is not installed.
    """
    text = _own_text(type_name)
    parts = [text]
    waiting = _used_types(type_name, text)
    seen: set[str] = set()
    while waiting:
        used = waiting.pop(0)
        if used in seen:
            continue
        seen.add(used)
        text = _own_text(used)
        parts.append(f"{SEPARATOR}\nMSG: {used.replace('/msg/', '/')}\n{text}")
        waiting.extend(_used_types(used, text))
    return "\n".join(parts)


def _own_text(type_name: str) -> str:
    """Return the .msg file of a type.

    Raises:
        DefinitionNotFoundError: its package is not installed.
    """
    match = TYPE_NAME.fullmatch(type_name)
    if match is None:
        raise DefinitionNotFoundError(f"'{type_name}' is not the name of a message type.")
    package, name = match.groups()
    try:
        share = Path(get_package_share_directory(package))
        return (share / "msg" / f"{name}.msg").read_text(encoding="utf-8")
    except (PackageNotFoundError, OSError) as error:
        raise DefinitionNotFoundError(
            f"The definition of {type_name} is not installed; install package {package}."
        ) from error


def _used_types(type_name: str, text: str) -> list[str]:
    """Return full names of the types of the fields in ``text``, each once, in order."""
    package = type_name.partition("/")[0]
    without_comments = re.sub(r"#.*", "", text)
    names = dict.fromkeys(FIELD_TYPE.findall(without_comments))
    full_names = []
    for name in names:
        if name in PRIMITIVES:
            continue
        owner, _, short = name.rpartition("/")
        full_names.append(f"{owner.partition('/')[0] or package}/msg/{short}")
    return full_names
