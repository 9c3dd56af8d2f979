"""Key frames of recordings and data sets, from marks of success and failure alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header

from asterias.errors import UserError
from asterias_nodes.runtime.conversions import to_image_msg, to_time_msg
from asterias_nodes.runtime.message_definitions import message_definition
from learning.critical_states.key_frames.sheet import tile_title
from learning.recordings.__main__ import main
from learning.recordings.bags.bag_writer import Bag, Topic
from learning.recordings.episodes import EpisodeStore, episode_folder, load_card
from learning.recordings.lerobot.criticality import CRITICALITY
from learning.recordings.plots.criticality import read_sidecar
from learning.recordings.reading import find_recordings

SECOND, FPS, FRAMES = 1_000_000_000, 10, 16
FEW = ("--frames", "12", "--side", "16", "--epochs", "2")


def write_recordings(
    root: Path, outcomes: tuple[str, ...], cameras: int = 2, pictures: bool = True
) -> Path:
    """Episodes of a limb; in a success a white square is seen for a moment."""
    store, rng = EpisodeStore(root), np.random.default_rng(1)
    for number, outcome in enumerate(outcomes):
        path, card = store.begin("find it")
        bag = Bag(path)
        kinds = {"/limb_0/joint_states": JointState} | {
            f"/limb_0/camera_{j}/image_raw": Image for j in range(cameras if pictures else 0)
        }
        for name, kind in kinds.items():
            text = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
            bag.add_topic(Topic(name, text, message_definition(text)))
        white = int(rng.integers(3, FRAMES - 3))
        for frame in range(FRAMES):
            time_s = 100 + frame / FPS
            for name in kinds:
                if "camera" in name:
                    pixels = rng.integers(0, 60, (24, 24, 3)).astype(np.uint8)
                    if outcome == "success" and frame == white:
                        pixels[6:18, 6:18] = 250
                    message: Any = to_image_msg(pixels, to_time_msg(time_s), "camera")
                else:
                    header = Header(stamp=to_time_msg(time_s))
                    message = JointState(header=header, name=["yaw"], position=[0.01 * frame])
                at_ns = round(time_s * SECOND)
                bag.write(name, serialize_message(message), at_ns, at_ns)
        bag.close()
        files = tuple(file.name for file in bag.paths)
        store.end(
            type(card)(number, "find it", outcome=outcome, state="complete", started="x",
                       files=files)  # type: ignore[arg-type]
        )  # fmt: skip
    return root


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outcomes = ("success", "failure") * 3 + ("unknown",)
    return write_recordings(tmp_path_factory.mktemp("recorded") / "episodes", outcomes)


@pytest.fixture(scope="module")
def found(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("found") / "key_frames"
    assert main(["key-frames", str(recordings), "--out", str(out), *FEW]) == 0
    return out


def digests(root: Path) -> dict[str, str]:
    """Of all files below a folder."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_each_recording_gets_a_channel_beside_it_and_stays_as_it_was(
    recordings: Path, tmp_path: Path
) -> None:
    before = digests(recordings)
    out = tmp_path / "out"
    assert main(["key-frames", str(recordings), "--out", str(out), *FEW]) == 0
    assert digests(recordings) == before
    for number in range(7):
        times, mask = read_sidecar(out / f"episode_{number:06d}.critical_states.mcap")
        assert len(times) == 12 and ((mask >= 0) & (mask <= 1)).all()
        assert times[0] == pytest.approx(100.0) and times[-1] == pytest.approx(101.5)


def test_the_channel_is_a_recording_as_any_other(found: Path, capsys: Any) -> None:
    path = found / "episode_000000.critical_states.mcap"
    (recording,) = find_recordings(path)
    values = [content.data for _, content in recording.decoded()]
    assert len(values) == 12
    assert main(["info", str(path)]) == 0
    assert "/critical_states" in capsys.readouterr().out


def test_the_summary_names_every_episode_with_its_mark(found: Path) -> None:
    rows = json.loads((found / "key_frames.json").read_text())["episodes"]
    assert [row["success"] for row in rows] == [True, False] * 3 + [None]
    assert all(0 <= at <= 1.5 for row in rows for at in row["key_frames_s"])
    assert {path.name for path in found.glob("*.png")} == {
        f"episode_{number:06d}.png" for number in range(7)
    }
    assert cv2.imread(str(found / "episode_000000.png")).shape[0] > 150


def test_a_detector_marks_other_recordings_without_learning(
    recordings: Path, found: Path, tmp_path: Path
) -> None:
    detector = found / "detector.safetensors"
    options = ["--detector", str(detector), "--sheets", "0"]
    out = tmp_path / "again"
    assert main(["key-frames", str(recordings), "--out", str(out), *options]) == 0
    name = "episode_000003.critical_states.mcap"
    assert (read_sidecar(out / name)[1] == read_sidecar(found / name)[1]).all()
    assert not (out / "detector.safetensors").exists() and not list(out.glob("*.png"))


def test_a_data_set_gets_a_feature_in_a_copy_that_loads(
    recordings: Path, found: Path, tmp_path: Path
) -> None:
    from learning.recordings.datasets import FramesDataset, load_episodes

    data, out = tmp_path / "data", tmp_path / "out"
    assert main(["export", str(recordings), "--out", str(data), "--only", "marked"]) == 0
    before = digests(data)
    options = ["--detector", str(found / "detector.safetensors")]
    assert main(["key-frames", str(data), "--out", str(out), *options]) == 0
    assert digests(data) == before
    made = out / "dataset"
    table = pq.read_table(made / "data")
    values = table[CRITICALITY].to_numpy()
    assert table.num_rows == pq.read_table(data / "data").num_rows
    assert values.dtype == np.float32 and ((values >= 0) & (values <= 1)).all()
    info = json.loads((made / "meta" / "info.json").read_text())
    assert info["features"][CRITICALITY] == {"dtype": "float32", "shape": [1], "names": None}
    stats = json.loads((made / "meta" / "stats.json").read_text())[CRITICALITY]
    assert stats["max"] == [pytest.approx(float(values.max()))]
    assert f"stats/{CRITICALITY}/mean" in pq.read_table(made / "meta" / "episodes").column_names
    assert len(load_episodes(made)) == 6
    assert main(["key-frames", str(made), "--out", str(tmp_path / "more"), *options]) == 2
    parts = [episode.criticality() for episode in load_episodes(made)]
    assert [len(part) for part in parts] == [len(one.states) for one in load_episodes(made)]
    assert (np.concatenate(parts) == values).all()
    assert len(FramesDataset(made, pictures=False)) == len(values)
    with pytest.raises(UserError, match=f"{data} has no feature .* key-frames {data}"):
        load_episodes(data)[0].criticality()


def test_episodes_of_recordings_know_their_channel(recordings: Path, found: Path) -> None:
    from learning.recordings.datasets import load_episodes

    beside = recordings.with_name("episodes_key_frames")
    with pytest.raises(UserError, match=r"frames of .*episode_000000 decided: .*key-frames"):
        load_episodes(recordings)[0].criticality()
    beside.symlink_to(found)
    try:
        episode = load_episodes(recordings)[0]
        times, mask = read_sidecar(found / "episode_000000.critical_states.mcap")
        at_s = np.arange(len(episode.states)) / episode.fps
        expected = np.interp(at_s, times - 100.0, mask)
        np.testing.assert_allclose(episode.criticality(), expected, atol=1e-6)
        assert np.ptp(expected) > 0
    finally:
        beside.unlink()


def test_plots_and_films_show_the_band(recordings: Path, found: Path, tmp_path: Path) -> None:
    import av

    episode = str(episode_folder(recordings, 0))
    beside = ["--key-frames", str(found / "episode_000000.critical_states.mcap")]
    assert main(["plot", episode, "--out", str(tmp_path / "plot.png"), *beside]) == 0
    assert main(["plot", episode, "--out", str(tmp_path / "plain.png")]) == 0
    tall, plain = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("plot", "plain"))
    assert tall.shape[0] > plain.shape[0]
    heights = []
    for name, more in (("with", beside), ("without", [])):
        path = tmp_path / f"{name}.mp4"
        assert main(["video", episode, "--out", str(path), *more]) == 0
        with av.open(str(path)) as film:
            heights.append(film.streams.video[0].height)
    assert heights[0] > heights[1]


# -- one sentence for what cannot be used ---------------------------------------------------------


def refused(capsys: Any, *arguments: Any) -> str:
    assert main(["key-frames", *map(str, arguments)]) == 2
    told: str = capsys.readouterr().err.strip()
    assert len(told.splitlines()) == 1
    return told


def test_recordings_that_teach_nothing_are_refused(tmp_path: Path, capsys: Any) -> None:
    blind = write_recordings(tmp_path / "blind", ("success", "failure"), pictures=False)
    assert "holds no images" in refused(capsys, blind, "--out", tmp_path / "o", *FEW)
    unmarked = write_recordings(tmp_path / "unmarked", ("unknown",) * 2)
    assert "marked as success or failure" in refused(
        capsys, unmarked, "--out", tmp_path / "o", *FEW
    )
    one = write_recordings(tmp_path / "one", ("success",) * 4)
    assert "are a success" in refused(capsys, one, "--out", tmp_path / "o", *FEW)
    few = write_recordings(tmp_path / "few", ("success", "failure"))
    assert "are the least" in refused(capsys, few, "--out", tmp_path / "o", *FEW)
    assert "no recording" in refused(capsys, tmp_path / "none", "--out", tmp_path / "o")


def test_another_robot_is_named_with_its_cameras(
    recordings: Path, found: Path, tmp_path: Path, capsys: Any
) -> None:
    other = write_recordings(tmp_path / "other", ("success", "failure"), cameras=3)
    detector = found / "detector.safetensors"
    told = refused(capsys, other, "--out", tmp_path / "o", "--detector", detector)
    assert "another robot" in told and "limb_0_camera_2" in told
    mixed = write_recordings(tmp_path / "mixed", ("success", "failure") * 2)
    path, card = EpisodeStore(mixed).begin("x")
    source = episode_folder(other, 0)
    path.write_bytes(next(source.glob("*.mcap")).read_bytes())
    done = load_card(source)
    type(done)(**{**vars(done), "episode": card.episode, "files": (path.name,)}).save(path.parent)
    assert "another robot" in refused(capsys, mixed, "--out", tmp_path / "o", *FEW)


def test_options_that_cannot_be_used_are_named(
    recordings: Path, tmp_path: Path, capsys: Any
) -> None:
    for option, value in (("--frames", 2), ("--side", 4), ("--epochs", 0), ("--threshold", 1.5)):
        assert option in refused(capsys, recordings, "--out", tmp_path / "o", option, value)
    wrong = tmp_path / "x.safetensors"
    assert "x.json" in refused(capsys, recordings, "--out", tmp_path / "o", "--detector", wrong)


def test_a_tile_says_that_its_moment_decided_only_where_it_did() -> None:
    assert tile_title(1.5, 0.7, 0.5) == "1.50 s, decided 0.70"
    assert tile_title(1.5, 0.3, 0.5) == "1.50 s, mask 0.30"
