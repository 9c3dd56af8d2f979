"""Joints over time: a filter whose gains are learned.

At a moment with new pictures the joints that were foreseen are moved towards what the encoder
guesses from the newest picture of each camera, and from those alone that have just come, as in a
Kalman filter, but by gains that a network gives (KalmanNet, Revach et al. 2022, arXiv 2107.10043).
A gain is a matrix, since what pictures do not tell is a direction of several
joints: with the shoulder's pitch near a right angle its yaw and the roll of the wrist turn the limb
about nearly the same axis, and only their sum, or their difference, can be seen.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from learning.fast_weights.estimation.encoder import (
    AGE_UNIT_S,
    LEAST_LOG_VAR,
    MOST_LOG_VAR,
    Guess,
)

WIDTH = 96
# In half ranges of a joint: it stops at 1, and this leaves room for what is off.
FARTHEST = 1.25
# Half ranges in 0.1 s: the servos' limit is about 0.4.
FASTEST = 1.0
_LOG_VARS = (LEAST_LOG_VAR, MOST_LOG_VAR)


class JointState(NamedTuple):
    """Joints at a moment, all ``(..., n)``, in half ranges and units of 0.1 s.

    Attributes:
        mean: where they are.
        rate: how fast they move.
        log_var: logarithm of the variance of ``mean``.
        growth: how fast that grows.
    """

    mean: torch.Tensor
    rate: torch.Tensor
    log_var: torch.Tensor
    growth: torch.Tensor


class JointFilter(nn.Module):
    """Follows joints from guess to guess, helped by a memory.

    ``mean = foreseen + K (guess - foreseen) + L (fresh guess - foreseen) + correction``. With
    weights of zero K is 1 and L is 0: the filter starts as the encoder's guess, and learns when to
    hold on to what was foreseen.

    Args:
        hidden: size of the memory's output.
        inputs: size of a sample; it begins with both guesses, each with its ``log_var``.
        joints: number of joints, n.
    """

    def __init__(self, hidden: int, inputs: int, joints: int) -> None:
        super().__init__()
        self.joints = joints
        self.layers = nn.Sequential(
            nn.Linear(hidden + inputs + 5 * joints, WIDTH),
            nn.GELU(),
            nn.Linear(WIDTH, 4 * joints * joints + 5 * joints),
        )
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def at(self, state: JointState, since_s: torch.Tensor) -> Guess:
        """Return the joints ``since_s`` ``(...)`` after the moment of a state."""
        since = since_s.unsqueeze(-1) / AGE_UNIT_S
        mean = (state.mean + state.rate * since).clamp(-FARTHEST, FARTHEST)
        return Guess(mean, (state.log_var + state.growth * since).clamp(*_LOG_VARS))

    def update(
        self,
        state: JointState | None,
        hidden: torch.Tensor,
        sample: torch.Tensor,
        gap_s: torch.Tensor,
    ) -> JointState:
        """Return the state at the next moment.

        Args:
            state: at the last moment; None at the first.
            hidden: ``(B, h)`` of the memory.
            sample: ``(B, m)``.
            gap_s: ``(B,)`` since the last moment.
        """
        n = self.joints
        guess = Guess(sample[..., :n], sample[..., n : 2 * n])
        fresh = Guess(sample[..., 2 * n : 3 * n], sample[..., 3 * n : 4 * n])
        foreseen = guess if state is None else self.at(state, gap_s)
        rate = torch.zeros_like(guess.mean) if state is None else state.rate
        surprises = torch.cat([guess.mean - foreseen.mean, fresh.mean - foreseen.mean], -1)
        doubts = [foreseen.log_var - guess.log_var, foreseen.log_var - fresh.log_var]
        found = self.layers(torch.cat([hidden, sample, surprises, *doubts, rate], -1))
        gain, rate_gain, rest = found.split([2 * n * n, 2 * n * n, 5 * n], -1)
        correction, push, keep, log_var, growth = rest.chunk(5, -1)
        moved = surprises[..., :n] + _times(gain, surprises) + correction
        rate = keep * rate + _times(rate_gain, surprises) + push
        return JointState(
            (foreseen.mean + moved).clamp(-FARTHEST, FARTHEST),
            rate.clamp(-FASTEST, FASTEST),
            (guess.log_var + log_var).clamp(*_LOG_VARS),
            nn.functional.softplus(growth),
        )

    def follow(
        self, hidden: torch.Tensor, samples: torch.Tensor, times_s: torch.Tensor
    ) -> JointState:
        """Return states ``(B, N, n)`` at samples ``(B, N, m)`` with stamps ``(B, N)``."""
        state: JointState | None = None
        states = []
        for place in range(samples.shape[1]):
            gap = times_s[:, place] - times_s[:, max(place - 1, 0)]
            state = self.update(state, hidden[:, place], samples[:, place], gap)
            states.append(state)
        return JointState(*(torch.stack(parts, 1) for parts in zip(*states, strict=True)))


def _times(flat: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Return matrices ``(B, n * m)`` times vectors ``(B, m)``."""
    result: torch.Tensor = flat.reshape(
        *vector.shape[:-1], -1, vector.shape[-1]
    ) @ vector.unsqueeze(-1)
    return result.squeeze(-1)
