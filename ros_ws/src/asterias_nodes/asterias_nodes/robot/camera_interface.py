"""A camera on topics: raw and compressed pictures, and the pinhole model."""

from __future__ import annotations

from collections.abc import Callable

from builtin_interfaces.msg import Time
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from asterias.errors import HardwareError
from asterias_nodes.runtime.conversions import (
    to_camera_info_msg,
    to_compressed_msg,
    to_image_msg,
    to_time_msg,
)
from asterias_nodes.runtime.diagnostics import OK, STALE, WARN, DiagnosticReport
from asterias_nodes.runtime.qos import sensor_qos
from hardware.cameras.driver import Camera, Frame
from hardware.cameras.health import ADVICE, CameraHealth, CameraState
from hardware.description.frames import optical_frame


class CameraInterface:
    """Everything a camera says under ``/limb_<limb>/camera_<number>``; connects the camera.

    Args:
        node: the hosting node.
        limb, number: on the topics.
        camera: unconnected.
        to_stamp: a time of the camera's clock as a stamp.
    """

    def __init__(
        self,
        node: Node,
        limb: int,
        number: int,
        camera: Camera,
        to_stamp: Callable[[float], Time] = to_time_msg,
    ) -> None:
        self.camera = camera
        self._to_stamp = to_stamp
        self.camera.connect()
        self._node = node
        prefix = f"/limb_{limb}/camera_{number}"
        self.label = f"limb_{limb}/camera_{number}"
        self.frame_id = optical_frame(limb, number)
        self._raw = node.create_publisher(Image, f"{prefix}/image_raw", sensor_qos())
        self._compressed = node.create_publisher(
            CompressedImage, f"{prefix}/image_raw/compressed", sensor_qos()
        )
        self._info = node.create_publisher(CameraInfo, f"{prefix}/camera_info", sensor_qos())
        self._model = to_camera_info_msg(camera.description, Time(), self.frame_id)
        self._failed = 0
        self._published = 0
        self._published_before = 0

    def publish(self) -> None:
        """Publish the frame that is due now, if there is one."""
        frame = self._due_frame()
        if frame is None:
            return
        stamp = self._to_stamp(frame.time_s)
        self._raw.publish(to_image_msg(frame.image, stamp, self.frame_id))
        self._model.header.stamp = stamp
        self._info.publish(self._model)
        # JPEG costs ten times what the raw picture costs: only when somebody listens.
        if self._compressed.get_subscription_count() > 0:
            self._compressed.publish(to_compressed_msg(frame.image, stamp, self.frame_id))
        self._published += 1

    def report(self) -> DiagnosticReport:
        """Return health of the camera for ``/diagnostics``; called once a second."""
        fresh = self._published - self._published_before
        self._published_before = self._published
        values: dict[str, object] = {
            "published_frames": self._published,
            "frames_last_second": fresh,
            "dropped_frames": self.camera.counters.dropped,
            "failed_reads": self._failed,
        }
        stale = self._published > 0 and fresh == 0
        level, message = (STALE, "no new frames") if stale else (OK, "ok")
        health = self.camera.health()
        if health is not None:
            level, message = self._judge(health, values)
        name = f"{self._node.get_name()}: {self.label} ({self.camera.name})"
        return DiagnosticReport(name, level, message, values)

    @staticmethod
    def _judge(health: CameraHealth, values: dict[str, object]) -> tuple[bytes, str]:
        """Return level and message of a camera that watches itself."""
        values["state"] = health.state.value
        values["rate_hz"] = round(health.rate_hz, 1)
        values["delay_s"] = round(health.delay_s, 3)
        values["reconnects"] = health.reconnects
        if health.state is CameraState.OK:
            return OK, "ok"
        reasons = [health.state.value, health.problem, ADVICE[health.state]]
        level = STALE if health.state is CameraState.SILENT else WARN
        return level, "; ".join(reason for reason in reasons if reason)

    def close(self) -> None:
        """Close the camera, then take the topics down."""
        self.camera.disconnect()
        for publisher in (self._raw, self._compressed, self._info):
            self._node.destroy_publisher(publisher)

    def _due_frame(self) -> Frame | None:
        """Return the next frame if it has come; a camera that fails is counted."""
        try:
            return self.camera.poll()
        except HardwareError:
            self._failed += 1
            return None
