"""The node state_estimator: pictures in, joints with a spread and a tip out."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from geometry_msgs.msg import PoseWithCovarianceStamped
from sensor_msgs.msg import Image, JointState

from asterias_nodes.runtime.conversions import to_image_msg, to_seconds, to_time_msg
from asterias_nodes.runtime.qos import reliable_qos, sensor_qos
from hardware.description.robot import load_robot
from learning.fast_weights.estimation.encoder import CameraEncoder
from learning.fast_weights.estimation.estimator import ESTIMATOR_FILE, TrainedEstimator
from learning.fast_weights.estimation.models import SEQUENCE_MODELS
from learning.fast_weights.estimation.training import ranges_of

ROBOT = load_robot("limb_p1")
# A node that imports torch, on a machine that runs other tests, too.
WAIT_S = 120.0
NAMES = [joint.name for joint in ROBOT.limbs[0].joints]


def write_untrained(folder: Path) -> None:
    """Write an estimator that was never trained; what it says is finite and within the limits."""
    torch.manual_seed(0)
    ranges = ranges_of(ROBOT, 0)
    card = {"model": "delta_ode", "joints": NAMES, "cameras": 4}
    card |= {"lower_rad": (-ranges.half).tolist(), "upper_rad": ranges.half.tolist()}
    networks = CameraEncoder(4, 4), SEQUENCE_MODELS.get("delta_ode")(4, 4)
    TrainedEstimator(*networks, tuple(NAMES), ranges, card).save(folder / ESTIMATOR_FILE)


def now_s(peer: Any) -> float:
    """The clock of the peer, which is the machine's."""
    return float(peer.node.get_clock().now().nanoseconds) * 1e-9


def test_pictures_become_joints_with_a_spread_and_a_tip(
    start_node: Callable[..., Any], peer: Any, tmp_path: Path
) -> None:
    write_untrained(tmp_path)
    process = start_node("state_estimator", estimator=tmp_path)
    heard: dict[str, list[Any]] = {"states": [], "std": [], "tip": []}
    listen = peer.node.create_subscription
    prefix = "/limb_0/estimated"
    listen(JointState, f"{prefix}_joint_states", heard["states"].append, reliable_qos())
    listen(JointState, f"{prefix}_joint_std", heard["std"].append, reliable_qos())
    listen(PoseWithCovarianceStamped, f"{prefix}_tip", heard["tip"].append, reliable_qos())
    cameras = [
        peer.node.create_publisher(Image, f"/limb_0/camera_{j}/image_raw", sensor_qos())
        for j in range(4)
    ]
    peer.wait_until(lambda: all(camera.get_subscription_count() for camera in cameras), WAIT_S)
    peer.spin(0.3)
    assert not heard["states"], "nothing was seen"
    rng = np.random.default_rng(0)

    def show() -> bool:
        # Of three cameras only, and the second 50 ms late.
        for j, late_s in ((0, 0.0), (1, 0.05), (3, 0.0)):
            picture = rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)
            stamp = to_time_msg(now_s(peer) - late_s)
            cameras[j].publish(to_image_msg(picture, stamp, f"limb_0_camera_{j}"))
        return min(map(len, heard.values())) >= 10

    peer.wait_until(show, WAIT_S)
    states, std, tip = (entries[-1] for entries in heard.values())
    assert list(states.name) == NAMES == list(std.name)
    assert np.abs(states.position).max() <= 1.5708 and min(std.position) > 0.0
    assert abs(to_seconds(states.header.stamp) - now_s(peer)) < 5.0
    assert tip.header.frame_id == "base_link" and tip.pose.covariance[0] > 0.0
    stamps = [to_seconds(message.header.stamp) for message in heard["states"]]
    assert stamps == sorted(stamps)
    process.send(signal.SIGINT)
    assert process.wait(WAIT_S).status == 0


def test_an_estimator_of_another_limb_is_one_sentence(
    start_node: Callable[..., Any], tmp_path: Path
) -> None:
    # One that is not there is a case of tests/learning/fast_weights: a node loads PyTorch first.
    write_untrained(tmp_path)
    outcome = start_node("state_estimator", estimator=tmp_path, robot="starfish").wait(WAIT_S)
    assert outcome.status != 0 and "train one with" in outcome.stderr, outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_bench_counts_estimates_of_a_launched_robot(tmp_path: Path) -> None:
    out = tmp_path / "estimator.json"
    words = ["--estimator", "--seconds", "2", "--json", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "asterias_nodes.launch_bench", *words],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(out.read_text())
    # Speed is the machine's affair.
    assert figures["estimates_hz"] > 5.0 and figures["cores"] > 0.0
    assert figures["latency_p95_median_ms"] > 0.0 and figures["left_behind"] == []
