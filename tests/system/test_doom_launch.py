"""The ViZDoom launch file as users start it; the game is killed in the middle of the run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from tf_tree import unknown_frames

pytestmark = pytest.mark.system


def kill_game(run: Any) -> None:
    """Kill the game's process as soon as the robot walks."""
    deadline_s = time.monotonic() + 60
    while "walking:" not in run.text and time.monotonic() < deadline_s:
        time.sleep(0.05)
    for process in run.children():
        if process.name() == "vizdoom":
            process.kill()


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_the_robot_walks_to_the_goal_though_the_game_dies(
    launch: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "doom"
    arguments = (
        "size:=13",
        "planner:=dt_vin",
        "seed:=2",
        "mazes:=2",
        "openness:=0.1",
        "record:=true",
    )
    run = launch("launch/doom.launch.xml", *arguments, f"out:={out}")
    kill_game(run)
    assert run.wait(100) == 0, run.text
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["passed"] and summary["reached"] == 2, run.text
    assert summary["views"] == "all"
    assert "size:=13 planner:=dt_vin views:=all seed:=2 mazes:=2" in summary["command"]
    assert summary["frames_per_s"] > 1 and 0 < summary["planning_s_per_plan"] < 10
    for number, maze in enumerate(summary["mazes"]):
        assert maze["seed"] == 2 + number and maze["reached"]
        assert maze["steps"] >= maze["shortest_steps"] > 5 and maze["plans"] >= 1
    assert "The game process had died and was started again" in run.text
    assert summary["game_restarts"] >= 1
    assert cv2.imread(str(out / "contact_sheet.png")) is not None
    video = cv2.VideoCapture(str(out / "run.mp4"))
    assert video.isOpened() and video.get(cv2.CAP_PROP_FRAME_COUNT) > 5
    unknown, named = unknown_frames(out, "map", early_s=0.05)
    assert unknown == [] and named == {"map", "camera_optical_frame"}
    assert "Traceback" not in run.text
    assert "[doom_world-1]: process has finished cleanly" in run.text, run.text
