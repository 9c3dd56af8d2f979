"""The zoo of formal languages: words, vmapped training, emulation, exact resume, the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from asterias.errors import UserError
from learning.__main__ import main
from learning.weight_space.zoo.emulation_training import (
    EmulationOptions,
    held_out_runs,
    train_encoder,
)
from learning.weight_space.zoo.languages import END, LENGTH, OFFSETS, A, B, accepted, draw_words
from learning.weight_space.zoo.linear_probe import explained, probe_accuracy
from learning.weight_space.zoo.training import Zoo, ZooOptions, make_zoo

SMALL = ZooOptions(networks=12, hidden=4, snapshots=(2, 5), batch=4)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    made = make_zoo(tmp_path_factory.mktemp("zoo"), SMALL)
    assert made is not None
    return made


class StopAfter:
    """Asks to stop at the n-th question."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __call__(self) -> bool:
        self.left -= 1
        return self.left <= 0


def test_drawn_words_belong_to_their_language_and_to_no_other() -> None:
    tasks = torch.arange(len(OFFSETS))
    words, mask = draw_words(tasks, 50, torch.Generator().manual_seed(0))
    assert words.shape == (6, 50, LENGTH + 1) and (words[..., 0] == END).all()
    assert accepted(words[..., 1:], tasks).all()
    assert not accepted(words[..., 1:], tasks.roll(1)).any()
    # What counts: the word's letters and its end.
    letters = ((words == A) | (words == B)).sum(-1)
    assert torch.equal(mask.sum(-1), letters + 1)


@pytest.mark.parametrize(
    "word", [[A, B, A, B, END, END], [B, B, END, END, END, END], [A, A, B, B, B, B], [END] * 6]
)
def test_words_out_of_order_empty_or_without_end_do_not_belong(word: list[int]) -> None:
    tasks = torch.tensor([OFFSETS.index(0), OFFSETS.index(2)])
    assert not accepted(torch.tensor([[word], [word]]), tasks).any()


def test_the_zoo_learns_its_languages_and_goes_on_exactly(zoo: Zoo, tmp_path: Path) -> None:
    assert zoo.tasks.shape == (24,) and (zoo.runs[:12] == zoo.runs[12:]).all()
    assert make_zoo(tmp_path, SMALL, should_stop=StopAfter(3)) is None
    again = make_zoo(tmp_path, SMALL)
    assert again is not None
    for name, part in zoo.nets.items():
        assert torch.equal(part, again.nets[name])
    with pytest.raises(UserError, match="hidden 4, not 5"):
        make_zoo(tmp_path, ZooOptions(networks=12, hidden=5, snapshots=(2, 5), batch=4))
    with pytest.raises(UserError, match="6 networks"):
        make_zoo(tmp_path / "few", ZooOptions(networks=5))


@pytest.mark.slow
def test_after_hundred_updates_networks_know_their_language(tmp_path: Path) -> None:
    made = make_zoo(tmp_path, ZooOptions(networks=12, snapshots=(1, 150)))
    assert made is not None
    assert made.accuracy[:12].mean() < 0.1 and made.accuracy[12:].mean() > 0.6


def test_whole_trainings_are_held_out_the_same_share_of_each_language(zoo: Zoo) -> None:
    held = held_out_runs(zoo, 0)
    assert torch.equal(held[:12], held[12:])
    assert [int(held[zoo.tasks == task].sum()) for task in range(6)] == [2] * 6
    assert not torch.equal(held, held_out_runs(zoo, 1))


@pytest.mark.parametrize("name", ["flat", "interactive_probing"])
def test_emulation_goes_on_exactly(name: str, zoo: Zoo, tmp_path: Path) -> None:
    options = EmulationOptions(name, updates=4, nets=6, words=1)
    whole = train_encoder(tmp_path / "whole.safetensors", zoo, options)
    part = tmp_path / "part.safetensors"
    assert train_encoder(part, zoo, options, should_stop=StopAfter(2)) is None
    again = train_encoder(part, zoo, options)
    assert whole is not None and again is not None and again.losses == whole.losses
    assert torch.equal(again.embeddings(), whole.embeddings())
    assert torch.allclose(again.embeddings().norm(dim=1), torch.ones(24))
    figures = again.measure()
    assert 0 <= figures["task_accuracy"] <= 1 and 0 < figures["total_variation"] < 1


def test_linear_probes_read_what_is_there_and_nothing_from_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(400, 6, generator=generator)
    held = torch.arange(400) % 4 == 0
    labels = (features[:, 0] > 0).long() + 2 * (features[:, 1] > 0).long()
    assert probe_accuracy(features, labels, held) > 0.9
    noise = torch.randint(4, (400,), generator=generator)
    assert probe_accuracy(features, noise, held) < 0.45
    assert explained(features, 2 * features[:, 2] - 1, held) > 0.99
    assert explained(features, torch.randn(400, generator=generator), held) < 0.1


def test_the_command_makes_rows_and_a_picture_and_does_nothing_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--networks", "12", "--snapshots", "2", "4", "--updates", "2", "--seeds", "1"]
    out, path = tmp_path / "out", tmp_path / "rows.json"
    words = ["weight-space", "--out", str(out), "--encoders", "statistics", "probing", *few]
    assert main([*words, "--json", str(path), "--picture", str(tmp_path / "p.png")]) == 0
    told = json.loads(path.read_text())
    assert [row["encoder"] for row in told["rows"]] == ["statistics", "probing"]
    assert all(row["permutation_change"][0] < 1e-5 for row in told["rows"])
    assert told["zoo"]["networks"] == 12 and (tmp_path / "p.png").stat().st_size > 5000
    before = (out / "probing_0.safetensors").stat().st_mtime_ns
    assert main(words) == 0 and (out / "probing_0.safetensors").stat().st_mtime_ns == before
    capsys.readouterr()
    assert main(["weight-space", "--out", str(out), "--encoders", "flta"]) == 2
    assert "flat" in capsys.readouterr().err
    assert main(["weight-space", "--out", str(out), "--seeds", "0"]) == 2
    assert "--seeds must be 1 or more" in capsys.readouterr().err
