"""A robot of ten lines, launched as people launch it: simulated, emulated, driven by a person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import run_here
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState, Joy

pytestmark = [pytest.mark.system, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
ROBOT = "examples/pan_tilt.yaml"
# Both sticks of a game pad to the left, with the button held that lets it drive.
PAD = Joy(axes=[1.0] + 5 * [0.0], buttons=[int(n == 9) for n in range(15)])


@pytest.mark.parametrize("body", [("body:=sim",), ("body:=emulated", "family:=feetech")])
def test_it_is_driven_and_sees(
    launch: Callable[..., Any], client: Any, tmp_path: Path, body: tuple[str, ...]
) -> None:
    words = (f"robot:={ROBOT}", "source:=gamepad", *body, f"out:={tmp_path}/drive")
    launched = launch("launch/teleop.launch.xml", *words)
    states = client.collect(JointState, "/limb_0/joint_states")
    pictures = client.collect(Image, "/limb_0/camera_0/image_raw", qos_profile_sensor_data)
    pad = client.node.create_publisher(Joy, "/joy", 10)
    client.until(lambda: states and pad.get_subscription_count())
    assert list(states[0].name) == ["pan", "tilt"]
    before = states[-1].position[0]

    def has_turned() -> bool:
        pad.publish(PAD)
        return bool(abs(states[-1].position[0] - before) > 0.2)

    client.until(has_turned)
    client.until(lambda: pictures)
    assert launched.stop() == 0, launched.text
    assert "Traceback" not in launched.text


def test_the_doctor_is_content_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = ("--robot", ROBOT, "--backend", "emulated", "--family", "feetech")
    done = run_here("hardware", "doctor", *words)
    assert done.returncode == 0, done.stdout
    parts = [line[6:].partition(":")[0] for line in done.stdout.splitlines()]
    assert {"head calibration", "head bus", "head pan", "head tilt", "head eye"} <= set(parts)
