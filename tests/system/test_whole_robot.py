"""The whole starfish over ROS 2: 48 cameras, detector, recorder and page, as ``bench --whole``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_all_cameras_of_the_launched_starfish_arrive(tmp_path: Path) -> None:
    out = tmp_path / "whole.json"
    words = ["--whole", "--viewer", "--robot", "starfish", "--seconds", "5", "--json", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "asterias_nodes.launch_bench", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(out.read_text())
    # Speed is the machine's affair; what the robot sent has to arrive.
    assert figures["cameras"] == figures["page"]["cameras"] == 48
    assert figures["share_of_taken"] > 0.9
    assert figures["fewest_of_a_camera"] > 0 and figures["recorded_bytes"] > 100_000
    assert {"sim_robot", "target_detector", "recorder", "dashboard"} <= set(figures["cores"])
    assert figures["exit_code"] == 0 and figures["left_behind"] == []
