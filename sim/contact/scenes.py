"""Scenes whose outcome is known: sliding, resting, bouncing, stacked, dropped.

A scene is run by any engine to a track of positions, and judged by the track alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from asterias.arrays import FloatArray
from sim.contact.body import ContactBody
from sim.contact.shapes import FreeBody, Ground, Plane, Surface, Vector, ball, block

GRAVITY_M_S2 = 9.81
SAMPLE_HZ = 100.0
_EDGES_M = (0.2, 0.2, 0.1)
_RADIUS_M = 0.1
_DROP_M = 1.0
_FRICTION = 0.4


@dataclass(frozen=True)
class Solid:
    """A ball (``size_m`` holds its radius) or a block (its edges) of a kilogram."""

    shape: Literal["ball", "block"]
    size_m: tuple[float, ...]
    position_m: Vector
    rpy: Vector = (0.0, 0.0, 0.0)

    def free_body(self) -> FreeBody:
        """Return it as a body of this engine."""
        if self.shape == "ball":
            return ball(1.0, self.size_m[0], self.position_m)
        x, y, z = self.size_m
        return block(1.0, (x, y, z), self.position_m, self.rpy)


@dataclass(frozen=True)
class ContactScene:
    """Solids on a plane that slopes down along x."""

    solids: tuple[Solid, ...]
    duration_s: float
    slope_rad: float = 0.0
    surface: Surface = field(default_factory=Surface)

    @property
    def normal(self) -> Vector:
        """The plane's unit normal."""
        return (math.sin(self.slope_rad), 0.0, math.cos(self.slope_rad))


class SceneRunner(Protocol):
    """Runs a scene in some engine."""

    def __call__(self, scene: ContactScene) -> FloatArray:
        """Return positions ``(T, n, 3)`` at :data:`SAMPLE_HZ`, the start included."""


def _on_slope(angle_deg: float, duration_s: float) -> ContactScene:
    angle = math.radians(angle_deg)
    half = 0.5 * _EDGES_M[2]
    place = (half * math.sin(angle), 0.0, half * math.cos(angle))
    solid = Solid("block", _EDGES_M, place, (0.0, angle, 0.0))
    return ContactScene((solid,), duration_s, angle, Surface(friction=_FRICTION))


SCENES: Mapping[str, ContactScene] = {
    "slide": _on_slope(30.0, 1.0),
    # The friction angle of 0.4 is 21.8 degrees.
    "rest": _on_slope(20.0, 10.0),
    "bounce": ContactScene(
        (Solid("ball", (_RADIUS_M,), (0.0, 0.0, _RADIUS_M + _DROP_M)),),
        2.5,
        surface=Surface(restitution=0.8),
    ),
    "stack": ContactScene(
        tuple(Solid("ball", (_RADIUS_M,), (0.0, 0.0, (2 * k + 1) * _RADIUS_M)) for k in range(5)),
        2.0,
    ),
}


def run_scene(scene: ContactScene, *, physics_hz: float = 500.0) -> FloatArray:
    """Return the track of a scene in this engine; see :class:`SceneRunner`."""
    ground = Ground(planes=(Plane(scene.normal),), surface=scene.surface)
    bodies = [solid.free_body() for solid in scene.solids]
    world = ContactBody(bodies, ground=ground, physics_hz=physics_hz, gravity_m_s2=GRAVITY_M_S2)
    steps = round(physics_hz / SAMPLE_HZ)
    track = [_places(world)]
    for _ in range(round(scene.duration_s * SAMPLE_HZ)):
        world.advance(steps)
        track.append(_places(world))
    return np.array(track)


def _places(world: ContactBody) -> list[FloatArray]:
    return [world.position_m(k) for k in range(len(world.bodies))]


def sliding_error(track: FloatArray) -> float:
    """Return the relative error of the acceleration ``g (sin a - mu cos a)`` of ``slide``."""
    scene = SCENES["slide"]
    way = np.linalg.norm(track[:, 0] - track[0, 0], axis=1)
    # From the second difference, so that how the engine begins does not matter.
    third = (len(way) - 1) // 2
    begin = len(way) - 1 - 2 * third
    measured = (way[-1] - 2 * way[begin + third] + way[begin]) / (third / SAMPLE_HZ) ** 2
    angle = scene.slope_rad
    wanted = GRAVITY_M_S2 * (math.sin(angle) - _FRICTION * math.cos(angle))
    return float(abs(measured / wanted - 1.0))


def creep_m(track: FloatArray) -> float:
    """Return how far the block of ``rest`` is from where it was after half a second."""
    return float(np.linalg.norm(track[-1, 0] - track[round(0.5 * SAMPLE_HZ), 0]))


def bounce_error(track: FloatArray) -> float:
    """Return the largest relative error of the first three heights ``e^2`` times the one before."""
    height = track[:, 0, 2] - _RADIUS_M
    rising = np.flatnonzero((height[1:-1] > height[:-2]) & (height[1:-1] >= height[2:])) + 1
    restitution = SCENES["bounce"].surface.restitution
    wanted = [_DROP_M * restitution ** (2 * k) for k in (1, 2, 3)]
    if rising.size < len(wanted):
        return 1.0
    # A parabola through three samples: the top lies between them.
    tops = []
    for k in rising[: len(wanted)]:
        left, mid, right = height[k - 1 : k + 2]
        tops.append(mid + (right - left) ** 2 / (8 * (2 * mid - left - right)))
    return float(np.abs(np.array(tops) / wanted - 1.0).max())


def stack_error_m(track: FloatArray) -> float:
    """Return how far any ball of ``stack`` is from where it was put."""
    return float(np.linalg.norm(track[-1] - track[0], axis=1).max())


JUDGES = {
    "slide": sliding_error,
    "rest": creep_m,
    "bounce": bounce_error,
    "stack": stack_error_m,
}
