"""Free bodies, what they are made of, and the ground they stand on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from hardware.description.limb import Link
from sim.physics.limb_body import box_inertia

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Sphere:
    """A sphere on a body: centre in the body's frame and radius (0: a point), m."""

    center_m: Vector
    radius_m: float


@dataclass(frozen=True)
class FreeBody:
    """A rigid body that nothing holds.

    Attributes:
        inertia_kg_m2: ``(3, 3)`` about the centre of mass; center_m: that centre. Both, like the
            spheres, are given in the body's frame.
        position_m, rpy, velocity_m_s: where the frame starts in the world, and how it moves.
    """

    mass_kg: float
    inertia_kg_m2: FloatArray
    spheres: tuple[Sphere, ...]
    position_m: Vector = (0.0, 0.0, 0.0)
    rpy: Vector = (0.0, 0.0, 0.0)
    velocity_m_s: Vector = (0.0, 0.0, 0.0)
    center_m: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Plane:
    """Ground: bodies stay on the side that the normal points to, from ``offset_m`` along it."""

    normal: Vector = (0.0, 0.0, 1.0)
    offset_m: float = 0.0


@dataclass(frozen=True)
class Obstacle:
    """A box that stands."""

    center_m: Vector
    size_m: Vector
    rpy: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Surface:
    """The law of all contacts of a scene.

    The stiffness is that of hard plastic on a floor: a kilogram presses 10 micrometres deep. The
    damping brings what was pressed in to rest in a step or two.
    """

    friction: float = 0.5
    restitution: float = 0.0
    stiffness_n_m: float = 1e6
    damping_ns_m: float = 2e3

    def __post_init__(self) -> None:
        """Refuse what is no surface.

        Raises:
            UserError: a value lies outside its range.
        """
        if not 0.0 <= self.friction < np.inf:
            raise UserError(f"A surface's friction takes 0 or more, not {self.friction:g}.")
        if not 0.0 <= self.restitution <= 1.0:
            raise UserError(f"A surface's restitution takes 0 to 1, not {self.restitution:g}.")
        if not 0.0 < self.stiffness_n_m < np.inf:
            raise UserError(
                f"A surface's stiffness takes more than 0 N/m, not {self.stiffness_n_m:g}."
            )
        if not 0.0 <= self.damping_ns_m < np.inf:
            raise UserError(
                f"A surface's damping takes 0 N s/m or more, not {self.damping_ns_m:g}."
            )


@dataclass(frozen=True)
class Ground:
    """What stands, and the surface of everything."""

    planes: tuple[Plane, ...] = (Plane(),)
    boxes: tuple[Obstacle, ...] = ()
    surface: Surface = field(default_factory=Surface)


def ball(
    mass_kg: float, radius_m: float, position_m: Vector, velocity_m_s: Vector = (0.0, 0.0, 0.0)
) -> FreeBody:
    """Return a solid ball."""
    inertia = 0.4 * mass_kg * radius_m**2 * np.eye(3)
    spheres = (Sphere((0.0, 0.0, 0.0), radius_m),)
    return FreeBody(mass_kg, inertia, spheres, position_m, velocity_m_s=velocity_m_s)


def block(
    mass_kg: float, size_m: Vector, position_m: Vector, rpy: Vector = (0.0, 0.0, 0.0)
) -> FreeBody:
    """Return a solid box; it touches with its eight corners."""
    corners = 0.5 * np.array(size_m) * (2.0 * np.array(list(np.ndindex(2, 2, 2))) - 1.0)
    spheres = tuple(Sphere((x, y, z), 0.0) for x, y, z in corners.tolist())
    return FreeBody(mass_kg, box_inertia(mass_kg, size_m), spheres, position_m, rpy)


def link_spheres(link: Link) -> tuple[Sphere, ...]:
    """Return one or two spheres for a link: as thick as its middle edge, along its longest."""
    size = np.array(link.size_m)
    radius = 0.5 * float(np.sort(size)[1])
    apart = np.zeros(3)
    apart[int(np.argmax(size))] = 0.5 * float(size.max()) - radius
    center = np.array(link.center_m)
    ends = [center - apart, center + apart] if apart.any() else [center]
    return tuple(Sphere((x, y, z), radius) for x, y, z in (end.tolist() for end in ends))


def join(bodies: Sequence[FreeBody]) -> FreeBody:
    """Return one rigid body of several given in the same frame; it starts in that frame."""
    masses = np.array([body.mass_kg for body in bodies])
    centers = np.array([body.center_m for body in bodies])
    center = masses @ centers / masses.sum()
    inertia = np.zeros((3, 3))
    for body, arm in zip(bodies, centers - center, strict=True):
        steiner = arm @ arm * np.eye(3) - np.outer(arm, arm)
        inertia += body.inertia_kg_m2 + body.mass_kg * steiner
    x, y, z = center.tolist()
    spheres = tuple(sphere for body in bodies for sphere in body.spheres)
    return FreeBody(float(masses.sum()), inertia, spheres, center_m=(x, y, z))
