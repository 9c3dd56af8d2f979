"""Typed values in launch files: conditions, numbers and parameter values.

Parameter values follow YAML 1.1 unless a type is given. A value is read twice, as ROS 2 does: once
as written, when the file is read, and its `$(…)` parts again after they have their text.
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import Any

import yaml

from asterias_ros2.errors import LaunchError
from asterias_ros2.launch.templates import Template, Text, parse_template
from asterias_ros2.safe_yaml import DepthError, load_yaml

Scalar = bool | int | float | str
Value = Scalar | list[Scalar]

TRUE_WORDS = ("true", "1")
FALSE_WORDS = ("false", "0")


@dataclass(frozen=True)
class ValueType:
    """What a `type` attribute asks for; `scalar` None leaves the choice to YAML."""

    name: str
    scalar: type[Scalar] | None
    is_list: bool = False


VALUE_TYPES = {
    kind.name: kind
    for kind in (
        ValueType("yaml", None),
        ValueType("str", str),
        ValueType("bool", bool),
        ValueType("int", int),
        ValueType("float", float),
        ValueType("list_of_str", str, is_list=True),
        ValueType("list_of_bool", bool, is_list=True),
        ValueType("list_of_int", int, is_list=True),
        ValueType("list_of_float", float, is_list=True),
    )
}
YAML = VALUE_TYPES["yaml"]
BOOL = VALUE_TYPES["bool"]


@dataclass(frozen=True)
class ParameterValue:
    """A parameter value as written: literal scalars and templates, one or a list of them."""

    kind: ValueType
    parts: tuple[Scalar | Template, ...]
    is_list: bool

    def templates(self) -> list[Template]:
        """Return the parts that still need their text."""
        return [part for part in self.parts if isinstance(part, tuple)]


def parse_condition(text: str) -> bool:
    """Return the truth of an `if` or `unless`: true, 1, false or 0 in any case.

    Raises:
        LaunchError: it is none of these.
    """
    word = text.strip().lower()
    if word in TRUE_WORDS + FALSE_WORDS:
        return word in TRUE_WORDS
    raise LaunchError(f"condition {text!r} is neither true, 1, false nor 0")


def parse_bool(text: str, name: str) -> bool:
    """Return a truth value spelled as 1, 0 or as YAML spells it; `name` is for the error.

    Raises:
        LaunchError: it is no truth value.
    """
    try:
        return bool(_scalar(text, BOOL, may_be_text=False))
    except LaunchError:
        raise LaunchError(f"{name} is '{text}'; write true or false") from None


def read_yaml(text: str) -> Value:
    """Return a text, complete already, as YAML reads it: a scalar or a uniform list."""
    return _from_yaml(text, may_be_text=False)


def read_value(text: str, type_name: str, separator: str | None = None) -> ParameterValue:
    """Return the `value` of a `<param>` as written, before its `$(…)` have their text.

    Raises:
        LaunchError: the type is not known, or the value is not of it.
    """
    if type_name not in VALUE_TYPES:
        raise LaunchError(f"type '{type_name}' is unknown; use one of {', '.join(VALUE_TYPES)}")
    kind = VALUE_TYPES[type_name]
    if separator is not None:
        value: Value = _split(text, separator, kind)
    else:
        value = _coerce(text, kind, may_be_text=True)
    items = value if isinstance(value, list) else [value]
    parts = tuple(_find_calls(item) for item in items)
    literal_types = {type(part) for part in parts if not isinstance(part, tuple)}
    if len(literal_types) > 1:
        raise LaunchError(f"value {text!r} mixes types; write all its elements alike")
    if kind.scalar and not literal_types <= {kind.scalar}:
        raise LaunchError(f"value {text!r} is not of type '{kind.name}'")
    return ParameterValue(kind, parts, isinstance(value, list))


def final_value(value: ParameterValue, texts: list[str]) -> Value:
    """Return the value once the templates of `value.templates()` have become `texts`.

    Raises:
        LaunchError: the text does not give a value of the type.
    """
    remaining = iter(texts)
    if not value.is_list:
        (part,) = value.parts
        if isinstance(part, tuple):
            return _coerce(next(remaining), value.kind, may_be_text=False)
        return part
    element = ValueType(value.kind.name, value.kind.scalar)
    result: list[Scalar] = []
    for part in value.parts:
        item = _coerce(next(remaining), element, False) if isinstance(part, tuple) else part
        if isinstance(item, list):
            raise LaunchError(f"list {item} cannot be an element of a list")
        result.append(item)
    _require_uniform(result, may_hold_text=False)
    return result


def _split(text: str, separator: str, kind: ValueType) -> list[Scalar]:
    """Return a list that was written with `value-sep`.

    Raises:
        LaunchError: it gives no list of the type.
    """
    if kind.scalar is not None and not kind.is_list:
        raise LaunchError(f"value-sep makes a list, but the type is '{kind.name}'")
    if not separator:
        raise LaunchError("value-sep is empty")
    element = ValueType(kind.name, kind.scalar)
    items = [_coerce(item, element, may_be_text=True) for item in text.split(separator)]
    result: list[Scalar] = []
    for item in items:
        if isinstance(item, list):
            raise LaunchError(f"list {item} cannot be an element of a list")
        result.append(item)
    _require_uniform(result, may_hold_text=True)
    return result


def _find_calls(item: Scalar) -> Scalar | Template:
    """Return a text as a template if it has `$(…)` in it, else the plain scalar."""
    if not isinstance(item, str):
        return item
    template = parse_template(item)
    if len(template) == 1 and isinstance(template[0], Text):
        return template[0].text
    return template


def _coerce(text: str, kind: ValueType, may_be_text: bool) -> Value:
    """Return text in the type; with `may_be_text` what does not fit stays text for later.

    Raises:
        LaunchError: it is not of the type.
    """
    if kind.scalar is None:
        return _from_yaml(text, may_be_text)
    if not kind.is_list:
        return _scalar(text, kind, may_be_text)
    value = _from_yaml(text, may_be_text)
    accepted = (kind.scalar, str) if may_be_text else (kind.scalar,)
    if not isinstance(value, list) or not all(isinstance(item, accepted) for item in value):
        raise LaunchError(f"value {text!r} is not of type '{kind.name}'")
    if not value:
        raise LaunchError(f"value {text!r} is empty; a '{kind.name}' needs at least one element")
    return value


def _scalar(text: str, kind: ValueType, may_be_text: bool) -> Scalar:
    """Return text as one str, int, float or bool.

    Raises:
        LaunchError: it is not of the type.
    """
    if kind.scalar is str:
        return text
    if kind.scalar in (int, float):
        try:
            return int(text) if kind.scalar is int else float(text)
        except ValueError:
            if may_be_text:
                return text
            raise LaunchError(f"value {text!r} is not of type '{kind.name}'") from None
    value = _from_yaml({"1": "true", "0": "false"}.get(text, text), may_be_text)
    if isinstance(value, bool) or (may_be_text and isinstance(value, str)):
        return value
    raise LaunchError(f"value {text!r} is not of type '{kind.name}'; write true or false")


def _from_yaml(text: str, may_be_text: bool) -> Value:
    """Return one YAML scalar or uniform list.

    Raises:
        LaunchError: it is neither.
    """
    if not text:
        return text
    try:
        value: Any = load_yaml(text)
    except DepthError:
        raise LaunchError(f"value {text[:40]!r}… is nested too deep") from None
    except yaml.YAMLError:
        if may_be_text:
            return text
        raise LaunchError(f"value {text!r} is not valid YAML; give it type='str'") from None
    if isinstance(value, list):
        _require_uniform(value, may_hold_text=may_be_text)
        return value
    if isinstance(value, (bool, int, float, str)):
        return value
    raise LaunchError(
        f"value {text!r} is a {type(value).__name__} in YAML, which no parameter can hold; "
        "give it type='str'"
    )


def _require_uniform(items: list[Any], may_hold_text: bool) -> None:
    """Refuse a list of mixed types; before substitution, text may stand among other types.

    Raises:
        LaunchError: the types are mixed, or no parameter can hold one of them.
    """
    types = {type(item) for item in items}
    if may_hold_text and len(types) > 1:
        types.discard(str)
    if len(types) > 1 or not types <= {bool, int, float, str}:
        raise LaunchError(
            f"list [{reprlib.repr(items)[1:-1]}] must hold only bools, only ints, only floats or "
            "only text"
        )
