"""PyBullet, imported without the line about its build date that it writes to stderr."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType


def _import_quietly() -> ModuleType:
    """Return the line comes from compiled code, so the file descriptor itself has to look away."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        return importlib.import_module("pybullet")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


pybullet = _import_quietly()
