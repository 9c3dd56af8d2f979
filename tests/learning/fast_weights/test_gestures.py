"""Gestures with samples missing: files, tokens, memories side by side, and the study's command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from asterias.errors import UserError
from asterias.files import read_json
from learning.__main__ import main
from learning.fast_weights.gestures import series as series_module
from learning.fast_weights.gestures import study
from learning.fast_weights.gestures.networks import MEMORIES, SeriesClassifier
from learning.fast_weights.gestures.series import (
    NAME,
    TOKEN_SIZE,
    IrregularSeries,
    dropped,
    read_gestures,
    token_rows,
)
from learning.fast_weights.gestures.study import GestureRun, folds_of, ridge_classes
from learning.fast_weights.gestures.training import ClassifierOptions, Fold, classify


def _waves(count: int, seed: int) -> tuple[list[IrregularSeries], np.ndarray]:
    """Slow waves (class 0) and fast ones (class 1), of several lengths."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    made = []
    for label in labels:
        times = np.arange(rng.integers(40, 60), dtype=float)
        rate = 0.8 if label else 0.15
        made.append(IrregularSeries(times, np.sin(rate * times + rng.uniform(0, 6))))
    return made, labels


def _write(folder: Path, count: int = 10) -> Path:
    folder.mkdir()
    for seed, part in enumerate(("TRAIN", "TEST")):
        waves, labels = _waves(count, seed)
        rows = [
            ",".join(f"{v:.3f}" for v in wave.values) + f":{label}"
            for wave, label in zip(waves, labels, strict=True)
        ]
        text = "\n".join(["# of a test", "@problemName waves", "@data", *rows])
        (folder / f"{NAME}_{part}.ts").write_text(text, encoding="utf-8")
    return folder


def test_ts_files_are_read_with_their_classes(tmp_path: Path) -> None:
    sets = read_gestures(_write(tmp_path / "data"))
    assert len(sets.learned) == len(sets.tested) == 10
    assert sets.learned_labels.tolist() == [0, 1] * 5
    assert len(sets.learned[0].values) == len(_waves(10, 0)[0][0].values)


def test_missing_or_damaged_files_get_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_gestures(tmp_path)
    folder = _write(tmp_path / "data")
    (folder / f"{NAME}_TEST.ts").write_text("@data\n1,2,x:1\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"no \.ts file"):
        read_gestures(folder)
    monkeypatch.setattr(series_module, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install --no-deps aeon"):
        read_gestures()


def test_dropping_keeps_order_and_share() -> None:
    (one,) = dropped(
        [IrregularSeries(np.arange(2000.0), np.arange(2000.0))], 0.3, np.random.default_rng(0)
    )
    assert 0.65 < len(one.times) / 2000 < 0.75
    assert (np.diff(one.times) > 0).all()
    assert (one.values == one.times).all()
    (short,) = dropped(
        [IrregularSeries(np.arange(8.0), np.zeros(8))], 0.99, np.random.default_rng(0)
    )
    assert len(short.times) >= 6


def test_tokens_tell_mean_rise_and_time_of_each_group() -> None:
    values = np.array([1.0, 2.0, 3.0, 6.0, 5.0, 5.0])
    times = np.array([0.0, 1.0, 4.0, 5.0, 10.0, 20.0])
    tokens, at, last = token_rows(
        [IrregularSeries(times, values), IrregularSeries(times[:4], values[:4])]
    )
    assert tokens.shape == (2, 2, TOKEN_SIZE)
    assert last.tolist() == [1, 0]
    np.testing.assert_allclose(tokens[0, :, 0], [3.0, 5.0])
    np.testing.assert_allclose(tokens[0, :, 2], [5.0, 0.0])
    np.testing.assert_allclose(at[0], [0.1, 0.4])
    np.testing.assert_allclose(tokens[1, 1], tokens[1, 0])  # the last one, repeated


@pytest.mark.parametrize("name", MEMORIES.names())
def test_what_follows_the_last_token_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    net = SeriesClassifier(MEMORIES.get(name)(TOKEN_SIZE), 3)
    tokens, times = torch.randn(1, 6, TOKEN_SIZE), torch.arange(6.0)[None] * 0.1
    last = torch.tensor([3])
    whole = net(tokens, times, last)
    tokens[:, 4:] = 9.0
    torch.testing.assert_close(net(tokens, times, last), whole)
    assert not torch.allclose(net(tokens, times, torch.tensor([4])), whole)


def test_networks_side_by_side_learn_as_each_does_alone() -> None:
    folds = []
    for seed in range(2):
        learned, labels = _waves(8, seed)
        folds.append(Fold(learned, labels, _waves(20, 50 + seed)[0]))
    options = ClassifierOptions("gru_d", updates=25, batch=8, seed=3)
    both = classify(folds, 2, options)
    (alone,) = classify(folds[:1], 2, options)
    assert (both[0] == alone).mean() >= 0.9  # sums in another order
    assert (both[1] == np.arange(20) % 2).mean() >= 0.8


def test_cross_validation_never_asks_what_was_learned_and_leaves_the_test_alone(
    tmp_path: Path,
) -> None:
    sets = read_gestures(_write(tmp_path / "data"))
    run = GestureRun(ClassifierOptions("ridge"), seeds=5, share=0.0, validate=True)
    asked: list[int] = []
    for fold, true in folds_of(run, sets):
        assert len(fold.learned) + len(fold.asked) == len(sets.learned)
        learned = {id(one.values) for one in fold.learned}
        assert not learned & {id(one.values) for one in fold.asked}
        assert set(true.tolist()) == {0, 1}
        asked.append(len(true))
    assert sum(asked) == len(sets.learned)


def test_ridge_tells_waves_apart() -> None:
    learned, labels = _waves(20, 0)
    asked, true = _waves(40, 1)
    assert (ridge_classes(Fold(learned, labels, asked)) == true).mean() > 0.9


def test_command_writes_results_and_does_nothing_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _write(tmp_path / "data")
    words = ["gestures", "--out", str(tmp_path / "out"), "--data", str(folder)]
    words += ["--memories", "delta_ode", "gru_d", "--seeds", "2", "--updates", "2"]
    assert main([*words, "--json", str(tmp_path / "found.json")]) == 0
    found = read_json(tmp_path / "found.json")
    assert [row["memory"] for row in found["rows"]] == ["delta_ode", "gru_d", "ridge"]
    assert set(found["better_worse_seeds"]) == {"gru_d", "ridge"}
    kept = sorted((tmp_path / "out").glob("*.json"))
    changed = {**json.loads(kept[0].read_text()), "mean": 12.5}
    kept[0].write_text(json.dumps(changed))
    assert main(words) == 0
    assert "12.5" in capsys.readouterr().out
    assert main([*words, "--share", "1"]) != 0


def test_settings_are_chosen_where_the_test_is_not_seen_and_tested_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "SETTINGS", ((1, 0.01), (2, 0.02)))
    words = ["gestures", "--out", str(tmp_path / "out"), "--data", str(_write(tmp_path / "data"))]
    words += ["--memories", "delta_exact", "--seeds", "2", "--choose"]
    assert main([*words, "--json", str(tmp_path / "found.json")]) == 0
    row, ridge = read_json(tmp_path / "found.json")["rows"]
    best = max(row["tried"], key=lambda one: one["mean"])
    assert len(row["tried"]) == 2 and "tried" not in ridge
    assert (row["updates"], row["learning_rate"]) == (best["updates"], best["learning_rate"])
    files = [path.stem for path in (tmp_path / "out").glob("delta_exact_*.json")]
    assert sorted(name.rsplit("_", 1)[1] for name in files) == ["test", "validation", "validation"]
    assert main([*words, "--validate"]) != 0
