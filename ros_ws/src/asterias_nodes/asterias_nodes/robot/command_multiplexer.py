"""Managed node ``command_multiplexer``: who may command a limb now.

For each source listens to ``/limb_<i>/sources/<name>`` (std_msgs/Float64MultiArray, joint positions
in rad as on ``/limb_<i>/commands``) and ``/limb_<i>/sources/<name>/deadman`` (std_msgs/Bool, true
while held, repeated within the time-out). Passes the commands of the one source that has the limb
on to ``/limb_<i>/commands``, and publishes on ``/limb_<i>/active_source`` (std_msgs/String,
latched) who that is, twice a second at least. While ``/e_stop_state`` is true nothing passes, and a
dead-man held then must be released before it counts again. Limits are the driver's business: each
value is checked once, there.

A source that is a program, and so has no dead-man, may also send timed moves to
``/limb_<i>/sources/<name>/joint_trajectory`` (trajectory_msgs/JointTrajectory). They go on to
``/limb_<i>/joint_trajectory``, and the limb is that source's for as long as they last. Who has a
dead-man may not: a timed move would go on when the hand has let go.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from std_msgs.msg import Bool, Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from asterias_nodes.robot.limb_interface import COMMAND_LIMIT_BYTES, TRAJECTORY_LIMIT_BYTES
from asterias_nodes.robot.multiplexer_watch import HEARTBEAT_PERIOD_S
from asterias_nodes.runtime.bounded_subscription import bounded_subscription
from asterias_nodes.runtime.conversions import to_seconds
from asterias_nodes.runtime.diagnostics import OK, WARN, DiagnosticReport, Diagnostics
from asterias_nodes.runtime.lifecycle_node import ManagedNode
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from asterias_nodes.runtime.run_node import run_node
from hardware.description.robot import load_robot
from hardware.limbs.arbitration import Admission, Arbiter, CommandSource

_LOOK_PERIOD_S = 0.05


def _sources() -> list[str]:
    people = ["leader:40", "gamepad:30", "web:20", "foxglove:15", "keyboard:10"]
    # Of these three, who has the limb keeps it.
    return [*people, "policy:5", "find_target:5", "crawl:5", "language_agent:1"]


@dataclass(frozen=True)
class MultiplexerSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of the robot description: how many limbs"] = "limb_p1"
    sources: Annotated[list[str], "name:priority of each source; the highest priority wins"] = (
        field(default_factory=_sources)
    )
    without_deadman: Annotated[list[str], "sources that are programs, and have no dead-man"] = (
        field(default_factory=lambda: ["policy", "find_target", "crawl", "language_agent"])
    )
    timeout_s: Annotated[float, "s after which a silent source has let go, or its dead-man"] = 0.5
    longest_move_s: Annotated[float, "s that a timed move of a program may last"] = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.longest_move_s < float("inf"):
            raise SettingsError("Parameter 'longest_move_s' must be above 0.")

    def parsed(self) -> list[CommandSource]:
        """Return the sources.

        Raises:
            SettingsError: an entry is no source.
        """
        found = []
        for text in self.sources:
            name, _, priority = text.partition(":")
            try:
                free = name in self.without_deadman
                found.append(CommandSource(name, int(priority), self.timeout_s, not free))
            except ValueError as error:
                example = f"Parameter 'sources' holds '{text}'; write name:priority, as web:20"
                raise SettingsError(f"{example} ({error}).") from error
        unknown = set(self.without_deadman) - {source.name for source in found}
        if unknown:
            raise SettingsError(f"Parameter 'without_deadman' names no source: {min(unknown)}.")
        return found


class _LimbChannel:
    """One limb's sources, and the way on to its driver."""

    def __init__(self, node: CommandMultiplexer, number: int, sources: list[CommandSource]) -> None:
        self.arbiter = Arbiter(sources, time.monotonic)
        self.name = f"limb_{number}"
        self.counts: Counter[str] = Counter()
        self._node = node
        self._published = ""
        self._published_s = -math.inf
        prefix = f"/limb_{number}"
        publish = node.owned.publisher
        self._commands = publish(Float64MultiArray, f"{prefix}/commands", reliable_qos())
        self._moves = publish(JointTrajectory, f"{prefix}/joint_trajectory", reliable_qos())
        self._active = publish(String, f"{prefix}/active_source", latched_qos())
        self.publish_owner()
        for source in sources:
            topic = f"{prefix}/sources/{source.name}"
            self._listen(Float64MultiArray, topic, partial(self._on_command, source.name))
            if source.needs_deadman:
                self._listen(Bool, f"{topic}/deadman", partial(self._on_deadman, source.name))
            else:
                move = partial(self._on_move, source.name)
                self._listen(JointTrajectory, f"{topic}/joint_trajectory", move)

    def _listen(self, kind: type, topic: str, callback: Callable[..., None]) -> None:
        limit = TRAJECTORY_LIMIT_BYTES if kind is JointTrajectory else COMMAND_LIMIT_BYTES
        bounded_subscription(
            self._node.owned, kind, topic, callback, limit_bytes=limit, on_refused=self._refuse
        )

    def _refuse(self, reason: str) -> None:
        self._node.get_logger().warning(reason, throttle_duration_sec=2.0)

    def _on_command(self, source: str, message: Float64MultiArray) -> None:
        if self._admits(source):
            self._commands.publish(message)
            self.publish_owner()

    def _on_move(self, source: str, message: JointTrajectory) -> None:
        # No points, no move; the driver refuses it and says so.
        end_s = to_seconds(message.points[-1].time_from_start) if message.points else 0.0
        longest_s = self._node.settings.longest_move_s
        if end_s > longest_s:
            self.counts[f"{source}: dropped"] += 1
            self._refuse(
                f"A timed move of '{source}' over {end_s:.0f} s to {self.name} is dropped; it may "
                f"last {longest_s:g} s: send it in parts."
            )
        elif self._admits(source, max(end_s, 0.0)):
            self._moves.publish(message)
            self.publish_owner()

    def _admits(self, source: str, duration_s: float = 0.0) -> bool:
        if not self._node.is_active:
            return False
        admission = self.arbiter.admit(source, duration_s)
        self.counts[f"{source}: {'passed' if admission is Admission.PASSED else 'dropped'}"] += 1
        if admission is not Admission.PASSED:
            text = f"A command of '{source}' to {self.name} is dropped: {admission.value}."
            self._node.get_logger().warning(text, throttle_duration_sec=2.0)
        return admission is Admission.PASSED

    def _on_deadman(self, source: str, message: Bool) -> None:
        self.arbiter.hold_deadman(source, bool(message.data))

    def publish_owner(self) -> None:
        """Publish who has the limb: when that changes, and twice a second as a sign of life."""
        active, now = self.arbiter.active, time.monotonic()
        if active != self._published or now - self._published_s >= HEARTBEAT_PERIOD_S:
            self._published, self._published_s = active, now
            self._active.publish(String(data=active))


class CommandMultiplexer(ManagedNode):
    """Passes on the commands of one source per limb at a time."""

    def __init__(self) -> None:
        super().__init__("command_multiplexer")
        self.settings = declare_settings(self, MultiplexerSettings)
        self.is_active = False
        self._limbs: list[_LimbChannel] = []
        self._stopped = False

    def configure(self) -> None:
        """Open the topics; nothing passes yet."""
        sources = self.settings.parsed()
        limbs = load_robot(self.settings.robot).limbs
        self._limbs = [_LimbChannel(self, number, sources) for number in range(len(limbs))]
        self.owned.subscription(Bool, "/e_stop_state", self._on_stop, latched_qos())
        self.owned.wall_timer(_LOOK_PERIOD_S, self._look)
        reporters = [partial(self._report, limb) for limb in self._limbs]
        self.owned.add(Diagnostics(self, reporters).close)

    def activate(self) -> None:
        """Let commands pass."""
        self.is_active = True
        names = ", ".join(f"{source.name}" for source in self.settings.parsed())
        self.get_logger().info(f"Sources for {len(self._limbs)} limb(s): {names}.")

    def deactivate(self) -> None:
        """Let nothing pass; the drivers time out and hold."""
        self.is_active = False

    def cleanup(self) -> None:
        """Close the topics."""
        super().cleanup()
        self._limbs = []

    def _on_stop(self, message: Bool) -> None:
        self._stopped = bool(message.data)
        for limb in self._limbs:
            limb.arbiter.stop(self._stopped)
            limb.publish_owner()

    def _look(self) -> None:
        for limb in self._limbs:
            limb.publish_owner()

    def _report(self, limb: _LimbChannel) -> DiagnosticReport:
        values = {
            "active_source": limb.arbiter.active or "none",
            **dict(sorted(limb.counts.items())),
        }
        level, message = (WARN, "emergency stop engaged") if self._stopped else (OK, "ok")
        return DiagnosticReport(f"{self.get_name()}: {limb.name}", level, message, values)


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes command_multiplexer``."""
    return run_node(CommandMultiplexer)
