"""Launch files as users type them: the demo, clean ends, and mistakes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from asterias_interfaces.srv import InjectFault
from rclpy.qos import qos_profile_sensor_data
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image
from tf_tree import unknown_frames

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(180)
def test_the_demo_leaves_recording_picture_and_summary(
    launch: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "demo"
    arguments = ("episodes:=2", "required:=2", "seed:=3", f"out:={out}")
    run = launch("launch/demo.launch.xml", *arguments)
    assert run.wait(120) == 0, run.text
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["passed"] and summary["found"] == 2
    assert summary["policy"] == "ppo_kill0"
    assert [episode["episode"] for episode in summary["episodes"]] == [1, 2]
    picture = cv2.imread(str(out / "contact_sheet.png"))
    assert picture is not None and picture.shape[0] > 150
    assert "found 2 of 2" in run.text
    assert "s left" in run.text
    verdict = [sys.executable, "-m", "learning", "verdict", str(out)]
    assert subprocess.run(verdict, cwd=ROOT, check=False).returncode == 0
    with AnyReader([out]) as reader:
        counts = {topic: about.msgcount for topic, about in reader.topics.items()}
    for topic in ("/limb_0/joint_states", "/limb_0/camera_2/image_raw", "/target/detections"):
        assert counts[topic] > 10, counts
    unknown, named = unknown_frames(out, "base_link", early_s=0.02)
    assert unknown == []
    assert named == {f"limb_0_camera_{j}_optical_frame" for j in range(4)}


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_demo_below_its_goal_has_the_verdict_failed(
    launch: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "demo"
    run = launch("launch/demo.launch.xml", "episodes:=1", "required:=2", f"out:={out}")
    run.wait(100)
    assert "2 are required" in run.text
    verdict = [sys.executable, "-m", "learning", "verdict", str(out)]
    assert subprocess.run(verdict, cwd=ROOT, check=False).returncode == 1


def slow(*values: Any) -> Any:
    """Return a case that ``make test`` leaves out."""
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (("asterias_bringup", "sim.launch.xml"), signal.SIGINT),  # the installed package, by name
        slow(("launch/sim.launch.xml",), signal.SIGTERM),
    ],
    ids=["SIGINT", "SIGTERM"],
)
def test_a_launch_refuses_faults_ends_cleanly_and_leaves_nothing_behind(
    launch: Callable[..., Any], client: Any, words: tuple[str, ...], number: signal.Signals
) -> None:
    images = client.collect(Image, "/limb_0/camera_0/image_raw", qos_profile_sensor_data)
    run = launch(*words)
    client.until(lambda: images)
    answer = client.call(InjectFault, "/limb_0/inject_fault", component="camera_0", fault="stuck")
    assert not answer.success
    assert "enable_faults:=true" in answer.message
    children = run.children()
    assert len(children) == 5
    assert run.stop(number) == 0, run.text
    assert not [child for child in children if child.is_running()]
    assert "Traceback" not in run.text
    assert run.text.count("finished cleanly") == 5, run.text


@pytest.mark.slow
def test_pybullet_moves_a_launched_limb(launch: Callable[..., Any], client: Any) -> None:
    images = client.collect(Image, "/limb_0/camera_0/image_raw", qos_profile_sensor_data)
    run = launch("launch/sim.launch.xml", "engine:=pybullet")
    client.until(lambda: images)
    assert run.stop() == 0, run.text
    assert "moved by PyBullet" in run.text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("robot:=limb_p2",), "did you mean 'limb_p1'?"),
        # One launch shows how a refusal ends it; these words are tested without one, too.
        slow(("real_time_factor:=-1.0",), "real_time_factor must be 0"),
        slow(("renderer:=egl",), "set backend.renderer to raster"),
        slow(("engine:=mujoco",), "There is no engine 'mujoco': choose one of asterias, pybullet"),
    ],
)
def test_a_robot_that_cannot_start_ends_the_launch_with_one_sentence(
    launch: Callable[..., Any], arguments: tuple[str, ...], sentence: str
) -> None:
    run = launch("launch/sim.launch.xml", *arguments)
    run.wait(30)
    mistakes = [
        line for line in run.text.splitlines() if line.startswith("[sim_robot-1] sim_robot")
    ]
    assert len(mistakes) == 1, run.text
    assert sentence in mistakes[0]
    assert "Traceback" not in run.text


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_policy_is_trained_by_a_launch_and_used_by_another(
    launch: Callable[..., Any], tmp_path: Path
) -> None:
    out, found = tmp_path / "trained", tmp_path / "found"
    goal = ("faults:=kill1", "steps:=75", "seed:=4", "options:=['--processes', '1']")
    run = launch("launch/train.launch.xml", *goal, f"out:={out}")
    assert run.wait(120) == 0, run.text
    assert "Trained for 75 steps" in run.text and (out / "policy.safetensors").is_file()
    search = ("faults:=kill1", f"policy:={out}", "seed:=4", "real_time_factor:=5.0")
    run = launch("launch/find_target.launch.xml", *search, f"out:={found}")
    assert run.wait(120) == 0, run.text
    summary = json.loads((found / "summary.json").read_text(encoding="utf-8"))
    (episode,) = summary["episodes"]
    assert episode["policy"] == str(out) and len(episode["broken_cameras"]) == 1
    assert episode["found"] == (episode["camera"] not in ("", *episode["broken_cameras"]))


def test_a_training_that_cannot_start_ends_the_launch_with_one_sentence(
    launch: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run = launch("launch/train.launch.xml", "options:=['--seed', '7']", f"out:={out}")
    run.wait(60)
    mistakes = [line for line in run.text.splitlines() if "'--seed' is a field of the" in line]
    assert len(mistakes) == 1 and "Traceback" not in run.text, run.text
