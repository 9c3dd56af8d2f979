"""The shape of a limb: soft links in one skin, cords on it, housings of hard parts and cameras.

A chain of links that flexible hinges join is drawn as one tapered tube. Its sections follow the
links' sizes, narrow at the hinges, and each is a bone of its own that turns by a share of the
hinge's angle (:mod:`sim.rendering.raster.posing`). Nothing here is measured: a description has
boxes and hinges, and this is how a limb of that size would look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from asterias.arrays import FloatArray
from hardware.description.limb import CameraDescription, Hinge, Limb, Link
from hardware.description.urdf import CAMERA_SIZE_M
from sim.physics.rotations import rotation_from_rpy
from sim.rendering.raster.meshes import Mesh, ball, joined, rod, rounded_box, tube

CORD_COLOR = (0.72, 0.10, 0.12)
HOUSING_COLOR = (0.16, 0.17, 0.20)
LENS_COLOR = (0.03, 0.04, 0.06)
RIM_COLOR = (0.62, 0.65, 0.70)
# Share of its width that the skin loses at a flexible hinge, and of light that the fold keeps.
_WAIST, _FOLD = 0.20, 0.34
# Share of its width that a skin has lost at the tip.
_TAPER = 0.24
# A link so much wider than the skin is a collar round it.
_COLLAR = 1.45
_CORD_RADIUS_M = 0.0011
# How far out of the skin cords lie, and rods, which run below it, in radii; and how much lighter
# than round it the skin is that a rod stretches. Bare rods looked like scratches in the picture.
_CORD_OUT, _ROD_OUT, _ROD_LIFT = 0.5, -0.55, 0.16
_SECTION_POWER = 2.5


@dataclass(frozen=True)
class Detail:
    """How finely surfaces are divided.

    Attributes:
        sides: vertices round a skin.
        bends: sections of a skin to each side of a hinge.
        rings: sections from there to the next hinge's.
        cells: of a rounded box's sides, along an edge.
        rods: whether rods along a limb are drawn: 1.5 mm are less than a pixel of a small picture.
    """

    sides: int
    bends: int
    rings: int
    cells: int
    rods: bool


# What a camera of 96 pixels can tell apart, and what a picture for people shows.
CAMERA = Detail(sides=8, bends=1, rings=1, cells=2, rods=False)
PEOPLE = Detail(sides=36, bends=8, rings=8, cells=12, rods=True)


@dataclass
class Piece:
    """A surface of a limb in its common frame, straight pose.

    Attributes:
        name: of the link, or what it is.
        mesh: the surface.
        hinges: per ring of the mesh the hinge that moves it, -1: the root.
        shares: per ring the share of the hinge's angle that it turns by.
    """

    name: str
    mesh: Mesh
    hinges: tuple[int, ...]
    shares: tuple[float, ...]


@dataclass
class Profile:
    """Sections of a skin.

    Attributes:
        x: ``(s,)`` stations in m, ascending.
        centers: ``(s, 3)``.
        half_y, half_z: ``(s,)`` half width and height.
        shade: ``(s,)`` share of light that folds leave.
        colors: ``(s, 3)``.
        hinges: ``(s,)`` and shares ``(s,)``: the bone of each.
    """

    x: FloatArray
    centers: FloatArray
    half_y: FloatArray
    half_z: FloatArray
    shade: FloatArray
    colors: FloatArray
    hinges: list[int]
    shares: FloatArray


def limb_pieces(limb: Limb, detail: Detail) -> list[Piece]:
    """Return all surfaces of a limb."""
    mover = {hinge.child: i for i, hinge in enumerate(limb.body.hinges)}
    pieces: list[Piece] = []
    skinned: set[str] = set()
    for chain in soft_chains(limb):
        profile = chain_profile(limb, chain, detail)
        skinned |= {link.name for link in chain}
        pieces += _skin(profile, chain, detail)
        pieces += _collars(profile, chain, mover, detail)
        pieces += _cords(limb, profile, chain, detail)
    for link in limb.body.links:
        if link.name not in skinned:
            pieces.append(_piece(link.name, _hard(link, detail), mover.get(link.name, -1)))
    for number, hinge in enumerate(limb.body.hinges):
        # The bearing of a limb's soft part lies inside its skin.
        if hinge.flexure is None and hinge.child not in skinned:
            pieces.append(_barrel(limb, hinge, number, detail))
    for camera in limb.live_cameras:
        at = mover.get(camera.link, -1)
        pieces.append(_piece(f"camera {camera.name}", _housing(camera, detail), at))
    return pieces


def soft_chains(limb: Limb) -> list[list[Link]]:
    """Return rows of links joined by flexible hinges, each from root to tip, x ascending."""
    links = {link.name: link for link in limb.body.links}
    after: dict[str, Link] = {}
    for hinge in limb.body.hinges:
        parent, child = links[hinge.parent], links[hinge.child]
        onward = parent.center_m[0] < hinge.pivot_m[0] < child.center_m[0]
        if hinge.flexure is not None and onward and hinge.parent not in after:
            after[hinge.parent] = child
    heads = [name for name in after if name not in {link.name for link in after.values()}]
    chains = []
    for name in heads:
        chain = [links[name]]
        while chain[-1].name in after:
            chain.append(after[chain[-1].name])
        chains.append(chain)
    return chains


# -- skin ---------------------------------------------------------------------------------------


def chain_profile(limb: Limb, chain: Sequence[Link], detail: Detail) -> Profile:
    """Return the sections of a chain's skin."""
    number = {hinge.child: i for i, hinge in enumerate(limb.body.hinges)}
    hinges = [limb.body.hinges[number[link.name]] for link in chain[1:]]
    pivots = np.array([hinge.pivot_m[0] for hinge in hinges])
    begin = chain[0].center_m[0] - 0.5 * chain[0].size_m[0]
    end = chain[-1].center_m[0] + 0.5 * chain[-1].size_m[0]
    if min(chain[-1].size_m[1:]) > min(chain[-2].size_m[1:]):
        # A collar would hide the tip: the skin ends beyond it.
        end += 0.6 * min(chain[-2].size_m[1:])
    reach = _bends(pivots, begin, end, hinges)
    x = _stations(np.r_[begin, pivots, end], reach, detail)
    at = np.array([link.center_m for link in chain])
    half = 0.5 * np.array([link.size_m[1:] for link in chain])
    # Wider links further out are collars; the skin itself only narrows.
    half = np.minimum.accumulate(half, axis=0)
    path = np.column_stack([x, *(_smooth(x, at[:, 0], at[:, k]) for k in (1, 2))])
    sizes = np.column_stack([_smooth(x, at[:, 0], half[:, k]) for k in (0, 1)])
    sizes *= 1.0 - _TAPER * np.clip((x - begin) / (end - begin), 0.0, 1.0)[:, None]
    fold = np.max(
        [np.exp(-(((x - p) / (0.6 * r)) ** 2)) for p, r in zip(pivots, reach, strict=True)], 0
    )
    sizes *= (1.0 - _WAIST * fold)[:, None]
    sizes *= _rounding(x, begin, end, 0.5 * float(half[0].min()), float(sizes[-1].max()))[:, None]
    paint = _skin_colors(chain, half)
    colors = np.column_stack([_smooth(x, at[:, 0], paint[:, k]) for k in range(3)])
    numbers, shares = _bones(x, pivots, reach, [number[link.name] for link in chain[1:]])
    shade = 1.0 - _FOLD * fold
    return Profile(x, path, sizes[:, 0], sizes[:, 1], shade, colors, numbers, shares)


def _skin_colors(chain: Sequence[Link], half: FloatArray) -> FloatArray:
    """Return ``(k, 3)`` colours at the links; under a collar, of the link before."""
    colors = [chain[0].color]
    for link, skin in zip(chain[1:], half[1:], strict=True):
        has_collar = 0.5 * min(link.size_m[1:]) > _COLLAR * skin.min()
        colors.append(colors[-1] if has_collar else link.color)
    return np.array(colors)


def _stations(cuts: FloatArray, reach: FloatArray, detail: Detail) -> FloatArray:
    """Return sections from end to end: close where the skin bends and where it is round."""
    bend = np.linspace(-1.0, 1.0, 2 * detail.bends + 1)
    parts = [p + r * bend for p, r in zip(cuts[1:-1], reach, strict=True)]
    free = np.column_stack(
        [np.r_[cuts[0], cuts[1:-1] + reach], np.r_[cuts[1:-1] - reach, cuts[-1]]]
    )
    parts += [np.linspace(low, high, detail.rings + 1) for low, high in free]
    round_ = (1.0 - np.cos(np.linspace(0.0, 0.5 * np.pi, detail.rings + 2)))[:-1]
    parts.append(cuts[0] + round_ * (free[0, 1] - cuts[0]) * 0.8)
    parts.append(cuts[-1] - round_ * (cuts[-1] - free[-1, 0]) * 0.8)
    x = np.sort(np.concatenate(parts))
    kept: FloatArray = x[np.r_[True, np.diff(x) > 2e-4]]
    return kept


def _smooth(x: FloatArray, at: FloatArray, values: FloatArray) -> FloatArray:
    """Return values between given places, with level tangents at each: no overshoot."""
    k = np.clip(np.searchsorted(at, x) - 1, 0, len(at) - 2)
    share = np.clip((x - at[k]) / (at[k + 1] - at[k]), 0.0, 1.0)
    share = share * share * (3.0 - 2.0 * share)
    between: FloatArray = values[k] + share * (values[k + 1] - values[k])
    return between


def _bends(pivots: FloatArray, begin: float, end: float, hinges: Sequence[Hinge]) -> FloatArray:
    """Return how far to both sides of each pivot the skin bends: half its way to the next."""
    gaps = np.diff(np.r_[begin, pivots, end])
    room = 0.5 * np.minimum(gaps[:-1], gaps[1:])
    length = [0.0 if h.flexure is None else h.flexure.length_m for h in hinges]
    reach: FloatArray = np.minimum(room, np.maximum(0.9 * np.array(length), 0.006))
    return reach


def _rounding(x: FloatArray, begin: float, end: float, root_m: float, tip_m: float) -> FloatArray:
    """Return the share of its width that the skin has left near its two round ends."""
    share = np.ones_like(x)
    for distance, reach in ((x - begin, root_m), (end - x, tip_m)):
        inside = np.clip(1.0 - distance / reach, 0.0, 1.0)
        share *= np.sqrt(np.maximum(1.0 - inside**2, 1e-6))
    return share


def _bones(
    x: FloatArray, pivots: FloatArray, reach: FloatArray, movers: Sequence[int]
) -> tuple[list[int], FloatArray]:
    """Return the hinge that turns each section, and by what share of its angle."""
    hinges, shares = [], np.ones_like(x)
    for i, place in enumerate(x):
        k = int(np.argmin(np.abs(place - pivots)))
        share = np.clip(0.5 + 0.5 * (place - pivots[k]) / reach[k], 0.0, 1.0)
        hinges.append(movers[k])
        # Level at both ends: the skin leaves each link without a kink.
        shares[i] = share * share * (3.0 - 2.0 * share)
    return hinges, shares


def _skin(profile: Profile, chain: Sequence[Link], detail: Detail) -> list[Piece]:
    """Return the skin in pieces, one a hinge, that share the sections where they meet."""
    mesh = tube(profile.centers, profile.half_y, profile.half_z, detail.sides, _SECTION_POWER)
    back = np.clip(mesh.normals[:, 2], -1.0, 1.0)
    # Darker above and paler below, as animals of the sea floor are.
    tone = np.where(back > 0.0, 1.0 - 0.10 * back, 1.0 - 0.22 * back)
    colors = profile.colors[mesh.rings] * (tone * profile.shade[mesh.rings])[:, None]
    mesh.colors = np.clip(colors, 0.0, 1.0)
    edges = [k for k in range(1, len(profile.x)) if profile.hinges[k] != profile.hinges[k - 1]]
    cuts = [0, *edges, len(profile.x) - 1]
    return [
        _cut(f"skin of {link.name}", mesh, profile, first, last, detail.sides)
        for link, first, last in zip(chain[1:], cuts[:-1], cuts[1:], strict=True)
    ]


def _cut(name: str, mesh: Mesh, profile: Profile, first: int, last: int, sides: int) -> Piece:
    """Return sections ``first`` to ``last`` of a tube."""
    keep = slice(first * sides, (last + 1) * sides)
    inside = (mesh.triangles >= keep.start) & (mesh.triangles < keep.stop)
    triangles = mesh.triangles[inside.all(axis=1)] - keep.start
    rings = mesh.rings[keep] - first
    part = Mesh(mesh.points[keep], mesh.normals[keep], triangles, mesh.colors[keep], rings)
    hinges = tuple(profile.hinges[first : last + 1])
    return Piece(name, part, hinges, tuple(profile.shares[first : last + 1].tolist()))


def _collars(
    profile: Profile, chain: Sequence[Link], mover: dict[str, int], detail: Detail
) -> list[Piece]:
    """Return rings round the skin where a link is wider than it: motors and cameras sit there."""
    pieces = []
    for link in chain[1:]:
        half = 0.5 * np.asarray(link.size_m)
        skin = float(np.interp(link.center_m[0], profile.x, profile.half_y))
        if min(half[1], half[2]) < _COLLAR * skin:
            continue
        edge = 0.42 * float(half.min())
        # From inside the skin up its face and round its edge.
        x = np.array([-0.8 * half[0], -half[0], -half[0] + edge * 0.3, -half[0] + edge])
        wide = np.array([0.4, 0.74, 0.93, 1.0])
        if not detail.rods:
            x, wide = x[1:], np.array([0.6, 0.93, 1.0])
        x, wide = np.r_[x, -x[::-1]], np.r_[wide, wide[::-1]]
        centers = np.column_stack([x, 0 * x, 0 * x]) + link.center_m
        mesh = tube(centers, wide * half[1], wide * half[2], detail.sides, 3.0)
        mesh = mesh.painted(link.color)
        pieces.append(_piece(link.name, mesh, mover[link.name]))
    return pieces


def _cords(limb: Limb, profile: Profile, chain: Sequence[Link], detail: Detail) -> list[Piece]:
    """Return the tendons' cords on the skin, two a tendon; or the rods that run along the limb."""
    number = {hinge.name: i for i, hinge in enumerate(limb.body.hinges)}
    pieces = []
    names = {link.name for link in chain}
    for tendon in limb.body.tendons:
        hinges = [limb.body.hinges[number[name]] for name in tendon.hinges]
        if not {hinge.child for hinge in hinges} <= names:
            continue
        across = np.cross(hinges[0].axis, (1.0, 0.0, 0.0))
        first, last = hinges[0].pivot_m[0], hinges[-1].pivot_m[0]
        span = (first - 0.5 * tendon.pulley_radius_m, last + 0.6 * (profile.x[-1] - last))
        for side in (1.0, -1.0):
            direction = side * across / np.linalg.norm(across)
            pieces.append(
                _cord(f"cord of {tendon.name}", profile, direction, span, detail, CORD_COLOR)
            )
    if not pieces and detail.rods:
        # From the first hinge on: where limbs meet they are deep inside.
        begin = next(h for h in limb.body.hinges if h.child == chain[1].name).pivot_m[0]
        span = (begin, chain[-1].center_m[0])
        for y, z in ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)):
            direction = np.array([0.0, y, z]) / np.sqrt(2.0)
            pieces.append(_cord("rod", profile, direction, span, detail))
    return pieces


def _cord(
    name: str,
    profile: Profile,
    direction: FloatArray,
    span: tuple[float, float],
    detail: Detail,
    color: Sequence[float] | None = None,
) -> Piece:
    """Return a cord on one side of the skin, over the stations within a span.

    Without a colour it is a rod below the skin, which it lifts.
    """
    keep = np.flatnonzero((profile.x >= span[0]) & (profile.x <= span[1]))
    y = abs(direction[1]) / np.maximum(profile.half_y[keep], 1e-6)
    z = abs(direction[2]) / np.maximum(profile.half_z[keep], 1e-6)
    reach = (y**_SECTION_POWER + z**_SECTION_POWER) ** (-1.0 / _SECTION_POWER)
    out = _ROD_OUT if color is None else _CORD_OUT
    centers = profile.centers[keep] + (reach + out * _CORD_RADIUS_M)[:, None] * direction
    radius = np.full(len(keep), _CORD_RADIUS_M)
    sides = 8 if detail.rods else 3
    mesh = tube(centers, radius, radius, sides)
    if color is None:
        skin = profile.colors[keep] * profile.shade[keep][:, None]
        mesh.colors = (skin + _ROD_LIFT * (1.0 - skin))[mesh.rings]
    else:
        shade = 0.5 + 0.5 * profile.shade[keep][mesh.rings]
        mesh.colors = mesh.painted(color).colors * shade[:, None]
    hinges = tuple(profile.hinges[k] for k in keep)
    return Piece(name, mesh, hinges, tuple(profile.shares[keep].tolist()))


# -- hard parts ---------------------------------------------------------------------------------


def _piece(name: str, mesh: Mesh, hinge: int) -> Piece:
    mesh.rings = np.zeros(len(mesh.points), np.int64)
    return Piece(name, mesh, (hinge,), (1.0,))


def _hard(link: Link, detail: Detail) -> Mesh:
    """Return a hard link: a rounded box, a capsule or a cylinder."""
    size = link.size_m
    if link.shape == "capsule_x":
        radius = 0.5 * max(size[1:])
        mesh = rod(max(size[0], 2.0 * radius), radius, detail.sides, radius)
    elif link.shape == "cylinder_z":
        radius = 0.5 * max(size[:2])
        upright = rotation_from_rpy((0.0, -0.5 * np.pi, 0.0))
        mesh = rod(size[2], radius, detail.sides, 0.1 * radius).moved(upright, (0.0, 0.0, 0.0))
    else:
        mesh = rounded_box(size, 0.2 * min(size), detail.cells)
    return mesh.painted(link.color).moved(np.eye(3), link.center_m)


def _barrel(limb: Limb, hinge: Hinge, number: int, detail: Detail) -> Piece:
    """Return the bearing of a hinge that is not flexible: a short rod along its axis."""
    child = next(link for link in limb.body.links if link.name == hinge.child)
    radius = 0.30 * min(child.size_m)
    axis = np.asarray(hinge.axis) / np.linalg.norm(hinge.axis)
    rotation = _x_along(axis)
    mesh = rod(2.6 * radius, radius, max(detail.sides, 10), 0.25 * radius).painted(RIM_COLOR)
    return _piece(f"bearing {hinge.name}", mesh.moved(rotation, hinge.pivot_m), number)


def _housing(camera: CameraDescription, detail: Detail) -> Mesh:
    """Return a camera: its housing behind the pose's origin, with a rim and a lens in front."""
    deep, wide, high = CAMERA_SIZE_M
    body = rounded_box((deep, wide, high), 0.25 * wide, max(detail.cells // 2, 1))
    parts = [body.painted(HOUSING_COLOR).moved(np.eye(3), (-0.5 * deep, 0.0, 0.0))]
    if detail.rods:
        rim = rod(0.2 * deep, 0.40 * wide, 20, 0.05 * wide).painted(RIM_COLOR)
        parts.append(rim.moved(np.eye(3), (0.02 * deep, 0.0, 0.0)))
        parts.append(
            ball(0.32 * wide, 16).painted(LENS_COLOR).moved(np.eye(3), (-0.08 * deep, 0, 0))
        )
    return joined(parts).moved(rotation_from_rpy(camera.pose.rpy), camera.pose.xyz)


@lru_cache(maxsize=64)
def _basis(axis: tuple[float, float, float]) -> FloatArray:
    x = np.asarray(axis)
    aside = np.eye(3)[int(np.argmin(np.abs(x)))]
    y = np.cross(aside, x)
    y /= np.linalg.norm(y)
    return np.column_stack([x, y, np.cross(x, y)])


def _x_along(axis: FloatArray) -> FloatArray:
    """Return a rotation that turns the x axis onto a unit vector."""
    return _basis((float(axis[0]), float(axis[1]), float(axis[2])))
