"""The URDF of each robot, read by two parsers of the field and held against our own kinematics."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import urchin
import yourdfpy

from asterias.arrays import FloatArray
from hardware.__main__ import main
from hardware.description.frames import (
    TurningFrame,
    camera_frame,
    frames_of,
    optical_frame,
    pivots_of,
    prefixed,
)
from hardware.description.robot import RobotDescription, load_robot, parse_robot
from hardware.description.urdf import urdf_of
from sim.physics.kinematics import SoftLimb
from sim.physics.rotations import rotation_from_rpy

ROBOTS = ("limb_p1", "starfish")
POSES = 1000
POSES_OF_ALL_LINKS = 20
Angles = Mapping[str, float]
Poses = dict[str, FloatArray]
# Angles of all joints, links that are asked for -> (4, 4) pose of each in the base.
Forward = Callable[[Angles, Sequence[str]], Poses]


def by_yourdfpy(path: Path) -> Forward:
    model = yourdfpy.URDF.load(str(path), load_meshes=False)

    def forward(angles: Angles, links: Sequence[str]) -> Poses:
        model.update_cfg(dict(angles))
        return {link: model.get_transform(link, "base_link") for link in links}

    return forward


def by_urchin(path: Path) -> Forward:
    model = urchin.URDF.load(str(path), lazy_load_meshes=True)

    def forward(angles: Angles, links: Sequence[str]) -> Poses:
        return dict(model.link_fk(cfg=dict(angles), links=links, use_names=True))

    return forward


def pose_of(rotation: FloatArray, position: FloatArray) -> FloatArray:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, position
    return pose


@cache
def joints_of(name: str) -> tuple[TurningFrame, ...]:
    return frames_of(load_robot(name)).turning


def ours(robot: RobotDescription, number: int, kinematics: SoftLimb, angles: Angles) -> Poses:
    """Poses of all links and cameras of one limb, by the kinematics that the simulation uses."""
    limb = robot.limbs[number]
    hinges = [j.joint for j in joints_of(robot.name) if j.limb == number and j.hinge]
    rotations, shifts = kinematics.link_poses([angles[name] for name in hinges])
    base, base_m = kinematics.base_rotation, kinematics.base_m
    moved = {limb.body.links[0].name: (np.eye(3), np.zeros(3))}
    moved |= {h.child: (rotations[i], shifts[i]) for i, h in enumerate(limb.body.hinges)}
    poses = {}
    for link, pivot in pivots_of(limb).items():
        rotation, shift = moved[link]
        at = base @ (rotation @ np.array(pivot) + shift) + base_m
        poses[prefixed(number, link)] = pose_of(base @ rotation, at)
    for j, camera in enumerate(limb.live_cameras):
        rotation, shift = moved[camera.link]
        at = base @ (rotation @ np.array(camera.pose.xyz) + shift) + base_m
        turned = base @ rotation @ rotation_from_rpy(camera.pose.rpy)
        poses[camera_frame(number, j)] = pose_of(turned, at)
        # Optical: x to the right, y down, z ahead.
        optical = np.stack([-turned[:, 1], -turned[:, 2], turned[:, 0]], axis=1)
        poses[optical_frame(number, j)] = pose_of(optical, at)
    return poses


@pytest.mark.parametrize(
    ("name", "parser"),
    [
        pytest.param("limb_p1", by_yourdfpy, id="limb_p1-yourdfpy"),
        pytest.param("limb_p1", by_urchin, id="limb_p1-urchin"),
        pytest.param("starfish", by_yourdfpy, id="starfish-yourdfpy", marks=pytest.mark.slow),
        pytest.param("starfish", by_urchin, id="starfish-urchin"),
    ],
)
def test_parsers_of_the_field_put_each_link_where_the_simulation_does(
    name: str, parser: Callable[[Path], Forward], tmp_path: Path
) -> None:
    robot = load_robot(name)
    path = tmp_path / "robot.urdf"
    path.write_text(urdf_of(robot))
    forward = parser(path)
    rng = np.random.default_rng(5)
    joints = frames_of(robot).turning
    limbs = [SoftLimb.of(robot, number) for number in range(len(robot.limbs))]
    worst = 0.0
    for i in range(POSES):
        angles = {joint.joint: float(rng.uniform(-1.5, 1.5)) for joint in joints}
        here = {}
        for number, kinematics in enumerate(limbs):
            here |= ours(robot, number, kinematics, angles)
        # The parsers are slow, and where the last link is, all the links before it are in it.
        ends = [optical_frame(n, len(r.live_cameras) - 1) for n, r in enumerate(robot.limbs)]
        links = list(here) if i < POSES_OF_ALL_LINKS else ends
        theirs = forward(angles, links)
        worst = max(worst, *(float(np.abs(theirs[link] - here[link]).max()) for link in links))
    assert worst < 1e-6, "m, and as much in the matrix of the rotation"


@pytest.mark.parametrize("name", ROBOTS)
def test_every_link_has_shape_and_inertia_and_every_joint_its_limits(name: str) -> None:
    robot = load_robot(name)
    root = ElementTree.fromstring(urdf_of(robot))
    links = {link.get("name"): link for link in root.findall("link")}
    joints = {joint.get("name"): joint for joint in root.findall("joint")}
    for number, limb in enumerate(robot.limbs):
        for link in limb.body.links:
            element = links[prefixed(number, link.name)]
            assert element.find("visual/geometry") is not None
            assert element.find("collision/geometry") is not None
            mass = element.find("inertial/mass")
            assert mass is not None and float(mass.get("value", "0")) == link.mass_kg
        for joint in limb.joints:
            limit = joints[prefixed(number, joint.name)].find("limit")
            assert limit is not None
            found = [float(limit.get(k, "nan")) for k in ("lower", "upper", "effort", "velocity")]
            wanted = [*joint.limits_rad, joint.torque_limit_nm, joint.velocity_limit_rad_s]
            assert found == pytest.approx(wanted)
    children = [joint.find("child").get("link") for joint in joints.values()]  # type: ignore[union-attr]
    assert sorted([*children, "base_link"]) == sorted(links), "one tree, from base_link"


def test_soft_links_are_joints_of_a_chain_that_nothing_drives() -> None:
    joints = {j.joint: j for j in frames_of(load_robot("limb_p1")).turning}
    chain = [joints[f"limb_0_finger_{k}"] for k in (1, 2, 3)]
    assert all(joint.servo is None for joint in chain)
    assert all(a.child == b.parent for a, b in itertools.pairwise(chain))
    assert joints["limb_0_finger"].hinge is None, "the tendon's pulley is what is commanded"


def test_each_form_of_link_is_drawn() -> None:
    robot = load_robot("limb_p1")
    data = robot.model_dump(mode="json", exclude_none=True)
    links = data["limbs"][0]["body"]["links"]
    links[5]["shape"], links[6]["shape"] = "cylinder_z", "capsule_x"
    root = ElementTree.fromstring(urdf_of(parse_robot(data)))

    def shapes(link: str) -> list[str]:
        found = root.findall(f"link[@name='limb_0_{link}']/collision/geometry/*")
        return [shape.tag for shape in found]

    assert shapes("tip_side_middle_finger") == ["cylinder"]
    assert shapes("finger_tip") == ["cylinder", "sphere", "sphere"]


def test_the_command_writes_the_urdf_or_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "limb.urdf"
    assert main(["urdf", "limb_p1", "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["urdf", "limb_p1"]) == 0
    assert capsys.readouterr().out == out.read_text() == urdf_of(load_robot("limb_p1"))
    assert main(["urdf", "nobody"]) == 2
    assert "no robot called 'nobody'" in capsys.readouterr().err


def test_two_joints_of_one_name_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = Path("launch/robots/limb_p1.yaml").read_text()
    path = tmp_path / "twice.yaml"
    path.write_text(text.replace("name: finger, tendon", "name: finger_1, tendon"))
    assert main(["urdf", str(path)]) == 2
    assert "two joints are called 'limb_0_finger_1'" in capsys.readouterr().err
