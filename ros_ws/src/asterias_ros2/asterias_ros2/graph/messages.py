"""Messages as text, and text as messages."""

from __future__ import annotations

import array
import contextlib
import importlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml
from rosidl_parser.definition import (
    AbstractNestedType,
    AbstractString,
    AbstractWString,
    Array,
    BasicType,
    BoundedSequence,
    NamespacedType,
)

from asterias_ros2.errors import VerbError
from asterias_ros2.safe_yaml import DepthError, load_yaml

DEFAULT_TRUNCATE_LENGTH = 128
SEQUENCES = (list, tuple, array.array, np.ndarray)
KINDS = {"msg": "message", "srv": "service", "action": "action"}


@dataclass(frozen=True)
class Format:
    """How much of a message is shown."""

    truncate_length: int | None = None
    no_arr: bool = False
    no_str: bool = False
    flow_style: bool = False


def find_type(identifier: str, kind: str) -> Any:
    """Return the Python class of an interface such as `std_msgs/msg/String`.

    Args:
        identifier: The type, `PACKAGE/KIND/NAME` or `PACKAGE/NAME`.
        kind: `msg`, `srv` or `action`.

    Raises:
        VerbError: if there is none of that name and kind.
    """
    parts = identifier.split("/")
    if len(parts) == 2:
        parts.insert(1, kind)
    found = None
    if len(parts) == 3 and parts[1] == kind:
        with contextlib.suppress(ImportError, ValueError):
            found = getattr(importlib.import_module(f"{parts[0]}.{kind}"), parts[2], None)
    if found is None:
        raise VerbError(
            f"The passed {KINDS[kind]} type is invalid: '{identifier}' is not found; write "
            f"PACKAGE/{kind}/NAME and source the workspace that has it"
        )
    return found


def prototype(identifier: str) -> str:
    """Return a message, request or goal with its first values, as YAML."""
    kind = identifier.split("/")[1]
    found = find_type(identifier, kind)
    filled_in = {"srv": "Request", "action": "Goal"}.get(kind)
    return to_yaml(getattr(found, filled_in)() if filled_in else found())


def to_yaml(message: Any, style: Format = Format()) -> str:
    """Return a message as YAML, one field a line."""
    return yaml.safe_dump(
        _plain(message, style),
        allow_unicode=True,
        width=sys.maxsize,
        default_flow_style=style.flow_style,
        sort_keys=False,
    )


def to_csv(message: Any, style: Format) -> str:
    """Return all values of a message, nested ones too, separated by commas."""
    return ",".join(text for text in _csv_values(message, style))


def to_repr(message: Any, truncate_length: int | None = DEFAULT_TRUNCATE_LENGTH) -> str:
    """Return a message as Python writes it, its arrays shortened, its texts whole.

    Args:
        message: of any type.
        truncate_length: elements of each array to show; None shows all.
    """
    if isinstance(message, SEQUENCES):
        items = [to_repr(item, truncate_length) for item in message[:truncate_length]]
        return f"[{', '.join(items if len(items) == len(message) else [*items, '...'])}]"
    if isinstance(message, np.generic):
        return repr(message.item())
    if not hasattr(message, "SLOT_TYPES"):
        return repr(message)
    package, kind = type(message).__module__.split(".")[:2]
    fields = [
        f"{name}={to_repr(getattr(message, name), truncate_length)}" for name, _ in _fields(message)
    ]
    return f"{package}.{kind}.{type(message).__name__}({', '.join(fields)})"


@dataclass(frozen=True)
class PlainScalar:
    """A word without quotes that YAML takes for something else than text, such as `off`."""

    value: Any
    text: str

    def __repr__(self) -> str:
        return self.text


class _Loader(yaml.SafeLoader):
    """Reads YAML as usual, but remembers how words without quotes were written."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return the value of a node, with its text where that may be wanted."""
        value = super().construct_object(node, deep)
        is_plain = isinstance(node, yaml.ScalarNode) and node.style is None
        return PlainScalar(value, node.value) if is_plain and value != node.value else value


def parse_yaml(text: str) -> object:
    """Return YAML from the command line; words that are no text come as `PlainScalar`.

    Raises:
        VerbError: it is not valid YAML.
    """
    try:
        return load_yaml(text, _Loader)
    except DepthError:
        raise VerbError(f"{text[:40]!r}… is nested too deep") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise VerbError(f"{text!r} is not valid YAML: {reason}") from None


def fill(message: Any, values: Any) -> None:
    """Set the fields of a message from a dictionary, as `parse_yaml` gives it.

    Raises:
        VerbError: naming the field or value that does not fit.
    """
    if not isinstance(values, dict):
        raise VerbError(f"value {values!r} must be a dictionary such as '{{data: 1}}'")
    slots = dict(_fields(message))
    for key, value in values.items():
        name = key.text if isinstance(key, PlainScalar) else key
        if name not in slots:
            known = ", ".join(slots) or "it has none"
            raise VerbError(f"{type(message).__name__} has no field '{name}' (fields: {known})")
        try:
            setattr(message, name, _converted(getattr(message, name), value, slots[name]))
        except (AssertionError, TypeError, ValueError, OverflowError) as error:
            raise VerbError(f"value {value!r} does not fit field '{name}': {error}") from None


def _fields(message: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and the declared type of each field."""
    names = message.get_fields_and_field_types().keys()
    yield from zip(names, message.SLOT_TYPES, strict=True)


def _converted(current: Any, value: Any, slot: Any) -> Any:
    """Return a value in the Python type that the field has now."""
    if isinstance(current, array.array):
        return array.array(current.typecode, [_value(item, slot) for item in _items(value)])
    if isinstance(current, np.ndarray):
        return np.array([_value(item, slot) for item in _items(value)], dtype=current.dtype)
    if isinstance(slot, AbstractNestedType) and isinstance(slot.value_type, NamespacedType):
        return [_new(slot.value_type, item) for item in _items(value)]
    if isinstance(slot, AbstractNestedType):
        return type(current)(_value(item, slot.value_type) for item in _items(value))
    if hasattr(current, "SLOT_TYPES"):
        return _new(slot, value)
    return _scalar(current, _value(value, slot))


def _scalar(current: Any, value: Any) -> Any:
    """Return a number, truth value or text in the type that the field has now.

    Raises:
        TypeError: the field would not hold what was written.
    """
    kind = type(current)
    if type(value) is kind:
        return value
    if isinstance(value, (list, dict)):
        raise TypeError("it takes a single value")
    if isinstance(current, bool) and value not in (0, 1):
        raise TypeError("it takes true or false")
    converted = kind(value)
    if isinstance(value, float) and isinstance(current, int) and converted != value:
        raise TypeError("it takes a whole number")
    return converted


def _items(value: Any) -> Any:
    """Return what should be a list; text would be taken letter by letter.

    Raises:
        TypeError: it is a single value or a mapping.
    """
    if isinstance(value, (str, PlainScalar, dict)):
        raise TypeError("it takes a list such as [1, 2]")
    return value


def _value(value: Any, slot: Any) -> Any:
    """Return a scalar: for a field of text as it was written, else as YAML reads it."""
    if not isinstance(value, PlainScalar):
        return value
    is_text = isinstance(slot, (AbstractString, AbstractWString))
    return value.text if is_text else value.value


def _new(slot: Any, values: Any) -> Any:
    """Return a new message of a declared type with its fields set."""
    message = getattr(importlib.import_module(".".join(slot.namespaces)), slot.name)()
    fill(message, values)
    return message


def _plain(value: Any, style: Format, slot: Any = None) -> Any:
    """Return a value in types that YAML knows, shortened as the style says."""
    limit = style.truncate_length
    if isinstance(value, bytes):
        return _shortened("".join(map(chr, value)), limit)
    if isinstance(value, str):
        return _text(value, style)
    if isinstance(value, SEQUENCES):
        if style.no_arr and slot is not None:
            return _abbreviated(value, slot)
        items = [_plain(item, style) for item in value[:limit]]
        return items if len(items) == len(value) else [*items, "..."]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (bool, float, int)):
        return value
    return {name: _plain(getattr(value, name), style, own) for name, own in _fields(value)}


def _csv_values(message: Any, style: Format) -> Iterator[str]:
    for name, slot in _fields(message):
        yield from _csv(getattr(message, name), style, slot)


def _csv(value: Any, style: Format, slot: Any = None) -> Iterable[str]:
    limit = style.truncate_length
    if isinstance(value, SEQUENCES):
        if style.no_arr and slot is not None:
            return [_abbreviated(value, slot)]
        items = [text for item in value[:limit] for text in _csv(item, style)]
        # The real tool writes an empty sequence as an empty value.
        return ([*items, "..."] if limit is not None and len(value) > limit else items) or [""]
    if isinstance(value, str):
        return [_text(value, style)]
    if isinstance(value, bytes):
        short = value if limit is None or len(value) <= limit else value[:limit] + b"..."
        return [str(short)]
    if isinstance(value, (bool, float, int, np.generic)):
        return [str(value)]
    return _csv_values(value, style)


def _text(text: str, style: Format) -> str:
    if style.no_str:
        return f"<string length: <{len(text)}>>"
    return _shortened(text, style.truncate_length)


def _shortened(text: str, limit: int | None) -> str:
    return text if limit is None or len(text) <= limit else text[:limit] + "..."


def _abbreviated(value: Any, slot: Any) -> str:
    """Return what stands for an array that is not shown."""
    name = _type_name(slot.value_type)
    if isinstance(slot, Array):
        return f"<array type: {name}[{slot.size}]>"
    bound = f"[{slot.maximum_size}]" if isinstance(slot, BoundedSequence) else ""
    return f"<sequence type: {name}{bound}, length: {len(value)}>"


def _type_name(slot: Any) -> str:
    if isinstance(slot, BasicType):
        return str(slot.typename)
    if isinstance(slot, AbstractString):
        return "string"
    if isinstance(slot, AbstractWString):
        return "wstring"
    return "/".join(slot.namespaced_name())
