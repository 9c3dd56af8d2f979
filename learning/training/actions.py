"""Checks of the actions that environments get: a wrong one is an error, never a silent NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from asterias.errors import UserError


def continuous_action(action: Any, size: int) -> FloatArray:
    """Return an action as ``(size,)`` finite numbers.

    Raises:
        UserError: it has another shape, or holds something else.
    """
    numbers = _numbers(action)
    if numbers.shape != (size,) or not np.isfinite(numbers).all():
        raise UserError(f"An action is {size} finite numbers, not {action!r}.")
    return numbers


def discrete_action(action: Any, count: int) -> int:
    """Return an action as a whole number below ``count``.

    Raises:
        UserError: it is none.
    """
    number = _numbers(action)
    if number.size != 1 or number.item() not in range(count):
        raise UserError(f"An action is a whole number from 0 to {count - 1}, not {action!r}.")
    return int(number.item())


def _numbers(action: Any) -> npt.NDArray[np.float64]:
    try:
        return np.asarray(action, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f"An action holds numbers, not {action!r}.") from error
