"""The readers of strangers' input, each with good inputs and the errors that are its own."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from recording_fuzz import COMPRESSIONS, joint_state, write_recording

from asterias.images.decode import ImageError, decode_image
from asterias_ros2.errors import VerbError
from asterias_ros2.graph.messages import parse_yaml
from asterias_ros2.launch.templates import parse_template
from asterias_ros2.launch.values import VALUE_TYPES, read_value
from asterias_ros2.launch.xml_parser import LaunchFiles
from hardware.buses import udp_packets as udp
from hardware.buses.dynamixel_protocol import DynamixelProtocol
from hardware.buses.feetech_protocol import FeetechProtocol
from hardware.buses.protocol import BusPacket, PacketReader, Protocol
from hardware.cameras.http_stream import Dechunker
from hardware.cameras.jpeg import decode_jpeg
from hardware.cameras.multipart import MultipartReader
from hardware.description.robot import load_robot
from hardware.limbs import calibration
from hardware.teleop.web_pilot import PageError, PagePilot
from learning.agents.graph.graph import load_edges
from learning.agents.graph.run_trace import RunRecord, recorded_graph
from learning.agents.models.model import Choice
from learning.agents.models.recording import ReplayModel
from learning.agents.models.reply_stream import (
    ReplyReader,
    ReplyTooLongError,
    ServerReply,
    ServerSaidError,
)
from learning.agents.models.reply_text import UnreadableReplyError, describe_error, read_reply
from learning.agents.skills.orders import read_order
from learning.agents.skills.skill import Plan
from learning.agents.skills.skill_gate import load_skill_rules
from learning.recordings import health
from learning.recordings.bags.bag_recovery import recover
from learning.recordings.bags.cdr import jpeg_of_image, parse_image
from learning.recordings.bags.qos_profiles import declared_rate_hz, parse_qos_profiles
from learning.recordings.episodes import load_card
from learning.recordings.reading import find_recordings
from learning.recordings.trace import read_trace
from learning.target_finding.env.options import TargetFindingOptions
from learning.target_finding.exchange.sb3_import import import_sb3
from learning.target_finding.exchange.vec_normalize import read_statistics
from learning.target_finding.policies.policy_files import TRAINED, load_policy
from planners.mazes.datasets import MazeSet
from planners.mazes.map_files import read_map
from planners.networks.weights import WEIGHTS_FOLDER, load_weights

ROOT = Path(__file__).resolve().parents[2]

Function = Callable[[bytes, Path], object]


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        name: as on the command line.
        function: takes an input and an empty folder for its files.
        seeds: good inputs, which are changed.
        allowed: the room's own errors beside AsteriasError.
        is_text: whether words and numbers are replaced as such.
        files: what the function itself writes into the folder.
        has_good_seeds: whether the reader takes all seeds.
        lists_mistakes: whether a message may have a line for each mistake.
    """

    name: str
    function: Function
    seeds: tuple[bytes, ...]
    allowed: tuple[type[Exception], ...] = ()
    is_text: bool = False
    files: tuple[str, ...] = ()
    has_good_seeds: bool = True
    lists_mistakes: bool = False


TARGETS: dict[str, Target] = {}


def target(name: str, seeds: list[bytes], **about: Any) -> Callable[[Function], Function]:
    """Register a function as the target of that name."""

    def register(function: Function) -> Function:
        TARGETS[name] = Target(name, function, tuple(seeds), **about)
        return function

    return register


def _files(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(ROOT.glob(pattern))]


# -- recordings -----------------------------------------------------------------------------------


@cache
def recordings() -> tuple[bytes, ...]:
    """Return a small recording of each compression, and one that was never closed."""
    with tempfile.TemporaryDirectory() as folder:
        path, found = Path(folder) / "a.mcap", []
        for compression in COMPRESSIONS:
            for is_closed in (True, False):
                write_recording(path, compression, is_closed=is_closed)
                found.append(path.read_bytes())
    return tuple(found)


@target("recording_check", list(recordings()), files=("a.mcap",))
def _check(data: bytes, folder: Path) -> None:
    (folder / "a.mcap").write_bytes(data)
    for recording in find_recordings(folder / "a.mcap"):
        health.examine(recording).words()
        read_trace(recording)


@target("recording_recover", list(recordings()), files=("a.mcap", "b.mcap", "metadata.yaml"))
def _recover(data: bytes, folder: Path) -> None:
    (folder / "a.mcap").write_bytes(data)
    recover(folder / "a.mcap", folder / "b.mcap")
    with (folder / "b.mcap").open("rb") as file:
        assert file.read(8) == b"\x89MCAP0\r\n", "what was recovered is no recording"


BAG_METADATA = b"""rosbag2_bagfile_information:
  version: 5
  storage_identifier: mcap
  duration: {nanoseconds: 2990000000}
  starting_time: {nanoseconds_since_epoch: 100000000000}
  message_count: 300
  topics_with_message_count:
    - topic_metadata:
        name: /limb_0/joint_states
        type: sensor_msgs/msg/JointState
        serialization_format: cdr
        offered_qos_profiles: "- history: 3\\n  depth: 0\\n  reliability: 1\\n  durability: 2\\n"
      message_count: 300
  compression_format: ""
  compression_mode: ""
  relative_file_paths: [a.mcap]
  files: [{path: a.mcap, message_count: 300, duration: {nanoseconds: 2990000000}}]
"""


@target("bag_metadata", [BAG_METADATA], is_text=True, files=("a.mcap", "metadata.yaml"))
def _bag(data: bytes, folder: Path) -> None:
    (folder / "a.mcap").write_bytes(recordings()[0])
    (folder / "metadata.yaml").write_bytes(data)
    for recording in find_recordings(folder):
        health.examine(recording).words()


EPISODE = {
    "episode": 3,
    **{"task": "find it", "outcome": "success", "state": "complete", "problem": ""},
    **{"started": "2026-01-01T00:00:00", "duration_s": 2.0, "messages": 5, "pictures": 1},
    **{"bytes": 100, "dropped": {"/a": 1}, "files": ["a.mcap"]},
}


@target(
    "episode_card",
    [json.dumps(EPISODE).encode()],
    is_text=True,
    files=("episode.json",),
)
def _card(data: bytes, folder: Path) -> None:
    (folder / "episode.json").write_bytes(data)
    load_card(folder)


QOS = [
    b"- history: 3\n  depth: 0\n  reliability: 1\n  durability: 2\n  deadline:\n    sec: 1\n"
    b"    nsec: 5\n  lifespan: {sec: 9223372036, nsec: 854775807}\n  liveliness: 1\n",
    b"- {history: keep_last, reliability: best_effort, durability: volatile, depth: 5}\n",
]


@target("qos_profiles", QOS, is_text=True, allowed=(UnicodeDecodeError,))
def _qos(data: bytes, _folder: Path) -> None:
    profiles = parse_qos_profiles(data.decode())
    declared_rate_hz(profiles)


def _image_message() -> bytes:
    frame = struct.pack("<4sIII", b"\x00\x01\x00\x00", 1, 2, 2) + b"a\x00\x00\x00"
    head = frame + struct.pack("<III", 4, 5, 5) + b"rgb8\x00" + b"\x00\x00\x00\x00"
    head += b"\x00" * (-(len(head) - 4) % 4)
    return head + struct.pack("<II", 15, 60) + bytes(60)


@target("cdr_image", [_image_message(), joint_state(3)])
def _cdr(data: bytes, _folder: Path) -> None:
    parse_image(data)
    jpeg_of_image(data)


# -- mazes, maps, weights -------------------------------------------------------------------------


def _mazes() -> list[bytes]:
    rng, found = np.random.default_rng(0), []
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(
            buffer,
            mazes=rng.integers(0, 2, (3, 9, 9), dtype=np.uint8),
            goals=rng.integers(0, 9, (3, 2)),
        )
        found.append(buffer.getvalue())
    return found


@target("maze_npz", _mazes(), files=("a.npz",))
def _npz(data: bytes, folder: Path) -> None:
    (folder / "a.npz").write_bytes(data)
    MazeSet.load(folder / "a.npz", 2**26)


def _pictures() -> list[bytes]:
    rng = np.random.default_rng(0)
    grey = np.kron(rng.integers(0, 2, (9, 9), dtype=np.uint8), np.ones((4, 4), np.uint8)) * 255
    colour = np.dstack([grey, grey, np.full_like(grey, 255)])
    kinds = ((".png", grey), (".png", colour), (".pgm", grey), (".jpg", grey), (".bmp", colour))
    return [cv2.imencode(kind, pixels)[1].tobytes() for kind, pixels in kinds]


ASCII_PGM = b"P2\n# map\n6 3\n255\n0 0 254 254 254 0\n0 254 0 205 254 0\n0 0 0 0 254 0\n"


@target("map_picture", [*_pictures(), ASCII_PGM], files=("a.png",), has_good_seeds=False)
def _picture(data: bytes, folder: Path) -> None:
    (folder / "a.png").write_bytes(data)
    read_map(folder / "a.png")


MAP_YAML = (
    b"image: a.pgm\nresolution: 0.05\norigin: [-1.0, 2.5, 0.0]\nnegate: 0\n"
    b"occupied_thresh: 0.65\nfree_thresh: 0.25\nmode: trinary\n"
)


@target("map_yaml", [MAP_YAML], is_text=True, files=("a.yaml", "a.pgm"))
def _map(data: bytes, folder: Path) -> None:
    (folder / "a.yaml").write_bytes(data)
    (folder / "a.pgm").write_bytes(ASCII_PGM)
    read_map(folder / "a.yaml")


MOVING_AI_MAP = b"type octile\nheight 3\nwidth 5\nmap\n@@@@@\n@.GT@\n@..S@\n"
SCENARIOS = b"version 1\n0\ta.map\t5\t3\t1\t1\t3\t2\t2.414\n"


@target("moving_ai_map", [MOVING_AI_MAP], is_text=True, files=("a.map",))
def _moving_ai_map(data: bytes, folder: Path) -> None:
    (folder / "a.map").write_bytes(data)
    read_map(folder / "a.map")


@target("moving_ai_scen", [SCENARIOS], is_text=True, files=("a.scen", "a.map"))
def _moving_ai_scenarios(data: bytes, folder: Path) -> None:
    (folder / "a.scen").write_bytes(data)
    (folder / "a.map").write_bytes(MOVING_AI_MAP)
    read_map(folder / "a.scen")


def _weights(name: str, load: Callable[[Path], object], path: Path) -> None:
    """Register one target for weights and one for the card beside them."""
    tensors, card = path.read_bytes(), path.with_suffix(".json").read_bytes()
    files = ("a.safetensors", "a.json")

    @target(name, [tensors], files=files)
    def _tensors(data: bytes, folder: Path) -> None:
        (folder / "a.safetensors").write_bytes(data)
        (folder / "a.json").write_bytes(card)
        load(folder / "a.safetensors")

    @target(f"{name}_card", [card], is_text=True, files=files)
    def _card(data: bytes, folder: Path) -> None:
        (folder / "a.safetensors").write_bytes(tensors)
        (folder / "a.json").write_bytes(data)
        load(folder / "a.safetensors")


_weights("weights_dt_vin", load_weights, WEIGHTS_FOLDER / "dt_vin_15.safetensors")
_weights("weights_vin", load_weights, WEIGHTS_FOLDER / "vin_15.safetensors")
_weights("policy", load_policy, TRAINED / "ppo_kill0.safetensors")
_weights("policy_network", load_policy, TRAINED / "ppo_mlp_kill0.safetensors")


# -- robots and launch files ----------------------------------------------------------------------


@target(
    "robot_yaml",
    _files("launch/robots/*.yaml"),
    is_text=True,
    files=("a.yaml",),
    lists_mistakes=True,
)
def _robot(data: bytes, folder: Path) -> None:
    (folder / "a.yaml").write_bytes(data)
    load_robot(folder / "a.yaml")


CALIBRATION = (
    b'{"robot": "starfish", "limb": "arm", "date": "2026-01-02", "joints": {"a": {"model": "xl330"'
    b', "id": 1, "zero_rad": 0.5, "direction": -1, "range_rad": [-1.5, 1.5]}}}'
)


@target("calibration", [CALIBRATION], is_text=True, files=("a.json",))
def _calibration(data: bytes, folder: Path) -> None:
    (folder / "a.json").write_bytes(data)
    calibration.load(folder / "a.json")


class VecNormalize:
    """Stands for the class of stable-baselines3 in a pickle; only its name counts."""

    def __init__(self) -> None:
        self.norm_obs, self.epsilon, self.clip_obs = True, 1e-8, 10.0
        self.obs_rms = RunningMeanStd()


class RunningMeanStd:
    """Likewise."""

    def __init__(self) -> None:
        self.mean, self.var, self.count = np.zeros(8), np.ones(8), 1e-4


@target(
    "vec_normalize",
    [pickle.dumps(VecNormalize(), protocol) for protocol in (2, 3, 4, 5)],
    files=("a.pkl",),
)
def _vec_normalize(data: bytes, folder: Path) -> None:
    (folder / "a.pkl").write_bytes(data)
    read_statistics(folder / "a.pkl")


def _sb3_zip() -> bytes:
    """Return a policy of one layer as stable-baselines3 saves it, not compressed."""
    weights, file = io.BytesIO(), io.BytesIO()
    layer = {"action_net.weight": torch.ones(4, 8), "action_net.bias": torch.zeros(4)}
    torch.save({**layer, "log_std": torch.zeros(4)}, weights)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data", json.dumps({"seed": 3, "num_timesteps": 5, "policy_kwargs": {}}))
        archive.writestr("policy.pth", weights.getvalue())
    return file.getvalue()


@target("sb3_zip", [_sb3_zip()], files=("a.zip",), has_good_seeds=False)
def _sb3(data: bytes, folder: Path) -> None:
    (folder / "a.zip").write_bytes(data)
    import_sb3(folder / "a.zip", TargetFindingOptions())


LAUNCH = (*_files("launch/*.launch.xml"), *_files("tests/ros2_command/launch_files/*.launch.xml"))


@target(
    "launch_xml",
    list(LAUNCH),
    is_text=True,
    allowed=(VerbError,),
    files=("a.launch.xml",),
    has_good_seeds=False,
)
def _launch(data: bytes, folder: Path) -> None:
    (folder / "a.launch.xml").write_bytes(data)
    LaunchFiles().load(folder / "a.launch.xml")


LAUNCH_TEXTS = [
    b"$(find-pkg-share asterias_bringup)/launch/$(var robot)",
    b"$(eval '1 + 2') $(env HOME nobody) \\$(",
    b"[1, 2, 3]",
    b"['a', \"b\"]",
    b"1.5e3",
    b"on",
]


@target("launch_values", LAUNCH_TEXTS, is_text=True, allowed=(VerbError, UnicodeDecodeError))
def _values(data: bytes, _folder: Path) -> None:
    text = data.decode()
    for name in VALUE_TYPES:
        with suppress(VerbError):
            read_value(text, name)
        with suppress(VerbError):
            read_value(text, name, ",")
    with suppress(VerbError):
        parse_template(text)
    parse_yaml(text)


# -- cameras --------------------------------------------------------------------------------------


def _jpegs() -> list[bytes]:
    pixels = np.random.default_rng(1).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    ways = ([], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 2])
    return [cv2.imencode(".jpg", pixels, way)[1].tobytes() for way in ways]


@target("jpeg", _jpegs())
def _jpeg(data: bytes, _folder: Path) -> None:
    with suppress(ImageError):
        decode_jpeg(data, 32, 24)
    decode_image(data)


def _stream(boundary: bytes, has_length: bool) -> bytes:
    parts = b""
    for jpeg in _jpegs():
        length = b"Content-Length: %d\r\n" % len(jpeg) if has_length else b""
        head = b"Content-Type: image/jpeg\r\n" + length + b"X-Timestamp: 12.345678\r\n\r\n"
        parts += b"--" + boundary + b"\r\n" + head + jpeg + b"\r\n"
    return parts


def _pieces(data: bytes) -> list[bytes]:
    """Return the data in pieces whose sizes depend on it alone."""
    size = 1 + zlib.crc32(data) % 701
    return [data[at : at + size] for at in range(0, len(data), size)]


@target("mjpeg_parts", [_stream(b"frame", True), _stream(b"123456789000", False)])
def _parts(data: bytes, _folder: Path) -> None:
    for boundary in (b"frame", b"--123456789000", b""):
        reader = MultipartReader(boundary)
        for piece in _pieces(data):
            reader.feed(piece)
            for _ in range(len(data) + 10):
                try:
                    if reader.next() is None:
                        break
                except ImageError:
                    continue
            else:
                raise AssertionError("the reader gives parts without end")


CHUNKS = (
    b"".join(b"%x\r\n%s\r\n" % (size, bytes(size)) for size in (5, 300, 17)) + b"5;a=b\r\nabcde"
)


@target("http_chunks", [CHUNKS])
def _chunks(data: bytes, _folder: Path) -> None:
    reader = Dechunker()
    for piece in _pieces(data):
        reader.feed(piece)


# -- buses ----------------------------------------------------------------------------------------


def _bus(name: str, protocol: Protocol) -> None:
    packets = [
        protocol.read(1, 132, 4),
        protocol.write(2, 116, bytes(4)),
        protocol.sync_read([1, 2, 3], 132, 4),
        protocol.sync_write(116, {1: bytes(4), 2: b"\xff\xff\xfd\x00"}),
        protocol.encode(protocol.answer(1, 0, b"\xff\xff\xfd\x01")),
        protocol.encode(protocol.answer(3, 0x84, b"")),
    ]

    @target(name, [*packets, b"\x00\xff" + b"".join(packets)])
    def _packets(data: bytes, _folder: Path) -> None:
        reader = PacketReader(protocol)
        sealed = protocol.encode(BusPacket(1, data[0], data[1:200])) if data else b""
        for piece in [*_pieces(data), sealed, sealed[:-1]]:
            for packet in reader.feed(piece):
                if protocol.is_answer(packet):
                    protocol.refusal(protocol.error_of(packet))
                    protocol.data_of(packet)


_bus("bus_dynamixel", DynamixelProtocol())
_bus("bus_feetech", FeetechProtocol("little", has_sync_read=True))
_bus("bus_feetech_scs", FeetechProtocol("big", has_sync_read=False))

UDP_PAYLOADS = {
    udp.PacketKind.CALL: b"",
    udp.PacketKind.ANNOUNCE: udp.pack_announce(
        udp.Announcement(3, bytes(16), ("127.0.0.1", 5000), "board")
    ),
    udp.PacketKind.COMMAND: udp.pack_command(udp.BoardCommand(True, False, 0.5, 1.0, 2.0, 0.1)),
    udp.PacketKind.STATE: udp.pack_state(udp.BoardState(True, False, 0, 0.5, 0.1, 0.0, 5.0, 30.0)),
    udp.PacketKind.PICTURE: udp.pack_picture(udp.PicturePart(1, 2.5, 0, 2, bytes(100))),
}
UDP_READERS = (
    udp.unpack_announce,
    udp.unpack_command,
    udp.unpack_state,
    udp.unpack_picture,
)


@target(
    "udp_packets",
    [udp.pack(udp.Packet(kind, 7, 8, 9, payload)) for kind, payload in UDP_PAYLOADS.items()],
    allowed=(udp.PacketError,),
)
def _udp(data: bytes, _folder: Path) -> None:
    body = data[:-4]
    for sealed in (data, body + struct.pack("!I", zlib.crc32(body))):
        with suppress(udp.PacketError):
            payload = udp.unpack(sealed).payload
            for read in UDP_READERS:
                with suppress(udp.PacketError):
                    read(payload)
        with suppress(udp.PacketError):
            udp.unpack(sealed, b"key")
    udp.unpack(data)


@target(
    "page_messages",
    [
        b'{"limb": 0, "kind": "tip", "values": [0.5, 0, -1], "speed": 1.5}',
        b'{"limb": 1, "kind": "goal", "values": [0.5, 0], "speed": 1}',
        b'{"limb": 0, "kind": "home"}',
    ],
    is_text=True,
    allowed=(PageError, json.JSONDecodeError, UnicodeDecodeError, RecursionError),
)
def _page(data: bytes, _folder: Path) -> None:
    message = json.loads(data.decode())
    if isinstance(message, dict):
        PagePilot((4, 2), lambda: 0.0).drive(1, message)


# -- agents ---------------------------------------------------------------------------------------

EVENTS = [
    b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": null}}]}\n\n'
    b'data: {"choices": [{"index": 0, "delta": {"content": "{\\"answer\\": \\"a\\","}}]}\n\n'
    b'data: {"choices": [{"index": 0, "delta": {"content": " \\"reason\\": \\"\\"}"}, '
    b'"finish_reason": "stop"}]}\n\n'
    b'data: {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 7}}\n\n'
    b"data: [DONE]\n\n",
    b'{"choices": [{"message": {"content": "```json\\n{\\"answer\\": 1, \\"reason\\": \\"b\\"}\\n'
    b'```"}, "finish_reason": "length"}], "usage": {}}',
    b'event: error\nid: 3\nretry: 5\n: ping\ndata: {"error": {"message": "no \\u001b[0m", '
    b'"code": 429}}\r\n\r\n',
    b'{"choices": [{"message": {"tool_calls": [{"function": {"arguments": "{\\"answer\\": \\"a\\"}"'
    b'}}], "content": [{"type": "text", "text": "hm"}]}}]}',
    b'{"detail": [{"loc": ["body", 0, "model"], "msg": "field required"}]}',
]


@target(
    "server_streams",
    EVENTS,
    is_text=True,
    allowed=(ReplyTooLongError, ServerSaidError, UnreadableReplyError),
    has_good_seeds=False,
)
def _events(data: bytes, _folder: Path) -> None:
    reply = ServerReply()
    reader = ReplyReader(reply, 1 << 16)
    for piece in _pieces(data):
        reader.feed(piece)
    describe_error(reader.end())
    read_reply(reply.text, Choice, ("a", "b", "1"))


REPLIES = [
    b'{"answer": "a", "reason": "it is"}',
    b'<think>{"answer": "b"}</think> Well: [{"Answer": 1.5}] bye',
    b'{"calls": [{"skill": "hold", "numbers": [{"name": "a", "value": 1}]}], "reason": ""}',
    b'"{\\"result\\": {\\"answer\\": null, \\"reason\\": 5}}"',
]


@target(
    "reply_texts",
    REPLIES,
    is_text=True,
    allowed=(UnreadableReplyError,),
    has_good_seeds=False,
)
def _replies(data: bytes, _folder: Path) -> None:
    text = data.decode("utf-8", "replace")
    describe_error(text)
    with suppress(UnreadableReplyError):
        read_reply(text, Plan)
    read_reply(text, Choice, ("a", "b", "1.5"))


ORDERS = [
    b"find the target, then hold",
    b"please move the shoulder yaw to 20 degrees and wrist_roll to -0.3 rad; which camera sees it?",
    b"what can you do? move joint finger to 0.5",
]


@target("orders", ORDERS, is_text=True, has_good_seeds=False)
def _orders(data: bytes, _folder: Path) -> None:
    read_order(data.decode("utf-8", "replace"))


@target("skill_files", _files("launch/agents/*.yaml"), is_text=True, files=("a.yaml",))
def _skills(data: bytes, folder: Path) -> None:
    (folder / "a.yaml").write_bytes(data)
    load_skill_rules(folder / "a.yaml")


TRAFFIC = (
    b'{"key": "ab", "task": "t", "answer": {"text": "a", "data": {"answer": "a"}, "backend": "m", '
    b'"usage": {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.1}}}\n'
    b'{"key": "cd", "answer": {"text": ""}}\n'
)


@target("traffic_files", [TRAFFIC], is_text=True, files=("a.jsonl",))
def _traffic(data: bytes, folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(data)
    ReplayModel(folder / "a.jsonl")


RUN = {
    "graph": "g",
    "task": "t",
    "output": "b",
    "edges": [["a", "b"]],
    "steps": [
        {
            **{"node": name, "kind": "tool", "heard": heard, "started_s": 0.0, "ended_s": 1.0},
            "outcome": {"text": "x", "data": {"answer": "x"}},
        }
        for name, heard in (("a", []), ("b", ["a"]))
    ],
    "skipped": ["c"],
    "duration_s": 1.5,
}


@target("run_records", [json.dumps(RUN).encode()], is_text=True, files=("a.json",))
def _run(data: bytes, folder: Path) -> None:
    (folder / "a.json").write_bytes(data)
    recorded_graph(RunRecord.load(folder / "a.json"))


EDGES = b'{"edges": [["a", "b"], ["b", "c"]], "probabilities": [["a", "b", 0.5]]}'


@target("learned_edges", [EDGES], is_text=True, files=("a.json",))
def _edges(data: bytes, folder: Path) -> None:
    (folder / "a.json").write_bytes(data)
    load_edges(folder / "a.json")
