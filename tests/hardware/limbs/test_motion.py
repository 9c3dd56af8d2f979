"""Commands and timed moves on their way to a driver, on a clock of the test's own."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterias.arrays import FloatArray
from asterias.errors import CommandError, NotActiveError
from hardware.description.limb import JointDescription
from hardware.limbs.driver import LimbDriver, LimbState
from hardware.limbs.trajectory import MOST_POINTS, TrajectoryController, Waypoint

PERIOD_S = 0.02
SPEED_RAD_S = 2.0


class ArrayLimb(LimbDriver):
    """A limb whose device is an array that is at once where it was sent."""

    def __init__(self, clock: Callable[[], float]) -> None:
        joints = [
            JointDescription(
                name=name, hinge=name, limits_rad=(-1.0, 1.0), velocity_limit_rad_s=SPEED_RAD_S
            )
            for name in ("left", "right")
        ]
        super().__init__("limb_0", joints, clock=clock)
        self.place: FloatArray = np.zeros(2)
        self.writes: list[FloatArray] = []

    def _open(self) -> None:
        pass

    def _close(self) -> None:
        pass

    def _read(self) -> LimbState:
        return LimbState(self._clock(), np.array(self.place), np.zeros(2), np.zeros(2))

    def _write(self, position_rad: FloatArray) -> None:
        self.place = np.array(position_rad)
        self.writes.append(self.place)


class Rig:
    """Driver, motion and clock."""

    def __init__(self) -> None:
        self.now_s = 10.0
        self.limb = ArrayLimb(lambda: self.now_s)
        self.limb.connect()
        self.limb.activate()
        self.motion = TrajectoryController(self.limb, lambda: self.now_s)

    def run(self, duration_s: float) -> None:
        for _ in range(round(duration_s / PERIOD_S)):
            self.now_s += PERIOD_S
            self.motion.tick()


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_repeated_command_is_reached(rig: Rig) -> None:
    for _ in range(10):
        rig.motion.command([0.8, -0.8])
        rig.run(0.1)
    np.testing.assert_allclose(rig.limb.place, [0.8, -0.8])


def test_a_single_command_counts_for_the_time_out(rig: Rig) -> None:
    rig.motion.command([1.0, -1.0])
    rig.run(0.3)
    np.testing.assert_allclose(rig.limb.place, [0.6, -0.6], atol=SPEED_RAD_S * PERIOD_S)
    rig.motion.command([-1.0, 0.0])
    rig.run(0.3)
    at = rig.limb.place
    rig.run(2.0)
    assert not rig.motion.is_moving and rig.limb.is_holding
    assert rig.limb.counters.timeouts == 1
    assert abs(rig.limb.place[0] - at[0]) <= SPEED_RAD_S * 0.22


def test_a_timed_move_passes_its_points_in_time_and_stays_at_the_last(rig: Rig) -> None:
    points = [Waypoint(0.5, np.array([0.5, 0.0])), Waypoint(1.0, np.array([0.5, -0.5]))]
    rig.motion.follow(points)
    rig.run(0.5)
    np.testing.assert_allclose(rig.limb.place, [0.5, 0.0], atol=1e-9)
    rig.run(0.5)
    np.testing.assert_allclose(rig.limb.place, [0.5, -0.5], atol=1e-9)
    rig.run(5.0)
    assert not rig.motion.is_moving
    np.testing.assert_allclose(rig.limb.place, [0.5, -0.5], atol=1e-9)
    assert rig.limb.counters.timeouts == 0


def test_the_newest_request_wins(rig: Rig) -> None:
    rig.motion.follow([Waypoint(2.0, np.array([1.0, 1.0]))])
    rig.run(0.5)
    for _ in range(10):
        rig.motion.command([0.0, 0.0])
        rig.run(0.1)
    np.testing.assert_allclose(rig.limb.place, [0.0, 0.0])


@pytest.mark.parametrize("times", [[], [-0.1], [0.5, 0.5], [1.0, 0.5], [float("nan")]], ids=str)
def test_a_timed_move_whose_times_do_not_rise_is_refused(rig: Rig, times: list[float]) -> None:
    with pytest.raises(CommandError):
        rig.motion.follow([Waypoint(time_s, np.zeros(2)) for time_s in times])
    assert not rig.motion.is_moving


def test_a_bad_command_leaves_the_present_motion_alone(rig: Rig) -> None:
    rig.motion.follow([Waypoint(1.0, np.array([0.5, 0.5]))])
    with pytest.raises(CommandError, match="2 positions"):
        rig.motion.command([1.0])
    with pytest.raises(CommandError, match="'right'"):
        rig.motion.command([0.0, float("nan")])
    assert rig.limb.counters.rejected == 2
    rig.run(1.2)
    np.testing.assert_allclose(rig.limb.place, [0.5, 0.5])


def test_the_emergency_stop_holds_refuses_and_does_not_resume(rig: Rig) -> None:
    rig.motion.follow([Waypoint(1.0, np.array([0.5, 0.5]))])
    rig.run(0.3)
    at = rig.limb.place
    rig.motion.stop(True)
    with pytest.raises(NotActiveError, match="emergency stop"):
        rig.motion.command([0.0, 0.0])
    rig.run(1.0)
    rig.motion.stop(False)
    rig.run(1.0)
    np.testing.assert_allclose(rig.limb.place, at)


def test_an_inactive_limb_forgets_its_motion(rig: Rig) -> None:
    rig.motion.follow([Waypoint(1.0, np.array([0.5, 0.5]))])
    rig.run(0.2)
    rig.limb.deactivate()
    rig.run(0.2)
    at = rig.limb.place
    rig.limb.activate()
    rig.run(1.0)
    np.testing.assert_allclose(rig.limb.place, at)
    assert not rig.motion.is_moving


def test_a_clock_that_was_set_back_ends_a_command(rig: Rig) -> None:
    rig.motion.command([1.0, 1.0])
    rig.run(0.1)
    rig.now_s = 0.0
    rig.motion.tick()
    assert not rig.motion.is_moving


requests = st.one_of(
    st.tuples(st.just("command"), st.lists(st.floats(-5, 5), min_size=2, max_size=2)),
    st.tuples(st.just("move"), st.lists(st.floats(-5, 5), min_size=2, max_size=2)),
    st.tuples(st.just("wait"), st.floats(0.0, 1.0)),
)


@settings(deadline=None, max_examples=50)
@given(st.lists(requests, max_size=12))
def test_no_request_makes_a_step_that_is_too_large(sequence: list[tuple[str, object]]) -> None:
    rig = Rig()
    for word, value in sequence:
        if word == "command":
            rig.motion.command(np.asarray(value))
        elif word == "move":
            rig.motion.follow([Waypoint(0.3, np.asarray(value, dtype=np.float64))])
        else:
            assert isinstance(value, float)
            rig.run(value)
        rig.run(0.06)
    # After a pause the contract allows the travel of max_step_period_s at once, never more.
    largest_rad = SPEED_RAD_S * rig.limb.max_step_period_s
    steps = np.abs(np.diff(np.array([np.zeros(2), *rig.limb.writes]), axis=0))
    assert (steps <= largest_rad + 1e-9).all()


class SaggingLimb(ArrayLimb):
    """A limb under load: it stands a little below where it was sent."""

    SAG_RAD = 0.03

    def _read(self) -> LimbState:
        return LimbState(
            self._clock(), np.array(self.place) - self.SAG_RAD, np.zeros(2), np.zeros(2)
        )


def test_a_loaded_limb_stays_where_it_is_however_often_it_is_stopped() -> None:
    rig = Rig()
    rig.limb = SaggingLimb(lambda: rig.now_s)
    rig.limb.connect()
    rig.limb.activate()
    rig.motion = TrajectoryController(rig.limb, lambda: rig.now_s)
    rig.motion.command([0.5, 0.5])
    rig.run(0.4)
    rig.motion.stop(True)
    rig.run(0.5)
    stopped = np.array(rig.limb.place)
    for _ in range(100):
        rig.motion.stop(True)
        rig.run(PERIOD_S)
    assert np.abs(rig.limb.place - stopped).max() < 0.01
    for engaged in 20 * [False, True]:
        rig.motion.stop(engaged)
        rig.run(PERIOD_S)
    assert np.abs(rig.limb.place - stopped).max() < 0.01, "nor by a release"


def test_a_long_trajectory_costs_a_period_no_more_than_a_short_one() -> None:
    rig = Rig()
    points = [Waypoint(0.01 * (i + 1), np.full(2, 0.0001 * i)) for i in range(MOST_POINTS)]
    rig.motion.follow(points)
    start_s = time.perf_counter()
    for _ in range(200):
        rig.run(PERIOD_S)
    assert (time.perf_counter() - start_s) / 200 < 0.005
    assert rig.limb.place[0] == pytest.approx(0.04, abs=0.001)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([Waypoint(0.001, np.zeros(2))] * 100_000, "100000 points"),
        ([Waypoint(float(2**31), np.zeros(2))], "at most 600 s"),
    ],
    ids=["too many points", "too long"],
)
def test_a_move_without_bound_is_refused(points: list[Waypoint], reason: str) -> None:
    rig = Rig()
    with pytest.raises(CommandError, match=reason):
        rig.motion.follow(points)
    assert not rig.motion.is_moving
