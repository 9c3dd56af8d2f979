"""The same launch file and command line mean the same to this `ros2 launch` and to the real one.

The files are in `launch_files/`; what is expected of them was taken from the real tool. Where the
real one is installed, each file also runs through it, and everything printed must agree.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .conftest import HERE, Finished, Ros2, finish, has_real_launch

FILES = HERE / "launch_files"
REAL = [sys.executable, "-c", "import sys; from ros2cli.cli import main; sys.exit(main())"]


def words(*arguments: str) -> list[str]:
    """Return the lines the probe prints for arguments."""
    return [f"argument: <{argument}>" for argument in arguments]


def parameters(node: str, **values: str) -> list[str]:
    """Return the lines the probe prints for a parameter file of one node."""
    lines = ["argument: <--params-file>", f"parameters: {node}:", "parameters:   ros__parameters:"]
    for name, value in values.items():
        lines += [f"parameters:     {line}" for line in f"{name}: {value}".splitlines()]
    return lines


def variables(**values: str) -> list[str]:
    """Return the lines the probe prints for its environment."""
    return [f"environment: PROBE_{name}={value}" for name, value in values.items()]


@dataclass
class Case:
    """A launch file, what stands after its name, and the lines each process must print."""

    file: str
    arguments: list[str] = field(default_factory=list)
    output: dict[str, list[str]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    exact: bool = True

    def __str__(self) -> str:
        return " ".join([self.file, *self.arguments])


CASES = [
    Case(
        "arguments",
        output={
            "a-1": words("limb_p1", "/robots/limb_p1.yaml", "limb_p1-fast", "default", "computed"),
            "b-2": words("one two", "three four", "xfasty", "", "last"),
        },
    ),
    Case(
        "arguments",
        ["robot:=two words", "mode:=slow", "mode:=fast", "path:=$(var robot)"],
        output={
            "a-1": words("two words", "$(var robot)", "two words-fast", "default", "computed"),
            "b-2": words("one two", "three four", "xfasty", "", "last"),
        },
    ),
    Case(
        "scopes",
        output={
            "scoped-1": [*words("2"), *variables(E="2")],
            "after_scoped-2": [*words("1"), *variables(E="1")],
            "after_unscoped-3": [*words("3"), *variables(E="3")],
            "not_forwarded-4": words("gone", "3!"),
            "unset-5": [],
            "child-6": [*words("inner from outside 3"), *variables(CHILD="was here", E="3")],
            "after_include-7": [
                *words("from outside 3", "inner from outside 3"),
                *variables(CHILD="was here", E="3"),
            ],
            "child-8": [*words("inner from outside 3"), *variables(CHILD="was here", E="3")],
            "after_group-9": [*words("from outside 3"), *variables(CHILD="was here", E="3")],
        },
    ),
    Case(
        "conditions",
        output={
            "if_camera-1": words("true"),
            "number-2": [],
            "computed-3": [],
            "logic-4": [],
            "end-5": [*words("set"), *variables(LATE="set")],
        },
    ),
    Case(
        "conditions",
        ["camera:=0"],
        output={
            "unless_camera-1": words("0"),
            "number-2": [],
            "computed-3": [],
            "end-4": [*words("unset"), *variables(LATE="unset")],
        },
        messages=["[INFO] [launch.user]: no camera"],
    ),
    Case(
        "substitutions",
        output={
            "eval-1": words("8", "2", "4.0", "2", "A B", "[1, 2]"),
            "quoting-3": words("$(var", "n)", "a  b", "it's", "a(b)", "x 4 y"),
            "equality-4": words("true", "true", "false", "true", "true"),
        },
        messages=["[INFO] [launch.user]: 4 messages"],
    ),
    Case(
        "nodes",
        output={
            "plain-1": words("--ros-args"),
            "named-2": [
                *words("one", "two three", "5", "--ros-args", "--log-level", "debug"),
                *words("--ros-args", "-r", "__node:=limb", "-r", "__ns:=/left/arm"),
                *words("-r", "a:=b", "-r", "/c:=5_d"),
                *variables(X="5"),
            ],
            "pushed-3": words("--ros-args", "-r", "__node:=limb", "-r", "__ns:=/robot"),
            "relative-4": words("--ros-args", "-r", "__node:=limb", "-r", "__ns:=/robot/left"),
            "absolute-5": words("--ros-args", "-r", "__node:=limb", "-r", "__ns:=/left"),
            "deep-6": words("--ros-args", "-r", "__ns:=/robot/deep/er"),
            "shallow-7": [*words("--ros-args", "-r", "__ns:=/robot"), *variables(PREFIX="1")],
        },
    ),
    Case(
        "parameters",
        output={
            "types-1": [
                *words("--ros-args"),
                *parameters("/**", integer="1"),
                *parameters("/**", double="1.0"),
                *parameters("/**", boolean="true"),
                *parameters("/**", yaml_boolean="false"),
                *parameters("/**", text="some text"),
                *parameters("/**", empty="''"),
                *parameters("/**", quoted="'5'"),
                *parameters("/**", integers="\n- 1\n- 2"),
                *parameters("/**", texts="\n- a\n- b"),
                *parameters("/**", forced_text="'5'"),
                *parameters("/**", forced_double="5.0"),
                *parameters("/**", forced_boolean="true"),
                *parameters("/**", forced_list="\n- 1\n- 2"),
                *parameters("/**", separated="\n- 1\n- 2"),
            ],
            "substituted-2": [
                *words("--ros-args"),
                *parameters("/**", number="7"),
                *parameters("/**", number_text="'7'"),
                *parameters("/**", number_double="7.0"),
                *parameters("/**", word="true"),
                *parameters("/**", part="a7"),
                *parameters("/**", list="\n- 7\n- 2"),
            ],
            "nested-3": [
                *words("--ros-args", "-r", "__node:=limb", "-r", "__ns:=/arm"),
                *parameters("/arm/limb", **{"outer.deep.two": "2", "outer.one": "1"}),
                *parameters("/**", from_file="$(var number)"),
                *parameters("/**", from_file="7"),
            ],
        },
    ),
    Case(
        "outputs",
        output={
            "screen-1": ["err", "out", "unfinished"],
            "log-2": ["err"],
            "default-3": ["err"],
            "both-4": ["err", "out"],
            "own-5": [],
            "full-6": ["err", "out"],
            "shell-7": ["a", "b"],
            "terminal-8": ["terminal"],
            "dies-9": [],
        },
        messages=["[ERROR] [dies-9]: process has died [pid N, exit code 3, cmd 'sh -c exit 3']."],
        exact=False,  # two pipes of one process have no order
    ),
    Case(
        "outputs",
        ["-a"],
        output={"own-5": ["err", "out"], "log-2": ["err", "out"], "default-3": ["err", "out"]},
        exact=False,
    ),
    Case(
        "endings",
        ["end:=respawn"],
        output={"again-1": ["run", "run", "run"]},
        messages=3
        * [
            "[ERROR] [again-1]: process has died "
            "[pid N, exit code 1, cmd 'sh -c echo run; exit 1']."
        ],
    ),
    Case(
        "endings",
        messages=[
            "[ERROR] [endless-2]: process has died [pid N, exit code -2, cmd 'sleep 60'].",
            "[ERROR] [required-1]: process has died "
            "[pid N, exit code 4, cmd 'sh -c sleep 0.3; exit 4'].",
            "[INFO] [endless-2]: sending signal 'SIGINT' to process[endless-2]",
            "[INFO] [launch]: process[required-1] was required: shutting down launched system",
        ],
    ),
]


def file_of(case: Case) -> Path:
    """Return the launch file of a case."""
    return FILES / f"{case.file}.launch.xml"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_expected_output(case: Case, ros2: Ros2) -> None:
    result = ros2.run("launch", file_of(case), *case.arguments)
    assert result.code == 0, result
    for name, expected in case.output.items():
        lines = [line.rstrip() for line in result.of(name)]
        want = [line.rstrip() for line in expected]
        if case.exact:
            assert lines == want
        else:
            assert sorted(lines) == sorted(want)
    if case.messages:
        told = [line for line in normal_lines(result) if line.startswith("[INFO] [launch.user]")]
        told += [
            line
            for line in normal_lines(result)
            if re.search(r"has died|sending signal|was required", line)
        ]
        assert sorted(told) == sorted(case.messages)


def test_every_process_is_announced(ros2: Ros2) -> None:
    result = ros2.run("launch", FILES / "outputs.launch.xml")
    for name in ("screen-1", "own-5", "dies-9"):
        assert re.search(
            rf"^\[INFO\] \[{name}\]: process started with pid \[\d+\]$", result.output, re.M
        )
    assert re.search(
        r"^\[INFO\] \[shell-7\]: process has finished cleanly \[pid \d+\]$", result.output, re.M
    )
    assert result.lines[0].startswith("[INFO] [launch]: All log files can be found below ")
    assert result.lines[1] == "[INFO] [launch]: Default logging verbosity is set to INFO"


@pytest.mark.skipif(
    not has_real_launch(), reason="the real launch_ros is not installed, so no comparison"
)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_real_launch_agrees(case: Case, ros2: Ros2) -> None:
    ours = ros2.run("launch", file_of(case), *case.arguments)
    real = finish(
        subprocess.Popen(
            [*REAL, "launch", str(file_of(case)), *case.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=ros2.environment,
        )
    )
    assert ours.code == real.code
    assert sorted(normal_lines(ours)) == sorted(normal_lines(real))


def normal_lines(result: Finished) -> list[str]:
    """Return the lines without what differs from run to run."""
    return [normal(line) for line in result.lines if not changes_with_each_run(line)]


def normal(line: str) -> str:
    """Replace process numbers and the names of temporary files."""
    line = re.sub(r"\bpid \[?\d+\]?", "pid N", line)
    return re.sub(r"\S*/launch_params_\w+", "PARAMETERS", line).rstrip()


def changes_with_each_run(line: str) -> bool:
    """Return whether a line is about the log folder of the run."""
    return "All log files can be found below" in line
