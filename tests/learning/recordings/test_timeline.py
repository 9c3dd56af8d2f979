"""Key frames under an episode's time axis, without a browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from learning.recordings.plots.criticality import write_sidecar
from learning.recordings.plots.timeline import Timelines, key_moments, timeline_html


def test_moments_are_the_highest_of_their_runs_and_three_at_most() -> None:
    mask = np.array([0.1, 0.6, 0.9, 0.6, 0.0, 0.7, 0.0, 0.55, 0.0, 0.8])
    assert key_moments(mask) == [2, 5, 9]
    assert key_moments(np.full(4, 0.4)) == []


def test_marks_stand_where_their_moments_are() -> None:
    drawn = timeline_html(np.array([0.0, 1.0, 4.0]), np.array([0.0, 1.0, 0.0]))
    assert 'x1="100.0"' in drawn and "Decided at 1.0 s" in drawn and "4.0 s" in drawn
    assert "No moment decided" in timeline_html(np.array([0.0, 1.0]), np.zeros(2))


def test_a_file_that_changes_is_read_again_and_one_that_is_damaged_is_told(tmp_path: Path) -> None:
    episode, found = tmp_path / "mine" / "episode_000003", tmp_path / "mine_key_frames"
    timelines = Timelines()
    assert timelines.of(str(episode)) == "" and timelines.of("") == ""
    found.mkdir()
    path = found / "episode_000003.critical_states.mcap"
    for peak in (1, 3):
        mask = np.where(np.arange(5) == peak, 0.9, 0.0)
        write_sidecar(path, 10**18, np.arange(5.0), mask)
        assert f"Decided at {peak}.0 s" in timelines.of(str(episode))
    path.write_bytes(b"no recording at all")
    assert 'class="lost"' in timelines.of(str(episode))
