"""Compiled machine code on disk, and when it is out of date."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import cache
from pathlib import Path

from asterias.files import write_bytes


@cache
def remove_stale(machine_code: Path, sources: Path) -> None:
    """Remove machine code that was compiled from other sources than today's.

    Numba compares the file of a function alone; functions that it calls in other files are part of
    its machine code as well. Numba itself checks the processor's type.

    Args:
        machine_code: numba's cache folder of the sources.
        sources: folder whose Python files call each other.
    """
    content = b"".join(source.read_bytes() for source in sorted(sources.glob("*.py")))
    fingerprint = hashlib.sha256(content).hexdigest()
    note = machine_code / "sources.sha256"
    with suppress(OSError):  # a folder that cannot be written holds nothing to remove either
        if not note.is_file() or note.read_text() != fingerprint:
            for index in machine_code.glob("*.nbi"):
                index.unlink(missing_ok=True)
            write_bytes(note, fingerprint.encode())
