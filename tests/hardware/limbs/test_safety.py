"""The ladder: each failure word on each device, what is done, and how a limb comes back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterias.arrays import FloatArray
from asterias.errors import HardwareError, NotActiveError
from hardware.description.devices import DevicesBackend, SafetySettings
from hardware.description.robot import RobotDescription
from hardware.emulated.robot import EmulatedLimb, EmulatedRobot
from hardware.emulated.servo_line import EmulatedLine
from hardware.factory import make_limb
from hardware.faults.limb import FaultyLimb
from hardware.faults.words import Fault
from hardware.limbs.bus_limb import BusLimb
from hardware.limbs.driver import LimbDriver
from hardware.limbs.outlier_filter import OutlierFilter
from hardware.limbs.safety_monitor import SafetyMonitor, Severity
from hardware.limbs.trajectory import TrajectoryController
from sim.world import SimWorld

if TYPE_CHECKING:
    from tests.hardware.conftest import FakeClock

PERIOD_S = 0.02
JOINT = 1
REPEATABLE = settings(derandomize=True, deadline=None, max_examples=200)


@dataclass
class Rig:
    """A guarded limb, how time passes for it, and how its second joint fails.

    Attributes:
        devices: what is emulated; None for the simulated limb.
    """

    driver: LimbDriver
    advance: Callable[[float], None]
    inject: Callable[[Fault], None]
    close: Callable[[], None]
    now: Callable[[], float]
    devices: EmulatedLimb | None = None

    def __post_init__(self) -> None:
        self.motion = TrajectoryController(self.driver, self.now)
        self.guard = SafetyMonitor(self.driver, self.motion, SafetySettings(), self.now)

    def start(self) -> None:
        """As a node does it."""
        self.driver.connect()
        self.driver.activate()
        self.guard.restart()

    def step(self) -> float:
        """One control period; how far the goal went, in shares of the step limit."""
        before = self.driver.last_sent_rad
        self.guard.tick()
        try:
            self.motion.tick()
            state = self.driver.read()
        except HardwareError:
            state = None
        self.guard.observe(state)
        self.advance(PERIOD_S)
        limit = self.driver.max_step_period_s * np.array(
            [joint.velocity_limit_rad_s for joint in self.driver.joints]
        )
        return float(np.max(np.abs(self.driver.last_sent_rad - before) / limit))


def sim_rig() -> Rig:
    """The simulated limb inside the fault wrapper."""
    world = SimWorld("limb_p1", pictures=False)
    driver = FaultyLimb(world.limbs[0], seed=1)

    def inject(word: Fault) -> None:
        driver.inject(driver.joint_names[JOINT], word)

    return Rig(driver, world.advance, inject, world.close, lambda: world.time_s)


def device_rig(family: str, clock: FakeClock, limb_p1: RobotDescription) -> Rig:
    """Emulated servos on a fake clock; answers that do not come cost little."""
    robot = EmulatedRobot(limb_p1, family, clock=clock, pattern=False)
    robot.start()
    backend = robot.description.backend
    assert isinstance(backend, DevicesBackend)
    devices = backend.limbs["limb_0"]
    bus = devices.bus.model_copy(update={"answer_timeout_s": 0.025, "retries": 1})
    limbs = {"limb_0": devices.model_copy(update={"bus": bus})}
    description = robot.description.model_copy(
        update={"backend": backend.model_copy(update={"limbs": limbs})}
    )
    limb = robot.limbs[0]
    return Rig(
        make_limb(description, 0, clock),
        clock.advance,
        lambda word: limb.motors[JOINT].inject(word),
        robot.close,
        clock,
        limb,
    )


FAMILIES: dict[str, str] = {"dynamixel": "dynamixel", "feetech": "feetech", "udp": "udp"}
DEVICES = ("sim", *FAMILIES)


@pytest.fixture
def make_rig(clock: FakeClock, prototype: RobotDescription) -> Iterator[Callable[[str], Rig]]:
    """Makes a guarded limb that is active."""
    made: list[Rig] = []

    def make(device: str) -> Rig:
        family = FAMILIES.get(device)
        rig = sim_rig() if family is None else device_rig(family, clock, prototype)
        made.append(rig)
        rig.start()
        return rig

    yield make
    for rig in made:
        with contextlib.suppress(HardwareError):  # a broken device says so on the way out
            rig.driver.disconnect()
        rig.close()


# What each word is called in the end; at the servos' own level and in the fault wrapper, "off"
# differs: a servo without power does not answer, a joint that yields does.
EXPECTED = {
    Fault.OK: (Severity.OK, ""),
    Fault.OFF: (Severity.HOLD, "no_answer"),
    Fault.STUCK: (Severity.HOLD, "does_not_follow"),
    Fault.GARBAGE: (Severity.HOLD, "implausible"),
    Fault.WRONG: (Severity.HOLD, "does_not_follow"),
    Fault.SLOW: (Severity.WARN, "lags"),
    Fault.DELAYED: (Severity.WARN, "lags"),
    Fault.INTERMITTENT: (Severity.WARN, "lost_answers"),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("word", list(Fault))
def test_each_failure_ends_in_a_named_state_within_a_second_and_without_a_jump(
    make_rig: Callable[[str], Rig], device: str, word: Fault
) -> None:
    rig = make_rig(device)
    severity, name = EXPECTED[word]
    if device == "sim" and word is Fault.OFF:
        name = "does_not_follow"
    target = np.full(len(rig.driver.joints), 0.9)
    steps = [send(rig, target) for _ in range(10)]
    assert not rig.guard.findings
    rig.inject(word)
    names = set[str]()
    for step in range(50):
        # An encoder that is wrong shows while the limb stands, the others while it moves.
        target = -target if step % 25 == 0 and word is not Fault.WRONG else target
        steps.append(send(rig, target))
        names |= {one.name for one in rig.guard.findings}
        if name and name in names:
            break
    assert max(steps) <= 1.0 + 1e-9
    if word is Fault.OK:
        assert names == set()
    else:
        assert name in names
    assert rig.guard.severity >= severity


def send(rig: Rig, target: FloatArray) -> float:
    """Command, then live through one period; a refusal is what the ladder is for."""
    try:
        rig.motion.command(target)
    except NotActiveError:
        assert rig.guard.severity >= Severity.HOLD
    return rig.step()


@pytest.mark.parametrize("device", DEVICES)
def test_a_held_limb_refuses_until_it_is_activated_and_starts_where_it_is(
    make_rig: Callable[[str], Rig], device: str
) -> None:
    rig = make_rig(device)
    rig.inject(Fault.STUCK)
    target = np.full(len(rig.driver.joints), 0.8)
    for _ in range(60):
        send(rig, target)
    assert rig.guard.severity is Severity.HOLD
    with pytest.raises(NotActiveError, match=r"does_not_follow .* activate it again"):
        rig.motion.command(target)
    rig.inject(Fault.OK)
    for _ in range(50):
        rig.step()
    assert rig.guard.severity is Severity.HOLD  # not by itself
    rig.driver.deactivate()
    rig.driver.activate()
    rig.guard.restart()
    measured = rig.driver.read().position_rad
    np.testing.assert_allclose(rig.driver.last_sent_rad, measured, atol=0.01)
    for _ in range(60):
        assert send(rig, target) <= 1.0 + 1e-9
    assert not rig.guard.findings
    np.testing.assert_allclose(rig.driver.read().position_rad, target, atol=0.1)


def test_a_hot_servo_warns_rests_lets_go_and_is_used_again_when_it_is_cool(
    make_rig: Callable[[str], Rig],
) -> None:
    rig = make_rig("dynamixel")
    assert rig.devices is not None
    for _ in range(40):
        send(rig, np.full(4, 0.5))
    rig.devices.servos[2].temperature_c = 65
    for _ in range(60):
        send(rig, np.full(4, 0.5))
    assert [f.name for f in rig.guard.findings] == ["hot"]
    rig.devices.servos[2].temperature_c = 75
    speeds = []
    for _ in range(200):
        before = rig.driver.last_sent_rad
        rig.step()
        speeds.append(np.abs(rig.driver.last_sent_rad - before) / PERIOD_S)
        if not rig.driver.is_active:
            break
    assert rig.guard.severity is Severity.REST
    assert np.max(speeds) <= 0.2 * 5.2 * 1.05  # a fifth of the velocity limit
    np.testing.assert_allclose(rig.driver.last_sent_rad, 0.0, atol=0.02)
    rig.step()
    assert not any(servo.has_torque for servo in rig.devices.servos)
    rig.devices.servos[2].temperature_c = 40
    rig.driver.activate()
    rig.guard.restart()
    for _ in range(60):
        send(rig, np.full(4, 0.3))
    assert not rig.guard.findings
    np.testing.assert_allclose(rig.driver.read().position_rad, 0.3, atol=0.01)


def test_an_overloaded_servo_makes_the_others_hold(make_rig: Callable[[str], Rig]) -> None:
    rig = make_rig("feetech")
    assert rig.devices is not None
    rig.devices.servos[0].error_status = 1 << 5
    for _ in range(60):
        rig.step()
    assert rig.guard.findings[0].text == "shoulder_yaw: it is overloaded"
    assert rig.guard.severity is Severity.HOLD


@pytest.mark.parametrize("device", ["dynamixel", "feetech"])
def test_a_pulled_cable_ends_in_letting_go(make_rig: Callable[[str], Rig], device: str) -> None:
    rig = make_rig(device)
    assert rig.devices is not None and isinstance(rig.devices.bus_device, EmulatedLine)
    send(rig, np.full(4, 0.3))
    rig.devices.bus_device.unplug()
    for _ in range(50):
        rig.step()
    assert rig.guard.severity is Severity.DISABLE_TORQUE
    assert {"no_answer", "bus_silent"} <= {finding.name for finding in rig.guard.findings}


@pytest.mark.parametrize("device", ["dynamixel", "udp"])
def test_a_driver_that_was_asleep_arms_the_servos_where_they_are_and_goes_on(
    make_rig: Callable[[str], Rig], clock: FakeClock, device: str
) -> None:
    rig = make_rig(device)
    target = np.full(4, 0.8)
    send(rig, target)
    clock.advance(0.3)  # this program was control_gap, and the servos have stopped
    steps = [send(rig, target) for _ in range(60)]
    assert max(steps) <= 1.0 + 1e-9
    assert {finding.name for finding in rig.guard.findings} <= {"control_gap"}
    np.testing.assert_allclose(rig.driver.read().position_rad, target, atol=0.01)
    for _ in range(5):
        clock.advance(0.3)
        rig.step()
    assert rig.guard.severity is Severity.HOLD
    with pytest.raises(NotActiveError, match="control_gap"):
        rig.motion.command(target)


def test_a_servo_that_stopped_for_no_known_reason_is_freed_by_activation(
    make_rig: Callable[[str], Rig],
) -> None:
    rig = make_rig("dynamixel")
    assert rig.devices is not None
    servo = rig.devices.servos[2]
    assert servo.model.table.watchdog is not None
    servo._set(servo.model.table.watchdog, servo.model.table.watchdog_tripped)
    for _ in range(60):
        rig.step()
    assert [finding.name for finding in rig.guard.findings] == ["stopped"]
    assert rig.guard.severity is Severity.HOLD
    rig.driver.activate()
    rig.guard.restart()
    for _ in range(60):
        send(rig, np.full(4, 0.4))
    assert not rig.guard.findings
    np.testing.assert_allclose(rig.driver.read().position_rad, 0.4, atol=0.01)


# -- time-outs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("every_s", "until_hold_s"), [(0.02, 0.1), (0.2, 0.5)])
def test_a_stream_is_missed_sooner_than_a_single_command(
    array_limb: LimbDriver, clock: FakeClock, every_s: float, until_hold_s: float
) -> None:
    motion = TrajectoryController(array_limb, clock, stream_timeout_s=0.1)
    with array_limb:
        for _ in range(5):
            motion.command(array_limb.last_sent_rad)
            for _ in range(round(every_s / PERIOD_S)):
                clock.advance(PERIOD_S)
                motion.tick()
        silent_s = every_s
        while motion.is_moving:
            clock.advance(PERIOD_S)
            motion.tick()
            silent_s += PERIOD_S
        assert silent_s == pytest.approx(until_hold_s, abs=1.5 * PERIOD_S)


# -- readings that cannot be ----------------------------------------------------------------------


@REPEATABLE
@given(
    readings=st.lists(
        st.tuples(st.floats(-0.1, 0.5), st.one_of(st.just(np.nan), st.floats(-3.0, 3.0)))
    )
)
def test_what_is_believed_is_near_what_was_believed_or_has_settled(
    readings: list[tuple[float, float]],
) -> None:
    filter_ = OutlierFilter(np.array([2.0]))
    now, believed, believed_s, steady_since = 0.0, np.nan, 0.0, 0.0
    previous, previous_s = np.nan, 0.0
    for span_s, reading in readings:
        now += max(span_s, 0.0)
        answer = float(filter_.filtered(np.array([reading]), now)[0])
        if np.isnan(reading):
            assert np.isnan(answer)
            continue
        if not abs(reading - previous) <= 4.0 * (now - previous_s) + 0.2:
            steady_since = now
        previous, previous_s = reading, now
        if np.isnan(answer):
            continue
        assert answer == reading
        is_near = abs(reading - believed) <= 4.0 * (now - believed_s) + 0.2 + 1e-9
        assert np.isnan(believed) or is_near or now - steady_since >= 0.3 - 1e-9
        believed, believed_s, previous = reading, now, np.nan


def test_random_readings_are_never_believed_for_long() -> None:
    rng = np.random.default_rng(0)
    filter_ = OutlierFilter(np.array([5.0]))
    filter_.filtered(np.array([0.0]), 0.0)
    answers = [
        filter_.filtered(rng.uniform(-3.1, 3.1, 1), 0.02 * step)[0] for step in range(1, 2000)
    ]
    wrong = np.abs(np.array(answers)[np.isfinite(answers)])
    assert np.isnan(answers).mean() > 0.5
    assert len(wrong) < 1000


def test_a_joint_that_was_moved_unseen_is_believed_after_a_while() -> None:
    filter_ = OutlierFilter(np.array([2.0]))
    filter_.filtered(np.array([0.0]), 0.0)
    answers = [filter_.filtered(np.array([1.5]), 0.02 * step)[0] for step in range(1, 40)]
    assert np.isnan(answers[:14]).all()
    assert answers[-1] == 1.5


def test_a_garbled_encoder_does_not_drive_the_limb_away(make_rig: Callable[[str], Rig]) -> None:
    rig = make_rig("dynamixel")
    assert isinstance(rig.driver, BusLimb)
    rig.inject(Fault.GARBAGE)
    for _ in range(100):
        rig.step()
    assert abs(rig.driver.last_sent_rad[JOINT]) < 0.3


def test_a_wrapped_limb_tells_the_health_of_its_servos(make_rig: Callable[[str], Rig]) -> None:
    rig = make_rig("dynamixel")
    wrapped = FaultyLimb(rig.driver)
    rig.driver.read()
    health = wrapped.health()
    assert health.counts["requests"] > 0
    assert health.watchdog_s < 1.0
    servo = wrapped.read_health(JOINT)
    assert servo is not None and servo.voltage_v > 5.0
