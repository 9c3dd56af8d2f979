"""Joint states from pictures: what comes when, online as offline, training, files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asterias.errors import UserError
from hardware.description.robot import load_robot
from learning.fast_weights.estimation import training
from learning.fast_weights.estimation.babbling import Babbling, babble
from learning.fast_weights.estimation.drives import TILE_PX, Drive, shrunk
from learning.fast_weights.estimation.encoder import CameraEncoder
from learning.fast_weights.estimation.encoder_fit import described_table
from learning.fast_weights.estimation.estimator import (
    ESTIMATOR_FILE,
    JointStateEstimator,
    TrainedEstimator,
    check_limb,
    load_estimator,
)
from learning.fast_weights.estimation.frames import Losses, arrivals, seen_at, table_of
from learning.fast_weights.estimation.models import SEQUENCE_MODELS
from learning.fast_weights.estimation.sequence_fit import tracked
from learning.fast_weights.estimation.tip import TipEstimator
from learning.fast_weights.estimation.training import (
    EstimatorConfig,
    ranges_of,
    train_estimator,
)
from learning.fast_weights.studies.limb import check_encoder
from sim.physics.kinematics import SoftLimb

ROBOT = load_robot("limb_p1")
RANGES = ranges_of(ROBOT, 0)
# Nothing is lost, nothing late, and the estimator looks every 50 ms.
PLAIN = Losses(drop=(0.0, 0.0), delay_s=(0.0, 0.0), cycle_s=(0.05, 0.05))


def drive(seed: int = 0, seconds: float = 2.0) -> Drive:
    """A drive with random tiles, whose cameras have phases of their own."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * 50) + 1) * 0.02
    joints = np.sin(times[:, None] * np.array([1.0, 1.3, 0.7, 0.9]) + seed)
    frames = tuple(0.01 + 0.017 * j + 0.1 * np.arange(int(seconds * 10) - 1) for j in range(4))
    tiles = tuple(
        rng.integers(0, 256, (len(own), TILE_PX, TILE_PX, 3), dtype=np.uint8) for own in frames
    )
    return Drive(times, joints, frames, tiles)


def untrained(model: str) -> TrainedEstimator:
    """Networks that were never fitted, but say something."""
    torch.manual_seed(0)
    encoder, network = CameraEncoder(4, 4).eval(), SEQUENCE_MODELS.get(model)(4, 4).eval()
    for parameter in network.filter.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    names = [joint.name for joint in ROBOT.limbs[0].joints]
    low, high = RANGES.middle - RANGES.half, RANGES.middle + RANGES.half
    card = {"model": model, "joints": names, "cameras": 4}
    card |= {"lower_rad": low.tolist(), "upper_rad": high.tolist()}
    return TrainedEstimator(encoder, network, tuple(names), RANGES, card)


# -- what is seen when ----------------------------------------------------------------------------


def test_pictures_come_at_the_end_of_a_period_and_stay_until_the_next() -> None:
    table = table_of([drive()], 2.0)
    found = arrivals(table, np.array([0]), PLAIN, np.random.default_rng(0))
    seen = seen_at(table, np.array([0]), found)
    assert found.times_s[0, 0] == pytest.approx(0.05) and found.fresh[0, 0].tolist() == [
        True,
        True,
        True,
        False,
    ]
    assert seen.ages_s[0, 0] == pytest.approx([0.04, 0.023, 0.006, 0.0], abs=1e-6)
    # The fourth camera's first comes at 0.061, so at 0.1, when the others' second is not there.
    assert found.fresh[0, 1].tolist() == [False, False, False, True]
    assert seen.seen[0, 1].all() and seen.ages_s[0, 1, 0] == pytest.approx(0.09)


def test_lost_pictures_are_lost_and_the_rest_are_in_order() -> None:
    table = table_of([drive(0), drive(1)], 2.0)
    drives = np.array([0, 1, 0, 1])
    few = arrivals(table, drives, replace(PLAIN, drop=(0.7, 0.7)), np.random.default_rng(1))
    every = arrivals(table, drives, PLAIN, np.random.default_rng(1))
    assert few.fresh.sum() < 0.5 * every.fresh.sum()
    assert (np.diff(few.times_s, axis=1) >= 0.0).all()
    assert (np.diff(few.frames, axis=1) >= 0).all(), "no camera goes back to an older picture"


# -- online ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", SEQUENCE_MODELS.names())
def test_pictures_one_by_one_give_what_the_study_measures(model: str) -> None:
    trained, own = untrained(model), drive()
    table = described_table(trained.encoder, table_of([own], 2.0))
    track = tracked(trained.model, trained.encoder, table, RANGES, PLAIN, from_s=0.5)
    online, sent, cycles = JointStateEstimator(trained), [0, 0, 0, 0], 0
    for step in range(101):
        now_s = step * 0.02
        while cycles * 0.05 <= now_s + 1e-9:
            _feed(online, own, sent, cycles * 0.05)
            cycles += 1
        estimate = online.estimate(now_s)
        if now_s >= 0.5 - 1e-9:
            assert estimate is not None
            row = round((now_s - 0.5) / 0.02)
            low, high = RANGES.middle - RANGES.half, RANGES.middle + RANGES.half
            expected = np.clip(track.mean_rad[0, row], low, high)
            np.testing.assert_allclose(estimate.position_rad, expected, atol=2e-4)
            np.testing.assert_allclose(estimate.std_rad, track.std_rad[0, row], rtol=2e-3)


def _feed(online: JointStateEstimator, own: Drive, sent: list[int], moment_s: float) -> None:
    """Give an estimator what has come until a moment."""
    for camera, stamps in enumerate(own.frame_times_s):
        while sent[camera] < len(stamps) and stamps[sent[camera]] <= moment_s + 1e-9:
            number = sent[camera]
            online.take(camera, float(stamps[number]), own.tiles[camera][number])
            sent[camera] += 1
    online.update(moment_s)


def test_nothing_is_said_before_the_first_picture_and_long_after_the_last() -> None:
    online = JointStateEstimator(untrained("delta_ode"))
    assert online.estimate(1.0) is None and not online.update(1.0)
    picture = np.zeros((96, 96, 3), np.uint8)
    assert online.take(2, 1.0, picture) and online.update(1.02)
    first = online.estimate(1.02)
    assert first is not None and first.newest_frame_s == 1.0
    assert not online.take(2, 0.9, picture), "older than the last of its camera"
    assert online.estimate(2.5) is None
    # A clock that begins anew.
    assert online.take(2, 10.0, picture) and online.update(10.0)
    assert online.take(2, 0.5, picture) and online.update(0.5)
    assert online.estimate(0.5) is not None


def test_memories_of_hours_count_time_from_lately() -> None:
    trained = untrained("delta_ode")
    early, late = JointStateEstimator(trained), JointStateEstimator(trained)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (50, TILE_PX, TILE_PX, 3), dtype=np.uint8)
    for online, start_s in ((early, 0.0), (late, 1e5)):
        for number, picture in enumerate(pictures):
            at_s = start_s + 0.8 * number
            online.take(number % 4, at_s, picture)
            online.update(at_s)
    first, second = early.estimate(39.3), late.estimate(1e5 + 39.3)
    assert first is not None and second is not None
    np.testing.assert_allclose(first.position_rad, second.position_rad, atol=1e-3)


# -- files ----------------------------------------------------------------------------------------


def test_an_estimator_is_what_it_was_after_a_file(tmp_path: Path) -> None:
    trained = untrained("oja_cde")
    trained.save(tmp_path / ESTIMATOR_FILE)
    loaded = load_estimator(str(tmp_path))
    picture = np.full((TILE_PX, TILE_PX, 3), 80, np.uint8)
    answers = []
    for one in (trained, loaded):
        online = JointStateEstimator(one)
        online.take(0, 1.0, picture)
        online.update(1.0)
        answers.append(online.estimate(1.05))
    assert answers[0] is not None and answers[1] is not None
    np.testing.assert_allclose(answers[0].position_rad, answers[1].position_rad, atol=5e-3)
    with pytest.raises(UserError, match="not of pan, tilt and 1"):
        check_limb(loaded, ["pan", "tilt"], 1)
    (tmp_path / "state_estimator.json").write_text('{"kind": "other"}')
    with pytest.raises(UserError, match="not a state estimator"):
        load_estimator(str(tmp_path))
    with pytest.raises(UserError, match="There is no state estimator 'nobody'"):
        load_estimator("nobody")


def test_the_tip_is_where_the_limb_rests_and_its_spread_that_of_the_joints() -> None:
    joints, std = np.array([0.3, -0.2, 0.1, 0.6]), np.array([0.02, 0.01, 0.03, 0.02])
    limb = SoftLimb.of(ROBOT, 0)
    tip = TipEstimator(ROBOT, 0).at(joints, std)
    np.testing.assert_allclose(tip.position_m, limb.in_world(limb.tip(joints)), atol=1e-4)
    expected = limb.base_rotation @ limb.jacobian(joints)
    spread = (expected * std**2) @ expected.T
    np.testing.assert_allclose(tip.covariance[:3, :3], spread, atol=5e-7)
    assert np.linalg.eigvalsh(tip.covariance).min() > -1e-12
    assert np.linalg.norm(tip.quaternion) == pytest.approx(1.0)


# -- learning -------------------------------------------------------------------------------------


def test_the_same_seed_babbles_the_same() -> None:
    babbling = Babbling(drive_s=0.5)
    first, second = next(babble(babbling, 1, 4)), next(babble(babbling, 1, 4))
    np.testing.assert_array_equal(first.joints_rad, second.joints_rad)
    np.testing.assert_array_equal(first.tiles[3], second.tiles[3])
    assert np.isfinite(first.joints_rad).all() and first.tiles[0].std() > 1.0


def test_pictures_of_any_size_become_tiles() -> None:
    assert shrunk(np.zeros((480, 640, 3), np.uint8)).shape == (TILE_PX, TILE_PX, 3)
    assert shrunk(np.zeros((96, 96), np.uint8)).shape == (TILE_PX, TILE_PX, 3)


@pytest.mark.slow
def test_a_training_that_was_stopped_ends_in_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "STILLS_OF_AN_EPISODE", 5)
    monkeypatch.setattr(training, "DRIVES_OF_AN_EPISODE", 1)
    config = EstimatorConfig(tmp_path / "whole", episodes=2, updates=10)
    reports = []
    card = train_estimator(config, reports.append)
    told = [(report.unit, report.done) for report in reports]
    assert told == [("stills", 10), *(("updates", done) for done in range(1, 11))]
    assert set(card["rmse_deg"]) == {"0", "0.2", "0.4", "0.6"}
    # Ten stills, six updates of the encoder, two drives and two that are held out; then two updates
    # of what puts descriptions together, and two of the memory.
    for stop_after in (4, 10 + 3, 10 + 6 + 2, 10 + 6 + 4 + 1, 10 + 6 + 4 + 2 + 1):
        parts = replace(config, out=tmp_path / f"parts{stop_after}")
        asked = iter(range(1, 1000))
        with pytest.raises(KeyboardInterrupt):
            train_estimator(parts, should_stop=lambda asked=asked, n=stop_after: next(asked) == n)
        with pytest.raises(UserError, match="add --resume"):
            train_estimator(parts)
        train_estimator(replace(parts, resume=True))
        assert not (parts.out / "drives").exists(), "kept until the end only"
        assert not (parts.out / "stills").exists()
        ends = [(at.out / ESTIMATOR_FILE).read_bytes() for at in (config, parts)]
        assert ends[0] == ends[1]
    with pytest.raises(UserError, match="holds a state estimator"):
        train_estimator(config)


@pytest.mark.slow
def test_a_training_begins_with_the_encoder_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "STILLS_OF_AN_EPISODE", 5)
    monkeypatch.setattr(training, "DRIVES_OF_AN_EPISODE", 1)
    begun = untrained("gru_d")
    begun.save(tmp_path / ESTIMATOR_FILE)
    fitted: list[dict[str, torch.Tensor]] = []

    def look(net: torch.nn.Module, *rest: object, **more: object) -> list[float]:
        fitted.append({key: value.clone() for key, value in net.state_dict().items()})
        return []

    monkeypatch.setattr(training, "fit", look)
    config = EstimatorConfig(tmp_path / "out", episodes=1, updates=4, start=str(tmp_path))
    assert train_estimator(config)["start"] == str(tmp_path)
    for key, value in begun.encoder.state_dict().items():
        torch.testing.assert_close(fitted[0][key], value, atol=1e-3, rtol=1e-3)
    other = EstimatorConfig(tmp_path / "pan", "examples/pan_tilt.yaml", start=str(tmp_path))
    with pytest.raises(UserError, match="not of pan, tilt"):
        train_estimator(other)


def test_what_cannot_be_trained_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to resume"):
        train_estimator(EstimatorConfig(tmp_path, resume=True))
    with pytest.raises(UserError, match="holds no recording"):
        train_estimator(EstimatorConfig(tmp_path / "out", recordings=tmp_path / "nothing"))
    with pytest.raises(UserError, match="--steps must be 4"):
        EstimatorConfig(tmp_path, updates=1)


def test_a_study_is_not_mixed_of_two_encoders(tmp_path: Path) -> None:
    own = untrained("filter")
    check_encoder(own, tmp_path)
    check_encoder(own, tmp_path)
    with torch.no_grad():
        next(own.encoder.parameters()).add_(0.1)
    with pytest.raises(UserError, match="another estimator's encoder; choose another --out"):
        check_encoder(own, tmp_path)
