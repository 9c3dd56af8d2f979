"""The networks by name, and their weights on disk: safetensors with a JSON card beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import load_file, save
from torch import Tensor

from asterias.files import write_bytes, write_json
from planners.networks.base import PlanningNetwork
from planners.networks.dt_vin import DTVIN, DTVINConfig
from planners.networks.gppn import GPPN, GPPNConfig
from planners.networks.highway_vin import HighwayVIN, HighwayVINConfig
from planners.networks.vin import VIN, VINConfig

ModelName = Literal["dt_vin", "vin", "highway_vin", "gppn"]

_NETWORKS: dict[str, tuple[type[Any], type[Any]]] = {
    "dt_vin": (DTVIN, DTVINConfig),
    "vin": (VIN, VINConfig),
    "highway_vin": (HighwayVIN, HighwayVINConfig),
    "gppn": (GPPN, GPPNConfig),
}


def build(model: str, options: Mapping[str, Any] | None = None) -> PlanningNetwork:
    """Return a new network; ``options`` are the fields of its configuration.

    Raises ``ValueError`` for an unknown name or option.
    """
    if model not in _NETWORKS:
        raise ValueError(f"model is {model!r}: choose one of {', '.join(_NETWORKS)}.")
    network, config = _NETWORKS[model]
    try:
        built: PlanningNetwork = network(config(**(options or {})))
    except TypeError as error:
        raise ValueError(f"{model} does not know these options: {error}.") from error
    return built


def save_weights(network: PlanningNetwork, model: str, path: Path, card: Mapping[str, Any]) -> None:
    """Write ``path`` (safetensors) and its card, ``path`` with the suffix ``.json``."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    whole = {"model": model, "options": asdict(network.config), **card}
    write_json(path.with_suffix(".json"), whole, indent=1)
    write_bytes(path, save(tensors))


def load_weights(path: Path) -> tuple[PlanningNetwork, dict[str, Any]]:
    """Return the network of a weight file, in evaluation mode, and its card.

    Raises ``ValueError`` where the file or its card is missing or does not fit.
    """
    card_path = path.with_suffix(".json")
    if not path.is_file() or not card_path.is_file():
        raise ValueError(
            f"no weights at {path}: give a .safetensors file with its .json beside it."
        )
    try:
        card: dict[str, Any] = json.loads(card_path.read_text())
        network = build(card["model"], card["options"])
        network.load_state_dict(load_file(path))
    except (KeyError, RuntimeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} and its card do not fit together: {error}.") from error
    return network.eval(), card


def choose_device(name: str) -> torch.device:
    """Return the device: 'auto' is the GPU if there is one.

    Raises ``ValueError`` for a GPU that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device is {name!r}, but PyTorch sees no GPU: use 'cpu' or 'auto'.")
    return torch.device(name)


def observation(mazes: Any, goals: Any) -> tuple[Tensor, Tensor]:
    """Return mazes and one-hot goal maps as float32 ``(B, H, W)`` from uint8 mazes and (row,
    column) goals.
    """
    maze = torch.as_tensor(mazes).float()
    places = torch.as_tensor(goals)
    goal = torch.zeros_like(maze)
    goal[torch.arange(len(maze)), places[:, 0], places[:, 1]] = 1
    return maze, goal
