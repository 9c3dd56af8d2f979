"""Messages as YAML and CSV, and YAML as messages."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from sensor_msgs.msg import CompressedImage, JointState
from std_msgs.msg import Bool, Float64MultiArray, Int32, String
from trajectory_msgs.msg import JointTrajectory

from asterias_ros2.errors import VerbError
from asterias_ros2.graph.messages import (
    Format,
    fill,
    find_type,
    parse_yaml,
    to_csv,
    to_repr,
    to_yaml,
)
from asterias_ros2.graph.rate import RateMeter, rate_lines

JOINTS = JointState(name=["a", "b"], position=[0.5, -1.0])


def test_yaml() -> None:
    assert to_yaml(String(data="grüße")) == "data: grüße\n"
    assert to_yaml(JOINTS).endswith(
        "name:\n- a\n- b\nposition:\n- 0.5\n- -1.0\nvelocity: []\neffort: []\n"
    )
    assert to_yaml(String(data="a"), Format(flow_style=True)) == "{data: a}\n"


def test_yaml_is_shortened() -> None:
    numbers = Float64MultiArray(data=[1.0, 2.0, 3.0])
    assert "data:\n- 1.0\n- 2.0\n- '...'\n" in to_yaml(numbers, Format(truncate_length=2))
    assert to_yaml(String(data="abcdef"), Format(truncate_length=3)) == "data: abc...\n"
    assert to_yaml(String(data="abc"), Format(no_str=True)) == "data: '<string length: <3>>'\n"
    image = CompressedImage(data=[1, 2, 3])
    assert "data: '<sequence type: uint8, length: 3>'" in to_yaml(image, Format(no_arr=True))
    assert "name: '<sequence type: string, length: 2>'" in to_yaml(JOINTS, Format(no_arr=True))


def test_csv() -> None:
    assert to_csv(JOINTS, Format()) == "0,0,,a,b,0.5,-1.0,,"
    numbers = Float64MultiArray(data=[1.0, 2.0, 3.0])
    assert to_csv(numbers, Format(truncate_length=2)) == ",0,1.0,2.0,..."


def test_fill() -> None:
    joints = JointState()
    fill(joints, {"header": {"frame_id": "limb"}, "name": ["a"], "position": [1, 2.5]})
    assert joints.header.frame_id == "limb"
    assert list(joints.position) == [1.0, 2.5]
    moves = JointTrajectory()
    fill(moves, {"points": [{"positions": [1], "time_from_start": {"sec": 2}}, {}]})
    assert moves.points[0].time_from_start.sec == 2
    assert list(moves.points[0].positions) == [1.0]
    assert len(moves.points) == 2


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("text", "must be a dictionary"),
        ({"nome": ["a"]}, "has no field 'nome' (fields: header, name,"),
        ({"position": "far"}, "'far' does not fit field 'position'"),
        ({"header": {"stamp": {"sec": "now"}}}, "'now' does not fit field 'sec'"),
    ],
)
def test_fill_refuses(values: object, words: str) -> None:
    with pytest.raises(VerbError) as caught:
        fill(JointState(), values)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["off", "no", "007", "1.50", "null", "2026-11-28", "0x10", "true"])
def test_words_that_yaml_takes_for_something_else_stay_words_in_fields_of_text(text: str) -> None:
    message = String()
    fill(message, parse_yaml(f"{{data: {text}}}"))
    assert message.data == text
    joints = JointState()
    fill(joints, parse_yaml(f"{{name: [{text}, 'quoted', plain]}}"))
    assert joints.name == [text, "quoted", "plain"]


def test_the_same_words_are_values_in_other_fields() -> None:
    flag = Bool(data=True)
    fill(flag, parse_yaml("{data: off}"))
    assert flag.data is False
    joints = JointState()
    fill(joints, parse_yaml("{header: {stamp: {sec: 0x10}}, position: [1, 2.5, 0x10]}"))
    assert joints.header.stamp.sec == 16 and list(joints.position) == [1.0, 2.5, 16.0]


@pytest.mark.parametrize(
    ("message", "text", "words"),
    [
        (Bool, "{data: maybe}", "it takes true or false"),
        (Bool, "{data: [1]}", "it takes a single value"),
        (Int32, "{data: 1.5}", "it takes a whole number"),
        (String, "{data: {a: 1}}", "it takes a single value"),
        (JointState, "{name: abc}", "it takes a list such as"),
        (String, "[" * 5000, "is nested too deep"),
        (String, "{data: [1}", "is not valid YAML"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_and_not_bent(
    message: type, text: str, words: str
) -> None:
    with pytest.raises(VerbError) as caught:
        fill(message(), parse_yaml(text))
    assert words in str(caught.value) and len(str(caught.value)) < 300


def test_python_text_has_short_arrays_and_whole_texts() -> None:
    joints = JointState(name=["a"], position=[1.0, 2.0])
    assert to_repr(joints) == repr(joints)
    image = CompressedImage(format="x" * 500, data=[7] * 300)
    text = to_repr(image)
    assert "x" * 500 in text and f"data=[{'7, ' * 128}...]" in text
    assert to_repr(image, None) == repr(image)


def test_find_type() -> None:
    assert find_type("std_msgs/msg/String", "msg") is String
    assert find_type("std_msgs/String", "msg") is String
    for wrong in ("String", "std_msgs/msg/Nope", "no_such/msg/String", "std_msgs/srv/String"):
        with pytest.raises(VerbError, match="The passed message type is invalid"):
            find_type(wrong, "msg")


def test_rate() -> None:
    meter = RateMeter(window=2)
    for now_ns in (10, 1_000_000_010, 1_500_000_010, 2_000_000_010):
        meter.add(now_ns)
    assert list(rate_lines({"/a": meter})) == [
        "average rate: 2.000",
        "\tmin: 0.500s max: 0.500s std dev: 0.00000s window: 2",
    ]
    assert list(rate_lines({"/a": meter})) == []  # nothing new
    meter.add(5)  # time went back
    meter.add(250_000_005)
    rate = meter.rate()
    assert rate is not None
    assert (rate.rate_hz, rate.window) == (4.0, 1)
