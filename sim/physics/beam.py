"""A clamped row of flexible links: the textbook beam that the soft limb is checked against."""

from __future__ import annotations

import math

from hardware.description.limb import Body, Flexure, Hinge, Limb, Link, Material, Pose, Section


def beam_limb(
    count: int, length_m: float, section: Section, material: Material, *, vertical: bool = False
) -> Limb:
    """Return ``count`` flexible links along x that bend about y, cut at mid-segment, root clamped.

    The first and last rigid piece have half a segment's length, so the hinges sit at
    ``(i - 1/2) length / count``: the tip then bends as a Euler-Bernoulli cantilever up to a
    relative error of ``1 / (4 count^2)``. The material is called ``beam``.
    ``vertical`` turns the beam to hang down.
    """
    step = length_m / count
    area = section.second_moment_m4 * 12.0 / (section.thickness_m or 1.0) ** 2
    line_density = material.density_kg_m3 * area
    links, hinges = [_piece(0, 0.0, 0.5 * step, line_density, section)], []
    for i in range(1, count + 1):
        start = (i - 0.5) * step
        end = min(start + step, length_m)
        links.append(_piece(i, start, end, line_density, section))
        hinges.append(
            Hinge(
                name=f"hinge_{i}",
                parent=f"piece_{i - 1}",
                child=f"piece_{i}",
                pivot_m=(start, 0.0, 0.0),
                axis=(0.0, 1.0, 0.0),
                limits_rad=(-math.pi, math.pi),
                flexure=Flexure(material="beam", section=section, length_m=step),
            )
        )
    return Limb.model_construct(
        name="beam",
        base=Pose(rpy=(0.0, math.pi / 2 if vertical else 0.0, 0.0)),
        joints=(),
        body=Body(links=tuple(links), hinges=tuple(hinges)),
        cameras=(),
    )


def _piece(i: int, start: float, end: float, line_density: float, section: Section) -> Link:
    width, thickness = section.width_m or 0.0, section.thickness_m or 0.0
    return Link(
        name=f"piece_{i}",
        mass_kg=line_density * (end - start),
        center_m=(0.5 * (start + end), 0.0, 0.0),
        size_m=(end - start, width, thickness),
    )
