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
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from hardware.description.robot import RobotDescription

# Joint states older than this count as none: the time-out of the command multiplexer, too.
FRESH_S = 0.5


class LimbStateMonitor:
    """Subscriptions to the state of one limb.

    A joint that a message lacks (or holds as NaN) keeps its last measured value and is named in
    :attr:`unmeasured`; until every joint has been measured once, the position is not known.
    Values are replaced whole, so that other threads may read them.

    Args:
        node: the hosting node.
        robot: the description.
        limb: number of the limb.
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
        self._owned = OwnedEntities(node)
        prefix = f"/limb_{limb}"
        listen = self._owned.subscription
        listen(JointState, f"{prefix}/joint_states", self._take_joints, reliable_qos())
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
        if missing.any():
            if self._position is None:
                return
            values[missing] = self._position[missing]
        self._position, self._received_s = values, time.monotonic()
        self.robot_time_s = to_seconds(message.header.stamp)
        self._on_joints()

    def _take_stop(self, message: Bool) -> None:
        self.is_stopped = bool(message.data)
        self._on_stop(self.is_stopped)
