"""A robot with real (emulated) devices, recorded: every frame has its place at every stamp."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builtin_interfaces.msg import Duration
from control_msgs.action import FollowJointTrajectory
from rclpy.action import ActionClient
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import JointState
from tf2_msgs.msg import TFMessage
from tf_tree import unknown_frames
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

pytestmark = pytest.mark.system

RECORD = "from asterias_nodes.recording.recorder import main; raise SystemExit(main())"


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_frames_of_a_robot_with_devices_are_recorded_with_its_pictures(
    launch: Callable[..., Any], client: Any, tmp_path: Path
) -> None:
    run = launch("launch/robot.launch.xml", "robot:=limb_p1", "emulate:=feetech")
    moves = client.collect(TFMessage, "/tf", 100)
    client.until(lambda: len(moves) > 20)
    joints = client.collect(JointState, "/joint_states")
    out = tmp_path / "recording"
    command = [sys.executable, "-c", RECORD, "--ros-args", "-p", f"output:={out}/recording.mcap"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as recorder:
        client.until(lambda: (out / "recording.mcap").exists())
        seen = len(joints)
        client.until(lambda: len(joints) > seen + 200)
        recorder.terminate()
        assert recorder.wait(20) == 0
    names = [f"limb_0_{name}" for name in ("shoulder_yaw", "finger", "finger_1", "finger_3")]
    assert set(names) <= set(joints[-1].name), "flexible links, which no servo measures, too"
    # Cameras may have started before the limb: their first pictures have no joints at their stamp.
    unknown, named = unknown_frames(out, "base_link", early_s=3.0)
    assert unknown == []
    assert named == {f"limb_0_camera_{j}_optical_frame" for j in range(4)}
    with AnyReader([out]) as reader:
        counts = {topic: about.msgcount for topic, about in reader.topics.items()}
    assert counts["/robot_description"] == counts["/tf_static"] == 1, counts
    assert follow(client, 0.4).error_code == FollowJointTrajectory.Result.SUCCESSFUL
    assert joints[-1].position[joints[-1].name.index("limb_0_shoulder_yaw")] > 0.3
    assert run.stop() == 0, run.text
    assert "Traceback" not in run.text


def follow(client: Any, yaw_rad: float) -> FollowJointTrajectory.Result:
    """The result of moving one joint as MoveIt does."""
    action = ActionClient(client.node, FollowJointTrajectory, "/limb_0/follow_joint_trajectory")
    client.until(action.server_is_ready)
    point = JointTrajectoryPoint(positions=[yaw_rad], time_from_start=Duration(sec=1))
    path = JointTrajectory(joint_names=["limb_0_shoulder_yaw"], points=[point])
    sent = action.send_goal_async(FollowJointTrajectory.Goal(trajectory=path))
    client.until(sent.done)
    ended = sent.result().get_result_async()
    client.until(ended.done)
    action.destroy()
    return ended.result().result
