"""A limb driver on topics: commands and timed moves in, joint states out, faults by service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

from asterias.arrays import FloatArray
from asterias.errors import CommandError, HardwareError
from asterias_nodes.robot.fault_service import FaultService
from asterias_nodes.robot.follow_joint_trajectory import FollowJointTrajectoryServer
from asterias_nodes.robot.multiplexer_watch import MultiplexerWatch
from asterias_nodes.runtime.bounded_subscription import bounded_subscription
from asterias_nodes.runtime.conversions import to_seconds
from asterias_nodes.runtime.diagnostics import ERROR, OK, WARN, DiagnosticReport
from asterias_nodes.runtime.owned_entities import OwnedEntities
from asterias_nodes.runtime.qos import reliable_qos
from hardware.cameras.driver import Camera
from hardware.description.devices import SafetySettings
from hardware.limbs.driver import LimbDriver, LimbState
from hardware.limbs.safety_monitor import SafetyMonitor, Severity
from hardware.limbs.trajectory import MOST_POINTS, TrajectoryController, Waypoint

# A point of six joints with velocities, accelerations and efforts takes about 220 bytes.
TRAJECTORY_LIMIT_BYTES = 220 * MOST_POINTS
COMMAND_LIMIT_BYTES = 4096
MULTIPLEXER_GONE = (
    "the command multiplexer is silent: no source can move the limb; start command_multiplexer"
)

Passive = Callable[[], tuple[Sequence[str], FloatArray, FloatArray]]


class LimbInterface:
    """The topics and services of a limb driver under ``/limb_<number>``.

    Args:
        node: the hosting node.
        number: the limb's number on the topics.
        driver: connected by this port, activated by the node.
        clock: the driver's clock.
        cameras: the limb's cameras; faults are injected into them as well.
        allow_faults: whether ``inject_fault`` is served or refused.
        passive: names, angles and speeds of joints that are measured but not commanded.
        safety: thresholds of the guard that watches a real limb; None: nobody watches.
        stream_timeout_s: see :class:`hardware.limbs.trajectory.TrajectoryController`.
        camera_faults: service that injects faults into cameras of another node; empty: none.
    """

    def __init__(
        self,
        node: Node,
        number: int,
        driver: LimbDriver,
        clock: Callable[[], float],
        cameras: Sequence[Camera],
        allow_faults: bool,
        passive: Passive | None = None,
        safety: SafetySettings | None = None,
        stream_timeout_s: float | None = None,
        camera_faults: str = "",
    ) -> None:
        self.driver = driver
        self.driver.connect()
        self.motion = TrajectoryController(driver, clock, stream_timeout_s)
        self.guard = None if safety is None else SafetyMonitor(driver, self.motion, safety, clock)
        self._node = node
        self._passive = passive
        self._device_errors = 0
        self._last_state: LimbState | None = None
        prefix = f"/limb_{number}"
        self._owned = OwnedEntities(node)
        self._states = self._owned.publisher(JointState, f"{prefix}/joint_states", reliable_qos())
        bounded = partial(bounded_subscription, self._owned, on_refused=self._refuse)
        bounded(
            Float64MultiArray,
            f"{prefix}/commands",
            self._on_command,
            limit_bytes=COMMAND_LIMIT_BYTES,
        )
        bounded(
            JointTrajectory,
            f"{prefix}/joint_trajectory",
            self._on_trajectory,
            limit_bytes=TRAJECTORY_LIMIT_BYTES,
        )
        self._multiplexer = MultiplexerWatch(self._owned, prefix)
        self._action = FollowJointTrajectoryServer(
            node, self._owned, number, self.motion, clock, self._multiplexer
        )
        self._faults = FaultService(
            node,
            f"{prefix}/inject_fault",
            driver.name,
            [driver, *cameras],
            {f"camera_{j}": camera.name for j, camera in enumerate(cameras)},
            is_allowed=allow_faults,
            others=camera_faults,
        )

    def activate(self) -> None:
        """Accept commands, starting where the limb is."""
        self.driver.activate()
        if self.guard is not None:
            self.guard.restart()

    def deactivate(self) -> None:
        """Hold and refuse commands; a device that does not answer is logged."""
        try:
            self.driver.deactivate()
        except HardwareError as error:
            self._node.get_logger().error(str(error))

    def let_go(self) -> None:
        """Torque off at once; a device that does not answer is logged."""
        try:
            self.driver.disable_torque()
        except HardwareError as error:
            self._node.get_logger().error(str(error))

    def stop(self, is_engaged: bool) -> None:
        """Engage or release the emergency stop; a device that does not answer is logged."""
        try:
            self.motion.stop(is_engaged)
        except HardwareError as error:
            self._node.get_logger().error(str(error))

    def tick(self) -> None:
        """Send this control period's step; a device that does not answer is counted."""
        if self.guard is not None:
            self.guard.tick()
        try:
            self.motion.tick()
        except HardwareError:
            self._device_errors += 1

    def request(self) -> None:
        """Ask a bus for the state that :meth:`publish` takes, so that all buses work at once."""
        try:
            self.driver.request()
        except HardwareError:
            self._device_errors += 1

    def publish(self, stamp: Time) -> None:
        """Measure and publish the joints; a device that does not answer is counted."""
        state = self._measure()
        if self.guard is not None:
            self.guard.observe(state)
        if state is None:
            return
        self._action.observe(stamp, state)
        message = JointState()
        message.header.stamp = stamp
        none = np.empty(0)
        names, angles, speeds = self._passive() if self._passive is not None else ((), none, none)
        message.name = [*self.driver.joint_names, *names]
        message.position = [*state.position_rad.tolist(), *angles.tolist()]
        message.velocity = [*state.velocity_rad_s.tolist(), *speeds.tolist()]
        message.effort = [*state.effort_nm.tolist(), *[float("nan")] * len(names)]
        self._states.publish(message)

    def _servo_values(self) -> dict[str, object]:
        """Return what the servos and the bus of a watched limb report."""
        if self.guard is None:
            return {}
        values: dict[str, object] = {}
        for name, health in zip(self.driver.joint_names, self.guard.health, strict=True):
            if health is not None:
                values[f"{name}_c"] = health.temperature_c
                values[f"{name}_v"] = round(health.voltage_v, 1)
        if self._last_state is not None:
            load = zip(self.driver.joint_names, self._last_state.effort_nm.tolist(), strict=True)
            values |= {f"{name}_nm": round(effort, 3) for name, effort in load}
        return values | {f"bus_{key}": count for key, count in self.driver.health().counts.items()}

    def _measure(self) -> LimbState | None:
        try:
            self._last_state = self.driver.read()
        except HardwareError:
            self._device_errors += 1
            self._last_state = None
        return self._last_state

    def report(self) -> DiagnosticReport:
        """Return health of the limb for ``/diagnostics``."""
        counters, age_s = self.driver.counters, self.driver.command_age_s
        values: dict[str, object] = {
            "active": self.driver.is_active,
            "holding": self.driver.is_holding,
            "command_age_s": "never" if np.isinf(age_s) else round(age_s, 3),
            "accepted_commands": counters.accepted,
            "limited_commands": counters.limited,
            "rejected_commands": counters.rejected,
            "command_timeouts": counters.timeouts,
            "device_errors": self._device_errors,
            **self._servo_values(),
        }
        level, message = OK, "ok"
        if not self.driver.is_active:
            level, message = WARN, "not active"
        if self.guard is not None and self.guard.findings:
            level, message = self._findings(self.guard, values)
        if self._multiplexer.is_gone:
            level, message = ERROR, MULTIPLEXER_GONE
        if self.motion.is_stopped:
            level, message = ERROR, "emergency stop engaged"
        name = f"{self._node.get_name()}: {self.driver.name}"
        return DiagnosticReport(name, level, message, values)

    @staticmethod
    def _findings(guard: SafetyMonitor, values: dict[str, object]) -> tuple[bytes, str]:
        """Return level and message of a limb with which something is wrong."""
        values["severity"] = guard.severity.name.lower()
        message = "; ".join(f"{finding.name}: {finding.text}" for finding in guard.findings)
        return (WARN if guard.severity is Severity.WARN else ERROR), message

    def close(self) -> None:
        """Make the limb safe, then take the topics down."""
        try:
            self.driver.disconnect()
        except HardwareError as error:
            self._node.get_logger().error(str(error))
        self._owned.close()
        self._faults.close()

    # -- inputs ---------------------------------------------------------------------------------

    def _on_command(self, message: Float64MultiArray) -> None:
        self._admit(lambda: self.motion.command(np.array(message.data)))

    def _on_trajectory(self, message: JointTrajectory) -> None:
        self._admit(lambda: self.motion.follow(self._waypoints(message)))

    def _admit(self, request: Callable[[], None]) -> None:
        """Run a request; a refusal is one log line at most each second, and counted."""
        try:
            request()
        except HardwareError as error:
            self._refuse(str(error))

    def _refuse(self, reason: str) -> None:
        self._node.get_logger().warning(reason, throttle_duration_sec=1.0)

    def _waypoints(self, message: JointTrajectory) -> list[Waypoint]:
        """Return points in the driver's joint order; joints that are not named stay where they are.

        Raises:
            CommandError: a joint is unknown, or a point has the wrong length.
        """
        names = list(self.driver.joint_names)
        unknown = sorted(set(message.joint_names) - set(names))
        if unknown:
            raise CommandError(
                f"Limb '{self.driver.name}' has no joint '{unknown[0]}'; "
                f"its joints are {', '.join(names)}."
            )
        if len(message.points) > MOST_POINTS:
            raise CommandError(
                f"A trajectory of {len(message.points)} points is too long; "
                f"at most {MOST_POINTS} are taken."
            )
        columns = [names.index(name) for name in message.joint_names] or list(range(len(names)))
        path = []
        for point in message.points:
            if len(point.positions) != len(columns):
                raise CommandError(
                    f"A trajectory point holds {len(point.positions)} positions "
                    f"for {len(columns)} joints."
                )
            target = self.driver.last_sent_rad
            target[columns] = point.positions
            path.append(Waypoint(to_seconds(point.time_from_start), target))
        return path
