"""What all parts of a robot description have in common: value types, strictness, name checks."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Vector3 = tuple[Finite, Finite, Finite]

# Patterns of text; hardware.description.validation_errors has words for each.
NAME = r"^[a-z][a-z0-9_]*$"
ADDRESS = r"^\d{1,3}(\.\d{1,3}){3}$"
OPTIONAL_ADDRESS = r"^(\d{1,3}(\.\d{1,3}){3})?$"
HTTP = r"^http://[^\s/]+"

Name = Annotated[str, Field(pattern=NAME)]


class StrictModel(BaseModel):
    """Base of all parts: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    """Return limits as they are.

    Raises:
        ValueError: they are reversed.
    """
    if limits[0] >= limits[1]:
        raise ValueError(
            f"limits [{limits[0]:g}, {limits[1]:g}] are reversed; write [lower, upper]"
        )
    return limits


OrderedLimits = Annotated[tuple[Finite, Finite], AfterValidator(_ordered)]


def check_unique(kind: str, names: Iterable[str]) -> set[str]:
    """Return the names as a set; complain when one comes twice.

    Raises:
        ValueError: a name comes twice.
    """
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"two {kind}s are called '{name}'; give each its own name")
        seen.add(name)
    return seen


def choices_hint(word: str, choices: Sequence[str]) -> str:
    """Return what a person who wrote ``word`` may have meant."""
    close = difflib.get_close_matches(word, choices, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known are: {', '.join(choices) or 'none'}."
