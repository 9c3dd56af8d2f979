"""How the loops of the physics are compiled, and when machine code on disk is out of date."""

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

    Returns:
        The compiled function.
    """
    machine_code: Any = njit(cache=True, nogil=True)(function)
    if hasattr(machine_code, "stats"):  # not with NUMBA_DISABLE_JIT
        remove_stale(Path(machine_code.stats.cache_path), Path(__file__).parent)
    result: Callable[P, R] = machine_code
    return result


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Paste the function into its callers, so that vectors stay in registers.

    Returns:
        The function, for compiled callers.
    """
    machine_code: Callable[P, R] = njit(inline="always")(function)
    return machine_code
