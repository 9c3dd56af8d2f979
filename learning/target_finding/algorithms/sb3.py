"""What training needs to know of a learner of stable-baselines3 or sb3-contrib.

A learner is a :class:`Recipe`: how it is made, how fast it learns, and how its policy becomes a
file. The rest of a training is the same for all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from learning.target_finding.algorithms.networks import ITERATION
from learning.target_finding.env.options import Actions
from learning.target_finding.policies.encoder import TileEncoder
from learning.target_finding.policies.linear_policy import LinearPolicy
from learning.target_finding.policies.network_policy import NetworkPolicy
from learning.target_finding.policies.policy_files import Policy

_LSTM = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class Recipe(ABC):
    """One learner of stable-baselines3.

    Attributes:
        actions: of the task, ``increments`` or ``moves``.
        has_hindsight: whether it learns the goal-conditioned form.
    """

    actions: Actions = "increments"
    has_hindsight = False

    def iteration_steps(self, network: str) -> int:
        """Return the steps between two updates; those of a training must be a multiple."""
        return ITERATION

    @abstractmethod
    def learning_rate(self, network: str, done: float) -> float:
        """Return the rate of an iteration that begins when this fraction of the training is done.

        Args:
            network: name of the policy's network.
            done: 0 to 1.
        """

    @abstractmethod
    def make(
        self, network: str, environments: VecEnv, seed: int, *, goal: bool = False
    ) -> BaseAlgorithm:
        """Return the learner.

        Args:
            network: name of the policy's network.
            environments: to act in.
            seed: of everything.
            goal: whether observations hold goals, for learners with hindsight.
        """

    def export(
        self, model: BaseAlgorithm, card: dict[str, Any], encoder: TileEncoder | None
    ) -> Policy:
        """Return the learned policy without the learner."""
        policy: Any = model.policy
        state = {k: v.detach().cpu().numpy() for k, v in policy.state_dict().items()}
        extra = self.encoder_tensors(encoder)
        if "lstm_actor.weight_hh_l0" in state:
            extra |= {f"lstm.{k}": state[f"lstm_actor.{k}_l0"] for k in _LSTM}
        elif not len(policy.mlp_extractor.policy_net) and not extra:
            weight, bias = state["action_net.weight"], state["action_net.bias"]
            return LinearPolicy(weight, bias, state["log_std"], card)
        layers = hidden_and_last(policy.mlp_extractor.policy_net, policy.action_net)
        tensors = {**layers, "log_std": state["log_std"], **extra}
        return NetworkPolicy(tensors, {**card, "activation": "tanh"})

    def encoder_tensors(self, encoder: TileEncoder | None) -> dict[str, Any]:
        """Return the encoder's weights as a policy's file holds them."""
        return {f"encoder.{k}": v for k, v in encoder.tensors.items()} if encoder else {}


def hidden_and_last(hidden: nn.Module, last: nn.Module) -> dict[str, Any]:
    """Return the linear layers as a policy's file holds them."""
    linear = [part for part in [*hidden.children(), last] if isinstance(part, nn.Linear)]
    return {
        f"layer_{i}.{name}": value.detach().numpy()
        for i, part in enumerate(linear)
        for name, value in part.named_parameters()
    }


# -- what a checkpoint holds ----------------------------------------------------------------------


def learner_state(model: BaseAlgorithm) -> dict[str, Any]:
    """Return all that learning goes on from: parameters, optimisers, counters, replay buffer."""
    _, variables = model._get_torch_save_params()  # SAC's entropy weight, for one
    state: dict[str, Any] = {
        "parameters": model.get_parameters(),
        "variables": {name: getattr(model, name).data for name in variables},
        "updates": model._n_updates,
    }
    if isinstance(model, OffPolicyAlgorithm):
        buffer = vars(model.replay_buffer)
        state["replay"] = {key: value for key, value in buffer.items() if _is_saved(value)}
    return state


def load_learner(model: BaseAlgorithm, state: Mapping[str, Any]) -> None:
    """Restore what :func:`learner_state` returned."""
    model.set_parameters(state["parameters"], exact_match=True, device="cpu")
    for name, value in state["variables"].items():
        getattr(model, name).data.copy_(value)
    model._n_updates = state["updates"]
    if isinstance(model, OffPolicyAlgorithm):
        for key, value in state["replay"].items():
            setattr(model.replay_buffer, key, value)


def _is_saved(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(part, np.ndarray) for part in value.values())
    # An object array holds what others call information; it is not learned from.
    plain = not isinstance(value, np.ndarray) or value.dtype.kind != "O"
    return plain and isinstance(value, np.ndarray | bool | int)
