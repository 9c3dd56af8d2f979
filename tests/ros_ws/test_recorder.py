"""The recorder as a process: complete recordings, kill -9, a full disk, simulated time."""

from __future__ import annotations

import random
import signal
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from ament_index_python.packages import get_package_prefix
from asterias_interfaces.msg import TagDetection, TagDetections
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from mcap_ros2.decoder import DecoderFactory
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Bool, Header, String

from asterias_nodes.bag_recovery import recover
from asterias_nodes.conversions import to_seconds, to_time_msg
from asterias_nodes.qos import latched_qos, reliable_qos, sensor_qos

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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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


@pytest.mark.parametrize("seed", range(4))
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
