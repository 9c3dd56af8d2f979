"""The verbs that look at a running system, against a real node over real DDS."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Ros2, finish, read_until, ros2_in
from .station_process import running_station

pytest.importorskip("rclpy")

try:
    import asterias_interfaces.action  # noqa: F401

    HAS_ACTIONS = True
except ImportError:
    HAS_ACTIONS = False

FIND_TARGET = "asterias_interfaces/action/FindTarget"
needs_actions = pytest.mark.skipif(not HAS_ACTIONS, reason="the workspace is not built")


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ros2]:
    """The command, in a system where station.py runs."""
    with ros2_in(tmp_path_factory.mktemp("station")) as ros2, running_station(ros2):
        yield ros2


def test_node_and_topic_list(station: Ros2) -> None:
    nodes, hidden, names, types, number, verbose = station.run_all(
        ["node", "list"],
        ["node", "list", "-a", "-c"],
        ["topic", "list"],
        ["topic", "list", "-t"],
        ["topic", "list", "--count-topics"],
        ["topic", "list", "-v"],
    )
    assert nodes.lines == ["/test/managed", "/test/station"]
    assert int(hidden.output) > len(nodes.lines)
    assert {"/test/words", "/test/joints", "/test/numbers", "/rosout"} <= set(names.lines)
    assert "/test/words [std_msgs/msg/String]" in types.lines
    assert number.lines == [str(len(names.lines))]
    assert " * /test/words [std_msgs/msg/String] 1 publisher" in verbose.lines


def test_topic_info(station: Ros2) -> None:
    short, verbose, unknown = station.run_all(
        ["topic", "info", "/test/words"],
        ["topic", "info", "/test/joints", "--verbose"],
        ["topic", "info", "/no/such"],
    )
    assert short.lines == [
        "Type: std_msgs/msg/String",
        "Publisher count: 1",
        "Subscription count: 0",
    ]
    assert verbose.output.startswith(
        "Type: sensor_msgs/msg/JointState\n\nPublisher count: 1\n\nNode name: station\n"
        "Node namespace: /test\nTopic type: sensor_msgs/msg/JointState\n"
    )
    assert "  Reliability: BEST_EFFORT" in verbose.lines
    assert unknown.code == 1
    assert "Unknown topic '/no/such'" in unknown.output


def test_topic_echo(station: Ros2) -> None:
    words, field, csv, no_arr, latched, flow = station.run_all(
        ["topic", "echo", "/test/words", "--once"],
        ["topic", "echo", "/test/joints", "--once", "--field", "name"],
        ["topic", "echo", "/test/joints", "--once", "--csv"],
        ["topic", "echo", "test/joints", "--once", "--no-arr"],
        ["topic", "echo", "/test/numbers", "--once", "-l", "2"],
        [
            "topic",
            "echo",
            "/test/numbers",
            "std_msgs/msg/Float64MultiArray",
            "--once",
            "--field",
            "layout",
            "--flow-style",
        ],
    )
    assert words.lines == ["data: hello", "---"]
    assert field.lines == ["['shoulder', 'elbow']", "---"]
    assert csv.lines == ["0,0,,shoulder,elbow,0.25,-0.5,,"]
    assert "name: '<sequence type: string, length: 2>'" in no_arr.lines
    # A topic published once, before anybody listened, is received for its durability.
    assert latched.lines == [
        "layout:",
        "  dim: []",
        "  data_offset: 0",
        "data:",
        "- 0.0",
        "- 1.0",
        "- '...'",
        "---",
    ]
    assert flow.lines == ["{dim: [], data_offset: 0}", "---"]


def test_topic_echo_refuses(station: Ros2) -> None:
    field, unknown, kind = station.run_all(
        ["topic", "echo", "/test/joints", "--once", "--field", "nope"],
        ["topic", "echo", "/no/such", "--once"],
        ["topic", "echo", "/test/words", "std_msgs/msg/Sting"],
    )
    assert field.code == unknown.code == kind.code == 1
    assert "Invalid field 'nope'" in field.output
    assert "WARNING: topic [/no/such] does not appear to be published yet" in unknown.lines
    assert "'std_msgs/msg/Sting' is not found" in kind.output
    assert "Traceback" not in field.output + unknown.output + kind.output


def test_topic_echo_ends_cleanly_on_ctrl_c(station: Ros2) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        echo = station.start("topic", "echo", "/test/words")
        read = read_until(echo, "data: hello", 3)
        echo.send_signal(number)
        result = finish(echo, read)
        assert result.code == 0
        assert set(result.lines) == {"data: hello", "---"}


def test_topic_hz(station: Ros2) -> None:
    one = station.start("topic", "hz", "/test/words", "--window", "10")
    two = station.start("topic", "hz", "/test/words", "/test/joints")
    read = [read_until(one, "average rate", 2), read_until(two, "/test/joints ", 1)]
    results = []
    for process, text in zip((one, two), read, strict=True):
        process.send_signal(signal.SIGINT)
        results.append(finish(process, text))
    assert [result.code for result in results] == [0, 0]
    rates = [float(rate) for rate in re.findall(r"average rate: (\S+)", results[0].output)]
    assert all(15.0 < rate < 25.0 for rate in rates), results[0]
    assert re.search(
        r"^\tmin: \d\.\d{3}s max: \d\.\d{3}s std dev: \d\.\d{5}s window: \d+$",
        results[0].output,
        re.M,
    )
    assert "window" in results[1].output
    assert re.search(r"^/test/words +\d+\.\d{3} ", results[1].output, re.M)


def test_service(station: Ros2) -> None:
    names, on, off, wrong, kind = station.run_all(
        ["service", "list", "-t"],
        ["service", "call", "/test/switch", "std_srvs/srv/SetBool", "{data: true}"],
        ["service", "call", "/test/switch", "std_srvs/SetBool"],
        ["service", "call", "/test/switch", "std_srvs/srv/SetBool", "{date: true}"],
        ["service", "call", "/test/switch", "std_srvs/srv/Nope"],
    )
    assert "/test/switch [std_srvs/srv/SetBool]" in names.lines
    assert on.output.endswith(
        "requester: making request: std_srvs.srv.SetBool_Request(data=True)\n\n"
        "response:\nstd_srvs.srv.SetBool_Response(success=True, message='on')\n\n"
    )
    assert "message='off'" in off.output
    assert wrong.code == kind.code == 1
    assert "has no field 'date' (fields: data)" in wrong.output
    assert "service type is invalid" in kind.output


@needs_actions
def test_action_list_and_goal(station: Ros2) -> None:
    names, goal = station.run_all(
        ["action", "list", "-t"],
        [
            "action",
            "send_goal",
            "--feedback",
            "/test/find_target",
            FIND_TARGET,
            "{max_steps: 3, dead_cameras: [left, right]}",
        ],
    )
    assert names.lines == [f"/test/find_target [{FIND_TARGET}]"]
    assert goal.code == 0, goal
    assert goal.lines[0] == "Waiting for an action server to become available..."
    assert "dead_cameras:\n- left\n- right\n" in goal.output
    assert re.search(r"^Goal accepted with ID: [0-9a-f]{32}$", goal.output, re.M)
    assert goal.output.count("Feedback:\n    step: ") == 3
    assert "Result:\n    found: true\nsteps: 3\n" in goal.output
    assert goal.lines[-1] == "Goal finished with status: SUCCEEDED"


@needs_actions
def test_ctrl_c_cancels_the_goal(station: Ros2) -> None:
    goal = station.start(
        "action", "send_goal", "-f", "/test/find_target", FIND_TARGET, "{max_steps: 1000}"
    )
    read = read_until(goal, "Feedback:", 3)
    goal.send_signal(signal.SIGINT)
    result = finish(goal, read)
    assert result.code == 0, result
    assert "Canceling goal..." in result.lines
    assert result.lines[-1] == "Goal canceled."


def test_param(station: Ros2) -> None:
    everywhere, names, gain, weights, bare = station.run_all(
        ["param", "list"],
        ["param", "list", "/test/station", "--param-type"],
        ["param", "get", "/test/station", "gain"],
        ["param", "get", "test/station", "weights"],
        ["param", "get", "/test/station", "name", "--hide-type"],
    )
    assert everywhere.output.startswith("/test/managed:\n")
    assert "/test/station:\n  count\n  gain\n  name\n" in everywhere.output
    assert names.lines[:3] == [
        "  count (type: integer)",
        "  gain (type: double)",
        "  name (type: string)",
    ]
    assert gain.lines == ["Double value is: 2.5"]
    assert weights.lines == ["Double values are: [0.5, 1.5]"]
    assert bare.lines == ["alpha"]


def test_param_set(station: Ros2) -> None:
    done, wrong, unknown, node = station.run_all(
        ["param", "set", "/test/station", "count", "8"],
        ["param", "set", "/test/station", "gain", "many"],
        ["param", "get", "/test/station", "no_such"],
        ["param", "get", "/no/such", "gain"],
    )
    assert done.lines == ["Set parameter successful"]
    value = station.run("param", "get", "/test/station", "count")
    assert value.lines == ["Integer value is: 8"]
    assert wrong.code == unknown.code == node.code == 1
    assert wrong.output.startswith("Setting parameter failed")
    assert "Parameter not set" in unknown.output
    assert "Node not found: '/no/such'" in node.output


def test_lifecycle(station: Ros2) -> None:
    nodes, state, transitions, unmanaged = station.run_all(
        ["lifecycle", "nodes"],
        ["lifecycle", "get", "/test/managed"],
        ["lifecycle", "list", "/test/managed"],
        ["lifecycle", "set", "/test/managed", "dance"],
    )
    assert nodes.lines == ["/test/managed"]
    assert state.lines == ["unconfigured [1]"]
    assert transitions.lines[:3] == [
        "- configure [1]",
        "\tStart: unconfigured",
        "\tGoal: configuring",
    ]
    assert unmanaged.code == 1
    assert "- configure [1]" in unmanaged.lines
    assert station.run("lifecycle", "set", "/test/managed", "configure").lines == [
        "Transitioning successful"
    ]
    assert station.run("lifecycle", "get").lines == ["/test/managed: inactive [2]"]


def test_an_empty_system_is_no_error(ros2: Ros2) -> None:
    ros2.environment["ROS_DOMAIN_ID"] = str((int(ros2.environment["ROS_DOMAIN_ID"]) + 50) % 101)
    started = time.monotonic()
    assert ros2.run("node", "list", "--spin-time", "0.2").code == 0
    assert time.monotonic() - started < 5.0


def test_where_profiles_come_from(tmp_path: Path) -> None:
    from asterias_ros2.graph.announcements import announcement_period_s

    profile = tmp_path / "profile.xml"
    environment = {"FASTDDS_DEFAULT_PROFILES_FILE": str(profile)}
    assert announcement_period_s({}) == 3.0
    assert announcement_period_s(environment) == 3.0
    profile.write_text(
        '<dds xmlns="http://www.eprosima.com"><profiles><participant is_default_profile="true">'
        "<rtps><builtin><discovery_config><leaseAnnouncement><sec>1</sec>"
        "<nanosec>500000000</nanosec></leaseAnnouncement></discovery_config></builtin></rtps>"
        "</participant></profiles></dds>"
    )
    assert announcement_period_s(environment) == 1.5
