"""Who may command a limb: priority, time-out, dead-man and emergency stop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.limbs.arbitration import Admission, Arbiter, CommandSource

WEB = CommandSource("web", 20)
KEYS = CommandSource("keyboard", 10)
AGENT = CommandSource("agent", 1, needs_deadman=False)
PEER = CommandSource("peer", 1, needs_deadman=False)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def arbiter(clock: Clock) -> Arbiter:
    return Arbiter([WEB, KEYS, AGENT, PEER], clock)


def test_a_source_without_its_deadman_is_not_heard(arbiter: Arbiter, clock: Clock) -> None:
    assert arbiter.admit("web") is Admission.NO_DEADMAN
    arbiter.hold_deadman("web", True)
    assert arbiter.admit("web") is Admission.PASSED
    arbiter.hold_deadman("web", False)
    assert arbiter.admit("web") is Admission.NO_DEADMAN
    arbiter.hold_deadman("web", True)
    clock.now += 0.51  # the connection is lost
    assert arbiter.admit("web") is Admission.NO_DEADMAN


def test_the_higher_priority_wins_until_it_lets_go(arbiter: Arbiter, clock: Clock) -> None:
    assert arbiter.admit("agent") is Admission.PASSED
    arbiter.hold_deadman("web", True)
    assert arbiter.admit("web") is Admission.PASSED
    assert arbiter.active == "web"
    assert arbiter.admit("agent") is Admission.OUTRANKED
    clock.now += 0.51
    assert arbiter.active == ""
    assert arbiter.admit("agent") is Admission.PASSED
    assert arbiter.active == "agent"


def test_releasing_the_deadman_frees_the_limb_at_once(arbiter: Arbiter) -> None:
    arbiter.hold_deadman("web", True)
    arbiter.admit("web")
    arbiter.hold_deadman("web", False)
    assert arbiter.admit("agent") is Admission.PASSED


def test_of_equals_the_first_keeps_the_limb(arbiter: Arbiter, clock: Clock) -> None:
    assert arbiter.admit("agent") is Admission.PASSED
    clock.now += 0.3
    assert arbiter.admit("peer") is Admission.OUTRANKED
    assert arbiter.admit("agent") is Admission.PASSED
    clock.now += 0.51
    assert arbiter.admit("peer") is Admission.PASSED
    assert arbiter.admit("agent") is Admission.OUTRANKED


def test_nothing_passes_during_an_emergency_stop(arbiter: Arbiter, clock: Clock) -> None:
    arbiter.hold_deadman("web", True)
    arbiter.admit("web")
    arbiter.stop(True)
    assert arbiter.active == ""
    assert [arbiter.admit(name) for name in ("web", "agent")] == [Admission.STOPPED] * 2
    arbiter.hold_deadman("keyboard", True)
    arbiter.stop(False)
    for name in ("web", "keyboard"):  # held through the stop, or first held during it
        arbiter.hold_deadman(name, True)
        assert arbiter.admit(name) is Admission.REARM
    assert arbiter.admit("agent") is Admission.PASSED
    arbiter.hold_deadman("web", False)
    arbiter.hold_deadman("web", True)
    assert arbiter.admit("web") is Admission.PASSED
    clock.now += 0.6  # silence is a release, too
    arbiter.hold_deadman("keyboard", True)
    assert arbiter.admit("keyboard") is Admission.PASSED


@pytest.mark.parametrize(
    "make",
    [
        lambda: CommandSource("a b", 1),
        lambda: CommandSource("a", 1, timeout_s=0.0),
        lambda: Arbiter([], Clock()),
        lambda: Arbiter([WEB, WEB], Clock()),
    ],
)
def test_what_makes_no_sense_is_refused(make: object) -> None:
    with pytest.raises(ValueError):
        make()  # type: ignore[operator]


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["web", "keyboard", "agent", "peer", "stop", "go"]),
        st.sampled_from(["command", "hold", "release"]),
        st.floats(0.0, 0.4),
    ),
    max_size=60,
)


@given(_STEPS)
def test_a_command_passes_only_when_it_may(steps: list[tuple[str, str, float]]) -> None:
    clock = Clock()
    arbiter = Arbiter([WEB, KEYS, AGENT, PEER], clock)
    stopped, held_s, passed_s = False, {}, {}
    rank = {"web": 20, "keyboard": 10, "agent": 1, "peer": 1}
    for who, what, wait_s in steps:
        clock.now += wait_s
        if who in ("stop", "go"):
            stopped = who == "stop"
            arbiter.stop(stopped)
            passed_s = {} if stopped else passed_s
        elif what == "command":
            if arbiter.admit(who) is Admission.PASSED:
                assert not stopped
                assert who in ("agent", "peer") or clock.now - held_s.get(who, -9.0) <= 0.5
                for other, last_s in passed_s.items():
                    assert rank[other] <= rank[who] or clock.now - last_s > 0.5
                passed_s[who] = clock.now
        elif who in ("web", "keyboard"):
            arbiter.hold_deadman(who, what == "hold")
            held_s[who] = clock.now if what == "hold" else -9.0
            if what == "release":
                passed_s.pop(who, None)


def test_a_timed_move_keeps_the_limb_for_as_long_as_it_lasts() -> None:
    clock = [0.0]
    sources = [
        CommandSource("web", 20, 0.5, needs_deadman=False),
        CommandSource("policy", 5, 0.5, needs_deadman=False),
        CommandSource("agent", 1, 0.5, needs_deadman=False),
    ]
    arbiter = Arbiter(sources, lambda: clock[0])
    assert arbiter.admit("policy", 2.0) is Admission.PASSED
    clock[0] = 2.4
    assert arbiter.active == "policy"
    assert arbiter.admit("agent") is Admission.OUTRANKED
    # Who has a higher priority does not wait for its end; and then it is over.
    assert arbiter.admit("web") is Admission.PASSED
    assert arbiter.active == "web"
    clock[0] = 3.0
    assert arbiter.admit("agent") is Admission.PASSED


def test_a_timed_move_without_end_does_not_own_the_limb() -> None:
    arbiter = Arbiter([WEB], lambda: 0.0)
    arbiter.hold_deadman("web", True)
    assert arbiter.admit("web", 2.0**31) is Admission.TOO_LONG
    assert arbiter.active == ""
