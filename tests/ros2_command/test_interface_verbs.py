"""`ros2 interface`, unknown words, and the completion of words: nothing has to run for them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from .conftest import Ros2, finish, ros2_words

pytest.importorskip("rclpy")

JOINT_STATE_END = """
std_msgs/Header header
	builtin_interfaces/Time stamp
		int32 sec
		uint32 nanosec
	string frame_id

string[] name
float64[] position
float64[] velocity
float64[] effort
"""
SET_BOOL = """bool data # e.g. for hardware enabling / disabling
---
bool success   # indicate successful run of triggered service
string message # informational, e.g. for error messages
"""


def test_interface_show_prints_what_the_real_command_prints(ros2: Ros2) -> None:
    joints, switch, bare, pose = ros2.run_all(
        ["interface", "show", "sensor_msgs/msg/JointState"],
        ["interface", "show", "std_srvs/srv/SetBool"],
        ["interface", "show", "std_srvs/srv/SetBool", "--no-comments"],
        ["interface", "show", "geometry_msgs/msg/PoseStamped", "--no-comments"],
    )
    assert joints.output.endswith(JOINT_STATE_END)
    assert joints.output.startswith("# This is a message that holds data to describe the state of")
    assert switch.output == SET_BOOL
    assert bare.lines == ["bool data", "---", "bool success", "string message"]
    # Types of the same package need no package in front.
    assert pose.lines[5:7] == ["Pose pose", "\tPoint position"]


def test_interface_names(ros2: Ros2) -> None:
    everything, package, packages, proto = ros2.run_all(
        ["interface", "list"],
        ["interface", "package", "std_srvs"],
        ["interface", "packages", "--only-srvs"],
        ["interface", "proto", "geometry_msgs/msg/Vector3"],
    )
    assert everything.lines[:2] == ["Messages:", "    action_msgs/msg/GoalInfo"]
    assert "Services:" in everything.lines and "    std_msgs/msg/String" in everything.lines
    assert package.lines == ["std_srvs/srv/Empty", "std_srvs/srv/SetBool", "std_srvs/srv/Trigger"]
    assert "std_srvs" in packages.lines and "geometry_msgs" not in packages.lines
    assert proto.output == '"x: 0.0\ny: 0.0\nz: 0.0\n"\n'


def test_unknown_words_get_a_sentence_with_the_nearest_one(ros2: Ros2) -> None:
    command, verb, kind, name, foreign = ros2.run_all(
        ["topci", "list"],
        ["topic", "ehco", "/x"],
        ["interface", "show", "std_msgs/msg/Sting"],
        ["interface", "show", "std_msgs/String"],
        ["component", "list"],
    )
    assert command.code == verb.code == foreign.code == 2
    assert "'topci' is no command of ros2; did you mean 'topic'?" in command.output
    assert "'ehco' is no verb of ros2 topic; did you mean 'echo'?" in verb.output
    assert kind.code == name.code == 1
    assert "did you mean 'msg/String'?" in kind.output
    assert "Expected three parts separated by '/'" in name.output
    assert "source a ROS 2 installation" in foreign.output
    assert all("Traceback" not in one.output for one in (command, verb, kind, name, foreign))


def completions(ros2: Ros2, line: str, folder: Path) -> set[str]:
    """What the shell is offered at the end of a line."""
    answer = folder / "answer"
    environment = {
        **ros2.environment,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_SHELL": "bash",
        "_ARGCOMPLETE_COMP_WORDBREAKS": " ",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "IFS": "\n",
    }
    subprocess.run(ros2_words(), env=environment, cwd=ros2.folder, check=True, timeout=60)
    return {word.strip() for word in answer.read_text().splitlines()}


def test_words_are_completed(ros2: Ros2, tmp_path: Path) -> None:
    pytest.importorskip("argcomplete")
    (ros2.folder / "mine.launch.xml").write_text('<launch><arg name="size" default="3"/></launch>')
    assert completions(ros2, "ros2 inter", tmp_path) == {"interface"}
    assert completions(ros2, "ros2 topic ec", tmp_path) == {"echo"}
    types = completions(ros2, "ros2 interface show std_srvs/srv/S", tmp_path)
    assert types == {"std_srvs/srv/SetBool"}
    assert completions(ros2, "ros2 launch mine", tmp_path) == {"mine.launch.xml"}
    assert completions(ros2, "ros2 launch mine.launch.xml s", tmp_path) == {"size:="}


def test_there_is_no_daemon(ros2: Ros2) -> None:
    status, start = ros2.run_all(["daemon", "status"], ["daemon", "start"])
    assert status.lines == ["The daemon is not running"]
    assert start.code == 1 and "there is no daemon" in start.output


def test_a_type_may_come_over_standard_input(ros2: Ros2) -> None:
    show = subprocess.Popen(
        [*ros2_words(), "interface", "show", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ros2.environment,
    )
    assert show.stdin is not None
    show.stdin.write(f"std_srvs/srv/Empty{os.linesep}")
    show.stdin.close()
    show.stdin = None
    assert finish(show).lines == ["---"]
