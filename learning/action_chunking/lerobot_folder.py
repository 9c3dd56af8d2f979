"""Folders in which LeRobot keeps a trained policy of the kind ``act``: read, and written.

``config.json`` says what the network takes and gives, ``model.safetensors`` holds its weights, and
``policy_preprocessor.json`` and ``policy_postprocessor.json`` name files of the scales. Read and
written from the names in such folders, without LeRobot (0.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from asterias.errors import UserError
from asterias.files import write_folder, write_json
from learning.action_chunking.model import (
    ACTION,
    ENVIRONMENT,
    STATE,
    ActModel,
    FeatureScale,
    checked_shape,
    network_of,
    scale_sizes,
)
from learning.action_chunking.network import ActShape
from learning.recordings.lerobot import layout
from learning.target_finding.policies.policy_files import HUB_CARD, HUB_FILE
from learning.target_finding.policies.weight_files import read_card, read_tensors

KIND = "act"
_WEIGHTS = "model."
_PREPROCESSOR, _POSTPROCESSOR = "policy_preprocessor", "policy_postprocessor"
# Names in config.json, and ours.
_SIZES = {
    "chunk_size": "chunk",
    "dim_model": "width",
    "n_heads": "heads",
    "dim_feedforward": "hidden",
    "n_encoder_layers": "encoders",
    "n_decoder_layers": "decoders",
    "latent_dim": "style",
    "feedforward_activation": "activation",
    "pre_norm": "norm_first",
    "vision_backbone": "backbone",
    "dropout": "dropout",
}
_EPSILON = 1e-8


@dataclass(frozen=True)
class LeRobotPolicy:
    """What such a folder holds.

    Attributes:
        model: network and scales.
        pictures: names of the cameras' features, in the order in which the network takes them.
    """

    model: ActModel
    pictures: tuple[str, ...]


def read_lerobot(folder: Path) -> LeRobotPolicy:
    """Return the policy in a folder.

    Raises:
        UserError: it is no folder of LeRobot's, of another kind, or damaged.
    """
    for name in (HUB_CARD, HUB_FILE):
        if not (folder / name).is_file():
            raise UserError(f"{folder} is no policy of LeRobot's: {name} is missing.")
    config = read_card(folder / HUB_CARD)
    if config.get("type") != KIND:
        raise UserError(
            f"{folder} holds a policy of the kind {config.get('type')!r}; of LeRobot's, those of "
            f"the kind '{KIND}' are read."
        )
    try:
        shape, pictures = _shape_of(config)
        network = network_of(shape, read_tensors(folder / HUB_FILE), _WEIGHTS)
        scales = _read_scales(folder, config, shape, pictures)
    except KeyError as error:
        raise UserError(f"{folder} is no policy that can be read: {error} is missing.") from error
    except (AttributeError, TypeError, ValueError) as error:
        reason = str(error).rstrip(".")
        raise UserError(f"{folder} is no policy that can be read: {reason}.") from error
    return LeRobotPolicy(ActModel(network, scales), pictures)


def _shape_of(config: Mapping[str, Any]) -> tuple[ActShape, tuple[str, ...]]:
    """Return the shape, and the names of the pictures.

    Raises:
        ValueError: the network is one that is not read.
    """
    inputs, outputs = config["input_features"], config["output_features"]
    pictures = tuple(key for key, about in inputs.items() if about["type"] == "VISUAL")
    strange = set(inputs) - set(pictures) - {layout.STATE, layout.ENVIRONMENT}
    if strange or set(outputs) != {layout.ACTION} or layout.STATE not in inputs:
        told = ", ".join(sorted(strange)) or "joints or actions under other names"
        raise ValueError(f"it takes {told}, which a limb does not have")
    if config.get("replace_final_stride_with_dilation"):
        raise ValueError("its pictures' network is dilated")
    sizes: dict[str, Any] = {ours: config[name] for name, ours in _SIZES.items()}
    environment = inputs.get(layout.ENVIRONMENT, {"shape": [0]})["shape"]
    about = {
        **sizes,
        "state": inputs[layout.STATE]["shape"][0],
        "environment": environment[0],
        "pictures": [inputs[key]["shape"] for key in pictures],
        "actions": outputs[layout.ACTION]["shape"][0],
        "style_encoders": config["n_vae_encoder_layers"] if config["use_vae"] else 0,
    }
    return checked_shape(about), pictures


def _features(shape: ActShape, pictures: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Return our name and LeRobot's type of each of its features."""
    given = {layout.STATE: (STATE, "STATE"), layout.ACTION: (ACTION, "ACTION")}
    if shape.environment:
        given[layout.ENVIRONMENT] = (ENVIRONMENT, "ENV")
    return given | {key: (f"picture_{j}", "VISUAL") for j, key in enumerate(pictures)}


def _read_scales(
    folder: Path, config: Mapping[str, Any], shape: ActShape, pictures: tuple[str, ...]
) -> dict[str, FeatureScale]:
    """Return the scale of each feature.

    Raises:
        ValueError: there are none, or they are of another form.
    """
    numbers = _statistics(folder)
    modes = config["normalization_mapping"]
    sizes, scales = scale_sizes(shape), {}
    for key, (name, kind) in _features(shape, pictures).items():
        mode = modes.get(kind, "IDENTITY")
        size = sizes[name]
        if mode == "IDENTITY" or not any(found.startswith(f"{key}.") for found in numbers):
            scales[name] = FeatureScale(np.zeros(size, np.float32), np.ones(size, np.float32))
        elif mode == "MEAN_STD":
            mean, std = (numbers[f"{key}.{part}"].reshape(size) for part in ("mean", "std"))
            scales[name] = FeatureScale(mean, std)
        elif mode == "MIN_MAX":
            low, high = (numbers[f"{key}.{part}"].reshape(size) for part in ("min", "max"))
            scales[name] = FeatureScale(low, (high - low) / 2, -1.0)
        else:
            raise ValueError(f"it scales {key} by {mode}; MEAN_STD and MIN_MAX are read")
    return scales


def _statistics(folder: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the numbers of the normalizer, by feature and statistic.

    Raises:
        ValueError: there is none.
    """
    path = folder / f"{_PREPROCESSOR}.json"
    steps = read_card(path)["steps"] if path.is_file() else []
    for step in steps:
        if step.get("registry_name") == "normalizer_processor" and "state_file" in step:
            name = Path(str(step["state_file"])).name  # of this folder, whatever it says
            return read_tensors(folder / name)
    raise ValueError(
        f"{path.name} names no scales; folders of before LeRobot 0.4 have to be migrated by "
        "LeRobot's migrate_policy_normalization first"
    )


# -- writing --------------------------------------------------------------------------------------


def write_lerobot(policy: LeRobotPolicy, path: Path, executed: int) -> None:
    """Write a folder that LeRobot loads; it appears whole or not at all.

    Args:
        policy: what is written.
        path: folder to make.
        executed: actions of a chunk that are carried out.
    """
    model = policy.model
    features = _features(model.shape, policy.pictures)
    described = {
        key: {"type": kind, "shape": _size_of(model.shape, name)}
        for key, (name, kind) in features.items()
    }
    with write_folder(path) as folder:
        write_json(folder / HUB_CARD, _config(model, described, executed))
        state = model.network.state_dict()
        weights = {_WEIGHTS + k: np.ascontiguousarray(v.numpy()) for k, v in state.items()}
        save_file(weights, folder / HUB_FILE)
        _write_processors(folder, model, features, described)


def _size_of(shape: ActShape, name: str) -> list[int]:
    if name.startswith("picture_"):
        return list(shape.pictures[int(name.removeprefix("picture_"))])
    return [scale_sizes(shape)[name]]


def _config(model: ActModel, described: dict[str, Any], executed: int) -> dict[str, Any]:
    shape = model.shape
    return {
        "type": KIND,
        "n_obs_steps": 1,
        "n_action_steps": executed,
        "input_features": {k: v for k, v in described.items() if k != layout.ACTION},
        "output_features": {layout.ACTION: described[layout.ACTION]},
        "normalization_mapping": _modes(model),
        "device": "cpu",
        "pretrained_backbone_weights": None,
        "use_vae": bool(shape.style_encoders),
        "n_vae_encoder_layers": max(shape.style_encoders, 1),
        **{name: getattr(shape, ours) for name, ours in _SIZES.items()},
    }


def _modes(model: ActModel) -> dict[str, str]:
    """Return how each type of feature is scaled; all of a type alike."""
    names = {"STATE": STATE, "ACTION": ACTION, "ENV": ENVIRONMENT, "VISUAL": "picture_0"}
    return {
        kind: "MIN_MAX" if model.scales[name].base else "MEAN_STD"
        for kind, name in names.items()
        if name in model.scales
    }


def _write_processors(
    folder: Path,
    model: ActModel,
    features: dict[str, tuple[str, str]],
    described: dict[str, Any],
) -> None:
    numbers: dict[str, npt.NDArray[Any]] = {}
    for key, (name, _) in features.items():
        scale = model.scales[name]
        shape = (-1, 1, 1) if name.startswith("picture_") else (-1,)
        parts = {"mean": scale.offset, "std": scale.width}
        if scale.base:
            parts = {"min": scale.offset, "max": scale.offset + 2 * scale.width}
        numbers |= {f"{key}.{part}": v.reshape(shape) for part, v in parts.items()}
    device = {"registry_name": "device_processor", "config": {"device": "cpu"}}
    about = {"eps": _EPSILON, "norm_map": _modes(model)}
    for name, kind, kept in (
        (_PREPROCESSOR, "normalizer", described),
        (_POSTPROCESSOR, "unnormalizer", {layout.ACTION: described[layout.ACTION]}),
    ):
        before = [{"registry_name": "to_batch_processor", "config": {}}, device]
        steps: list[dict[str, Any]] = before if kind == "normalizer" else []
        state_file = f"{name}_step_{len(steps)}_{kind}_processor.safetensors"
        scaling = {
            "registry_name": f"{kind}_processor",
            "config": {**about, "features": kept},
            "state_file": state_file,
        }
        steps = [*steps, scaling] if kind == "normalizer" else [scaling, device]
        save_file({k: np.ascontiguousarray(v) for k, v in numbers.items()}, folder / state_file)
        write_json(folder / f"{name}.json", {"name": name, "steps": steps})
