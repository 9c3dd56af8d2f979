"""Managed node ``command_multiplexer``: who may command a limb now.

For each source listens to ``/limb_<i>/sources/<name>`` (std_msgs/Float64MultiArray, joint positions
in rad as on ``/limb_<i>/commands``) and ``/limb_<i>/sources/<name>/deadman`` (std_msgs/Bool, true
while held, repeated within the time-out). Passes the commands of the one source that has the limb
on to ``/limb_<i>/commands``, and says on ``/limb_<i>/active_source`` (std_msgs/String, latched) who
that is. While ``/e_stop_state`` is true nothing passes, and a dead-man held then must be released
before it counts again. Limits are the driver's business: each value is checked once, there.

A source that is a program, and so has no dead-man, may also send timed moves to
``/limb_<i>/sources/<name>/joint_trajectory`` (trajectory_msgs/JointTrajectory). They go on to
``/limb_<i>/joint_trajectory``, and the limb is that source's for as long as they last. Who has a
dead-man may not: a timed move would go on when the hand has let go.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from rclpy.clock import Clock, ClockType
from rclpy.subscription import Subscription
from std_msgs.msg import Bool, Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

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
    people = ["leader:40", "gamepad:30", "web:20", "keyboard:10"]
    # Of these two, who has the limb keeps it.
    return [*people, "policy:5", "find_target:5", "language_agent:1"]


@dataclass(frozen=True)
class MultiplexerSettings:
    """Parameters of the node."""

    robot: Annotated[str, "name or path of the robot description: how many limbs"] = "limb_p1"
    sources: Annotated[list[str], "name:priority of each source; the highest priority wins"] = (
        field(default_factory=_sources)
    )
    without_deadman: Annotated[list[str], "sources that are programs, and have no dead-man"] = (
        field(default_factory=lambda: ["policy", "find_target", "language_agent"])
    )
    timeout_s: Annotated[float, "s after which a silent source has let go, or its dead-man"] = 0.5

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
        self._told = ""
        prefix = f"/limb_{number}"
        self._commands = node.create_publisher(
            Float64MultiArray, f"{prefix}/commands", reliable_qos()
        )
        self._moves = node.create_publisher(
            JointTrajectory, f"{prefix}/joint_trajectory", reliable_qos()
        )
        self._active = node.create_publisher(String, f"{prefix}/active_source", latched_qos())
        self._active.publish(String(data=""))
        self._inputs: list[Subscription] = []
        for source in sources:
            topic = f"{prefix}/sources/{source.name}"
            self._listen(Float64MultiArray, topic, partial(self._on_command, source.name))
            if source.needs_deadman:
                self._listen(Bool, f"{topic}/deadman", partial(self._on_deadman, source.name))
            else:
                move = partial(self._on_move, source.name)
                self._listen(JointTrajectory, f"{topic}/joint_trajectory", move)

    def _listen(self, kind: type, topic: str, callback: Callable[..., None]) -> None:
        qos = reliable_qos()
        self._inputs.append(self._node.create_subscription(kind, topic, callback, qos))

    def _on_command(self, source: str, message: Float64MultiArray) -> None:
        if self._admits(source):
            self._commands.publish(message)
            self.tell()

    def _on_move(self, source: str, message: JointTrajectory) -> None:
        # No points, no move; the driver refuses it and says so.
        end_s = to_seconds(message.points[-1].time_from_start) if message.points else 0.0
        if self._admits(source, max(end_s, 0.0)):
            self._moves.publish(message)
            self.tell()

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

    def tell(self) -> None:
        """Publish who has the limb, if that has changed."""
        active = self.arbiter.active
        if active != self._told:
            self._told = active
            self._active.publish(String(data=active))

    def close(self) -> None:
        """Take the topics down."""
        for subscription in self._inputs:
            self._node.destroy_subscription(subscription)
        for publisher in (self._commands, self._moves, self._active):
            self._node.destroy_publisher(publisher)


class CommandMultiplexer(ManagedNode):
    """Passes on the commands of one source per limb at a time."""

    def __init__(self) -> None:
        super().__init__("command_multiplexer")
        self.settings = declare_settings(self, MultiplexerSettings)
        self.is_active = False
        self._limbs: list[_LimbChannel] = []
        self._stopped = False
        self._closers: list[Callable[[], None]] = []

    def configure(self) -> None:
        """Open the topics; nothing passes yet."""
        sources = self.settings.parsed()
        limbs = load_robot(self.settings.robot).limbs
        self._limbs = [_LimbChannel(self, number, sources) for number in range(len(limbs))]
        stop = self.create_subscription(Bool, "/e_stop_state", self._on_stop, latched_qos())
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        timer = self.create_timer(_LOOK_PERIOD_S, self._look, clock=wall)
        diagnostics = Diagnostics(self, [partial(self._report, limb) for limb in self._limbs])
        self._closers = [
            lambda: self.destroy_subscription(stop),
            lambda: self.destroy_timer(timer),
            diagnostics.close,
        ]

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
        for close in [*self._closers, *(limb.close for limb in self._limbs)]:
            close()
        self._closers, self._limbs = [], []

    def _on_stop(self, message: Bool) -> None:
        self._stopped = bool(message.data)
        for limb in self._limbs:
            limb.arbiter.stop(self._stopped)
            limb.tell()

    def _look(self) -> None:
        for limb in self._limbs:
            limb.tell()

    def _report(self, limb: _LimbChannel) -> DiagnosticReport:
        values = {
            "active_source": limb.arbiter.active or "none",
            **dict(sorted(limb.counts.items())),
        }
        level, message = (WARN, "emergency stop engaged") if self._stopped else (OK, "ok")
        return DiagnosticReport(f"{self.get_name()}: {limb.name}", level, message, values)


def main() -> None:
    """Run the node until it is told to stop."""
    sys.exit(run_node(CommandMultiplexer))


if __name__ == "__main__":
    main()
