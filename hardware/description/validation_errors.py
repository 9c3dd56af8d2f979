"""Report all mistakes in a robot description, each with its key, value and cure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from hardware.description.consistency import (
    INCONSISTENT,
    Location,
    limb_problems,
    robot_problems,
)
from hardware.description.fields import (
    ADDRESS,
    HTTP,
    NAME,
    OPTIONAL_ADDRESS,
    StrictModel,
    choices_hint,
)

# Where pydantic speaks of Python, we speak of the file.
_EXPECTATIONS = {
    "model_type": "expected a mapping",
    "model_attributes_type": "expected a mapping",
    "dict_type": "expected a mapping",
    "tuple_type": "expected a list",
    "invalid_key": "expected a key that is text",
    "string_type": "expected text",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_parsing_size": "expected a smaller number",
    "int_from_float": "expected a whole number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "union_tag_not_found": "expected a mapping",
}
_PATTERNS = {
    NAME: "expected a name of small letters, digits and underscores",
    ADDRESS: "expected an address such as 192.168.4.1",
    OPTIONAL_ADDRESS: "expected an address such as 192.168.4.255, or nothing",
    HTTP: "expected an address such as http://192.168.4.11:81/stream",
}


# More mistakes than that are not told: the file is another one than was meant.
_MOST_TOLD = 40


def format_validation_error(
    root: type[StrictModel], source: str, data: Any, error: ValidationError
) -> str:
    """Return one sentence for a single mistake; for several, how many, and a line for each.

    Args:
        root: the part that was read.
        source: where the data is from, as a person knows it.
        data: what was read, as it came from the file.
        error: what is wrong with it.
    """
    told = [_sentence(root, data, one) for one in _worth_telling(root, error)]
    told += [_located(location, text, data) for location, text in _unfit(data)]
    told = list(dict.fromkeys(told))
    if len(told) == 1:
        return f"{source}: {told[0]}"
    lines = [f"{source}: {len(told)} mistakes.", *(f"  {line}" for line in told[:_MOST_TOLD])]
    if len(told) > _MOST_TOLD:
        lines.append(f"  And {len(told) - _MOST_TOLD} more.")
    return "\n".join(lines)


def _worth_telling(root: type[StrictModel], error: ValidationError) -> list[ErrorDetails]:
    """Return the errors without echoes.

    A list with a wrong element also counts as too short, and a misspelt key as a missing one.
    """
    errors = error.errors(include_url=False)
    inner = {one["loc"][:depth] for one in errors for depth in range(len(one["loc"]))}
    meant = set()
    for one in errors:
        if one["type"] == "extra_forbidden":
            *place, key = one["loc"]
            known = list(_walk(root, tuple(place))[1].model_fields)
            near = difflib.get_close_matches(str(key), known, n=1)
            meant |= {(*place, name) for name in near}
    return [
        one
        for one in errors
        if (one["type"] == INCONSISTENT or one["loc"] not in inner)
        and not (one["type"] == "missing" and one["loc"] in meant)
    ]


def _unfit(data: Any) -> Iterator[tuple[Location, str]]:
    """Yield what does not fit between parts, which is not looked at where a part is wrong."""
    yield from robot_problems(data)
    limbs = data.get("limbs")
    for number, limb in enumerate(limbs if isinstance(limbs, list) else ()):
        for problem in limb_problems(limb):
            yield ("limbs", number, *problem.location), problem.text


def _sentence(root: type[StrictModel], data: Any, error: ErrorDetails) -> str:
    location = _walk(root, error["loc"])[0]
    if error["type"] == "union_tag_invalid":
        location = (*location, "type")
    return _located(location, _mistake(root, error), data)


def _located(location: Location, text: str, data: Any) -> str:
    key = _key(location, data)
    end = "" if text.endswith((".", "?")) else "."
    return f"{key + ': ' if key else ''}{text}{end}"


def _mistake(root: type[StrictModel], error: ErrorDetails) -> str:
    kind, location = error["type"], error["loc"]
    if kind == "missing":
        return _missing(root, location)
    if kind == "extra_forbidden":
        known = list(_walk(root, location[:-1])[1].model_fields)
        return f"this key is unknown; {choices_hint(str(location[-1]), known)}"
    if kind == "union_tag_invalid":
        return _wrong_type(error)
    text = _expectation(error)
    if kind == INCONSISTENT:
        return text
    if isinstance(error["input"], (dict, list, tuple, BaseModel)):
        return text
    return f"{text} (got {_shown(error['input'])})"


def _expectation(error: ErrorDetails) -> str:
    if error["type"] == "string_pattern_mismatch":
        return _PATTERNS[error["ctx"]["pattern"]]
    text = _EXPECTATIONS.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    text = (text[:1].lower() + text[1:]).replace("input should be", "must be")
    return text.replace("tuple should", "the list should").replace(" after validation", "")


def _wrong_type(error: ErrorDetails) -> str:
    """Return what is wrong with a part of several types: it has none, or one that is unknown."""
    choices = error["ctx"]["expected_tags"].replace("'", "")
    if "type" not in error["input"]:
        return f"this key is missing; choose one of: {choices}."
    name = str(error["loc"][-1])
    return f"unknown {name} {_shown(error['input']['type'])}; choose one of: {choices}."


def _missing(root: type[StrictModel], location: Location) -> str:
    key = location[-1]
    if isinstance(key, int):
        return "this value is missing from the list"
    field = _walk(root, location[:-1])[1].model_fields[key]
    annotation, other = field.annotation, f", {field.description}" if field.description else ""
    if get_origin(annotation) is tuple:
        return f"this key is missing; add a list{other}"
    if _part_in(annotation) is not None:
        return "this key is missing; add a mapping"
    return f"this key is missing; add {'a number' if annotation in (int, float) else 'text'}{other}"


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print integers of thousands of digits
        return "a huge number"
    text = re.sub(r"//[^/@\s]*@", "//...@", text)  # a password of a URL is never shown
    return text if len(text) <= 60 else f"{text[:57]}..."


def _walk(root: type[StrictModel], location: Location) -> tuple[Location, type[StrictModel]]:
    """Return the keys as they stand in the file, and the part they lead to.

    Where a part comes in several types, pydantic puts the type's name into the location.
    """
    part, keys, types = root, list[str | int](), dict[str, type[StrictModel]]()
    for step in location:
        if types and str(step) in types and keys:
            part, types = types[str(step)], {}
            continue
        keys.append(step)
        field = part.model_fields.get(str(step))
        if field is not None:
            types = _types_in(field.annotation)
            part = _part_in(field.annotation) or part
    return tuple(keys), part


def _types_in(annotation: Any) -> dict[str, type[StrictModel]]:
    """Return the types of a part, by the name that tells them apart."""
    found: dict[str, type[StrictModel]] = {}
    inner = get_args(annotation)
    for other in inner[1:]:
        if isinstance(other, Tag):
            return {other.tag: inner[0]}
    for each in inner:
        found |= _types_in(each)
    return found


def _part_in(annotation: Any) -> type[StrictModel] | None:
    inner = get_args(annotation)
    if inner:
        return next((part for part in map(_part_in, inner) if part is not None), None)
    is_part = isinstance(annotation, type) and issubclass(annotation, StrictModel)
    return annotation if is_part else None


def _key(location: Location, data: Any) -> str:
    """Return the key as a person reads it, such as ``limbs[0].cameras[2] (tip_down).width_px``.

    The innermost element with a name shows it.
    """
    pieces: list[str] = []
    named: tuple[int, str] | None = None
    for step in location:
        pieces.append(f"[{step}]" if isinstance(step, int) else f".{_one_line(step)}")
        data = _child(data, step)
        name = data.get("name") if isinstance(data, dict) else None
        if isinstance(step, int) and isinstance(name, str) and name.isidentifier():
            named = (len(pieces) - 1, name)
    if named is not None:
        pieces[named[0]] += f" ({named[1]})"
    return "".join(pieces).removeprefix(".")


def _one_line(key: str) -> str:
    """Return a key as it is, or quoted where it would break the sentence."""
    return key if key.isprintable() else repr(key)


def _child(data: Any, step: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(step)
    if isinstance(data, (list, tuple)) and isinstance(step, int) and step < len(data):
        return data[step]
    return None
