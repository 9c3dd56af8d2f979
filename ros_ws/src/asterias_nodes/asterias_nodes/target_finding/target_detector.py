"""Node that looks for the target's AprilTag in the images of all cameras."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from asterias_interfaces.msg import TagDetection, TagDetections
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from sensor_msgs.msg import Image

from asterias_nodes.runtime.conversions import from_image_msg, to_seconds
from asterias_nodes.runtime.diagnostics import ERROR, STALE, DiagnosticReport, Diagnostics, Reporter
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import matching_qos, reliable_qos
from asterias_nodes.runtime.run_node import run_node
from hardware.cameras.health import PictureSigns, PictureWatch
from hardware.perception.apriltag import Detection, detect_tags

FAMILY = "tag16h5"
IMAGE_SUFFIX = "/image_raw"
IMAGE_TYPE = "sensor_msgs/msg/Image"
LOOK_PERIOD_S = 0.1
# Images of all cameras may come at once, and none may be missed.
IMAGE_QUEUE_DEPTH = 20
DETECTIONS_QUEUE_DEPTH = 100


@dataclass(frozen=True)
class DetectorSettings:
    """Parameters of the detector."""

    cameras: Annotated[list[str], "topic prefixes of the cameras, or patterns of them"] = field(
        default_factory=lambda: ["/limb_*/camera_*"]
    )
    family: Annotated[str, "tag family; tag16h5 is the one that is known"] = FAMILY
    ids: Annotated[list[int], "numbers of the tags to report"] = field(default_factory=lambda: [29])

    def __post_init__(self) -> None:
        if self.family != FAMILY:
            raise SettingsError(f"Parameter 'family' must be {FAMILY}, not '{self.family}'.")
        if not all(0 <= number < 30 for number in self.ids):
            raise SettingsError(f"Parameter 'ids' must hold numbers from 0 to 29, not {self.ids}.")


@dataclass
class CameraTally:
    """What came from one camera since the node started."""

    images: int = 0
    unreadable: int = 0
    seen: int = 0
    last_error: str = ""
    watch: PictureWatch = field(default_factory=PictureWatch)
    images_reported: int = 0
    unreadable_reported: int = 0


class TargetDetector(Node):
    """Publishes one ``TagDetections`` on ``/target/detections`` for every image.

    Subscribes to ``image_raw`` of each camera as soon as it is published. The list is empty where
    no tag is seen. An image that cannot be read is dropped and counted in ``/diagnostics``.
    """

    def __init__(self) -> None:
        super().__init__("target_detector")
        self._settings = declare_settings(self, DetectorSettings)
        self._ids = frozenset(self._settings.ids)
        self._cameras: dict[str, CameraTally] = {}
        self._publisher = self.create_publisher(
            TagDetections, "/target/detections", reliable_qos(DETECTIONS_QUEUE_DEPTH)
        )
        self._reporters: list[Reporter] = []
        self._diagnostics = Diagnostics(self, self._reporters)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(LOOK_PERIOD_S, self._look, clock=steady)
        self._look()

    def _look(self) -> None:
        """Subscribe to cameras that have appeared."""
        for topic, types in self.get_topic_names_and_types():
            prefix = topic.removesuffix(IMAGE_SUFFIX)
            if prefix == topic or prefix in self._cameras or IMAGE_TYPE not in types:
                continue
            if not any(fnmatch.fnmatchcase(prefix, wanted) for wanted in self._settings.cameras):
                continue
            publishers = self.get_publishers_info_by_topic(topic)
            if publishers:
                self._cameras[prefix] = CameraTally()
                self._reporters.append(partial(self._report, prefix))
                qos = matching_qos(publishers, IMAGE_QUEUE_DEPTH)
                self.create_subscription(Image, topic, partial(self._detect, prefix), qos)
                self.get_logger().info(f"Looking for tags {self._settings.ids} in {topic}")

    def _detect(self, prefix: str, message: Image) -> None:
        """Look at one image."""
        health = self._cameras[prefix]
        health.images += 1
        try:
            image = from_image_msg(message)
        except ValueError as error:
            health.unreadable += 1
            health.last_error = str(error)
            return
        found = detect_tags(image, self._ids)
        health.seen += bool(found)
        signs = health.watch.see(image, to_seconds(message.header.stamp))
        self._publisher.publish(to_detections_msg(prefix, message, found, signs))

    def _report(self, prefix: str) -> DiagnosticReport:
        """Return health of one camera since the last report."""
        health = self._cameras[prefix]
        fresh = health.images - health.images_reported
        bad = health.unreadable - health.unreadable_reported
        health.images_reported, health.unreadable_reported = health.images, health.unreadable
        name = f"{self.get_name()}: {prefix}"
        values = {"images": health.images, "unreadable": health.unreadable, "seen": health.seen}
        if bad:
            return DiagnosticReport(name, ERROR, health.last_error, values)
        if not fresh:
            return DiagnosticReport(name, STALE, "no images arrive", values)
        return DiagnosticReport(name, values=values)


def to_detections_msg(
    prefix: str, image: Image, found: Sequence[Detection], signs: PictureSigns
) -> TagDetections:
    """Return what was found in an image of the camera whose topics start with ``prefix``."""
    limb, camera = prefix.split("/")[-2:]
    return TagDetections(
        header=image.header,
        limb=limb,
        camera=camera,
        detections=[to_detection_msg(tag) for tag in sorted(found, key=lambda tag: tag.id)],
        brightness=signs.brightness,
        contrast=signs.contrast,
        is_noise=signs.is_noise,
        unchanged_s=signs.unchanged_s,
    )


def to_detection_msg(tag: Detection) -> TagDetection:
    """Return one tag as a message."""
    return TagDetection(
        id=tag.id,
        corners_px=tag.corners_px.ravel(),
        center_px=tag.center_px,
        side_px=tag.side_px,
    )


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes target_detector``."""
    return run_node(TargetDetector)
