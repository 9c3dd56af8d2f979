"""Films of searches: the limb from outside, beside what its cameras see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from asterias.arrays import FloatArray, ImageArray
from hardware.perception.apriltag import Detection, detect_tags
from learning.target_finding.env.task import TargetFindingTask, draw_dead_cameras, take_picture
from learning.target_finding.policies.registry import Searcher, make_searcher
from sim.rendering.film_view import FilmView
from sim.world import SimWorld

# Edges in pixels: the picture from outside, a camera's tile, the panel of tiles.
OUTSIDE_PX = (620, 480)
_TILE_PX, _GAP_PX, _PANEL_PX = 150, 14, 342
_RADIUS_PX = 10
_PANEL, _INK, _MUTED = (15, 23, 42), (241, 245, 249), (148, 163, 184)
_FOUND, _DEAD = (34, 197, 94), (239, 68, 68)
# How long a find stays in the picture, and the way to the next start takes.
_SHOW_FIND_S, _GO_TO_START_S = 1.3, 0.9


@dataclass(frozen=True)
class FilmOptions:
    """What is filmed.

    Attributes:
        robot: name or path of a description; its first limb searches.
        policy: name or path of a policy, as ``/find_target`` takes it.
        searches: episodes, one after the other.
        faults: cameras that are dead: ``kill0``, ``kill1`` or ``kill12``.
        most_steps: commands after which a search is given up.
        fps: frames per second of simulated time, which is the film's time.
        seed: of start poses, failures and the policy's draws.
    """

    robot: str = "limb_p1"
    policy: str = "ppo_kill1"
    searches: int = 4
    faults: str = "kill1"
    most_steps: int = 12
    fps: int = 12
    seed: int = 5


@dataclass(frozen=True)
class _Moment:
    """What is written beside a picture."""

    search: int
    step: int
    found_by: str = ""


class SearchFilm:
    """Runs searches and draws them frame by frame.

    Args:
        options: what is filmed.
    """

    def __init__(self, options: FilmOptions) -> None:
        self.options = options
        self.rng = np.random.default_rng(options.seed)
        self.world = SimWorld(options.robot, seed=options.seed)
        self.task = TargetFindingTask(self.world)
        self.view = FilmView(self.world, *OUTSIDE_PX)
        self.searcher = self._make_searcher()
        self.dead: list[int] = []

    def _make_searcher(self) -> Searcher:
        return make_searcher(
            self.options.policy,
            self.task.lower,
            self.task.upper,
            self.rng,
            cameras=len(self.task.cameras),
            robot=self.world.robot,
        )

    def close(self) -> None:
        """Close the world; harmless when done before."""
        self.view.close()
        self.world.close()

    def frames(self) -> Iterator[ImageArray]:
        """Yield the film, ``(H, W, 3)`` RGB each.

        Yields:
            One picture per ``1 / fps`` of simulated time.
        """
        for search in range(1, self.options.searches + 1):
            yield from self._go_to_start(search)
            yield from self._search(search)

    # -- acts -----------------------------------------------------------------------------------

    def _go_to_start(self, search: int) -> Iterator[ImageArray]:
        """Find a pose from which nothing is seen; the film shows the way there, not the trials.

        Yields:
            Frames.
        """
        before = self.task.position_rad
        self.dead = draw_dead_cameras(self.rng, len(self.task.cameras), self.options.faults)
        start = self.task.reset(self.rng)
        if search == 1:
            return
        self.world.reset(positions_rad=[before, *self._other_limbs()])
        yield from self._move(start, _GO_TO_START_S, _Moment(search, 0))

    def _other_limbs(self) -> list[list[float]]:
        return [[joint.home_rad for joint in limb.joints] for limb in self.world.robot.limbs[1:]]

    def _search(self, search: int) -> Iterator[ImageArray]:
        self.searcher = self._make_searcher()  # without a memory of the last search
        live = [j for j in range(len(self.task.cameras)) if j not in self.dead]
        for step in range(1, self.options.most_steps + 1):
            tiles = self._grey_tiles(live) if self.searcher.wants_images else None
            goal = self.searcher.act(self.task.position_rad, live, tiles)
            yield from self._move(goal, self.task.options.wait_s, _Moment(search, step))
            seeing = self.task.seeing(live)
            if seeing:
                name = self.task.cameras[seeing[0]].name
                shown = _Moment(search, step, name.replace("_", " "))
                yield from self._move(self.task.position_rad, _SHOW_FIND_S, shown)
                return

    def _move(self, goal: FloatArray, duration_s: float, moment: _Moment) -> Iterator[ImageArray]:
        self.task.position_rad = np.clip(goal, self.task.lower, self.task.upper)
        self.world.bodies[0].set_goal(self.task.position_rad)
        for _ in range(max(round(duration_s * self.options.fps), 1)):
            self.world.advance(1.0 / self.options.fps)
            yield self._frame(moment)

    def _grey_tiles(self, live: list[int]) -> npt.NDArray[np.uint8]:
        """Return grey pictures ``(c, H, W)``, black where a camera is dead."""
        tiles = []
        for j in range(len(self.task.cameras)):
            grey = cv2.cvtColor(take_picture(self.world, 0, j), cv2.COLOR_RGB2GRAY)
            tiles.append(grey if j in live else np.zeros_like(grey))
        return np.stack(tiles).astype(np.uint8)

    # -- pictures -------------------------------------------------------------------------------

    def _frame(self, moment: _Moment) -> ImageArray:
        wanted = [self.world.robot.target.id]
        pictures = [self.world.draw(0, camera) for camera in self.task.cameras]
        seen = [
            tuple(detect_tags(picture, ids=wanted)) if number not in self.dead else ()
            for number, picture in enumerate(pictures)
        ]
        beams = tuple((0, self.task.cameras[j].name) for j, tags in enumerate(seen) if tags)
        outside = self.view.draw(beams)
        width, height = OUTSIDE_PX
        page = Image.new("RGB", (width + _PANEL_PX, height), _PANEL)
        page.paste(Image.fromarray(outside), (0, 0))
        pen = ImageDraw.Draw(page, "RGBA")
        for number, picture in enumerate(pictures):
            self._draw_tile(page, pen, number, picture, seen[number])
        _draw_captions(pen, moment, self.options.policy)
        return np.asarray(page, dtype=np.uint8)

    def _draw_tile(
        self,
        page: Image.Image,
        pen: ImageDraw.ImageDraw,
        number: int,
        picture: ImageArray,
        tags: tuple[Detection, ...],
    ) -> None:
        """Paste a camera's picture with round corners, framed green where it holds the tag."""
        is_dead = number in self.dead
        row, column = divmod(number, 2)
        left = OUTSIDE_PX[0] + _GAP_PX + column * (_TILE_PX + _GAP_PX)
        top = 66 + row * (_TILE_PX + 44)
        box = (left, top, left + _TILE_PX - 1, top + _TILE_PX - 1)
        mask = Image.new("L", (_TILE_PX, _TILE_PX), 0)
        inside = (0, 0, _TILE_PX - 1, _TILE_PX - 1)
        ImageDraw.Draw(mask).rounded_rectangle(inside, _RADIUS_PX, 255)
        shown = np.zeros_like(picture) + 30 if is_dead else picture
        tile = Image.fromarray(shown).resize((_TILE_PX, _TILE_PX), Image.Resampling.BICUBIC)
        page.paste(tile, (left, top), mask)
        if is_dead:
            pen.line((left + 50, top + 50, left + 100, top + 100), _DEAD, 5)
            pen.line((left + 50, top + 100, left + 100, top + 50), _DEAD, 5)
        scale = _TILE_PX / picture.shape[1]
        for tag in tags:
            corners = (np.asarray(tag.corners_px) + 0.5) * scale + (left, top)
            pen.polygon([(float(x), float(y)) for x, y in corners], outline=_FOUND, width=3)
        if tags:
            pen.rounded_rectangle(box, _RADIUS_PX, outline=_FOUND, width=4)
        name = self.task.cameras[number].name.replace("_", " ")
        color = _FOUND if tags else _DEAD if is_dead else _MUTED
        label = f"{name}: dead" if is_dead else name
        pen.text((left + 2, top + _TILE_PX + 6), label, color, _font(14))


def _draw_captions(pen: ImageDraw.ImageDraw, moment: _Moment, policy: str) -> None:
    """Write what happens: number of the search and step, and which camera has found the tag."""
    pen.text((OUTSIDE_PX[0] + _GAP_PX, 22), "what its cameras see", _INK, _font(20))
    step = f"step {moment.step}" if moment.step else "a new start"
    right, dark = OUTSIDE_PX[0] - 22, (15, 23, 42)
    pen.text((right, 18), f"search {moment.search}", dark, _font(24), anchor="ra")
    pen.text((right, 48), step, (71, 85, 105), _font(17), anchor="ra")
    if moment.found_by:
        text = f"found by {moment.found_by}"
        width = pen.textlength(text, _font(18))
        pen.rounded_rectangle((right - width - 24, 82, right, 116), 17, (*_FOUND, 255))
        pen.text((right - 12, 88), text, (255, 255, 255), _font(18), anchor="ra")
    left = OUTSIDE_PX[0] + _GAP_PX
    pen.text((left, OUTSIDE_PX[1] - 26), f"policy {policy}", _MUTED, _font(13))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font."""
    return ImageFont.load_default(size)
