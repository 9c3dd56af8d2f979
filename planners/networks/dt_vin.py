"""DT-VIN: the Dynamic Transition Value Iteration Network (Wang et al., ICML 2025).

The transition kernel of the latent decision process is computed from the maze, once, and differs
from cell to cell; thousands of layers of value iteration then share it. Equation numbers are the
paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from asterias.errors import UserError
from planners.networks.base import NetworkConfig, PlanningNetwork, centred, direction_taps
from planners.operator.value_iteration import action_values, value_iteration

KernelType = Literal["fully_dynamic", "observation_dynamic", "state_dynamic", "invariant"]


@dataclass(frozen=True)
class DTVINConfig(NetworkConfig):
    """Shape of a DT-VIN; the defaults are the paper's, but for the initial weights."""

    latent_actions: int = 4
    """Latent actions A."""
    field: int = 3
    """Rows and columns F of a transition kernel."""
    kernel_type: KernelType = "fully_dynamic"
    """What the kernel depends on (Table 1): state and observation, one of them, or none."""
    softmax: bool = True
    """Make each kernel a distribution over the neighbours (Sec. 3.1)."""
    softmax_over: Literal["neighbours", "actions_and_neighbours"] = "neighbours"
    """What sums to one in a cell: the kernel of each action, or all of them together."""
    inverse_temperature: float = 1.0
    """Factor on the logits before the softmax: above 1, trained kernels leak less into walls, and
    paths may be longer than those of the training."""
    transition_sees_goal: bool = False
    """Let f^T see the goal map beside the maze; the paper's parameter count speaks against it."""
    policy_input: Literal["q", "patch"] = "q"
    """What f^pi reads: the A latent Q-values of the cell, or the F x F patch of V around it."""
    skip: int = 0
    """Layers that an inter-highway connection spans (Sec. 4.4, a rejected variant); 0 for none."""
    map_size: int = 0
    """Rows and columns of all mazes; needed by the kernel type state_dynamic only."""
    init: Literal["structured", "lean", "goal", "random"] = "structured"
    """Initial weights: structured is latent actions that lean towards neighbours (lean) and a goal
    worth going to (goal); lean and goal are one of these; random is none of them."""


class DTVIN(PlanningNetwork):
    """Maps mazes ``(B, H, W)``, 1 = free, and goal maps ``(B, H, W)``, one-hot, to action logits.

    The reward f^R sees maze and goal through a 1 x 1 convolution; the kernel f^T sees the maze
    alone through one F x F convolution; the policy f^pi is linear in the A latent Q-values of the
    cell, less their mean.
    """

    config_type = DTVINConfig
    config: DTVINConfig

    def __init__(self, config: DTVINConfig | None = None) -> None:
        super().__init__(config or DTVINConfig())
        config, taps = self.config, self.config.field**2
        channels = config.latent_actions * taps
        self.reward = nn.Conv2d(2, 1, kernel_size=1)
        if config.kernel_type in ("fully_dynamic", "observation_dynamic"):
            seen = 2 if config.transition_sees_goal else 1
            self.transition = nn.Conv2d(seen, channels, config.field, padding=config.field // 2)
        elif config.kernel_type == "state_dynamic":
            if config.map_size < 1:
                raise UserError("kernel type state_dynamic needs map_size, the size of all mazes.")
            shape = (1, channels, config.map_size, config.map_size)
            self.kernel = nn.Parameter(0.1 * torch.randn(shape))
        else:
            self.kernel = nn.Parameter(0.1 * torch.randn(1, channels, 1, 1))
        read = config.latent_actions if config.policy_input == "q" else taps
        self.policy = nn.Linear(read, config.actions, bias=False)
        self._init_weights()

    @torch.no_grad()
    def _init_weights(self) -> None:
        """Initialise weights from which planning works at once, if badly.

        Where the numbers come from (each was tried by factors of two to three; the ablation of the
        starts stands in docs/results/planning.md):

        - reward: 1.0 for the goal and 0.1 for a free cell, with -0.2 for every step: a free cell
          then costs 0.1 and a wall 0.2, so that paths are short and walls are worse than detours,
          and the goal, whose reward is earned again at each layer, outweighs both.
        - kernel: +3 on one of nine logits is a chance of exp(3) / (exp(3) + 8) = 0.72 to move that
          way. More of it makes the gradient of the softmax vanish, less leaves the actions alike.
        - what is random is scaled to a tenth: it breaks ties and no more.
        - policy: latent action a means action a.
        """
        init = self.config.init
        if init in ("structured", "goal"):
            self.reward.weight.copy_(torch.tensor([0.1, 1.0]).view(1, 2, 1, 1))
            nn.init.constant_(self.reward.bias, -0.2)  # type: ignore[arg-type]
        if init not in ("structured", "lean"):
            return
        taps, moves = self.config.field**2, min(self.config.latent_actions, self.config.actions)
        bias = self.transition.bias if hasattr(self, "transition") else self.kernel
        for a, tap in enumerate(direction_taps(self.config.field, moves)):
            if bias is not None and self.config.kernel_type != "state_dynamic":
                bias.view(-1)[a * taps + tap] += 3.0
            elif bias is not None:
                bias[0, a * taps + tap] += 3.0
        if hasattr(self, "transition"):
            self.transition.weight.mul_(0.1)
        self.policy.weight.mul_(0.1)
        if self.config.policy_input == "q":
            self.policy.weight += torch.eye(*self.policy.weight.shape)
            return
        for action, tap in enumerate(direction_taps(self.config.field, self.config.actions)):
            self.policy.weight[action, tap] += 1.0

    def rewards(self, mazes: Tensor, goals: Tensor) -> Tensor:
        """Return R = f^R(x) ``(B, H, W)``."""
        reward: Tensor = self.reward(torch.stack((mazes, goals), dim=1))
        return reward.squeeze(1)

    def kernels(self, mazes: Tensor, goals: Tensor) -> Tensor:
        """Return T = f^T(x) ``(B or 1, A, F*F, H or 1, W or 1)``, by the kernel type (Table 1)."""
        maps = (mazes, goals) if self.config.transition_sees_goal else (mazes,)
        if self.config.kernel_type == "fully_dynamic":
            logits = self.transition(torch.stack(maps, dim=1))
        elif self.config.kernel_type == "observation_dynamic":
            logits = self.transition(torch.stack(maps, dim=1)).mean(dim=(2, 3), keepdim=True)
        else:
            logits = self.kernel
        kernel: Tensor = logits.unflatten(1, (self.config.latent_actions, self.config.field**2))
        if not self.config.softmax:
            return kernel
        kernel = self.config.inverse_temperature * kernel
        if self.config.softmax_over == "actions_and_neighbours":
            together: Tensor = functional.softmax(kernel.flatten(1, 2), dim=1)
            return together.view_as(kernel)
        return functional.softmax(kernel, dim=2)

    def encode(self, mazes: Tensor, goals: Tensor) -> tuple[Tensor, ...]:
        """Return T and R."""
        return self.kernels(mazes, goals), self.rewards(mazes, goals)

    def iterate(self, encoded: Sequence[Tensor], depth: int, saved_layers: Sequence[int]) -> Tensor:
        """Return V of the saved layers by Eq. (2): ``(N, B, H, W)``."""
        transition, reward = encoded
        if self.config.skip:
            return self._iterate_with_skips(transition, reward, depth, saved_layers)
        return value_iteration(transition, reward, depth, saved_layers)

    def _iterate_with_skips(
        self, transition: Tensor, reward: Tensor, depth: int, saved_layers: Sequence[int]
    ) -> Tensor:
        """Return the same, every ``skip`` layers averaged with V of ``skip`` before."""
        value, saved = torch.zeros_like(reward), []
        for first in range(0, depth, self.config.skip):
            count = min(self.config.skip, depth - first)
            inner = [layer - first for layer in saved_layers if first < layer < first + count]
            states = value_iteration(transition, reward, count, (*inner, count), value=value)
            value = (value + states[-1]) / 2
            saved += list(states[:-1])
            if first + count in saved_layers:
                saved.append(value)
        return torch.stack(saved)

    def decode(self, encoded: Sequence[Tensor], values: Tensor) -> Tensor:
        """Return f^pi of values ``(N, B, H, W)``, logits ``(N, B, actions, H, W)``."""
        if self.config.policy_input == "patch":
            return self._decode_patches(values)
        transition, reward = encoded
        q = centred(action_values(transition, reward, values))
        return torch.einsum("nbahw,ca->nbchw", q, self.policy.weight)

    def _decode_patches(self, values: Tensor) -> Tensor:
        """Return logits from the F x F values around each cell, less their mean."""
        count, batch, height, width = values.shape
        field = self.config.field
        flat = values.reshape(count * batch, 1, height, width)
        patches = functional.unfold(flat, field, padding=field // 2)
        patches = patches - patches.mean(dim=1, keepdim=True)
        logits = torch.einsum("mtc,at->mac", patches, self.policy.weight)
        return logits.view(count, batch, -1, height, width)

    @property
    def can_resume(self) -> bool:
        """Whether the state is V alone: not with skip connections."""
        return not self.config.skip

    def resume(self, encoded: Sequence[Tensor], state: Tensor | None, count: int) -> Tensor:
        """Return V ``(B, H, W)`` after ``count`` more layers."""
        transition, reward = encoded
        return value_iteration(transition, reward, count, value=state)[-1]

    def values(self, encoded: Sequence[Tensor], states: Tensor) -> Tensor:
        """Return V of one more layer ``(N, B, H, W)``."""
        transition, reward = encoded
        return action_values(transition, reward, states).amax(dim=2)

    def linear_policy(self) -> Tensor | None:
        """Return the weight of f^pi, unless it reads patches of V."""
        return self.policy.weight if self.config.policy_input == "q" else None
