"""Verbs that describe, publish, measure, record and play, against a real node over real DDS."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .conftest import Ros2, finish, read_until, ros2_in
from .station_process import running_station

pytest.importorskip("rclpy")

FIND_TARGET = "asterias_interfaces/action/FindTarget"


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ros2]:
    """The command, in a system where station.py runs."""
    with ros2_in(tmp_path_factory.mktemp("station")) as ros2, running_station(ros2):
        yield ros2


def test_node_info(station: Ros2) -> None:
    info, unknown = station.run_all(
        ["node", "info", "/test/station"], ["node", "info", "/test/statoin"]
    )
    assert info.lines[:2] == ["/test/station", "  Subscribers:"]
    sections = re.split(r"(?m)^  (\w[\w ]+):\n", info.output)[1:]
    found = dict(zip(sections[::2], sections[1::2], strict=True))
    assert list(found) == [
        "Subscribers",
        "Publishers",
        "Service Servers",
        "Service Clients",
        "Action Servers",
        "Action Clients",
    ]
    assert "    /test/words: std_msgs/msg/String\n" in found["Publishers"]
    assert "    /test/switch: std_srvs/srv/SetBool\n" in found["Service Servers"]
    assert found["Subscribers"] == found["Action Clients"] == "\n"
    assert unknown.code == 1
    assert "Unable to find node '/test/statoin'" in unknown.output
    assert "did you mean '/test/station'?" in unknown.output


def test_types_and_finding(station: Ros2) -> None:
    topic, find, none, service, about, services = station.run_all(
        ["topic", "type", "/test/joints"],
        ["topic", "find", "sensor_msgs/msg/JointState"],
        ["topic", "type", "/no/such", "--spin-time", "1"],
        ["service", "type", "/test/switch"],
        ["service", "info", "/test/switch"],
        ["service", "find", "std_srvs/srv/SetBool"],
    )
    assert topic.lines == ["sensor_msgs/msg/JointState"]
    assert find.lines == ["/test/joints"]
    assert (none.code, none.output) == (1, "")
    assert service.lines == ["std_srvs/srv/SetBool"]
    assert about.lines == ["Type: std_srvs/srv/SetBool", "Clients count: 0", "Services count: 1"]
    assert services.lines == ["/test/switch"]


def test_action_info(station: Ros2) -> None:
    pytest.importorskip("asterias_interfaces")
    info, kind, find = station.run_all(
        ["action", "info", "/test/find_target", "-t"],
        ["action", "type", "/test/find_target"],
        ["action", "find", FIND_TARGET],
    )
    assert info.lines == [
        "Action: /test/find_target",
        "Action clients: 0",
        "Action servers: 1",
        f"    /test/station [{FIND_TARGET}]",
    ]
    assert kind.lines == [FIND_TARGET]
    assert find.lines == ["/test/find_target"]


def test_topic_pub_reaches_a_listener(station: Ros2) -> None:
    listener = station.start("topic", "echo", "/chatter", "std_msgs/msg/Header", "--once")
    sender = station.start(
        *("topic", "pub", "-r", "20", "-t", "200", "/chatter"),
        *("std_msgs/msg/Header", "{stamp: now, frame_id: base}"),
    )
    heard = finish(listener)
    read = read_until(sender, "publishing #2: ")
    sender.send_signal(signal.SIGINT)
    sent = finish(sender, read)
    assert heard.lines[3:] == ["frame_id: base", "---"]
    assert int(heard.lines[1].split()[-1]) > 1_600_000_000, "`now` is the time of sending"
    assert sent.code == 0
    assert sent.lines[0] == "Waiting for at least 1 matching subscription(s)..."
    assert "publisher: beginning loop" in sent.lines
    assert re.search(
        r"(?m)^publishing #1: std_msgs\.msg\.Header\(stamp=builtin_interfaces\.msg\.Time\(sec=\d+, "
        r"nanosec=\d+\), frame_id='base'\)\n\n",
        sent.output,
    )


def test_topic_pub_refuses(station: Ros2) -> None:
    nobody, kind, field, words, options = station.run_all(
        ["topic", "pub", "--once", "/x", "std_msgs/msg/String", "--max-wait-time-secs", "1"],
        ["topic", "pub", "/x", "std_msgs/msg/Strin"],
        ["topic", "pub", "/x", "std_msgs/msg/String", "{date: 1}"],
        ["topic", "pub", "/x", "std_msgs/msg/String", "hello"],
        ["topic", "pub", "/x", "std_msgs/msg/String", "--max-wait-time-secs", "1"],
    )
    waiting = "Waiting for at least 1 matching subscription(s)..."
    assert nobody.lines[:2] == [waiting, waiting]
    assert nobody.lines[-1].startswith("Timed out waiting for subscribers: Expected 1 subcribers")
    assert [one.code for one in (nobody, kind, field, words, options)] == [1] * 5
    assert "The passed message type is invalid" in kind.output
    assert "has no field 'date' (fields: data)" in field.output
    assert "The passed value needs to be a dictionary in YAML format" in words.output
    assert "--max-wait-time-secs option is only effective" in options.output


def test_bandwidth_and_delay(station: Ros2) -> None:
    bandwidth = station.start("topic", "bw", "/test/words", "-w", "5")
    delay = station.start("topic", "delay", "/test/joints", "-w", "5")
    read = [read_until(bandwidth, "Message size", 2), read_until(delay, "std dev", 2)]
    results = []
    for process, text in zip((bandwidth, delay), read, strict=True):
        process.send_signal(signal.SIGINT)
        results.append(finish(process, text))
    assert [result.code for result in results] == [0, 0]
    assert results[0].lines[0] == "Subscribed to [/test/words]"
    assert re.fullmatch(r"\d+(\.\d\d K)?\s*B/s from \d+ messages", results[0].lines[1])
    assert re.fullmatch(r"\tMessage size mean: \d+ B min: \d+ B max: \d+ B", results[0].lines[2])
    average, bounds = results[1].lines[:2]
    assert re.fullmatch(r"average delay: -?\d+\.\d{3}", average)
    assert re.fullmatch(r"\tmin: \S+s max: \S+s std dev: \d+\.\d{5}s window: \d+", bounds)
    headless = station.run("topic", "delay", "/test/words")
    assert headless.code == 1 and "msg does not have header" in headless.output


def test_parameters_dumped_are_loaded_again(station: Ros2, tmp_path: Path) -> None:
    dump, describe, prefix = station.run_all(
        ["param", "dump", "/test/station"],
        ["param", "describe", "/test/station", "gain", "use_sim_time"],
        ["param", "list", "/test/station", "--filter", "g"],
    )
    values = yaml.safe_load(dump.output)["/test/station"]["ros__parameters"]
    assert values["weights"] == [0.5, 1.5]
    other_gain = values["gain"] + 2.0  # the station is shared, and this test may have a second try
    assert describe.lines[:3] == ["Parameter name: gain", "  Type: double", "  Constraints:"]
    assert describe.lines[3:5] == ["Parameter name: use_sim_time", "  Type: boolean"]
    assert prefix.lines == ["  gain"]
    file, wrong, foreign = tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "c.yaml"
    file.write_text(f"/**:\n  ros__parameters:\n    gain: {other_gain}\n")
    wrong.write_text("- 1\n")
    foreign.write_text("/other:\n  ros__parameters:\n    gain: 4.5\n")
    load, no, other, missing = station.run_all(
        ["param", "load", "/test/station", str(file)],
        ["param", "load", "/test/station", str(wrong)],
        ["param", "load", "/test/station", str(foreign)],
        ["param", "load", "/test/station", str(tmp_path / "none.yaml")],
    )
    assert load.lines == ["Set parameter gain successful"]
    value = station.run("param", "get", "/test/station", "gain")
    assert value.lines == [f"Double value is: {other_gain}"]
    assert no.code == other.code == missing.code == 1
    assert all("is no file of parameters of /test/station" in one.output for one in (no, other))
    assert "No such file" in missing.output
    assert "Traceback" not in no.output + other.output + missing.output
    station.run("param", "set", "/test/station", "gain", "2.5")


def test_doctor(station: Ros2) -> None:
    check, strict, report = station.run_all(
        ["doctor"], ["wtf", "--include-warnings"], ["doctor", "--report", "-ep"]
    )
    assert "Publisher without subscriber detected on /test/words." in check.output
    assert "\nAll 5 checks passed\n" in check.output
    assert re.search(r"\n\d/5 check\(s\) failed\n\nFailed modules: .*topic", strict.output)
    assert "\n   RMW MIDDLEWARE\nmiddleware name    : rmw_" in report.output
    assert re.search(r"(?m)^topic +: /test/words\npublisher count +: 1$", report.output)
    assert "PACKAGE VERSIONS" not in report.output


@pytest.mark.slow
def test_a_bag_is_recorded_described_and_played(station: Ros2, tmp_path: Path) -> None:
    pytest.importorskip("asterias_nodes.recording.recorded_topics")
    bag = tmp_path / "bag"
    recorder = station.start(
        "bag", "record", "-o", str(bag), "--topics", "/test/words", "test/numbers"
    )
    read = read_until(recorder, "Subscribed to topic '/test/", 2)
    counter = station.start("topic", "echo", "/test/words")
    seen = read_until(counter, "data: hello", 10)
    counter.send_signal(signal.SIGINT)
    finish(counter, seen)
    recorder.send_signal(signal.SIGINT)
    done = finish(recorder, read)
    assert done.code == 0 and "Recording stopped" in done.output, done
    info, names, again, none = station.run_all(
        ["bag", "info", str(bag)],
        ["bag", "info", "-t", str(bag)],
        ["bag", "record", "-a", "-o", str(bag)],
        ["bag", "record"],
    )
    assert info.lines[:2] == ["", "Files:             bag_0.mcap"]
    assert "Storage id:        mcap" in info.lines
    assert re.search(r"(?m)^Duration: {10}\d+\.\d{9}s$", info.output)
    found = re.search(
        r"Topic: /test/words \| Type: std_msgs/msg/String \| Count: (\d+) \| "
        r"Serialization Format: cdr",
        info.output,
    )
    assert found is not None and int(found[1]) >= 5
    # Latched: it was published before anybody recorded.
    assert "Topic: /test/numbers | Type: std_msgs/msg/Float64MultiArray | Count: 1 |" in info.output
    assert names.lines == ["/test/numbers", "/test/words"]
    assert again.code == none.code == 1
    assert "already exists" in again.output
    assert "Need to specify at least one option" in none.output
    listener = station.start("topic", "echo", "/again", "std_msgs/msg/String", "--once")
    player = station.start(
        "bag", "play", str(bag), "-l", "--topics", "/test/words", "-m", "/test/words:=/again"
    )
    assert finish(listener).lines == ["data: hello", "---"]
    player.send_signal(signal.SIGINT)
    assert finish(player).code == 0
    missing, nothing = station.run_all(
        ["bag", "play", str(tmp_path / "none")], ["bag", "play", str(bag), "--topics", "/no"]
    )
    assert missing.code == nothing.code == 1
    assert "there is no such file or folder" in missing.output
    assert "holds no topic to play" in nothing.output
