"""The learners of stable-baselines3 and sb3-contrib, their settings, and their policies as files.

``linear`` PPO is the paper's: one linear layer for the mean, one for the value, 49 numbers in all,
and the settings of its code. The other settings are ours, for what the paper left open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.her import HerReplayBuffer
from torch import nn

from asterias.errors import HardwareError
from learning.target_finding.policies.encoder import TileEncoder
from learning.target_finding.policies.linear_policy import LinearPolicy
from learning.target_finding.policies.network_policy import NetworkPolicy
from learning.target_finding.policies.policy_files import Policy

Net = Literal["linear", "mlp"]
SbAlgorithm = Literal["ppo", "recurrent_ppo", "sac"]

# Steps of an iteration, after which a learner learns: the paper's 15 episodes of 5, or ours.
PAPER_ITERATION, ITERATION = 75, 300
_PAPER_RATE, _RATE, _SAC_RATE = 0.1, 4e-3, 1e-3
_HIDDEN = [64, 64]
_LOG_STD = -1.0


def iteration_steps(algorithm: SbAlgorithm, net: Net) -> int:
    """Steps between two updates; those of a training must be a multiple."""
    return PAPER_ITERATION if (algorithm, net) == ("ppo", "linear") else ITERATION


def learning_rate(algorithm: SbAlgorithm, net: Net, done: float) -> float:
    """Of an iteration that begins when this share of the training is done."""
    if algorithm == "sac":
        return _SAC_RATE
    return (_PAPER_RATE if net == "linear" else _RATE) * (1.0 - done)


def make_learner(
    algorithm: SbAlgorithm, net: Net, environments: VecEnv, seed: int, *, goal: bool = False
) -> BaseAlgorithm:
    """The learner, on the processor.

    Raises:
        HardwareError: algorithm and net do not go together.
    """
    if algorithm == "sac":
        return _sac(environments, seed, goal=goal)
    if goal:
        raise HardwareError("The goal-conditioned form is learned by hindsight: use --algo sac.")
    steps = iteration_steps(algorithm, net) // environments.num_envs
    shared: dict[str, Any] = {
        "n_steps": steps,
        "gamma": 0.9,
        "gae_lambda": 0.95,
        "clip_range": 0.2,
        "ent_coef": 0.0,
        # The paper's 0.5 stands before half the squared error, as in CleanRL.
        "vf_coef": 0.25,
        "max_grad_norm": 0.5,
        "seed": seed,
        "device": "cpu",
    }
    if algorithm == "recurrent_ppo":
        kwargs = {"net_arch": _HIDDEN[:1], "lstm_hidden_size": 64, "log_std_init": _LOG_STD}
        return RecurrentPPO(
            "MlpLstmPolicy", environments, batch_size=ITERATION // 2, n_epochs=8,
            policy_kwargs=kwargs, **shared,
        )  # fmt: skip
    if net == "linear":
        return PPO(
            "MlpPolicy", environments, batch_size=PAPER_ITERATION, n_epochs=5, clip_range_vf=0.2,
            policy_kwargs={"net_arch": [], "log_std_init": _LOG_STD}, **shared,
        )  # fmt: skip
    return PPO(
        "MlpPolicy", environments, batch_size=ITERATION // 4, n_epochs=10,
        policy_kwargs={"net_arch": _HIDDEN, "log_std_init": _LOG_STD}, **shared,
    )  # fmt: skip


def _sac(environments: VecEnv, seed: int, *, goal: bool) -> SAC:
    hindsight: dict[str, Any] = {
        "replay_buffer_class": HerReplayBuffer,
        "replay_buffer_kwargs": {"n_sampled_goal": 4, "goal_selection_strategy": "future"},
    }
    return SAC(
        "MultiInputPolicy" if goal else "MlpPolicy",
        environments,
        buffer_size=50_000,
        learning_starts=ITERATION // 2,
        batch_size=256,
        train_freq=1,
        gradient_steps=environments.num_envs,
        gamma=0.9,
        policy_kwargs={"net_arch": _HIDDEN},
        seed=seed,
        device="cpu",
        **(hindsight if goal else {}),
    )


# -- what a checkpoint holds ----------------------------------------------------------------------


def learner_state(model: BaseAlgorithm) -> dict[str, Any]:
    """Everything that learning goes on from: parameters, optimisers, counters, replay buffer."""
    _, variables = model._get_torch_save_params()  # SAC's entropy weight, for one
    state: dict[str, Any] = {
        "parameters": model.get_parameters(),
        "variables": {name: getattr(model, name).data for name in variables},
        "updates": model._n_updates,
    }
    if isinstance(model, OffPolicyAlgorithm):
        kept = vars(model.replay_buffer)
        state["replay"] = {key: value for key, value in kept.items() if _is_kept(value)}
    return state


def load_learner(model: BaseAlgorithm, state: Mapping[str, Any]) -> None:
    """Go on from :func:`learner_state`."""
    model.set_parameters(state["parameters"], exact_match=True, device="cpu")
    for name, value in state["variables"].items():
        getattr(model, name).data.copy_(value)
    model._n_updates = state["updates"]
    if isinstance(model, OffPolicyAlgorithm):
        for key, value in state["replay"].items():
            setattr(model.replay_buffer, key, value)


def _is_kept(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(part, np.ndarray) for part in value.values())
    # An object array holds what others call information; it is not learned from.
    plain = not isinstance(value, np.ndarray) or value.dtype.kind != "O"
    return plain and isinstance(value, np.ndarray | bool | int)


# -- policies -------------------------------------------------------------------------------------


def export_policy(
    model: BaseAlgorithm, card: dict[str, Any], encoder: TileEncoder | None
) -> Policy:
    """The learned policy without the learner."""
    state = {k: v.detach().cpu().numpy() for k, v in model.policy.state_dict().items()}
    extra = {f"encoder.{k}": v for k, v in encoder.tensors.items()} if encoder else {}
    policy: Any = model.policy
    if isinstance(model, SAC):
        return NetworkPolicy(
            {**_layers(policy.actor.latent_pi, policy.actor.mu), **extra,
             "std.weight": state["actor.log_std.weight"], "std.bias": state["actor.log_std.bias"]},
            {**card, "activation": "relu", "squashed": True},
        )  # fmt: skip
    if "lstm_actor.weight_hh_l0" in state:
        lstm = {f"lstm.{k}": state[f"lstm_actor.{k}_l0"] for k in _LSTM}
        extra |= lstm
    elif not len(policy.mlp_extractor.policy_net) and not extra:
        weight, bias = state["action_net.weight"], state["action_net.bias"]
        return LinearPolicy(weight, bias, state["log_std"], card)
    layers = _layers(policy.mlp_extractor.policy_net, policy.action_net)
    tensors = {**layers, "log_std": state["log_std"], **extra}
    return NetworkPolicy(tensors, {**card, "activation": "tanh"})


_LSTM = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _layers(hidden: nn.Module, last: nn.Module) -> dict[str, Any]:
    linear = [part for part in [*hidden.children(), last] if isinstance(part, nn.Linear)]
    return {
        f"layer_{i}.{name}": value.detach().numpy()
        for i, part in enumerate(linear)
        for name, value in part.named_parameters()
    }
