"""Weights on disk: safetensors with a JSON card beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from asterias.errors import UserError
from asterias.files import read_bytes, read_json, write_bytes, write_json
from planners.networks.base import PlanningNetwork
from planners.networks.registry import build

WEIGHTS_FOLDER = Path(str(files("planners") / "weights"))

# Ours have 2 kB to 4 MB; a stranger's may have more, but none needs gigabytes.
_MOST_WEIGHT_BYTES = 512 * 2**20
_MOST_CARD_BYTES = 4 * 2**20
# Far beyond what was ever trained (5,000); a plan of so many layers takes minutes.
_MOST_DEPTH = 10_000_000

# Words of tensors in older files.
_OLD_TENSORS = {"sharpness": "inverse_temperature"}


def save_weights(network: PlanningNetwork, model: str, path: Path, card: Mapping[str, Any]) -> None:
    """Write ``path`` (safetensors) and its card, ``path`` with the suffix ``.json``."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    whole = {"model": model, "options": asdict(network.config), **card}
    write_json(path.with_suffix(".json"), whole, indent=1)
    write_bytes(path, safetensors.torch.save(tensors))


def load_weights(path: Path) -> tuple[PlanningNetwork, dict[str, Any]]:
    """Return the network of a weight file, in evaluation mode, and its card.

    Raises:
        UserError: the file or its card is missing, damaged, or they do not fit together.
    """
    card = read_card(path)
    depth = card.get("depth")
    if not isinstance(depth, int) or not 1 <= depth <= _MOST_DEPTH:
        raise UserError(
            f"{path.with_suffix('.json')} names no depth: a card of weights says for how many "
            "layers they were trained."
        )
    model, options = card["model"], card["options"]
    tensors = read_tensors(path)
    tensors = {_OLD_TENSORS.get(name, name): tensor for name, tensor in tensors.items()}
    try:
        with torch.device("meta"):  # sizes alone: a card may ask for any amount of memory
            check_fit(build(model, options), tensors, path)
        network = build(model, options)
    except UserError as error:
        if path.name in str(error):
            raise
        raise UserError(f"{path} and its card do not fit together: {error}") from error
    network.load_state_dict(tensors)
    return network.eval(), card


def read_card(path: Path) -> dict[str, Any]:
    """Return the card beside a weight file, with its ``model`` and ``options``.

    Raises:
        UserError: file or card is missing, or the card is none.
    """
    card_path = path.with_suffix(".json")
    if not path.is_file() or not card_path.is_file():
        raise UserError(f"no weights at {path}: give a .safetensors file with its .json beside it.")
    card = read_json(card_path, _MOST_CARD_BYTES)
    fits = isinstance(card, dict) and isinstance(card.get("model"), str)
    if not fits or not isinstance(card.get("options"), dict):
        raise UserError(f"{card_path} is no card of weights: it needs model and options.")
    found: dict[str, Any] = card
    return found


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file.

    Raises:
        UserError: it is damaged, foreign, too large, or holds numbers that are not finite.
    """
    content = read_bytes(path, _MOST_WEIGHT_BYTES)
    if content.startswith(b"version https://git-lfs"):
        raise UserError(f"{path} is a pointer of git-lfs: fetch the file itself by `git lfs pull`.")
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(content)
    except (SafetensorError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise UserError(f"{path} is no safetensors file, or is damaged: {error}.") from error
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            raise UserError(f"{path} cannot be used: not all numbers of {name} are finite.")
    return tensors


def check_fit(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Compare the tensors of a file with those of a network.

    Raises:
        UserError: names or shapes differ.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected != found:
        wrong = sorted(n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n))
        first = wrong[0]
        raise UserError(
            f"{path} and its card do not fit together: {first} is {found.get(first, 'missing')}, "
            f"expected {expected.get(first, 'none')}."
        )
