"""When a simulated camera takes its pictures: multiples of its period, on whole physics steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from asterias.arrays import ImageArray
from asterias.errors import StaleFrameError
from hardware.description.limb import CameraDescription
from sim.rendering.camera import SimCamera


@dataclass
class Clockwork:
    """A world of nothing but time, in whole physics steps."""

    physics_hz: float = 500.0
    ticks: int = 0

    @property
    def time_s(self) -> float:
        return self.ticks / self.physics_hz

    def advance(self, duration_s: float) -> None:
        self.ticks += round(duration_s * self.physics_hz)

    def advance_to(self, time_s: float) -> None:
        self.ticks = max(self.ticks, math.ceil(time_s * self.physics_hz - 1e-6))


def grey() -> ImageArray:
    return np.full((96, 96, 3), 128, np.uint8)


def new_camera(world: Clockwork, rate_hz: float = 10.0, **flaws: float) -> SimCamera:
    """A connected camera that sees grey."""
    about = CameraDescription.model_validate(
        {"name": "tip", "link": "tip", "rate_hz": rate_hz, **flaws}
    )
    camera = SimCamera(about, world, grey, seed=1)
    camera.connect()
    return camera


@pytest.mark.parametrize(
    ("rate_hz", "physics_hz"),
    [(10.0, 500.0), (30.0, 500.0), (7.0, 100.0), (60.0, 1000.0), (450.0, 500.0)],
)
def test_read_next_comes_on_the_first_step_at_or_after_each_instant(
    rate_hz: float, physics_hz: float
) -> None:
    world = Clockwork(physics_hz)
    camera = new_camera(world, rate_hz)
    times = np.array([camera.read_next(1.0).time_s for _ in range(200)])
    assert (np.diff(times) > 0.0).all()
    frames = np.floor(times * rate_hz + 1e-6)
    late = times - frames / rate_hz
    assert (late > -1e-9).all()
    assert (late < 1.0 / physics_hz + 1e-9).all()
    if rate_hz < 0.5 * physics_hz:  # none is left out
        np.testing.assert_array_equal(frames, np.arange(200))


def test_a_time_out_of_one_period_is_enough() -> None:
    camera = new_camera(Clockwork())
    assert [camera.read_next(0.1).sequence for _ in range(100)] == list(range(100))


def test_a_time_out_takes_its_time() -> None:
    world = Clockwork()
    camera = new_camera(world)
    camera.read_next()
    with pytest.raises(StaleFrameError):
        camera.read_next(0.06)
    assert world.time_s == pytest.approx(0.06)
    assert camera.read_next(0.06).time_s == pytest.approx(0.1)


def test_due_exactly_at_multiples_of_the_period() -> None:
    world = Clockwork()
    camera = new_camera(world)
    due = []
    for _ in range(501):
        if camera.is_due:
            due.append(camera.read().time_s)
        world.advance(0.002)
    np.testing.assert_allclose(due, 0.1 * np.arange(11), atol=1e-12)


def test_a_picture_out_of_turn_does_not_move_the_raster() -> None:
    world = Clockwork()
    camera = new_camera(world)
    camera.read_next()
    world.advance(0.034)
    camera.read()
    assert not camera.is_due
    assert camera.read_next().time_s == pytest.approx(0.1)


def test_late_pictures_are_not_made_up_for() -> None:
    world = Clockwork()
    camera = new_camera(world)
    camera.read_next()
    world.advance(0.47)
    assert camera.is_due
    assert camera.read_next().time_s == pytest.approx(0.47)
    assert camera.read_next().time_s == pytest.approx(0.5)


def test_age_is_simulated_time() -> None:
    world = Clockwork()
    camera = new_camera(world)
    frame = camera.read()
    world.advance(0.3)
    assert camera.read_latest(max_age_s=0.31) is frame
    with pytest.raises(StaleFrameError):
        camera.read_latest(max_age_s=0.29)


# -- flaws, on an even grey -----------------------------------------------------------------------


@pytest.mark.parametrize("noise_std", [2.0, 10.0])
def test_noise_has_its_standard_deviation_and_no_offset(noise_std: float) -> None:
    camera = new_camera(Clockwork(), noise_std=noise_std)
    pictures = np.array([camera.read().image for _ in range(4)]).astype(float) - 128.0
    # Rounding to whole levels adds a twelfth to the variance.
    assert pictures.std() == pytest.approx(math.sqrt(noise_std**2 + 1.0 / 12.0), rel=0.02)
    assert abs(pictures.mean()) < 0.02 * noise_std
    assert abs(np.corrcoef(pictures[0].ravel(), pictures[1].ravel())[0, 1]) < 0.03


def test_vignetting_darkens_the_corners_alone() -> None:
    image = new_camera(Clockwork(), vignetting=0.5).read().image
    corners = image[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 64).all()
    assert (image[47:49, 47:49] == 128).all()
    np.testing.assert_array_equal(image, image[::-1, ::-1])


def test_jpeg_loses_more_at_a_lower_quality() -> None:
    rough = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)

    def loss(quality: int | None) -> float:
        about = CameraDescription(name="tip", link="tip", jpeg_quality=quality)
        camera = SimCamera(about, Clockwork(), lambda: rough, seed=0)
        camera.connect()
        return float(np.abs(camera.read().image.astype(float) - rough).mean())

    assert loss(None) == 0.0
    assert loss(95) < loss(60) < loss(10)
