"""Managed node ``state_estimator``: joint states and tip of a limb from its cameras alone.

Pictures are taken as they come, irregular, dropped or delayed; their stamps count. At ``rate_hz``
of the robot's time, and at once when new pictures of all cameras have come, it publishes

- ``/limb_<i>/estimated_joint_states`` (sensor_msgs/JointState): rad, at the time of the stamp;
- ``/limb_<i>/estimated_joint_std`` (sensor_msgs/JointState): their standard deviations, in rad;
- ``/limb_<i>/estimated_tip`` (geometry_msgs/PoseWithCovarianceStamped): the tip in ``base_link``,
  where the limb rests at these joints, with the covariance that follows from theirs.

It listens to no encoder. Nothing is published before the first picture, or when none came for a
second.
"""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from sensor_msgs.msg import Image, JointState

from asterias.arrays import FloatArray
from asterias_nodes.runtime.conversions import from_image_msg, to_seconds, to_time_msg
from asterias_nodes.runtime.diagnostics import OK, STALE, WARN, DiagnosticReport, Diagnostics
from asterias_nodes.runtime.lifecycle_node import ManagedNode
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import reliable_qos, sensor_qos
from asterias_nodes.runtime.run_node import run_node
from hardware.description.robot import load_robot
from learning.fast_weights.estimation.estimator import (
    JointEstimate,
    JointStateEstimator,
    check_limb,
    load_estimator,
)
from learning.fast_weights.estimation.tip import TipEstimator

BASE_FRAME = "base_link"
# Latencies that are kept for the report of a second.
KEPT_LATENCIES = 200


@dataclass(frozen=True)
class StateEstimatorSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of the robot description"] = "limb_p1"
    limb: Annotated[int, "number of the limb"] = 0
    estimator: Annotated[str, "name or path of a trained estimator; empty: the robot's own"] = ""
    rate_hz: Annotated[float, "estimates per second of the robot's time"] = 50.0

    def __post_init__(self) -> None:
        if not 0.0 < self.rate_hz <= 1000.0:
            raise SettingsError("Parameter 'rate_hz' must be above 0, and 1000 at most.")


class StateEstimator(ManagedNode):
    """Publishes estimates while it is active; one thread takes pictures and publishes."""

    def __init__(self) -> None:
        super().__init__("state_estimator")
        self.settings = declare_settings(self, StateEstimatorSettings)
        self.is_active = False
        self._estimator: JointStateEstimator | None = None
        self._came_s: dict[int, float] = {}
        self._published = self._reported = self._pictures = self._unreadable = 0
        self._latencies_s: deque[float] = deque(maxlen=KEPT_LATENCIES)

    # -- life cycle -----------------------------------------------------------------------------

    def configure(self) -> None:
        """Load the networks and open the topics; an estimator of another limb is refused here.

        Raises:
            SettingsError: the robot has no such limb.
        """
        settings = self.settings
        robot = load_robot(settings.robot)
        if not 0 <= settings.limb < len(robot.limbs):
            last = len(robot.limbs) - 1
            raise SettingsError(f"Parameter 'limb' must be from 0 to {last}, not {settings.limb}.")
        limb = robot.limbs[settings.limb]
        self._names = [joint.name for joint in limb.joints]
        trained = load_estimator(settings.estimator or robot.name)
        check_limb(trained, self._names, len(limb.live_cameras))
        self._estimator = JointStateEstimator(trained)
        self._tip = TipEstimator(robot, settings.limb)
        prefix, own = f"/limb_{settings.limb}", self.owned
        self._joints = own.publisher(JointState, f"{prefix}/estimated_joint_states", reliable_qos())
        self._stds = own.publisher(JointState, f"{prefix}/estimated_joint_std", reliable_qos())
        self._tips = own.publisher(
            PoseWithCovarianceStamped, f"{prefix}/estimated_tip", reliable_qos()
        )
        for number in range(len(limb.live_cameras)):
            topic, take = f"{prefix}/camera_{number}/image_raw", partial(self._on_picture, number)
            own.subscription(Image, topic, take, sensor_qos(2))
        timer = self.create_timer(1.0 / settings.rate_hz, self._on_time)
        own.add(lambda: self.destroy_timer(timer))
        own.add(Diagnostics(self, [self._report]).close)

    def activate(self) -> None:
        """Publish from now on."""
        self.is_active = True
        self.get_logger().info(
            f"Estimating {', '.join(self._names)} of limb_{self.settings.limb} from its cameras."
        )

    def deactivate(self) -> None:
        """Publish no more."""
        self.is_active = False

    def cleanup(self) -> None:
        """Close the topics, and forget."""
        super().cleanup()
        self._estimator = None

    # -- inputs ---------------------------------------------------------------------------------

    def _on_picture(self, camera: int, message: Image) -> None:
        estimator = self._estimator
        if estimator is None or not self.is_active:
            return
        came_s = time.monotonic()
        try:
            picture = from_image_msg(message)
        except ValueError:
            self._unreadable += 1
            return
        if not estimator.take(camera, to_seconds(message.header.stamp), picture):
            return
        self._pictures += 1
        self._came_s.setdefault(camera, came_s)
        if len(self._came_s) == estimator.trained.encoder.cameras:
            self._publish(estimator)

    def _on_time(self) -> None:
        if self._estimator is not None and self.is_active:
            self._publish(self._estimator)

    # -- outputs --------------------------------------------------------------------------------

    def _publish(self, estimator: JointStateEstimator) -> None:
        now_s = float(self.get_clock().now().nanoseconds) * 1e-9
        # A clock that lags behind the stamps of pictures is not waited for.
        now_s = max(now_s, estimator.newest_frame_s) if math.isfinite(now_s) else now_s
        estimator.update(now_s)
        estimate = estimator.estimate(now_s)
        if estimate is None:
            self._came_s.clear()
            return
        self._send(now_s, estimate)
        done_s = time.monotonic()
        self._latencies_s.extend(done_s - came_s for came_s in self._came_s.values())
        self._came_s.clear()
        self._published += 1

    def _send(self, now_s: float, estimate: JointEstimate) -> None:
        stamp = to_time_msg(now_s)
        for publisher, values in (
            (self._joints, estimate.position_rad),
            (self._stds, estimate.std_rad),
        ):
            message = JointState(name=self._names, position=values.tolist())
            message.header.stamp = stamp
            publisher.publish(message)
        tip = self._tip.at(estimate.position_rad, estimate.std_rad)
        pose = PoseWithCovarianceStamped()
        pose.header.stamp, pose.header.frame_id = stamp, BASE_FRAME
        place, turn = pose.pose.pose.position, pose.pose.pose.orientation
        place.x, place.y, place.z = tip.position_m.tolist()
        turn.x, turn.y, turn.z, turn.w = tip.quaternion.tolist()
        pose.pose.covariance = tip.covariance.ravel()
        self._tips.publish(pose)

    # -- reporting ------------------------------------------------------------------------------

    def _report(self) -> DiagnosticReport:
        fresh, self._reported = self._published - self._reported, self._published
        late = np.array(self._latencies_s)
        values: dict[str, object] = {
            "estimates": self._published,
            "pictures": self._pictures,
            "unreadable": self._unreadable,
            "latency_ms": round(1e3 * float(_percentile(late, 95.0)), 1) if late.size else "none",
        }
        level, message = OK, "ok"
        if not self.is_active:
            level, message = WARN, "not active"
        elif not fresh:
            level, message = STALE, "no pictures arrive"
        return DiagnosticReport(
            f"{self.get_name()}: limb_{self.settings.limb}", level, message, values
        )


def _percentile(values: FloatArray, percent: float) -> float:
    return float(np.percentile(values, percent))


def main() -> None:
    """Run the node until it is stopped."""
    sys.exit(run_node(StateEstimator))


if __name__ == "__main__":
    main()
