"""The eight failure words on a limb: what each does, and that none makes the limb jump."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterias.arrays import FloatArray
from asterias.errors import DeviceError, FaultError
from hardware.faults.limb import FaultyLimb
from hardware.faults.words import HEALTHY, Fault

if TYPE_CHECKING:
    from tests.hardware.conftest import ArrayLimb, FakeClock

    NewLimb = Callable[[], tuple[ArrayLimb, FakeClock]]

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=150)
PERIOD_S = 0.02
FAR = np.array([1.0, 1.5, 2.0])
JOINT = 2  # the one that fails; 4 rad/s, range -2 to 2 rad, starts at 0.3 rad

ANGLES = st.floats(-3.0, 3.0)
EVENTS = st.one_of(
    st.tuples(st.just("send"), st.tuples(ANGLES, ANGLES, ANGLES)),
    st.tuples(st.just("stream"), st.tuples(ANGLES, ANGLES, ANGLES)),
    st.tuples(st.just("failure"), st.tuples(st.integers(0, 2), st.sampled_from(Fault))),
    st.tuples(st.just("wait"), st.floats(-1.0, 2.0)),
    st.tuples(st.just("wait"), st.floats(0.0, 0.1)),
    st.tuples(st.just("fault"), st.tuples(st.integers(0, 2), st.sampled_from(Fault))),
    st.tuples(st.sampled_from(["tick", "hold", "activate", "clear"]), st.none()),
)


@pytest.fixture
def limb(array_limb: ArrayLimb) -> FaultyLimb:
    """A wrapped limb, disconnected."""
    return FaultyLimb(array_limb, seed=7)


@pytest.fixture
def move(
    limb: FaultyLimb, array_limb: ArrayLimb, clock: FakeClock
) -> Callable[..., list[FloatArray]]:
    """Streams a target for some seconds; returns the true positions, one per period."""

    def run(duration_s: float, target: FloatArray = FAR) -> list[FloatArray]:
        path = []
        for _ in range(round(duration_s / PERIOD_S)):
            clock.advance(PERIOD_S)
            limb.send(target)
            limb.tick()
            path.append(array_limb._read().position_rad)
        return path

    return run


Move = Callable[..., list[FloatArray]]


# -- each word ------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [word for word in Fault if word is not Fault.INTERMITTENT])
def test_faults_are_silent(limb: FaultyLimb, move: Move, word: Fault) -> None:
    with limb:
        limb.inject("joint_2", word)
        move(0.5)
        # The command is answered as if it had been obeyed.
        np.testing.assert_allclose(limb.last_sent_rad, [0.6, 0.8, 2.0])
        assert limb.counters.rejected == 0
        limb.read()


@pytest.mark.parametrize("word", list(Fault))
def test_healthy_joints_are_not_affected(limb: FaultyLimb, move: Move, word: Fault) -> None:
    with limb:
        limb.inject("joint_2", word)
        final = move(2.0)[-1]
        limb.clear()  # a lost reading would end in an error on the way out
    np.testing.assert_allclose(final[:2], FAR[:2])


@pytest.mark.parametrize("word", [Fault.OFF, Fault.STUCK])
def test_off_and_stuck_joints_go_nowhere(limb: FaultyLimb, move: Move, word: Fault) -> None:
    with limb:
        before = move(0.1)[-1][JOINT]
        limb.inject("joint_2", word)
        path = [position[JOINT] for position in move(1.0)]
        assert np.ptp(path) < 1e-9
        assert path[0] == pytest.approx(before, abs=2 * 4.0 * PERIOD_S)
        assert limb.read().position_rad[JOINT] == path[-1]  # the reading goes on


def test_off_joint_yields_and_stuck_joint_resists(
    limb: FaultyLimb, array_limb: ArrayLimb, move: Move
) -> None:
    with limb:
        limb.inject("joint_1", "off")
        limb.inject("joint_2", "stuck")
        move(0.1)
        array_limb.servos.position_rad[1:] = [-0.4, 0.9]  # pushed by hand
        final = move(1.0)[-1]
    assert final[1] == pytest.approx(-0.4, abs=0.05)
    assert final[2] == pytest.approx(0.3)


def test_garbage_readings_are_random_and_commands_still_work(limb: FaultyLimb, move: Move) -> None:
    with limb:
        limb.inject("joint_2", Fault.GARBAGE)
        readings = [limb.read().position_rad[JOINT] for _ in range(200)]
        assert min(readings) < -1.5
        assert max(readings) > 1.5
        assert move(1.0)[-1][JOINT] == pytest.approx(2.0)


def test_garbage_of_a_given_width_stays_near_the_truth(limb: FaultyLimb) -> None:
    with limb:
        limb.inject("joint_2", "garbage", 0.05)
        readings = np.array([limb.read().position_rad[JOINT] for _ in range(200)])
    assert 0.04 < np.abs(readings - 0.3).max() <= 0.05


def test_wrong_joint_reads_an_offset(limb: FaultyLimb) -> None:
    with limb:
        limb.inject("joint_2", "wrong", -0.5)
        np.testing.assert_allclose(limb.read().position_rad, [0.1, -0.2, -0.2])


def test_slow_joint_moves_at_a_share_of_its_speed(limb: FaultyLimb, move: Move) -> None:
    with limb:
        limb.inject("joint_2", "slow", 0.25)
        path = np.array([position[JOINT] for position in move(0.4)])
        np.testing.assert_allclose(np.diff(path), 0.25 * 4.0 * PERIOD_S, rtol=1e-6)
        assert move(3.0)[-1][JOINT] == pytest.approx(2.0)  # late, but it arrives


def test_delayed_joint_obeys_late(limb: FaultyLimb, move: Move) -> None:
    with limb:
        limb.inject("joint_2", "delayed", 0.3)
        path = np.array([position[JOINT] for position in move(1.0)])
    times = PERIOD_S * np.arange(1, len(path) + 1)
    assert np.ptp(path[times < 0.3]) == 0.0
    assert path[times > 0.45].min() > 0.4
    assert path[-1] == pytest.approx(2.0)


def test_intermittent_joint_loses_commands_and_readings(limb: FaultyLimb, move: Move) -> None:
    with limb:
        limb.inject("joint_2", "intermittent", 0.5)
        lost = 0
        for _ in range(200):
            try:
                limb.read()
            except DeviceError as error:
                assert "joint_2" in str(error)
                lost += 1
        assert 70 < lost < 130
        assert move(2.0)[-1][JOINT] == pytest.approx(2.0)
        limb.inject("joint_2", "intermittent", 1.0)
        assert np.ptp([position[JOINT] for position in move(0.4, -FAR)]) < 1e-9
        limb.clear()


@pytest.mark.parametrize("word", [Fault.OFF, Fault.STUCK, Fault.SLOW, Fault.DELAYED])
def test_cleared_joint_catches_up_at_its_velocity_limit(
    limb: FaultyLimb, array_limb: ArrayLimb, move: Move, word: Fault
) -> None:
    with limb:
        limb.inject("joint_2", word)
        move(0.4)
        limb.clear("joint_2")
        before = len(array_limb.servos.goals)
        path = move(1.0)
        goals = np.array(array_limb.servos.goals)[before - 1 :, JOINT]
    assert (np.abs(np.diff(goals)) <= 4.0 * PERIOD_S + 1e-9).all()
    assert path[-1][JOINT] == pytest.approx(2.0)


def test_joint_gets_stuck_anew_at_another_place(limb: FaultyLimb, move: Move) -> None:
    with limb:
        limb.inject("joint_2", "stuck")
        move(0.1)
        limb.clear()
        moved = move(0.5)[-1][JOINT]
        limb.inject("joint_2", "stuck")
        assert move(0.5, -FAR)[-1][JOINT] == pytest.approx(moved, abs=0.1)


def test_whole_limb_fails_by_its_own_name(limb: FaultyLimb, move: Move) -> None:
    with limb:
        limb.inject("limb_0", "off")
        assert {fault.word for fault in limb.faults.values()} == {Fault.OFF}
        path = move(0.5)
        np.testing.assert_allclose(path[-1], [0.1, -0.2, 0.3])
        limb.inject("limb_0", "ok")
        assert set(limb.faults.values()) == {HEALTHY}


# -- settings -------------------------------------------------------------------------------------


def test_faults_are_set_while_disconnected_and_survive_a_reconnection(
    limb: FaultyLimb, array_limb: ArrayLimb
) -> None:
    limb.inject("joint_1", "wrong", 0.1)
    for _ in range(2):
        array_limb.servos.position_rad = np.array([0.1, -0.2, 0.3])
        with limb:
            assert limb.read().position_rad[1] == pytest.approx(-0.1)
    limb.clear()
    assert limb.faults["joint_1"] == HEALTHY


@pytest.mark.parametrize(
    ("component", "word", "value", "message"),
    [
        ("joint_2", "stuk", None, "There is no fault 'stuk'; did you mean 'stuck'?"),
        ("joint_9", "off", None, "'limb_0' has no component 'joint_9'; did you mean 'joint_"),
        ("wheel", "off", None, "choose one of: joint_0, joint_1, joint_2, limb_0."),
        ("joint_2", "slow", 2.0, "takes a share of the full speed from 0.01 to 1, not 2."),
        ("joint_2", "intermittent", -0.1, "takes a probability from 0 to 1, not -0.1."),
        ("joint_2", "delayed", np.nan, "takes a delay from 0 to 60 s, not nan."),
        ("joint_2", "wrong", np.inf, "takes an offset in rad, not inf."),
        ("joint_2", "garbage", np.inf, "takes an amplitude of at least 0 rad, not inf."),
    ],
)
def test_wrong_injection_is_one_clear_sentence_and_changes_nothing(
    limb: FaultyLimb, component: str, word: str, value: float | None, message: str
) -> None:
    limb.inject("joint_2", "wrong", 0.1)
    before = limb.faults
    with pytest.raises(FaultError) as caught:
        limb.inject(component, word, value)
    assert message in str(caught.value)
    assert limb.faults == before


def test_same_seed_same_faults(new_limb: NewLimb) -> None:
    def readings(seed: int) -> FloatArray:
        limb = FaultyLimb(new_limb()[0], seed=seed)
        with limb:
            limb.inject("limb_0", "garbage")
            return np.array([limb.read().position_rad for _ in range(5)])

    np.testing.assert_array_equal(readings(1), readings(1))
    assert (readings(1) != readings(2)).any()


def test_faults_of_one_joint_do_not_change_those_of_another(new_limb: NewLimb) -> None:
    def readings(*joints: str) -> list[float]:
        limb = FaultyLimb(new_limb()[0])
        with limb:
            for joint in joints:
                limb.inject(joint, "garbage")
            return [float(limb.read().position_rad[JOINT]) for _ in range(5)]

    assert readings("joint_2") == readings("joint_0", "joint_2")


# -- safety ---------------------------------------------------------------------------------------


def play(limb: FaultyLimb, clock: FakeClock, event: str, value: object) -> None:
    """Let one thing happen; an intermittent joint may answer with an error."""
    if event == "wait":
        assert isinstance(value, float)
        clock.advance(value)
    elif event == "fault":
        assert isinstance(value, tuple)
        limb.inject(f"joint_{value[0]}", value[1])
    elif event == "failure":  # one that ends while the limb is on its way
        play(limb, clock, "fault", value)
        play(limb, clock, "stream", FAR)
        play(limb, clock, "clear", None)
        play(limb, clock, "stream", -FAR)
    elif event in ("send", "stream"):
        for _ in range(1 if event == "send" else 10):
            clock.advance(0.0 if event == "send" else 0.05)
            if limb.is_active:
                limb.send(np.array(value))
    else:
        try:
            getattr(limb, event)()
        except DeviceError:
            assert any(f.word is Fault.INTERMITTENT for f in limb.faults.values())


@REPEATABLE
@given(events=st.lists(EVENTS, max_size=60), seed=st.integers(0, 1000))
def test_no_fault_makes_the_limb_jump(
    new_limb: NewLimb, events: list[tuple[str, object]], seed: int
) -> None:
    inner, clock = new_limb()
    limb = FaultyLimb(inner, seed=seed)
    step = limb._speed * limb.max_step_period_s + 1e-9
    limb.connect()
    limb.activate()
    last = inner.servos.goals[-1]
    for event, value in events:
        truth = inner._read().position_rad
        inner.servos.goals.clear()
        play(limb, clock, event, value)
        for goal in inner.servos.goals:
            # One step from the last goal, or from where the joint really is: nothing jumps.
            assert (np.minimum(np.abs(goal - last), np.abs(goal - truth)) <= step).all()
            assert (goal >= limb._lower).all()
            assert (goal <= limb._upper).all()
            last = goal


@REPEATABLE
@given(
    events=st.lists(EVENTS.filter(lambda event: event[0] not in ("fault", "failure")), max_size=40)
)
def test_healthy_wrapper_changes_nothing(
    new_limb: NewLimb, events: list[tuple[str, object]]
) -> None:
    written = []
    for wrapped in (False, True):
        inner, clock = new_limb()
        limb = FaultyLimb(inner) if wrapped else inner
        with limb:
            for event, value in events:
                if event != "clear":
                    play(limb, clock, event, value)  # type: ignore[arg-type]  # no faults
        written.append(np.array(inner.servos.goals))
    np.testing.assert_array_equal(written[0], written[1])


@pytest.mark.parametrize("word", list(Fault))
def test_activation_under_a_fault_starts_where_the_joint_is(
    limb: FaultyLimb, array_limb: ArrayLimb, word: Fault
) -> None:
    limb.inject("joint_2", word, None if word is not Fault.INTERMITTENT else 0.0)
    with limb:
        assert array_limb.servos.goals[0][JOINT] == pytest.approx(0.3)


@pytest.mark.parametrize("word", list(Fault))
def test_each_word_ends_in_a_named_state_within_a_second(
    limb: FaultyLimb, clock: FakeClock, move: Move, word: Fault
) -> None:
    with limb:
        move(0.1)
        limb.inject("limb_0", word)
        for _ in range(50):
            clock.advance(PERIOD_S)
            try:
                limb.tick()
            except DeviceError:
                assert word is Fault.INTERMITTENT
        assert limb.is_holding
        limb.clear()
