"""Paths through irregular samples: what x(t) and x'(t) are between two of them.

``hermite``, ``linear`` and ``hold`` look back only, so that they can be followed while samples
come; the natural cubic spline of the paper needs the whole series, and is for comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from asterias.registry import Registry


class Segments(NamedTuple):
    """Cubic pieces between ``N`` samples: ``x = a + b s + c s^2 + d s^3``, s from 0 to 1.

    Attributes:
        a, b, c, d: ``(B, N - 1, m)``.
        widths: ``(B, N - 1)`` s of time of each piece.
    """

    a: torch.Tensor
    b: torch.Tensor
    c: torch.Tensor
    d: torch.Tensor
    widths: torch.Tensor

    def at(self, share: float) -> torch.Tensor:
        """Return ``(B, N - 1, m)`` values at a share of each piece."""
        return self.a + share * (self.b + share * (self.c + share * self.d))

    def slope(self, share: float) -> torch.Tensor:
        """Return ``(B, N - 1, m)`` derivatives by the share; divide by the widths for x'."""
        return self.b + share * (2.0 * self.c + 3.0 * share * self.d)


# Samples (B, N, m), times (B, N) -> pieces.
PathMaker = Callable[[torch.Tensor, torch.Tensor], Segments]

# Two samples this close count as one instant: no slope is taken from them.
SAME_TIME_S = 1e-6


def _cubic(
    left: torch.Tensor,
    right: torch.Tensor,
    slope_left: torch.Tensor,
    slope_right: torch.Tensor,
    widths: torch.Tensor,
) -> Segments:
    """Return pieces with these values and slopes (by the share) at their ends."""
    rise = right - left
    c = 3.0 * rise - 2.0 * slope_left - slope_right
    d = slope_left + slope_right - 2.0 * rise
    return Segments(left, slope_left, c, d, widths)


def linear(samples: torch.Tensor, times: torch.Tensor) -> Segments:
    """Return straight pieces."""
    rise = torch.diff(samples, dim=1)
    zero = torch.zeros_like(rise)
    return Segments(samples[:, :-1], rise, zero, zero, torch.diff(times, dim=1))


def hold(samples: torch.Tensor, times: torch.Tensor) -> Segments:
    """Return pieces that stay at their first sample."""
    first = samples[:, :-1]
    zero = torch.zeros_like(first)
    return Segments(first, zero, zero, zero, torch.diff(times, dim=1))


def hermite(samples: torch.Tensor, times: torch.Tensor) -> Segments:
    """Return cubic Hermite pieces whose slopes are backward differences.

    The piece between two samples needs these and the one before, none that comes later (Morrill et
    al., "On the choice of interpolation scheme for neural CDEs", 2022). The first is straight.
    """
    widths = torch.diff(times, dim=1)
    rise = torch.diff(samples, dim=1)
    safe = widths.clamp(min=SAME_TIME_S)
    before = torch.cat([rise[:, :1], rise[:, :-1]], 1)
    ratio = safe / torch.cat([safe[:, :1], safe[:, :-1]], 1)
    # Bounded, so that two samples a moment apart do not throw the next piece far out.
    slope = before * ratio.clamp(max=3.0).unsqueeze(-1)
    return _cubic(samples[:, :-1], samples[:, 1:], slope, rise, widths)


def natural(samples: torch.Tensor, times: torch.Tensor) -> Segments:
    """Return the natural cubic spline: smooth, and not causal. Times must rise."""
    widths = torch.diff(times, dim=1)
    rise = torch.diff(samples, dim=1)
    count = samples.shape[1]
    # Curvatures M: w_(i-1) M_(i-1) + 2 (w_(i-1) + w_i) M_i + w_i M_(i+1) = 6 (s_i - s_(i-1)).
    matrix = torch.eye(count, dtype=samples.dtype).repeat(len(samples), 1, 1)
    right = torch.zeros_like(samples)
    inner = torch.arange(1, count - 1)
    matrix[:, inner, inner - 1] = widths[:, :-1]
    matrix[:, inner, inner] = 2.0 * (widths[:, :-1] + widths[:, 1:])
    matrix[:, inner, inner + 1] = widths[:, 1:]
    right[:, 1:-1] = 6.0 * torch.diff(rise / widths.unsqueeze(-1), dim=1)
    curvature = torch.linalg.solve(matrix, right)
    left, next_one = curvature[:, :-1], curvature[:, 1:]
    squared = widths.square().unsqueeze(-1)
    b = rise - squared * (2.0 * left + next_one) / 6.0
    return Segments(
        samples[:, :-1], b, 0.5 * squared * left, squared * (next_one - left) / 6.0, widths
    )


def _check(name: str, entry: object) -> None:
    """Refuse what is no maker of paths.

    Raises:
        TypeError: it is something else.
    """
    if not callable(entry):
        raise TypeError(f"{name} makes no path")


PATHS: Registry[PathMaker] = Registry("path through samples", "asterias.sample_paths", _check)
for _name, _maker in (
    ("hermite", hermite),
    ("linear", linear),
    ("hold", hold),
    ("natural", natural),
):
    PATHS.register(_name, _maker)

# Of these the whole series must be known.
NOT_CAUSAL = frozenset({"natural"})
