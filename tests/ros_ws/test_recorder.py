"""The recorder as a process: complete recordings, kill -9, a full disk, simulated time."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from ament_index_python.packages import get_package_prefix
from asterias_interfaces.msg import RecorderStatus, TagDetection, TagDetections
from asterias_interfaces.srv import StartEpisode
from geometry_msgs.msg import TransformStamped
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from mcap_ros2.decoder import DecoderFactory
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Bool, Float64MultiArray, Header, String
from std_srvs.srv import SetBool, Trigger
from tf2_msgs.msg import TFMessage

from asterias_nodes.runtime.conversions import (
    to_compressed_msg,
    to_image_msg,
    to_seconds,
    to_time_msg,
)
from asterias_nodes.runtime.message_definitions import message_definition
from asterias_nodes.runtime.qos import latched_qos, reliable_qos, sensor_qos
from learning.recordings.bags.bag_recovery import recover
from learning.recordings.bags.bag_writer import Bag, Topic

RATE_HZ = 100
# The promise; the recorder aims at half of it.
LOSS_S = 1.0


def decoded(path: Path) -> dict[str, list[Any]]:
    """Messages of a complete recording by topic, as mcap-ros2-support reads them."""
    found: dict[str, list[Any]] = defaultdict(list)
    with path.open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        for _, channel, _, message in reader.iter_decoded_messages():
            found[channel.topic].append(message)
    return found


def joint_state(number: int) -> JointState:
    """A numbered message, stamped now."""
    header = Header(stamp=to_time_msg(time.time()), frame_id=str(number))
    return JointState(header=header, name=["a", "b"], position=[float(number), 0.0])


def wait_for_recorder(peer: Any, *publishers: Any) -> None:
    """Until the recorder has subscribed to all of these."""
    peer.wait_until(lambda: all(p.get_subscription_count() > 0 for p in publishers))
    # Matched here is not yet matched there.
    peer.spin(0.3)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_stopped_recording_is_complete(
    start_node: Any, peer: Any, tmp_path: Path, number: signal.Signals
) -> None:
    states = peer.node.create_publisher(JointState, "/limb_0/joint_states", reliable_qos())
    images = peer.node.create_publisher(Image, "/limb_0/camera_0/image_raw", sensor_qos())
    latched = peer.node.create_publisher(Bool, "/e_stop_state", latched_qos())
    tags = peer.node.create_publisher(TagDetections, "/target/detections", reliable_qos())
    latched.publish(Bool(data=True))
    recorder = start_node("recorder", output="a.mcap")
    wait_for_recorder(peer, states, images, latched, tags)
    image = Image(height=2, width=3, encoding="mono8", step=3, data=range(6))
    for count in range(50):
        states.publish(joint_state(count))
        images.publish(image)
        tags.publish(TagDetections(detections=[TagDetection(id=count)] * (count % 3)))
        peer.spin(0.01)
    peer.spin(0.2)
    outcome = recorder.stop(number)

    assert outcome.status == 0 and "Traceback" not in outcome.stderr
    assert "/limb_0/joint_states 50" in outcome.stderr and "a.mcap" in outcome.stderr
    messages = decoded(tmp_path / "a.mcap")
    assert [m.header.frame_id for m in messages["/limb_0/joint_states"]] == [
        str(count) for count in range(50)
    ]
    assert [bytes(m.data) for m in messages["/limb_0/camera_0/image_raw"]] == [bytes(range(6))] * 50
    assert [m.data for m in messages["/e_stop_state"]] == [True], "published before the start"
    assert [len(m.detections) for m in messages["/target/detections"]] == [c % 3 for c in range(50)]


def test_a_recording_is_a_bag_for_rosbags(start_node: Any, peer: Any, tmp_path: Path) -> None:
    states = peer.node.create_publisher(JointState, "/joints", reliable_qos())
    recorder = start_node("recorder", output="bag/a.mcap", topics="['/joints']")
    wait_for_recorder(peer, states)
    for count in range(10):
        states.publish(joint_state(count))
    peer.spin(0.3)
    recorder.stop()
    store = get_typestore(Stores.EMPTY)
    with Reader(tmp_path / "bag") as reader:
        (connection,) = reader.connections
        assert connection.topic == "/joints" and connection.digest.startswith("RIHS01_")
        (qos,) = connection.ext.offered_qos_profiles  # type: ignore[union-attr]
        assert qos.reliability.name == "RELIABLE" and qos.durability.name == "VOLATILE"
        store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
        messages: list[Any] = [
            store.deserialize_cdr(data, connection.msgtype) for _, _, data in reader.messages()
        ]
    assert [message.position[0] for message in messages] == list(range(10))


def test_a_recording_begins_with_transforms(start_node: Any, peer: Any, tmp_path: Path) -> None:
    names = ["/a", "/b/joint_states", "/odom"]
    frames = peer.node.create_publisher(TFMessage, "/tf", reliable_qos())
    others = [peer.node.create_publisher(JointState, name, reliable_qos()) for name in names]
    recorder = start_node("recorder", output="a.mcap")
    after = 0
    for count in range(10_000):
        state = joint_state(count)
        frames.publish(TFMessage(transforms=[TransformStamped(header=state.header)]))
        for publisher in others:
            publisher.publish(state)
        peer.spin(0.002)
        after += all(publisher.get_subscription_count() for publisher in others)
        if after > 100:
            break
    recorder.stop()
    messages = decoded(tmp_path / "a.mcap")
    first = int(messages["/tf"][0].transforms[0].header.frame_id)
    begins = {name: int(messages[name][0].header.frame_id) for name in names}
    assert all(begin >= first for begin in begins.values()), (first, begins)


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))]
)
def test_kill_9_loses_at_most_the_last_second(
    start_node: Any, peer: Any, tmp_path: Path, seed: int
) -> None:
    states = peer.node.create_publisher(JointState, "/joints", reliable_qos())
    recorder = start_node("recorder", output="a.mcap")
    wait_for_recorder(peer, states)
    duration_s = random.Random(seed).uniform(1.0, 3.0)
    killed_s = time.time() + duration_s
    count = 0
    while time.time() < killed_s:
        states.publish(joint_state(count))
        count += 1
        peer.spin(1 / RATE_HZ)
    killed_s = time.time()
    recorder.kill()

    found = joints_until_cut(tmp_path / "a.mcap")
    assert [int(m.header.frame_id) for m in found] == list(range(len(found))), "no gaps"
    assert killed_s - to_seconds(found[-1].header.stamp) <= LOSS_S
    recovery = recover(tmp_path / "a.mcap", tmp_path / "clean" / "a.mcap")
    assert not recovery.was_complete
    assert len(decoded(tmp_path / "clean" / "a.mcap")["/joints"]) >= len(found)
    with Reader(tmp_path / "clean") as reader:
        assert reader.topics["/joints"].msgcount >= len(found)


def joints_until_cut(path: Path) -> list[Any]:
    """What the stock stream reader reads of a cut file."""
    found: list[Any] = []
    channels: dict[int, Channel] = {}
    schemas: dict[int, Schema] = {}
    decoders = DecoderFactory()
    with path.open("rb") as file:
        records = StreamReader(file, validate_crcs=True).records
        while True:
            try:
                record = next(records)
            except (McapError, StopIteration):
                return found
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels[record.id] = record
            elif isinstance(record, Message) and channels[record.channel_id].topic == "/joints":
                schema = schemas[channels[record.channel_id].schema_id]
                decode = decoders.decoder_for("cdr", schema)
                assert decode is not None
                found.append(decode(record.data))


def test_a_full_disk_stops_the_recorder_with_a_sentence(
    start: Any, peer: Any, tmp_path: Path
) -> None:
    # A limit on the size of files fails a write as a full disk does.
    node = Path(get_package_prefix("asterias_nodes")) / "lib" / "asterias_nodes" / "recorder"
    limited = f"ulimit -f 1000; exec '{node}' --ros-args -p output:=a.mcap"
    images = peer.node.create_publisher(Image, "/image_raw", reliable_qos())
    recorder = start("bash", "-c", f"{limited} -p compression:=none")
    wait_for_recorder(peer, images)
    image = Image(height=100, width=100, encoding="mono8", step=100, data=bytes(10_000))
    end_s = time.monotonic() + 20
    while recorder.is_running and time.monotonic() < end_s:
        images.publish(image)
        peer.spin(0.02)
    outcome = recorder.wait()
    assert outcome.status == 1
    assert "takes no more" in outcome.stderr and "Traceback" not in outcome.stderr
    recovery = recover(tmp_path / "a.mcap", tmp_path / "clean.mcap")
    assert recovery.message_count > 5


def test_stamps_follow_simulated_time(start_node: Any, peer: Any, tmp_path: Path) -> None:
    clock = peer.node.create_publisher(Clock, "/clock", reliable_qos())
    numbers = peer.node.create_publisher(String, "/numbers", reliable_qos())
    recorder = start_node("recorder", output="a.mcap", use_sim_time="true")
    wait_for_recorder(peer, clock, numbers)
    for tick in range(1, 21):
        clock.publish(Clock(clock=to_time_msg(0.5 * tick)))
        peer.spin(0.05)
        numbers.publish(String(data=str(tick)))
        peer.spin(0.05)
    recorder.stop()
    with (tmp_path / "a.mcap").open("rb") as file:
        messages = make_reader(file).iter_messages(topics="/numbers")
        stamps_s = [message.log_time / 1e9 for _, _, message in messages]
    assert stamps_s == [0.5 * tick for tick in range(1, 21)]


def test_patterns_choose_the_topics(start_node: Any, peer: Any, tmp_path: Path) -> None:
    names = ["/limb_0/a", "/limb_0/b", "/limb_1/a", "/other", "/limb_0/_hidden/c"]
    publishers = [peer.node.create_publisher(String, name, latched_qos()) for name in names]
    for publisher in publishers:
        publisher.publish(String(data="x"))
    recorder = start_node(
        "recorder", output="a.mcap", topics="['/limb_*']", exclude="['*/b', '/nothing']"
    )
    wait_for_recorder(peer, publishers[0], publishers[2])
    peer.spin(0.5)
    recorder.stop()
    assert set(decoded(tmp_path / "a.mcap")) == {"/limb_0/a", "/limb_1/a"}


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"compression": "gzip"}, "'compression' must be one of none, lz4, zstd, not 'gzip'"),
        ({"output": "there.mcap"}, "there.mcap exists already"),
        ({"output": "/proc/none/a.mcap"}, "/proc/none/a.mcap cannot be written"),
        ({"topics": "3"}, "'topics' must be a list of str, not 3"),
        ({"sync_period_s": "fast"}, "'sync_period_s' must be of type float, not 'fast'"),
        ({"sync_period_s": "0"}, "'sync_period_s' must be from 0.01 to 60, not 0"),
    ],
)
def test_wrong_parameters_get_one_sentence(
    start_node: Any, tmp_path: Path, parameters: dict[str, str], told: str
) -> None:
    (tmp_path / "there.mcap").write_text("precious")
    outcome = start_node("recorder", **parameters).wait()
    assert outcome.status == 2
    assert told in outcome.stderr and outcome.stderr.count("\n") == 1
    assert (tmp_path / "there.mcap").read_text() == "precious"


# -- episodes


class Remote:
    """Services and status of a recorder, as a web page uses them."""

    def __init__(self, peer: Any) -> None:
        self._peer = peer
        self.seen: list[RecorderStatus] = []
        peer.node.create_subscription(
            RecorderStatus, "/recorder/status", self.seen.append, latched_qos()
        )
        self._clients = {
            name: peer.node.create_client(kind, f"/recorder/{name}")
            for name, kind in {
                "start": StartEpisode,
                "snapshot": StartEpisode,
                "stop": Trigger,
                "discard": Trigger,
                "mark_success": SetBool,
            }.items()
        }
        peer.wait_until(lambda: all(c.service_is_ready() for c in self._clients.values()))

    def __call__(self, name: str, **request: Any) -> Any:
        """Calls a service; returns its answer."""
        client = self._clients[name]
        future = client.call_async(client.srv_type.Request(**request))
        self._peer.wait_until(future.done)
        return future.result()

    def wait_for(self, condition: Any) -> RecorderStatus:
        """The next status that fulfils a condition."""
        self._peer.wait_until(lambda: bool(self.seen) and condition(self.seen[-1]))
        return self.seen[-1]


def test_episodes_are_recorded_on_request(start_node: Any, peer: Any, tmp_path: Path) -> None:
    states = peer.node.create_publisher(JointState, "/joints", reliable_qos())
    latched = peer.node.create_publisher(String, "/robot", latched_qos())
    latched.publish(String(data="limb_p1"))
    recorder = start_node("recorder", mode="episodes", output="demos", split_s=0.2)
    wait_for_recorder(peer, states, latched)
    remote = Remote(peer)
    assert remote.wait_for(lambda s: s.state == s.IDLE).episode.number == -1
    assert "start an episode first" in remote("stop").message
    for number in range(3):
        answer = remote("start", task=f"find {number}")
        assert answer.success and answer.episode == number
        assert answer.path.endswith(f"demos/episode_00000{number}")
        for count in range(30):
            states.publish(joint_state(count))
            peer.spin(0.01)
        status = remote.wait_for(lambda s: s.state == s.RECORDING and s.episode.messages > 1)
        assert status.episode.task == f"find {number}" and status.free_bytes > 0
        assert "Episode" in remote("mark_success", data=number == 0).message
        assert remote("stop").success
    assert remote("discard").success
    status = remote.wait_for(lambda s: s.state == s.IDLE and len(s.episodes) == 2)
    assert [e.outcome for e in status.episodes] == [1, 2]
    outcome = recorder.stop()
    assert outcome.status == 0 and "Traceback" not in outcome.stderr
    assert sorted(p.name for p in (tmp_path / "demos").iterdir()) == [
        "episode_000000",
        "episode_000001",
    ]
    with Reader(tmp_path / "demos" / "episode_000001") as reader:
        counts = {name: topic.msgcount for name, topic in reader.topics.items()}
    assert len(list((tmp_path / "demos" / "episode_000001").glob("*.mcap"))) > 1, "split"
    assert counts["/joints"] == 30 and counts["/robot"] >= 2


def test_an_event_keeps_the_seconds_before_it(start_node: Any, peer: Any, tmp_path: Path) -> None:
    states = peer.node.create_publisher(JointState, "/joints", reliable_qos())
    stop = peer.node.create_publisher(Bool, "/e_stop_state", latched_qos())
    stop.publish(Bool(data=False))
    recorder = start_node("recorder", mode="ring", output="demos", ring_s="0.5")
    wait_for_recorder(peer, states, stop)
    remote = Remote(peer)
    for count in range(100):
        states.publish(joint_state(count))
        peer.spin(0.01)
    assert remote.wait_for(lambda s: s.buffered_seconds > 0.3).state == RecorderStatus.BUFFERING
    stop.publish(Bool(data=True))
    status = remote.wait_for(lambda s: len(s.episodes) == 1)
    assert status.episodes[0].task == "snapshot: /e_stop_state"
    assert 0.2 < status.episodes[0].seconds <= 0.51
    recorder.stop()
    found = decoded(tmp_path / "demos" / "episode_000000" / "episode_000000.mcap")
    assert [int(m.header.frame_id) for m in found["/joints"]][-1] == 99


@pytest.mark.parametrize("offers_jpeg", [True, False])
def test_pictures_can_be_recorded_as_jpeg(
    start_node: Any, peer: Any, tmp_path: Path, offers_jpeg: bool
) -> None:
    raw = peer.node.create_publisher(Image, "/camera/image_raw", sensor_qos())
    publishers = [raw]
    if offers_jpeg:
        name = "/camera/image_raw/compressed"
        publishers = [peer.node.create_publisher(CompressedImage, name, sensor_qos())]
    recorder = start_node("recorder", output="a.mcap", topics="['/camera/*']", pictures="jpeg")
    wait_for_recorder(peer, *publishers)
    picture = np.full((48, 64, 3), (200, 100, 50), np.uint8)
    stamp = to_time_msg(12.5)
    for _ in range(10):
        if offers_jpeg:
            publishers[0].publish(to_compressed_msg(picture, stamp, "camera"))
        else:
            raw.publish(to_image_msg(picture, stamp, "camera"))
        peer.spin(0.02)
    peer.spin(0.2)
    recorder.stop()
    (messages,) = decoded(tmp_path / "a.mcap").values()
    assert len(messages) == 10 and messages[0].format == "jpeg"
    assert (messages[0].header.frame_id, messages[0].header.stamp.nanosec) == ("camera", 500000000)
    shown = cv2.imdecode(np.frombuffer(messages[0].data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.abs(shown.astype(int) - picture).max() <= 4


# -- playing


def test_a_recording_is_played_to_topics(start_node: Any, peer: Any, tmp_path: Path) -> None:
    bag = Bag(tmp_path / "a.mcap")
    names = {"/limb_0/joint_states": JointState, "/limb_0/commands": Float64MultiArray}
    for name, kind in names.items():
        text = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
        bag.add_topic(Topic(name, text, message_definition(text)))
    for number in range(50):
        time_ns = number * 20_000_000
        state = serialize_message(joint_state(number))
        bag.write("/limb_0/joint_states", state, time_ns, time_ns)
        command = serialize_message(Float64MultiArray(data=[float(number)]))
        bag.write("/limb_0/commands", command, time_ns, time_ns)
    bag.close()
    states: list[JointState] = []
    commands: list[Float64MultiArray] = []
    times_s: list[float] = []
    qos = reliable_qos(100)
    peer.node.create_subscription(JointState, "/limb_0/joint_states", states.append, qos)
    peer.node.create_subscription(
        Float64MultiArray,
        "/limb_0/commands",
        lambda message: (commands.append(message), times_s.append(time.monotonic())),
        qos,
    )
    player = start_node("player", recording="a.mcap", commands="true", rate="2.0", wait_s="3.0")
    peer.wait_until(lambda: len(commands) == 50)
    assert [message.data[0] for message in commands] == list(range(50)) and not states
    # 0.98 s at twice the pace; a busy machine may be late, never early.
    assert times_s[-1] - times_s[0] > 0.3
    assert player.wait().status == 0
    player = start_node("player", recording="a.mcap", rate="10.0", wait_s="3.0")
    peer.wait_until(lambda: len(states) == 50)
    assert player.wait().status == 0 and len(commands) == 50
    outcome = start_node("player", recording="nowhere.mcap").wait()
    assert outcome.status == 1 and "holds no recording" in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.slow
def test_large_raw_pictures_arrive() -> None:
    """As from a node with such cameras, to a recorder as users start it."""
    # A process of its own: Fast DDS reads its profiles once.
    options = ("--seconds", "3", "--small", "0", "--large", "1", "--forms", "raw")
    command = ["ros2", "run", "asterias_nodes", "recording_bench", "load", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
