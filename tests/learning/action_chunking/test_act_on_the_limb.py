"""``--algo act``: from demonstrations to a policy that LeRobot's folder holds as well."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from asterias.errors import UserError
from learning.action_chunking import limb_training
from learning.action_chunking.limb_policy import LimbActPolicy
from learning.action_chunking.limb_training import CHUNK, FPS, chunk_loss, frames_of, train_request
from learning.action_chunking.network import ActNetwork, ActShape, plane_sines, sines
from learning.recordings.episode_data import EpisodeData, episode_data
from learning.target_finding.algorithms.checkpoint import CHECKPOINT_FILE
from learning.target_finding.algorithms.registry import TrainingRequest, ignore_progress, never_stop
from learning.target_finding.env.options import TargetFindingOptions
from learning.target_finding.policies.policy_files import load_policy
from learning.training.replay_options import ReplayOptions

HOME = 0.3
STEP = 5  # frames between two commands
DECISIVE = ReplayOptions("criticality", share=0.8, correction=0.5)


def homing(count: int) -> list[EpisodeData]:
    """Demonstrations that go half of the way to one pose, once a second."""
    rng, shown = np.random.default_rng(0), []
    for _ in range(count):
        at, states, actions = rng.uniform(-1, 1, 4), [], []
        for _ in range(3):
            goal = at + (HOME - at) / 2
            states += [at] + (STEP - 1) * [goal]
            actions += STEP * [goal]
            at = goal
        about: dict[str, Any] = {"task": "go home", "success": True, "cameras": ()}
        shown.append(
            episode_data(
                states=states, actions=actions, fps=FPS, picture=lambda camera, t: None, **about
            )
        )
    return shown


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TrainingRequest:
    """A request with twelve demonstrations."""
    monkeypatch.setattr(limb_training, "chosen_episodes", lambda *words: homing(12))
    monkeypatch.setattr(limb_training, "_SAVE_EVERY", 20)
    monkeypatch.setattr(limb_training, "BATCH", 16)
    options = TargetFindingOptions()
    return TrainingRequest(tmp_path / "act", options, "act", steps=60, recordings=tmp_path)


def test_frames_hold_the_commands_from_there_on_and_what_is_padded() -> None:
    episode = homing(1)[0]
    frames = frames_of([episode], slice(None))
    assert frames.states.shape == (14, 4) and frames.chunks.shape == (14, CHUNK, 4)
    assert frames.step_s == STEP / FPS
    np.testing.assert_array_equal(frames.chunks[3, :5], episode.actions[3:8])
    assert frames.padded[3].tolist() == CHUNK * [False]
    assert frames.padded[12].tolist() == [False, False, *(CHUNK - 2) * [True]]


def test_it_learns_where_the_demonstrations_go_and_is_resumed_exactly(
    asked: TrainingRequest, tmp_path: Path
) -> None:
    summary = train_request(asked, ignore_progress, never_stop)
    assert summary["losses"][-1] < 0.7 * summary["losses"][0]
    policy = load_policy(asked.out)
    assert isinstance(policy, LimbActPolicy) and policy.ahead == STEP - 1
    at = np.array([0.4, -0.2, 0.1, 0.5])
    seen = np.concatenate([policy.unit.command(at), np.full(4, 0.25)]).astype(np.float32)
    went = policy.unit.position_rad(policy.unit.command(at) + policy.act(seen, None)) - at
    np.testing.assert_allclose(went, (HOME - at) / 2, atol=0.2)
    with pytest.raises(UserError, match="holds a policy"):
        train_request(asked, ignore_progress, never_stop)

    broken = replace(asked, out=tmp_path / "broken")
    with pytest.raises(KeyboardInterrupt):
        train_request(broken, ignore_progress, lambda: True)
    train_request(replace(broken, resume=True), ignore_progress, never_stop)
    again = load_policy(broken.out)
    np.testing.assert_array_equal(policy.act(seen, None), again.act(seen, None))


def decisive(count: int) -> list[EpisodeData]:
    """Demonstrations whose last move decided."""
    mask = np.repeat([0.0, 0.0, 1.0], STEP).astype(np.float32)
    return [replace(episode, criticality=lambda: mask) for episode in homing(count)]


def test_a_priority_draws_chunks_that_decided_and_is_resumed_exactly(
    asked: TrainingRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="key-frames FOLDER"):
        train_request(replace(asked, replay=DECISIVE), ignore_progress, never_stop)
    monkeypatch.setattr(limb_training, "chosen_episodes", lambda *words: decisive(12))
    values = limb_training.criticality_of(decisive(2))
    assert values.shape == (28,) and values[0] == 0.0 and values[5] == 0.4 and values[13] == 0.1
    drawn = replace(asked, out=tmp_path / "drawn", replay=DECISIVE)
    assert train_request(drawn, ignore_progress, never_stop)["replay"] == {
        "by": "criticality",
        "share": 0.8,
        "correction": 0.5,
    }
    even = train_request(asked, ignore_progress, never_stop)
    assert even["replay"]["by"] == "uniform"

    broken = replace(drawn, out=tmp_path / "broken")
    with pytest.raises(KeyboardInterrupt):
        train_request(broken, ignore_progress, lambda: True)
    for other in (ReplayOptions(), replace(DECISIVE, share=0.7)):
        with pytest.raises(UserError, match="was made with replay"):
            train_request(replace(broken, resume=True, replay=other), ignore_progress, never_stop)
    train_request(replace(broken, resume=True), ignore_progress, never_stop)
    seen = np.full(8, 0.25, np.float32)
    whole, again, plain = (load_policy(one.out).act(seen, None) for one in (drawn, broken, asked))
    np.testing.assert_array_equal(whole, again)
    assert (whole != plain).any()


def test_a_checkpoint_of_before_priorities_goes_on(
    asked: TrainingRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limb_training, "chosen_episodes", lambda *words: decisive(12))
    with pytest.raises(KeyboardInterrupt):
        train_request(asked, ignore_progress, lambda: True)
    path = asked.out / CHECKPOINT_FILE
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["checkpoint"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del header["told"]["replay"]
    save_file(tensors, path, {"checkpoint": json.dumps(header)})
    with pytest.raises(UserError, match="was made with replay"):
        train_request(replace(asked, resume=True, replay=DECISIVE), ignore_progress, never_stop)
    summary = train_request(replace(asked, resume=True), ignore_progress, never_stop)
    assert summary["updates"] == 60


def test_importance_weights_count_in_the_loss() -> None:
    network = ActNetwork(ActShape(2, 1, (), 2, 3, width=8, heads=2, style=4)).eval()
    rng = torch.Generator().manual_seed(0)
    state, chunk = torch.rand(2, 2, generator=rng), torch.rand(2, 3, 2, generator=rng)
    shown = chunk, torch.zeros(2, 3, dtype=torch.bool)

    def loss(*weights: float) -> float:
        torch.manual_seed(0)
        told = chunk_loss(network, state, torch.zeros(2, 1), shown, torch.tensor(weights))
        return float(told.detach())

    assert loss(1.0, 0.0) + loss(0.0, 1.0) == pytest.approx(loss(1.0, 1.0), rel=1e-5)
    assert loss(2.0, 2.0) == pytest.approx(2 * loss(1.0, 1.0), rel=1e-5)
    assert loss(1.0, 0.0) != pytest.approx(loss(0.0, 1.0), rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recordings": None}, "needs --recordings"),
        ({"padded": True}, "imitates"),
        ({"options": TargetFindingOptions(observe="images")}, "trained by LeRobot and imported"),
    ],
)
def test_what_cannot_be_cloned_is_refused(
    asked: TrainingRequest, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        train_request(replace(asked, **changes), ignore_progress, never_stop)


def test_places_and_pictures_have_their_shapes() -> None:
    assert sines(3, 8).shape == (3, 8)
    torch.testing.assert_close(sines(1, 4)[0], torch.tensor([0.0, 1.0, 0.0, 1.0]))
    plane = plane_sines(2, 3, 8)
    assert plane.shape == (6, 8)
    # Rows come first: the first three places share them, and differ by columns.
    assert bool((plane[0, :4] == plane[2, :4]).all()) and bool((plane[0, 4:] != plane[1, 4:]).any())
    shape = ActShape(2, 0, ((3, 40, 64),), 2, 3, width=8, heads=2, style=4, norm_first=True)
    network = ActNetwork(shape).eval()
    rng = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, 40, 64, generator=rng)
    dark, light = (network(torch.zeros(1, 2), pictures=[p]) for p in (0 * picture, picture))
    assert dark.shape == (1, 3, 2) and bool((dark != light).any())
