"""DT-VIN: the Dynamic Transition Value Iteration Network (Wang et al., ICML 2025).

The transition kernel of the latent decision process is computed from the maze, once, and differs
from cell to cell; thousands of layers of value iteration then share it. Equation numbers are the
paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from asterias.errors import UserError
from planners.networks.base import ClosedForm, NetworkConfig, PlanningNetwork, direction_taps
from planners.networks.closed_form import (
    Parts,
    binary_patterns,
    is_binary,
    kernel_table,
    leaves_map,
    look_up_kernels,
    solve_binary,
    solve_map,
    sure_moves,
)
from planners.networks.readout import Readout, readout
from planners.networks.simplex import entmax15, sparsemax, thresholded
from planners.operator.one_hot_kernels.solver import OneHotMap
from planners.operator.value_iteration import action_values, value_iteration

KernelType = Literal["fully_dynamic", "observation_dynamic", "state_dynamic", "invariant"]
Normalisation = Literal["softmax", "sparsemax", "entmax15", "threshold"]

# Layers after which V is made relative to its greatest value again: it grows by one to two a layer,
# and at 1000 float32 still tells 1e-4.
_LAYERS_PER_REFERENCE = 500


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
    normalisation: Normalisation = "softmax"
    """What makes a kernel a distribution; all but the softmax give exact zeros."""
    one_hot: bool = False
    """In evaluation, put all of each kernel on its greatest entry: the limit of a rising inverse
    temperature, in which values are found in closed form for any depth."""
    softmax_over: Literal["neighbours", "actions_and_neighbours"] = "neighbours"
    """What sums to one in a cell: the kernel of each action, or all of them together."""
    inverse_temperature: float = 1.0
    """Factor on the logits before the softmax: above 1, trained kernels leak less into walls, and
    paths may be longer than those of the training."""
    transition_sees_goal: bool = False
    """Let f^T see the goal map beside the maze; the paper's parameter count speaks against it."""
    cleaner: int = 0
    """Channels of a CNN that cleans a noisy map before f^T and f^R see it; 0 for none."""
    policy_input: Literal["q", "patch"] = "q"
    """What f^pi reads: the A latent Q-values of the cell, or the F x F patch of V around it."""
    readout: Readout = "centred"
    """What f^pi sees of the Q-values: each less their mean, or less the best one and bounded."""
    border: Literal["zeros", "walls"] = "zeros"
    """What lies beyond the map: V + R = 0, or a ring of wall cells which no kernel leaves. Only
    with the ring may a constant be added to V, which is then kept relative to its greatest."""
    skip: int = 0
    """Layers that an inter-highway connection spans (Sec. 4.4, a rejected variant); 0 for none."""
    map_size: int = 0
    """Rows and columns of all mazes; needed by the kernel type state_dynamic only."""
    init: Literal["structured", "lean", "goal", "random"] = "structured"
    """Initial weights: structured is latent actions that lean towards neighbours (lean) and a goal
    worth going to (goal); lean and goal are one of these; random is none of them."""
    lean: float = 3.0
    """How far the logit of a latent action's own neighbour is ahead at first."""


_RING = (1, 1, 1, 1)  # of walls, in cells: left, right, top, bottom
# Of the soft threshold: with noise of a variance of 0.04, the log odds of a cell that is as often
# free as a wall rise by 1 / 0.04 for each unit of its value.
_STEEPNESS = 25.0
_NEVER = -1e9  # a logit that no other is below


def _check_fit(config: DTVINConfig) -> None:
    """Check that options fit together.

    Raises:
        UserError: they do not.
    """
    plain = config.policy_input == "q" and not config.skip
    if config.border == "walls" and not (plain and config.kernel_type == "fully_dynamic"):
        raise UserError(
            "border 'walls' needs kernels of type fully_dynamic, policy_input 'q' and no skip."
        )


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
            self.transition = self._transition_layer()
        elif config.kernel_type == "state_dynamic":
            if config.map_size < 1:
                raise UserError("kernel type state_dynamic needs map_size, the size of all mazes.")
            shape = (1, channels, config.map_size, config.map_size)
            self.kernel = nn.Parameter(0.1 * torch.randn(shape))
        else:
            self.kernel = nn.Parameter(0.1 * torch.randn(1, channels, 1, 1))
        if config.cleaner:
            self.cleaner = nn.Sequential(
                nn.Conv2d(1, config.cleaner, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(config.cleaner, 1, 3, padding=1),
            )
        if config.normalisation == "threshold":
            self.threshold = nn.Parameter(torch.tensor(-2.0))  # sigmoid: 0.12 of the largest entry
        read = config.latent_actions if config.policy_input == "q" else taps
        self.policy = nn.Linear(read, config.actions, bias=False)
        _check_fit(config)
        self._parts: tuple[tuple[object, ...], Parts] | None = None
        self._table: tuple[tuple[object, ...], Tensor] | None = None
        self._init_weights()

    def _transition_layer(self) -> nn.Conv2d:
        """Return f^T, whose channels are latent actions x taps."""
        channels, field = self.config.latent_actions * self.config.field**2, self.config.field
        seen = 2 if self.config.transition_sees_goal else 1
        return nn.Conv2d(seen, channels, field, padding=field // 2)

    @torch.no_grad()
    def _init_weights(self) -> None:
        """Initialise weights from which planning works at once, if badly.

        Where the numbers come from (each was tried by factors of two to three; the ablation of the
        starts stands in docs/results/planning.md):

        - reward: 1.0 for the goal and 0.1 for a free cell, with -0.2 for every step: a free cell
          then costs 0.1 and a wall 0.2, so that paths are short and walls are worse than detours,
          and the goal, whose reward is earned again at each layer, outweighs both.
        - kernel: +3 (``lean``) on one of nine logits is a chance of exp(3) / (exp(3) + 8) = 0.72 to
          move that way. More of it makes the gradient of the softmax vanish, less leaves the
          actions alike. A sparsemax is one-hot, and learns no more, where one logit leads by 1.
        - what is random is scaled to a tenth: it breaks ties and no more.
        - policy: latent action a means action a; the first latent action beyond the moves stays.
        """
        init = self.config.init
        if init in ("structured", "goal"):
            self.reward.weight.copy_(torch.tensor([0.1, 1.0]).view(1, 2, 1, 1))
            nn.init.constant_(self.reward.bias, -0.2)  # type: ignore[arg-type]
        if init not in ("structured", "lean"):
            return
        taps = self.config.field**2
        bias = self.transition.bias if hasattr(self, "transition") else self.kernel
        for a, tap in enumerate(self._leaning()):
            if bias is not None and self.config.kernel_type != "state_dynamic":
                bias.view(-1)[a * taps + tap] += self.config.lean
            elif bias is not None:
                bias[0, a * taps + tap] += self.config.lean
        if hasattr(self, "transition"):
            self.transition.weight.mul_(0.1)
        self.policy.weight.mul_(0.1)
        if self.config.policy_input == "q":
            self.policy.weight += torch.eye(*self.policy.weight.shape)
            return
        for action, tap in enumerate(direction_taps(self.config.field, self.config.actions)):
            self.policy.weight[action, tap] += 1.0

    def _leaning(self) -> list[int]:
        """Return the taps that latent actions lean to at first."""
        moves = min(self.config.latent_actions, self.config.actions)
        leaning = direction_taps(self.config.field, moves)
        if self.config.latent_actions > len(leaning):
            leaning.append(self.config.field**2 // 2)  # stays
        return leaning

    def cleaned(self, mazes: Tensor) -> Tensor:
        """Return the map that f^T and f^R see ``(B, H, W)``, of mazes that may be noisy.

        It begins as a soft threshold, which looks at each cell alone; the CNN adds to its logit
        what the cells around say.
        """
        if not self.config.cleaner:
            return mazes
        around: Tensor = self.cleaner(mazes.unsqueeze(1)).squeeze(1)
        return torch.sigmoid(_STEEPNESS * (mazes - 0.5) + around)

    def rewards(self, mazes: Tensor, goals: Tensor) -> Tensor:
        """Return R = f^R(x) ``(B, H, W)``."""
        reward: Tensor = self.reward(torch.stack((mazes, goals), dim=1))
        return reward.squeeze(1)

    def _logits(self, mazes: Tensor, goals: Tensor) -> Tensor:
        """Return the logits of the kernels ``(B or 1, A, F*F, H or 1, W or 1)``."""
        maps = (mazes, goals) if self.config.transition_sees_goal else (mazes,)
        if self.config.kernel_type == "fully_dynamic":
            logits = self.transition(torch.stack(maps, dim=1).to(self.policy.weight.device))
        elif self.config.kernel_type == "observation_dynamic":
            logits = self.transition(torch.stack(maps, dim=1)).mean(dim=(2, 3), keepdim=True)
        else:
            logits = self.kernel
        kernel: Tensor = logits.unflatten(1, (self.config.latent_actions, self.config.field**2))
        return kernel

    def kernels(self, mazes: Tensor, goals: Tensor) -> Tensor:
        """Return T = f^T(x) ``(B or 1, A, F*F, H or 1, W or 1)``, by the kernel type (Table 1).

        Without gradients, those of binary maps are looked up by the 3 x 3 cells around a cell.
        """
        if not torch.is_grad_enabled() and self._has_table and is_binary(mazes):
            return look_up_kernels(self._kernel_table(), mazes)
        return self._normalised(self._logits(mazes, goals))

    def _normalised(self, logits: Tensor) -> Tensor:
        scaled = self.config.inverse_temperature * logits
        return self._distribution(scaled) if self.config.softmax else logits

    @property
    def _has_table(self) -> bool:
        """Whether kernels depend on nothing but the 3 x 3 cells around a cell."""
        config = self.config
        of_map = config.kernel_type == "fully_dynamic" and not config.transition_sees_goal
        return of_map and config.field == 3 and config.border == "zeros"

    def _weights_key(self) -> tuple[object, ...]:
        """Return what changes when a weight, an option or the mode does."""
        versions = [(tensor.data_ptr(), tensor._version) for tensor in self.parameters()]
        return self.config, self.training, *versions

    def _kernel_table(self) -> Tensor:
        """Return the kernels of all patterns ``(A, F*F, 512)``, made anew when a weight changes."""
        key = self._weights_key()
        if self._table is None or self._table[0] != key:
            mazes = binary_patterns().to(self.policy.weight.device)
            kernels = self._normalised(self._logits(mazes, mazes))[..., 1, 1]
            self._table = key, kernels.movedim(0, 2).contiguous()
        return self._table[1]

    def _distribution(self, logits: Tensor) -> Tensor:
        """Return kernels that sum to one from their logits ``(B, A, F*F, H, W)``."""
        if self.config.border == "walls":
            logits = logits.masked_fill(leaves_map(logits), _NEVER)
        if self.config.one_hot and not self.training:
            best = logits.argmax(dim=2, keepdim=True)
            return torch.zeros_like(logits).scatter_(2, best, 1.0)
        if self.config.softmax_over == "actions_and_neighbours":
            together: Tensor = functional.softmax(logits.flatten(1, 2), dim=1)
            return together.view_as(logits)
        if self.config.normalisation == "sparsemax":
            return sparsemax(logits, 2)
        if self.config.normalisation == "entmax15":
            return entmax15(logits, 2)
        if self.config.normalisation == "threshold":
            return thresholded(logits, self.threshold.sigmoid(), 2)
        return functional.softmax(logits, dim=2)

    def encode(self, mazes: Tensor, goals: Tensor) -> tuple[Tensor, ...]:
        """Return T and R, of the map with its ring of walls if it has one."""
        mazes = self.cleaned(mazes)
        if self.config.border == "walls":
            mazes, goals = functional.pad(mazes, _RING), functional.pad(goals, _RING)
        return self.kernels(mazes, goals), self.rewards(mazes, goals)

    def iterate(self, encoded: Sequence[Tensor], depth: int, saved_layers: Sequence[int]) -> Tensor:
        """Return V of the saved layers by Eq. (2): ``(N, B, H, W)``, ring of walls included."""
        transition, reward = encoded
        if self.config.skip:
            return self._iterate_with_skips(transition, reward, depth, saved_layers)
        if self.config.border == "walls" and tuple(saved_layers) == (depth,):
            return self.resume(encoded, None, depth)[None]
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
        return self._policy_of(action_values(transition, reward, values))

    def _policy_of(self, q: Tensor) -> Tensor:
        """Return logits ``(N, B, actions, H, W)`` of Q ``(N, B, A, H, W)``."""
        seen = readout(q, self.config.readout)
        return self._inside(torch.einsum("nbahw,ca->nbchw", seen, self.policy.weight))

    def _inside(self, maps: Tensor) -> Tensor:
        """Return maps ``(..., H, W)`` without the ring of walls."""
        return maps[..., 1:-1, 1:-1] if self.config.border == "walls" else maps

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
        """Return V ``(B, H, W)`` after ``count`` more layers.

        With a ring of walls it is relative to its greatest value, and stays exact for millions of
        layers.
        """
        transition, reward = encoded
        if self.config.border != "walls":
            return value_iteration(transition, reward, count, value=state)[-1]
        value = torch.zeros_like(reward) if state is None else state
        for first in range(0, count, _LAYERS_PER_REFERENCE):
            layers = min(_LAYERS_PER_REFERENCE, count - first)
            value = value_iteration(transition, reward, layers, value=value)[-1]
            value = value - value.amax(dim=(1, 2), keepdim=True)
        return value

    def values(self, encoded: Sequence[Tensor], states: Tensor) -> Tensor:
        """Return V of one more layer ``(N, B, H, W)``."""
        transition, reward = encoded
        return self._inside(action_values(transition, reward, states).amax(dim=2))

    @torch.no_grad()
    def solve(self, mazes: Tensor, goals: Tensor, depth: int) -> ClosedForm | None:
        """Return actions and values after ``depth`` layers if all kernels are one-hot."""
        config = self.config
        is_one_hot = config.one_hot and config.softmax and not self.training
        if not is_one_hot or config.border != "walls" or config.field != 3:
            return None
        if config.transition_sees_goal:
            return None
        parts, results = self._closed_form_parts(), []
        maps = [one.cpu().float().numpy() for one in (mazes, goals)]
        for maze, goal in zip(*maps, strict=True):
            solved = None if config.cleaner else solve_binary(parts, maze, goal, depth)
            if solved is None:
                solved = solve_map(parts, self._one_hot_map(maze, goal), depth)
            if solved is None:
                return None
            results.append(solved)
        if len(results) == 1:
            return results[0]
        return ClosedForm(*(np.concatenate(arrays) for arrays in zip(*results, strict=True)))

    def _one_hot_map(self, maze: NDArray[np.float32], goal: NDArray[np.float32]) -> OneHotMap:
        """Return the successors of all cells of a map ``(H, W)`` of any numbers, in its ring."""
        device = self.policy.weight.device
        cleaned = self.cleaned(torch.from_numpy(maze)[None].to(device))
        maps = [functional.pad(cleaned, _RING), functional.pad(torch.from_numpy(goal)[None], _RING)]
        maps = [one.to(device) for one in maps]
        taps = self.kernels(*maps)[0].argmax(dim=1).flatten(1).T.cpu()
        reward = self.rewards(*maps)[0].flatten().double().cpu().numpy()
        shape = (maze.shape[0] + 2, maze.shape[1] + 2)
        return OneHotMap(np.ascontiguousarray(taps.numpy().astype(np.uint8)), reward, shape)

    def _closed_form_parts(self) -> Parts:
        """Return tables of kernels and rewards, made anew when a weight has changed."""
        key = self._weights_key()
        if self._parts is None or self._parts[0] != key:
            bias, weight = self.reward.bias, self.reward.weight.flatten()
            assert bias is not None
            reward = torch.cat((bias, weight)).double().cpu().numpy()
            policy = self.policy.weight.double().cpu().numpy()
            table = kernel_table(lambda mazes: self._logits(mazes, mazes).cpu())
            bounded = self.config.readout == "bounded"
            sure = sure_moves(policy, bounded=bounded)
            self._parts = (key, Parts(table, reward, policy, bounded, sure))
        return self._parts[1]

    def decode_with_values(
        self, encoded: Sequence[Tensor], states: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return logits and values from one and the same Q."""
        if self.config.policy_input == "patch":
            return super().decode_with_values(encoded, states)
        transition, reward = encoded
        q = action_values(transition, reward, states)
        return self._policy_of(q), self._inside(q.amax(dim=2))

    def linear_policy(self) -> Tensor | None:
        """Return the weight of f^pi, unless it reads patches of V."""
        return self.policy.weight if self.config.policy_input == "q" else None

    @property
    def policy_readout(self) -> Readout:
        """What f^pi sees of the Q-values."""
        return self.config.readout


@dataclass(frozen=True)
class SparseDTVINConfig(DTVINConfig):
    """A DT-VIN made for depth; see docs/explanation/depth.md for what each option cures."""

    normalisation: Normalisation = "entmax15"
    one_hot: bool = True
    readout: Readout = "bounded"
    border: Literal["zeros", "walls"] = "walls"
    lean: float = 1.0


class SparseDTVIN(DTVIN):
    """DT-VIN whose kernels hold exact zeros, and are one-hot in evaluation.

    With one-hot kernels and a readout that takes the best latent action it *is* the recursion of
    shortest paths, learned from examples; it can be run to any depth.
    """

    config_type = SparseDTVINConfig
