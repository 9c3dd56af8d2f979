"""Times that are filled in when a message is sent: a header `auto`, a time `now`."""

from __future__ import annotations

from typing import Any

from rosidl_parser.definition import NamespacedType

HEADER = ("std_msgs", "msg", "Header")
TIME = ("builtin_interfaces", "msg", "Time")

FieldPath = tuple[str, ...]


def take_stamps(message: Any, values: Any) -> list[FieldPath]:
    """Take the words `auto` and `now` out of a message's values.

    Args:
        message: that the values are for.
        values: as `parse_yaml` gives them; loses what is filled in later.

    Returns:
        Which fields get the time: their names, from the message inwards.
    """
    found: list[FieldPath] = []
    if not isinstance(values, dict):
        return found
    slots = zip(message.get_fields_and_field_types(), message.SLOT_TYPES, strict=True)
    for name, slot in slots:
        if name not in values or not isinstance(slot, NamespacedType):
            continue
        kind = tuple(slot.namespaced_name())
        if kind == HEADER and values[name] == "auto":
            del values[name]
            found.append((name, "stamp"))
        elif kind == TIME and values[name] == "now":
            del values[name]
            found.append((name,))
        else:
            inner = take_stamps(getattr(message, name), values[name])
            found += [(name, *path) for path in inner]
    return found


def put_stamps(message: Any, fields: list[FieldPath], stamp: Any) -> None:
    """Set fields of a message to a time."""
    for *way, name in fields:
        owner = message
        for one in way:
            owner = getattr(owner, one)
        setattr(owner, name, stamp)
