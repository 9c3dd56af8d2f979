"""What the page shows of the robot: its parts (sent once) and its state (20 times a second)."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from asterias_interfaces.msg import TagDetections

from asterias_nodes.robot.emergency_stop_client import EmergencyStopClient
from asterias_nodes.runtime.conversions import to_seconds
from asterias_nodes.teleop.teleop_client import TeleopClient
from asterias_nodes.web.live import CameraKey
from asterias_nodes.web.node_services import RecorderRemote
from asterias_nodes.web.text import shortened
from asterias_nodes.web.web_driver import MAX_JOINT_RAD, WebDriver, is_measured
from hardware.description.robot import RobotDescription
from hardware.teleop.jogging import JogLimits

# A camera's tile shows the tag for this long after its detection.
SEEN_S = 0.5
# Corners beyond this lie outside of any picture.
MAX_CORNER_PX = 1e5
CORNER_NUMBERS = 8


class RobotView:
    """Parts and state of the robot as JSON.

    Args:
        robot: the description.
        clients: one teleoperation client per limb.
        stop: the emergency stop.
        driver: which page drives.
        recorder: whether an episode is being recorded.
        limits: how fast a person drives at speed 1.
    """

    def __init__(
        self,
        robot: RobotDescription,
        clients: Sequence[TeleopClient],
        stop: EmergencyStopClient,
        driver: WebDriver,
        recorder: RecorderRemote,
        limits: JogLimits,
    ) -> None:
        self._robot, self._clients, self._stop = robot, clients, stop
        self._driver, self._recorder, self._limits = driver, recorder, limits
        self._seen: dict[CameraKey, tuple[float, float, list[float]]] = {}
        self._cameras = {
            (f"limb_{i}", f"camera_{j}"): (i, j)
            for i, limb in enumerate(robot.limbs)
            for j in range(len(limb.live_cameras))
        }

    def on_detections(self, message: TagDetections) -> None:
        """Take where a camera sees the target; cameras that are not of this robot are ignored."""
        key = self._cameras.get((message.limb, message.camera))
        if key is None:
            return
        target = self._robot.target.id
        corners = [list(map(float, d.corners_px)) for d in message.detections if d.id == target]
        usable = [
            one
            for one in corners
            if len(one) == CORNER_NUMBERS and all(abs(x) < MAX_CORNER_PX for x in one)
        ]
        if usable:
            self._seen[key] = (time.monotonic(), to_seconds(message.header.stamp), usable[0])
        else:
            self._seen.pop(key, None)

    def hello(self) -> str:
        """Return the JSON of what does not change: limbs, joints, cameras, speeds."""
        shape = {
            "t": "hello",
            "robot": self._robot.name,
            "limbs": [self._shape(i) for i in range(len(self._robot.limbs))],
            "tip_speed": self._limits.tip_speed_m_s,
        }
        return json.dumps(shape, allow_nan=False)

    def state(self) -> str:
        """Return the JSON of what changes; always valid, whatever other nodes have sent."""
        now = time.monotonic()
        seen = {
            f"{i}_{j}": {"stamp": stamp_s, "corners": corners}
            for (i, j), (seen_s, stamp_s, corners) in self._seen.items()
            if now - seen_s < SEEN_S
        }
        state: dict[str, Any] = {
            "t": "state",
            "stop": self._stop.is_engaged if self._stop.is_known else None,
            "driver": self._driver.holder,
            "recording_s": self._recording_s(),
            "seen": seen,
            "limbs": [self._limb_state(i) for i in range(len(self._clients))],
        }
        return json.dumps(state, allow_nan=False)

    def _recording_s(self) -> float | None:
        status = self._recorder.status
        if status is None or not self._recorder.is_recording:
            return None
        seconds = float(status.episode.seconds)
        return round(seconds, 1) if 0.0 <= seconds < 1e9 else 0.0

    def _shape(self, number: int) -> dict[str, Any]:
        limb = self._robot.limbs[number]
        return {
            "name": limb.name,
            "joints": [
                {"name": j.name, "limits": j.limits_rad, "home": j.home_rad} for j in limb.joints
            ],
            "cameras": [
                {"name": c.name, "width": c.width_px, "height": c.height_px}
                for c in limb.live_cameras
            ],
        }

    def _limb_state(self, number: int) -> dict[str, Any]:
        client = self._clients[number]
        owner = shortened(client.active_source)
        measured = client.measured_rad
        if measured is None or not is_measured(client):
            return {"heard": False, "owner": owner}
        names = [hinge.name for hinge in client.limb.body.hinges]
        known = np.array([client.joint_state.get(name, np.nan) for name in names])
        # A real limb does not measure its flexible links: they are drawn at rest.
        is_known = bool((np.abs(known) < MAX_JOINT_RAD).all())
        hinges = known if is_known else client.kinematics.hinges(measured)
        rotations, shifts = client.kinematics.link_poses(hinges)
        tip = client.kinematics.tip_of_hinges(hinges)
        return {
            "heard": True,
            "owner": owner,
            "joints": np.round(measured, 4).tolist(),
            "tip": np.round(tip, 4).tolist(),
            "rotations": np.round(rotations.reshape(len(names), 9), 4).tolist(),
            "shifts": np.round(shifts, 4).tolist(),
        }
