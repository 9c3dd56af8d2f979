"""``ros2 launch launch/teleop.launch.xml`` in a terminal, as a person types it."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rclpy.qos import qos_profile_sensor_data
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image, JointState, Joy
from std_msgs.msg import Bool

pytestmark = [pytest.mark.system, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]


class TerminalLaunch:
    """``ros2 launch`` whose standard input is a terminal."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.far, near = pty.openpty()
        self.log = folder / "launch.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["ros2", "launch", "launch/teleop.launch.xml", *arguments],
                cwd=ROOT,
                stdin=near,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        os.close(near)
        self.shown = ""

    def look(self) -> str:
        """What the terminal shows."""
        while select.select([self.far], [], [], 0)[0]:
            self.shown += os.read(self.far, 65536).decode(errors="replace")
        return self.shown

    def end(self) -> int:
        """Exit code, within a while."""
        try:
            return self._process.wait(15.0)
        finally:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """End it, if it still runs."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        self.end()
        os.close(self.far)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[TerminalLaunch]:
    arguments = ("source:=keyboard", "record:=true", f"out:={tmp_path}/drive")
    made = TerminalLaunch(tmp_path, *arguments)
    yield made
    made.close()


def test_a_person_launches_drives_and_ends_from_one_terminal(
    driver: TerminalLaunch, client: Any, tmp_path: Path
) -> None:
    states = client.collect(JointState, "/limb_0/joint_states")
    pictures = client.collect(Image, "/limb_0/camera_0/image_raw", qos_profile_sensor_data)
    client.until(lambda: "moved by nobody" in driver.look())
    client.until(lambda: states)
    before = states[-1].position[1]
    end_s = time.monotonic() + 20.0
    while states[-1].position[1] < before + 0.2 and time.monotonic() < end_s:
        os.write(driver.far, b"w")
        states.clear()
        client.until(lambda: states)
    assert states[-1].position[1] > before + 0.2
    client.until(lambda: len(pictures) > 10)
    os.write(driver.far, b"\x1b")
    assert driver.end() == 0, driver.log.read_text()
    assert "Traceback" not in driver.log.read_text()
    with AnyReader([tmp_path / "drive"]) as reader:
        counts = {topic: about.msgcount for topic, about in reader.topics.items()}
    assert counts["/limb_0/sources/keyboard"] > 5 and counts["/limb_0/camera_0/image_raw"] > 5


# Per source: the topics that a person's devices feed, and what they say while yaw is to grow.
DEVICES: dict[str, dict[str, Any]] = {
    "gamepad": {"/joy": Joy(axes=[1.0] + 5 * [0.0], buttons=[int(n == 9) for n in range(15)])},
    "leader": {
        "/leader/joint_states": JointState(
            name=["shoulder_yaw", "shoulder_pitch", "wrist_roll", "finger"],
            position=[0.5, 0.0, 0.0, 0.0],
        ),
        "/teleop_leader/deadman": Bool(data=True),
    },
}


@pytest.mark.parametrize(("source", "body"), [("gamepad", "udp"), ("leader", "feetech")])
def test_other_sources_drive_other_bodies(
    launch: Callable[..., Any], client: Any, tmp_path: Path, source: str, body: str
) -> None:
    where = ("record:=true", f"out:={tmp_path}/drive", "deadman:=topic")
    launched = launch("launch/teleop.launch.xml", f"source:={source}", f"body:={body}", *where)
    states = client.collect(JointState, "/limb_0/joint_states")
    pictures = client.collect(Image, "/limb_0/camera_0/image_raw", qos_profile_sensor_data)
    devices = {
        topic: client.node.create_publisher(type(message), topic, 10)
        for topic, message in DEVICES[source].items()
    }
    client.until(lambda: states and all(d.get_subscription_count() for d in devices.values()))
    yaw = list(states[0].name).index("shoulder_yaw")
    before = states[-1].position[yaw]

    def has_turned() -> bool:
        for topic, device in devices.items():
            device.publish(DEVICES[source][topic])
        time.sleep(0.02)
        return bool(states[-1].position[yaw] > before + 0.2)

    client.until(has_turned)
    client.until(lambda: len(pictures) > 10)
    assert launched.stop() == 0, launched.text
    assert "Traceback" not in launched.text
    with AnyReader([tmp_path / "drive"]) as reader:
        counts = {topic: about.msgcount for topic, about in reader.topics.items()}
    assert counts["/limb_0/camera_0/image_raw"] > 5
    assert any(counts[t] > 5 for t in counts if t.startswith(f"/limb_0/sources/{source}"))
