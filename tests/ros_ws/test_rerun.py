"""A recording of the robot opened by Rerun: its transforms, and its shapes from the URDF.

Run where ``rerun`` (extra ``rerun``) is a command, or ``ASTERIAS_RERUN`` names it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from std_msgs.msg import String

from asterias_nodes.runtime.message_definitions import message_definition
from asterias_nodes.transforms.transform_messages import TurningTransforms, to_static_msg
from hardware.description.frames import frames_of
from hardware.description.robot import load_robot
from hardware.description.urdf import urdf_of
from learning.recordings.bags.bag_writer import BagWriter, Topic

RERUN = os.environ.get("ASTERIAS_RERUN") or shutil.which("rerun")
STAMPS = 40
TF, TEXT = "tf2_msgs/msg/TFMessage", "std_msgs/msg/String"
ROWS = re.compile(r"with (\d+) rows .* - (\S+) - data columns: \[(.*)\]")


def record(path: Path) -> int:
    """Write a moving limb; the number of joints that move."""
    robot = load_robot("limb_p1")
    tree = frames_of(robot)
    with_text = {name: message_definition(name) for name in (TF, TEXT)}
    writer = BagWriter(path)
    for topic, kind in (("/tf", TF), ("/tf_static", TF), ("/robot_description", TEXT)):
        writer.add_topic(Topic(topic, kind, with_text[kind]))
    second = 1_000_000_000
    writer.write("/tf_static", serialize_message(to_static_msg(tree.fixed)), second, second)
    description = serialize_message(String(data=urdf_of(robot)))
    writer.write("/robot_description", description, second, second)
    transforms = TurningTransforms(tree.turning)
    for i in range(STAMPS):
        angles = np.full(len(tree.turning), 0.01 * i)
        message = transforms.at(Time(sec=1, nanosec=20_000_000 * i), angles)
        time_ns = second + 20_000_000 * i
        writer.write("/tf", serialize_message(message), time_ns, time_ns)
    writer.close()
    return len(tree.turning)


@pytest.mark.skipif(RERUN is None, reason="rerun is not installed")
def test_rerun_reads_the_transforms_and_shapes_of_a_recording(tmp_path: Path) -> None:
    joints = record(tmp_path / "limb.mcap")
    convert = [RERUN, "mcap", "convert", "limb.mcap", "-o", "limb.rrd"]
    subprocess.run(convert, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    show = [RERUN, "rrd", "print", "limb.rrd"]
    done = subprocess.run(
        show, cwd=tmp_path, check=True, capture_output=True, timeout=60, text=True
    )
    rows: dict[str, int] = {}
    for count, entity, columns in ROWS.findall(done.stdout):
        if "Transform3D:child_frame" in columns or "Boxes3D:half_sizes" in columns:
            rows[entity] = rows.get(entity, 0) + int(count)
    assert rows["/tf"] == STAMPS * joints
    assert rows["/tf_static"] == 9, "the limb's root, and four cameras with optical frames"
    assert any(entity.endswith("limb_0_finger_tip/visual_0") for entity in rows), rows
