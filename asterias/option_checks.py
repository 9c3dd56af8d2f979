"""Options that commands check before they start to work."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from asterias.errors import UserError, describe_os_error

# NumPy's global generator, which stable-baselines3 seeds, takes 32 bits.
_LARGEST_SEED = 2**32 - 1


def check_seed(seed: int) -> None:
    """Check that a seed is one.

    Raises:
        UserError: it is negative or has more than 32 bits.
    """
    if not 0 <= seed <= _LARGEST_SEED:
        raise UserError(f"--seed must be from 0 to {_LARGEST_SEED}, not {seed}.")


def check_episodes(episodes: int) -> None:
    """Check that there are episodes enough for a standard deviation.

    Raises:
        UserError: there are fewer than two.
    """
    if episodes < 2:
        raise UserError("--episodes must be 2 or more, so that there is a spread.")


def check_file(option: str, path: Path | None) -> None:
    """Check that a result file can be written, before the work whose result it holds.

    Args:
        option: as a person types it.
        path: file to be written; None where it is not asked for.

    Raises:
        UserError: it is a folder, or its folder cannot be made or written to.
    """
    if path is None:
        return
    if path.is_dir():
        raise UserError(f"{option} {path} is a folder; name a file.")
    _check_folder(option, path.absolute().parent)


def check_folder(option: str, path: Path | None) -> None:
    """Check that files can be written into a folder that may have to be made.

    A ``UserError`` says so where it is a file, or cannot be made or written to.

    Args:
        option: as a person types it.
        path: folder to be written to; None where it is not asked for.
    """
    if path is not None:
        _check_folder(option, path.absolute())


def _check_folder(option: str, folder: Path) -> None:
    """Try to write into the folder, or the nearest one above that is there; leave nothing.

    Raises:
        UserError: it cannot be written to.
    """
    try:
        while not os.path.lexists(folder):
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        # The temporary file's own name would not help a person.
        place = type(error)(error.errno, error.strerror, str(folder))
        raise UserError(f"{option} cannot be written: {describe_os_error(place)}") from error
