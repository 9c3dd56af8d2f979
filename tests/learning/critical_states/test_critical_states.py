"""The Deep State Identifier: clips, losses, learning, files, scores."""

from __future__ import annotations

import builtins
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asterias.errors import UserError
from learning.critical_states import (
    HELD_OUT_POLICIES,
    TRAINING_POLICIES,
    CriticalStates,
    IdentifierOptions,
    key_door_clips,
    score,
)
from learning.critical_states.baselines import CHOOSERS, highest
from learning.critical_states.key_door import COLOURS, KEY, SIDE_PX
from learning.critical_states.limb_episodes import EVENTS, limb_episodes
from learning.critical_states.limb_moves import LimbMoves
from learning.critical_states.losses import mask_losses
from learning.critical_states.networks import ReturnPredictor
from learning.critical_states.study import best_threshold, onsets, side_by_side

SMALL = IdentifierOptions(warm_up=1, epochs=2, batch_size=8, width=2, units=4, hidden=0.5)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def blinking(count: int, frames: int = 12, seed: int = 0) -> tuple[Any, Any, Any]:
    """Clips of noise; in successes a frame has a white square, in all another one a grey one."""
    rng = np.random.default_rng(seed)
    clips = rng.integers(0, 60, (count, frames, 16, 16, 1)).astype(np.uint8)
    labels = np.arange(count) % 2
    white, grey = rng.permuted(np.tile(np.arange(frames), (count, 1)), axis=1)[:, :2].T
    clips[np.arange(count), grey, 4:12, 4:12] += 70
    good = labels == 1
    clips[np.flatnonzero(good), white[good], 4:12, 4:12] = 250
    decided = np.zeros((count, frames), np.bool_)
    decided[np.flatnonzero(good), white[good]] = True
    return clips, labels.astype(np.int64), decided


# -- clips ----------------------------------------------------------------------------------------


def test_key_door_successes_have_three_deciding_frames_in_order_and_failures_none() -> None:
    clips = key_door_clips(120, TRAINING_POLICIES, seed=3)
    good = clips.labels == 1
    assert good.mean() == 0.5
    assert (clips.decided[good].sum(1) == 3).all() and not clips.decided[~good].any()
    assert (clips.visits | ~clips.decided).all(), "what decided was visited"
    middle = SIDE_PX // 2
    for clip, decided in zip(clips.pictures[good], clips.decided[good], strict=True):
        key = clip[np.flatnonzero(decided)[0]]
        assert (key[middle, middle] == 255).all(), "the agent stands in the middle"
        assert (key[middle - 1, middle - 1] == COLOURS[KEY]).all(), "on the key, first of all"


def test_clips_are_the_same_for_a_seed_and_others_for_other_walkers() -> None:
    one, two = (key_door_clips(20, TRAINING_POLICIES, seed=5) for _ in range(2))
    other = key_door_clips(20, HELD_OUT_POLICIES, seed=5)
    assert (one.pictures == two.pictures).all() and (one.labels == two.labels).all()
    assert one.pictures.shape != other.pictures.shape or (one.pictures != other.pictures).any()


def test_planted_events_of_the_limb_are_where_the_pictures_change() -> None:
    found = limb_episodes(6, seed=2, poses=2)
    assert (found.labels == np.arange(6) % 2).all()
    for number in range(6):
        event = EVENTS[found.events[number]]
        assert found.decided[number].sum() == (event != "nothing")
        if event == "camera dies":
            at = int(found.decided[number].argmax())
            dark = (found.pictures[number] == 0).all((1, 2))
            assert dark[at:].any(1).all() and not dark[:at].any()


def test_four_cameras_lie_two_by_two() -> None:
    pictures = np.arange(2 * 3 * 4 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4, 4)
    tiled = side_by_side(pictures)
    assert tiled.shape == (2, 3, 8, 8, 1)
    assert (tiled[:, :, :4, 4:, 0] == pictures[..., 1]).all()
    assert (tiled[:, :, 4:, :4, 0] == pictures[..., 2]).all()


def test_ways_along_moves_of_the_limb_join_and_show_the_tag_in_looks_alone() -> None:
    moves, rng = LimbMoves.record(2, seed=2), np.random.default_rng(0)
    entry, leave = moves.some_look(rng)
    before, after = moves.leading_to(rng, entry.start, 6), moves.onward(rng, leave.end, 6)
    way = [*before, entry, leave, *after]
    assert all(one.end == other.start for one, other in pairwise(way))
    assert not any(move.in_view.any() for move in [*before, *after])
    assert (entry.in_view.any(0) | leave.in_view.any(0)).sum() == 1
    drawn = np.abs(np.diff(entry.pictures.astype(int), axis=0)).mean((1, 2, 3))
    assert drawn[0] > 1.0 > drawn[-1], "the limb arrives, then stands"


# -- learning -------------------------------------------------------------------------------------


def test_what_decided_is_learned_from_outcomes_alone() -> None:
    clips, labels, _ = blinking(96, 8)
    test_clips, _, decided = blinking(40, 8, seed=9)
    options = IdentifierOptions(
        4, 12, batch_size=8, width=4, units=8, learning_rate=5e-3, sparsity=0.1
    )
    model = CriticalStates(1, 2, options).learn(clips, labels)
    assert score(model.predict(test_clips) >= 0.5, decided, 0).f1 > 0.9


def test_a_broken_off_learning_goes_on_exactly_and_files_keep_what_was_learned(
    tmp_path: Path,
) -> None:
    clips, labels, _ = blinking(24)
    whole = CriticalStates(1, 2, SMALL).learn(clips, labels)
    kept, told = tmp_path / "state.checkpoint", []
    begun = CriticalStates(1, 2, SMALL)
    begun.learn(clips, labels, checkpoint=kept, cancelled=kept.exists)
    assert begun.epochs_done == 1
    resumed = CriticalStates(1, 2, SMALL).learn(
        clips, labels, checkpoint=kept, on_epoch=lambda done, losses: told.append(done)
    )
    assert told == [2, 3]
    assert (resumed.predict(clips) == whole.predict(clips)).all()
    resumed.card["cameras"] = ["one"]
    resumed.save(tmp_path / "model.safetensors")
    loaded = CriticalStates.load(tmp_path / "model.safetensors")
    assert (loaded.predict(clips) == whole.predict(clips)).all()
    assert (loaded.predict_return(clips) == whole.predict_return(clips)).all()
    assert loaded.card == {"cameras": ["one"]} and loaded.options == SMALL


def test_returns_may_be_numbers() -> None:
    clips, labels, _ = blinking(16)
    model = CriticalStates(1, 0, SMALL).learn(clips, labels.astype(np.float64) * 3.5)
    assert model.predict_return(clips).shape == (16, 1)
    assert set(model.history[-1]) == {
        "predictor",
        "sufficiency",
        "necessity",
        "sparsity",
        "spurious",
    }


def test_a_mask_of_ones_keeps_all_and_leaves_nothing() -> None:
    torch.manual_seed(0)
    predictor = ReturnPredictor(1, 2, 4, 2)
    frames = torch.rand(3, 5, 1, 16, 16)
    features, nothing = predictor.encoder(frames), predictor.encoder(torch.zeros(1, 1, 1, 16, 16))
    target = torch.tensor([0, 1, 1])
    losses = mask_losses(predictor, torch.ones(3, 5), features, nothing, target, 2)
    whole = torch.nn.functional.cross_entropy(predictor(features), target, label_smoothing=0.1)
    assert torch.allclose(losses.sufficiency, whole)
    assert losses.necessity.item() == pytest.approx(0.0, abs=1e-12)
    assert losses.sparsity.item() == 5.0


def test_only_clips_of_explained_classes_count_and_masks_of_others_are_spurious() -> None:
    torch.manual_seed(0)
    predictor = ReturnPredictor(1, 2, 4, 2)
    features = predictor.encoder(torch.rand(3, 5, 1, 16, 16))
    nothing = predictor.encoder(torch.zeros(1, 1, 1, 16, 16))
    mask, target = torch.rand(3, 5), torch.tensor([0, 1, 1])
    losses = mask_losses(predictor, mask, features, nothing, target, 2, (1,))
    own = mask_losses(predictor, mask[1:], features[1:], nothing, target[1:], 2)
    assert torch.allclose(losses.sufficiency, own.sufficiency)
    assert torch.allclose(losses.sparsity, mask[1:].sum(1).mean())
    assert torch.allclose(losses.spurious, mask[0].sum())
    none = mask_losses(predictor, mask[:1], features[:1], nothing, target[:1], 2, (1,))
    assert none.sufficiency.item() == 0.0 and none.spurious.item() > 0.0


def test_with_successes_explained_failures_are_left_unmarked() -> None:
    clips, labels, _ = blinking(48)
    test_clips, test_labels, decided = blinking(24, seed=1)
    options = IdentifierOptions(
        4, 12, 8, 5e-3, 5e-3, sparsity=0.1, explained=(1,), falling=True, width=4, units=8
    )
    model = CriticalStates(1, 2, options).learn(clips, labels)
    masks = model.predict(test_clips)
    assert not (masks[test_labels == 0] >= 0.5).any()
    assert score(masks >= best_threshold(masks, decided), decided, 1).f1 > 0.9


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"clips": np.zeros((4, 3, 16, 16, 3), np.uint8)}, "shape"),
        ({"returns": np.zeros(4, np.int64)}, "same return"),
        ({"returns": np.array([0, 1, 2, 1])}, "from 0 to 1"),
        ({"returns": np.array([0.0, 1.0, np.nan, 1.0])}, "no finite number"),
        ({"returns": np.array([0, 1])}, "give one each"),
    ],
)
def test_clips_that_teach_nothing_are_refused_in_one_sentence(
    change: dict[str, Any], word: str
) -> None:
    given = {"clips": np.zeros((4, 3, 16, 16, 1), np.uint8), "returns": np.array([0, 1, 0, 1])}
    with pytest.raises(UserError, match=word):
        CriticalStates(1, 2, SMALL).learn(**{**given, **change})


def test_other_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    CriticalStates(1, 2, SMALL).save(path)
    card = path.with_suffix(".json")
    card.write_text(card.read_text().replace("deep_state_identifier", "ppo"))
    with pytest.raises(UserError, match="no detector of critical states"):
        CriticalStates.load(path)


# -- scores and other choices ---------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=9, max_size=9), min_size=1, max_size=4))
def test_a_score_is_one_for_the_truth_and_grows_with_the_tolerance(rows: list[list[bool]]) -> None:
    true = np.array(rows)
    moved = np.roll(true, 1, axis=1)
    if true.any():
        assert score(true, true, 0).f1 == 1.0
    f1s = [score(moved, true, tolerance).f1 for tolerance in range(9)]
    assert f1s == sorted(f1s)


def test_a_score_by_hand() -> None:
    true = np.array([[0, 0, 1, 0, 0, 0, 0, 1]], np.bool_)
    marked = np.array([[0, 1, 0, 0, 1, 0, 0, 0]], np.bool_)
    found = score(marked, true, 1)
    assert (found.precision, found.recall, found.f1) == (0.5, 0.5, 0.5)
    assert onsets(np.array([[1, 1, 0, 1]], np.bool_)).tolist() == [[True, False, False, True]]


def test_other_choices_mark_as_many_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    clips, _, _ = blinking(5)
    model, counts = CriticalStates(1, 2, SMALL), np.array([0, 1, 2, 3, 4])
    for name in ("random", "uniform", "gradient saliency"):
        assert (CHOOSERS.get(name)(model, clips, counts, 0).sum(1) == counts).all()
    assert highest(np.array([[0.1, 0.9, 0.5]]), np.array([2])).tolist() == [[False, True, True]]
    real = builtins.__import__

    def without_captum(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("captum"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_captum)
    with pytest.raises(UserError, match="pip install captum"):
        CHOOSERS.get("integrated gradients")(model, clips, counts, 0)


def test_captum_finds_the_white_frame_of_a_predictor_that_knows_it() -> None:
    pytest.importorskip("captum")
    clips, _, _ = blinking(4)
    counts = np.full(4, 2)
    marks = CHOOSERS.get("integrated gradients")(CriticalStates(1, 2, SMALL), clips, counts, 0)
    assert (marks.sum(1) == 2).all()
