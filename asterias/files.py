"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all, and is on the disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, 0o644)  # temporary files are private, results are not
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)
