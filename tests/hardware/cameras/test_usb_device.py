"""What is special about USB cameras; run by ``test_usb_camera.py``, where there is a device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from hardware.cameras.health import CameraState
from hardware.faults.words import Fault

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
    wait_until(lambda: usb_rig.camera.health().reconnects > 0)
    wait_until(lambda: usb_rig.camera.health().state is CameraState.OK)


EXPECTED = {
    Fault.OK: {CameraState.OK},
    Fault.OFF: {CameraState.SILENT},
    Fault.STUCK: {CameraState.FROZEN},
    Fault.GARBAGE: {CameraState.CORRUPT},
    Fault.WRONG: {CameraState.CORRUPT},
    Fault.SLOW: {CameraState.SLOW},
    # A device has no clock of its own that OpenCV would tell: pictures that come late look young.
    Fault.DELAYED: {CameraState.OK, CameraState.SILENT},
    Fault.INTERMITTENT: {CameraState.UNSTEADY, CameraState.SLOW},
}


def test_each_failure_of_a_usb_camera_gets_its_name_within_a_second(usb_rig: UsbRig) -> None:
    camera, pictures = usb_rig.camera, usb_rig.device.pictures
    camera.read_next(10.0)
    time.sleep(1.0)
    for word, states in EXPECTED.items():
        pictures.inject(word, 0.5 if word is Fault.INTERMITTENT else None)
        start_s = time.monotonic()
        wait_until(lambda states=states: camera.health().state in states)  # type: ignore[misc]
        assert time.monotonic() - start_s <= 1.0, word
        pictures.inject(Fault.OK)
        wait_until(lambda: camera.health().state is CameraState.OK)
