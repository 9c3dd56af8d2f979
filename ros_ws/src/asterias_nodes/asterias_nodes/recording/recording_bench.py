"""Measures the recorder as its users meet it: under load, and when it is killed.

``ros2 run asterias_nodes recording_bench load --json results/recording/load.json``: which share of
the pictures of many cameras is recorded, and what that costs, raw, with lz4 and as JPEG.
``ros2 run asterias_nodes recording_bench kill --json results/recording/kills.json``: what is lost
when the recorder is killed at random moments.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import psutil
import rclpy
import tyro
from ament_index_python.packages import get_package_prefix
from mcap.exceptions import McapError
from mcap.stream_reader import StreamReader
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header

from asterias.arrays import ImageArray
from asterias.errors import AsteriasError
from asterias.files import write_json
from asterias.provenance import provenance
from asterias_nodes.runtime.conversions import to_image_msg, to_time_msg
from asterias_nodes.runtime.domains import forget_dead_ports, reserve_domain_id
from asterias_nodes.runtime.qos import reliable_qos, sensor_qos
from asterias_nodes.runtime.run_node import make_room_for_pictures
from learning.recordings.bags.bag_recovery import recover
from learning.recordings.reading import find_recordings

PATIENCE_S = 60.0
SETTLE_S = 2.0
# Different pictures of each camera, so that nothing compresses better than in life.
VARIANTS = 6
NOISE = 6.0
STATES_HZ = 100
FORMS: dict[str, dict[str, str]] = {
    "raw": {"compression": "none", "pictures": "raw"},
    "lz4": {"compression": "lz4", "pictures": "raw"},
    "jpeg": {"compression": "lz4", "pictures": "jpeg"},
}
NAME = "ros2 run asterias_nodes recording_bench"


@dataclass(frozen=True)
class Load:
    """Record many cameras: share of pictures that reach the file, and processor time."""

    seconds: float = 60.0
    """How long pictures are published in each form."""
    small: int = 8
    """Cameras of 96x96."""
    large: int = 3
    """Cameras of 640x480."""
    rate_hz: float = 30.0
    """Pictures of each camera per second."""
    forms: tuple[Literal["raw", "lz4", "jpeg"], ...] = ("raw", "lz4", "jpeg")
    """Forms of the recording."""
    seed: int = 0
    """Seed of the pictures."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Result file to write."""

    def run(self) -> int:
        """Return 0 if at least 99 % are recorded in each form."""
        rows = []
        users = dict(os.environ)
        make_room_for_pictures()  # as nodes with cameras do
        for form in self.forms:
            row = self._measure(form, users)
            rows.append(row)
            print(
                f"{form}: {100 * row['share']:.2f} % of {row['published']} pictures, recorder "
                f"{row['recorder_cpu_percent']:.0f} % of a core, {row['megabytes']:.0f} MB; "
                f"missing: {row['missing'] or 'none'}",
                flush=True,
            )
        if self.json is not None:
            about = {"small": self.small, "large": self.large, "rate_hz": self.rate_hz}
            words = f"{NAME} load --seconds {self.seconds:g}"
            write_json(self.json, {**provenance(self.seed, words), **about, "rows": rows})
        return 0 if all(row["share"] >= 0.99 for row in rows) else 1

    def _measure(self, form: str, users: Mapping[str, str]) -> dict[str, Any]:
        """Return the row of a form; the recorder gets the environment that its users have."""
        with tempfile.TemporaryDirectory(prefix="recording_bench") as folder, node() as (me, _):
            cameras = _make_cameras(me, self.small, self.large, self.seed)
            path = Path(folder) / "load.mcap"
            with RecorderProcess(
                users, output=path, topics="['/bench/*']", **FORMS[form]
            ) as recorder:
                publishers = [camera.publisher for camera in cameras]
                _wait(lambda: all(p.get_subscription_count() for p in publishers))
                time.sleep(SETTLE_S)
                load = os.getloadavg()[0]
                used_s, mine_s, began_s = recorder.cpu_s(), time.process_time(), time.monotonic()
                published, late = _publish(cameras, self.rate_hz, self.seconds)
                wall_s = time.monotonic() - began_s
                time.sleep(SETTLE_S)
                used_s = recorder.cpu_s() - used_s
                mine_s = time.process_time() - mine_s
            recorded = _count(path)
            missing = {t: n - recorded[t] for t, n in published.items() if recorded[t] < n}
            return {
                "form": form,
                "published": published.total(),
                "recorded": recorded.total(),
                "share": round(recorded.total() / published.total(), 6),
                "missing": missing,
                "seconds": round(wall_s, 2),
                "published_late": late,
                "recorder_cpu_percent": round(100 * used_s / wall_s, 1),
                "publisher_cpu_percent": round(100 * mine_s / wall_s, 1),
                "megabytes": round(path.stat().st_size / 1e6, 1),
                "load_average_before": round(load, 2),
            }


@dataclass(frozen=True)
class Kill:
    """Kill the recorder (SIGKILL) at random moments: what is lost, and is the file readable."""

    kills: int = 200
    """How often."""
    together: int = 4
    """Recorders that run at the same time."""
    seed: int = 0
    """Seed of the moments."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Result file to write."""

    def run(self) -> int:
        """Return 0 if every file is readable and nothing older than a second is lost."""
        rng = random.Random(self.seed)
        remains: list[Remains] = []
        while len(remains) < self.kills:
            # What was killed leaves shared-memory ports behind, into which a publisher of before
            # goes on to write for a second or two: each round is a first one.
            forget_dead_ports(int(os.environ["ROS_DOMAIN_ID"]))
            with node() as (me, spin):
                count = min(self.together, self.kills - len(remains))
                states = me.create_publisher(JointState, "/bench/states", reliable_qos(100))
                remains += self._round(states, spin, count, rng)
            worst_s = max(one.lost_s for one in remains)
            print(f"{len(remains)}/{self.kills}: {worst_s:.2f} s at most lost", flush=True)
        lost = [one.lost_s for one in remains]
        result = {
            "kills": self.kills,
            "unreadable": sum(not one.is_readable for one in remains),
            "empty": sum(one.is_readable and not one.messages for one in remains),
            "with_gaps": sum(not one.is_whole for one in remains),
            "lost_s_max": round(max(lost), 3),
            "lost_s_median": round(float(np.median(lost)), 3),
            "load_average": round(os.getloadavg()[0], 2),
        }
        print(result)
        if self.json is not None:
            words = f"{NAME} kill --kills {self.kills}"
            write_json(self.json, {**provenance(self.seed, words), **result})
        is_good = all(one.is_readable and one.is_whole for one in remains)
        return 0 if is_good and max(lost) <= 1.0 else 1

    def _round(
        self, states: Publisher, spin: Callable[[float], None], count: int, rng: random.Random
    ) -> Iterator[Remains]:
        """Kill ``count`` recorders in turn.

        Yields:
            What is left of each.
        """
        with tempfile.TemporaryDirectory(prefix="recording_bench") as folder:
            paths = [Path(folder) / f"{number}" / "kill.mcap" for number in range(count)]
            pattern = f"['{states.topic_name}']"
            recorders = [RecorderProcess(os.environ, output=path, topics=pattern) for path in paths]
            _wait(lambda: states.get_subscription_count() >= count)
            now_s = time.monotonic()
            ends_s = [now_s + rng.uniform(1.0, 4.0) for _ in recorders]
            # When each message was published. Now and then that takes a second, while Fast DDS
            # waits for a lock that a killed process holds; what was not sent cannot be lost.
            sent_s: list[float] = []
            killed: dict[int, int] = {}
            while len(killed) < count:
                sent_s.append(time.time())
                header = Header(stamp=to_time_msg(sent_s[-1]), frame_id=str(len(sent_s) - 1))
                states.publish(JointState(header=header, position=[0.0] * 4))
                for which, recorder in enumerate(recorders):
                    if which not in killed and time.monotonic() >= ends_s[which]:
                        killed[which] = len(sent_s)
                        recorder.kill()
                spin(1 / STATES_HZ)
            for which, path in enumerate(paths):
                yield _examine(path, states.topic_name, sent_s[: killed[which]])


@dataclass(frozen=True)
class Remains:
    """What a killed recorder leaves.

    Attributes:
        is_readable: the stock reader gets as far as to the cut, and ``recover`` to the end.
        messages: how many are in the file.
        is_whole: none is missing from the first that was published to the last.
        lost_s: from the last message in the file to the last that was sent before the kill.
    """

    is_readable: bool
    messages: int
    is_whole: bool
    lost_s: float


class RecorderProcess:
    """The recorder in a process of its own."""

    def __init__(self, environment: Mapping[str, str], **parameters: object) -> None:
        program = Path(get_package_prefix("asterias_nodes")) / "lib" / "asterias_nodes" / "recorder"
        command = [str(program), "--ros-args"]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={value}"]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)

    def cpu_s(self) -> float:
        """Return processor time so far."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def kill(self) -> None:
        """Without a chance to do anything."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> RecorderProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)


@dataclass(frozen=True)
class SyntheticCamera:
    """A publisher of noisy pictures."""

    publisher: Publisher
    topic: str
    pictures: tuple[ImageArray, ...]


@contextmanager
def node() -> Iterator[tuple[Node, Callable[[float], None]]]:
    """Open a node of this process.

    Yields:
        The node, and a function that serves it for some seconds.
    """
    rclpy.init()
    made = Node("recording_bench")
    executor = SingleThreadedExecutor()
    executor.add_node(made)

    def spin(seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0:
            executor.spin_once(timeout_sec=left_s)

    try:
        yield made, spin
    finally:
        executor.shutdown()
        made.destroy_node()
        rclpy.shutdown()


def _make_cameras(me: Node, small: int, large: int, seed: int) -> list[SyntheticCamera]:
    rng = np.random.default_rng(seed)
    cameras = []
    for number, (height, width) in enumerate([(96, 96)] * small + [(480, 640)] * large):
        topic = f"/bench/camera_{number}/image_raw"
        rows, columns = np.mgrid[0:height, 0:width]
        pictures = []
        for variant in range(VARIANTS):
            waves = 127 + 60 * np.sin(rows / 17 + variant) + 50 * np.cos(columns / 23 - variant)
            noisy = waves[..., None] + rng.normal(0, NOISE, (height, width, 3))
            pictures.append(np.clip(noisy, 0, 255).astype(np.uint8))
        publisher = me.create_publisher(Image, topic, sensor_qos(10))
        cameras.append(SyntheticCamera(publisher, topic, tuple(pictures)))
    return cameras


def _publish(
    cameras: list[SyntheticCamera], rate_hz: float, seconds: float
) -> tuple[Counter[str], int]:
    """Return the number of pictures of each topic published at the rate, and how many came late."""
    published: Counter[str] = Counter()
    late = 0
    step_s = 1.0 / (rate_hz * len(cameras))
    began_s = time.monotonic()
    for number in range(round(seconds / step_s)):
        wait_s = began_s + number * step_s - time.monotonic()
        late += wait_s < -1.0 / rate_hz
        time.sleep(max(wait_s, 0.0))
        camera = cameras[number % len(cameras)]
        picture = camera.pictures[number // len(cameras) % VARIANTS]
        camera.publisher.publish(to_image_msg(picture, to_time_msg(time.time()), "bench"))
        published[camera.topic] += 1
    return published, late


def _count(path: Path) -> Counter[str]:
    """Return pictures in a file, by the topic that was published."""
    (recording,) = find_recordings(path)
    return Counter(raw.topic.name.removesuffix("/compressed") for raw in recording.messages())


def _examine(path: Path, topic: str, sent_s: list[float]) -> Remains:
    """Return what is left of the messages that were sent before the kill, at these times."""
    try:
        with path.open("rb") as file:
            records = StreamReader(file).records
            for _ in records:
                pass
    except McapError:
        pass  # the stock reader meets the cut, as it should; what counts is what it read before
    clean = path.with_name("clean.mcap")
    try:
        recover(path, clean)
        (recording,) = find_recordings(clean)
        found = [int(content.header.frame_id) for _, content in recording.decoded({topic})]
    except AsteriasError as error:
        print(f"unreadable: {error}", file=sys.stderr)
        return Remains(False, 0, True, sent_s[-1] - sent_s[0])
    lost_s = sent_s[-1] - sent_s[found[-1] if found else 0]
    return Remains(True, len(found), found == list(range(len(found))), lost_s)


def _wait(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end_s:
            raise TimeoutError("The recorder did not subscribe; is the machine overloaded?")
        time.sleep(0.05)


Command = (
    Annotated[Load, tyro.conf.subcommand("load")] | Annotated[Kill, tyro.conf.subcommand("kill")]
)


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes recording_bench load|kill``."""
    command = tyro.cli(Command, prog="recording_bench", description=__doc__)
    # A domain of its own, so that nothing else on this machine is recorded.
    os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
    return command.run()


if __name__ == "__main__":
    sys.exit(main())
