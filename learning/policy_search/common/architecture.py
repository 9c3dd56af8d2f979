"""Policies as flat parameter vectors: one at a time in NumPy, many at a time in PyTorch.

A vector ``theta`` ``(n,)`` holds each layer's weight ``(out, in)`` row by row, then its bias. Many
vectors are evaluated in one pass by batched products, which is what critics over whole policies
differentiate (arXiv 2006.09226, 2207.01566).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np
import torch

from asterias.arrays import FloatArray
from asterias.errors import UserError

# Hidden layers of the policies that are known by name, as in stable-baselines3.
POLICIES: dict[str, tuple[int, ...]] = {"LinearPolicy": (), "MlpPolicy": (64, 64)}


@dataclass(frozen=True)
class PolicyArchitecture:
    """The form of a policy; its numbers are a vector elsewhere.

    Hidden layers are tanh. A continuous action is ``middle + half * tanh(output)``; a choice among
    two has one output, which is a threshold (or a logit); among more, one logit each.

    Attributes:
        observations: numbers of an observation.
        hidden: units of the hidden layers; none for a linear policy.
        low, high: ``(m,)`` limits of a continuous action; empty for a discrete one.
        choices: number of discrete actions; 0 for a continuous one.
        stochastic: actions are drawn: Gaussian before the tanh, or by the logits.
        log_std: logarithm of the Gaussian's standard deviation (the papers' code has -0.5).
    """

    observations: int
    hidden: tuple[int, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    choices: int = 0
    stochastic: bool = False
    log_std: float = -0.5

    @property
    def outputs(self) -> int:
        """Numbers that the last layer gives."""
        return len(self.low) or (1 if self.choices == 2 else self.choices)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Inputs and outputs of each layer."""
        widths = [self.observations, *self.hidden, self.outputs]
        return list(pairwise(widths))

    @property
    def parameters(self) -> int:
        """Numbers of a vector."""
        return sum(inputs * outputs + outputs for inputs, outputs in self.sizes)

    def layers(self, theta: Any) -> list[tuple[Any, Any]]:
        """Return weight ``(out, in)`` and bias ``(out,)`` of each layer of one vector ``(n,)``."""
        parts, at = [], 0
        for inputs, outputs in self.sizes:
            middle, end = at + inputs * outputs, at + (inputs + 1) * outputs
            parts.append((theta[at:middle].reshape(outputs, inputs), theta[middle:end]))
            at = end
        return parts

    def rebased(
        self,
        theta: FloatArray,
        old: tuple[FloatArray, FloatArray],
        new: tuple[FloatArray, FloatArray],
    ) -> FloatArray:
        """Return the same policies ``(..., n)`` for observations that are normalised anew.

        Args:
            theta: ``(..., n)``.
            old: mean and standard deviation ``(o,)`` of the observations so far.
            new: likewise, from now on.
        """
        made = np.array(theta, dtype=np.float64)
        inputs, outputs = self.sizes[0]
        first = made[..., : inputs * outputs].reshape(*made.shape[:-1], outputs, inputs)
        made[..., inputs * outputs : (inputs + 1) * outputs] += first @ ((new[0] - old[0]) / old[1])
        turned = first * (new[1] / old[1])
        made[..., : inputs * outputs] = turned.reshape(*made.shape[:-1], -1)
        return made

    def initial(self, rng: np.random.Generator) -> FloatArray:
        """Return a vector drawn as PyTorch draws linear layers: uniform up to 1 / sqrt(inputs)."""
        parts = [
            rng.uniform(-1, 1, (inputs + 1) * outputs) / math.sqrt(inputs)
            for inputs, outputs in self.sizes
        ]
        return np.concatenate(parts)

    def outputs_of(self, thetas: torch.Tensor, observations: torch.Tensor) -> torch.Tensor:
        """Return the last layers' outputs of many policies, all at once.

        Args:
            thetas: ``(P, n)``.
            observations: normalised, ``(S, o)`` the same for all, or ``(P, S, o)``.

        Returns:
            ``(P, S, outputs)``.
        """
        # Batched products: torch.func.vmap over one policy gives the same, and takes half as long
        # again for policies as small as these.
        x, at = observations, 0
        for number, (inputs, outputs) in enumerate(self.sizes):
            middle, end = at + inputs * outputs, at + (inputs + 1) * outputs
            weight = thetas[:, at:middle].view(-1, outputs, inputs)
            x = x @ weight.transpose(1, 2) + thetas[:, None, middle:end]
            if number + 1 < len(self.sizes):
                x = torch.tanh(x)
            at = end
        return x

    def actions_of(self, thetas: torch.Tensor, observations: torch.Tensor) -> torch.Tensor:
        """Return what many policies do, in a form that can be differentiated.

        Args:
            thetas: ``(P, n)``.
            observations: as in :meth:`outputs_of`.

        Returns:
            ``(P, S, m)``: actions from -1 to 1, or the probabilities of discrete ones.
        """
        out = self.outputs_of(thetas, observations)
        if self.choices > 2:
            return torch.softmax(out, -1)
        return torch.sigmoid(out) if self.choices else torch.tanh(out)


class Actor:
    """One policy, ready to act: normalisation folded into its first layer.

    Args:
        architecture: its form.
        theta: ``(n,)`` its numbers.
        mean, std: ``(o,)`` of the observations it was made for.
    """

    def __init__(
        self, architecture: PolicyArchitecture, theta: FloatArray, mean: FloatArray, std: FloatArray
    ) -> None:
        self.architecture = architecture
        (first, bias), *rest = architecture.layers(np.asarray(theta, dtype=np.float64))
        folded = first / std
        self.layers = [(folded, bias - folded @ mean), *rest]
        low, high = np.array(architecture.low), np.array(architecture.high)
        self._middle, self._half = (low + high) / 2, (high - low) / 2
        self._std = math.exp(architecture.log_std)

    def outputs(self, observation: Any) -> FloatArray:
        """Return the last layer's outputs ``(..., outputs)`` for observations ``(..., o)``."""
        x: FloatArray = observation
        for weight, bias in self.layers[:-1]:
            x = np.tanh(x @ weight.T + bias)
        weight, bias = self.layers[-1]
        out: FloatArray = x @ weight.T + bias
        return out

    def act(self, observation: Any, rng: np.random.Generator | None = None) -> Any:
        """Return the action for an observation, or ``(B, ...)`` for many.

        Args:
            observation: ``(o,)`` or ``(B, o)``.
            rng: source of a stochastic policy's draws; without it the likeliest action.
        """
        out = self.outputs(observation)
        drawing = rng if self.architecture.stochastic else None
        if self.architecture.choices:
            return self._choose(out, drawing)
        if drawing is not None:
            out = out + self._std * drawing.standard_normal(out.shape)
        return self.squash(out)

    def squash(self, outputs: FloatArray) -> FloatArray:
        """Return the continuous actions of outputs ``(..., m)``."""
        actions: FloatArray = self._middle + self._half * np.tanh(outputs)
        return actions

    def _choose(self, out: FloatArray, rng: np.random.Generator | None) -> Any:
        if rng is not None:  # the largest of logits with Gumbel noise is a draw by the softmax
            noise = rng.gumbel(size=(*out.shape[:-1], self.architecture.choices))
            two = self.architecture.choices == 2
            out = out + (noise[..., 1:] - noise[..., :1]) if two else out + noise
        if self.architecture.choices == 2:
            return (out[..., 0] > 0).astype(np.int64)
        return out.argmax(-1)


def architecture_for(
    env: gymnasium.Env[Any, Any],
    policy: str,
    hidden: Sequence[int] | None,
    *,
    stochastic: bool,
    log_std: float,
) -> PolicyArchitecture:
    """Return the architecture of a policy for an environment.

    Args:
        env: with flat observations.
        policy: ``LinearPolicy`` or ``MlpPolicy``.
        hidden: units of the hidden layers; None takes the policy's own.
        stochastic: whether actions are drawn.
        log_std: of a Gaussian.

    Returns:
        The architecture.

    Raises:
        UserError: the policy is unknown, or the environment's spaces are not supported.
    """
    if policy not in POLICIES:
        raise UserError(f"There is no policy {policy!r}; choose {' or '.join(POLICIES)}.")
    seen, acts = env.observation_space, env.action_space
    if not isinstance(seen, gymnasium.spaces.Box) or len(seen.shape) != 1:
        raise UserError(
            f"Policy search needs observations that are one row of numbers, not {seen}; "
            "wrap the environment in gymnasium.wrappers.FlattenObservation."
        )
    form = PolicyArchitecture(
        seen.shape[0],
        POLICIES[policy] if hidden is None else tuple(hidden),
        stochastic=stochastic,
        log_std=log_std,
    )
    about = vars(form)
    if isinstance(acts, gymnasium.spaces.Discrete) and acts.start == 0:
        return PolicyArchitecture(**about | {"choices": int(acts.n)})
    is_row = isinstance(acts, gymnasium.spaces.Box) and len(acts.shape) == 1
    if not is_row or not np.isfinite([acts.low, acts.high]).all():  # type: ignore[attr-defined]
        raise UserError(f"Policy search needs actions with limits, or choices from 0, not {acts}.")
    low, high = acts.low.tolist(), acts.high.tolist()  # type: ignore[attr-defined]
    return PolicyArchitecture(**about | {"low": tuple(low), "high": tuple(high)})
