"""Limbs of many worlds, moved by one compiled loop on several threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sim.physics import integrator
from sim.physics.limb_body import LimbBody
from sim.physics.model import IntArray, LinkFrames, ServoDynamics, SoftModel, State, TreeModel
from sim.physics.numba_options import compiled
from sim.vectorised.stacking import assign_row, row_of, stacked
from sim.vectorised.threads import RowNumbers, Threads


@compiled
def _tree_of(tree: TreeModel, i: int) -> TreeModel:
    return TreeModel(
        tree.kind[i],
        tree.reference[i],
        tree.parent[i],
        tree.pivot_m[i],
        tree.axis[i],
        tree.mass_kg[i],
        tree.center_m[i],
        tree.inertia_kg_m2[i],
        tree.gravity_m_s2[i],
    )


@compiled
def _soft_of(soft: SoftModel, i: int) -> SoftModel:
    return SoftModel(
        soft.armature[i],
        soft.stiffness[i],
        soft.rest[i],
        soft.structural[i],
        soft.viscous[i],
        soft.friction[i],
        soft.lower[i],
        soft.upper[i],
        soft.stop_stiffness[i],
        soft.stop_damping[i],
        soft.arms_m[i],
        soft.tendon[i],
    )


@compiled
def _servo_of(servo: ServoDynamics, i: int) -> ServoDynamics:
    return ServoDynamics(
        servo.joint[i],
        servo.stiffness[i],
        servo.damping[i],
        servo.torque_limit[i],
        servo.speed_limit[i],
        servo.lag_s[i],
    )


@compiled
def _moving_of(state: State, frames: LinkFrames, i: int) -> tuple[State, LinkFrames]:
    moving = State(
        state.q[i],
        state.v[i],
        state.goal[i],
        state.ramp[i],
        state.reference[i],
        state.torque[i],
        state.external[i],
    )
    where = LinkFrames(frames.rotation[i], frames.shift_m[i], frames.pivot_m[i], frames.axis[i])
    return moving, where


@compiled
def advance_rows(
    tree: TreeModel,
    soft: SoftModel,
    servo: ServoDynamics,
    state: State,
    frames: LinkFrames,
    dt: float,
    strides: IntArray,
    rows: IntArray,
    steps: IntArray,
) -> None:
    """Integrate ``steps`` ``(r,)`` of each of the bodies ``rows`` ``(r,)``, independently.

    All arrays have an axis for the bodies in front; each body is moved by
    :func:`sim.physics.integrator.advance`, whose numbers are the same bit for bit.
    """
    for k in range(rows.size):
        i = rows[k]
        moving, where = _moving_of(state, frames, i)
        parts = _tree_of(tree, i), _soft_of(soft, i), _servo_of(servo, i)
        integrator.advance(*parts, moving, where, dt, steps[k], strides[i], None)


class BodyBatch:
    """Bodies with as many hinges, tendons and servos each; their state moves into shared arrays.

    Each body goes on working by itself as before.

    Args:
        bodies: of one size and step.
    """

    def __init__(self, bodies: Sequence[LimbBody]) -> None:
        self.bodies = list(bodies)
        self._tree = stacked([body.tree for body in bodies])
        self._state = stacked([body.state for body in bodies])
        self._frames = stacked([body.frames for body in bodies])
        self._soft = stacked([body.soft for body in bodies])
        self._servo = stacked([body.described_servos for body in bodies])
        # What each row of soft parts and servos holds: bodies change them by replacing them.
        self._copied: list[tuple[SoftModel, ServoDynamics | None]] = []
        for i, body in enumerate(bodies):
            body.state, body.frames = row_of(self._state, i), row_of(self._frames, i)
            self._copied.append((body.soft, body.described_servos))

    def advance(self, numbers: RowNumbers, steps: RowNumbers, threads: Threads) -> None:
        """Integrate ``steps`` ``(r,)`` steps of the bodies ``numbers`` ``(r,)``."""
        alone = [self._refresh(int(i)) for i in numbers]
        strides = np.array([body.creep_stride for body in self.bodies])
        together = ~np.array(alone, dtype=bool)
        rows, counts = numbers[together], steps[together]

        def work(share: RowNumbers) -> None:
            advance_rows(
                self._tree,
                self._soft,
                self._servo,
                self._state,
                self._frames,
                self.bodies[0].dt_s,
                strides,
                rows[share],
                counts[share],
            )

        if rows.size:
            threads.run(work, rows.size)
        for i, count in zip(numbers[~together], steps[~together], strict=True):
            self.bodies[i].advance(int(count))

    def _refresh(self, number: int) -> bool:
        """Copy what was replaced.

        Returns:
            Whether the body, without power, has to move alone.
        """
        body, (soft, servo) = self.bodies[number], self._copied[number]
        if body.servo.joint.size != self._servo.joint.shape[1]:
            return True
        if body.soft is not soft or body.servo is not servo:
            assign_row(self._soft, number, body.soft)
            assign_row(self._servo, number, body.servo)
            self._copied[number] = body.soft, body.servo
        return False


def size_of(body: LimbBody) -> tuple[Any, ...]:
    """Return what bodies of one batch have in common."""
    parts = (*body.tree, *body.soft, *body.described_servos)
    return body.dt_s, *(part.shape for part in parts)
