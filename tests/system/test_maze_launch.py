"""The maze launch file as users start it: mazes are planned, driven, drawn and summed up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from rosbags.highlevel import AnyReader
from tf_tree import unknown_frames

pytestmark = pytest.mark.system


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_robot_is_planned_and_driven_through_mazes(
    launch: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "maze"
    arguments = ("size:=11", "planner:=dt_vin", "seed:=3", "mazes:=2", "real_time_factor:=25")
    run = launch("launch/maze.launch.xml", *arguments, f"out:={out}")
    assert run.wait(90) == 0, run.text
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["passed"] and summary["reached"] == summary["optimal"] == 2
    assert "size:=11 planner:=dt_vin seed:=3 mazes:=2" in summary["command"]
    for number, maze in enumerate(summary["mazes"]):
        assert maze["seed"] == 3 + number and maze["status"] == "optimal"
        assert maze["steps"] == maze["shortest_steps"] > 5
        # Cells of half a metre; corners are cut a little.
        assert 0.4 * maze["steps"] < maze["driven_m"] <= 0.5 * maze["steps"]
        assert maze["layers"] == 200 and 0 < maze["planning_s"] < 10
        picture = cv2.imread(str(out / f"maze_{number + 1}.png"))
        assert picture is not None and min(picture.shape[:2]) > 500
    assert "reached 2 of 2" in run.text and "s left" in run.text
    unknown, named = unknown_frames(out, "map", early_s=0.05)
    assert unknown == [] and named == {"map"}
    with AnyReader([out]) as reader:
        counts = {topic: about.msgcount for topic, about in reader.topics.items()}
    assert counts["/robot_description"] == counts["/tf_static"] == 1
    assert counts["/tf"] > 100 and counts["/odom"] > 100, counts
    assert "Traceback" not in run.text
    assert run.text.count("finished cleanly") == 5, run.text
