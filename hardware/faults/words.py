"""The eight failure words of PX4, and how a fault with its value is checked.

Source of the words: PX4's failure injection (docs/en/debug/failure_injection.md).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from asterias.errors import FaultError
from hardware.faults.models import FAULT_MODELS, FaultModel


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

    word: Fault | str
    value: float

    @property
    def model(self) -> FaultModel:
        """What the fault does."""
        return FAULT_MODELS.get(self.word)()


HEALTHY = ActiveFault(Fault.OK, math.nan)


def closest(word: str, choices: Sequence[str]) -> str:
    """Return what somebody who wrote ``word`` may have meant."""
    close = difflib.get_close_matches(word, choices, n=1)
    return f"did you mean '{close[0]}'?" if close else f"choose one of: {', '.join(choices)}."


def checked_fault(fault: Fault | str | bool, value: float | None) -> ActiveFault:
    """Return a fault with its value; None takes the word's default.

    Raises:
        FaultError: there is no such word, or the value is out of range.
    """
    # YAML reads a bare `off` as false, and hands it on as that or as the text of it.
    named = "off" if str(fault).lower() == "false" else fault
    text = named.value if isinstance(named, Fault) else str(named)
    if text not in FAULT_MODELS:
        words = FAULT_MODELS.names()
        raise FaultError(f"There is no fault '{fault}'; {closest(str(fault), words)}")
    # A word of an installed package is no member of the enumeration.
    word = Fault(text) if text in {known.value for known in Fault} else text
    strength = FAULT_MODELS.get(text).strength
    if strength is None:
        return ActiveFault(word, math.nan)  # no value belongs to it, so any is ignored
    amount = strength.default if value is None else float(value)
    is_allowed = strength.low <= amount <= strength.high and (
        value is None or math.isfinite(amount)
    )
    if not is_allowed:
        raise FaultError(f"The fault '{text}' takes {strength.meaning}, not {amount:g}.")
    return ActiveFault(word, amount)
