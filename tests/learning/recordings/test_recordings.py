"""Recordings are read, judged, mended, made data sets of, read back and cloned."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import lz4.frame
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from asterias_interfaces.msg import TagDetection, TagDetections
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray, Header
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from asterias.errors import AsteriasError, UserError
from asterias_nodes.runtime.conversions import to_compressed_msg, to_image_msg, to_time_msg
from asterias_nodes.runtime.message_definitions import message_definition
from learning.recordings.__main__ import Check, Export, Info, Plot, Recover, Sheet, Video
from learning.recordings.bags.bag_recovery import recover, recover_in_place
from learning.recordings.bags.bag_writer import Bag, Split, Topic
from learning.recordings.bags.lz4_start import decompress_start
from learning.recordings.datasets import FramesDataset, load_episodes
from learning.recordings.episodes import EpisodeStore, load_card
from learning.recordings.health import examine
from learning.recordings.reading import find_recordings
from learning.recordings.replaying import replay
from learning.recordings.sampling import sample
from learning.recordings.trace import read_trace
from learning.target_finding.algorithms.behaviour_cloning import BcConfig, clone
from learning.target_finding.commands.train import Train
from learning.target_finding.env.options import TargetFindingOptions
from learning.target_finding.policies.policy_files import load_policy
from learning.target_finding.policies.registry import make_searcher

SECOND = 1_000_000_000
JOINTS = ["shoulder_yaw", "shoulder_pitch", "wrist_roll", "finger"]
FPS = 10
DURATION_S = 2.0
TOPICS = {
    "/limb_0/joint_states": JointState,
    "/limb_0/joint_trajectory": JointTrajectory,
    "/limb_0/commands": Float64MultiArray,
    "/limb_0/camera_0/image_raw": Image,
    "/limb_0/camera_1/image_raw/compressed": CompressedImage,
    "/target/detections": TagDetections,
}


def colour(camera: int, number: int) -> tuple[int, int, int]:
    """What camera ``camera`` shows in its picture ``number``."""
    return (20 + 8 * number, 60 + 100 * camera, 200 - 6 * number)


class Script:
    """Messages of one robot on its topics, in the order of time."""

    def __init__(self, bag: Bag) -> None:
        self._bag = bag
        for name, kind in TOPICS.items():
            text = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
            bag.add_topic(Topic(name, text, message_definition(text)))

    def say(self, topic: str, message: Any, time_s: float) -> None:
        """Writes one message."""
        time_ns = round(time_s * SECOND)
        self._bag.write(topic, serialize_message(message), time_ns, time_ns)

    def joints(self, time_s: float, position: Sequence[float]) -> None:
        """Joint states, with a passive joint behind the commanded ones."""
        header = Header(stamp=to_time_msg(time_s))
        message = JointState(header=header, name=[*JOINTS, "flexure"])
        message.position = [*map(float, position), 0.5]
        self.say("/limb_0/joint_states", message, time_s)

    def move(self, time_s: float, goal: Sequence[float]) -> None:
        """A timed move."""
        point = JointTrajectoryPoint(positions=[float(value) for value in goal])
        message = JointTrajectory(joint_names=JOINTS, points=[point])
        self.say("/limb_0/joint_trajectory", message, time_s)

    def picture(self, camera: int, number: int, time_s: float) -> None:
        """A picture of one colour; the first camera's are raw, the second's JPEG."""
        pixels = np.full((24, 32, 3), colour(camera, number), np.uint8)
        make = to_compressed_msg if camera else to_image_msg
        name = list(TOPICS)[3 + camera]
        self.say(name, make(pixels, to_time_msg(time_s), "camera"), time_s)

    def sight(self, time_s: float) -> None:
        """Camera 1 sees the tag."""
        found = TagDetections(limb="limb_0", camera="camera_1", detections=[TagDetection(id=0)])
        self.say("/target/detections", found, time_s)


def write_episode(script: Script, start: Sequence[float], goals: Sequence[Sequence[float]]) -> None:
    """Two seconds: joint states at 50 Hz, pictures at 10 Hz, a move each second, a find."""
    at = np.array(start, float)
    for tick in range(round(DURATION_S * 50) + 1):
        time_s = 100 + tick / 50
        if tick % 50 == 5 and tick // 50 < len(goals):
            script.move(time_s, goals[tick // 50])
            at = np.array(goals[tick // 50], float)
        script.joints(time_s, at)
        if tick % 5 == 0:
            for camera in range(2):
                script.picture(camera, tick // 5, time_s)
    script.sight(100 + DURATION_S)


def write_episodes(root: Path, count: int, task: str = "find it", **bag: Any) -> None:
    """Episodes as the recorder leaves them; each begins somewhere else."""
    store = EpisodeStore(root)
    rng = np.random.default_rng(0)
    for number in range(count):
        path, card = store.begin(task)
        made = Bag(path, **bag)
        start = rng.uniform(-0.5, 0.5, 4)
        write_episode(Script(made), start, [start + 0.2, start + 0.4])
        made.close()
        files = tuple(file.name for file in made.paths)
        store.end(
            type(card)(number, task, outcome="success", state="complete", started="x", files=files)
        )


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sound episodes."""
    root = tmp_path_factory.mktemp("recordings") / "demos"
    write_episodes(root, 3)
    return root


# -- reading and judging


def test_a_recording_tells_what_the_robot_did(demos: Path) -> None:
    recording = find_recordings(demos)[0]
    trace = read_trace(recording)
    assert trace.duration_s == DURATION_S
    assert trace.joints[0].names == (*JOINTS, "flexure")
    commands = trace.commands[0]
    assert commands.names == tuple(JOINTS)
    assert commands.times_s.tolist() == [0.1, 1.1]
    assert np.allclose(commands.values[1] - commands.values[0], 0.2)
    assert [len(times) for times in trace.pictures.values()] == [21, 21]
    (sight,) = trace.sights
    assert (sight.time_s, sight.camera, sight.ids) == (2.0, "camera_1", (0,))


def test_a_sound_recording_is_found_sound(demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Check(demos).run() == 0
    assert "episode_000002: sound" in capsys.readouterr().out
    assert Info(demos).run() == 0
    assert "find it" in capsys.readouterr().out
    assert Info(demos / "episode_000001", json=True).run() == 0
    words = json.loads(capsys.readouterr().out)["episode_000001"]
    assert words["topics"]["/limb_0/joint_states"]["rate_hz"] == 50
    assert words["topics"]["/limb_0/camera_0/image_raw"]["messages"] == 21


def test_gaps_are_named_by_topic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = Bag(tmp_path / "a.mcap")
    script = Script(bag)
    for tick in range(100):
        script.joints(tick / 50, [0.0] * 4)
        if not 40 <= tick < 60 and tick % 5 == 0:
            script.picture(0, tick // 5, tick / 50)
    bag.close()
    assert Check(tmp_path / "a.mcap").run() == 1
    out = capsys.readouterr().out
    assert "/limb_0/camera_0/image_raw: 1 gaps, about 4 messages missing" in out
    assert "0.50 s at 0.70 s (80.00 % recorded)" in out
    assert "joint_states:" not in out


def test_what_is_no_recording_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.mcap").write_text("hello")
    with pytest.raises(AsteriasError, match=r"a\.mcap is not an MCAP recording"):
        Check(tmp_path / "a.mcap").run()
    (tmp_path / "empty").mkdir()
    with pytest.raises(AsteriasError, match="holds no recording"):
        Check(tmp_path / "empty").run()


# -- mending


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.binary(max_size=40) | st.sampled_from([b"abcabcabc" * 9, bytes(700)]), max_size=40),
    st.integers(0, 10**6),
)
def test_the_start_of_lz4_data_is_read_to_the_last_byte(parts: list[bytes], cut: int) -> None:
    plain = b"".join(parts)
    packed = lz4.frame.compress(plain)
    part = packed[: cut % (len(packed) + 1)]
    found = decompress_start(part)
    assert plain.startswith(found)
    if part == packed:
        assert found == plain


def test_literals_of_a_cut_block_are_not_lost() -> None:
    plain = np.random.default_rng(0).bytes(150_000)
    packed = lz4.frame.compress(plain)
    for cut in (20, 1000, 65_000, 66_000, 100_001, 149_000):
        assert len(decompress_start(packed[:cut])) >= cut - 64


@pytest.mark.parametrize("compression", ["none", "lz4"])
def test_cut_at_any_byte_everything_before_comes_back(tmp_path: Path, compression: str) -> None:
    rng = np.random.default_rng(1)
    bag = Bag(tmp_path / "a.mcap", compression)
    bag.add_topic(Topic("/x", "std_msgs/msg/UInt8MultiArray", "uint8[] data"))
    # Noise does not compress, so that each message lies in the file as it is.
    messages = [rng.bytes(1000) for _ in range(30)]
    for number, data in enumerate(messages):
        bag.write("/x", data, number, number)
    bag.close()
    whole = (tmp_path / "a.mcap").read_bytes()
    ends = [whole.index(data) + len(data) for data in messages]
    for cut in [*range(60, len(whole), 1511), *ends, len(whole)]:
        (tmp_path / "cut.mcap").write_bytes(whole[:cut])
        clean = tmp_path / "clean.mcap"
        clean.unlink(missing_ok=True)
        found = recover(tmp_path / "cut.mcap", clean).message_count
        assert found == sum(end <= cut for end in ends), cut
        with clean.open("rb") as file:
            numbers = [m.log_time for _, _, m in make_reader(file).iter_messages()]
        assert numbers == list(range(found))


def test_a_killed_episode_is_mended_in_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_episodes(tmp_path, 2, split=Split(duration_s=0.5))
    folder = tmp_path / "episode_000001"
    last = folder / sorted(file.name for file in folder.glob("*_4.mcap"))[0]
    last.write_bytes(last.read_bytes()[:-300])
    (folder / "metadata.yaml").unlink()
    content = json.loads((folder / "episode.json").read_text())
    (folder / "episode.json").write_text(json.dumps(content | {"state": "recording"}))
    assert Check(tmp_path).run() == 1
    assert "was cut short" in capsys.readouterr().out
    before = {file: file.read_bytes() for file in folder.glob("*.mcap") if file != last}
    assert Recover(tmp_path).run() == 0
    assert f"What it was is now {last.name}.cut" in capsys.readouterr().out
    assert all(file.read_bytes() == data for file, data in before.items()), "only what was cut"
    assert (folder / f"{last.name}.cut").exists() and (folder / "metadata.yaml").exists()
    card = load_card(folder)
    assert card.state == "complete" and "recovered" in card.problem and card.pictures == 42
    assert not examine(find_recordings(tmp_path)[0]).problems
    assert Recover(tmp_path).run() == 0, "a second time changes nothing"
    assert all(r.was_whole for r in dict(recover_in_place(find_recordings(tmp_path)[1])).values())


# -- data sets

FEATURES = {
    "observation.state": "float32",
    "action": "float32",
    "observation.images.limb_0_camera_0": "video",
    "observation.images.limb_0_camera_1": "video",
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
    "next.done": "bool",
    "next.success": "bool",
}
STATS = {"min", "max", "mean", "std", "count", "q01", "q10", "q50", "q90", "q99"}


@pytest.fixture(scope="module")
def lerobot(demos: Path) -> Path:
    """The three episodes as a LeRobotDataset."""
    out = demos.parent / "lerobot"
    assert Export(demos, out).run() == 0
    return out


def test_info_follows_the_layout(lerobot: Path) -> None:
    info = json.loads((lerobot / "meta" / "info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert info["fps"] == FPS and info["robot_type"] == "asterias"
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, 63, 1)
    assert info["splits"] == {"train": "0:3"} and info["chunks_size"] == 1000
    assert info["data_path"] == "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    assert info["video_path"] == (
        "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    )
    assert {key: about["dtype"] for key, about in info["features"].items()} == FEATURES
    assert info["features"]["action"]["names"] == [f"limb_0.{name}" for name in JOINTS]
    picture = info["features"]["observation.images.limb_0_camera_0"]
    assert picture["shape"] == [24, 32, 3] and picture["names"] == ["height", "width", "channels"]
    assert picture["info"]["video.codec"] == "h264" and picture["info"]["video.fps"] == FPS


def test_the_card_is_what_the_hub_shows(lerobot: Path) -> None:
    _, head, text = (lerobot / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    about = yaml.safe_load(head)
    assert "LeRobot" in about["tags"] and about["task_categories"] == ["robotics"]
    assert about["configs"][0]["data_files"] == "data/*/*.parquet"
    assert "3 episodes of asterias" in text and "| `action` | float32 | 4 |" in text


def test_numbers_follow_the_layout(lerobot: Path) -> None:
    table = pq.read_table(lerobot / "data" / "chunk-000" / "file-000.parquet")
    assert set(table.column_names) == {k for k, kind in FEATURES.items() if kind != "video"}
    for name in table.column_names:
        kind = str(table.schema.field(name).type)
        expected = {"float32": "float", "bool": "bool", "int64": "int64"}[FEATURES[name]]
        is_vector = name in ("observation.state", "action")
        # The name of a list's element is the writer's choice.
        assert kind.endswith(f": {expected}>[4]") if is_vector else kind == expected
    columns = table.to_pydict()
    assert columns["index"] == list(range(63))
    assert columns["frame_index"] == list(range(21)) * 3
    assert columns["episode_index"] == [number // 21 for number in range(63)]
    assert np.allclose(columns["timestamp"][:21], np.arange(21) / FPS)
    assert [i for i, done in enumerate(columns["next.done"]) if done] == [20, 41, 62]
    assert columns["next.success"] == columns["next.done"]
    state, action = np.array(columns["observation.state"]), np.array(columns["action"])
    assert np.allclose(action[0], state[0]), "nothing was commanded yet"
    assert np.allclose(action[1] - state[0], 0.2) and np.allclose(action[11] - state[0], 0.4)


def test_episodes_and_tasks_follow_the_layout(lerobot: Path) -> None:
    rows = pq.read_table(lerobot / "meta" / "episodes" / "chunk-000" / "file-000.parquet")
    row = rows.to_pylist()[1]
    assert row["tasks"] == ["find it"] and row["length"] == 21 and row["episode_index"] == 1
    assert (row["dataset_from_index"], row["dataset_to_index"]) == (21, 42)
    for place in ("data", "meta/episodes"):
        assert (row[f"{place}/chunk_index"], row[f"{place}/file_index"]) == (0, 0)
    for key in (key for key, kind in FEATURES.items() if kind == "video"):
        assert (row[f"videos/{key}/chunk_index"], row[f"videos/{key}/file_index"]) == (0, 0)
        span = row[f"videos/{key}/from_timestamp"], row[f"videos/{key}/to_timestamp"]
        assert span == pytest.approx((2.1, 4.2))
    stats = json.loads((lerobot / "meta" / "stats.json").read_text())
    assert set(stats) == set(FEATURES)
    for key, values in stats.items():
        assert set(values) == STATS
        assert all(f"stats/{key}/{name}" in row for name in STATS)
    assert np.shape(stats["observation.images.limb_0_camera_0"]["mean"]) == (3, 1, 1)
    assert np.shape(stats["action"]["std"]) == (4,) and stats["action"]["count"] == [63]
    mean = np.ravel(stats["observation.images.limb_0_camera_0"]["mean"])
    shown = np.mean([colour(0, number) for number in range(21)], axis=0) / 255
    assert np.allclose(mean, shown, atol=0.01)
    tasks = pq.read_table(lerobot / "meta" / "tasks.parquet")
    assert tasks.to_pydict() == {"task_index": [0], "task": ["find it"]}
    about = json.loads(tasks.schema.metadata[b"pandas"])
    assert about["index_columns"] == ["task"]


def test_videos_hold_a_frame_per_row(lerobot: Path) -> None:
    for camera in range(2):
        key = f"observation.images.limb_0_camera_{camera}"
        with av.open(str(lerobot / "videos" / key / "chunk-000" / "file-000.mp4")) as film:
            frames = list(film.decode(video=0))
        assert [frame.time for frame in frames] == pytest.approx(np.arange(63) / FPS)
        for number, frame in enumerate(frames):
            seen = frame.to_ndarray(format="rgb24").reshape(-1, 3).mean(axis=0)
            assert np.abs(seen - colour(camera, number % 21)).max() < 8


@pytest.mark.parametrize("source", ["demos", "lerobot", "folder"])
def test_a_data_set_is_read_back(demos: Path, lerobot: Path, source: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    if source == "folder":
        assert Export(demos, folder, format="folder").run() == 0
        assert (folder / "episode_000002" / "limb_0_camera_1" / "000020.png").is_file()
    path = {"demos": demos, "lerobot": lerobot, "folder": folder}[source]
    episodes = load_episodes(path)
    assert len(episodes) == 3
    first = episodes[0]
    assert first.task == "find it" and first.success and first.fps == FPS
    assert first.states.shape == (21, 4) and first.actions.shape == (20, 4)
    assert first.rewards.tolist() == [0.0] * 19 + [1.0]
    assert first.terminations[-1] and not first.truncations.any()
    expected = sample(find_recordings(demos)[0])
    assert np.allclose(first.states, expected.state, atol=1e-5)
    assert np.allclose(first.actions, expected.action[:-1], atol=1e-5)
    for camera in (0, 1):
        seen = episodes[1].picture(f"limb_0_camera_{camera}", 7).reshape(-1, 3).mean(axis=0)
        assert np.abs(seen - colour(camera, 7)).max() < 8
    frames = FramesDataset(path)
    assert len(frames) == 63
    batch = next(iter(torch.utils.data.DataLoader(frames, batch_size=8)))
    assert batch["observation.images.limb_0_camera_0"].shape == (8, 3, 24, 32)
    assert batch["action"].dtype == torch.float32 and batch["task"] == ["find it"] * 8
    item = frames[-1]
    assert item["next.done"] and int(item["episode_index"]) == 2 and int(item["index"]) == 62


def test_exports_overwrite_nothing_and_mix_nothing(demos: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="exists already"):
        Export(demos, tmp_path / "there").run()
    with pytest.raises(AsteriasError, match="no episode"):
        write_episodes(tmp_path / "some", 1)
        path = tmp_path / "some" / "episode_000000" / "episode.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"outcome": "failure"}))
        Export(tmp_path / "some", tmp_path / "out", only="success").run()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["some", "there"], "nothing half done"


LEROBOT = os.environ.get("ASTERIAS_LEROBOT_PYTHON", "")
# Each frame by a loader, with a second action ahead; then what one of them holds.
OPEN = """
import json, sys, torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset
data = LeRobotDataset("asterias/demos", root=sys.argv[1], video_backend="pyav",
                      delta_timestamps={"action": [0.0, 0.1]})
batches = torch.utils.data.DataLoader(data, batch_size=7)
tasks = [task for batch in batches for task in batch["task"]]
item = data[30]
picture = item["observation.images.limb_0_camera_0"]
print(json.dumps({"episodes": data.num_episodes, "tasks": tasks, "action": item["action"].tolist(),
                  "picture": picture.tolist(), "mean": data.meta.stats["action"]["mean"].tolist()}))
"""


@pytest.mark.skipif(not LEROBOT, reason="ASTERIAS_LEROBOT_PYTHON names no Python with lerobot")
def test_lerobot_opens_it(lerobot: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(lerobot, copy)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LD_"))}
    command = [LEROBOT, "-c", OPEN, str(copy)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**environment, "HF_HUB_OFFLINE": "1"}
    )
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout.splitlines()[-1])
    assert theirs["episodes"] == 3 and theirs["tasks"] == ["find it"] * 63
    ours = FramesDataset(lerobot)
    assert np.allclose(theirs["action"], np.stack([ours[n]["action"] for n in (30, 31)]))
    picture = ours[30]["observation.images.limb_0_camera_0"]
    assert np.allclose(theirs["picture"], picture, atol=2 / 255)
    actions = np.stack([ours[number]["action"] for number in range(63)])
    assert np.allclose(theirs["mean"], actions.mean(axis=0), atol=1e-4)


# -- behaviour cloning


def write_homing(root: Path, count: int) -> None:
    """Demonstrations that go a third of the way to one pose with each move."""
    store, rng = EpisodeStore(root), np.random.default_rng(3)
    for _ in range(count):
        path, card = store.begin("go home")
        made = Bag(path)
        script = Script(made)
        at = rng.uniform(-1.0, 1.0, 4)
        script.picture(0, 0, 0.0)
        for step in range(4):
            script.joints(step, at)
            at = at + (0.3 - at) / 3
            script.move(step + 0.5, at)
        made.close()
        store.end(type(card)(card.episode, card.task, outcome="success", state="complete"))


def test_a_cloned_policy_does_what_was_demonstrated(tmp_path: Path) -> None:
    write_homing(tmp_path / "demos", 12)
    config = BcConfig(tmp_path / "demos", tmp_path / "out", TargetFindingOptions(), epochs=300)
    summary = clone(config)
    assert summary["demonstrations"] == 12 and summary["steps"] == 48
    policy = load_policy(tmp_path / "out")
    lower, upper = np.full(4, -1.5708), np.full(4, 1.5708)
    lower[2], upper[2], lower[3], upper[3] = -1.1781, 1.1781, -1.0472, 1.0472
    rng = np.random.default_rng(0)
    searcher = make_searcher(str(tmp_path / "out"), lower, upper, rng, cameras=4)
    at = np.array([-0.8, 0.9, 0.1, -0.6])
    for _ in range(12):
        at = searcher.act(at, [0])
    assert np.abs(at - 0.3).max() < 0.3
    assert policy.card["algorithm"] == "bc"
    with pytest.raises(AsteriasError, match="holds a policy"):
        clone(config)


def test_cloning_tells_what_it_lacks(tmp_path: Path, demos: Path) -> None:
    with pytest.raises(AsteriasError, match="--recordings"):
        Train(out=tmp_path / "a", algo="bc").run()
    bag = Bag(tmp_path / "still.mcap")
    script = Script(bag)
    for tick in range(20):
        script.joints(tick / 50, [0.0] * 4)
    bag.close()
    with pytest.raises(AsteriasError, match="holds no commands"):
        Train(out=tmp_path / "a", algo="bc", recordings=tmp_path / "still.mcap").run()
    with pytest.raises(AsteriasError, match="nobody holds no recording"):
        Train(out=tmp_path / "a", algo="bc", recordings=demos / "nobody").run()


# -- pictures, and once more in simulation


def test_recordings_are_drawn(demos: Path, tmp_path: Path) -> None:
    path = demos / "episode_000001"
    assert Plot(path, tmp_path / "new" / "plot.png").run() == 0
    assert Sheet(path, tmp_path / "sheet.png", rows=4).run() == 0
    for name in ("new/plot.png", "sheet.png"):
        pixels = cv2.imread(str(tmp_path / name))
        assert pixels is not None and min(pixels.shape[:2]) > 200 and pixels.std() > 10
    assert Video(path, tmp_path / "film.mp4").run() == 0
    with av.open(str(tmp_path / "film.mp4")) as film:
        frames = list(film.decode(video=0))
    assert len(frames) == 21 and frames[-1].time == pytest.approx(2.0)
    tile = frames[7].to_ndarray(format="rgb24")[10:150, 10:200].reshape(-1, 3).mean(axis=0)
    assert np.abs(tile - colour(0, 7)).max() < 10
    with pytest.raises(AsteriasError, match=r"film\.mp4 exists already"):
        Video(path, tmp_path / "film.mp4").run()


def test_a_recording_without_pictures_or_joints_is_told(tmp_path: Path) -> None:
    bag = Bag(tmp_path / "a.mcap")
    Script(bag).sight(1.0)
    bag.close()
    with pytest.raises(AsteriasError, match="neither joint states nor pictures"):
        Plot(tmp_path / "a.mcap", tmp_path / "a.png").run()
    with pytest.raises(AsteriasError, match="no /limb_<i>/joint_states"):
        Sheet(tmp_path / "a.mcap", tmp_path / "a.png").run()


def test_commands_drive_the_simulation_again(tmp_path: Path) -> None:
    bag = Bag(tmp_path / "a.mcap")
    script = Script(bag)
    for tick in range(101):
        at = 0.0 if tick <= 5 else 0.3
        script.joints(10 + tick / 50, [at] * 4)
        if tick == 5:
            script.move(10.1, [0.3] * 4)
    bag.close()
    (recording,) = find_recordings(tmp_path / "a.mcap")
    result = replay(recording)
    assert result.names == tuple(JOINTS) and result.replayed.shape == (101, 4)
    assert np.abs(result.replayed[-1] - 0.3).max() < 0.12, "it went where it was sent"
    assert np.abs(result.replayed[4]).max() < 0.12 and (result.rms_rad < 0.2).all()
    with pytest.raises(AsteriasError, match="no joint states and commands of limb_3"):
        replay(recording, limb=3)


def test_the_foxglove_layout_shows_our_topics() -> None:
    layout = json.loads((Path(__file__).parents[3] / "launch/layouts/foxglove.json").read_text())
    shown: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, str):
            shown.append(part)
        else:
            walk(part["first"])
            walk(part["second"])

    walk(layout["layout"])
    assert sorted(shown) == sorted(layout["configById"]), "every panel is on the screen once"
    text = json.dumps(layout)
    shown_topics = ("/limb_0/camera_3/image_raw", "/limb_0/joint_states", "/target/detections")
    for topic in (*shown_topics, "/robot_description"):
        assert topic in text
