"""``run_node``: clean stops, told failures, and drivers that are always stopped."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

from asterias_nodes.runtime.run_node import PROFILES, make_room_for_pictures

ROS_WS = Path(__file__).resolve().parents[2] / "ros_ws"

# A node that says what happens to it; each case adds to it.
HEAD = """
import sys, time
from rclpy.node import Node
from rclpy.task import Future
from asterias_nodes.runtime.lifecycle_node import ManagedNode
from asterias_nodes.runtime.run_node import StopNode, run_node, stop_node
from asterias.errors import DeviceError

def say(text):
    print(text, flush=True)

class Plain(Node):
    def __init__(self):
        super().__init__("plain")
        self.create_timer(0.05, self.tick)
        say("ready")
    def tick(self):
        pass
    def close(self):
        say("closed")

class Managed(ManagedNode):
    def __init__(self):
        super().__init__("managed")
    def configure(self):
        say("configured")
    def activate(self):
        say("ready")
    def deactivate(self):
        say("deactivated")
    def cleanup(self):
        say("cleaned")
"""
TAIL = "\nsys.exit(run_node(Case))\n"


def run_case(start: Any, body: str, *arguments: str) -> Any:
    """Starts a node whose class ``Case`` is given as text."""
    return start(sys.executable, "-u", "-c", HEAD + body + TAIL, *arguments)


def wait_for_line(process: Any, line: str) -> None:
    """Until the process has said it."""
    for said in process.lines():
        if said == line:
            return
    pytest.fail(f"The process ended without saying '{line}'.")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", ["Plain", "Managed"])
def test_a_signal_is_a_clean_stop(start: Any, kind: str, number: signal.Signals) -> None:
    process = run_case(start, f"Case = {kind}")
    wait_for_line(process, "ready")
    started_s = time.monotonic()
    outcome = process.stop(number)
    assert time.monotonic() - started_s < 2.0
    assert outcome.status == 0 and outcome.stderr == ""
    last = "closed" if kind == "Plain" else "deactivated\ncleaned"
    assert outcome.stdout.strip() == last


def test_a_signal_ends_a_node_that_waits_for_nothing(start: Any) -> None:
    idle = """
class Case(Node):
    def __init__(self):
        super().__init__("idle", start_parameter_services=False, enable_rosout=False)
        say("ready")
"""
    process = run_case(start, idle)
    wait_for_line(process, "ready")
    time.sleep(0.3)
    outcome = process.stop(signal.SIGTERM)
    assert outcome.status == 0 and outcome.stderr == ""


def test_a_signal_during_the_start_is_a_clean_stop(start: Any) -> None:
    slow = """
class Case(Plain):
    def __init__(self):
        super().__init__()
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            pass
"""
    process = run_case(start, slow)
    wait_for_line(process, "ready")
    outcome = process.stop(signal.SIGINT)
    assert outcome.status == 0 and outcome.stderr == "" and outcome.stdout == "closed\n"


def test_two_signals_are_one_stop(start: Any) -> None:
    process = run_case(start, "Case = Plain")
    wait_for_line(process, "ready")
    process.send(signal.SIGINT)
    outcome = process.stop(signal.SIGTERM)
    assert outcome.status == 0 and outcome.stdout == "closed\n"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("ValueError('the robot is upside down')", 1),
        ("DeviceError('the robot is upside down')", 1),
        ("OSError('the robot is upside down')", 1),
    ],
)
def test_a_failed_start_is_one_sentence(start: Any, error: str, status: int) -> None:
    body = f"""
class Case(Plain):
    def __init__(self):
        raise {error}
"""
    outcome = run_case(start, body).wait()
    assert outcome.status == status
    assert outcome.stderr == "-c: the robot is upside down\n"


def test_a_defect_shows_its_place_and_closes_the_node(start: Any) -> None:
    body = """
class Case(Plain):
    def tick(self):
        raise ZeroDivisionError("a defect")
"""
    outcome = run_case(start, body).wait()
    assert outcome.status == 1
    assert "Traceback" in outcome.stderr and outcome.stderr.endswith("plain: a defect\n")
    assert outcome.stdout == "ready\nclosed\n"


def test_a_node_may_end_itself(start: Any) -> None:
    body = """
class Case(Plain):
    def tick(self):
        stop_node(self, status=0)
"""
    outcome = run_case(start, body).wait()
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, "ready\nclosed\n", "")


def test_a_node_may_end_itself_with_a_reason(start: Any) -> None:
    body = """
class Case(Plain):
    def tick(self):
        stop_node(self, "the target was not found", 3)
"""
    outcome = run_case(start, body).wait()
    assert (outcome.status, outcome.stderr) == (3, "plain: the target was not found\n")


def test_a_callback_may_be_left_by_an_exception_that_ends_the_node(start: Any) -> None:
    body = """
class Case(Plain):
    def tick(self):
        raise StopNode("the target was not found", 3)
"""
    outcome = run_case(start, body).wait()
    assert outcome.status == 3 and outcome.stdout == "ready\nclosed\n"
    assert outcome.stderr.endswith("plain: the target was not found\n")
    assert "Traceback" not in outcome.stderr


TASKS = {
    "callback of a future": """
    def tick(self):
        future = Future(executor=self.executor)
        future.add_done_callback(self.fail)
        future.set_result(None)
    def fail(self, future):
        raise ERROR
""",
    "coroutine": """
    def tick(self):
        self.executor.create_task(self.fail)
    async def fail(self):
        raise ERROR
""",
}


@pytest.mark.parametrize("task", TASKS)
def test_a_task_may_end_its_node(start: Any, task: str) -> None:
    body = "class Case(Plain):" + TASKS[task].replace("ERROR", 'StopNode("not found", 3)')
    outcome = run_case(start, body).wait()
    assert (outcome.status, outcome.stdout) == (3, "ready\nclosed\n")
    assert outcome.stderr == "plain: not found\n"


@pytest.mark.parametrize("task", TASKS)
def test_a_defect_in_a_task_shows_its_place_and_closes_the_node(start: Any, task: str) -> None:
    body = "class Case(Plain):" + TASKS[task].replace("ERROR", 'KeyError("a defect")')
    outcome = run_case(start, body).wait()
    assert (outcome.status, outcome.stdout) == (1, "ready\nclosed\n")
    assert "in fail" in outcome.stderr and outcome.stderr.endswith("plain: 'a defect'\n")


def test_ros_arguments_that_make_no_sense_are_told(start: Any) -> None:
    outcome = run_case(start, "Case = Plain", "--ros-args", "-p", "nonsense").wait()
    assert outcome.status == 2 and "nonsense" in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("step", ["configure", "activate"])
def test_a_failed_transition_at_the_start_is_one_sentence(start: Any, step: str) -> None:
    body = f"""
class Case(Managed):
    def {step}(self):
        raise DeviceError("no servo answers")
"""
    outcome = run_case(start, body).wait()
    assert outcome.status == 1 and outcome.stderr == "managed: no servo answers\n"
    assert outcome.stdout.endswith("deactivated\ncleaned\n")


def test_without_autostart_transitions_come_from_outside(start: Any, peer: Any) -> None:
    body = """
class Case(Managed):
    attempts = 0
    def configure(self):
        self.attempts += 1
        if self.attempts == 1:
            raise DeviceError("no servo answers")
        super().configure()
"""
    process = run_case(start, body, "--ros-args", "-p", "autostart:=false")
    client = peer.node.create_client(ChangeState, "/managed/change_state")
    peer.wait_until(client.service_is_ready)

    def change(transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        future = client.call_async(request)
        peer.wait_until(future.done)
        return bool(future.result().success)

    assert not change(Transition.TRANSITION_CONFIGURE), "the first attempt fails"
    assert change(Transition.TRANSITION_CONFIGURE), "and can be repeated"
    assert change(Transition.TRANSITION_ACTIVATE)
    assert change(Transition.TRANSITION_DEACTIVATE)
    assert change(Transition.TRANSITION_CLEANUP)
    outcome = process.stop()
    assert outcome.status == 0 and "no servo answers" in outcome.stderr
    assert outcome.stdout.split() == [
        *("cleaned", "configured", "ready", "deactivated", "cleaned"),
        *("deactivated", "cleaned"),
    ]


@pytest.mark.parametrize(
    ("profiles", "discovery", "has_room"),
    [
        ("fastdds.xml", "LOCALHOST", True),
        ("fastdds.xml", "SUBNET", False),
        ("mine.xml", "LOCALHOST", False),
        ("", "LOCALHOST", False),
    ],
)
def test_nodes_with_cameras_take_room_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, profiles: str, discovery: str, has_room: bool
) -> None:
    before = str(ROS_WS / profiles) if profiles else ""
    monkeypatch.setenv(PROFILES, before)
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", discovery)
    make_room_for_pictures()
    after = str(ROS_WS / "fastdds_pictures.xml") if has_room else before
    assert os.environ[PROFILES] == after


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_node_started_by_nohup_or_in_the_background_ends_on_a_signal(
    start: Any, number: signal.Signals
) -> None:
    ignored = "import signal\nfor n in (2, 1): signal.signal(n, signal.SIG_IGN)\n"
    process = start(sys.executable, "-u", "-c", ignored + HEAD + "Case = Plain" + TAIL)
    wait_for_line(process, "ready")
    outcome = process.stop(number)
    assert outcome.status == 0 and outcome.stdout == "closed\n"


SLOW_IMPORT = """
import time
from asterias_nodes import start_node
def import_slowly(name):
    print("importing", name, flush=True)
    time.sleep(60)
start_node.import_module = import_slowly
start_node.sys.argv[0] = "command_multiplexer"
start_node.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_node_that_is_still_being_imported_ends_without_a_word(
    start: Any, number: signal.Signals
) -> None:
    process = start(sys.executable, "-u", "-c", SLOW_IMPORT)
    wait_for_line(process, "importing asterias_nodes.robot.command_multiplexer")
    outcome = process.stop(number)
    assert outcome.status == 0 and outcome.stderr == ""
