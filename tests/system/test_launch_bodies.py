"""The bodies of the launch files: one choice of words everywhere, and no viewer is required."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints
from xml.etree import ElementTree

import pytest
import yaml

from asterias_nodes.robot.command_multiplexer import MultiplexerSettings
from asterias_nodes.teleop.teleop_leader import DEADMEN
from asterias_ros2.launch.context import LaunchContext, ProcessDescription
from asterias_ros2.launch.service import evaluate_file
from hardware.buses.families import SERVO_FAMILIES
from hardware.description.devices import SimBackend
from hardware.faults.models import FAULT_MODELS
from learning.agents.models.back_ends import BACKENDS
from planners.mazes.datasets import MazeKind

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ROOT / "launch"
FILES = sorted(LAUNCH.rglob("*.launch.xml"))
WITH_BODY = ("find_target", "teleop", "agents", "demonstrate", "include/body")
# Nodes that only show or store what happens.
VIEWERS = {"dashboard", "recorder"}


class Evaluated:
    """A launch file evaluated with arguments; nothing is started."""

    def __init__(self, name: str, **arguments: str) -> None:
        context = LaunchContext(os.environ)
        evaluate_file(LAUNCH / f"{name}.launch.xml", arguments, context)
        self.nodes = {Path(one.command[0]).name: one for one in context.processes}
        self.parameters = {name: _parameters(one) for name, one in self.nodes.items()}
        context.clean_up()


def _parameters(process: ProcessDescription) -> dict[str, Any]:
    """The parameters of a node, from the files that its command names."""
    found: dict[str, Any] = {}
    for flag, word in zip(process.command, process.command[1:], strict=False):
        if flag == "--params-file":
            for content in yaml.safe_load(Path(word).read_text(encoding="utf-8")).values():
                found.update(content["ros__parameters"])
    return found


@pytest.mark.parametrize("name", WITH_BODY)
@pytest.mark.parametrize(
    ("words", "family"),
    [
        ({}, None),
        ({"body": "sim"}, None),
        ({"body": "real"}, ""),
        ({"body": "emulated"}, "dynamixel"),
        ({"body": "emulated", "family": "feetech"}, "feetech"),
        ({"body": "emulated", "family": "mine"}, "mine"),
        ({"body": "udp"}, "udp"),
        ({"body": "dynamixel", "family": "feetech"}, "dynamixel"),
    ],
)
def test_every_launch_file_understands_the_same_words_for_a_body(
    name: str, words: dict[str, str], family: str | None
) -> None:
    launched = Evaluated(name, robot="limb_p1", limb="0", **words)
    assert ("sim_robot" in launched.nodes) == (family is None)
    assert ("limb_driver" in launched.nodes) == (family is not None)
    emulated = launched.parameters.get("emulated_robot", {})
    assert emulated.get("family", "") == (family or "")


@pytest.mark.parametrize(
    "words", [{"emulate": "udp"}, {"body": "emulated", "family": "udp"}], ids=["old", "new"]
)
def test_the_robot_takes_the_old_and_the_new_words(words: dict[str, str]) -> None:
    launched = Evaluated("robot", robot="limb_p1", **words)
    assert launched.parameters["emulated_robot"]["family"] == "udp"
    assert "emulated_robot" not in Evaluated("robot", robot="limb_p1").nodes


def test_arguments_of_the_command_line_reach_the_body_through_every_file() -> None:
    for name in WITH_BODY:
        parameters = Evaluated(
            name, robot="starfish", limb="2", seed="7", real_time_factor="2.5", enable_faults="true"
        ).parameters
        assert parameters["sim_robot"]["seed"] == 7
        assert parameters["sim_robot"]["real_time_factor"] == 2.5
        if name in ("teleop", "agents", "include/body"):
            assert parameters["sim_robot"]["enable_faults"] is True
        assert parameters["target_finder"]["limb"] == 2
        for node in ("demo", "language_agent"):
            assert parameters.get(node, {"limb": 2})["limb"] == 2


def test_a_person_is_asked_before_each_motion_of_a_real_body() -> None:
    def approval(**words: str) -> bool:
        parameters = Evaluated("agents", robot="limb_p1", **words).parameters
        return bool(parameters["language_agent"]["approval"])

    assert not approval()
    assert not approval(body="emulated")
    assert approval(body="real")
    assert not approval(body="real", approval="false")


def _arguments() -> Iterator[tuple[str, ElementTree.Element]]:
    """Name of its file and element of every argument of every launch file."""
    for path in FILES:
        name = str(path.relative_to(LAUNCH)).removesuffix(".launch.xml")
        for element in ElementTree.parse(path).getroot().findall("arg"):
            yield name, element


def _people() -> set[str]:
    """The sources of the multiplexer that have a dead-man."""
    settings = MultiplexerSettings()
    sources = {text.partition(":")[0] for text in settings.sources}
    return sources - set(settings.without_deadman)


def test_every_list_of_choices_is_the_one_that_the_registries_hold() -> None:
    choices = {
        (name, str(argument.get("name"))): {str(one.get("value")) for one in argument}
        for name, argument in _arguments()
        if len(argument)
    }
    assert choices == {
        ("include/body", "body"): {"sim", "real", "emulated", *SERVO_FAMILIES.names()},
        ("robot", "body"): {"real", "emulated"},
        ("teleop", "source"): _people(),
    }


WORDS: dict[str, Sequence[str]] = {
    "family": SERVO_FAMILIES.names(),
    "kind": get_args(MazeKind),
    "backend": BACKENDS,
    "deadman": DEADMEN,
    "renderer": get_args(get_type_hints(SimBackend)["renderer"]),
    "engine": get_args(get_type_hints(SimBackend)["engine"]),
}


@pytest.mark.parametrize("argument", WORDS)
def test_help_texts_name_every_word_of_the_registry(argument: str) -> None:
    texts = {
        name: element.get("description", "")
        for name, element in _arguments()
        if element.get("name") == argument
    }
    assert texts
    for name, text in texts.items():
        missing = [word for word in WORDS[argument] if word not in text]
        assert not missing, f"{name}.launch.xml does not name {missing} at {argument}"


def test_faults_that_launch_files_offer_are_faults() -> None:
    (text,) = [
        element.get("description", "")
        for name, element in _arguments()
        if (name, element.get("name")) == ("find_target", "fault")
    ]
    words = re.findall(r"[a-z]+", text.partition(":")[2])
    assert set(words) - {"or"} <= set(FAULT_MODELS.names())


def test_no_viewer_ends_a_launch_that_drives_a_body() -> None:
    required = [
        f"{path.name}: {node.get('exec')}"
        for path in FILES
        for node in ElementTree.parse(path).getroot().iter("node")
        if node.get("exec") in VIEWERS and node.get("on_exit")
    ]
    assert required == []


def test_a_multiplexer_that_dies_is_started_again() -> None:
    for name in ("sim", "robot"):
        assert Evaluated(name, robot="limb_p1").nodes["command_multiplexer"].respawn


@pytest.mark.parametrize("name", ["robot", "sim", *WITH_BODY, "maze", "doom"])
def test_nothing_that_is_launched_is_heard_beyond_this_machine(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ROS_AUTOMATIC_DISCOVERY_RANGE", raising=False)
    words = {} if name in ("maze", "doom") else {"robot": "limb_p1"}
    nodes = Evaluated(name, **words).nodes
    assert nodes
    for node in nodes.values():
        assert node.environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE") == "LOCALHOST"


def test_the_starfish_searches_with_all_limbs_unless_one_is_named() -> None:
    assert Evaluated("starfish").parameters["target_finder"]["limb"] == -1
    assert Evaluated("starfish", limb="3").parameters["target_finder"]["limb"] == 3
