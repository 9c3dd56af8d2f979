"""A kind of camera of an installed package is used by name in a description as our own are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PLUGIN = """
import time
from typing import Literal
import numpy as np
from hardware.cameras.settings import CameraSettings
from hardware.cameras.stream import FrameSource, Grab

class GreySource(FrameSource):
    def __init__(self, description, level):
        self.shape = (description.height_px, description.width_px, 3)
        self.level = level
    def open(self): pass
    def grab(self, timeout_s):
        time.sleep(0.02)
        return Grab(np.full(self.shape, self.level, np.uint8))
    def close(self): pass

class GreySettings(CameraSettings):
    type: Literal["grey"] = "grey"
    level: int
    def open(self, description, bus):
        return GreySource(description, self.level)

class Unfinished(CameraSettings):
    type: Literal["bad"] = "bad"
"""
USE = """
import logging
logging.basicConfig()
from asterias.errors import DescriptionError
from hardware.camera_kinds import CAMERA_KINDS
from hardware.description.robot import load_robot, parse_robot
from hardware.factory import make_camera
print(*CAMERA_KINDS.names())
robot = load_robot("limb_p1")
data = robot.model_dump(mode="json", exclude_none=True)
limb = robot.limbs[0]
cameras = {camera.name: {"type": "grey", "level": 7} for camera in limb.cameras}
servos = {joint.name: {"id": i, "model": "node"} for i, joint in enumerate(limb.joints)}
devices = {"bus": {"type": "udp"}, "servos": servos, "cameras": cameras}
data["backend"] = {"type": "devices", "limbs": {limb.name: devices}}
robot = parse_robot(data)
with make_camera(robot, robot.limbs[0], robot.limbs[0].live_cameras[0]) as camera:
    print(camera.read_next(5.0).image.max())
del next(iter(cameras.values()))["level"]
try:
    parse_robot(data)
except DescriptionError as error:
    print(error)
"""


def test_a_kind_of_an_installed_package_is_used_and_a_broken_one_skipped(tmp_path: Path) -> None:
    (tmp_path / "acme_cameras.py").write_text(PLUGIN)
    about = tmp_path / "acme_cameras-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-cameras\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[asterias.cameras]\ngrey = acme_cameras:GreySettings\nbad = acme_cameras:Unfinished\n"
    )
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{USE}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    names, level, mistake = [*done.stdout.splitlines(), "", "", ""][:3]
    assert names == "mjpeg usb replay udp grey", done.stderr
    assert level == "7", done.stderr
    assert mistake.endswith(".level: this key is missing; add a number."), done.stderr
    assert done.stderr.count("'bad' of the package acme-cameras is left out") == 1
    assert "Traceback" not in done.stderr
