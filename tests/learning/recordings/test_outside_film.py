"""The recorded robot drawn from outside, beside what its cameras saw."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from asterias.errors import UserError
from hardware.description.robot import load_robot
from learning.recordings.plots.outside import OutsideView
from learning.recordings.sampling import SampledEpisode


def episode(state: Any) -> SampledEpisode:
    """A recording of limb_p1 at these positions."""
    names = tuple(f"limb_0.{joint.name}" for joint in load_robot("limb_p1").limbs[0].joints)
    states = np.asarray(state, dtype=np.float64)
    times = np.arange(len(states)) / 10
    return SampledEpisode(cast(Any, None), "", None, 10, times, states, states, names, {})


def test_the_limb_moves_and_the_camera_stands_still() -> None:
    recorded = episode([[0.0, 0, 0, 0], [0.9, -0.4, 0, 0.5], [np.nan, 0, 0, 0]])
    with OutsideView("limb_p1", [recorded]) as view:
        pictures = [view.draw(recorded, frame, 182) for frame in range(3)]
    assert all(picture.shape == (182, 213, 3) for picture in pictures)
    change = np.abs(pictures[0].astype(int) - pictures[1]).max(axis=2) > 40
    assert 0.005 < change.mean() < 0.2, "the limb, and nothing else"
    assert not change[:20].any() and not change[:, :20].any() and not change[160:].any()
    assert np.array_equal(pictures[0], pictures[2]), "an angle that is unknown counts as 0"


def test_another_robot_is_named_with_the_joints_that_were_recorded() -> None:
    with pytest.raises(UserError, match=r"--outside starfish: .* limb_0.shoulder_yaw"):
        OutsideView("starfish", [episode([[0.0] * 4])])
