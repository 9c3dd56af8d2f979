"""A robot in ten lines: what a description leaves out follows from its servos."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from asterias.errors import DescriptionError
from hardware.buses.families import servo_models
from hardware.description.robot import load_robot, parse_robot, save_robot
from hardware.emulated.robot import EmulatedRobot
from hardware.factory import make_limb

SHORT = """\
name: pan_tilt
limbs:
  - name: head
    joints:
      - {name: pan, servo: sts3215}
      - {name: tilt, servo: sts3215, limits_rad: [-0.8, 0.8]}
    cameras: [{name: eye}]
"""
DEVICES = """\
backend:
  type: devices
  limbs:
    head:
      bus: {type: feetech, port: /dev/ttyACM0}
      cameras: {eye: {type: usb, device: /dev/video0}}
"""


def short(**joint: Any) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(SHORT)
    data["limbs"][0]["joints"][0] |= joint
    return data


def test_a_joint_has_the_figures_of_its_servo() -> None:
    pan, tilt = parse_robot(short()).limbs[0].joints
    # 19.5 kg cm and 45 rpm: half of the torque, 80 % of the speed, 150 degrees each way.
    assert pan.torque_limit_nm == pytest.approx(0.95)
    assert pan.velocity_limit_rad_s == pytest.approx(0.8 * 45 * 2 * math.pi / 60, abs=1e-3)
    assert pan.limits_rad == pytest.approx((-2.618, 2.618))
    assert pan.stiffness_nm_rad == pytest.approx(1.9 / 0.2172, abs=1e-2)
    assert tilt.limits_rad == (-0.8, 0.8)


def test_what_is_said_goes_before_the_data_sheet() -> None:
    pan = parse_robot(short(torque_limit_nm=0.1, stiffness_nm_rad=3.0)).limbs[0].joints[0]
    assert (pan.torque_limit_nm, pan.stiffness_nm_rad) == (0.1, 3.0)


@pytest.mark.parametrize("name", sorted(servo_models()))
def test_every_model_gives_a_joint_that_its_servo_can_follow(name: str) -> None:
    model = servo_models()[name]
    joint = parse_robot(short(servo=name)).limbs[0].joints[0]
    assert model.rating is not None
    assert 0 < joint.torque_limit_nm <= model.torque_limit_unit_nm * model.torque_limit_max
    assert joint.limits_rad[1] < 0.5 * model.rating.range_rad


def test_a_missing_body_turns_about_the_axes_that_the_names_say() -> None:
    limb = parse_robot(short()).limbs[0]
    assert [hinge.axis for hinge in limb.body.hinges] == [(0, 0, 1), (0, 1, 0)]
    assert [joint.hinge for joint in limb.joints] == ["pan", "tilt"]
    assert limb.cameras[0].link == "tilt_link"


def test_servos_have_ids_in_the_order_of_the_joints() -> None:
    robot = parse_robot(yaml.safe_load(SHORT + DEVICES))
    assert robot.backend.type == "devices"
    servos = robot.backend.limbs["head"].servos
    assert {name: (servo.id, servo.model) for name, servo in servos.items()} == {
        "pan": (1, "sts3215"),
        "tilt": (2, "sts3215"),
    }


def test_the_model_of_the_backend_serves_a_joint_that_names_none() -> None:
    data = yaml.safe_load(SHORT + DEVICES)
    del data["limbs"][0]["joints"][0]["servo"]
    data["backend"]["limbs"]["head"]["servos"] = {"pan": {"id": 7, "model": "sts3250"}}
    robot = parse_robot(data)
    assert robot.limbs[0].joints[0].torque_limit_nm == pytest.approx(2.45)
    assert robot.backend.type == "devices"
    assert robot.backend.limbs["head"].servos["pan"].id == 7


def test_an_unknown_servo_is_one_mistake() -> None:
    with pytest.raises(DescriptionError) as caught:
        parse_robot(short(servo="sts3251"), source="head.yaml")
    assert str(caught.value) == (
        "head.yaml: limbs[0].joints[0] (pan).servo: this model is unknown; "
        "did you mean 'sts3250'? (got 'sts3251')."
    )


def test_a_joint_without_servo_and_limits_is_told_the_short_way() -> None:
    data = short()
    del data["limbs"][0]["joints"][0]["servo"]
    with pytest.raises(DescriptionError, match=r"limits_rad: this .* missing; .*servo: sts3215"):
        parse_robot(data)


def test_what_is_filled_in_is_saved(tmp_path: Path) -> None:
    robot = parse_robot(yaml.safe_load(SHORT + DEVICES))
    save_robot(robot, tmp_path / "whole.yaml")
    assert load_robot(tmp_path / "whole.yaml") == robot


@pytest.mark.parametrize("family", ["feetech", "dynamixel"])
def test_it_is_emulated_with_its_own_servos_where_they_are_of_the_family(family: str) -> None:
    robot = parse_robot(short(servo="sts3250"))
    with EmulatedRobot(robot, family, pattern=False) as emulated:
        models = [servo.model.name for servo in emulated.limbs[0].servos]
        with make_limb(emulated.description, 0) as limb:
            assert np.isfinite(limb.read().position_rad).all()
    wanted = {"feetech": ["sts3250", "sts3215"], "dynamixel": ["xl430_w250"] * 2}
    assert models == wanted[family]
