"""YAML of strangers: loaded in bounded time, and whatever is wrong with it is one error."""

from __future__ import annotations

import re
from typing import Any

import yaml

from asterias.errors import UserError

# Far above every description, map and allow-list. PyYAML takes time in proportion to the depth for
# each character: a file of 3,000 opening brackets takes seconds.
MOST_OPEN_BRACKETS = 200
_BRACKET = re.compile(r"[\[\]{}]")


def load_yaml(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """Return what a YAML text holds.

    Args:
        text: the whole of it.
        loader: a safe loader.

    Raises:
        UserError: it is no YAML; the message is the reason alone, for the file's name before it.
    """
    check_brackets(text)
    try:
        return yaml.load(text, loader)
    except RecursionError as error:
        raise UserError("it is nested too deeply") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = "" if mark is None else f" (line {mark.line + 1}, column {mark.column + 1})"
        raise UserError(f"{' '.join(str(error.problem).split())}{place}") from error
    except Exception as error:  # PyYAML leaks KeyError, ValueError and more on odd input
        reason = " ".join(str(error).split()).rstrip(".")[:200]
        raise UserError(reason or type(error).__name__) from error


def check_brackets(text: str) -> None:
    """Refuse a text with too many brackets open at once, before it is parsed.

    Raises:
        UserError: there are too many.
    """
    depth = 0
    for match in _BRACKET.finditer(text):
        depth = depth + 1 if match[0] in "[{" else max(depth - 1, 0)
        if depth > MOST_OPEN_BRACKETS:
            raise UserError("it is nested too deeply")
