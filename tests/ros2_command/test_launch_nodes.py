"""What a launch file says about a node reaches a real node."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import HERE, Ros2

pytest.importorskip("rclpy")
Write = Callable[..., Path]


def test_names_parameters_and_remappings_arrive(ros2: Ros2, write: Write) -> None:
    parameters = ros2.folder / "limb.yaml"
    parameters.write_text(
        "/**:\n  ros__parameters:\n    everywhere: 1\n    shared: file\n"
        "/robot/limb:\n  ros__parameters:\n    only_here: [1.5, 2.5]\n"
        "/robot/other:\n  ros__parameters:\n    only_there: true\n"
    )
    path = write(
        '<arg name="rate" default="10.0"/><push_ros_namespace namespace="robot"/>'
        f'<node exec="{sys.executable}" args="{HERE / "reporter.py"}" name="limb" output="screen">'
        f'<param from="{parameters}"/><param name="shared" value="tag"/>'
        '<param name="rate" value="$(var rate)"/><param name="on" value="true"/>'
        '<param name="number" value="5" type="str"/><param name="names" value="[a, b]"/>'
        '<param name="outer"><param name="inner" value="-3"/></param>'
        '<remap from="here" to="/there"/>'
        "</node>"
    )
    result = ros2.run("launch", path, "rate:=20.5")
    assert result.code == 0, result
    (name,) = {line.split("]")[0][1:] for line in result.lines if line.startswith("[python")}
    assert result.of(name) == [
        "node /robot/limb",
        "topic /there",
        "parameter everywhere 1",
        "parameter names ['a', 'b']",
        "parameter number '5'",
        "parameter on True",
        "parameter only_here [1.5, 2.5]",
        "parameter outer.inner -3",
        "parameter rate 20.5",
        "parameter shared 'tag'",
    ]
    # The temporary parameter files are gone with the launch.
    assert not list(ros2.folder.glob("launch_params_*"))
