"""Simulated time against a wall clock of the test's own."""

from __future__ import annotations

import pytest

from asterias.pacing import Pacer


class Wall:
    def __init__(self) -> None:
        self.now_s = 5.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("factor", [0.5, 1.0, 10.0])
def test_periods_fall_due_at_the_real_time_factor(factor: float) -> None:
    wall = Wall()
    pacer = Pacer(0.02, factor, wall)
    count = 0
    for _ in range(2000):
        count += pacer.due()
        wall.now_s += 0.001
    assert count * 0.02 == pytest.approx(2.0 * factor, rel=0.02)
    assert pacer.dropped == 0
    assert pacer.measured_factor() == pytest.approx(factor, rel=0.02)


def test_a_long_pause_is_not_caught_up() -> None:
    wall = Wall()
    pacer = Pacer(0.02, 1.0, wall, max_burst=5)
    pacer.due()
    wall.now_s += 10.0
    assert pacer.due() == 5
    assert pacer.dropped > 400
    assert pacer.due() == 0
    wall.now_s += 0.021
    assert pacer.due() == 1


def test_as_fast_as_possible_is_always_due() -> None:
    pacer = Pacer(0.02, 0.0, Wall())
    assert [pacer.due() for _ in range(3)] == [1, 1, 1]
    assert pacer.wall_period_s == 0.0


def test_a_restart_forgets_the_pause() -> None:
    wall = Wall()
    pacer = Pacer(0.02, 1.0, wall)
    wall.now_s += 10.0
    pacer.restart()
    assert pacer.due() == 1


@pytest.mark.parametrize("factor", [-1.0, float("nan")])
def test_a_wrong_factor_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="real_time_factor must be 0"):
        Pacer(0.02, factor)
