"""Folders that appear whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asterias.errors import HardwareError


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to write into, which gets its name when all went well.

    Raises:
        HardwareError: there is something of that name.
    """
    if path.exists():
        raise HardwareError(f"{path} exists already, and is not overwritten; name a new folder.")
    temporary = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
