"""Kinds of cameras by name: our own, and those of installed packages.

A package adds one with an entry point of the group ``asterias.cameras`` that names a subclass of
:class:`~hardware.cameras.settings.CameraSettings`. A robot description can then use it by name.
"""

from __future__ import annotations

from inspect import isabstract

from asterias.registry import Registry
from hardware.cameras.mjpeg import MjpegSettings
from hardware.cameras.replay import ReplaySettings
from hardware.cameras.settings import CameraSettings
from hardware.cameras.udp_camera import UdpCameraSettings
from hardware.cameras.usb import UsbSettings

__all__ = ["CAMERA_KINDS", "CameraSettings"]


def _check(name: str, entry: object) -> None:
    """Refuse what is no kind of camera.

    Raises:
        TypeError: it is something else, or has another name.
    """
    if (
        not (isinstance(entry, type) and issubclass(entry, CameraSettings))
        or isabstract(entry)
        or entry.model_fields["type"].default != name
    ):
        raise TypeError(
            f"a subclass of CameraSettings with the type '{name}' and a method open is expected"
        )


CAMERA_KINDS: Registry[type[CameraSettings]] = Registry("camera kind", "asterias.cameras", _check)
for _kind in (MjpegSettings, UsbSettings, ReplaySettings, UdpCameraSettings):
    CAMERA_KINDS.register(_kind.model_fields["type"].default, _kind)
