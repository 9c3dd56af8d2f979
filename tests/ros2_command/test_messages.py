"""Messages as YAML and CSV, and YAML as messages."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from sensor_msgs.msg import CompressedImage, JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from asterias_ros2.errors import CommandError
from asterias_ros2.graph.messages import Format, fill, find_type, to_csv, to_yaml
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
    with pytest.raises(CommandError) as caught:
        fill(JointState(), values)
    assert words in str(caught.value)


def test_find_type() -> None:
    assert find_type("std_msgs/msg/String", "msg") is String
    assert find_type("std_msgs/String", "msg") is String
    for wrong in ("String", "std_msgs/msg/Nope", "no_such/msg/String", "std_msgs/srv/String"):
        with pytest.raises(CommandError, match="The passed message type is invalid"):
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
