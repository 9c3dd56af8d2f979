"""PyBullet, imported without the line about its build date that it writes to stderr.

It has wheels up to Python 3.11. Where it is not installed, ``pybullet`` stands in for it: whatever
is asked of it is answered by one sentence, and all that draws nothing works.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any

from asterias.errors import UserError

MISSING = (
    "This is done by PyBullet, which is not installed: it has wheels up to Python 3.11. Use that "
    "Python (pip install pybullet); or, for pictures, set backend.renderer to raster."
)


class MissingPyBullet(ModuleType):
    """Stands in for PyBullet where it is not installed."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UserError(MISSING)


def bullet_client() -> Any:
    """Return a simulation of its own whose functions need no number of a client.

    Raises:
        UserError: PyBullet is not installed.
    """
    try:
        from pybullet_utils.bullet_client import BulletClient
    except ImportError as error:
        raise UserError(MISSING) from error
    return BulletClient(pybullet.DIRECT)


def _import_quietly() -> ModuleType:
    """Return PyBullet, imported while stderr leads nowhere: the line is from compiled code."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        return importlib.import_module("pybullet")
    except ImportError:
        return MissingPyBullet("pybullet")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


pybullet = _import_quietly()
