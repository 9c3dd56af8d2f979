"""Weights of policies and encoders as files: found by name or path, read whole, checked.

Nothing is unpickled. Sizes are limited before anything is allocated, and every error names the
file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load

from asterias.errors import UserError
from asterias.files import read_bytes, read_json

Tensor = TypeVar("Tensor")

# Our largest policy, with its encoder, has some 0.6 MB.
WEIGHTS_LIMIT_BYTES = 256 * 1024 * 1024
CARD_LIMIT_BYTES = 16 * 1024 * 1024
_LONGEST_NAME = 80


def part_of(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with ``prefix``, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def shortened(name: str) -> str:
    """Return a name as a message can hold it."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."


def path_of(name: str) -> Path | None:
    """Return the path of that name, or None where there is none.

    Names that no file can have, such as of 5,000 letters, name nothing.
    """
    try:
        path = Path(name)
        return path if name and path.exists() else None
    except (OSError, ValueError):
        return None


def find_weights(name: str, file_name: str, folder: Path) -> Path | None:
    """Return a ``.safetensors`` file by path, by the folder that holds it, or by name.

    Args:
        name: path of a file or folder, or a name in ``folder``.
        file_name: file in a folder that is given.
        folder: of the weights that come with Asterias.

    Returns:
        The file; None where there is none.
    """
    path = path_of(name)
    if path is not None and path.is_dir():
        path = path / file_name
    if path is None or not path.is_file():
        path = path_of(str(folder / f"{name}.safetensors"))
    return path if path is not None and path.is_file() else None


def read_tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read all tensors of a ``.safetensors`` file.

    Returns:
        Tensors by name.

    Raises:
        UserError: the file is missing, too large or damaged, or a value is no finite number.
    """
    content = read_bytes(path, WEIGHTS_LIMIT_BYTES)
    try:
        tensors: dict[str, npt.NDArray[Any]] = load(content)
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is no .safetensors file: {error}.") from error
    for name, tensor in tensors.items():
        if tensor.dtype.kind not in "fiu" or not np.isfinite(tensor).all():
            raise UserError(f"{path}: {shortened(name)} holds values that are no finite numbers.")
    return tensors


def read_card(path: Path) -> dict[str, Any]:
    """Read the card of a ``.safetensors`` file: a JSON object.

    Returns:
        The object.

    Raises:
        UserError: the file is missing, too large, no JSON, or holds something else.
    """
    card = read_json(path, CARD_LIMIT_BYTES)
    if not isinstance(card, dict):
        raise UserError(f"{path} is no card: it holds no JSON object.")
    return card
