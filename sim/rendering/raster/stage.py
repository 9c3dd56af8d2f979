"""All that the compiled loops draw from, and the loop over many robots in many rooms.

A stage is one robot in its room as it stands now. Those of many worlds lie behind each other in the
same arrays, with one more axis in front, so that one call poses and draws them all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.rendering.raster.background import Packed, Single
from sim.rendering.raster.compiling import compiled
from sim.rendering.raster.posing import (
    Double,
    bound_parts,
    cast_shadow,
    light_vertices,
    place_bones,
)
from sim.rendering.raster.triangles import Index, draw

# Vertices of the target's sheet: first in the geometry, its bone 0; they have a texture, no light.
SHEET = 4


class Shapes(NamedTuple):
    """Surfaces and bones of a robot; they do not change.

    Attributes:
        points, normals, albedo, bone, triangles, parts: as
            :class:`sim.rendering.raster.geometry.Geometry` has them.
        texture: ``(t, t)`` grey levels of the tag.
        parents, pivots, axes: ``(h,)`` and ``(h, 3)`` of all limbs' hinges, limb by limb.
        hinges, shares: ``(b,)`` of all limbs' bones.
        first_hinge, first_bone: ``(l + 1,)`` where each limb's begin, and the end; the latter
            counts the bones before the limbs' as well.
        blur: half the width of the shadow's soft edge, in cells.
    """

    points: Single
    normals: Single
    albedo: Single
    bone: Index
    triangles: Index
    parts: Index
    texture: Single
    parents: Index
    pivots: Double
    axes: Double
    hinges: Index
    shares: Double
    first_hinge: npt.NDArray[np.int64]
    first_bone: npt.NDArray[np.int64]
    blur: int


class Stage(NamedTuple):
    """A robot in its room as it stands, or ``w`` of them with an axis ``(w, ...)`` in front.

    Attributes:
        bases: ``(l, 4, 3)`` rotation and position in the world of each limb's common frame.
        angles: ``(h,)`` of all hinges, rad.
        frames: ``(h + l, 4, 3)`` buffer of the links' frames, each limb's root first.
        placed: ``(b, 4, 3)`` bones in the world.
        vertices, colors: ``(n, 3)`` in the world, and lit.
        spheres: ``(p, 4)`` round each part.
        shade, other: ``(s, s)`` shadow on the floor, and a buffer; place: ``(7,)`` where it lies.
        light: ``(7,)`` as :func:`sim.rendering.raster.posing.light_vertices` takes it, and what a
            shadow takes of the floor's light.
        tint: ``(3,)`` light on the tag; room: ``(18,)`` floor and sky.
    """

    bases: Double
    angles: Double
    frames: Double
    placed: Single
    vertices: Single
    colors: Single
    spheres: Single
    shade: Single
    other: Single
    place: Single
    light: Single
    tint: Single
    room: Single


@compiled
def pose(shapes: Shapes, stage: Stage) -> None:
    """Bring bones, vertices, colours, spheres and the shadow up to date."""
    for k in range(shapes.first_hinge.size - 1):
        begin, end = shapes.first_hinge[k], shapes.first_hinge[k + 1]
        first, last = shapes.first_bone[k], shapes.first_bone[k + 1]
        before = shapes.first_bone[0]
        place_bones(
            stage.angles[begin:end],
            stage.bases[k],
            shapes.parents[begin:end],
            shapes.pivots[begin:end],
            shapes.axes[begin:end],
            shapes.hinges[first - before : last - before],
            shapes.shares[first - before : last - before],
            stage.frames[begin + k : end + k + 1],
            stage.placed[first:last],
        )
    light_vertices(
        shapes.points,
        shapes.normals,
        shapes.albedo,
        shapes.bone,
        stage.placed,
        stage.light,
        SHEET,
        stage.vertices,
        stage.colors,
    )
    bound_parts(shapes.parts, stage.vertices, stage.spheres)
    cast_shadow(
        stage.vertices,
        shapes.triangles,
        shapes.parts[0, 3],
        stage.light,
        stage.light[6],
        shapes.blur,
        stage.shade,
        stage.other,
        stage.place,
    )


@compiled
def _stage_of(stages: Stage, world: int) -> Stage:
    """Return the stage of one world."""
    return Stage(
        stages.bases[world],
        stages.angles[world],
        stages.frames[world],
        stages.placed[world],
        stages.vertices[world],
        stages.colors[world],
        stages.spheres[world],
        stages.shade[world],
        stages.other[world],
        stages.place[world],
        stages.light[world],
        stages.tint[world],
        stages.room[world],
    )


@compiled
def draw_stages(
    shapes: Shapes,
    stages: Stage,
    worlds: npt.NDArray[np.int64],
    moved: npt.NDArray[np.bool_],
    first: npt.NDArray[np.int64],
    eyes: Single,
    optics: Single,
    pictures: Packed,
) -> None:
    """Pose the robots of some worlds, and draw what cameras of one kind see of them.

    Args:
        shapes: of all.
        stages: of all worlds.
        worlds: ``(k,)`` those to draw.
        moved: ``(k,)`` whether each has to be posed before.
        first: ``(k + 1,)`` where each world's cameras begin, and the end.
        eyes: ``(c, 4, 3)`` rotation and position of the cameras in their world.
        optics: ``(3,)`` focal length in px, near and far plane in m.
        pictures: ``(c, H, W)``, written to.
    """
    for k in range(worlds.size):
        stage = _stage_of(stages, worlds[k])
        if moved[k]:
            pose(shapes, stage)
        draw(
            eyes[first[k] : first[k + 1]],
            optics,
            stage.vertices,
            stage.colors,
            shapes.triangles,
            shapes.parts,
            stage.spheres,
            shapes.texture,
            stage.tint,
            stage.room,
            stage.shade,
            stage.place,
            pictures[first[k] : first[k + 1]],
        )
