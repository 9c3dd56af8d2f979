"""`ros2 pkg`, `ros2 run`, launching a file of a package, and `--show-args`."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Ros2, finish, read_until

Write = Callable[..., Path]


@pytest.fixture
def demo(ros2: Ros2) -> Path:
    """The prefix of a package `demo` that the command can find."""
    prefix = ros2.folder / "prefix"
    (prefix / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (prefix / "share/ament_index/resource_index/packages/demo").touch()
    (prefix / "share/demo/launch").mkdir(parents=True)
    (prefix / "share/demo/launch/demo.launch.xml").write_text(
        "<launch><arg name='who' default='you'/>"
        "<node pkg='demo' exec='talker' args='$(var who) $(find-pkg-share demo)' output='screen'/>"
        "<executable cmd='$(exec-in-pkg talker demo) $(find-pkg-prefix demo)' output='screen'/>"
        "</launch>"
    )
    (prefix / "lib/demo").mkdir(parents=True)
    for name, text in (
        ("talker", 'echo "hello $*"'),
        ("failer", "exit 7"),
        ("sleeper", "trap 'echo got it; exit 3' INT; echo ready; while :; do sleep 0.05; done"),
    ):
        path = prefix / "lib/demo" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    (prefix / "lib/demo/notes.txt").touch()
    others = ros2.environment.get("AMENT_PREFIX_PATH")
    ros2.environment["AMENT_PREFIX_PATH"] = f"{prefix}:{others}" if others else str(prefix)
    return prefix


def test_pkg(ros2: Ros2, demo: Path) -> None:
    assert "demo" in ros2.run("pkg", "list").lines
    assert ros2.run("pkg", "prefix", "demo").lines == [str(demo)]
    assert ros2.run("pkg", "prefix", "--share", "demo").lines == [str(demo / "share/demo")]
    names = ["demo failer", "demo sleeper", "demo talker"]
    assert ros2.run("pkg", "executables", "demo").lines == names
    paths = [str(demo / "lib/demo" / name) for name in ("failer", "sleeper", "talker")]
    assert ros2.run("pkg", "executables", "--full-path", "demo").lines == paths


def test_pkg_that_is_not_there(ros2: Ros2, demo: Path) -> None:
    assert demo.is_dir()
    result = ros2.run("pkg", "prefix", "dem")
    assert result.code == 1
    assert result.lines == ["package 'dem' not found on AMENT_PREFIX_PATH; did you mean 'demo'?"]


def test_run(ros2: Ros2, demo: Path) -> None:
    assert demo.is_dir()
    result = ros2.run("run", "demo", "talker", "a", "--flag", "-x")
    assert (result.code, result.lines) == (0, ["hello a --flag -x"])
    result = ros2.run("run", "--prefix", "env A=1", "demo", "talker")
    assert (result.code, result.lines) == (0, ["hello "])
    result = ros2.run("run", "demo", "failer")
    assert (result.code, result.lines) == (7, ["[ros2run]: Process exited with failure 7"])
    result = ros2.run("run", "demo", "nobody")
    assert result.code == 1
    assert "has no executable 'nobody'" in result.output
    assert "failer, sleeper, talker" in result.output


def test_run_ends_when_its_process_does(ros2: Ros2, demo: Path) -> None:
    assert demo.is_dir()
    process = ros2.start("run", "demo", "sleeper")
    read = read_until(process, "ready")
    process.send_signal(signal.SIGINT)  # as from a terminal, which would tell both
    for pid, text in ros2.marked():
        if text.startswith("/bin/sh"):
            os.kill(pid, signal.SIGINT)
    result = finish(process, read)
    assert "got it" in result.lines
    assert result.code == 3


def test_launch_file_of_a_package(ros2: Ros2, demo: Path) -> None:
    result = ros2.run("launch", "demo", "demo.launch.xml", "who:=all")
    assert result.code == 0, result
    assert result.of("talker-1") == [f"hello all {demo}/share/demo --ros-args"]
    assert result.of("talker-2") == [f"hello {demo}"]
    assert (
        "'nobody.launch.xml' not found in the share"
        in ros2.run("launch", "demo", "nobody.launch.xml").output
    )


def test_show_args(ros2: Ros2, write: Write) -> None:
    write('<arg name="inner" default="1"/>', "sub/inner.launch.xml")
    path = write(
        '<arg name="robot" description="which robot"/>'
        '<arg name="path" default="$(find-pkg-share x)/$(var robot).yaml"/>'
        '<arg name="mode" default="fast"><choice value="fast"/><choice value="slow"/></arg>'
        '<arg name="rate" default="$(eval \'1 + 1\')" description="how fast"/>'
        '<group if="$(var robot)"><arg name="late" default=""/></group>'
        f'<include file="{ros2.folder}/sub/inner.launch.xml"/>'
    )
    result = ros2.run("launch", path, "--show-args")
    assert result.code == 0
    assert result.output == (
        "Arguments (pass arguments as '<name>:=<value>'):\n"
        "\n    'robot':\n        which robot\n"
        "\n    'path':\n        no description given\n"
        "        (default: FindPackageShare(pkg='x') + '/' + LaunchConfig('robot') + '.yaml')\n"
        "\n    'mode':\n        One of: ['fast', 'slow']\n        (default: 'fast')\n"
        "\n    'rate':\n        how fast\n        (default: PythonExpr('1 + 1', ['math']))\n"
        "\n    'late':*\n        no description given\n        (default: '')\n"
        "\n    'inner':\n        no description given\n        (default: '1')\n"
        "\n* argument(s) which are only used if specific conditions occur\n"
    )
    assert "No arguments." in ros2.run("launch", write(""), "-s").output


def test_help_says_that_there_is_no_daemon(ros2: Ros2) -> None:
    assert "there is no daemon" in " ".join(ros2.run("--help").output.split())
    result = ros2.run("pkg")
    assert result.code == 0
    assert "executables" in result.output


def test_without_rclpy_there_is_one_sentence(ros2: Ros2) -> None:
    (ros2.folder / "rclpy.py").write_text("raise ModuleNotFoundError(name='rclpy')")
    ros2.environment["PYTHONPATH"] = f"{ros2.folder}:{ros2.environment['PYTHONPATH']}"
    result = ros2.run("topic", "list")
    assert result.code == 1
    assert result.lines == ["ros2 topic needs 'rclpy', which is not there; source the setup file"]
