"""Keys, sticks and leader limbs: from bytes and numbers to wishes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from evdev import ecodes
from hypothesis import given
from hypothesis import strategies as st

from asterias.errors import DescriptionError
from hardware.description.robot import load_robot
from hardware.teleop.evdev_pad import PadState, button_codes, find_pad
from hardware.teleop.gamepad import PadPilot
from hardware.teleop.key_bindings import Key, KeyDecoder, KeyEvent
from hardware.teleop.keyboard import GRANT_S, LOST_S, KeyAction, KeyboardPilot, help_text
from hardware.teleop.leader import LeaderMap

LIMB = load_robot("limb_p1").limbs[0]


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


# -- keys -----------------------------------------------------------------------------------------

DOWN, REPEAT, UP = KeyEvent.DOWN, KeyEvent.REPEAT, KeyEvent.UP
SAID = {
    b"q": [Key("q")],
    b"Q": [Key("q")],
    b" ": [Key("space")],
    b"\x03": [Key("ctrl+c")],
    b"\x7f": [Key("backspace")],
    b"\r": [Key("enter")],
    b"\xc3\xa4": [Key("\u00e4")],
    b"\x1b[A": [Key("up")],
    b"\x1bOD": [Key("left")],
    b"\x1b[5~": [Key("page_up")],
    # The keyboard protocol of kitty: press, repeat, release.
    b"\x1b[97u": [Key("a")],
    b"\x1b[97;1:1u": [Key("a")],
    b"\x1b[97;1:2u": [Key("a", REPEAT)],
    b"\x1b[97;1:3u": [Key("a", UP)],
    b"\x1b[97:65;2:3u": [Key("a", UP)],
    b"\x1b[99;5u": [Key("ctrl+c")],
    b"\x1b[27u": [Key("escape")],
    b"\x1b[32;1:1u": [Key("space")],
    b"\x1b[1;1:3A": [Key("up", UP)],
    b"\x1b[6;1:2~": [Key("page_down", REPEAT)],
    b"\x1b[57441;2u": [],  # shift by itself
    b"\x1b[?62;4c": [],  # what kind of terminal it is
}


@pytest.mark.parametrize("data", SAID, ids=repr)
def test_what_terminals_say(data: bytes) -> None:
    assert KeyDecoder().feed(data) == SAID[data]


@given(pieces=st.lists(st.sampled_from(sorted(SAID)), max_size=6), cuts=st.lists(st.integers(1, 5)))
def test_keys_may_come_in_pieces(pieces: list[bytes], cuts: list[int]) -> None:
    data, decoder = b"".join(pieces), KeyDecoder()
    whole = [key for piece in pieces for key in SAID[piece]]
    found = []
    for cut in cuts:
        found += decoder.feed(data[:cut])
        data = data[cut:]
    assert found + decoder.feed(data) + decoder.flush() == whole


@given(data=st.binary(max_size=60))
def test_noise_on_the_line_is_no_crash(data: bytes) -> None:
    decoder = KeyDecoder()
    for key in decoder.feed(data) + decoder.flush():
        assert key.name


def test_a_terminal_that_tells_releases_says_so_and_escape_alone_is_a_key() -> None:
    decoder = KeyDecoder()
    assert decoder.feed(b"\x1b[?0u\x1b[?62c") == []
    assert decoder.reports_releases
    assert decoder.feed(b"\x1b") == [] and decoder.is_waiting
    assert decoder.flush() == [Key("escape")]


def test_a_key_counts_while_it_is_held_and_no_longer() -> None:
    clock = Clock()
    plain = KeyboardPilot(4, clock)
    plain.take([Key("q"), Key("s")])
    np.testing.assert_array_equal(plain.command, [1.0, -1.0, 0.0, 0.0])
    clock.now_s += GRANT_S + 0.01
    assert not plain.held, "a terminal without releases: the repeats keep it going"

    exact = KeyboardPilot(4, clock, reports_releases=True)
    exact.take([Key("q"), Key("e")])
    clock.now_s += 0.6  # the pause before a key repeats
    exact.take([Key("e", REPEAT)])
    clock.now_s += 0.7
    assert set(exact.held) == {"q", "e"}, "only the last key repeats, the other one is still down"
    exact.take([Key("q", UP)])
    np.testing.assert_array_equal(exact.command, [0.0, 0.0, 1.0, 0.0])
    clock.now_s += LOST_S
    assert not exact.held, "a terminal that says nothing any more is gone"


def test_modes_and_orders_of_the_keyboard() -> None:
    pilot = KeyboardPilot(4, Clock())
    orders = [Key("space"), Key("backspace"), Key("tab"), Key("?"), Key("ctrl+c")]
    assert pilot.take(orders) == [
        KeyAction.STOP,
        KeyAction.RELEASE_STOP,
        KeyAction.NEXT_LIMB,
        KeyAction.HELP,
        KeyAction.QUIT,
    ]
    assert pilot.take([Key("space", REPEAT)]) == [], "a key that is held asks once"
    pilot.take([Key("right"), Key("up")])
    np.testing.assert_array_equal(pilot.command, [0.0, 1.0, 0.0, 0.0])
    pilot.take([Key("m")])
    assert not pilot.held, "what is held in one mode does not move the other"
    pilot.take([Key("w"), Key("f")])
    np.testing.assert_array_equal(pilot.command, [1.0, 0.0, -1.0])
    for _ in range(50):
        pilot.take([Key("-")])
    assert pilot.speed == pytest.approx(0.1)
    assert "finger" in help_text([joint.name for joint in LIMB.joints], reports_releases=False)


# -- game pads ------------------------------------------------------------------------------------


def test_sticks_move_what_they_should_and_rest_in_the_middle() -> None:
    pad = PadPilot(8)
    buttons = [0] * 15
    pad.take([0.05, -0.09, 1.0, 0.0, 0.0, 0.0], buttons)
    assert not pad.is_held
    np.testing.assert_array_equal(pad.command, [0, 0, 1, 0, 0, 0, 0, 0])
    buttons[9] = buttons[14] = 1
    pad.take([0.55, 0.0, 0.0, 0.0, 0.0, 0.0], buttons)
    assert pad.is_held
    np.testing.assert_allclose(pad.command, [0, 0, 0, 0, 0.5, 0, 0, 0])
    buttons[3] = 1
    pad.take([1.0, 0.0, 0.0, -1.0, 0.0, 0.0], buttons)
    np.testing.assert_array_equal(pad.command, [0.0, 1.0, -1.0])
    pad.release_all()
    assert not pad.is_held and not pad.command.any()


@given(
    axes=st.lists(st.floats(), max_size=9),
    buttons=st.lists(st.integers(0, 1), max_size=20),
    joints=st.integers(1, 9),
)
def test_any_pad_gives_finite_shares(axes: list[float], buttons: list[int], joints: int) -> None:
    pad = PadPilot(joints)
    for _ in range(2):
        pad.take(axes, buttons)
        assert np.isfinite(pad.command).all() and np.abs(pad.command).max(initial=0.0) <= 1.0


@dataclass
class Event:
    type: int
    code: int
    value: int


@dataclass
class Ends:
    min: int
    max: int


def test_events_of_the_kernel_become_axes_and_buttons() -> None:
    stick, trigger = Ends(-32768, 32767), Ends(0, 255)
    state = PadState({ecodes.ABS_X: stick, ecodes.ABS_RY: stick, ecodes.ABS_RZ: trigger})
    report = Event(ecodes.EV_SYN, ecodes.SYN_REPORT, 0)
    assert not state.take(Event(ecodes.EV_ABS, ecodes.ABS_X, -32768))
    assert not state.take(Event(ecodes.EV_ABS, ecodes.ABS_RY, 32767))
    state.take(Event(ecodes.EV_ABS, ecodes.ABS_RZ, 255))
    state.take(Event(ecodes.EV_KEY, ecodes.BTN_TL, 1))
    state.take(Event(ecodes.EV_ABS, ecodes.ABS_HAT0Y, -1))
    assert state.take(report)
    assert state.axes == [1.0, 0.0, 0.0, -1.0, 0.0, 1.0], "left and up are positive"
    assert [n for n, down in enumerate(state.buttons) if down] == [9, 11]


def test_a_pad_that_is_not_there_is_told() -> None:
    with pytest.raises(OSError, match="/dev/input/nothing cannot be read"):
        find_pad("/dev/input/nothing")


# -- leader limbs ---------------------------------------------------------------------------------


def test_a_leader_is_followed_by_name_or_by_order() -> None:
    names = [joint.name for joint in LIMB.joints]
    by_name = LeaderMap(LIMB, ["other", *reversed(names)])
    np.testing.assert_array_equal(by_name.goal([9.0, 4.0, 3.0, 2.0, 1.0]), [1.0, 2.0, 3.0, 4.0])
    by_order = LeaderMap(LIMB, ["a", "b", "c", "d"], signs=[1, -1, 1, 1], scale=0.5)
    np.testing.assert_array_equal(by_order.goal([1.0, 2.0, 3.0, 4.0]), [0.5, -1.0, 1.5, 2.0])
    with pytest.raises(DescriptionError, match="no joint 'finger'"):
        LeaderMap(LIMB, names[:-1])
    with pytest.raises(DescriptionError, match="4 times 1 or -1"):
        LeaderMap(LIMB, names, signs=[1, 2, 1, 1])


@pytest.mark.parametrize(
    ("name", "vendor", "driver", "x", "y"),
    [
        ("Microsoft X-Box 360 pad", 0x045E, "xpad", 2, 3),
        ("Logitech Gamepad F310", 0x046D, "xpad", 2, 3),
        ("Microsoft Xbox Series S|X Controller", 0x045E, "", 2, 3),
        ("Sony Interactive Entertainment DualSense", 0x054C, "playstation", 3, 2),
        ("Some pad", 0x1234, "", 3, 2),
    ],
)
def test_x_and_y_are_where_the_pads_driver_has_them(
    name: str, vendor: int, driver: str, x: int, y: int
) -> None:
    for code, number in ((0x133, x), (0x134, y)):
        state = PadState({}, button_codes(name, vendor, driver))
        state.take(Event(ecodes.EV_KEY, code, 1))
        assert [i for i, is_down in enumerate(state.buttons) if is_down] == [number]
