"""Simulated searches of the limb with planted events, to examine a detector of critical states.

It learns from found / not found alone. 80 frames of four cameras while the limb wanders. What
decides: the tag comes into a camera's view (found); the camera that would have seen it dies before
(not found); or a person takes hold of the limb and moves it elsewhere before it gets there (not
found). What does not decide happens, too: cameras die and hands come after the find, and some
searches just never get there. All last equally long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray, ImageArray
from learning.target_finding.env.task import TargetFindingTask, take_picture
from sim.world import SimWorld

EVENTS = ("tag enters view", "camera dies", "person takes over", "nothing")
FRAMES, FRAME_S, SIDE_PX = 80, 0.2, 24
_SETTLE_S = 1.0
# Frames that a pose is held: the way to the next takes about two of them.
_STAY = 5
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
        pictures: ``(N, 80, 24, 24, 4)`` uint8, the cameras in grey.
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
    with SimWorld("limb_p1", seed=seed) as world:
        searches = _Searches(world, rng, poses)
        for number in range(count):
            plan = _draw_plan(rng, found=bool(labels[number]))
            frame = searches.run(plan, pictures[number])
            events[number] = EVENTS.index(plan.event)
            decided[number, frame] = plan.event != "nothing"
            on_episode(number + 1)
    return LimbEpisodes(pictures, labels, decided, events)


@dataclass(frozen=True)
class _Plan:
    """What happens in an episode.

    Attributes:
        event: that decides.
        seeing: frame in which the limb sets out to where the tag is seen; FRAMES for never.
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


class _Searches:
    """One limb that wanders between poses whose sight is known."""

    def __init__(self, world: SimWorld, rng: np.random.Generator, poses: int) -> None:
        self._world, self._rng = world, rng
        self._task = TargetFindingTask(world)
        self._cameras = range(len(self._task.cameras))
        self._seeing: list[tuple[int, FloatArray]] = []
        self._blind: list[FloatArray] = []
        while len(self._seeing) < poses or len(self._blind) < 2 * poses:
            pose = rng.uniform(self._task.lower, self._task.upper)
            self._settle(pose)
            sees = self._task.seeing(self._cameras)
            if len(sees) == 1:
                self._seeing.append((sees[0], pose))
            elif not any(self._framing()):
                self._blind.append(pose)

    def run(self, plan: _Plan, pictures: ImageArray) -> int:
        """Fill ``(80, 24, 24, 4)``.

        A run in which the tag comes into view when it should not, or never when it should, is made
        anew.

        Returns:
            The frame in which the deciding event began.
        """
        while True:
            camera, place = self._seeing[int(self._rng.integers(len(self._seeing)))]
            seen = self._drive(plan, camera, place, pictures)
            first = int(np.argmax(seen)) if seen.any() else FRAMES
            if plan.event == "tag enters view":
                if plan.seeing <= first < FRAMES:
                    return first
            elif first == FRAMES:
                return min(plan.dies, plan.person[0], FRAMES - 1)

    def _drive(
        self, plan: _Plan, camera: int, place: FloatArray, pictures: ImageArray
    ) -> npt.NDArray[np.bool_]:
        """Return ``(80,)`` whether a live camera saw the tag."""
        seen = np.zeros(FRAMES, np.bool_)
        dead = camera if plan.event != "tag enters view" else int(self._rng.integers(4))
        hand = self._rng.uniform(0.2, 0.8, 3)
        self._settle(self._some_blind())
        until = 0
        for frame in range(FRAMES):
            if frame == plan.seeing:
                self._task.command(place)
                until = frame + _STAY
            elif frame >= until or frame == plan.person[0]:
                self._task.command(self._some_blind())
                until = frame + _STAY
            self._world.advance(FRAME_S)
            black = dead if frame >= plan.dies else -1
            in_view = self._framing()
            seen[frame] = any(on and j != black for j, on in enumerate(in_view))
            for j in self._cameras:
                if j != black:
                    pictures[frame, :, :, j] = self._small(j)
                else:
                    pictures[frame, :, :, j] = 0
            if plan.person[0] <= frame < plan.person[1]:
                _draw_hand(pictures[frame], hand)
        return seen

    def _settle(self, pose: FloatArray) -> None:
        self._task.command(pose)
        self._world.advance(_SETTLE_S)

    def _some_blind(self) -> FloatArray:
        return self._blind[int(self._rng.integers(len(self._blind)))]

    def _framing(self) -> list[bool]:
        row = self._world.cameras[0]
        return [self._world.frames_target(0, device.description) for device in row]

    def _small(self, camera: int) -> npt.NDArray[np.uint8]:
        grey = cv2.cvtColor(take_picture(self._world, 0, camera), cv2.COLOR_RGB2GRAY)
        small = cv2.resize(grey, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8)


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
