"""The limb's cameras as a searcher gets them: some dead, some failing without being flagged."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from hardware.perception.apriltag import detect_tags
from learning.target_finding.env.observation import Tiles
from learning.target_finding.env.options import SilentFailure
from learning.target_finding.env.task import take_picture
from sim.rendering.camera import SimCamera
from sim.world import SimWorld

Grey = npt.NDArray[np.uint8]

# Standard deviation of a noisy camera's pixels; a tag is seldom decoded through it.
NOISE = 80.0


@dataclass(frozen=True)
class CameraObservation:
    """One observation: numbers of the live cameras that see the tag, and the tiles."""

    seeing: list[int]
    tiles: Tiles | None


@dataclass
class FaultyCameraArray:
    """Takes the pictures, corrupts those of failing cameras, and detects the tag in the result.

    A healthy camera whose picture cannot hold the tag is drawn only where pictures are wanted.

    Attributes:
        world: the simulation.
        limb: number of the limb.
        pictures: whether observations hold tiles.
    """

    world: SimWorld
    limb: int
    pictures: bool = False
    _dead: frozenset[int] = frozenset()
    _failing: Mapping[int, SilentFailure] = field(default_factory=dict)
    _onset: int = 0
    _number: int = -1  # number of the last observation; 0 is that of the reset
    _rng: np.random.Generator = field(default_factory=np.random.default_rng)
    # Per failing camera the picture before this one, and that of the moment when it froze.
    _before: dict[int, Grey] = field(default_factory=dict)
    _frozen: dict[int, Grey] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Number of cameras."""
        return len(self.world.cameras[self.limb])

    def reset(
        self,
        rng: np.random.Generator,
        *,
        dead: Collection[int] = (),
        failing: Mapping[int, SilentFailure] | None = None,
        onset: int = 0,
    ) -> None:
        """Start an episode in which cameras are dead or fail, from observation ``onset`` on."""
        self._rng = rng
        self._dead, self._failing = frozenset(dead), dict(failing or {})
        self._onset, self._number = onset, -1
        self._before = {j: self._picture(j) for j in self._failing}
        self._frozen = dict(self._before)

    @property
    def live(self) -> tuple[int, ...]:
        """Cameras not flagged as dead at the last observation, silently failing ones included."""
        dead = self._dead if max(self._number, 0) >= self._onset else ()
        return tuple(j for j in range(self.count) if j not in dead)

    def observe(self) -> CameraObservation:
        """Return the next observation of the episode."""
        self._number += 1
        live, failed = self.live, self._number >= self._onset
        seeing, tiles = [], []
        for j in range(self.count):
            is_failing = failed and j in self._failing
            if j not in live:
                tiles.append(self._black())
            elif self.pictures or j in self._failing or self.frames_target(j):
                picture = self._corrupted_picture(j) if is_failing else self._true_picture(j)
                tiles.append(picture)
                if (is_failing or self.frames_target(j)) and self._holds_tag(picture):
                    seeing.append(j)
        return CameraObservation(seeing, np.stack(tiles) if self.pictures else None)

    def to_be_read(self) -> list[list[SimCamera]]:
        """Return the cameras, by limb, whose pictures the next observation needs."""
        number = self._number + 1
        dead = self._dead if number >= self._onset else ()
        rows: list[list[SimCamera]] = [[] for _ in self.world.cameras]
        for j, camera in enumerate(self.world.cameras[self.limb]):
            blind = number >= self._onset and self._failing.get(j) in ("black", "frozen")
            wanted = self.pictures or j in self._failing or self.frames_target(j)
            if j not in dead and not blind and wanted:
                rows[self.limb].append(camera)
        return rows

    def frames_target(self, camera: int) -> bool:
        """Return whether the tag lies in this camera's picture, by geometry."""
        about = self.world.cameras[self.limb][camera].description
        return self.world.frames_target(self.limb, about)

    def _corrupted_picture(self, camera: int) -> Grey:
        kind = self._failing[camera]
        before = self._before[camera]
        if kind == "black":
            return self._black()
        if kind == "frozen":
            return self._frozen[camera]
        picture = self._true_picture(camera)
        if kind == "delayed":
            return before
        noise = self._rng.normal(0.0, NOISE, picture.shape)
        return np.clip(picture + noise, 0.0, 255.0).astype(np.uint8)

    def _true_picture(self, camera: int) -> Grey:
        """Return the true picture; save it where the camera will need it once it fails."""
        picture = self._picture(camera)
        if camera in self._failing:
            self._before[camera] = picture
            if self._number < self._onset:
                self._frozen[camera] = picture
        return picture

    def _picture(self, camera: int) -> Grey:
        picture = take_picture(self.world, self.limb, camera)
        return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.uint8)

    def _black(self) -> Grey:
        about = self.world.cameras[self.limb][0].description
        return np.zeros((about.height_px, about.width_px), np.uint8)

    def _holds_tag(self, picture: Grey) -> bool:
        return bool(detect_tags(picture, ids=[self.world.robot.target.id]))
