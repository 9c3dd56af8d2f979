"""``export --to sb3``: a .zip that stable-baselines3 (or sb3-contrib) loads and goes on training.

The policy's own layers are ours; value functions, which our files do not hold, begin anew.
Normalised observations need the ``vecnormalize.pkl`` that is written beside, where rl-zoo3 looks.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import stable_baselines3 as sb3
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from torch import nn

from asterias.errors import UserError
from asterias.files import write_bytes
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import options_from_card
from learning.target_finding.exchange.vec_normalize import FILE
from learning.target_finding.policies.linear_policy import LinearPolicy, SoftmaxPolicy
from learning.target_finding.policies.moves_policy import GreedyMovesPolicy
from learning.target_finding.policies.network_policy import NetworkPolicy
from learning.target_finding.policies.policy_files import Policy

TOLERANCE = 1e-5
CHECKED = 64
_LSTM = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

SB3Weights = dict[str, npt.NDArray[Any]]


def write(policy: Policy, path: Path) -> str:
    """Write the policy for stable-baselines3.

    Args:
        policy: of ours.
        path: ``.zip`` file to write.

    Returns:
        A sentence on the comparison.

    Raises:
        UserError: it has no such form, or acts otherwise when it is loaded again.
    """
    environment = DummyVecEnv([lambda: TargetFindingEnv(options_from_card(policy.card["options"]))])
    try:
        model, state = _learner(policy, environment)
        whole = model.policy.state_dict()
        whole.update({name: torch.as_tensor(value) for name, value in state.items()})
        model.policy.load_state_dict(whole)
        file = io.BytesIO()
        model.save(file)
        file.seek(0)
        loaded = type(model).load(file, device="cpu")
        statistics = _statistics(policy, environment)
        apart = _difference(policy, loaded, statistics)
        if not apart <= TOLERANCE:
            raise UserError(
                f"{path} was not written: loaded again, it acts otherwise by {apart:g}."
            )
        write_bytes(path, file.getvalue())
        beside = ""
        if statistics is not None:
            place = path.parent / path.stem / FILE
            place.parent.mkdir(parents=True, exist_ok=True)
            statistics.save(str(place))
            beside = f"; its observations are normalised by {place}"
    finally:
        environment.close()
    kind = type(model).__name__
    return f"{kind}.load gives the same actions at {CHECKED} observations, to {apart:.1e}{beside}"


def _learner(policy: Policy, environment: DummyVecEnv) -> tuple[Any, SB3Weights]:
    """Return a new learner, and the weights that make it act as the policy.

    Raises:
        UserError: the policy has no form in stable-baselines3.
    """
    make: Callable[..., Any] = sb3.PPO
    if isinstance(policy, LinearPolicy):
        state = {"log_std": policy.log_std, **_named("action_net", policy.weight, policy.bias)}
        return _make(make, environment, (), nn.Tanh), state
    if isinstance(policy, SoftmaxPolicy):
        state = _named("action_net", policy.weight, np.zeros(len(policy.weight), np.float32))
        return _make(make, environment, (), nn.Tanh), state
    if isinstance(policy, GreedyMovesPolicy):
        raise UserError("The policy of a Q-network is exported nowhere yet; run it from its file.")
    if not isinstance(policy, NetworkPolicy) or "encoder.shape" in policy.tensors:
        raise UserError(
            "A policy that sees pictures through our encoder has no form in stable-baselines3; "
            "export it with --to onnx."
        )
    if policy.cell not in (None, "lstm"):
        raise UserError(
            f"A policy with a {policy.cell} memory has no form in stable-baselines3; lstm has."
        )
    part = policy.tensors
    count = sum(name.startswith("layer_") and name.endswith(".weight") for name in part)
    layers = [(part[f"layer_{i}.weight"], part[f"layer_{i}.bias"]) for i in range(count)]
    hidden = tuple(len(bias) for _, bias in layers[:-1])
    activation = nn.Tanh if policy.card["activation"] == "tanh" else nn.ReLU
    if "std.weight" in part:
        state = _stacked("actor.latent_pi", "actor.mu", layers)
        state |= _named("actor.log_std", part["std.weight"], part["std.bias"])
        return _make(sb3.SAC, environment, hidden, activation, critic="qf"), state
    state = _stacked("mlp_extractor.policy_net", "action_net", layers)
    state["log_std"] = part["log_std"]
    more: dict[str, Any] = {}
    if "lstm.weight_hh" in part:
        make = RecurrentPPO
        more["lstm_hidden_size"] = part["lstm.weight_hh"].shape[1]
        state |= {f"lstm_actor.{name}_l0": part[f"lstm.{name}"] for name in _LSTM}
    return _make(make, environment, hidden, activation, **more), state


def _make(
    kind: Callable[..., Any],
    environment: DummyVecEnv,
    hidden: tuple[int, ...],
    activation: type[nn.Module],
    critic: str = "vf",
    **more: Any,
) -> Any:
    goal = hasattr(environment.observation_space, "spaces")
    name = "MultiInputPolicy" if goal else "MlpPolicy"
    name = "MlpLstmPolicy" if kind is RecurrentPPO else name
    sizes = {"pi": list(hidden), critic: list(hidden)}
    about = {"net_arch": sizes, "activation_fn": activation, **more}
    return kind(name, environment, policy_kwargs=about, device="cpu")


def _named(name: str, weight: npt.NDArray[Any], bias: npt.NDArray[Any]) -> SB3Weights:
    return {f"{name}.weight": weight, f"{name}.bias": bias}


def _stacked(
    hidden: str, last: str, layers: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]
) -> SB3Weights:
    """Return layers under SB3's names: every second place holds an activation."""
    state = _named(last, *layers[-1])
    for i, (weight, bias) in enumerate(layers[:-1]):
        state |= _named(f"{hidden}.{2 * i}", weight, bias)
    return state


def _statistics(policy: Policy, environment: DummyVecEnv) -> VecNormalize | None:
    """Return what normalises the policy's observations; None where nothing does."""
    if not isinstance(policy, NetworkPolicy) or "normalise.mean" not in policy.tensors:
        return None
    clip = float(policy.card["observation_clip"])
    made: Any = VecNormalize(
        environment, norm_reward=False, clip_obs=clip, epsilon=0.0, training=False
    )
    made.obs_rms.mean = policy.tensors["normalise.mean"]
    made.obs_rms.var = policy.tensors["normalise.std"] ** 2
    statistics: VecNormalize = made
    return statistics


def _difference(policy: Policy, model: Any, statistics: VecNormalize | None) -> float:
    """Return the largest difference of an action between the policy and a loaded learner."""
    space, memory, apart = model.observation_space, None, 0.0
    space.seed(0)
    policy.start()
    for number in range(CHECKED):
        seen = space.sample()
        given = seen if statistics is None else statistics.normalize_obs(seen)
        action, memory = model.predict(
            given, state=memory, episode_start=np.array([number == 0]), deterministic=True
        )
        ours = np.asarray(policy.act(seen, None), np.float64)
        apart = max(apart, float(np.abs(ours - action).max()))
    policy.start()
    return apart
