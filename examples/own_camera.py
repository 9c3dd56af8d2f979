"""Use a camera that nobody has written a driver for: one class, and descriptions know it by name.

    python examples/own_camera.py

Here it is a camera of test pictures. Opening it again when it falls silent, time-outs, health and
injected faults come with the base classes.
"""

from __future__ import annotations

import time
from typing import Literal

import numpy as np

from hardware.camera_kinds import CAMERA_KINDS
from hardware.cameras.settings import CameraSettings
from hardware.cameras.stream import FrameSource, Grab
from hardware.description.buses import BusSettings
from hardware.description.limb import CameraDescription


class StripesSource(FrameSource):
    """Stripes that wander, at the camera's rate."""

    def __init__(self, description: CameraDescription, stripe_px: int) -> None:
        self._about, self._stripe_px = description, stripe_px

    def open(self) -> None:
        """Open nothing."""

    def grab(self, timeout_s: float) -> Grab:
        """Return the next picture, ``(H, W, 3)`` RGB, when its time has come."""
        time.sleep(1.0 / self._about.rate_hz)
        columns = np.arange(self._about.width_px) + int(100 * time.monotonic())
        row = np.where(columns // self._stripe_px % 2, 255, 40).astype(np.uint8)
        shape = (self._about.height_px, self._about.width_px, 3)
        return Grab(np.broadcast_to(row[None, :, None], shape).copy())

    def close(self) -> None:
        """Close nothing."""


class StripesSettings(CameraSettings):
    """``{type: stripes, stripe_px: 8}`` in a robot description."""

    type: Literal["stripes"] = "stripes"
    stripe_px: int = 8

    def open(self, description: CameraDescription, bus: BusSettings) -> FrameSource:
        """Return the source of the pictures."""
        return StripesSource(description, self.stripe_px)


CAMERA_KINDS.register("stripes", StripesSettings)

# Descriptions know the kinds that are registered when they are imported.
from hardware.description.robot import parse_robot  # noqa: E402
from hardware.factory import make_camera  # noqa: E402

ROBOT = {
    "name": "head",
    "limbs": [
        {
            "name": "head",
            "joints": [{"name": "pan", "servo": "sts3215"}],
            "cameras": [{"name": "eye"}],
        }
    ],
    "backend": {
        "type": "devices",
        "limbs": {
            "head": {
                "bus": {"type": "feetech", "port": "/dev/ttyACM0"},
                "cameras": {"eye": {"type": "stripes", "stripe_px": 12}},
            }
        },
    },
}


def main() -> None:
    """Take three pictures through the driver, and print their size and health."""
    robot = parse_robot(ROBOT)
    limb = robot.limbs[0]
    with make_camera(robot, limb, limb.cameras[0]) as camera:
        frames = [camera.read_next(timeout_s=10.0) for _ in range(3)]
        print("Pictures", frames[-1].image.shape, "and the camera is", camera.health().state.value)


if __name__ == "__main__":
    main()
