"""The page among strangers: foreign sites, slow and malformed requests, odd messages and types."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from asterias_interfaces.msg import TagDetection, TagDetections
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import Log
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from asterias_nodes.runtime.qos import reliable_qos
from asterias_nodes.web import server
from asterias_nodes.web.access import MAX_DEPTH, Gate, depth
from asterias_nodes.web.action_watch import action_type
from asterias_nodes.web.health_table import MAX_PARTS, HealthTable
from asterias_nodes.web.server import WebServer
from asterias_nodes.web.text import number_text, value_text

WAIT_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], Any], timeout_s: float = WAIT_S) -> Any:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"Nothing came within {timeout_s:g} s.")


def ask(
    port: int, path: str = "/", method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer; 0 when nobody listens yet."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        try:
            connection.request(method, path, body=body, headers=named)
            answer = connection.getresponse()
        except OSError:
            return 0, {}
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}


def raw(port: int, data: bytes, timeout_s: float = 20.0) -> bytes:
    """All that comes back for some bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as line:
        line.sendall(data)
        parts = []
        while part := line.recv(65536):
            parts.append(part)
        return b"".join(parts)


def receive(channel: Any, kind: str, timeout_s: float = 20.0) -> dict[str, Any]:
    """The next JSON message of a kind; every JSON message on the way is strictly valid."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    deadline_s = time.monotonic() + timeout_s
    while True:
        data = channel.recv(timeout=max(0.01, deadline_s - time.monotonic()))
        if isinstance(data, str):
            message: dict[str, Any] = json.loads(data, parse_constant=refuse)
            if message["t"] == kind:
                return message


@pytest.fixture(scope="module")
def dashboard(start_shared_node: Any) -> Iterator[tuple[Any, int]]:
    """The node without a robot, and its port."""
    port = free_port()
    process = start_shared_node("dashboard", port=port)
    wait_for(lambda: ask(port)[0] == 200)
    yield process, port
    assert process.is_running


@pytest.fixture
def port(dashboard: tuple[Any, int]) -> int:
    return dashboard[1]


def memory_mb(process: Any) -> float:
    return float(psutil.Process(process._popen.pid).memory_info().rss) / 1e6


# -- foreign sites ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/static/live.js", "/not/there"])
def test_every_answer_forbids_to_be_framed(port: int, path: str) -> None:
    _, headers = ask(port, path)
    assert headers["content-security-policy"] == "frame-ancestors 'none'"
    assert headers["x-frame-options"] == "DENY"
    assert "server" not in headers


def test_refusals_and_malformed_requests_forbid_to_be_framed_too(port: int) -> None:
    status, headers = ask(port, Host="evil.example")
    assert status == 403 and headers["x-frame-options"] == "DENY"
    answer = raw(port, b"no http at all\r\n\r\n").lower()
    assert answer.startswith(b"http/1.1 400") and b"x-frame-options: deny" in answer


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evil.example#127.0.0.1",
        ),
        *("127.0.0.1@evil.example", "evil.example:80@127.0.0.2.nip.io", "0.0.0.0", "192.168.1.7"),
        *("[2001:db8::1]", "169.254.169.254", "localhost.", "127.0.0.1, evil.example", ""),
    ],
)
def test_a_host_that_is_not_this_machine_is_refused(port: int, host: str) -> None:
    assert ask(port, Host=host)[0] in (400, 403)


@pytest.mark.parametrize(
    "path",
    [
        *("/static/../access.py", "/static/..%2faccess.py", "/static/%2e%2e/access.py"),
        *("/static/..\\access.py", "/static//etc/passwd", "/static/....//access.py"),
        *("/static/%252e%252e/access.py", "//etc/passwd"),
    ],
)
def test_no_path_leads_out_of_the_pages_own_files(port: int, path: str) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read()
    assert answer.status in (400, 403, 404) or b"<!DOCTYPE html>" in content[:200]
    assert b"compare_digest" not in content and b"root:" not in content


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(
    ("path", "mode", "kind"),
    [
        ("/", "navigate", "iframe"),
        ("/", "no-cors", "image"),
        ("/", "navigate", "object"),
        ("/static/live.js", "no-cors", "script"),
        ("/static/live.js", "navigate", "document"),
    ],
)
def test_what_another_sites_page_requests_is_refused(
    port: int, site: str, path: str, mode: str, kind: str
) -> None:
    headers = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": mode, "Sec_Fetch_Dest": kind}
    assert ask(port, path, **headers)[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-origin", "none"])
def test_a_link_that_is_followed_to_the_page_opens_it(port: int, site: str) -> None:
    headers = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert ask(port, **headers)[0] == 200


def test_a_cross_origin_get_of_socket_io_is_refused_without_credentials(port: int) -> None:
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"
    for origin in ("http://evil.example", f"http://127.0.0.1:{port + 1}", "null", "http://["):
        status, headers = ask(port, path, Origin=origin)
        assert status in (400, 403)
        assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_a_web_socket_of_another_origin_is_refused(port: int, origin: str) -> None:
    with pytest.raises(InvalidStatus):
        connect(f"ws://127.0.0.1:{port}/live", origin=origin)  # type: ignore[arg-type]


# -- malformed and slow requests ----------------------------------------------------------------


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: \xff\xfe\x80\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:port\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://[\xe9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /static/%00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /static/" + b"a" * 5000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /static/..%2f..%2faccess.py HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /?token=\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    ],
)
def test_malformed_requests_get_an_answer_that_is_no_error_of_the_server(
    port: int, request_bytes: bytes
) -> None:
    request = request_bytes.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    status = int(raw(port, request).split(b" ", 2)[1])
    assert status == 200 or 400 <= status < 500


def test_slow_requests_are_ended_and_the_page_is_served_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "REQUEST_TIMEOUT_S", 1.0)
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 100)
    served = WebServer(Gate(_hello_app, "", True), "127.0.0.1", 0)
    served.start()
    try:
        head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
        beginnings = [b"", b"GET / HT", head, head + b"\r\nabc"]
        slow = []
        for i in range(60):
            line = socket.create_connection(("127.0.0.1", served.port), timeout=15)
            line.sendall(beginnings[i % len(beginnings)])
            slow.append(line)
        assert ask(served.port)[0] == 200
        for line in slow:
            with closing(line):
                _read_to_end(line)
        many = [
            socket.create_connection(("127.0.0.1", served.port), timeout=15) for _ in range(150)
        ]
        for line in many:
            with closing(line):
                _read_to_end(line)
        assert ask(served.port)[0] == 200
    finally:
        served.close()


def test_the_time_limit_of_requests_is_none_for_web_sockets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "REQUEST_TIMEOUT_S", 0.5)
    served = WebServer(Gate(_hello_app, "", True), "127.0.0.1", 0)
    served.start()
    try:
        with connect(f"ws://127.0.0.1:{served.port}/live") as channel:
            time.sleep(1.5)
            channel.send("still here")
            assert channel.recv(timeout=10) == "still here"
    finally:
        served.close()


def _read_to_end(line: socket.socket) -> None:
    try:
        while line.recv(4096):
            pass
    except ConnectionResetError:
        pass


async def _hello_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"]})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def test_an_app_that_fails_is_one_sentence_and_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("what")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def no_body() -> Any:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
    asyncio.run(Gate(failing, "", True)(scope, no_body, send))
    assert sent[0]["status"] == 500
    assert caplog.messages == ["A request to the page failed: KeyError: 'what'"]


def test_nesting_is_measured_without_parsing() -> None:
    assert depth('{"a": [1, 2]}') == 0  # too few brackets to be deep
    assert depth("[" * 5000) == 5000
    assert depth("[]" * 5000) == 1 <= MAX_DEPTH


# -- messages of pages --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        b"\x00\xff binary",
        "[" * 4000,
        "[" * 100_000,
        "{" * 200,
        '{"t": "echo", "at": ' + "9" * 400 + "}",
        '{"t": "echo", "at": NaN}',
        '{"t": "seen", "limb": [], "camera": {}}',
        '{"t": ["drive"]}',
        '{"t": "drive", "limb": 0, "kind": {}, "values": "no"}',
        '"text"',
        "",
    ],
)
def test_odd_messages_of_a_page_end_at_most_that_page(port: int, message: str | bytes) -> None:
    address = f"ws://127.0.0.1:{port}/live"
    with connect(address) as channel:
        receive(channel, "hello")
        try:
            channel.send(message)
            channel.send('{"t": "echo", "at": 1}')
            assert receive(channel, "echo") == {"t": "echo", "at": 1}
        except ConnectionClosed:
            pass
    with connect(address) as channel:
        receive(channel, "state")


@pytest.mark.parametrize("message", [b"\x00\x01", "2" + "[" * 5000, "4" + "[" * 5000, "x"])
def test_odd_messages_to_socket_io_end_at_most_that_page(port: int, message: str | bytes) -> None:
    address = f"ws://127.0.0.1:{port}/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    with connect(address) as channel:
        channel.recv(timeout=10)
        channel.send(message)
    assert ask(port)[0] == 200
    polling = "/_nicegui_ws/socket.io/?EIO=4&transport=polling&sid=none"
    assert 400 <= ask(port, polling, "POST", b"4" + b"[" * 5000)[0] < 500


def test_a_page_that_never_reads_takes_no_memory(dashboard: tuple[Any, int]) -> None:
    process, port = dashboard
    with connect(f"ws://127.0.0.1:{port}/live") as channel:
        receive(channel, "hello")
    before_mb = memory_mb(process)
    key = b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    key += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    text = b'{"t":"echo","at":1}'
    frame = bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text
    with socket.create_connection(("127.0.0.1", port), timeout=0.2) as line:
        line.sendall(key)
        end_s = time.monotonic() + 5.0
        while time.monotonic() < end_s:
            try:
                line.sendall(frame * 500)
            except OSError:
                time.sleep(0.05)
    assert memory_mb(process) - before_mb < 30.0
    assert ask(port)[0] == 200


# -- other nodes --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_publisher_of_a_wrong_type_on_an_actions_topic_does_not_end_the_dashboard(
    dashboard: tuple[Any, int], peer: Any
) -> None:
    process, port = dashboard
    for topic in ("/x/_action/feedback", "/x/_action/status", "/_action/feedback"):
        peer.node.create_publisher(String, topic, 10).publish(String(data="x"))
    with connect(f"ws://127.0.0.1:{port}/live") as channel:
        peer.spin(3.0)
        receive(channel, "state")
    assert process.is_running


@pytest.mark.parametrize(
    "name", ["std_msgs/msg/String", "a", "a/b", "no_such/action/Thing", "std_msgs/action/String"]
)
def test_a_type_that_is_no_action_is_refused_before_a_client_is_made(name: str) -> None:
    with pytest.raises(ImportError):
        action_type(name)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e308, -1e308])
def test_numbers_that_no_robot_can_mean_leave_the_state_valid(
    port: int, peer: Any, value: float
) -> None:
    joints = peer.node.create_publisher(JointState, "/limb_0/joint_states", reliable_qos(10))
    seen = peer.node.create_publisher(TagDetections, "/target/detections", reliable_qos(10))
    names = ["shoulder_yaw", "shoulder_pitch", "wrist_roll", "finger"]
    detection = TagDetection(id=29, corners_px=[value] * 8)
    with connect(f"ws://127.0.0.1:{port}/live") as channel:
        for _ in range(10):
            joints.publish(JointState(name=names, position=[value] * 4))
            seen.publish(TagDetections(limb="limb_0", camera="camera_0", detections=[detection]))
            seen.publish(TagDetections(limb="limb_9", camera="camera_-1", detections=[detection]))
            peer.spin(0.05)
            state = receive(channel, "state")
            assert state["seen"] == {} and not state["limbs"][0]["heard"]
    for publisher in (joints, seen):
        peer.node.destroy_publisher(publisher)


def test_diagnostics_with_ever_new_names_stay_a_table_of_bounded_size() -> None:
    table = HealthTable()
    for i in range(50):
        parts = [
            DiagnosticStatus(name=f"part {100 * i + k} " + "x" * 10_000, message="m" * 10_000)
            for k in range(100)
        ]
        table.on_diagnostics(DiagnosticArray(status=parts))
    reports = table.reports
    assert len(reports) == MAX_PARTS
    assert max(len(one.name) for one in reports) < 100
    assert any(one.name.startswith("part 4999") for one in reports), "the newest are there"


# -- the token ----------------------------------------------------------------------------------


def test_the_token_is_on_the_terminal_but_neither_on_rosout_nor_in_a_log_file(
    start_node: Any, peer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs: list[str] = []
    peer.node.create_subscription(Log, "/rosout", lambda m: logs.append(m.msg), 100)
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "logs"))
    port = free_port()
    process = start_node("dashboard", host="0.0.0.0", port=port)
    line = next(text for text in process.lines() if "?token=" in text)
    token = re.findall(r"\?token=([\w-]+)", line)[0]
    assert len(token) >= 16
    wait_for(lambda: ask(port, f"/?token={token}")[0] == 200)
    assert ask(port)[0] == 401
    peer.wait_until(lambda: any("The page is at" in text for text in logs))
    assert not any(token in text for text in logs)
    files = [one for one in (tmp_path / "logs").rglob("*") if one.is_file()]
    assert not any(token.encode() in one.read_bytes() for one in files)
    outcome = process.stop()
    assert token not in outcome.stderr


# -- numbers for people -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        (
            "positions_rad",
            [0.43027869392863777, -1.0],
            "positions 24.7°, -57.3°",
        ),
        ("duration_s", 12.3456, "duration 12.3 s"),
        ("found", True, "found yes"),
        ("steps", 12345, "steps 12345"),
        ("loss", 1.23456e-7, "loss 1.23e-07"),
        ("error", float("nan"), "error -"),
    ],
)
def test_values_are_shown_with_three_digits_units_and_words(
    name: str, value: object, text: str
) -> None:
    assert value_text(name, value) == text


def test_three_digits_of_any_number() -> None:
    texts = [number_text(x) for x in (0.0, 0.0123456, 1.0, 99.96, 1234.5, 1e308)]
    assert texts == ["0", "0.0123", "1", "100", "1234", "1.00e+308"]
