"""Recurrent limb policies: their cells, trainings in a copy of the task, encoder, archive."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from asterias.errors import UserError
from learning.__main__ import main
from learning.policy_search.common.pose_map import PoseMap
from learning.policy_search.fingerprints.policy_group import PolicyLayers
from learning.target_finding.env.options import TargetFindingOptions, with_command_range
from learning.target_finding.exchange import onnx_export, sb3_export
from learning.target_finding.experiments.oracle_bound import SampledPoses
from learning.target_finding.policies.network_policy import NetworkPolicy
from learning.target_finding.policies.policy_files import find_policy
from learning.weight_space.archive.collection import answers_of
from learning.weight_space.archive.copy_runs import mean_steps
from learning.weight_space.archive.dead_camera_cost import (
    CostEpisodes,
    cost_episodes,
    cost_figures,
    reliability,
)
from learning.weight_space.archive.encoder_files import encoder_card, find_encoder, save_encoder
from learning.weight_space.archive.encoder_training import (
    LimbEncoderOptions,
    LimbEncoderTraining,
    ask_bank,
    make_population,
)
from learning.weight_space.archive.limb_encoder import LimbPolicyEncoder, LimbQuestions
from learning.weight_space.archive.pictures import map_places
from learning.weight_space.archive.policy_bank import PolicyBank
from learning.weight_space.archive.study import correlations, held_out_trainings, policy_card
from learning.weight_space.archive.trainings import Trained, TrainingOptions, make_trainings
from learning.weight_space.recurrent_nets import CELLS, NetForm, draw_nets, permuted

LAYERS = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
SMALL = TrainingOptions(trainings=6, hidden=4, snapshots=(1, 3), pairs=3, episodes=3)


@pytest.fixture(scope="module")
def copy() -> PoseMap:
    """A task that is easy to understand: cameras see the tag where the first servo is high."""
    options = with_command_range(TargetFindingOptions(cap=10))
    commands = np.random.default_rng(0).uniform(-1, 1, (500, 4)) * options.command_range
    seeing = np.zeros((500, 4), bool)
    seeing[:, :3] = (commands[:, 0] > 0.5)[:, None]
    return PoseMap(SampledPoses(commands, seeing), options)


@pytest.fixture(scope="module")
def trained(copy: PoseMap, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    made = make_trainings(tmp_path_factory.mktemp("trainings"), copy, SMALL)
    assert made is not None
    return made


@pytest.fixture
def archive(copy: PoseMap, trained: Trained, tmp_path: Path) -> Path:
    """A folder with the policies, and beside it an encoder."""
    for number in range(4):
        card = policy_card(trained, number * 3, copy)
        trained.bank.policy(number * 3, card).save(tmp_path / f"policies/p{number}.safetensors")
    save_encoder(tmp_path / "encoder.safetensors", encoder(copy), encoder_card(encoder(copy), copy))
    return tmp_path


def encoder(copy: PoseMap, interactive: bool = True) -> LimbPolicyEncoder:
    torch.manual_seed(0)
    questions = LimbQuestions(copy.options.command_range, 4, copy.options.increment)
    return LimbPolicyEncoder(questions, 10, interactive=interactive, rounds=3, parallel=2, width=8)


def bank_of(cell: str, count: int = 3) -> PolicyBank:
    form = NetForm(cell, 8, 5, 4)
    return PolicyBank([(form, draw_nets(form, count, torch.Generator().manual_seed(3)))])


def card_of(**more: Any) -> dict[str, Any]:
    options = asdict(with_command_range(TargetFindingOptions()))
    return {"cameras": 4, "options": {**options, **more}}


@pytest.mark.parametrize("cell", CELLS)
def test_a_saved_policy_remembers_as_pytorchs_cell_does(cell: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.safetensors"
    bank_of(cell).policy(1, card_of()).save(path)
    policy = find_policy(str(path))
    assert isinstance(policy, NetworkPolicy) and policy.cell == cell
    part = load_file(path)
    layer = LAYERS[cell](8, 5, batch_first=True)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    layer.load_state_dict({f"{k}_l0": torch.tensor(part[f"{cell}.{k}"]) for k in names})
    seen = np.random.default_rng(0).uniform(-1, 1, (6, 8)).astype(np.float32)
    with torch.no_grad():
        hidden = layer(torch.tensor(seen)[None])[0][0].numpy()
    wanted = 0.4 * np.tanh(hidden @ part["layer_0.weight"].T + part["layer_0.bias"])
    for _ in range(2):  # start() empties the memory
        policy.start()
        own = [policy.act(one, None) for one in seen]
        np.testing.assert_allclose(own, wanted, atol=1e-6)


def test_a_damaged_cell_and_exports_that_know_no_such_cell_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy.safetensors"
    policy = bank_of("gru").policy(0, card_of())
    policy.save(path)
    save_file({**load_file(path), "gru.bias_hh": np.zeros(7, np.float32)}, path)
    with pytest.raises(UserError, match=r"gru.bias_hh has the shape \(7,\) instead of \(15,\)"):
        find_policy(str(path))
    with pytest.raises(UserError, match="gru memory has no ONNX graph"):
        onnx_export.write(policy, tmp_path / "policy.onnx")
    with pytest.raises(UserError, match="gru memory has no form in stable-baselines3"):
        sb3_export.write(policy, tmp_path / "policy.zip")
    with pytest.raises(UserError, match="has a memory"):
        PolicyLayers.of(policy, "it")


def test_a_bank_of_all_cells_answers_as_its_policies_do_one_by_one(trained: Trained) -> None:
    bank, rng = trained.bank, np.random.default_rng(0)
    numbers = np.array([11, 0, 5, 4])
    asked = bank.asked(numbers, 2)
    singles = [answers_of(bank.policy(int(number), card_of()), 2) for number in numbers]
    for _ in range(3):
        x = torch.tensor(rng.uniform(-1, 1, (4, 2, 8)), dtype=torch.float32)
        together = asked(x)
        for row, single in enumerate(singles):
            torch.testing.assert_close(
                together[row], single(x[row : row + 1])[0], atol=1e-5, rtol=0
            )


def test_trainings_find_sooner_and_one_that_was_stopped_is_made_again_alike(
    copy: PoseMap, trained: Trained, tmp_path: Path
) -> None:
    asked = [0]

    def stop() -> bool:
        asked[0] += 1
        return asked[0] > 7  # in the third training

    assert make_trainings(tmp_path, copy, SMALL, should_stop=stop) is None
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    again = make_trainings(tmp_path, copy, SMALL)
    assert again is not None
    for (_, one), (_, other) in zip(trained.bank.groups, again.bank.groups, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    longer = replace(SMALL, trainings=2, snapshots=(1, 25), pairs=8, episodes=6)
    made = make_trainings(tmp_path / "longer", copy, longer)
    assert made is not None
    steps = mean_steps(copy, made.bank, 20, 0)[:, 0].reshape(2, 2)
    assert (steps[:, 1] < steps[:, 0]).all() and steps[:, 1].mean() < 5
    with pytest.raises(UserError, match="hidden 4, not 5"):
        make_trainings(tmp_path, copy, replace(SMALL, hidden=5))


def test_permuted_hidden_units_change_nothing_that_is_told(copy: PoseMap, trained: Trained) -> None:
    order = torch.tensor([2, 0, 3, 1])
    other = PolicyBank([(form, permuted(form, nets, order)) for form, nets in trained.bank.groups])
    for interactive in (True, False):
        one, two = (ask_bank(encoder(copy, interactive), bank) for bank in (trained.bank, other))
        assert np.abs(one["embedding"] - two["embedding"]).max() < 1e-5
        assert np.abs(one["steps"] - two["steps"]).max() < 1e-4


def test_questions_are_observations_that_the_task_can_give(copy: PoseMap) -> None:
    seen: list[torch.Tensor] = []

    def answer(x: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return torch.ones(len(x), 2, 4)

    encoder(copy)(answer, 1)
    questions = torch.stack(seen)
    assert questions.shape == (3, 1, 2, 8)
    assert (questions[..., :4].abs() <= torch.tensor(copy.reach) + 1e-6).all()
    torch.testing.assert_close(questions[..., 4:].sum(-1), torch.ones(3, 1, 2))
    # A policy that always goes up is asked further up.
    assert (questions[1, ..., :4] > questions[0, ..., :4] - 0.05).all()


def test_the_encoder_learns_and_goes_on_exactly(
    copy: PoseMap, trained: Trained, tmp_path: Path
) -> None:
    options = LimbEncoderOptions(updates=6, policies=8, measured=3, relatives=1, episodes=4)
    measured = np.full((12, 3), 5.0)
    population = make_population(trained, measured, np.array([0, 1, 2, 4]), copy, options)
    assert len(population.bank) == 16 and np.isfinite(population.measured).all(1).sum() == 8
    whole = LimbEncoderTraining(copy, population, options, tmp_path / "whole.safetensors")
    assert whole.learn()
    part = LimbEncoderTraining(copy, population, options, tmp_path / "part.safetensors")
    assert not part.learn(should_stop=lambda: part.done == 2)
    part = LimbEncoderTraining(copy, population, options, tmp_path / "part.safetensors")
    assert part.done == 2 and part.learn() and part.losses == whole.losses
    one, two = (ask_bank(some.encoder, trained.bank) for some in (whole, part))
    np.testing.assert_array_equal(one["steps"], two["steps"])
    with pytest.raises(UserError, match="relatives 1, not 2"):
        other = replace(options, relatives=2)
        LimbEncoderTraining(copy, population, other, tmp_path / "part.safetensors")


def test_folds_hold_out_whole_trainings_each_once() -> None:
    folds = [held_out_trainings(10, 3, fold) for fold in range(3)]
    assert sorted(run for fold in folds for run in fold) == list(range(10))
    measured = np.array([[2.0, 3, 4], [3, 5, 8], [9, 9, 9], [20, 20, 20]])
    told = correlations(measured + 1, measured)
    assert told["kill0"] == told["mean"] == told["tolerance"] == 1.0
    assert told["mean_error_steps"] == 1.0


def test_the_command_lists_neighbours_and_writes_archive_and_map(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "archive",
        str(archive / "policies"),
        "--encoder",
        str(archive / "encoder.safetensors"),
    ]
    assert main([*words, "--out", str(archive / "out")]) == 0
    told = json.loads((archive / "out/archive.json").read_text())
    assert [row["policy"] for row in told["policies"]] == ["p0", "p1", "p2", "p3"]
    row = told["policies"][0]
    assert 1 <= row["predicted_steps"]["kill12"] <= 10 and len(row["neighbours"]) == 3
    assert (archive / "out/map.png").stat().st_size > 10_000
    capsys.readouterr()
    assert main([*words, "--near", "p2", "--count", "1"]) == 0
    shown = capsys.readouterr().out
    assert "p2" in shown and "1.000" in shown
    assert main([*words, "--near", "p9"]) == 2
    assert "names none of the policies" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("ppo_kill0", {}, "is not recurrent"),
        ("ppo_mlp_kill0", {}, "is not recurrent"),
        ("p0", {"options": {"robot": "starfish"}}, "is of limb 0 of starfish"),
        ("p0", {"options": {"increment": 0.2}}, "trained for other commands"),
        (
            "p0",
            {"cameras": 3, "inputs": 7},
            "has observations of 7 numbers; the encoder asks with 8",
        ),
    ],
)
def test_what_cannot_be_asked_gets_one_sentence(
    name: str,
    change: dict[str, Any],
    sentence: str,
    archive: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = archive / "policies/odd.safetensors"
    if name == "p0":
        change = dict(change)  # the parameter's own serves a second try, too
        form = NetForm("gru", change.pop("inputs", 8), 5, 4)
        bank = PolicyBank([(form, draw_nets(form, 1, torch.Generator().manual_seed(0)))])
        card = card_of(**change.pop("options", {}))
        bank.policy(0, {**card, **change}).save(path)
    else:
        find_policy(name).save(path)
    words = [
        "archive",
        str(archive / "policies"),
        "--encoder",
        str(archive / "encoder.safetensors"),
    ]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert sentence in said and "odd" in said and said.count("\n") == 1


def test_the_shipped_encoder_asks_and_says_what_was_held_out(archive: Path) -> None:
    saved = find_encoder("limb_p1")
    assert saved.card["robot"] == "limb_p1" and saved.observation == 8
    assert saved.card["held_out_trainings"] and "mean" in saved.card["held_out"]
    assert main(["archive", str(archive / "policies")]) == 0


def test_folders_without_policies_and_broken_encoders_get_one_sentence(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "missing"):
        assert (
            main(
                [
                    "archive",
                    str(tmp_path / folder),
                    "--encoder",
                    str(archive / "encoder.safetensors"),
                ]
            )
            == 2
        )
        assert "holds no policy" in capsys.readouterr().err
    assert main(["archive", "--encoder", "x"]) == 2
    assert "Name one folder" in capsys.readouterr().err
    card = json.loads((archive / "encoder.json").read_text())
    for change in ({"width": 9}, {"width": 10**9}, {"kind": "policy"}, {"cap": None}):
        (archive / "encoder.json").write_text(json.dumps({**card, **change}))
        with pytest.raises(UserError, match="do not fit together"):
            find_encoder(str(archive / "encoder.safetensors"))
    with pytest.raises(UserError, match="There is no encoder 'nobody'"):
        find_encoder("nobody")


def test_the_map_shows_what_differs_most() -> None:
    far = np.array([[0.0, 0, 5], [0, 0.1, -5], [1, 0, 0]])
    places = map_places(far)
    assert places.shape == (3, 2) and abs(places[0, 0] - places[1, 0]) > 9.9
    assert map_places(far[:1]).tolist() == [[0.0, 0.0]]


@pytest.mark.slow
def test_the_study_makes_an_archive_figures_and_an_encoder(tmp_path: Path) -> None:
    few = [
        "--trainings",
        "4",
        "--episodes",
        "2",
        "--poses",
        "300",
        "--folds",
        "2",
        "--updates",
        "3",
    ]
    few += ["--questions", "interactive", "constant"]
    words = ["archive-study", "--out", str(tmp_path / "out"), *few]
    files = [tmp_path / name for name in ("rows.json", "rows.png", "encoder.safetensors")]
    options = zip(("--json", "--picture", "--encoder"), files, strict=True)
    assert main([*words, *(word for option in options for word in map(str, option))]) == 0
    told = json.loads(files[0].read_text())
    assert told["policies"] == 20 and set(told["encoders"]) == {"interactive", "constant"}
    assert all(path.stat().st_size > 1000 for path in files)
    policies = str(tmp_path / "out/policies")
    assert main(["archive", policies, "--encoder", str(files[2])]) == 0
    assert find_encoder(str(files[2])).card["held_out_trainings"] in told["held_out"]


def test_bad_options_of_the_study_get_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["archive-study", "--out", str(tmp_path / "out")]
    for more, sentence in (
        (["--folds", "1"], "--folds must be 2 or more"),
        (["--trainings", "3"], "--trainings must be 6 or more"),
        (["--questions", "constant", "constant"], "--questions takes"),
    ):
        assert main([*words, *more]) == 2
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_pairs_of_episodes_have_the_same_starts(copy: PoseMap, trained: Trained) -> None:
    made = cost_episodes(copy, trained.bank, 40)
    assert made.alive.shape == (len(trained.bank), 40)
    # Three of four cameras see the tag from the same poses: most pairs are the same episode twice.
    assert (made.dead == made.alive).mean() > 0.8 > (made.others == made.alive).mean()


def test_a_measure_is_as_reliable_as_its_episodes_are_many() -> None:
    rng = np.random.default_rng(0)
    cost = rng.normal(size=(100, 1))
    noisy = cost + 4.0 * rng.normal(size=(100, 128))
    few, many = reliability(noisy, 4), reliability(noisy, 64)
    # Spearman-Brown: 1 / (1 + 16 / M); ranks correlate a little less.
    assert abs(few - 0.2) < 0.12 and abs(many - 0.8) < 0.1
    alive = np.full((100, 128), 4.0)
    told = {name: np.hstack([alive[:, :2], 4.0 + cost]) for name in ("steps", "copy_steps")}
    held = np.arange(100) < 60
    found = cost_figures(CostEpisodes(alive, alive + noisy, alive + noisy), told, held, 25)
    assert found["able_held_out"] == 60 and found["predicted"]["steps"] > 0.85
    assert [row["episodes"] for row in found["reliability"]] == [4, 16, 64]


def test_cost_command_refuses_what_cannot_be(tmp_path: Path) -> None:
    assert main(["archive-cost", "--out", str(tmp_path), "--episodes", "4"]) != 0
