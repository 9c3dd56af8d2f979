"""How the loops of the CPU body are compiled, and when machine code on disk is out of date."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit

from asterias.files import write_bytes

# The loops own nothing: without NRT they do not count references to arrays, which would cost more
# than the vectors do. A divisor of zero raises nothing.
_OPTIONS: dict[str, Any] = {"nogil": True, "_nrt": False, "error_model": "numpy"}


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile without the interpreter lock and keep the machine code on disk."""
    machine_code = njit(cache=True, **_OPTIONS)(function)
    forget_old_code(Path(machine_code.stats.cache_path))
    result: Callable[..., Any] = machine_code
    return result


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """Paste the function into its callers: numbers that are constant there unroll its loops."""
    machine_code: Callable[..., Any] = njit(inline="always", **_OPTIONS)(function)
    return machine_code


@cache
def forget_old_code(folder: Path) -> None:
    """Remove machine code from ``folder`` if it was made of other sources than today's.

    Numba looks at the file of a function alone; what the function calls in other files is part of
    its machine code as well. The processor's type numba minds itself."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    fingerprint = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    note = folder / "sources.sha256"
    with suppress(OSError):  # a folder that cannot be written holds nothing to remove either
        if not note.is_file() or note.read_text() != fingerprint:
            for index in folder.glob("*.nbi"):
                index.unlink(missing_ok=True)
            write_bytes(note, fingerprint.encode())
