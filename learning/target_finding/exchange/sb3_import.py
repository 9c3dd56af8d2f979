"""Policies that stable-baselines3 or rl-zoo3 has trained, as ours.

A ``.zip`` of stable-baselines3 holds ``policy.pth``, the weights, and ``data``, JSON whose harder
values are pickled. The weights are read by PyTorch's reader that builds tensors alone; of ``data``
only what is plain text or numbers. Nothing is unpickled that could run code.
"""

from __future__ import annotations

import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from asterias.errors import UserError
from asterias.files import read_bytes
from asterias.provenance import provenance
from learning.target_finding.env.options import (
    TargetFindingOptions,
    camera_count,
    with_command_range,
)
from learning.target_finding.exchange.vec_normalize import ObservationStatistics
from learning.target_finding.policies.network_policy import NetworkPolicy, check_network
from learning.target_finding.policies.policy_files import network_inputs
from learning.target_finding.policies.weight_files import WEIGHTS_LIMIT_BYTES

LoadedWeights = dict[str, npt.NDArray[Any]]

_DATA_LIMIT_BYTES = 64 * 1024 * 1024
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")
# What the standard library raises where a zip is damaged, encrypted or of another compression.
_BROKEN_ZIP = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, KeyError, ValueError),
    *(RuntimeError, RecursionError, NotImplementedError),
)
_ACTIVATIONS = {"Tanh": "tanh", "ReLU": "relu"}
# Weights that mark a policy which is no row of layers, and what to do about it.
_FOREIGN = {
    "lstm_actor": "it has a memory; train the recurrent one here: --algo recurrent_ppo",
    "features_extractor.cnn": "it sees pictures with a network of its own; train it on commands",
    "features_extractor.extractors": "it sees pictures; train it on commands",
    "q_net": "it values moves instead of choosing increments; use PPO, A2C or SAC",
    "actor.mu.0": "it is deterministic (TD3, DDPG); use PPO, A2C or SAC",
}


def import_sb3(
    path: Path, options: TargetFindingOptions, statistics: ObservationStatistics | None = None
) -> NetworkPolicy:
    """Return a PPO, A2C or SAC of stable-baselines3 as a policy of ours.

    Args:
        path: its ``.zip``.
        options: of the task that it was trained on; its largest increment is that of the file.
        statistics: by which its observations were normalised.

    Returns:
        The policy; its card says where it is from.

    Raises:
        UserError: it is no such file, no such policy, or of another task.
    """
    data, state = _read(path)
    for mark, reason in _FOREIGN.items():
        if any(mark in name for name in state):
            raise UserError(f"{path} cannot become a policy of ours: {reason}.")
    if data.get("use_sde"):
        raise UserError(
            f"{path} cannot become a policy of ours: its noise depends on the state (use_sde); "
            "train it with use_sde false."
        )
    try:
        tensors, told = _layers(state)
        activation = _activation(data, told["activation"])
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} cannot become a policy of ours: {_reason(error)}.") from error
    options = with_command_range(_with_increment(path, data, options))
    card: dict[str, Any] = {
        **provenance(int(data["seed"]) if isinstance(data.get("seed"), int) else None),
        "algorithm": _algorithm(data, state),
        "imported_from": path.name,
        "sb3_steps": data.get("num_timesteps"),
        "cameras": camera_count(options),
        "options": json.loads(json.dumps(asdict(options))),
        **told,
        "activation": activation,
    }
    if statistics is not None:
        tensors |= {"normalise.mean": statistics.mean, "normalise.std": statistics.std}
        card["observation_clip"] = statistics.clip
    _check_task(path, tensors, card, options)
    return NetworkPolicy(tensors, card)


# -- the file -------------------------------------------------------------------------------------


def _read(path: Path) -> tuple[dict[str, Any], LoadedWeights]:
    """Return what is plain in ``data``, and the weights.

    Raises:
        UserError: the file is no such zip, or too large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(read_bytes(path, WEIGHTS_LIMIT_BYTES))) as file:
            data = json.loads(_member(file, "data", _DATA_LIMIT_BYTES))
            weights = _member(file, "policy.pth", WEIGHTS_LIMIT_BYTES)
        return _mapping(data), _tensors(weights)
    except _BROKEN_ZIP as error:
        raise UserError(
            f"{path} is no policy that stable-baselines3 has saved: {_reason(error)}."
        ) from error


def _mapping(data: Any) -> dict[str, Any]:
    """Return ``data`` as it is.

    Raises:
        ValueError: it is no JSON object.
    """
    if not isinstance(data, dict):
        raise ValueError("its data is no JSON object")
    return data


def _member(file: zipfile.ZipFile, name: str, limit_bytes: int) -> bytes:
    """Return a part of a zip whose size is looked at first.

    Raises:
        ValueError: it is too large.
    """
    if file.getinfo(name).file_size > limit_bytes:
        raise ValueError(f"{name} has more than {limit_bytes:,} bytes")
    return file.read(name)


def _tensors(weights: bytes) -> LoadedWeights:
    """Return the tensors of a ``policy.pth`` by name.

    Raises:
        ValueError: it holds something else, or numbers that are not finite.
    """
    try:
        state = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError) as error:
        raise ValueError("policy.pth holds more than weights, or is damaged") from error
    if not isinstance(state, Mapping):
        raise ValueError("policy.pth holds no weights by name")
    tensors: LoadedWeights = {}
    for name, value in state.items():
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            continue
        tensors[str(name)] = value.detach().to(torch.float32).numpy()
        if not np.isfinite(tensors[str(name)]).all():
            raise ValueError(f"{name} holds numbers that are not finite")
    return tensors


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{str(error.args[0]).rstrip('.')} is missing" if error.args else "a part is missing"
    return str(error).rstrip(".") or "it is damaged"


# -- the network ----------------------------------------------------------------------------------


def _layers(state: LoadedWeights) -> tuple[LoadedWeights, dict[str, Any]]:
    """Return the policy's layers under our names, and what a card says of their kind.

    Raises:
        KeyError: a layer is missing.
        ValueError: its actions are no increments.
    """
    if "actor.mu.weight" in state:
        tensors = _numbered(state, "actor.latent_pi", "actor.mu")
        for part in ("weight", "bias"):
            tensors[f"std.{part}"] = state[f"actor.log_std.{part}"]
        return tensors, {"activation": "relu", "squashed": True}
    if "action_net.weight" not in state:
        raise KeyError("action_net.weight, the last layer of PPO and A2C, or actor.mu of SAC,")
    if "log_std" not in state:
        raise ValueError("its actions are numbers of moves; train it with actions=increments")
    tensors = _numbered(state, "mlp_extractor.policy_net", "action_net")
    return {**tensors, "log_std": state["log_std"]}, {"activation": "tanh"}


def _numbered(state: LoadedWeights, hidden: str, last: str) -> LoadedWeights:
    """Return hidden layers in order, then the last one, as ``layer_<i>``."""
    places = sorted(
        int(name.removeprefix(f"{hidden}.").partition(".")[0])
        for name in state
        if name.startswith(f"{hidden}.") and name.endswith(".weight")
    )
    prefixes = [*(f"{hidden}.{place}" for place in places), last]
    return {
        f"layer_{i}.{part}": state[f"{prefix}.{part}"]
        for i, prefix in enumerate(prefixes)
        for part in ("weight", "bias")
    }


def _activation(data: Mapping[str, Any], usual: str) -> str:
    """Return the activation that the policy was made with; SB3 writes it as text beside a pickle.

    Raises:
        ValueError: it is one that our networks do not have.
    """
    about = data.get("policy_kwargs")
    named = about.get("activation_fn") if isinstance(about, dict) else None
    if not isinstance(named, str):
        return usual
    name = named.rstrip("'>").rpartition(".")[2]
    if name not in _ACTIVATIONS:
        raise ValueError(f"its activation is {name}; train it with {' or '.join(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]


def _algorithm(data: Mapping[str, Any], state: LoadedWeights) -> str:
    if "actor.mu.weight" in state:
        return "sac"
    return "ppo" if "clip_range" in data else "a2c"


# -- the task -------------------------------------------------------------------------------------


def _with_increment(
    path: Path, data: Mapping[str, Any], options: TargetFindingOptions
) -> TargetFindingOptions:
    """Return the options with the largest increment that the file's action space tells.

    Raises:
        UserError: its bounds are not the same for every joint and both ways.
    """
    about = data.get("action_space")
    ends = (
        [
            [float(number) for number in _NUMBER.findall(str(about.get(key, "")))]
            for key in ("low", "high")
        ]
        if isinstance(about, dict)
        else [[], []]
    )
    largest = {round(abs(number), 6) for number in ends[0] + ends[1]}
    if not largest:
        return options
    if len(largest) > 1 or max(ends[0]) > 0 or min(ends[1]) < 0:
        raise UserError(
            f"{path} has actions from {ends[0]} to {ends[1]}; our joints all have the same largest "
            "increment both ways. Train it on the environment as it is."
        )
    return replace(options, increment=largest.pop())


def _check_task(
    path: Path, tensors: LoadedWeights, card: dict[str, Any], options: TargetFindingOptions
) -> None:
    """Check that the network fits the task.

    Raises:
        UserError: it does not.
    """
    joints, cameras = len(options.command_range), int(card["cameras"])
    try:
        check_network(tensors, card, network_inputs(options, joints, cameras), joints)
    except ValueError as error:
        raise UserError(
            f"{path} does not fit limb {options.limb} of {options.robot} ({joints} joints, "
            f"{cameras} cameras): {_reason(error)}. Name what it was trained on: --robot, --limb, "
            "--goal; its statistics must be those of the same training."
        ) from error
