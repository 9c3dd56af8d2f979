"""A whole training as one file: tensors as safetensors, all else as JSON in its header.

Nothing is unpickled. The file appears whole or not at all, and resuming it with other options is
refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from asterias.errors import UserError
from asterias.files import write_bytes

CHECKPOINT_FILE = "checkpoint.safetensors"

# Marks the place of a tensor in the JSON part.
_TENSOR = "__tensor__"
# Keys of the file: the settings, and those of them that have another name since.
_SETTINGS = "told"
_RENAMED = {"rate": "learning_rate", "spoilt": "corrupted"}


def save_checkpoint(
    folder: Path, state: Mapping[str, Any], settings: Mapping[str, Any], about: Mapping[str, Any]
) -> None:
    """Write ``folder/checkpoint.safetensors``; arguments are those of :func:`save_state`."""
    save_state(folder / CHECKPOINT_FILE, state, settings, about)


def save_state(
    path: Path, state: Mapping[str, Any], settings: Mapping[str, Any], about: Mapping[str, Any]
) -> None:
    """Write a learner's state as one file.

    Args:
        path: of the file.
        state: nested dictionaries and lists of tensors, arrays, numbers and strings.
        settings: the options, which a training that goes on must have in common.
        about: progress, JSON.
    """
    tensors: dict[str, torch.Tensor] = {}
    skeleton = _take_apart(state, "", tensors)
    header = {_SETTINGS: settings, "about": about, "state": skeleton}
    write_bytes(path, save(tensors, {"checkpoint": json.dumps(header)}))


def refuse_overwriting(folder: Path, resume: bool) -> None:
    """Do not let a new training overwrite one.

    Raises:
        UserError: the folder holds one, and it is not to be resumed.
    """
    if not resume and (folder / CHECKPOINT_FILE).exists():
        raise UserError(f"{folder} holds a training; add --resume, or choose another --out.")


def load_checkpoint(
    folder: Path,
    settings: Mapping[str, Any],
    defaults: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return state and progress of the training in ``folder``; see :func:`load_state`.

    Raises:
        UserError: there is none, it is damaged, or it was made with other options.
    """
    path = folder / CHECKPOINT_FILE
    if not path.is_file():
        raise UserError(f"{path} is not there: nothing to resume; leave out --resume.")
    return load_state(path, settings, defaults)


def load_state(
    path: Path,
    settings: Mapping[str, Any],
    defaults: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return state and progress that :func:`save_state` wrote.

    Args:
        path: of the file.
        settings: what it must have been made with.
        defaults: for settings that are groups of options, what an option stands for that an
            earlier version did not know.

    Returns:
        State and progress.

    Raises:
        UserError: the file is missing, damaged, or was made with other options.
    """
    try:
        with safe_open(path, "pt") as file:
            header = json.loads(file.metadata()["checkpoint"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise UserError(f"{path} is not there.") from error
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); start anew with another --out.") from error
    try:
        saved = dict(header[_SETTINGS])
        for group, values in json.loads(json.dumps(defaults or {})).items():
            saved[group] = values | saved.get(group, {})
        _compare(path, saved, json.loads(json.dumps(settings)))  # JSON has no tuples
        return _put_together(header["state"], tensors), dict(header["about"])
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no training's checkpoint: {error!r}.") from error


def _compare(path: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse a checkpoint of other settings.

    Raises:
        UserError: a setting differs.
    """
    saved = {_RENAMED.get(key, key): value for key, value in saved.items()}
    for key in sorted(set(wanted) | set(saved)):
        if saved.get(key) != wanted.get(key):
            raise UserError(
                f"{path} was made with {key} {saved.get(key)}, not {wanted.get(key)}; "
                "resume it with the same, or choose another --out."
            )


def _take_apart(part: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(part, Mapping):
        # JSON knows text keys only; an optimiser's are numbers.
        return {
            "keys": [[type(key).__name__, key] for key in part],
            "values": [_take_apart(v, f"{name}.{k}", tensors) for k, v in part.items()],
        }
    if isinstance(part, list | tuple):
        return [_take_apart(v, f"{name}.{i}", tensors) for i, v in enumerate(part)]
    if isinstance(part, torch.Tensor | np.ndarray):
        tensors[name] = torch.as_tensor(part).detach().clone().contiguous()
        return {_TENSOR: name, "numpy": isinstance(part, np.ndarray)}
    return part.item() if isinstance(part, np.generic) else part


def _put_together(part: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(part, dict) and _TENSOR in part:
        tensor = tensors[part[_TENSOR]]
        return tensor.numpy() if part["numpy"] else tensor
    if isinstance(part, dict):
        keys = [int(key) if kind == "int" else key for kind, key in part["keys"]]
        return {
            key: _put_together(value, tensors)
            for key, value in zip(keys, part["values"], strict=True)
        }
    if isinstance(part, list):
        return [_put_together(value, tensors) for value in part]
    return part
