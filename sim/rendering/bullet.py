"""PyBullet, imported without the line about its build date that it writes to stderr.

It has wheels up to Python 3.11. Where it is not installed, ``pybullet`` stands in for it: whatever
is asked of it is answered by one sentence, and all that draws nothing works.
"""

from __future__ import annotations

import importlib
import os
import sys
from functools import partial
from types import ModuleType
from typing import Any

from asterias.errors import UserError

MISSING = (
    "This is done by PyBullet, which is not installed: it has wheels up to Python 3.11. Use that "
    "Python (pip install pybullet); or set backend.renderer to raster, backend.engine to asterias."
)


class MissingPyBullet(ModuleType):
    """Stands in for PyBullet where it is not installed."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UserError(MISSING)


class BulletClient:
    """A simulation of its own: PyBullet's functions, which need no number of a client here.

    PyBullet's own class of this name writes a line to stdout for each simulation.

    Raises:
        UserError: PyBullet is not installed, or starts no simulation.
    """

    def __init__(self) -> None:
        self._number: int = pybullet.connect(pybullet.DIRECT)
        if self._number < 0:
            raise UserError("PyBullet could not start a simulation; restart the process.")

    def __getattr__(self, name: str) -> Any:
        found = getattr(pybullet, name)
        if callable(found):
            found = partial(found, physicsClientId=self._number)
        setattr(self, name, found)
        return found

    def close(self) -> None:
        """Free the simulation; harmless when done before."""
        if self._number >= 0:
            pybullet.disconnect(self._number)
            self._number = -1

    def __del__(self) -> None:
        # Where making one failed there is no number.
        if self.__dict__.get("_number", -1) >= 0 and pybullet is not None:
            self.close()


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
