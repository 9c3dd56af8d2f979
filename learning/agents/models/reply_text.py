"""What a server's words mean: errors, JSON in wrappings, and text that is safe to print.

The one place where the answer of a server is unwrapped. Models put JSON in fences, after preambles
and think blocks, before farewells, in lists of one and in strings; servers put errors into a dozen
shapes. An abstention is only what says so.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError

# Places in a reply at which JSON is looked for; nested openings would else take quadratic time.
_MOST_STARTS = 64
_SHORT_CHARACTERS = 200
_THINK = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_THINK_END = re.compile(r"^.*</(?:think|thinking|reasoning)>", re.DOTALL | re.IGNORECASE)
_ABSTENTIONS = ("null", "none", "abstain", "i abstain", "n/a")
_ERROR_KEYS = ("error", "detail", "message", "msg", "reason")


class UnreadableReplyError(ValueError):
    """A reply holds no answer that fits; the message says why."""


def printable(text: str) -> str:
    """Return the text with control characters written as escapes; line ends and tabs stay."""
    return "".join(map(_visible, text))


def short(text: str) -> str:
    """Return the beginning of a text on one line, safe to print."""
    return printable(" ".join(text.split()))[:_SHORT_CHARACTERS]


def describe_error(body: str) -> str:
    """Return the reason in the body of an error, whatever its shape."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = body
    return short(_reason(content)) or "without a reason"


def read_reply(text: str, schema: type[BaseModel], options: Sequence[str] = ()) -> dict[str, Any]:
    """Return the fields of a reply, unwrapped.

    Args:
        text: what the model wrote.
        schema: what its JSON must look like; further keys at the top are left out.
        options: allowed answers, matched without regard to case and punctuation.

    Raises:
        UnreadableReplyError: no JSON that fits, several that differ, or an answer that is no
            option.
    """
    found: list[dict[str, Any]] = []
    reason = "there is no JSON object in it" if text.strip() else "it is empty"
    for value in _json_values(text):
        try:
            fields = _fit(value, schema)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            reason = short(f"{place}: {first['msg']}" if place else first["msg"])
            continue
        if fields not in found:
            found.append(fields)
    if len(found) > 1:
        raise UnreadableReplyError("it holds several answers that differ")
    if not found:
        raise UnreadableReplyError(reason)
    fields = found[0]
    if "answer" in fields:
        fields["answer"] = _as_option(fields["answer"], options)
    return fields


def _visible(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs"):
        return character
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"


def _reason(content: Any) -> str:
    if isinstance(content, list):
        return "; ".join(_reason(one) for one in content[:3])
    if not isinstance(content, Mapping):
        return str(content)
    place = content.get("loc")
    if isinstance(place, list) and "msg" in content:
        return f"{'.'.join(map(str, place))}: {content['msg']}"
    for key in _ERROR_KEYS:
        if content.get(key):
            return _reason(content[key])
    return json.dumps(content)


def _json_values(text: str) -> Iterator[Any]:
    """Yield the JSON values in a text: the whole of it, or each object and list in it."""
    for candidate in (text, _THINK_END.sub("", _THINK.sub("", text))):
        try:
            yield _decode(candidate.strip())
            return
        except (ValueError, RecursionError):
            continue
    place, decoder = 0, _decoder()
    for _ in range(_MOST_STARTS):
        start = re.compile(r"[{\[]").search(candidate, place)
        if start is None:
            return
        try:
            value, place = decoder.raw_decode(candidate, start.start())
            yield value
        except (ValueError, RecursionError):
            place = start.end()


def _decoder() -> json.JSONDecoder:
    # Not strict: models write line ends into strings.
    return json.JSONDecoder(
        strict=False, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant
    )


def _decode(text: str) -> Any:
    return _decoder().decode(text)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a key stands twice")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _fit(value: Any, schema: type[BaseModel]) -> dict[str, Any]:
    """Return the fields of a value without its wrappings, or raise ``ValidationError``."""
    error: ValidationError | None = None
    for candidate in _unwrapped(value):
        try:
            fields = schema.model_validate(_known_keys(candidate, schema)).model_dump()
            clean: dict[str, Any] = _clean(fields)
            return clean
        except ValidationError as wrong:
            error = error or wrong
    assert error is not None  # there is at least one candidate
    raise error


def _unwrapped(value: Any) -> Iterator[Any]:
    """Yield a value, and what stands in a list of one, a string or an object of one key."""
    for _ in range(4):
        yield value
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        elif isinstance(value, dict) and len(value) == 1:
            value = next(iter(value.values()))
        elif isinstance(value, str):
            try:
                value = _decode(value)
            except (ValueError, RecursionError):
                return
        else:
            return


def _known_keys(value: Any, schema: type[BaseModel]) -> Any:
    """Return an object with the schema's keys, in its case; a missing reason is empty."""
    if not isinstance(value, dict):
        return value
    by_case = {str(key).strip().casefold(): one for key, one in value.items()}
    fields = {name: by_case[name.casefold()] for name in schema.model_fields if name in by_case}
    if "reason" in schema.model_fields and not isinstance(fields.get("reason"), str):
        fields["reason"] = "" if fields.get("reason") is None else json.dumps(fields["reason"])
    if "answer" in fields:
        fields["answer"] = _as_text(fields["answer"])
    return fields


def _as_text(answer: Any) -> Any:
    """Return a number, or the one entry of a list, as the text that was asked for."""
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    is_number = isinstance(answer, int | float) and not isinstance(answer, bool)
    return json.dumps(answer) if is_number else answer


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_clean(one) for one in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(one) for key, one in value.items()}
    return value


def _as_option(answer: Any, options: Sequence[str]) -> Any:
    """Return the option that is meant, or None for an abstention.

    Raises:
        UnreadableReplyError: it is none of the options.
    """
    if answer is None or not options:
        return answer
    wanted = _normal(str(answer))
    matches = [option for option in options if _normal(option) == wanted]
    if len(matches) > 1:
        matches = [option for option in matches if option == answer]
    if matches:
        return matches[0]
    if wanted in _ABSTENTIONS:
        return None
    raise UnreadableReplyError(f"the answer {short(str(answer))!r} is none of the options")


def _normal(text: str) -> str:
    return " ".join(re.sub(r"[_\-]", " ", text).casefold().split()).strip(" .,;:!?'\"`*")
