"""Which cameras work, judged by their pictures alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.cameras.health import PictureWatch
from hardware.cameras.limb_monitor import LimbCameraMonitor

RATE_HZ = 10.0
Image = npt.NDArray[np.uint8]
RNG = np.random.default_rng(0)


def scene(time_s: float, camera: int) -> Image:
    """A picture that differs with the moment, smooth as a lens shows it."""
    x, y = np.meshgrid(np.arange(32), np.arange(32))
    wave = 120 + 80 * np.sin(0.2 * x + 0.1 * y + time_s + camera)
    return np.repeat(wave.astype(np.uint8)[..., None], 3, axis=2)


class Robot:
    """Four cameras; a limb that moves from second 1 to second 2."""

    def __init__(self) -> None:
        self.liveness = LimbCameraMonitor([RATE_HZ] * 4)
        self._watches = [PictureWatch() for _ in range(4)]

    def show(self, camera: int, image: Image, time_s: float) -> None:
        self.liveness.see(camera, self._watches[camera].see(image, time_s))

    def move(self, broken: dict[int, str], way_rad: float = 1.0) -> dict[int, str]:
        """What is found wrong after a move, with cameras that are broken in such a way."""
        for tick in range(31):
            time_s = tick / RATE_HZ
            if tick == 10:
                self.liveness.moves(time_s)
            moment = float(np.clip(time_s, 1.0, 2.0)) if way_rad else 1.0
            for camera in range(4):
                image = {
                    "silent": None,
                    "dark": np.zeros((32, 32, 3), np.uint8),
                    "corrupt": RNG.integers(0, 256, (32, 32, 3), dtype=np.uint8),
                    "frozen": scene(0.5, camera),
                    "wall": np.full((32, 32, 3), 180, np.uint8),
                    "": scene(moment, camera),
                }[broken.get(camera, "")]
                if image is not None:
                    self.show(camera, image, time_s)
        self.liveness.moved(np.array([0.0, way_rad]))
        return self.liveness.problems()


@pytest.mark.parametrize("problem", ["silent", "dark", "corrupt", "frozen"])
def test_a_broken_camera_is_known_by_its_pictures(problem: str) -> None:
    assert Robot().move({2: problem}) == {2: problem}


@settings(deadline=None, max_examples=20)
@given(st.dictionaries(st.integers(0, 2), st.sampled_from(["silent", "dark", "corrupt", "frozen"])))
def test_every_combination_is_told_apart(broken: dict[int, str]) -> None:
    assert Robot().move(broken) == broken


def test_a_wall_and_a_limb_that_rests_are_no_signs_of_a_frozen_camera() -> None:
    assert Robot().move({1: "wall"}) == {}
    assert Robot().move({}, way_rad=0.0) == {}
    # All pictures the same: it is the limb that did not move.
    assert Robot().move(dict.fromkeys(range(4), "frozen")) == {}


def test_a_camera_that_works_again_counts_again() -> None:
    robot = Robot()
    assert robot.move({3: "frozen"}) == {3: "frozen"}
    robot.show(3, scene(9.0, 3), 3.1)
    assert robot.liveness.problems() == {}


def test_a_simulation_that_starts_anew_is_judged_anew() -> None:
    robot = Robot()
    for camera in range(4):
        robot.show(camera, scene(0.0, camera), 100.0)
    for camera in range(4):
        robot.show(camera, scene(1.0, camera), 0.1)
    assert robot.liveness.problems() == {}
