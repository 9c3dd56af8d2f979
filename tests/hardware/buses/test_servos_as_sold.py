"""Servos and adapters as they are sold: modes, levels and limits in permanent memory, echoes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from asterias.errors import DeviceError
from hardware.buses.bus import Servo
from hardware.buses.families import SERVO_FAMILIES
from hardware.buses.registers import ControlTable
from hardware.buses.serial_bus import SerialBus
from hardware.buses.serial_port import SerialLine
from hardware.description.robot import load_robot
from hardware.emulated.motor import FailingMotor, IdealMotor
from hardware.emulated.robot import EmulatedRobot
from hardware.emulated.servo import EmulatedServo
from hardware.emulated.servo_line import EmulatedLine, LineTrouble
from hardware.factory import make_limb
from hardware.setup.diagnose import examine

MODELS = {"dynamixel": "xl430_w250", "feetech": "sts3215"}
ANGLES = np.array([-0.4, 0.3])


class Rig:
    """Two servos on a line, and a bus that is open."""

    def __init__(self, family: str) -> None:
        models, name = SERVO_FAMILIES.get(family).models, MODELS[family]
        self.motors = [FailingMotor(IdealMotor(position_rad=angle)) for angle in ANGLES]
        self.servos = [
            EmulatedServo(models[name], id, motor, time.monotonic)
            for id, motor in enumerate(self.motors, 1)
        ]
        self.line = EmulatedLine(self.servos)
        self.line.start()
        described = [Servo(f"joint_{i}", i, name, 0.5, 1.0) for i in (1, 2)]
        line = SerialLine(self.line.port, 1_000_000)
        self.bus = SerialBus(line, described, models, answer_timeout_s=0.06)
        self.bus.open()
        self.table: ControlTable = models[name].table

    def close(self) -> None:
        """Close both ends."""
        self.bus.close()
        self.line.close()


Make = Callable[[str], Rig]


@pytest.fixture
def make() -> Iterator[Make]:
    """Rigs that are closed at the end."""
    made: list[Rig] = []

    def start(family: str) -> Rig:
        made.append(Rig(family))
        return made[-1]

    yield start
    for rig in made:
        rig.close()


def test_a_speed_limit_is_never_read_as_milliseconds(make: Make) -> None:
    rig = make("dynamixel")
    drive_mode = rig.table.drive_mode
    assert drive_mode is not None and drive_mode.address == 10
    for servo in rig.servos:
        servo._set(drive_mode, 0b101)  # time-based profile, and turned round
    rig.bus.arm(ANGLES)
    assert [servo.get(drive_mode) for servo in rig.servos] == [0b001, 0b001]
    rig.bus.write(ANGLES + 1.0)
    time.sleep(0.3)
    turned = np.array([motor.motion().position_rad for motor in rig.motors]) - ANGLES
    assert (turned < 0.5).all(), "1 rad/s, not 42 ms for the whole way"


def test_a_servo_that_answers_reads_only_is_told_as_such(make: Make) -> None:
    rig = make("dynamixel")
    level = rig.table.answer_level
    assert level is not None
    rig.servos[1]._set(level, 1)
    rig.bus.handshake()
    with pytest.raises(DeviceError, match=r"servo 2 .*answers reads only.*register 68 .*set it to"):
        rig.bus.arm(ANGLES)


@pytest.mark.parametrize("family", MODELS)
def test_an_adapter_that_echoes_is_told_and_its_echo_dropped(make: Make, family: str) -> None:
    rig = make(family)
    rig.line.trouble = LineTrouble(echo=True)
    rig.bus.handshake()
    assert rig.bus.has_echo
    rig.bus.arm(ANGLES)
    np.testing.assert_allclose(rig.bus.read().position_rad, ANGLES, atol=0.01)
    assert [one.id for one in rig.bus.scan(range(6), thorough=True)] == [1, 2]
    rig.bus.write(ANGLES + 0.1)
    rig.bus.request()
    assert np.isfinite(rig.bus.read().position_rad).all()


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("lead", [b"\x00", b"\x00\x00\x00"])
def test_zeros_before_each_answer_do_not_hide_it(make: Make, family: str, lead: bytes) -> None:
    rig = make(family)
    rig.line.trouble = LineTrouble(lead=lead)
    rig.bus.handshake()
    np.testing.assert_allclose(rig.bus.read().position_rad, ANGLES, atol=0.01)


def test_damaged_answers_are_called_damaged_not_missing(make: Make) -> None:
    rig = make("feetech")
    rig.line.trouble = LineTrouble(lead=b"\x80")
    with pytest.raises(DeviceError, match="damaged bytes come instead"):
        rig.bus.handshake()


def set_limits(servo: EmulatedServo, low: int, high: int) -> None:
    """As another program's calibration writes them."""
    registers = servo.model.angle_limits
    assert registers is not None
    servo._set(registers[0], low)
    servo._set(registers[1], high)


@pytest.mark.parametrize("family", MODELS)
def test_a_goal_outside_a_servos_own_limits_is_refused_by_name(make: Make, family: str) -> None:
    rig = make(family)
    set_limits(rig.servos[0], 2100, 2300)
    set_limits(rig.servos[1], 0, 0)  # no limits
    with pytest.raises(DeviceError, match=r"servo 1 \(joint_1\) .* turns only from 0\.080 to"):
        rig.bus.arm(ANGLES)
    assert not rig.servos[0].has_torque


@pytest.mark.parametrize("family", MODELS)
def test_doctor_and_driver_tell_limits_that_lie_in_a_servo(family: str) -> None:
    described = load_robot("limb_p1")
    with EmulatedRobot(described, family, pattern=False) as robot:
        set_limits(robot.limbs[0].servos[1], 1000, 2100)
        joint = described.limbs[0].joints[1].name
        told = [one for one in examine(robot.description) if "turns only from" in one.text]
        assert [one.part for one in told] == [f"limb_0 {joint}"]
        assert "narrow limits_rad" in told[0].text
        limb = make_limb(robot.description, 0)
        limb.connect()
        with pytest.raises(DeviceError, match=f"'{joint}' turns only from -1.608 to 0.080"):
            limb.activate()
        limb.disconnect()
