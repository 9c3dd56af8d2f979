"""What every limb promises, whatever is behind it; the list of limbs is in ``conftest.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pytest

from asterias.arrays import FloatArray
from asterias.errors import CommandError, DeviceError, NotActiveError, NotConnectedError
from hardware.limbs.driver import LimbDriver, LimbState

if TYPE_CHECKING:
    from tests.hardware.conftest import LimbCase

PERIOD_S = 0.02


def record_writes(driver: LimbDriver, monkeypatch: pytest.MonkeyPatch) -> list[FloatArray]:
    """Everything that goes to the device from now on."""
    written: list[FloatArray] = []
    write = driver._write

    def record(position_rad: FloatArray) -> None:
        written.append(np.array(position_rad))
        write(position_rad)

    monkeypatch.setattr(driver, "_write", record)
    return written


def break_read(driver: LimbDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device answers no more."""

    def read() -> LimbState:
        raise DeviceError("The cable is out.")

    monkeypatch.setattr(driver, "_read", read)


def limits(driver: LimbDriver) -> tuple[FloatArray, FloatArray]:
    """Lower and upper limits, ``(n,)`` each."""
    low, high = np.array([joint.limits_rad for joint in driver.joints]).T
    return low, high


def step_limit(driver: LimbDriver, span_s: float) -> FloatArray:
    """``(n,)`` the most that a command may travel."""
    return span_s * np.array([joint.velocity_limit_rad_s for joint in driver.joints])


def stream(case: LimbCase, target: FloatArray, steps: int) -> FloatArray:
    """Send one target at the control rate; returns what was sent last."""
    sent = case.driver.last_sent_rad
    for _ in range(steps):
        case.advance(PERIOD_S)
        sent = case.driver.send(target)
        case.driver.tick()
    return sent


# -- life cycle -----------------------------------------------------------------------------------


def test_features_are_readable_while_disconnected(limb_case: LimbCase) -> None:
    driver = limb_case.driver
    assert driver.name
    assert driver.joint_names == tuple(joint.name for joint in driver.joints)
    assert driver.last_sent_rad.shape == (len(driver.joints),)
    assert not driver.is_connected
    assert not driver.is_active
    assert driver.is_holding
    assert driver.command_age_s == np.inf


def test_nothing_moves_before_connect(limb_case: LimbCase, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = limb_case.driver
    written = record_writes(driver, monkeypatch)
    for call in (driver.read, driver.hold, driver.activate):
        with pytest.raises(NotConnectedError, match=r"call connect\(\) first"):
            call()
    with pytest.raises(NotConnectedError):
        driver.send(driver.last_sent_rad)
    assert driver.tick()
    driver.deactivate()
    driver.disconnect()
    assert driver.counters.rejected == 1
    assert written == []


def test_connect_and_disconnect_are_harmless_when_repeated(limb_case: LimbCase) -> None:
    driver = limb_case.driver
    for _ in range(2):
        driver.connect()
        driver.connect()
        assert driver.is_connected
        assert not driver.is_active
        driver.disconnect()
        driver.disconnect()
        assert not driver.is_connected


def test_inactive_limb_refuses_commands(
    limb_case: LimbCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = limb_case.driver
    driver.connect()
    written = record_writes(driver, monkeypatch)
    with pytest.raises(NotActiveError, match=r"call activate\(\) first"):
        driver.send(driver.last_sent_rad)
    driver.activate()
    driver.deactivate()
    count = len(written)
    with pytest.raises(NotActiveError):
        driver.send(driver.last_sent_rad)
    assert len(written) == count
    assert driver.counters.rejected == 2


def test_context_manager_activates_and_always_disconnects(limb_case: LimbCase) -> None:
    driver = limb_case.driver
    with driver as entered:
        assert entered is driver
        assert driver.is_active
    assert not driver.is_connected
    with pytest.raises(ZeroDivisionError), driver:
        raise ZeroDivisionError
    assert not driver.is_connected
    assert not driver.is_active


def test_state_has_one_value_per_joint(limb_case: LimbCase) -> None:
    with limb_case.driver as driver:
        state = driver.read()
    shape = (len(driver.joints),)
    assert state.position_rad.shape == state.velocity_rad_s.shape == state.effort_nm.shape == shape
    assert np.isfinite(state.position_rad).all()
    assert np.isfinite(state.velocity_rad_s).all()


# -- commands and limits --------------------------------------------------------------------------


def test_send_returns_what_was_really_sent(
    limb_case: LimbCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with limb_case.driver as driver:
        written = record_writes(driver, monkeypatch)
        limb_case.advance(PERIOD_S)
        near = driver.last_sent_rad + 0.5 * step_limit(driver, PERIOD_S)
        sent = driver.send(near)
        np.testing.assert_array_equal(sent, near)
        limb_case.advance(PERIOD_S)
        sent = driver.send(near + 100.0)
        np.testing.assert_array_equal(sent, written[-1])
        np.testing.assert_array_equal(sent, driver.last_sent_rad)
        assert (driver.counters.accepted, driver.counters.limited) == (2, 1)
        sent[:] = 99.0  # the caller's copy, no part of the driver
        assert (driver.last_sent_rad < 99.0).all()


@pytest.mark.parametrize("end", [0, 1], ids=["lower", "upper"])
def test_stream_reaches_the_limit_and_never_passes_it(
    limb_case: LimbCase, monkeypatch: pytest.MonkeyPatch, end: int
) -> None:
    with limb_case.driver as driver:
        written = record_writes(driver, monkeypatch)
        low, high = limits(driver)
        sent = stream(limb_case, (low - 1.0, high + 1.0)[end], steps=200)
        np.testing.assert_array_equal(sent, (low, high)[end])
        assert (np.array(written) >= low).all()
        assert (np.array(written) <= high).all()


@pytest.mark.parametrize("pause_s", [0.0, 0.02, 0.08, 5.0])
def test_wild_command_moves_one_step_only(limb_case: LimbCase, pause_s: float) -> None:
    with limb_case.driver as driver:
        limb_case.advance(pause_s)
        before = driver.last_sent_rad
        moved = np.abs(driver.send(np.where(before > 0, -100.0, 100.0)) - before)
        step = step_limit(driver, min(pause_s, driver.max_step_period_s))
        np.testing.assert_allclose(moved, step, atol=1e-12)


@pytest.mark.parametrize(
    "bad",
    [
        [0.0],
        [],
        0.0,
        np.zeros((2, 2)),
        "straight",
        None,
        [[0.0], [0.0, 1.0]],
        {"joint_0": 1.0},
    ],
    ids=str,
)
def test_command_of_a_wrong_shape_is_rejected(
    limb_case: LimbCase, monkeypatch: pytest.MonkeyPatch, bad: object
) -> None:
    with limb_case.driver as driver:
        written = record_writes(driver, monkeypatch)
        with pytest.raises(CommandError, match=driver.name):
            driver.send(bad)  # type: ignore[arg-type]  # callers make mistakes
        assert driver.counters.rejected == 1
        assert written == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_command_that_is_not_finite_names_the_joint(
    limb_case: LimbCase, monkeypatch: pytest.MonkeyPatch, bad: float
) -> None:
    with limb_case.driver as driver:
        written = record_writes(driver, monkeypatch)
        command = driver.last_sent_rad
        command[1] = bad
        with pytest.raises(CommandError, match=driver.joint_names[1]):
            driver.send(command)
        assert driver.counters.rejected == 1
        assert written == []


# -- time-out, hold, activation -------------------------------------------------------------------


def test_silence_of_half_a_second_ends_in_a_hold(limb_case: LimbCase) -> None:
    with limb_case.driver as driver:
        stream(limb_case, driver.last_sent_rad + 0.1, steps=3)
        for _ in range(24):  # 0.48 s
            limb_case.advance(PERIOD_S)
            assert not driver.tick()
        limb_case.advance(PERIOD_S + 1e-6)
        limb_case.advance(PERIOD_S)  # a simulation rounds to whole steps
        assert driver.tick()
        assert driver.is_holding
        assert driver.counters.timeouts == 1
        np.testing.assert_allclose(driver.last_sent_rad, driver.read().position_rad, atol=1e-6)
        limb_case.advance(1.0)
        assert driver.tick()
        assert driver.counters.timeouts == 1


def test_commands_in_time_keep_the_limb_moving(limb_case: LimbCase) -> None:
    with limb_case.driver as driver:
        for _ in range(5):
            limb_case.advance(0.4)
            driver.send(driver.last_sent_rad)
            assert not driver.tick()
        assert driver.counters.timeouts == 0


def test_command_after_a_hold_moves_again(limb_case: LimbCase) -> None:
    with limb_case.driver as driver:
        stream(limb_case, driver.last_sent_rad, steps=2)
        limb_case.advance(1.0)
        driver.tick()
        limb_case.advance(PERIOD_S)
        before = driver.last_sent_rad
        after = driver.send(before + 0.01)
        assert not driver.is_holding
        np.testing.assert_allclose(after, before + 0.01)


def test_activation_starts_at_the_measured_position(
    limb_case: LimbCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = limb_case.driver
    driver.connect()
    written = record_writes(driver, monkeypatch)
    for _ in range(3):
        driver.activate()
        np.testing.assert_allclose(written[-1], driver.read().position_rad, atol=1e-9)
        np.testing.assert_array_equal(written[-1], driver.last_sent_rad)
        stream(limb_case, driver.last_sent_rad + 0.2, steps=5)
        driver.deactivate()
        limb_case.advance(0.5)


# -- when things break ----------------------------------------------------------------------------


def test_disconnect_closes_the_device_even_when_it_answers_no_more(
    limb_case: LimbCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = limb_case.driver
    closed: list[str] = []
    close = driver._close

    def record_close() -> None:
        closed.append(driver.name)
        close()

    monkeypatch.setattr(driver, "_close", record_close)
    driver.connect()
    driver.activate()
    break_read(driver, monkeypatch)
    with pytest.raises(DeviceError, match="cable"):
        driver.disconnect()
    assert closed == [driver.name]
    assert not driver.is_connected
    assert not driver.is_active


def test_limb_that_cannot_be_measured_does_not_become_active(
    limb_case: LimbCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = limb_case.driver
    written = record_writes(driver, monkeypatch)
    driver.connect()
    break_read(driver, monkeypatch)
    with pytest.raises(DeviceError):
        driver.activate()
    with pytest.raises(NotActiveError):
        driver.send(driver.last_sent_rad)
    assert written == []


def test_failed_entry_closes_the_device(
    limb_case: LimbCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = limb_case.driver
    break_read(driver, monkeypatch)
    with pytest.raises(DeviceError), driver:
        pytest.fail("entered a limb that cannot be measured")
    assert not driver.is_connected


def test_failed_hold_still_ends_activity(
    limb_case: LimbCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = limb_case.driver
    driver.connect()
    driver.activate()
    break_read(driver, monkeypatch)
    with pytest.raises(DeviceError):
        driver.deactivate()
    assert not driver.is_active


def test_failed_write_is_no_accepted_command(
    limb_case: LimbCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(position_rad: FloatArray) -> NoReturn:
        raise DeviceError("The bus is busy.")

    with limb_case.driver as driver:
        before = driver.last_sent_rad
        limb_case.advance(PERIOD_S)
        with monkeypatch.context() as broken:
            broken.setattr(driver, "_write", write)
            with pytest.raises(DeviceError):
                driver.send(before + 0.01)
        np.testing.assert_array_equal(driver.last_sent_rad, before)
        assert driver.counters.accepted == 0


def test_timed_out_limb_tries_to_hold_until_it_answers(
    limb_case: LimbCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with limb_case.driver as driver:
        stream(limb_case, driver.last_sent_rad, steps=2)
        limb_case.advance(1.0)
        with monkeypatch.context() as broken:
            break_read(driver, broken)
            for _ in range(2):
                with pytest.raises(DeviceError):
                    driver.tick()
            assert not driver.is_holding
        assert driver.tick()
        assert driver.counters.timeouts == 1


# -- health ---------------------------------------------------------------------------------------


def test_health_has_a_figure_per_joint_and_asks_no_device(limb_case: LimbCase) -> None:
    driver = limb_case.driver
    health = driver.health()
    assert health.rejected.shape == health.doubted.shape == (len(driver.joints),)
    assert health.lost == 0 and health.watchdog_s > 0.0
    with pytest.raises(NotConnectedError):
        driver.read_health(0)
    with pytest.raises(NotConnectedError):
        driver.request()
