"""The node foxglove_bridge, spoken to as Foxglove does: a WebSocket with JSON and binary frames."""

from __future__ import annotations

import asyncio
import json
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64MultiArray, String
from std_srvs.srv import SetBool

from asterias_nodes.runtime.qos import latched_qos

pytest.importorskip("foxglove", reason="the extra foxglove is not installed")

MESSAGE, SERVICE = 1, 2  # first byte of binary frames from clients
DATA, ANSWER = 1, 3  # and from the server
SOURCE = "/limb_0/sources/foxglove"
ARRAY = "std_msgs/msg/Float64MultiArray"


class Foxglove:
    """A client of the protocol; its connection lives in a thread of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._call = 0
        self.texts: list[dict[str, Any]] = []
        self.frames: list[bytes] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._do(self._open())

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession()
        protocols = ("foxglove.sdk.v1", "foxglove.websocket.v1")
        self._socket = await self._session.ws_connect(self.url, protocols=protocols)
        self._reader = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type == aiohttp.WSMsgType.TEXT:
                self.texts.append(json.loads(message.data))
            elif message.type == aiohttp.WSMsgType.BINARY:
                self.frames.append(bytes(message.data))

    async def _shut(self) -> None:
        await self._socket.close()
        await self._session.close()

    def send(self, **request: Any) -> None:
        self._do(self._socket.send_str(json.dumps(request)))

    def send_bytes(self, data: bytes) -> None:
        self._do(self._socket.send_bytes(data))

    def channels(self) -> dict[str, dict[str, Any]]:
        """Everything that was advertised, by topic."""
        found = [c for t in self.texts if t["op"] == "advertise" for c in t["channels"]]
        return {channel["topic"]: channel for channel in found}

    def data_of(self, subscription: int) -> list[bytes]:
        """Messages of a subscription: opcode, id, time, payload."""
        mine = struct.pack("<BI", DATA, subscription)
        return [frame[13:] for frame in list(self.frames) if frame.startswith(mine)]

    def statuses(self) -> str:
        return " ".join(t["message"] for t in list(self.texts) if t["op"] == "status")

    def advertise(self, channel: int, topic: str, type_name: str = ARRAY, how: str = "cdr") -> None:
        about = {"id": channel, "topic": topic, "encoding": how, "schemaName": type_name}
        self.send(op="advertise", channels=[about])

    def publish(self, channel: int, data: bytes) -> None:
        self.send_bytes(struct.pack("<BI", MESSAGE, channel) + data)

    def wait_for(self, peer: Any, op: str) -> dict[str, Any]:
        """The first text of a kind."""
        peer.wait_until(lambda: any(t["op"] == op for t in list(self.texts)))
        return next(t for t in self.texts if t["op"] == op)

    def call_stop(self, peer: Any, engage: bool) -> str:
        """Call /e_stop; what it answers, or why not."""
        service = self.wait_for(peer, "advertiseServices")["services"][0]
        self._call += 1
        head = struct.pack("<BIII", SERVICE, service["id"], self._call, 3)
        self.send_bytes(head + b"cdr" + serialize_message(SetBool.Request(data=engage)))

        def answer() -> str:
            for frame in list(self.frames):
                if frame[0] == ANSWER and struct.unpack_from("<I", frame, 5)[0] == self._call:
                    return str(deserialize_message(frame[16:], SetBool.Response).message)
            refused = [t for t in list(self.texts) if t["op"] == "serviceCallFailure"]
            return next((t["message"] for t in refused if t["callId"] == self._call), "")

        peer.wait_until(lambda: bool(answer()))
        return answer()

    def close(self) -> None:
        if self._thread.is_alive():
            self._do(self._shut())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()


def serve_stop(peer: Any, stops: list[bool]) -> None:
    """A robot's /e_stop, which notes what it is asked."""

    def stop(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        stops.append(bool(request.data))
        response.success, response.message = True, "It holds."
        return response

    peer.node.create_service(SetBool, "/e_stop", stop)


@pytest.fixture
def connect(start_node: Callable[..., Any]) -> Iterator[Callable[..., Foxglove]]:
    """Starts a bridge, and connects to it."""
    clients: list[Foxglove] = []

    def start(**parameters: object) -> Foxglove:
        process = start_node("foxglove_bridge", port=0, **parameters)
        line = next(text for text in iter(process._popen.stderr.readline, "") if "ws://" in text)
        clients.append(Foxglove(line[line.index("ws://") :].split(";")[0]))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


def test_topics_are_shown_with_their_definitions_and_heard_on_request_only(
    connect: Callable[..., Foxglove], peer: Any
) -> None:
    states = peer.node.create_publisher(JointState, "/limb_0/joint_states", 10)
    words = peer.node.create_publisher(String, "/robot_description", latched_qos())
    words.publish(String(data="<robot/>"))
    client = connect()
    peer.wait_until(
        lambda: {"/limb_0/joint_states", "/robot_description"} <= set(client.channels())
    )
    channel = client.channels()["/limb_0/joint_states"]
    assert (channel["encoding"], channel["schemaEncoding"]) == ("cdr", "ros2msg")
    assert channel["schemaName"] == "sensor_msgs/msg/JointState"
    assert "float64[] position" in channel["schema"]
    assert not any("/_action/" in topic for topic in client.channels())
    assert states.get_subscription_count() == 0, "nobody looks at it"
    client.send(op="subscribe", subscriptions=[{"id": 7, "channelId": channel["id"]}])
    peer.wait_until(lambda: states.get_subscription_count() == 1)
    states.publish(JointState(name=["yaw"], position=[0.25]))
    peer.wait_until(lambda: bool(client.data_of(7)))
    message = deserialize_message(client.data_of(7)[0], JointState)
    assert (message.name, list(message.position)) == (["yaw"], [0.25])
    client.send(op="unsubscribe", subscriptionIds=[7])
    peer.wait_until(lambda: states.get_subscription_count() == 0)


def test_what_is_latched_comes_to_each_client(connect: Callable[..., Foxglove], peer: Any) -> None:
    words = peer.node.create_publisher(String, "/robot_description", latched_qos())
    words.publish(String(data="<robot/>"))
    first = connect()
    second = Foxglove(first.url)
    try:
        for client in (first, second):
            peer.wait_until(lambda client=client: "/robot_description" in client.channels())
            channel = client.channels()["/robot_description"]["id"]
            client.send(op="subscribe", subscriptions=[{"id": 1, "channelId": channel}])
            peer.wait_until(lambda client=client: bool(client.data_of(1)))
            assert deserialize_message(client.data_of(1)[0], String).data == "<robot/>"
    finally:
        second.close()


def test_a_client_drives_while_it_keeps_publishing_and_then_lets_go(
    connect: Callable[..., Foxglove], peer: Any
) -> None:
    commands: list[list[float]] = []
    held: list[bool] = []
    listen = peer.node.create_subscription
    listen(Float64MultiArray, SOURCE, lambda m: commands.append(list(m.data)), 10)
    listen(Bool, f"{SOURCE}/deadman", lambda m: held.append(bool(m.data)), 10)
    client = connect(drive=True)
    client.advertise(1, SOURCE)
    client.publish(1, serialize_message(Float64MultiArray(data=[0.1, 0.2, 0.3, 0.4])))
    peer.wait_until(lambda: len(commands) > 3 and held[-1:] == [False])
    assert commands[-1] == [0.1, 0.2, 0.3, 0.4] and held[0] is True
    client.advertise(2, SOURCE, how="json")
    client.publish(2, json.dumps({"data": [0.5, 0, 0, 0]}).encode())
    peer.wait_until(lambda: commands[-1] == [0.5, 0.0, 0.0, 0.0])
    # A connection that is lost lets go at once, not after the time-out only.
    client.publish(2, json.dumps({"data": [0.6, 0, 0, 0]}).encode())
    peer.wait_until(lambda: commands[-1][0] == 0.6)
    client.close()
    peer.wait_until(lambda: held[-1] is False)


@pytest.mark.parametrize(
    ("topic", "type_name", "how", "words"),
    [
        ("/limb_0/commands", ARRAY, "cdr", "/limb_0/commands is not taken"),
        ("/limb_1/sources/foxglove", ARRAY, "cdr", "limbs 0 to 0"),
        ("/limb_0/sources/web", ARRAY, "cdr", "not taken"),
        (SOURCE, "std_msgs/msg/String", "cdr", "takes std_msgs/msg/Float64MultiArray"),
        (SOURCE, ARRAY, "protobuf", "takes cdr or json"),
    ],
)
def test_other_topics_and_types_are_refused(
    connect: Callable[..., Foxglove], peer: Any, topic: str, type_name: str, how: str, words: str
) -> None:
    client = connect(drive=True)
    client.advertise(1, topic, type_name, how)
    peer.wait_until(lambda: words in client.statuses())


def test_broken_commands_are_told_and_move_nothing(
    connect: Callable[..., Foxglove], peer: Any
) -> None:
    commands: list[Any] = []
    peer.node.create_subscription(Float64MultiArray, SOURCE, commands.append, 10)
    client = connect(drive=True)
    client.advertise(1, SOURCE)
    client.advertise(2, SOURCE, how="json")
    broken = [(1, b"\x00\x01"), (2, b"{"), (2, b'{"data": ["a"]}'), (2, b'{"data": [NaN]}')]
    for channel, data in [*broken, (1, bytes(10_000))]:
        client.publish(channel, data)
    peer.wait_until(
        lambda: all(w in client.statuses() for w in ("This is no", "not finite", "at most 4096"))
    )
    peer.spin(0.3)
    assert commands == []


def test_nobody_drives_or_releases_the_stop_unless_asked_for(
    connect: Callable[..., Foxglove], peer: Any
) -> None:
    stops: list[bool] = []
    serve_stop(peer, stops)
    client = connect()
    info = client.wait_for(peer, "serverInfo")
    assert "clientPublish" not in info["capabilities"]
    assert {"parameters", "services"} <= set(info["capabilities"])
    assert client.call_stop(peer, True) == "It holds." and stops == [True]
    assert "Releasing is off" in client.call_stop(peer, False) and stops == [True]


def test_the_emergency_stop_is_a_service_and_parameters_are_shown(
    connect: Callable[..., Foxglove], start_node: Callable[..., Any], peer: Any
) -> None:
    stops: list[bool] = []
    start_node("command_multiplexer")
    serve_stop(peer, stops)
    client = connect(drive=True)
    assert client.call_stop(peer, True) == "It holds."
    assert client.call_stop(peer, False) == "It holds." and stops == [True, False]

    def shown() -> dict[str, Any]:
        client.send(op="getParameters", parameterNames=[], id="all")
        peer.spin(0.2)
        replies = [t for t in list(client.texts) if t["op"] == "parameterValues"]
        return {p["name"]: p["value"] for t in replies for p in t["parameters"]}

    peer.wait_until(lambda: shown().get("/command_multiplexer.timeout_s") == 0.5)
    client.send(
        op="setParameters",
        parameters=[{"name": "/command_multiplexer.timeout_s", "value": 9.0}],
        id="set",
    )
    peer.wait_until(lambda: "nothing changed" in client.statuses())


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"drive": "sometimes"}, "'drive' must be of type bool"),
        ({"port": 99999}, "from 0 to 65535"),
        ({"robot": "limb_p2"}, "did you mean 'limb_p1'?"),
    ],
)
def test_wrong_parameters_are_told_in_one_sentence(
    start_node: Callable[..., Any], parameters: dict[str, object], words: str
) -> None:
    outcome = start_node("foxglove_bridge", **parameters).wait()
    assert outcome.status != 0 and words in outcome.stderr and "Traceback" not in outcome.stderr
