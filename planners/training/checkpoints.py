"""Checkpoints of trainings: tensors and the optimiser's state as safetensors, progress as JSON.

Nothing is unpickled, and a file appears whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from asterias.errors import UserError
from asterias.files import write_bytes

CHECKPOINT = "checkpoint.safetensors"
_OPTIMISER = "optimiser."


def save_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], optimiser: torch.optim.Optimizer, progress: Any
) -> None:
    """Write everything that a resumed training needs into one file.

    Args:
        path: of the file.
        tensors: by names with prefixes, such as ``network.``.
        optimiser: of the training.
        progress: a dataclass that JSON can hold.
    """
    whole = dict(tensors)
    for index, state in optimiser.state_dict()["state"].items():
        for name, value in state.items():
            whole[f"{_OPTIMISER}{index}.{name}"] = torch.as_tensor(value)
    contiguous = {k: v.detach().cpu().clone().contiguous() for k, v in whole.items()}
    note = {"progress": json.dumps(asdict(progress))}
    write_bytes(path, save(contiguous, metadata=note))


def load_checkpoint(
    path: Path, optimiser: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Restore the optimiser; return the file's tensors and its progress.

    Returns:
        Tensors and progress.

    Raises:
        UserError: there is no such file.
    """
    if not path.is_file():
        raise UserError(f"nothing to resume: there is no {path}.")
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        progress: dict[str, Any] = json.loads(file.metadata()["progress"])
    state = optimiser.state_dict()
    for name, tensor in below(_OPTIMISER, tensors).items():
        index, key = name.split(".")
        state["state"].setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict(state)
    return tensors, progress


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those tensors whose names begin with ``prefix``, without it.

    Returns:
        The tensors by their shorter names.
    """
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
