"""Web pages as a source: who drives, for how long, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.teleop.web_pilot import GRANT_S, PageCommand, PageError, PagePilot


class Clock:
    now_s = 5.0

    def __call__(self) -> float:
        return self.now_s


TIP = {"limb": 0, "kind": "tip", "values": [0.5, 0, -1], "speed": 1}


def test_one_page_drives_until_it_lets_go_or_falls_silent() -> None:
    clock = Clock()
    pilot = PagePilot([4], clock)
    pilot.drive(1, TIP)
    assert pilot.command == PageCommand(0, "tip", (0.5, 0.0, -1.0), 1.0) and pilot.holder == 1
    with pytest.raises(PageError, match="Another page drives"):
        pilot.drive(2, TIP)
    pilot.release(2)
    assert pilot.holder == 1, "only the page that drives can let go"
    clock.now_s += GRANT_S
    assert pilot.command is None and pilot.holder is None
    pilot.drive(2, {"limb": 0, "kind": "goal", "values": [0.1] * 4, "speed": 99})
    assert pilot.command is not None and pilot.command.speed == 3.0
    pilot.release(2)
    assert pilot.command is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"limb": 1}, "no limb 1"),
        ({"limb": True}, "no limb True"),
        ({"kind": "fly"}, "tip, goal, home"),
        ({"kind": "goal"}, "takes 4 numbers"),
        ({"values": [1, 2, "x"]}, "finite numbers"),
        ({"values": [1, 2, float("nan")]}, "finite numbers"),
        ({"speed": None}, "finite numbers"),
    ],
)
def test_what_makes_no_sense_is_refused_and_lets_go(change: dict[str, Any], told: str) -> None:
    pilot = PagePilot([4], Clock())
    pilot.drive(1, TIP)
    with pytest.raises(PageError, match=told):
        pilot.drive(1, {**TIP, **change})
    assert pilot.command is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(limb=JSON | st.just(0), kind=JSON | st.just("tip"), values=JSON, speed=JSON)
def test_no_message_does_more_than_be_refused(
    limb: Any, kind: Any, values: Any, speed: Any
) -> None:
    pilot = PagePilot([4, 8], Clock())
    try:
        pilot.drive(1, {"limb": limb, "kind": kind, "values": values, "speed": speed})
    except PageError:
        assert pilot.command is None
