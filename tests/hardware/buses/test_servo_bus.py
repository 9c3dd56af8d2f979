"""Serial buses against emulated servos on a pty: what goes wrong on a wire, and what is set up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterias.errors import DescriptionError, DeviceError
from hardware.buses.bus import Servo
from hardware.buses.families import SERVO_FAMILIES
from hardware.buses.serial_bus import SerialBus
from hardware.buses.serial_port import SerialLine
from hardware.emulated.motor import FailingMotor, IdealMotor
from hardware.emulated.servo import EmulatedServo
from hardware.emulated.servo_line import EmulatedLine, LineTrouble

FAMILIES = {"dynamixel": "xl430_w250", "feetech": "sts3215", "feetech scs": "scs0009"}
ANGLES = np.array([-0.6, -0.2, 0.3, 0.7])


class Rig:
    """Four servos on a line, and a bus that is open."""

    def __init__(self, family: str, retries: int = 2, timeout_s: float = 0.06) -> None:
        name = FAMILIES[family]
        self.models = SERVO_FAMILIES.get(family.partition(" ")[0]).models
        self.model = self.models[name]
        self.motors = [FailingMotor(IdealMotor(position_rad=angle)) for angle in ANGLES]
        self.servos = [
            EmulatedServo(self.model, id, motor, time.monotonic)
            for id, motor in enumerate(self.motors, 1)
        ]
        self.line = EmulatedLine(self.servos, seed=3)
        self.line.start()
        self.described = [Servo(f"joint_{i}", i, name, 0.5, 2.0) for i in (1, 2, 3, 4)]
        self.retries, self.timeout_s = retries, timeout_s
        self.bus = self.make_bus(self.described)
        self.bus.open()

    def make_bus(self, described: list[Servo]) -> SerialBus:
        """A bus on the same port."""
        line = SerialLine(self.line.port, 1_000_000)
        return SerialBus(
            line,
            described,
            self.models,
            retries=self.retries,
            answer_timeout_s=self.timeout_s,
        )

    def close(self) -> None:
        """Close both ends."""
        self.bus.close()
        self.line.close()


@pytest.fixture(params=list(FAMILIES))
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Each family in turn."""
    made = Rig(request.param)
    yield made
    made.close()


@pytest.fixture
def dynamixels() -> Iterator[Rig]:
    """Dynamixel servos."""
    made = Rig("dynamixel")
    yield made
    made.close()


def wait_until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Servos act in their own time."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


# -- reading and moving ---------------------------------------------------------------------------


def test_shaft_angles_are_those_of_the_motors(rig: Rig) -> None:
    rig.bus.handshake()
    np.testing.assert_allclose(rig.bus.read().position_rad, ANGLES, atol=rig.model.tick_rad)


def test_a_request_is_answered_later(rig: Rig) -> None:
    rig.bus.request()
    time.sleep(0.02)
    np.testing.assert_allclose(rig.bus.read().position_rad, ANGLES, atol=rig.model.tick_rad)


def test_armed_servos_go_where_they_are_sent_with_limits_written(rig: Rig) -> None:
    rig.bus.arm(ANGLES)
    wait_until(lambda: all(servo.has_torque for servo in rig.servos))
    limit = rig.servos[0].get(rig.model.torque_limit) * rig.model.torque_limit_unit_nm
    assert limit == pytest.approx(0.5, rel=0.02) or limit == pytest.approx(
        rig.model.torque_limit_max * rig.model.torque_limit_unit_nm
    )
    speed = rig.servos[0].get(rig.model.table.speed_limit) * rig.model.velocity_unit_rad_s
    assert speed == pytest.approx(2.0, rel=0.02)
    rig.bus.write(ANGLES + 0.1)
    goals = ANGLES + 0.1
    wait_until(lambda: bool(np.allclose([s.goal_rad for s in rig.servos], goals, atol=0.01)))
    rig.bus.disarm()
    wait_until(lambda: not any(servo.has_torque for servo in rig.servos))


def test_health_tells_errors_in_words(rig: Rig) -> None:
    rig.servos[2].error_status, rig.servos[2].temperature_c = 1 << 5, 66
    health = rig.bus.read_health(2)
    assert health is not None
    assert health.errors == ("it is overloaded",)
    assert health.temperature_c == 66.0
    assert health.voltage_v == pytest.approx(rig.servos[2].voltage_v)


# -- who is there ---------------------------------------------------------------------------------


def test_the_handshake_lists_what_is_missing_and_what_is_too_much(rig: Rig) -> None:
    name = rig.described[0].model
    bus = rig.make_bus([*rig.described[:3], Servo("joint_9", 9, name, 1.0, 1.0)])
    rig.bus.close()
    bus.open()
    with pytest.raises(DeviceError) as caught:
        bus.handshake()
    bus.close()
    assert "no answer from id 9 (joint_9)" in str(caught.value)
    assert f"unexpected id 4 ({name})" in str(caught.value)


def test_the_handshake_knows_another_model(dynamixels: Rig) -> None:
    dynamixels.bus.close()
    described = [Servo(s.name, s.id, "xm430_w350", 1.0, 1.0) for s in dynamixels.described]
    bus = dynamixels.make_bus(described)
    bus.open()
    with pytest.raises(DeviceError, match=r"id 1 \(joint_1\) is a xl430_w250, not a xm430_w350"):
        bus.handshake()
    bus.close()


def test_series_that_differ_cannot_share_a_bus() -> None:
    servos = [Servo("a", 1, "sts3215", 1.0, 1.0), Servo("b", 2, "scs0009", 1.0, 1.0)]
    with pytest.raises(DescriptionError, match="different series"):
        SerialBus(SerialLine("/dev/null", 1_000_000), servos, SERVO_FAMILIES.get("feetech").models)


def test_an_id_is_set_once_and_not_twice(rig: Rig) -> None:
    rig.bus.set_id(4, 11)
    assert [one.id for one in rig.bus.scan(range(1, 13))] == [1, 2, 3, 11]
    with pytest.raises(DeviceError, match="id 2 is taken"):
        rig.bus.set_id(3, 2)
    with pytest.raises(DeviceError, match="An id is 0 to"):
        rig.bus.set_id(3, 254)


# -- what goes wrong on the wire ------------------------------------------------------------------


def test_a_silent_servo_is_a_joint_without_a_value(rig: Rig) -> None:
    rig.bus.close()
    rig.timeout_s = 0.05
    rig.bus = rig.make_bus(rig.described)
    rig.bus.open()
    rig.motors[1].inject("off")
    position = rig.bus.read().position_rad
    assert np.isnan(position).tolist() == [False, True, False, False]
    assert rig.bus.read_health(1) is None
    assert rig.bus.counters.missing >= 1
    assert rig.bus.counters.retries >= 2


def test_lost_answers_are_asked_for_again(rig: Rig) -> None:
    rig.motors[1].inject("intermittent", 0.3)
    rig.bus.close()
    rig.retries, rig.timeout_s = 10, 0.03
    rig.bus = rig.make_bus(rig.described)
    rig.bus.open()
    for _ in range(20):
        assert np.isfinite(rig.bus.read().position_rad).all()
    assert rig.bus.counters.retries > 0


TROUBLES = st.builds(
    LineTrouble,
    corrupt=st.floats(0.0, 0.5),
    lose=st.floats(0.0, 0.5),
    noise=st.floats(0.0, 0.5),
)


@pytest.fixture(scope="module", params=["dynamixel", "feetech"])
def noisy_rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """A line for many examples, with little patience."""
    made = Rig(request.param, retries=1, timeout_s=0.004)
    yield made
    made.close()


@settings(derandomize=True, deadline=None, max_examples=60)
@given(trouble=TROUBLES)
def test_whatever_the_wire_does_no_wrong_position_is_accepted(
    noisy_rig: Rig, trouble: LineTrouble
) -> None:
    noisy_rig.line.trouble = trouble
    position = noisy_rig.bus.read().position_rad
    is_true = np.isclose(position, ANGLES, atol=noisy_rig.model.tick_rad)
    assert (is_true | np.isnan(position)).all()
    noisy_rig.line.trouble = LineTrouble()


def test_late_answers_are_not_taken_for_the_next_ones(dynamixels: Rig) -> None:
    dynamixels.bus.close()
    dynamixels.retries, dynamixels.timeout_s = 0, 0.01
    bus = dynamixels.bus = dynamixels.make_bus(dynamixels.described)
    bus.open()
    dynamixels.line.trouble = LineTrouble(late_s=0.03)
    assert np.isnan(bus.read().position_rad).all()
    dynamixels.line.trouble = LineTrouble()
    time.sleep(0.05)
    assert bus.read_health(0) is not None
    np.testing.assert_allclose(bus.read().position_rad, ANGLES, atol=0.01)


def test_a_pulled_cable_is_told_as_such(rig: Rig) -> None:
    rig.line.unplug()
    with pytest.raises(DeviceError, match="is gone"):
        for _ in range(100):
            rig.bus.read()


def test_a_port_that_is_not_there_says_what_to_do() -> None:
    with pytest.raises(DeviceError, match="there is no such port; plug in the adapter"):
        SerialLine("/dev/ttyUSB99", 1_000_000).open()


# -- the servos' own watchdog ---------------------------------------------------------------------


def test_silence_on_the_bus_stops_a_dynamixel_and_arming_frees_it(dynamixels: Rig) -> None:
    bus = dynamixels.bus
    bus.arm(ANGLES)
    bus.write(ANGLES + 1.5)
    wait_until(lambda: all(servo.is_stopped for servo in dynamixels.servos))
    stopped = [motor.motion().position_rad for motor in dynamixels.motors]
    # At 2 rad/s, 0.2 s of silence leave 0.4 rad; a busy machine may let it watch late.
    assert max(np.abs(np.array(stopped) - ANGLES)) < 1.2
    health = bus.read_health(0)
    assert health is not None and health.is_stopped
    bus.write(ANGLES)  # refused until it is armed again
    time.sleep(0.05)
    np.testing.assert_allclose([m.motion().position_rad for m in dynamixels.motors], stopped)
    bus.arm(np.array(stopped))
    bus.write(ANGLES)
    wait_until(lambda: not any(servo.is_stopped for servo in dynamixels.servos))


def test_only_servos_that_stop_by_themselves_count_as_watched() -> None:
    def has_watchdog(family: str, model: str) -> bool:
        servos = [Servo("a", 1, model, 1.0, 1.0)]
        return SerialBus(
            SerialLine("x", 9600), servos, SERVO_FAMILIES.get(family).models
        ).has_watchdog

    assert has_watchdog("dynamixel", "xl430_w250")
    assert not has_watchdog("dynamixel", "xl330_m288")
    assert not has_watchdog("feetech", "sts3215")
