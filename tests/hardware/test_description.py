"""Robot descriptions: good files load, and each mistake gets one clear sentence."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from asterias.errors import DescriptionError
from hardware.description.robot import ROBOTS_DIR, RobotDescription, load_robot, parse_robot

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=100)

GOOD = """\
name: tiny
backend: {type: sim, physics_hz: 500}
materials:
  tpu: {youngs_modulus_pa: 26e+6, density_kg_m3: 1210}
limbs:
  - name: limb_0
    joints:
      - {name: yaw, hinge: yaw, limits_rad: [-1.0, 1.0], velocity_limit_rad_s: 5}
      - {name: finger, tendon: cord, limits_rad: [0.0, 1.0], velocity_limit_rad_s: 5}
    body:
      links:
        - {name: tower, mass_kg: 1, center_m: [0, 0, 0], size_m: [0.1, 0.1, 0.1]}
        - {name: palm, mass_kg: 1, center_m: [0.1, 0, 0], size_m: [0.1, 0.1, 0.1]}
        - {name: tip, mass_kg: 1, center_m: [0.2, 0, 0], size_m: [0.1, 0.1, 0.1]}
      hinges:
        - {name: yaw, parent: tower, child: palm, pivot_m: [0, 0, 0], axis: [0, 0, 1],
           limits_rad: [-1, 1]}
        - name: bend
          parent: palm
          child: tip
          pivot_m: [0.1, 0, 0]
          axis: [0, 1, 0]
          limits_rad: [-1, 1]
          flexure:
            material: tpu
            length_m: 0.01
            section: {shape: rectangle, width_m: 0.02, thickness_m: 0.003}
      tendons:
        - {name: cord, hinges: [bend], moment_arms_m: [0.01], pulley_radius_m: 0.01,
           stiffness_n_m: 10000}
    cameras:
      - {name: tip_up, link: tip}
      - {name: tip_down, link: tip, width_px: 64, enabled: false}
"""

ROOT = "limbs[0] (limb_0)"
MISSING = object()


def changed(path: str, value: object) -> dict[str, Any]:
    """The good description with one value replaced or, for MISSING, removed."""
    data: dict[str, Any] = copy.deepcopy(yaml.safe_load(GOOD))
    *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    place: Any = data
    for step in way:
        place = place[step]
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    return data


def mistake(tmp_path: Path, text: str) -> str:
    """The sentence that a file with this text gets."""
    file = tmp_path / "robot.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DescriptionError) as caught:
        load_robot(file)
    return str(caught.value)


def check_sentence(sentence: str) -> None:
    """One line, one end; of several mistakes, each has such a line."""
    for line in sentence.split("\n"):
        assert line.strip() and line.isprintable()
        assert line.endswith((".", "?"))
        assert not line.endswith(("..", "?.", ".?"))


# -- good files -----------------------------------------------------------------------------------


def test_good_file_loads(tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(GOOD, encoding="utf-8")
    robot = load_robot(file)
    limb = robot.limbs[0]
    assert [joint.name for joint in limb.joints] == ["yaw", "finger"]
    assert [camera.name for camera in limb.live_cameras] == ["tip_up"]
    assert limb.joints[0].limits_rad == (-1.0, 1.0)
    assert robot.materials["tpu"].youngs_modulus_pa == 26e6
    assert robot.command_timeout_s == 0.5


@pytest.mark.parametrize("path", sorted(ROBOTS_DIR.glob("*.yaml")), ids=lambda path: path.stem)
def test_robots_of_this_project_load_by_name(path: Path) -> None:
    assert load_robot(path.stem) == load_robot(path)
    assert load_robot(path.stem).name == path.stem


def test_description_does_not_change_after_loading() -> None:
    robot = parse_robot(yaml.safe_load(GOOD))
    with pytest.raises(ValueError, match="frozen"):
        robot.control_rate_hz = 1.0


def test_focal_length_and_second_moment() -> None:
    robot = parse_robot(changed("limbs/0/cameras/0/fov_rad", math.pi / 2))
    assert robot.limbs[0].cameras[0].focal_px == pytest.approx(48.0)
    flexure = robot.limbs[0].body.hinges[1].flexure
    assert flexure is not None
    assert flexure.section.second_moment_m4 == pytest.approx(0.02 * 0.003**3 / 12)


@pytest.mark.parametrize(
    ("section", "moment_m4"),
    [
        ({"shape": "circle", "diameter_m": 0.01}, math.pi * 0.01**4 / 64),
        (
            {"shape": "tube", "diameter_m": 0.01, "inner_diameter_m": 0.008},
            math.pi * (0.01**4 - 0.008**4) / 64,
        ),
    ],
)
def test_second_moment_of_round_sections(section: dict[str, Any], moment_m4: float) -> None:
    robot = parse_robot(changed("limbs/0/body/hinges/1/flexure/section", section))
    flexure = robot.limbs[0].body.hinges[1].flexure
    assert flexure is not None
    assert flexure.section.second_moment_m4 == pytest.approx(moment_m4)


# -- mistakes in values ---------------------------------------------------------------------------

CAMERA = "limbs/0/cameras/1"
JOINT = "limbs/0/joints/0"
HINGE = "limbs/0/body/hinges"
AT_CAMERA = "limbs[0].cameras[1] (tip_down)"
AT_JOINT = "limbs[0].joints[0] (yaw)"
AT_BEND = "limbs[0].body.hinges[1] (bend)"
AT_CORD = "limbs[0].body.tendons[0] (cord)"
BEND = {
    "name": "bend",
    "parent": "palm",
    "child": "tip",
    "pivot_m": [0.1, 0, 0],
    "axis": [0, 1, 0],
    "limits_rad": [-1, 1],
}

MISTAKES: list[tuple[str, object, str]] = [
    # missing and unknown keys
    ("name", MISSING, "name: this key is missing; add text."),
    ("limbs", MISSING, "limbs: this key is missing; add a list."),
    (f"{CAMERA}/link", MISSING, f"{AT_CAMERA}.link: this key is missing; add text."),
    ("limbs/0/body", MISSING, "joint 'finger' names unknown tendon 'cord'; known are: none."),
    (
        f"{JOINT}/velocity_limit_rad_s",
        MISSING,
        f"{AT_JOINT}.velocity_limit_rad_s: this key is missing; add a number, or the joint's servo",
    ),
    (
        f"{CAMERA}/widht_px",
        64,
        f"{AT_CAMERA}.widht_px: this key is unknown; did you mean 'width_px'?",
    ),
    (
        "materials/tpu/density",
        1.0,
        "materials.tpu.density: this key is unknown; did you mean 'density_kg_m3'?",
    ),
    ("backend/zzz", 1, "backend.zzz: this key is unknown; known are: type, physics_hz,"),
    # joints
    (
        f"{JOINT}/limits_rad",
        [1.0, -1.0],
        f"{AT_JOINT}.limits_rad: limits [1, -1] are reversed; write [lower, upper].",
    ),
    (f"{JOINT}/limits_rad", [1.0], f"{AT_JOINT}.limits_rad[1]: this value is missing from the"),
    (f"{JOINT}/limits_rad", [1, 2, 3], f"{AT_JOINT}.limits_rad: the list should have at most 2"),
    (f"{JOINT}/limits_rad", 1.0, f"{AT_JOINT}.limits_rad: expected a list (got 1.0)."),
    (f"{JOINT}/home_rad", 2.0, f"{AT_JOINT}.home_rad: home_rad 2 lies outside limits_rad [-1, 1]"),
    (f"{JOINT}/velocity_limit_rad_s", 0, f"{AT_JOINT}.velocity_limit_rad_s: must be greater than"),
    (f"{JOINT}/velocity_limit_rad_s", "fast", "expected a number (got 'fast')."),
    (f"{JOINT}/home_rad", math.nan, f"{AT_JOINT}.home_rad: expected a finite number (got nan)."),
    (f"{JOINT}/tendon", "cord", f"{AT_JOINT}: joint 'yaw' needs either a hinge or a tendon."),
    (f"{JOINT}/hinge", MISSING, f"{AT_JOINT}: joint 'yaw' needs either a hinge or a tendon."),
    (f"{JOINT}/hinge", "yow", "joint 'yaw' names unknown hinge 'yow'; did you mean 'yaw'?"),
    (
        "limbs/0/joints/1/tendon",
        "rope",
        "joints[1] (finger).tendon: joint 'finger' names unknown tendon 'rope'; known are: cord.",
    ),
    (
        f"{JOINT}/name",
        "finger",
        "limbs[0].joints[1] (finger).name: two joints are called 'finger'; give each its own name.",
    ),
    (
        f"{JOINT}/name",
        "Yaw 1",
        f"{ROOT}.joints[0].name: expected a name of small letters, digits and underscores",
    ),
    ("limbs/0/joints", [], f"{ROOT}.joints: the list should have at least 1 item"),
    # cameras
    (f"{CAMERA}/width_px", 0, f"{AT_CAMERA}.width_px: must be greater than 0 (got 0)."),
    (f"{CAMERA}/width_px", 96.5, f"{AT_CAMERA}.width_px: expected a whole number (got 96.5)."),
    (f"{CAMERA}/height_px", -1, f"{AT_CAMERA}.height_px: must be greater than 0 (got -1)."),
    (f"{CAMERA}/fov_rad", math.nan, f"{AT_CAMERA}.fov_rad: must be less than 3 (got nan)."),
    (f"{CAMERA}/rate_hz", math.inf, f"{AT_CAMERA}.rate_hz: expected a finite number (got inf)."),
    (f"{CAMERA}/near_m", 9.0, f"{AT_CAMERA}.far_m: near_m 9 must be smaller than far_m 5 (got"),
    (
        f"{CAMERA}/pose",
        {"xyz": [0, math.inf, 0]},
        f"{AT_CAMERA}.pose.xyz[1]: expected a finite number (got inf).",
    ),
    (f"{CAMERA}/pose", "here", f"{AT_CAMERA}.pose: expected a mapping"),
    (f"{CAMERA}/enabled", "perhaps", f"{AT_CAMERA}.enabled: expected true or false"),
    (
        f"{CAMERA}/name",
        "tip_up",
        "limbs[0].cameras[1] (tip_up).name: two cameras are called 'tip_up'; give each",
    ),
    (
        f"{CAMERA}/link",
        "tipp",
        f"{AT_CAMERA}.link: camera 'tip_down' names unknown link 'tipp'; did you mean 'tip'?",
    ),
    # the body
    (
        "limbs/0/body/links/1/center_m",
        [0, 0, math.nan],
        "limbs[0].body.links[1] (palm).center_m[2]: expected a finite number (got nan).",
    ),
    ("limbs/0/body/links/1/name", "tower", "two links are called 'tower'; give each its own name."),
    ("limbs/0/body/links/0/mass_kg", -1, "(tower).mass_kg: must be greater than 0 (got -1)."),
    (f"{HINGE}/1/name", "yaw", "two hinges are called 'yaw'; give each its own name."),
    (f"{HINGE}/1/axis", [0, 0, 0], f"{AT_BEND}.axis: axis must not be the zero vector."),
    (f"{HINGE}/1/limits_rad", [1, 1], f"{AT_BEND}.limits_rad: limits [1, 1] are reversed;"),
    (
        f"{HINGE}/1/flexure/material",
        "tpv",
        "hinge 'bend' names unknown material 'tpv'; did you mean 'tpu'?",
    ),
    (
        f"{HINGE}/1/flexure/section",
        {"shape": "circle"},
        f"{AT_BEND}.flexure.section: a circle section needs diameter_m.",
    ),
    (
        f"{HINGE}/1/flexure/section",
        {"shape": "tube", "diameter_m": 0.01, "inner_diameter_m": 0.01},
        "inner_diameter_m must be smaller than diameter_m.",
    ),
    (f"{HINGE}/1/flexure/section/shape", "star", "must be 'rectangle', 'circle' or 'tube' (got"),
    (
        "limbs/0/body/tendons/0/moment_arms_m",
        [0.01, 0.01],
        f"{AT_CORD}: moment_arms_m needs one value per hinge.",
    ),
    ("limbs/0/body/tendons/0/hinges", ["bent"], "names unknown hinge 'bent'; did you mean 'bend'?"),
    ("limbs/0/body/tendons/0/hinges", [], f"{AT_CORD}.hinges: the list should have at least 1"),
    # the tree
    (f"{HINGE}/1/parent", "plam", "hinge 'bend' names unknown link 'plam'; did you mean 'palm'?"),
    (f"{HINGE}/1/child", "tower", "hinge 'bend' carries 'tower', the first link and root."),
    (f"{HINGE}/1/child", "palm", "link 'palm' is the child of more than one hinge."),
    (f"{HINGE}/0/parent", "tip", "hinge 'yaw' comes before the hinge that carries its parent;"),
    (HINGE, [BEND], "hinge 'bend' comes before the hinge that carries its parent;"),
    (HINGE, [], "is connected by no hinge."),
    # the whole
    ("backend/type", "real", "backend.type: unknown backend 'real'; choose one of: sim, devices."),
    ("backend/type", None, "backend.type: unknown backend None; choose one of: sim, devices."),
    (
        "backend/type",
        ["sim"],
        "backend.type: unknown backend ['sim']; choose one of: sim, devices.",
    ),
    ("backend", "sim", "backend: expected a mapping (got 'sim')."),
    ("backend/physics_hz", 0, "backend.physics_hz: must be greater than 0 (got 0)."),
    ("limbs", [], "limbs: the list should have at least 1 item"),
    ("limbs", {}, "limbs: expected a list."),
    ("limbs", [None], "limbs[0]: expected a mapping (got None)."),
    ("target", {"id": 30}, "target.id: must be less than or equal to 29 (got 30)."),
    ("command_timeout_s", "x" * 500, "command_timeout_s: expected a number (got 'xxx"),
    ("control_rate_hz", 10**5000, "control_rate_hz: expected a number (got a huge number)."),
]


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    MISTAKES,
    ids=[f"{path.split('/')[-1]}-{number}" for number, (path, _, _) in enumerate(MISTAKES)],
)
def test_each_mistake_gets_one_clear_sentence(path: str, value: object, expected: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        parse_robot(changed(path, value), source="robots/tiny.yaml")
    sentence = str(caught.value)
    assert sentence.startswith("robots/tiny.yaml: ")
    assert expected in sentence
    assert len(sentence) < 400
    check_sentence(sentence)


def test_two_limbs_of_one_name() -> None:
    data = yaml.safe_load(GOOD)
    data["limbs"].append(copy.deepcopy(data["limbs"][0]))
    with pytest.raises(DescriptionError, match="two limbs are called 'limb_0'"):
        parse_robot(data)


def test_misspelt_key_explains_the_missing_one() -> None:
    data = changed("limbs/0/cameras/1/link", MISSING)
    data["limbs"][0]["cameras"][1]["lnik"] = "tip"
    with pytest.raises(DescriptionError) as caught:
        parse_robot(data, source="tiny.yaml")
    assert str(caught.value) == (
        f"tiny.yaml: {AT_CAMERA}.lnik: this key is unknown; did you mean 'link'?"
    )


def test_all_mistakes_are_told_at_once() -> None:
    data = changed(f"{JOINT}/limits_rad", [1.0, -1.0])
    data["limbs"][0]["joints"][0]["hinge"] = "yow"
    data["limbs"][0]["cameras"][1] |= {"width_px": 0, "link": "tipp"}
    data["limbs"][0]["body"]["tendons"][0]["hinges"] = ["bent"]
    data["control_rate_hz"] = "fast"
    with pytest.raises(DescriptionError) as caught:
        parse_robot(data, source="tiny.yaml")
    title, *lines = str(caught.value).splitlines()
    assert title == "tiny.yaml: 6 mistakes."
    assert sorted(line.strip() for line in lines) == [
        "control_rate_hz: expected a number (got 'fast').",
        "limbs[0].body.tendons[0] (cord).hinges[0]: tendon 'cord' names unknown hinge 'bent'; "
        "did you mean 'bend'?",
        f"{AT_CAMERA}.link: camera 'tip_down' names unknown link 'tipp'; did you mean 'tip'?",
        f"{AT_CAMERA}.width_px: must be greater than 0 (got 0).",
        f"{AT_JOINT}.hinge: joint 'yaw' names unknown hinge 'yow'; did you mean 'yaw'?",
        f"{AT_JOINT}.limits_rad: limits [1, -1] are reversed; write [lower, upper].",
    ]


def test_a_mistake_is_not_told_again_by_what_follows_from_it() -> None:
    data = changed("limbs/0/body/links/2/name", 3)  # camera and hinge name this link
    with pytest.raises(DescriptionError) as caught:
        parse_robot(data, source="tiny.yaml")
    assert "\n" not in str(caught.value)


def test_key_that_is_no_text() -> None:
    data = yaml.safe_load(GOOD)
    data[1] = 2
    with pytest.raises(DescriptionError, match="expected a key that is text"):
        parse_robot(data)


# -- mistakes in files ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected a mapping with the keys name, limbs, target."),
        ("- 1\n- 2\n", "expected a mapping with the keys name, limbs, target."),
        ("name: [1, 2\n", "this is not a readable YAML file: "),
        ("name: 'x\n", "(line 2, column 1)."),
        ("\tname: x\n", "this is not a readable YAML file: "),
        ("name: tiny\nlimbs: []\nname: other\n", "the key 'name' is written twice (line 3,"),
        ("name: !!python/object:os.system x\n", "could not determine a constructor for the tag"),
        ("name: !!timestamp x\n", "this is not a readable YAML file: "),
        ("name: !!bool x\n", "this is not a readable YAML file: "),
        ("when: 2024-99-99\n", "this is not a readable YAML file: month must be in 1..12."),
        ("? [a]\n: 1\n", "this is not a readable YAML file: found unhashable key"),
        ("[" * 500, "this is not a readable YAML file: it is nested too deeply."),
        ("a: &a [*a]\n", "a: this key is unknown; known are: name, backend,"),
    ],
    ids=range(13),
)
def test_unreadable_file_gets_one_sentence(tmp_path: Path, text: str, expected: str) -> None:
    sentence = mistake(tmp_path, text)
    assert sentence.startswith(f"{tmp_path / 'robot.yaml'}: ")
    assert expected in sentence
    check_sentence(sentence)


def test_merge_keys_still_work(tmp_path: Path) -> None:
    text = GOOD.replace("- {name: tip_up, link: tip}", "- &up {name: tip_up, link: tip}").replace(
        "- {name: tip_down, link: tip, ", "- {<<: *up, name: tip_down, "
    )
    file = tmp_path / "merged.yaml"
    file.write_text(text, encoding="utf-8")
    assert load_robot(file).limbs[0].cameras[1].link == "tip"


def test_file_that_is_not_text(tmp_path: Path) -> None:
    file = tmp_path / "robot.yaml"
    file.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(DescriptionError, match="not a readable YAML file"):
        load_robot(file)


def test_missing_file_and_unknown_robot(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError) as caught:
        load_robot(tmp_path / "none.yaml")
    assert str(caught.value).endswith("none.yaml: there is no such robot description file.")
    with pytest.raises(DescriptionError) as caught:
        load_robot("limb_p2")
    assert str(caught.value) == "There is no robot called 'limb_p2'; did you mean 'limb_p1'?"


# -- anything at all ------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=4),
    st.dates(),
)
WORDS = st.sampled_from(
    ["name", "limbs", "backend", "type", "joints", "body", "links", "hinges", "cameras", "pose"]
)
KEYS = st.one_of(WORDS, SCALARS)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=10,
)


def places(data: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The ways to all values of a description."""
    found = [path] if path else []
    if isinstance(data, dict):
        steps: list[str | int] = list(data)
    else:
        steps = list(range(len(data))) if isinstance(data, list) else []
    for step in steps:
        found += places(data[step], (*path, step))
    return found


def load_or_explain(data: object) -> None:
    """A description or a DescriptionError of one sentence; anything else fails the test."""
    try:
        robot = parse_robot(data)
    except DescriptionError as error:
        check_sentence(str(error))
    else:
        assert isinstance(robot, RobotDescription)


@REPEATABLE
@given(data=ANYTHING)
def test_any_data_loads_or_is_explained(data: object) -> None:
    load_or_explain(data)


@REPEATABLE
@given(place=st.sampled_from(places(yaml.safe_load(GOOD))), value=ANYTHING)
def test_any_value_at_any_place_loads_or_is_explained(
    place: tuple[str | int, ...], value: object
) -> None:
    load_or_explain(changed("/".join(str(step) for step in place), value))


@REPEATABLE
@given(text=st.text(alphabet="ab:-[]{}&*!?|>'\"%@ \n\t0.,#<", max_size=60))
def test_any_text_loads_or_is_explained(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DescriptionError):
        load_robot(file)


@pytest.mark.parametrize("value", [1e308, 1e-300])
@pytest.mark.parametrize("key", ["control_rate_hz", "command_timeout_s", "stream_timeout_s"])
def test_rates_and_times_that_no_robot_can_have_are_refused(key: str, value: float) -> None:
    data = load_robot("limb_p1").model_dump(mode="json", exclude_none=True)
    with pytest.raises(DescriptionError, match=f"{key}: must be"):
        parse_robot({**data, key: value})
    data["limbs"][0]["cameras"][0]["rate_hz"] = value
    with pytest.raises(DescriptionError, match="rate_hz: must be"):
        parse_robot(data)
