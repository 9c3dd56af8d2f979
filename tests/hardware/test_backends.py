"""Backends of real robots: each mistake gets one clear sentence, and what is sound is kept."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from asterias.errors import DescriptionError, DeviceError
from hardware.cameras.mjpeg import MjpegSettings
from hardware.description.buses import SerialBusSettings
from hardware.description.devices import DevicesBackend
from hardware.description.robot import (
    ROBOTS_DIR,
    RobotDescription,
    load_robot,
    parse_robot,
    save_robot,
)
from hardware.emulated.robot import EmulatedRobot
from hardware.factory import make_camera, make_limb
from hardware.limbs.calibration import Calibration, JointCalibration, load, save

BACKEND = """
type: devices
limbs:
  limb_0:
    bus: {type: dynamixel, port: /dev/ttyUSB0}
    servos:
      shoulder_yaw: {id: 1, model: xl430_w250}
      shoulder_pitch: {id: 2, model: xl430_w250}
      wrist_roll: {id: 3, model: xl430_w250}
      finger: {id: 4, model: xl430_w250}
    cameras:
      base_side_middle: {type: mjpeg, url: "http://192.168.4.11:81/stream"}
      tip_side_middle: {type: mjpeg, url: "http://192.168.4.12:81/stream"}
      tip_down: {type: usb, device: /dev/video0, controls: {brightness: 0.5}}
      tip_forward: {type: replay, file: runs/demo.mcap, topic: /limb_0/camera_3/image_raw}
"""


def described(path: str = "", value: Any = None) -> dict[str, Any]:
    """Prototype 1 with real devices; one value of the backend may be changed, or removed."""
    data = yaml.safe_load((ROBOTS_DIR / "limb_p1.yaml").read_text(encoding="utf-8"))
    data["backend"] = yaml.safe_load(BACKEND)
    if path:
        place, *steps = data["backend"], *path.split("/")
        for step in steps[:-1]:
            place = place[step]
        if value is None:
            del place[steps[-1]]
        else:
            place[steps[-1]] = copy.deepcopy(value)
    return dict(data)


LIMB = "limbs/limb_0"
AT = "backend.limbs.limb_0"
MISTAKES: list[tuple[str, Any, str]] = [
    ("limbs", None, "backend.limbs: this key is missing; add a mapping."),
    (LIMB, None, "limb 'limb_0' has no devices; add backend.limbs.limb_0."),
    (f"{LIMB}/bus", None, f"{AT}.bus: this key is missing; add a mapping."),
    (f"{LIMB}/bus", "usb", f"{AT}.bus: expected a mapping (got 'usb')."),
    (f"{LIMB}/bus/type", None, f"{AT}.bus.type: this key is missing; choose one of: dynamixel"),
    (f"{LIMB}/bus/type", "canbus", f"{AT}.bus.type: unknown bus 'canbus'; choose one of: dynamix"),
    (f"{LIMB}/bus/port", None, f"{AT}.bus.port: this key is missing; add text."),
    (
        f"{LIMB}/bus/baudrate",
        9600,
        f"{AT}.bus.baudrate: this key is unknown; did you mean 'baud_rate'?",
    ),
    (f"{LIMB}/bus/baud_rate", 12, f"{AT}.bus.baud_rate: must be greater than or equal to 9600"),
    (f"{LIMB}/bus/watchdog_s", 9.0, f"{AT}.bus.watchdog_s: must be less than or equal to 2.54"),
    (f"{LIMB}/servos/finger", None, "joint 'finger' of 'limb_0' has no servo in the backend;"),
    (f"{LIMB}/servos/fingr", {"id": 5, "model": "xl430_w250"}, "did you mean 'finger'?"),
    (
        f"{LIMB}/servos/finger/id",
        3,
        f"{AT}.servos.finger.id: 'finger' and 'wrist_roll' both have id 3;",
    ),
    (
        f"{LIMB}/servos/finger/id",
        254,
        f"{AT}.servos.finger.id: servo of 'finger': id 254 is above 253.",
    ),
    (
        f"{LIMB}/servos/finger/model",
        "xl430w250",
        "unknown dynamixel model 'xl430w250'; did you mean 'xl430_w250'?",
    ),
    (
        f"{LIMB}/cameras/tip_down",
        None,
        "camera 'tip_down' of 'limb_0' has no device in the backend; add one, or set enabled",
    ),
    (f"{LIMB}/cameras/tip_dwn", {"type": "usb", "device": "x"}, "did you mean 'tip_down'?"),
    (
        f"{LIMB}/cameras/tip_side_middle/url",
        "192.168.4.12",
        f"{AT}.cameras.tip_side_middle.url: expected an address such as http://",
    ),
    (
        f"{LIMB}/cameras/tip_down/type",
        "webcam",
        f"{AT}.cameras.tip_down.type: unknown tip_down 'webcam'; choose one of: mjpeg, usb,",
    ),
    (f"{LIMB}/cameras/tip_down", {"type": "udp", "id": 1}, "cameras of type udp need a bus of"),
    (f"{LIMB}/bus", {"type": "udp", "key": "short"}, f"{AT}.bus.key: a key needs 16 characters"),
    (f"{LIMB}/bus", {"type": "udp", "interface": "wlan0"}, "expected an address such as 192."),
    ("safety", {"hot": 50}, "backend.safety.hot: this key is unknown; did you mean 'hot_c'?"),
]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    MISTAKES,
    ids=[f"{p}-{i}" for i, (p, _, _) in enumerate(MISTAKES)],
)
def test_each_mistake_gets_one_clear_sentence(path: str, value: object, expected: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        parse_robot(described(path, value), source="my_limb.yaml")
    sentence = str(caught.value)
    assert sentence.startswith("my_limb.yaml: ")
    assert expected in sentence
    assert "\n" not in sentence


def test_a_sound_backend_keeps_its_types() -> None:
    robot = parse_robot(described())
    assert isinstance(robot.backend, DevicesBackend)
    devices = robot.backend.limbs["limb_0"]
    assert isinstance(devices.bus, SerialBusSettings)
    assert devices.bus.baud_rate == 1_000_000
    assert isinstance(devices.cameras["tip_side_middle"], MjpegSettings)
    assert robot.simulation.physics_hz == 500  # and it can still be simulated


def test_a_saved_description_is_the_same_robot(tmp_path: Path) -> None:
    for robot in (load_robot("limb_p1"), load_robot("starfish"), parse_robot(described())):
        save_robot(robot, tmp_path / "robot.yaml")
        assert load_robot(tmp_path / "robot.yaml") == robot


def test_an_emulated_robot_is_described_as_a_real_one() -> None:
    for family in ("dynamixel", "feetech", "udp"):
        with EmulatedRobot(load_robot("limb_p1"), family) as robot:
            copy_ = parse_robot(robot.description.model_dump(mode="json", exclude_none=True))
        assert copy_.backend == robot.description.backend
        for described, emulated in zip(copy_.limbs, robot.description.limbs, strict=True):
            # Reading a description notes which servo each joint has, for its data sheet.
            joints = [joint.model_copy(update={"servo": None}) for joint in described.joints]
            assert described.model_copy(update={"joints": tuple(joints)}) == emulated


def test_a_simulated_robot_has_no_devices() -> None:
    with pytest.raises(DescriptionError, match="has the backend 'sim'"):
        make_limb(load_robot("limb_p1"), 0)


def test_a_control_that_does_not_exist_is_told_as_such() -> None:
    robot = parse_robot(described(f"{LIMB}/cameras/tip_down/controls", {"brightnes": 1.0}))
    limb = robot.limbs[0]
    with pytest.raises(DescriptionError, match="no camera control 'brightnes'"):
        make_camera(robot, limb, limb.cameras[2])


# -- calibration ----------------------------------------------------------------------------------


@pytest.fixture
def robot(tmp_path: Path) -> RobotDescription:
    """A robot whose calibration is expected in a file."""
    return parse_robot(described(f"{LIMB}/calibration", str(tmp_path / "limb_0.json")))


def measured(**changes: Any) -> Calibration:
    """A calibration that fits, but for the changes to the finger."""
    names = ("shoulder_yaw", "shoulder_pitch", "wrist_roll", "finger")
    joints = {
        name: JointCalibration(model="xl430_w250", id=id, zero_rad=0.1 * id, direction=-1)
        for id, name in enumerate(names, 1)
    }
    joints["finger"] = joints["finger"].model_copy(update=changes)
    return Calibration(robot="limb_p1", limb="limb_0", date="2026-11-24", joints=joints)  # type: ignore[arg-type]


def test_a_calibration_is_used_as_it_was_saved(robot: RobotDescription, tmp_path: Path) -> None:
    save(measured(), tmp_path / "limb_0.json")
    limb = make_limb(robot, 0)
    assert limb.calibration == load(tmp_path / "limb_0.json") == measured()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": 9}, "measured on servo 9 (xl430_w250), but is driven by servo 4"),
        ({"model": "xm430_w350"}, "measured on servo 4 (xm430_w350)"),
    ],
)
def test_a_calibration_of_another_servo_is_refused(
    robot: RobotDescription, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    save(measured(**changes), tmp_path / "limb_0.json")
    with pytest.raises(DeviceError) as caught:
        make_limb(robot, 0)
    assert words in str(caught.value)
    assert "calibrate again" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "there is no calibration"), ("{", "Invalid JSON"), ('{"robot": "x"}', "limb: Field")],
)
def test_a_calibration_that_is_missing_or_broken_says_what_to_do(
    robot: RobotDescription, tmp_path: Path, content: str | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "limb_0.json").write_text(content, encoding="utf-8")
    with pytest.raises(DeviceError) as caught:
        make_limb(robot, 0)
    assert words in str(caught.value)
    assert "python -m hardware calibrate" in str(caught.value)
