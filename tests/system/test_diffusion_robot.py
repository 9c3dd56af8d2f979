"""A diffusion policy on a launched robot: ``/find_target`` and the node ``policy``, as measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(300)]
EPISODES = 2


def test_a_diffusion_policy_of_images_finds_by_action_and_by_node(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    words = ["--body", "sim", "--policies", "diffusion_images", "--node"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "asterias_nodes.target_finding.find_bench", *words),
            *("--episodes", str(EPISODES), "--required", str(EPISODES)),
            *("--folder", str(tmp_path / "runs"), "--json", str(out)),
        ],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    by_action, by_node = json.loads(out.read_text(encoding="utf-8"))["searches"]
    assert by_action["policy"] == "diffusion_images" and "node policy" in by_node["policy"]
    for search in (by_action, by_node):
        assert search["found"] == EPISODES and search["mean_steps_of_finds"] >= 1
        # Of the simulated robot, by its own clock.
        assert 49 < search["control_loop"]["rate_hz"] < 51
        assert search["control_loop"]["periods"] > 100
    assert sum(row["late_decisions"] for row in by_node["episodes"]) == 0
