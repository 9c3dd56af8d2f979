"""YAML as a person types it, loaded in bounded time."""

from __future__ import annotations

import re
from typing import Any

import yaml

# More than any value has. PyYAML takes time in proportion to the depth for each character.
MOST_OPEN_BRACKETS = 200
_BRACKET = re.compile(r"[\[\]{}]")


class DepthError(ValueError):
    """A text is nested too deep."""


def load_yaml(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """Return what a YAML text holds.

    Raises:
        DepthError: it is nested too deep.
        YAMLError: it is no YAML, or a date, number or key in it makes no sense.
    """
    depth = 0
    for match in _BRACKET.finditer(text):
        depth = depth + 1 if match[0] in "[{" else max(depth - 1, 0)
        if depth > MOST_OPEN_BRACKETS:
            raise DepthError
    try:
        return yaml.load(text, loader)
    except RecursionError as error:
        raise DepthError from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise yaml.YAMLError(str(error)) from error
