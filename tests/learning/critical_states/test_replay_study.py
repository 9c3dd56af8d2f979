"""The study of the replay priority: examples, walks of clones, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from learning.__main__ import main
from learning.critical_states import TRAINING_POLICIES, key_door_clips, replay_study
from learning.critical_states.key_door import MOVES, ROOM, WALL_COLUMN, KeyDoorClips, succeeded
from learning.critical_states.replay_study import (
    CHUNK,
    WAYS,
    clone_success,
    examples_of,
    observations,
    walk,
)

FRAMES = 48


@pytest.fixture(scope="module")
def clips() -> KeyDoorClips:
    return key_door_clips(60, TRAINING_POLICIES, seed=3)


def examples(clips: KeyDoorClips) -> tuple[Any, Any]:
    shown = np.flatnonzero(clips.labels == 1)[:12]
    rng = np.random.default_rng(0)
    masks = rng.random((len(shown), FRAMES))
    return shown, examples_of(clips, shown, masks, rng)


def test_the_outcome_is_in_the_places(clips: KeyDoorClips) -> None:
    assert (succeeded(clips.places, clips.things) == (clips.labels == 1)).all()
    assert 0 < clips.labels.mean() < 1


def test_examples_hold_the_moves_that_follow_and_what_was_fetched(clips: KeyDoorClips) -> None:
    shown, made = examples(clips)
    seen = made.seen.numpy().reshape(len(shown), FRAMES - 1, 14)
    moves = made.moves.numpy().reshape(len(shown), FRAMES - 1, CHUNK)
    places = clips.places[shown]
    np.testing.assert_array_equal(places[:, :-1] + MOVES[moves[:, :, 0]], places[:, 1:])
    np.testing.assert_array_equal(moves[:, 0, 3], moves[:, 3, 0])
    assert (moves[:, -1, 1:] == -1).all() and (moves[:, -1, 0] >= 0).all()
    key = np.argmax(clips.decided[shown], axis=1)  # the key is the first that decides
    for row, frame in enumerate(key):
        assert seen[row, frame, 8] == 1.0 and not seen[row, :frame, 8].any()
        np.testing.assert_array_equal(seen[row, frame, :2], 0.0)


def test_the_random_priority_has_the_shape_of_the_mask(clips: KeyDoorClips) -> None:
    shown, made = examples(clips)
    truth = made.criticality["truth"].reshape(len(shown), FRAMES - 1)
    key = np.argmax(clips.decided[shown], axis=1)
    assert all(row[frame - 1] > 0 and row[max(frame - CHUNK, 0)] > 0
               for row, frame in zip(truth, key, strict=True))  # fmt: skip
    mask, shifted = made.criticality["mask"], made.criticality["shifted"]
    assert not np.allclose(mask, shifted)
    assert shifted.sum() == pytest.approx(mask.sum(), rel=0.05)


def test_walks_stay_within_the_walls_and_a_guide_that_knows_the_way_succeeds(
    clips: KeyDoorClips,
) -> None:
    class Guide(torch.nn.Module):
        """Goes to the key, to the door, to the ball, along the row before the column."""

        def forward(self, seen: torch.Tensor) -> torch.Tensor:
            ways, fetched = seen[:, :8].view(-1, 4, 2) * ROOM, seen[:, 8:12]
            number = torch.where(fetched[:, 0] < 1, 0, torch.where(fetched[:, 1] < 1, 1, 3))
            way = ways[torch.arange(len(seen)), number]
            down = way[:, 0].abs() > 0.5
            move = torch.where(
                down,
                torch.where(way[:, 0] > 0, 2, 3),
                torch.where(way[:, 1] > 0.5, 0, torch.where(way[:, 1] < -0.5, 1, 4)),
            )
            # In the door only its row leads on.
            move = torch.where((ways[:, 1].abs().sum(1) < 0.5) & (fetched[:, 0] > 0), 0, move)
            return 50.0 * torch.nn.functional.one_hot(move, len(MOVES)).float()

    places = walk(Guide(), clips, seed=0)
    assert succeeded(places, clips.things).all()
    lost = torch.nn.Sequential(torch.nn.Linear(14, len(MOVES)))
    row, column = np.moveaxis(walk(lost, clips, seed=0), 2, 0)
    assert row.min() >= 1 and row.max() <= ROOM and column.min() >= 1
    inside = column != WALL_COLUMN
    assert (inside | (row == clips.things[:, 1, :1])).all()


def test_a_clone_is_the_same_for_a_seed_and_another_for_another_way(
    clips: KeyDoorClips, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_study, "CHECKS", (60,))
    _, made = examples(clips)
    first, again, other = (
        clone_success(made, WAYS[name], clips, seed=1) for name in ("truth", "truth", "uniform")
    )
    assert first == again != other and 0 < first["60"] <= 100


def test_the_command_writes_a_row_for_each_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Detector:
        def predict(self, pictures: Any) -> Any:
            return np.random.default_rng(len(pictures)).random(pictures.shape[:2])

    monkeypatch.setattr(replay_study, "trained_detector", lambda *words: Detector())
    few = key_door_clips(40, TRAINING_POLICIES, seed=1)
    monkeypatch.setattr(replay_study, "key_door_training_clips", lambda seed: few)
    monkeypatch.setattr(replay_study, "WORLDS", 20)
    monkeypatch.setattr(replay_study, "CHECKS", (5, 10))
    path = tmp_path / "found.json"
    words = ("critical-states-replay", "--out", str(tmp_path), "--seeds", "2", "--clones", "2")
    assert main([*words, "--json", str(path)]) == 0
    told = json.loads(path.read_text())
    assert len(told["rows"]) == 2 * 2 * len(WAYS)
    assert all(set(row["success"]) == {"5", "10"} for row in told["rows"])
    assert main([*words[:-1], "0"]) == 2


def test_observations_have_a_row_for_each_place() -> None:
    seen = observations(
        np.zeros((3, 5, 2), int), np.zeros((3, 1, 4, 2), int), np.ones((3, 5, 4)) > 0
    )
    assert seen.shape == (3, 5, 14)
