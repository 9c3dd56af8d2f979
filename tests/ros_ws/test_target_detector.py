"""The detector as a process: one answer per image, in order, with the image's header."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from asterias_interfaces.msg import TagDetections
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import Image

from asterias_nodes.runtime.conversions import to_image_msg, to_time_msg
from asterias_nodes.runtime.qos import reliable_qos, sensor_qos
from hardware.perception.apriltag import tag_image

CELL_PX = 4
LEFT_PX, TOP_PX = 30, 20


def picture(tag_id: int | None = 29) -> npt.NDArray[np.uint8]:
    """A grey wall ``(96, 96, 3)``, with a tag on it unless None."""
    image = np.full((96, 96, 3), 180, dtype=np.uint8)
    if tag_id is not None:
        tag = tag_image(tag_id, CELL_PX)
        size = tag.shape[0]
        image[TOP_PX : TOP_PX + size, LEFT_PX : LEFT_PX + size] = tag[:, :, np.newaxis]
    return image


class Cameras:
    """Publishes pictures of two cameras, and collects what the detector says."""

    def __init__(self, peer: Any) -> None:
        self.peer = peer
        self.answers: list[TagDetections] = []
        self.statuses: dict[str, DiagnosticStatus] = {}
        self.publishers = [
            peer.node.create_publisher(Image, f"/limb_0/camera_{number}/image_raw", sensor_qos(20))
            for number in range(2)
        ]
        node = peer.node
        node.create_subscription(
            TagDetections, "/target/detections", self.answers.append, reliable_qos(100)
        )
        node.create_subscription(DiagnosticArray, "/diagnostics", self._keep, reliable_qos())

    def _keep(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            # The worst since the start: reports are about the last second only.
            known = self.statuses.get(status.name)
            if known is None or status.level >= known.level or int(values["unreadable"]) > 0:
                self.statuses[status.name] = status

    def wait_for_detector(self) -> None:
        """Until it listens to both cameras, and is heard."""
        node = self.peer.node
        self.peer.wait_until(
            lambda: (
                all(publisher.get_subscription_count() for publisher in self.publishers)
                and node.count_publishers("/target/detections") > 0
            )
        )
        self.peer.spin(0.3)

    def show(self, camera: int, image: npt.NDArray[np.uint8], number: int) -> None:
        """Publishes a picture with a numbered stamp."""
        message = to_image_msg(image, to_time_msg(float(number)), f"eye_{camera}")
        self.publishers[camera].publish(message)
        self.peer.spin(0.01)


@pytest.fixture
def cameras(peer: Any) -> Cameras:
    """Two cameras of limb 0."""
    return Cameras(peer)


def test_every_image_gets_an_answer(start_node: Any, cameras: Cameras) -> None:
    detector = start_node("target_detector")
    cameras.wait_for_detector()
    for number in range(40):
        cameras.show(number % 2, picture(29 if number % 4 < 2 else None), number)
    cameras.peer.wait_until(lambda: len(cameras.answers) >= 40)
    assert [answer.header.stamp.sec for answer in cameras.answers] == list(range(40))
    for number, answer in enumerate(cameras.answers):
        assert (answer.limb, answer.camera) == ("limb_0", f"camera_{number % 2}")
        assert answer.header.frame_id == f"eye_{number % 2}"
        assert [tag.id for tag in answer.detections] == ([29] if number % 4 < 2 else [])
    outcome = detector.stop()
    assert outcome.status == 0 and "Traceback" not in outcome.stderr


def test_corners_lie_where_the_tag_was_drawn(start_node: Any, cameras: Cameras) -> None:
    start_node("target_detector")
    cameras.wait_for_detector()
    cameras.show(0, picture(), 0)
    cameras.peer.wait_until(lambda: len(cameras.answers) > 0)
    (tag,) = cameras.answers[0].detections
    # One white cell lies around the black square of six cells.
    left, top, side = LEFT_PX + CELL_PX, TOP_PX + CELL_PX, 6 * CELL_PX
    drawn = [left, top, left + side, top, left + side, top + side, left, top + side]
    np.testing.assert_allclose(tag.corners_px, drawn, atol=1.5)
    np.testing.assert_allclose(tag.center_px, [left + side / 2, top + side / 2], atol=1.5)
    assert tag.side_px == pytest.approx(side, abs=2.0)


def test_only_the_asked_tags_are_reported(start_node: Any, cameras: Cameras) -> None:
    start_node("target_detector", ids="[3, 5]")
    cameras.wait_for_detector()
    for number, tag_id in enumerate([29, 5, 3]):
        cameras.show(0, picture(tag_id), number)
    cameras.peer.wait_until(lambda: len(cameras.answers) >= 3)
    found = [[tag.id for tag in answer.detections] for answer in cameras.answers]
    assert found == [[], [5], [3]]


def test_an_unreadable_image_is_dropped_and_counted(start_node: Any, cameras: Cameras) -> None:
    start_node("target_detector")
    cameras.wait_for_detector()
    broken = to_image_msg(picture(), to_time_msg(0.0), "eye_0")
    broken.encoding = "yuv422"
    cameras.publishers[0].publish(broken)
    cameras.show(0, picture(), 1)
    name = "target_detector: /limb_0/camera_0"

    def is_counted() -> bool:
        status = cameras.statuses.get(name)
        return status is not None and status.level == DiagnosticStatus.ERROR

    cameras.peer.wait_until(is_counted)
    values = {pair.key: pair.value for pair in cameras.statuses[name].values}
    assert values == {"images": "2", "unreadable": "1", "seen": "1"}
    assert "yuv422" in cameras.statuses[name].message
    assert [answer.header.stamp.sec for answer in cameras.answers] == [1]


def test_cameras_can_be_named(start_node: Any, cameras: Cameras) -> None:
    start_node("target_detector", cameras="['/limb_0/camera_1']")
    cameras.peer.wait_until(lambda: cameras.publishers[1].get_subscription_count() > 0)
    cameras.peer.spin(0.5)
    assert cameras.publishers[0].get_subscription_count() == 0
    cameras.show(0, picture(), 0)
    cameras.show(1, picture(), 1)
    cameras.peer.wait_until(lambda: len(cameras.answers) > 0)
    assert cameras.answers[0].camera == "camera_1"


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"family": "tag36h11"}, "'family' must be tag16h5, not 'tag36h11'"),
        ({"ids": "[40]"}, "'ids' must hold numbers from 0 to 29, not [40]"),
        ({"ids": "['a']"}, "'ids' must be of type int, not 'a'"),
    ],
)
def test_wrong_parameters_get_one_sentence(
    start_node: Any, parameters: dict[str, str], told: str
) -> None:
    outcome = start_node("target_detector", **parameters).wait()
    assert outcome.status == 2
    assert told in outcome.stderr and outcome.stderr.count("\n") == 1
