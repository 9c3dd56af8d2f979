"""Simulated searches of the limb with planted events, to examine a detector of critical states.

It learns from found / not found alone. 80 frames of four cameras while the limb wanders. What
decides: the tag comes into a camera's view (found); the camera that would have seen it dies before
(not found); or a person takes hold of the limb and moves it elsewhere before it gets there (not
found). What does not decide happens, too: cameras die and hands come after the find, and some
searches just never get there. All last equally long.

Moves are simulated and drawn once (:mod:`learning.critical_states.limb_moves`); an episode is a way
along them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray, ImageArray
from learning.critical_states.limb_moves import MOVE_FRAMES, SIDE_PX, LimbMoves, Move

EVENTS = ("tag enters view", "camera dies", "person takes over", "nothing")
FRAMES = 80
# Frames for which a pose may be held after the move to it, drawn below this.
_LONGER = 3
# Where the tag would be seen; until when a camera dies or a person comes; how long one stays.
_SEEN, _BEFORE, _HELD = (30, 65), (8, 4), (8, 14)
# Shares of the failures: a dead camera, a person, nothing.
_FAILURES = (0.4, 0.4, 0.2)
# Share of the successes after which a camera dies, or a person comes.
_AFTERWARDS = 0.4
_SKIN = (214, 160, 130)


@dataclass(frozen=True)
class LimbEpisodes:
    """Searches, and what only an examiner may look at.

    Attributes:
        pictures: ``(N, 80, 24, 24, 4)`` uint8, the cameras in grey, the darkest of each 4 x 4 px.
        labels: ``(N,)`` 1 where the tag was found.
        decided: ``(N, 80)`` True in the frame in which the deciding event began.
        events: ``(N,)`` number of that event in :data:`EVENTS`.
    """

    pictures: ImageArray
    labels: npt.NDArray[np.int64]
    decided: npt.NDArray[np.bool_]
    events: npt.NDArray[np.int64]


def limb_episodes(
    count: int,
    seed: int,
    on_episode: Callable[[int], None] = lambda done: None,
    poses: int = 40,
) -> LimbEpisodes:
    """Return searches, half of them found.

    Args:
        count: of episodes.
        seed: of poses and events.
        on_episode: told how many are done.
        poses: from which the tag is seen by one camera, and twice as many from which by none.
    """
    rng = np.random.default_rng(seed)
    pictures = np.zeros((count, FRAMES, SIDE_PX, SIDE_PX, 4), np.uint8)
    decided = np.zeros((count, FRAMES), np.bool_)
    labels, events = np.arange(count) % 2, np.zeros(count, np.int64)
    moves = LimbMoves.record(poses, seed)
    for number in range(count):
        plan = _draw_plan(rng, found=bool(labels[number]))
        frame = _play(moves, plan, rng, pictures[number])
        events[number] = EVENTS.index(plan.event)
        decided[number, frame] = plan.event != "nothing"
        on_episode(number + 1)
    return LimbEpisodes(pictures, labels, decided, events)


@dataclass(frozen=True)
class _Plan:
    """What happens in an episode.

    Attributes:
        event: that decides.
        seeing: frame in which the limb sets out to where the tag would be seen; FRAMES for never.
        dies: frame from which on a camera is black; FRAMES for never.
        person: first frame and end of a person's hold.
    """

    event: str
    seeing: int
    dies: int = FRAMES
    person: tuple[int, int] = (FRAMES, FRAMES)


def _draw_plan(rng: np.random.Generator, *, found: bool) -> _Plan:
    seeing = int(rng.integers(*_SEEN))
    if found:
        late = int(rng.integers(seeing + 6, FRAMES + 1))
        if rng.random() >= _AFTERWARDS:
            return _Plan(EVENTS[0], seeing)
        if rng.random() < 0.5:
            return _Plan(EVENTS[0], seeing, dies=late)
        return _Plan(EVENTS[0], seeing, person=(late, late + int(rng.integers(*_HELD))))
    event = EVENTS[1 + int(rng.choice(len(_FAILURES), p=_FAILURES))]
    early = int(rng.integers(_BEFORE[0], seeing - _BEFORE[1]))
    if event == "camera dies":
        return _Plan(event, seeing, dies=early)
    if event == "person takes over":
        return _Plan(event, FRAMES, person=(early, early + int(rng.integers(*_HELD))))
    return _Plan(event, FRAMES)


def _play(moves: LimbMoves, plan: _Plan, rng: np.random.Generator, pictures: ImageArray) -> int:
    """Fill ``(80, 24, 24, 4)`` by moves one after the other.

    Returns:
        The frame in which the deciding event began.
    """
    camera, in_view = _lay(_way(moves, plan, rng), plan, rng, pictures)
    dead = camera if plan.event != EVENTS[0] else int(rng.integers(4))
    pictures[plan.dies :, :, :, dead] = 0
    hand = rng.uniform(0.2, 0.8, 3)
    for frame in range(*plan.person):
        if frame < FRAMES:
            _draw_hand(pictures[frame], hand)
    if plan.event == EVENTS[0]:
        return in_view
    return min(plan.dies, plan.person[0], FRAMES - 1)


def _way(moves: LimbMoves, plan: _Plan, rng: np.random.Generator) -> tuple[list[Move], list[Move]]:
    """Return moves until the limb sets out to where the tag is seen, and those from there on."""
    longest = FRAMES // MOVE_FRAMES + 1
    if plan.seeing >= FRAMES:
        return [], moves.onward(rng, moves.some_start(rng), longest)
    entry, leave = moves.some_look(rng)
    onward = moves.onward(rng, leave.end, longest)
    return moves.leading_to(rng, entry.start, longest), [entry, leave, *onward]


def _lay(
    way: tuple[list[Move], list[Move]], plan: _Plan, rng: np.random.Generator, pictures: ImageArray
) -> tuple[int, int]:
    """Lay the frames of moves one after the other, each last one for a while longer.

    Returns:
        The camera that sees the tag, or 0, and the first frame in which it does, or FRAMES.
    """
    before, after = way
    at = plan.seeing
    for move in reversed(before):
        frames = _held(move, rng)
        first = max(at - len(frames), 0)
        pictures[first:at] = frames[len(frames) - (at - first) :]
        at = first
    camera, in_view, at = 0, FRAMES, plan.seeing if plan.seeing < FRAMES else 0
    for move in after:
        frames = _held(move, rng)[: FRAMES - at]
        pictures[at : at + len(frames)] = frames
        if move.in_view.any() and in_view == FRAMES:
            camera = int(move.in_view.any(0).argmax())
            in_view = at + int(move.in_view.any(1).argmax())
        at += len(frames)
    return camera, in_view


def _held(move: Move, rng: np.random.Generator) -> ImageArray:
    """Return the frames of a move ``(F, 24, 24, 4)``, the last one a few times more."""
    longer = int(rng.integers(_LONGER))
    return np.concatenate([move.pictures, np.repeat(move.pictures[-1:], longer, 0)])


def _draw_hand(pictures: ImageArray, hand: FloatArray) -> None:
    """Draw a hand that reaches into two cameras' pictures ``(24, 24, 4)``.

    Args:
        pictures: of all cameras.
        hand: where it comes from, and which cameras see it, as three numbers from 0 to 1.
    """
    grey = int(np.dot(_SKIN, (0.299, 0.587, 0.114)))
    first = int(4 * hand[2]) % 4
    for camera in (first, (first + 1) % 4):
        view = np.ascontiguousarray(pictures[:, :, camera])
        palm = (round(SIDE_PX * hand[0]), round(SIDE_PX * (0.4 + 0.4 * hand[1])))
        cv2.ellipse(view, palm, (5, 4), 0, 0, 360, grey, -1)
        cv2.line(view, palm, (palm[0], SIDE_PX), grey, 4)
        for finger in (-4, -1, 2, 5):
            cv2.line(view, palm, (palm[0] + finger, palm[1] - 7), grey - 12, 1)
        pictures[:, :, camera] = view
