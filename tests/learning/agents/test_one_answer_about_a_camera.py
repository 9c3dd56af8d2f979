"""One answer about one camera: detector, finder, driver and language agents judge alike."""

from __future__ import annotations

import numpy as np
import pytest

from hardware.cameras.health import (
    CameraHealthMonitor,
    CameraState,
    PictureWatch,
    is_noise,
)
from hardware.cameras.limb_monitor import LimbCameraMonitor
from learning.agents.skills.check_cameras import diagnose


@pytest.mark.parametrize("sigma", [0, 10, 20, 30, 35, 40, 45, 50, 60, 80, 120])
def test_noise_of_any_strength_gets_the_same_answer_everywhere(sigma: int) -> None:
    rng = np.random.default_rng(sigma)
    rows = np.linspace(60, 200, 96)[:, None, None]

    def picture() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        noisy = rows + rng.normal(0.0, sigma, (96, 96, 3)) + rng.integers(0, 3)
        return np.clip(noisy, 0, 255).astype(np.uint8)

    before, after = picture(), picture()
    signs = PictureWatch().see(after, 0.0)  # what the detector publishes
    finder = LimbCameraMonitor([10.0])
    finder.see(0, signs)
    monitor = CameraHealthMonitor(10.0, 0.0)
    for i in range(10):
        monitor.accept(picture(), 0.1 * i, 0.1 * i)
    agents = diagnose(before, after)
    answers = {
        "detector": signs.is_noise,
        "finder": finder.problems() == {0: "corrupt"},
        "driver": monitor.health(0.95).state is CameraState.CORRUPT,
        "agents": agents == "garbage",
    }
    assert len(set(answers.values())) == 1, answers
    assert answers["detector"] == is_noise(after) == (sigma >= 50)
