"""Inverse kinematics by damped least squares within joint limits, for any differentiable limb."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray

# Below this smallest singular value (m/rad) the damping sets in; a limb of 0.3 m has some 0.1.
NEAR_SINGULAR_M = 0.02
MOST_DAMPING_M = 0.04
# Pull towards the middle of the range in the joints' own null space, per step.
CENTRING = 0.05


class Kinematics(Protocol):
    """Forward kinematics of the tip of a limb.

    Implementations: :class:`sim.physics.kinematics.SoftLimb`, which models how flexible links sag.
    """

    def tip(self, servo_rad: npt.ArrayLike) -> FloatArray:
        """Return the tip ``(3,)`` in m, in the limb's common frame (x along the limb, z up)."""

    def jacobian(self, servo_rad: npt.ArrayLike) -> FloatArray:
        """Return the Jacobian ``(3, n)`` of the tip in m/rad."""


def damping(jacobian: FloatArray) -> float:
    """Return the damping factor lambda in m for a ``(3, n)`` Jacobian.

    Zero far from singular poses, so that the tip goes exactly where it is sent, and rising smoothly
    as the smallest singular value falls (Maciejewski and Klein, J. Robotic Systems 5, 1988).
    """
    smallest = float(np.linalg.svd(jacobian, compute_uv=False)[-1])
    if smallest >= NEAR_SINGULAR_M:
        return 0.0
    return MOST_DAMPING_M * float(np.sqrt(1.0 - (smallest / NEAR_SINGULAR_M) ** 2))


def damped_step(
    jacobian: FloatArray,
    displacement_m: FloatArray,
    position_rad: FloatArray,
    lower_rad: FloatArray,
    upper_rad: FloatArray,
    most_rad: npt.ArrayLike = np.inf,
) -> FloatArray:
    """Return the ``(n,)`` joint step that moves the tip by ``displacement_m`` ``(3,)``.

    ``dq = J^T (J J^T + lambda^2 I)^-1 dx`` (Wampler, IEEE SMC 16, 1986; Nakamura and Hanafusa, J.
    Dyn. Sys. 108, 1986), plus a pull to the middle of the range where that does not move the tip. A
    joint that would pass a limit, or ``most_rad`` per step, stays at it, and the others take over
    the rest of the displacement (the active set of Baerlocher and Boulic, 2004, for one task).
    """
    low = np.maximum(lower_rad - position_rad, -np.asarray(most_rad))
    high = np.minimum(upper_rad - position_rad, np.asarray(most_rad))
    low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
    centre = CENTRING * (0.5 * (lower_rad + upper_rad) - position_rad)
    step = _within(jacobian, displacement_m, low, high, centre)
    if np.linalg.norm(jacobian @ step - displacement_m) > np.linalg.norm(displacement_m):
        # Damped, the pull to the middle does move the tip: near a limit, by more than the rest.
        step = _within(jacobian, displacement_m, low, high, np.zeros_like(centre))
    return step


def _within(
    jacobian: FloatArray,
    displacement_m: FloatArray,
    low: FloatArray,
    high: FloatArray,
    pull_rad: FloatArray,
) -> FloatArray:
    """Return the damped step ``(n,)`` between ``low`` and ``high``, with a pull."""
    step = np.zeros(low.size)
    free = np.ones(low.size, dtype=bool)
    while free.any():
        rest = displacement_m - jacobian[:, ~free] @ step[~free]
        step[free] = _least_squares(jacobian[:, free], rest, pull_rad[free])
        beyond = free & ((step < low - 1e-12) | (step > high + 1e-12))
        if not beyond.any():
            break
        # One at a time, the worst first: fixing one may bring the others back.
        excess = np.where(beyond, np.maximum(low - step, step - high), -np.inf)
        worst = int(np.argmax(excess))
        step[worst] = np.clip(step[worst], low[worst], high[worst])
        free[worst] = False
    return np.clip(step, low, high)


def _least_squares(
    jacobian: FloatArray, displacement_m: FloatArray, pull_rad: FloatArray
) -> FloatArray:
    """Return the damped step ``(n,)``, plus the part of ``pull_rad`` that does not move the tip."""
    factor = damping(jacobian) if jacobian.shape[1] >= 3 else MOST_DAMPING_M
    square = jacobian @ jacobian.T + factor**2 * np.eye(3)
    if factor == 0.0:
        inverse = np.linalg.solve(square, jacobian).T
    else:
        inverse = jacobian.T @ np.linalg.inv(square)
    step: FloatArray = inverse @ displacement_m + pull_rad - inverse @ (jacobian @ pull_rad)
    return step


def solve(
    kinematics: Kinematics,
    target_m: npt.ArrayLike,
    start_rad: npt.ArrayLike,
    lower_rad: FloatArray,
    upper_rad: FloatArray,
    *,
    tolerance_m: float = 1e-4,
    iterations: int = 100,
    most_m: float = 0.02,
) -> tuple[FloatArray, float]:
    """Find joint positions ``(n,)`` whose tip is nearest to ``target_m`` ``(3,)``, from a start.

    Returns:
        The positions, inside the limits, and the distance in m that is left: above
        ``tolerance_m`` when the target is out of reach from here.
    """
    target = np.asarray(target_m, dtype=np.float64)
    position = np.clip(np.asarray(start_rad, dtype=np.float64), lower_rad, upper_rad)
    best, left = position, np.inf
    for _ in range(iterations):
        displacement = target - kinematics.tip(position)
        distance = float(np.linalg.norm(displacement))
        if distance < left:
            best, left = position, distance
        if distance <= tolerance_m:
            break
        displacement *= min(1.0, most_m / distance)
        step = damped_step(
            kinematics.jacobian(position), displacement, position, lower_rad, upper_rad
        )
        position = position + step
    return best, left
