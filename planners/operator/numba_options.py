"""How the loops of the CPU backend are compiled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

from asterias.machine_code import remove_stale

Function = TypeVar("Function", bound=Callable[..., object])


# The loops own nothing: without NRT they do not count references to arrays, which would cost more
# than the vectors do. A divisor of zero raises nothing.
_OPTIONS: dict[str, Any] = {"nogil": True, "_nrt": False, "error_model": "numpy"}


def compiled(function: Function) -> Function:
    """Compile without the interpreter lock and keep the machine code on disk.

    Returns:
        The compiled function.
    """
    machine_code = njit(cache=True, **_OPTIONS)(function)
    remove_stale(Path(machine_code.stats.cache_path), Path(__file__).parent)
    return cast(Function, machine_code)


def compiled_with_lists(function: Function) -> Function:
    """Compile what keeps lists, such as a heap, whose references are counted.

    Returns:
        The compiled function.
    """
    machine_code: Any = njit(cache=True, nogil=True, error_model="numpy")(function)
    remove_stale(Path(machine_code.stats.cache_path), Path(__file__).parent)
    return cast(Function, machine_code)


def inlined(function: Function) -> Function:
    """Paste the function into its callers: numbers that are constant there unroll its loops.

    Returns:
        The function for compiled callers.
    """
    return cast(Function, njit(inline="always", **_OPTIONS)(function))
