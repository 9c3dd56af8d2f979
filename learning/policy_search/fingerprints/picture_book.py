"""A picture book of the states that matter: the limb in each, and what its cameras see there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from asterias.arrays import FloatArray, ImageArray
from learning.target_finding.env.observation import CommandUnit
from learning.target_finding.env.options import TargetFindingOptions, with_command_range
from sim.rendering.film_view import FilmView
from sim.world import SimWorld

_OUTSIDE_PX = (320, 248)
_TILE_PX, _GAP_PX, _TEXT_PX, _COLUMNS = 72, 8, 46, 4
_PAPER, _INK, _MUTED, _DEAD = (255, 255, 255), (15, 23, 42), (100, 116, 139), (239, 68, 68)
_SETTLE_S = 0.6


@dataclass(frozen=True)
class BookPage:
    """One state.

    Attributes:
        number: of the state, as in the fingerprints.
        state: ``(n + c,)`` commands and camera flags.
        matters_steps: change in predicted steps without it.
        spread: root mean square distance of policies' answers from their mean, of the largest
            increment.
    """

    number: int
    state: FloatArray
    matters_steps: float
    spread: float


def draw_book(pages: Sequence[BookPage], options: TargetFindingOptions) -> ImageArray:
    """Draw states in the simulation, those that matter most first.

    Args:
        pages: one or more.
        options: of the task, for the robot and its commands.

    Returns:
        The picture ``(H, W, 3)``.
    """
    options = with_command_range(options)
    ordered = sorted(pages, key=lambda page: -page.matters_steps)
    columns = min(_COLUMNS, len(ordered))
    width = _OUTSIDE_PX[0] + _GAP_PX
    height = _OUTSIDE_PX[1] + _TILE_PX + _TEXT_PX + 2 * _GAP_PX
    rows = -(-len(ordered) // columns)
    sheet = Image.new("RGB", (columns * width + _GAP_PX, rows * height + _GAP_PX), _PAPER)
    with SimWorld(options.robot) as world, FilmView(world, *_OUTSIDE_PX) as view:
        for place, page in enumerate(ordered):
            row, column = divmod(place, columns)
            picture = _draw_page(world, view, page, options)
            sheet.paste(picture, (_GAP_PX + column * width, _GAP_PX + row * height))
    return np.asarray(sheet, dtype=np.uint8)


def _draw_page(
    world: SimWorld, view: FilmView, page: BookPage, options: TargetFindingOptions
) -> Image.Image:
    limb = options.limb
    joints = world.robot.limbs[limb].joints
    lower, upper = (np.array([joint.limits_rad[i] for joint in joints]) for i in (0, 1))
    unit = CommandUnit.of(lower, upper, options.command_range)
    position = unit.position_rad(page.state[: lower.size])
    world.bodies[limb].reset(position)
    world.bodies[limb].set_goal(position)
    world.advance(_SETTLE_S)
    flags = page.state[lower.size :]
    size = (_OUTSIDE_PX[0], _OUTSIDE_PX[1] + _TILE_PX + _TEXT_PX + _GAP_PX)
    sheet = Image.new("RGB", size, _PAPER)
    sheet.paste(Image.fromarray(view.draw()), (0, 0))
    pen, top = ImageDraw.Draw(sheet), _OUTSIDE_PX[1] + 4
    for camera, description in enumerate(world.robot.limbs[limb].live_cameras):
        left = camera * (_TILE_PX + _GAP_PX)
        seen = Image.fromarray(world.draw(limb, description)).resize((_TILE_PX, _TILE_PX))
        sheet.paste(seen, (left, top))
        if not flags[camera]:
            pen.rectangle((left, top, left + _TILE_PX - 1, top + _TILE_PX - 1), (30, 30, 30))
            pen.line((left + 22, top + 22, left + 50, top + 50), _DEAD, 4)
            pen.line((left + 22, top + 50, left + 50, top + 22), _DEAD, 4)
    dead = [str(camera) for camera, flag in enumerate(flags) if not flag]
    told = f"camera {' and '.join(dead)} dead" if dead else "all cameras alive"
    first = f"state {page.number}: matters {page.matters_steps:.2f} steps"
    font = ImageFont.load_default(15)
    pen.text((0, top + _TILE_PX + 4), first, _INK, font)
    pen.text(
        (0, top + _TILE_PX + 23), f"policies differ by {page.spread:.2f}; {told}", _MUTED, font
    )
    return sheet
