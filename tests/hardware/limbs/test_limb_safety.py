"""Limits of a limb under wild commands, wild readings and wild clocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterias.errors import DeviceError

if TYPE_CHECKING:
    from tests.hardware.conftest import ArrayLimb, FakeClock

    NewLimb = Callable[[], tuple[ArrayLimb, FakeClock]]

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=150)

ANGLES = st.floats(-1e6, 1e6)
THREE = st.tuples(ANGLES, ANGLES, ANGLES)
EVENTS = st.one_of(
    st.tuples(st.just("send"), THREE),
    st.tuples(st.just("wait"), st.floats(-10.0, 10.0)),
    st.tuples(st.just("wait"), st.floats(0.0, 0.1)),
    st.tuples(st.just("turn"), THREE),  # somebody turns the joints by hand, or readings are wild
    st.tuples(st.sampled_from(["tick", "hold", "restart"]), st.none()),
)


def play(limb: ArrayLimb, clock: FakeClock, event: str, value: object) -> None:
    """Let one thing happen to the limb."""
    if event == "wait":
        assert isinstance(value, float)
        clock.advance(value)
    elif event == "send":
        limb.send(np.array(value))
    elif event == "turn":
        limb.servos.position_rad = np.array(value, dtype=np.float64)
    elif event == "restart":
        limb.deactivate()
        limb.activate()
    else:
        getattr(limb, event)()


@REPEATABLE
@given(events=st.lists(EVENTS, max_size=40))
def test_no_goal_ever_exceeds_a_limit(new_limb: NewLimb, events: list[tuple[str, object]]) -> None:
    limb, clock = new_limb()
    step = limb._speed * limb.max_step_period_s * (1 + 1e-9) + 1e-9
    with limb:
        for event, value in events:
            before, goals = limb.last_sent_rad, limb.servos.goals
            goals.clear()
            play(limb, clock, event, value)
            if event == "restart":
                continue  # starts from the measured position, wherever that is
            if ((before >= limb._lower) & (before <= limb._upper)).all():
                assert all(((g >= limb._lower) & (g <= limb._upper)).all() for g in goals)
            assert all((np.abs(g - before) <= step).all() for g in goals)


@REPEATABLE
@given(targets=st.lists(THREE, max_size=30), period_s=st.floats(0.0, 0.1))
def test_stream_never_exceeds_the_velocity_limit(
    new_limb: NewLimb, targets: list[tuple[float, float, float]], period_s: float
) -> None:
    limb, clock = new_limb()
    with limb:
        for target in targets:
            before = limb.last_sent_rad
            clock.advance(period_s)
            sent = limb.send(target)
            assert (np.abs(sent - before) <= limb._speed * period_s + 1e-9).all()


def test_wild_reading_does_not_make_a_hold_jump(array_limb: ArrayLimb, clock: FakeClock) -> None:
    with array_limb as limb:
        before = limb.send(limb.last_sent_rad)
        limb.servos.position_rad = np.array([0.9, 1.4, -1.9])
        limb.hold()
        step = limb._speed * limb.max_step_period_s
        np.testing.assert_allclose(np.abs(limb.servos.goals[-1] - before), step)


def test_blocked_joint_is_relieved_step_by_step(array_limb: ArrayLimb, clock: FakeClock) -> None:
    with array_limb as limb:
        blocked = limb.read().position_rad
        limb.servos.speed_rad_s = np.zeros(3)
        for _ in range(50):
            clock.advance(0.02)
            limb.send([-1.0, 1.5, 2.0])
        clock.advance(0.5)
        while limb.tick() and limb._hold_goal is not None:
            clock.advance(0.02)
        np.testing.assert_array_equal(limb.servos.goal_rad, blocked)
        count = len(limb.servos.goals)
        clock.advance(0.02)
        limb.tick()
        assert len(limb.servos.goals) == count  # nothing left to do


def test_limb_outside_its_range_comes_back_step_by_step(
    array_limb: ArrayLimb, clock: FakeClock
) -> None:
    limb = array_limb
    limb.servos.position_rad = np.array([1.05, -0.8, 3.0])
    with limb:
        step = limb._speed * limb.max_step_period_s
        np.testing.assert_allclose(limb.last_sent_rad, [1.0, -0.8 + step[1], 3.0 - step[2]])
        for _ in range(20):
            clock.advance(0.05)
            limb.tick()
        np.testing.assert_allclose(limb.last_sent_rad, [1.0, -0.5, 2.0])


def test_joint_that_cannot_be_measured_blocks_activation(array_limb: ArrayLimb) -> None:
    array_limb.connect()
    array_limb.servos.position_rad[1] = np.nan
    with pytest.raises(DeviceError, match="joint_1"):
        array_limb.activate()
    assert array_limb.servos.goals == []


def test_joint_lost_while_active_holds_where_it_was_sent(array_limb: ArrayLimb) -> None:
    with array_limb as limb:
        before = limb.last_sent_rad
        limb.servos.position_rad[1] = np.nan
        np.testing.assert_array_equal(limb.hold(), before)
        limb.servos.position_rad[1] = 0.0


def test_clock_that_was_set_back_counts_as_silence(array_limb: ArrayLimb, clock: FakeClock) -> None:
    clock.advance(100.0)
    with array_limb as limb:
        limb.send(limb.last_sent_rad)
        assert not limb.tick()
        clock.advance(-100.0)
        assert limb.tick()


def test_no_time_no_motion(array_limb: ArrayLimb, clock: FakeClock) -> None:
    with array_limb as limb:
        before = limb.last_sent_rad
        clock.advance(-1.0)
        np.testing.assert_array_equal(limb.send([1.0, 1.0, 1.0]), before)
        np.testing.assert_array_equal(limb.send([1.0, 1.0, 1.0]), before)


def test_reset_simulation_is_met_by_activating_again(array_limb: ArrayLimb) -> None:
    with array_limb as limb:
        limb.servos.position_rad = np.array([0.9, 1.4, -1.9])
        limb.activate()
        np.testing.assert_array_equal(limb.last_sent_rad, [0.9, 1.4, -1.9])
