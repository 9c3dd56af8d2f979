"""The eight failure words of PX4, and what value each of them takes.

Source of the words: PX4's failure injection (docs/en/debug/failure_injection.md).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from asterias.errors import FaultError


class Fault(str, Enum):
    """The failure words; a member equals its word, so both are accepted everywhere."""

    OK = "ok"
    OFF = "off"
    STUCK = "stuck"
    GARBAGE = "garbage"
    WRONG = "wrong"
    SLOW = "slow"
    DELAYED = "delayed"
    INTERMITTENT = "intermittent"


@dataclass(frozen=True)
class ActiveFault:
    """A fault and its value, in the unit of the table above; NaN where it has none."""

    word: Fault
    value: float


HEALTHY = ActiveFault(Fault.OK, math.nan)

_DEFAULTS = {
    Fault.GARBAGE: math.inf,
    Fault.WRONG: 0.2,
    Fault.SLOW: 0.25,
    Fault.DELAYED: 0.3,
    Fault.INTERMITTENT: 0.3,
}
# Lowest and highest value, and the words for them.
_RANGES = {
    Fault.GARBAGE: (0.0, math.inf, "an amplitude of at least 0 rad"),
    Fault.WRONG: (-math.inf, math.inf, "an offset in rad"),
    Fault.SLOW: (0.01, 1.0, "a share of the full speed from 0.01 to 1"),
    Fault.DELAYED: (0.0, 60.0, "a delay from 0 to 60 s"),
    Fault.INTERMITTENT: (0.0, 1.0, "a probability from 0 to 1"),
}


def closest(word: str, choices: Sequence[str]) -> str:
    """Return what somebody who wrote ``word`` may have meant."""
    close = difflib.get_close_matches(word, choices, n=1)
    return f"did you mean '{close[0]}'?" if close else f"choose one of: {', '.join(choices)}."


def checked_fault(fault: Fault | str | bool, value: float | None) -> ActiveFault:
    """A fault with its value; None takes the word's default.

    Raises:
        FaultError: there is no such word, or the value is out of range.
    """
    # YAML reads a bare `off` as false, and hands it on as that or as the text of it.
    named = "off" if str(fault).lower() == "false" else fault
    try:
        word = Fault(named)
    except ValueError as error:
        words = [f.value for f in Fault]
        raise FaultError(f"There is no fault '{fault}'; {closest(str(fault), words)}") from error
    if word not in _RANGES:
        return ActiveFault(word, math.nan)  # no value belongs to it, so any is ignored
    amount = _DEFAULTS[word] if value is None else float(value)
    low, high, meaning = _RANGES[word]
    is_allowed = low <= amount <= high and (value is None or math.isfinite(amount))
    if not is_allowed:
        raise FaultError(f"The fault '{word.value}' takes {meaning}, not {amount:g}.")
    return ActiveFault(word, amount)
