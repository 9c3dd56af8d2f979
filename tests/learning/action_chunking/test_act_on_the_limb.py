"""``--algo act``: from demonstrations to a policy that LeRobot's folder holds as well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asterias.errors import UserError
from learning.action_chunking import limb_training
from learning.action_chunking.limb_policy import LimbActPolicy
from learning.action_chunking.limb_training import CHUNK, FPS, frames_of, train_request
from learning.action_chunking.network import ActNetwork, ActShape, plane_sines, sines
from learning.recordings.episode_data import EpisodeData, episode_data
from learning.target_finding.algorithms.registry import TrainingRequest, ignore_progress, never_stop
from learning.target_finding.env.options import TargetFindingOptions
from learning.target_finding.policies.policy_files import load_policy

HOME = 0.3
STEP = 5  # frames between two commands


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
