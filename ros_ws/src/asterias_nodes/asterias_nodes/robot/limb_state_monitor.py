"""What a client knows of a limb: joints, who moves it, and the emergency stop."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool

from asterias.arrays import FloatArray
from asterias_nodes.robot.multiplexer_watch import NOBODY as NOBODY
from asterias_nodes.robot.multiplexer_watch import MultiplexerWatch
from asterias_nodes.runtime.conversions import to_seconds
from asterias_nodes.runtime.owned_entities import OwnedEntities
from asterias_nodes.runtime.parameters import SettingsError
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from hardware.description.robot import RobotDescription

# Joint states older than this count as none: the time-out of the command multiplexer, too.
FRESH_S = 0.5

# Which joints count: the servos'; those that the node state_estimator makes of pictures; or these
# wherever the servos' are missing.
JOINT_SOURCES = ("measured", "estimated", "auto")
JOINTS_HELP = (
    "measured: by the servos; estimated: by the node state_estimator; auto: estimated where a "
    "servo measures nothing"
)


def check_joints(source: str) -> None:
    """Check a parameter that names where joints come from.

    Raises:
        SettingsError: it is none of :data:`JOINT_SOURCES`.
    """
    if source not in JOINT_SOURCES:
        known = ", ".join(JOINT_SOURCES)
        raise SettingsError(f"Parameter 'joints' must be one of {known}, not '{source}'.")


class LimbStateMonitor:
    """Subscriptions to the state of one limb.

    A joint that a message lacks (or holds as NaN) keeps its last measured value and is named in
    :attr:`unmeasured`; until every joint has been measured once, the position is not known.
    Values are replaced whole, so that other threads may read them.

    Args:
        node: the hosting node.
        robot: the description.
        limb: number of the limb.
        joints: where the joints come from: one of :data:`JOINT_SOURCES`.
        on_joints: called after each message of joints that counts.
        on_stop: called with each state of the emergency stop.

    Attributes:
        names: the commanded joints, in the order of the description.
        joint_state: the newest message, passive joints included: rad by name.
        unmeasured: joints that the newest message lacks.
        robot_time_s: stamp of the newest joints; minus infinity before the first.
        is_stopped: whether the emergency stop is engaged.
    """

    def __init__(
        self,
        node: Node,
        robot: RobotDescription,
        limb: int,
        *,
        joints: str = "measured",
        on_joints: Callable[[], None] = lambda: None,
        on_stop: Callable[[bool], None] = lambda is_engaged: None,
    ) -> None:
        self.names = [joint.name for joint in robot.limbs[limb].joints]
        self.joint_state: dict[str, float] = {}
        self.unmeasured: tuple[str, ...] = tuple(self.names)
        self.robot_time_s = -np.inf
        self.is_stopped = False
        self._on_joints, self._on_stop = on_joints, on_stop
        self._position: FloatArray | None = None
        self._received_s = -np.inf
        self._estimate = np.full(len(self.names), np.nan)
        self._estimated_s = self._measured_s = -np.inf
        self._owned = OwnedEntities(node)
        prefix = f"/limb_{limb}"
        listen = self._owned.subscription
        if joints != "estimated":
            listen(JointState, f"{prefix}/joint_states", self._take_joints, reliable_qos())
        if joints != "measured":
            topic = f"{prefix}/estimated_joint_states"
            listen(JointState, topic, self._take_estimate, reliable_qos())
        self._multiplexer = MultiplexerWatch(self._owned, prefix)
        listen(Bool, "/e_stop_state", self._take_stop, latched_qos())

    @property
    def last_position_rad(self) -> FloatArray | None:
        """The newest ``(n,)`` joints however old; None before the first."""
        return None if self._position is None else self._position.copy()

    @property
    def position_rad(self) -> FloatArray | None:
        """``(n,)`` joints in the order of the description; None: none came lately."""
        return self.last_position_rad if self.is_fresh else None

    @property
    def is_fresh(self) -> bool:
        """Whether joints have come lately."""
        return self.age_s <= FRESH_S

    @property
    def age_s(self) -> float:
        """How long ago the newest joints came; infinite before the first."""
        return float(time.monotonic() - self._received_s)

    @property
    def active_source(self) -> str:
        """Who has the limb, as the command multiplexer reports; empty: nobody."""
        return self._multiplexer.active_source

    @property
    def has_multiplexer(self) -> bool:
        """Whether a command multiplexer is there."""
        return self._multiplexer.is_known and not self._multiplexer.is_gone

    def joint_angles(self) -> dict[str, float]:
        """Return the commanded joints by name, rad; empty when none have come lately."""
        position = self.position_rad
        return {} if position is None else dict(zip(self.names, position.tolist(), strict=True))

    def close(self) -> None:
        """Take the subscriptions down."""
        self._owned.close()

    # -- inputs ---------------------------------------------------------------------------------

    def _take_joints(self, message: JointState) -> None:
        joint_state = dict(zip(message.name, message.position, strict=False))
        values = np.array([joint_state.get(name, np.nan) for name in self.names])
        missing = ~np.isfinite(values)
        self.joint_state = joint_state
        self.unmeasured = tuple(np.array(self.names)[missing].tolist())
        now_s = time.monotonic()
        if missing.any():
            if now_s - self._estimated_s <= FRESH_S:
                values[missing] = self._estimate[missing]
            elif self._position is not None:
                values[missing] = self._position[missing]
            if not np.isfinite(values).all():
                return
        self._measured_s = now_s
        self._count(values, message)

    def _take_estimate(self, message: JointState) -> None:
        """Keep what the cameras say; it counts where nothing was measured lately."""
        joint_state = dict(zip(message.name, message.position, strict=False))
        values = np.array([joint_state.get(name, np.nan) for name in self.names])
        if not np.isfinite(values).all():
            return
        self._estimate, self._estimated_s = values, time.monotonic()
        if self._estimated_s - self._measured_s > FRESH_S:
            self.joint_state = joint_state
            self._count(values, message)

    def _count(self, position_rad: FloatArray, message: JointState) -> None:
        self._position, self._received_s = position_rad, time.monotonic()
        self.robot_time_s = to_seconds(message.header.stamp)
        self._on_joints()

    def _take_stop(self, message: Bool) -> None:
        self.is_stopped = bool(message.data)
        self._on_stop(self.is_stopped)
