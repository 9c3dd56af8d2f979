"""``--algo diffusion``: from MCAP recordings and LeRobot data sets to a policy that searches."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from asterias.errors import UserError
from asterias_nodes.runtime.conversions import to_image_msg, to_time_msg
from asterias_nodes.runtime.message_definitions import message_definition
from learning.__main__ import main
from learning.diffusion_policy import find_study, limb_training
from learning.diffusion_policy.demonstrations import read_demonstrations
from learning.diffusion_policy.find_study import shown_by_policy
from learning.diffusion_policy.limb_policy import LimbDiffusionPolicy
from learning.diffusion_policy.sampling import SamplingSettings
from learning.recordings.bags.bag_writer import Bag, Topic
from learning.recordings.episodes import EpisodeStore
from learning.recordings.exporters.registry import EXPORTERS, ExportOptions
from learning.recordings.plots.criticality import ENDING, write_sidecar
from learning.recordings.reading import find_recordings
from learning.recordings.sampling import sample
from learning.target_finding.algorithms.registry import ALGORITHMS, TrainingRequest
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import TargetFindingOptions, with_command_range
from learning.target_finding.experiments.evaluation import episodes
from learning.target_finding.policies.policy_files import (
    POLICY_FILE,
    PolicySearcher,
    find_policy,
    load_policy,
)

JOINTS = ["shoulder_yaw", "shoulder_pitch", "wrist_roll", "finger"]
SECOND = 1_000_000_000
MOVES, CAMERAS = 3, 4
HOME = 0.3
COMMANDS = with_command_range(TargetFindingOptions())
IMAGES = replace(COMMANDS, observe="images")


def shade(at: np.ndarray) -> int:
    """What all cameras show at a pose."""
    return int(128 + 60 * np.clip(at[0], -1, 1))


def write_homing(
    root: Path, count: int, joints: int = 4, cameras: int = CAMERAS, rate: int = 10
) -> None:
    """Demonstrations that go half of the way to one pose with each move, a second apart."""
    store, rng = EpisodeStore(root), np.random.default_rng(3)
    names = [*JOINTS, *(f"joint_{i}" for i in range(4, joints))]
    kinds = {"/limb_0/joint_states": JointState, "/limb_0/joint_trajectory": JointTrajectory}
    kinds |= {f"/limb_0/camera_{j}/image_raw": Image for j in range(cameras)}
    for _ in range(count):
        path, card = store.begin("go home")
        bag = Bag(path)
        for name, kind in kinds.items():
            text = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
            bag.add_topic(Topic(name, text, message_definition(text)))

        def say(topic: str, message: Any, time_s: float, bag: Bag = bag) -> None:
            time_ns = round(time_s * SECOND)
            bag.write(topic, serialize_message(message), time_ns, time_ns)

        at = rng.uniform(-1.0, 1.0, joints)
        for tick in range(rate * MOVES + rate // 2 + 1):
            time_s = 100 + tick / rate
            header = Header(stamp=to_time_msg(time_s))
            if tick % rate == rate // 2:
                at = at + (HOME - at) / 2
                point = JointTrajectoryPoint(positions=at.tolist())
                move = JointTrajectory(joint_names=names, points=[point])
                say("/limb_0/joint_trajectory", move, time_s)
            say("/limb_0/joint_states", JointState(header=header, name=names, position=at), time_s)
            for j in range(cameras):
                pixels = np.full((48, 48, 3), shade(at), np.uint8)
                image = to_image_msg(pixels, to_time_msg(time_s), "camera")
                say(f"/limb_0/camera_{j}/image_raw", image, time_s)
        bag.close()
        store.end(type(card)(card.episode, card.task, outcome="success", state="complete"))


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six demonstrations of a limb with four cameras."""
    root = tmp_path_factory.mktemp("shown") / "demos"
    write_homing(root, 6)
    return root


def request(shown: Path, out: Path, **changes: Any) -> TrainingRequest:
    made = TrainingRequest(out, COMMANDS, "diffusion", steps=150, recordings=shown)
    return replace(made, **changes)


def test_steps_are_read_from_recordings_and_from_a_data_set_alike(
    demos: Path, tmp_path: Path
) -> None:
    from_bags = read_demonstrations(demos, IMAGES)
    sampled = [sample(recording, 10) for recording in find_recordings(demos)]
    EXPORTERS.get("lerobot").write(sampled, tmp_path / "set", ExportOptions())
    from_set = read_demonstrations(tmp_path / "set", IMAGES)
    assert len(from_bags) == len(from_set) == 6
    for mine, other in zip(from_bags, from_set, strict=True):
        assert mine.commands.shape == (MOVES + 1, 4) and mine.live == (0, 1, 2, 3)
        assert mine.tiles is not None and other.tiles is not None
        assert mine.tiles.shape == (MOVES, CAMERAS, 48, 48)
        np.testing.assert_allclose(mine.commands, other.commands, atol=1e-6)
        # Pictures of before the step, up to the video's losses.
        assert np.abs(mine.tiles.astype(int) - other.tiles.astype(int)).max() < 12
        first = mine.tiles[:, 0, 0, 0].astype(int)
        poses = mine.commands[:-1, 0] * np.pi / 2
        assert np.abs(first - [shade(np.array([pose])) for pose in poses]).max() <= 2


def test_recordings_of_mixed_rates_are_the_same_demonstrations(demos: Path, tmp_path: Path) -> None:
    """Each is put on one grid in time, so that other rates are no wrong input."""
    write_homing(tmp_path / "mixed", 3)
    write_homing(tmp_path / "mixed", 3, rate=30)
    mixed, plain = (
        read_demonstrations(tmp_path / "mixed", IMAGES),
        read_demonstrations(demos, IMAGES),
    )
    # The draws of both halves begin alike.
    for other, mine in zip(mixed, [*plain[:3], *plain[:3]], strict=True):
        np.testing.assert_allclose(other.commands, mine.commands, atol=1e-6)
        assert other.tiles is not None and mine.tiles is not None
        assert (other.tiles == mine.tiles).all()


def test_it_is_trained_by_name_interrupted_resumed_and_searches(
    demos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ALGORITHMS.get("diffusion").run
    wanted = request(demos, tmp_path / "out", steps=260)
    with pytest.raises(KeyboardInterrupt):
        run(wanted, should_stop=lambda: True)
    summary = run(replace(wanted, resume=True))
    assert summary["demonstrations"] == 6 and summary["steps"] == 6 * MOVES
    lower, upper = np.array([(-1.5708, 1.5708)] * 4).T
    lower[2:], upper[2:] = (-1.1781, -1.0472), (1.1781, 1.0472)
    rng = np.random.default_rng(0)
    searcher = PolicySearcher.on_limb(str(tmp_path / "out"), lower, upper, CAMERAS, rng)
    assert searcher.thinks_long
    at = np.array([-0.6, 0.7, 0.0, -0.4])
    away = np.abs(at - HOME).max()
    for _ in range(4):
        at = searcher.act(at, [0, 1, 2, 3])
    assert np.abs(at - HOME).max() < 0.7 * away
    with pytest.raises(UserError, match="holds a policy"):
        run(wanted)
    words = ("export", str(tmp_path / "out"), "--to", "huggingface", "--out", str(tmp_path / "hub"))
    assert main(list(words)) == 0 and "loads again" in capsys.readouterr().out


def test_a_policy_of_images_is_whole_in_its_file(demos: Path, tmp_path: Path) -> None:
    ALGORITHMS.get("diffusion").run(request(demos, tmp_path / "out", options=IMAGES, steps=20))
    policy = load_policy(tmp_path / "out")
    assert isinstance(policy, LimbDiffusionPolicy)
    tiles = np.full((CAMERAS, 48, 48), 90, np.uint8)
    first = policy.act(tiles, None)
    policy.start()
    assert first.shape == (4,) and (policy.act(tiles, None) == first).all()
    swift = policy.sampled(SamplingSettings("ddim", 4)).act(tiles, None)
    assert np.abs(swift).max() <= policy.increment
    card = json.loads((tmp_path / "out" / POLICY_FILE).with_suffix(".json").read_text())
    for change, words in (
        ({"executed": 9}, "executed must be"),
        ({"options": {**card["options"], "observe": "commands"}}, "encoder"),
        ({"cameras": 4, "denoiser": "psychic"}, "psychic"),
        ({"kind": "no_such_kind"}, "is unknown"),
    ):
        text = json.dumps({**card, **change})
        (tmp_path / "out" / POLICY_FILE).with_suffix(".json").write_text(text)
        with pytest.raises(UserError, match=words):
            load_policy(tmp_path / "out")


def test_recordings_with_key_frames_are_drawn_by_what_decided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "demos"
    write_homing(root, 5, cameras=0)
    words = ("--recordings", str(root), "--steps", "10", "--replay-by", "criticality")
    known = tmp_path / "demos_key_frames"
    assert main(["train", "--algo", "act", "--out", str(tmp_path / "none"), *words]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "episode_000000 decided" in told
    assert f"`asterias learning recordings key-frames {root} --out {known}`" in told
    known.mkdir()
    for number in range(5):
        times_s = np.array([0.0, 1.4, 1.5, 9.0])
        mask = np.array([0.0, 0.0, 1.0, 1.0])
        write_sidecar(known / f"episode_{number:06d}{ENDING}", 100 * SECOND, times_s, mask)
    more = ("--replay-share", "0.7", "--replay-correction", "1")
    for name in ("act", "diffusion"):
        out = tmp_path / name
        assert main(["train", "--algo", name, "--out", str(out), *words, *more]) == 0
        card = json.loads((out / POLICY_FILE).with_suffix(".json").read_text())
        assert card["replay"] == {"by": "criticality", "share": 0.7, "correction": 1.0}
        load_policy(out)
    shown = read_demonstrations(root, COMMANDS, with_criticality=True)
    # Moves begin at 0.5, 1.5 and 2.5 s; what is seen before them counts to them.
    values = shown[0].criticality
    assert values is not None and values.shape == (MOVES,)
    assert values[0] == 0.0 and 0.8 < values[1] < 1.0 and values[2] == 1.0


def test_what_does_not_fit_is_one_sentence(demos: Path, tmp_path: Path) -> None:
    run = ALGORITHMS.get("diffusion").run
    write_homing(tmp_path / "other", 5, joints=6, cameras=0)
    write_homing(tmp_path / "blind", 5, cameras=3)
    write_homing(tmp_path / "few", 3, cameras=0)
    sampled = [sample(recording, 1) for recording in find_recordings(tmp_path / "few")]
    EXPORTERS.get("folder").write(sampled, tmp_path / "slow", ExportOptions())
    for change, words in (
        ({"recordings": tmp_path / "other"}, "a robot with 6 joints; limb 0 of limb_p1 has 4"),
        ({"recordings": tmp_path / "blind", "options": IMAGES}, "pictures of 3 cameras"),
        ({"recordings": tmp_path / "few"}, "holds 3 demonstrations .* needs 5"),
        ({"recordings": tmp_path / "slow"}, "1 frames per second, too few"),
        ({"recordings": None}, "needs --recordings"),
        ({"options": replace(COMMANDS, goal=True)}, "has no goals"),
        ({"padded": True}, "no --padded"),
    ):
        with pytest.raises(UserError, match=words):
            run(request(demos, tmp_path / "none", **change))
    assert not (tmp_path / "none" / POLICY_FILE).exists()


def test_searches_in_simulation_are_shown_learned_and_measured(tmp_path: Path) -> None:
    shown = shown_by_policy(2, 0, lambda *_: None)
    assert len(shown) == 2 and shown[0].tiles is not None
    assert shown[0].tiles.shape == (len(shown[0].commands) - 1, CAMERAS, 48, 48)
    again = shown_by_policy(1, 0, lambda *_: None)
    assert (again[0].commands == shown[0].commands).all()


@pytest.mark.slow
def test_a_study_of_target_finding_runs_and_does_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How well it finds is a matter of the study itself: here it learns for a moment.
    monkeypatch.setattr(limb_training, "UPDATES", 40)
    monkeypatch.setattr(find_study, "measure_find", partial(find_study.measure_find, count=6))
    run = find_study.FindRun("images", 8, 0, tmp_path / "run")
    row = find_study.complete_find_run(run, lambda *_: None)
    assert row["episodes"] == 6 and 0.0 <= row["success_within_cap"] <= 1.0
    assert row["decision_ms"] > 0 and row["steps_shown"] > 8
    monkeypatch.setattr(find_study, "_train", lambda *_: pytest.fail("trained twice"))
    assert find_study.complete_find_run(run, lambda *_: None) == row


def test_the_shipped_policy_of_images_finds_by_name() -> None:
    policy = find_policy("diffusion_images")
    with TargetFindingEnv(TargetFindingOptions(observe="images")) as environment:
        results = list(episodes(environment, policy, count=8, seed=3))
    assert sum(found for _, found in results) >= 7
