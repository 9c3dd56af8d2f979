"""How the loops of the renderer are compiled, and when machine code on disk is out of date."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from numba import njit

from asterias.machine_code import remove_stale

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile without the interpreter lock and keep the machine code on disk.

    Sums may be taken in any order and divisors are not checked, so that rows of pixels go through
    vector registers.

    Returns:
        The compiled function.
    """
    machine_code: Any = njit(cache=True, nogil=True, fastmath=True, error_model="numpy")(function)
    if hasattr(machine_code, "stats"):  # not with NUMBA_DISABLE_JIT
        remove_stale(Path(machine_code.stats.cache_path), Path(__file__).parent)
    result: Callable[P, R] = machine_code
    return result
