"""Moves of the simulated limb between poses whose sight is known, each simulated and drawn once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray, ImageArray
from learning.target_finding.env.task import TargetFindingTask, take_picture
from sim.world import SimWorld

FRAME_S, SIDE_PX = 0.2, 24
# Frames of a move; the way takes about two of them, then the limb stands.
MOVE_FRAMES = 5
_SETTLE_S = 1.0
# For each pose: moves between poses from which nothing is seen, and ways to where the tag is seen.
_MOVES, _LOOKS = 8, 3
# Poses without sight for each with it; fewer than the second make no ways.
_BLIND_SHARE, _FEWEST_BLIND = 2, 12


@dataclass(frozen=True)
class Move:
    """One move.

    Attributes:
        start, end: numbers of poses.
        pictures: ``(5, 24, 24, 4)`` uint8, the cameras in grey.
        in_view: ``(5, 4)`` whether the tag lies in each camera's picture.
    """

    start: int
    end: int
    pictures: ImageArray
    in_view: npt.NDArray[np.bool_]


class LimbMoves:
    """Moves, and ways along them.

    Args:
        blind: moves in which no camera sees the tag.
        looks: each a move to where one camera sees it, and one away from there.
    """

    def __init__(self, blind: list[Move], looks: list[tuple[Move, Move]]) -> None:
        blind = _without_dead_ends(blind)
        self._from: dict[int, list[Move]] = {}
        self._to: dict[int, list[Move]] = {}
        for move in blind:
            self._from.setdefault(move.start, []).append(move)
            self._to.setdefault(move.end, []).append(move)
        self._looks = [
            (entry, leave)
            for entry, leave in looks
            if entry.start in self._to and leave.end in self._from
        ]

    @property
    def is_whole(self) -> bool:
        """Whether there are ways without sight, and looks at the tag."""
        return bool(self._from and self._looks)

    @classmethod
    def record(cls, poses: int, seed: int) -> LimbMoves:
        """Simulate and draw the moves of one limb.

        Args:
            poses: from which one camera sees the tag; there are twice as many from which none does.
            seed: of the poses and of the moves between them.

        Returns:
            The moves.
        """
        with SimWorld("limb_p1", seed=seed) as world:
            rng = np.random.default_rng((seed, 1))
            while True:  # few poses may have no way between them: then others are drawn
                recorder = _Recorder(world, rng, poses)
                moves = cls(recorder.blind_moves(), recorder.looks())
                if moves.is_whole:
                    return moves

    def some_start(self, rng: np.random.Generator) -> int:
        """Return a pose from which nothing is seen."""
        return int(rng.choice(list(self._from)))

    def some_look(self, rng: np.random.Generator) -> tuple[Move, Move]:
        """Return a move to where the tag is seen by one camera, and one away from there."""
        return self._looks[int(rng.integers(len(self._looks)))]

    def onward(self, rng: np.random.Generator, pose: int, count: int) -> list[Move]:
        """Return ``count`` moves from a pose on, in none of which the tag is seen."""
        way: list[Move] = []
        for _ in range(count):
            way.append(_one_of(self._from[pose], rng))
            pose = way[-1].end
        return way

    def leading_to(self, rng: np.random.Generator, pose: int, count: int) -> list[Move]:
        """Return ``count`` moves that end in a pose, in none of which the tag is seen."""
        way: list[Move] = []
        for _ in range(count):
            way.append(_one_of(self._to[pose], rng))
            pose = way[-1].start
        return way[::-1]


def _one_of(moves: list[Move], rng: np.random.Generator) -> Move:
    return moves[int(rng.integers(len(moves)))]


def _without_dead_ends(moves: list[Move]) -> list[Move]:
    """Return the moves whose start can be reached, and whose end can be left, by others of them."""
    while True:
        starts, ends = {move.start for move in moves}, {move.end for move in moves}
        kept = [move for move in moves if move.start in ends and move.end in starts]
        if len(kept) == len(moves):
            return kept
        moves = kept


class _Recorder:
    """A limb whose cameras are drawn while it moves."""

    def __init__(self, world: SimWorld, rng: np.random.Generator, poses: int) -> None:
        self._world, self._rng = world, rng
        self._task = TargetFindingTask(world)
        self._cameras = range(len(self._task.cameras))
        self._seeing: list[FloatArray] = []
        self._blind: list[FloatArray] = []
        fewest = max(_BLIND_SHARE * poses, _FEWEST_BLIND)
        while len(self._seeing) < poses or len(self._blind) < fewest:
            pose = rng.uniform(self._task.lower, self._task.upper)
            self._settle(pose)
            if len(self._task.seeing(self._cameras)) == 1:
                self._seeing.append(pose)
            elif len(self._blind) < fewest and not any(self._framing()):
                self._blind.append(pose)

    def blind_moves(self) -> list[Move]:
        """Return moves one after the other, without those in which the tag comes into view."""
        order = self._rng.integers(len(self._blind), size=_MOVES * len(self._blind))
        self._settle(self._blind[order[0]])
        moves = [self._move(start, end, self._blind[end]) for start, end in pairwise(order)]
        return [move for move in moves if move.start != move.end and not move.in_view.any()]

    def looks(self) -> list[tuple[Move, Move]]:
        """Return ways to the poses with sight and away, in which one camera only sees the tag."""
        found = []
        for number, pose in enumerate(self._seeing, len(self._blind)):
            for _ in range(_LOOKS):
                start, end = self._rng.integers(len(self._blind), size=2)
                self._settle(self._blind[start])
                entry = self._move(start, number, pose)
                leave = self._move(number, end, self._blind[end])
                sees = (entry.in_view.any(0) | leave.in_view.any(0)).sum()
                if entry.in_view[-1].any() and sees == 1:
                    found.append((entry, leave))
        return found

    def _move(self, start: int, end: int, pose: FloatArray) -> Move:
        size = (MOVE_FRAMES, SIDE_PX, SIDE_PX, len(self._cameras))
        pictures = np.zeros(size, np.uint8)
        in_view = np.zeros((MOVE_FRAMES, len(self._cameras)), np.bool_)
        self._task.command(pose)
        for frame in range(MOVE_FRAMES):
            self._world.advance(FRAME_S)
            in_view[frame] = self._framing()
            for camera in self._cameras:
                pictures[frame, :, :, camera] = self._small(camera)
        return Move(int(start), int(end), pictures, in_view)

    def _settle(self, pose: FloatArray) -> None:
        self._task.command(pose)
        self._world.advance(_SETTLE_S)

    def _framing(self) -> list[bool]:
        row = self._world.cameras[0]
        return [self._world.frames_target(0, device.description) for device in row]

    def _small(self, camera: int) -> npt.NDArray[np.uint8]:
        grey = cv2.cvtColor(take_picture(self._world, 0, camera), cv2.COLOR_RGB2GRAY)
        # The darkest of each square: the mean of a tag's black and white is a grey like others.
        step = len(grey) // SIDE_PX
        squares = grey[: step * SIDE_PX, : step * SIDE_PX].reshape(SIDE_PX, step, SIDE_PX, step)
        small: npt.NDArray[np.uint8] = squares.min((1, 3))
        return small
