"""Node parameters as a dataclass: names, types, defaults and documentation in one place."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

Settings = TypeVar("Settings")


class SettingsError(ValueError):
    """A parameter has the wrong type or a value that cannot be used."""


def declare_settings(node: Node, settings_type: type[Settings]) -> Settings:
    """Return the values of the parameters, one read-only parameter per field.

    Args:
        node: gets the parameters.
        settings_type: a dataclass with defaults; a field is annotated as
            ``Annotated[float, "what it means, in which unit"]`` with one of the types ``bool``,
            ``int``, ``float``, ``str``, ``list[str]``, ``list[int]`` and ``list[float]``.

    Passes on ``SettingsError``: a value has the wrong type; the message names parameter and
    expectation. The dataclass's own ``__post_init__`` raises it for values that cannot be used.
    """
    hints = typing.get_type_hints(settings_type, include_extras=True)
    defaults = settings_type()
    values: dict[str, Any] = {}
    for field in dataclasses.fields(typing.cast(Any, settings_type)):
        expected, description = typing.get_args(hints[field.name])[:2]
        # Typed here rather than by rclpy, so that `value="1"` serves a float.
        descriptor = ParameterDescriptor(
            description=description, dynamic_typing=True, read_only=True
        )
        default = getattr(defaults, field.name)
        value = node.declare_parameter(field.name, default, descriptor).value
        values[field.name] = _checked(field.name, value, expected)
    return settings_type(**values)


def _checked(name: str, value: Any, expected: Any) -> Any:
    """Return the value as the expected type.

    Raises:
        SettingsError: it has another type.
    """
    element = typing.get_args(expected)
    if not element:
        return _checked_scalar(name, value, expected)
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise SettingsError(
            f"Parameter '{name}' must be a list of {element[0].__name__}, not {value!r}."
        )
    return [_checked_scalar(name, item, element[0]) for item in value]


def _checked_scalar(name: str, value: Any, expected: type) -> Any:
    if expected is float and type(value) is int:
        return float(value)
    if type(value) is not expected:
        raise SettingsError(
            f"Parameter '{name}' must be of type {expected.__name__}, not {value!r}."
        )
    return value
