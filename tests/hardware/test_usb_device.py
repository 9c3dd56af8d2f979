"""What is special about USB cameras; run by ``test_usb_camera.py``, where there is a device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from hardware.cameras.health import CameraState

if TYPE_CHECKING:
    from tests.hardware.conftest import UsbRig


def wait_until(condition: Callable[[], bool]) -> None:
    """Devices take their time."""
    deadline_s = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_usb_controls_of_the_description_are_set(usb_rig: UsbRig) -> None:
    usb_rig.camera.read_next(10.0)
    wait_until(lambda: 77 in usb_rig.device.told)


def test_usb_camera_that_is_pulled_out_is_opened_anew(usb_rig: UsbRig) -> None:
    usb_rig.camera.read_next(10.0)
    usb_rig.device.pull()
    wait_until(lambda: usb_rig.camera.reconnects > 0)
    wait_until(lambda: usb_rig.camera.health().state is CameraState.OK)
