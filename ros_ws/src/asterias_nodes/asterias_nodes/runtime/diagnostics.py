"""Health of the parts of a node, published once a second on ``/diagnostics``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node

from asterias_nodes.runtime.qos import reliable_qos

OK: bytes = DiagnosticStatus.OK
WARN: bytes = DiagnosticStatus.WARN
ERROR: bytes = DiagnosticStatus.ERROR
STALE: bytes = DiagnosticStatus.STALE

PERIOD_S = 1.0


@dataclass(frozen=True)
class DiagnosticReport:
    """Health of one part.

    Attributes:
        name: ``node: part``.
        level: OK, WARN, ERROR or STALE.
        message: what a person should know.
        values: numbers that explain it.
    """

    name: str
    level: bytes = OK
    message: str = "ok"
    values: Mapping[str, object] = field(default_factory=dict)


Reporter = Callable[[], DiagnosticReport]


class Diagnostics:
    """Asks each reporter once a second and publishes the answers in one message.

    Args:
        node: supplies the clock and the publisher.
        reporters: asked in order; entries added later count, too.
    """

    def __init__(self, node: Node, reporters: Sequence[Reporter]) -> None:
        self._node = node
        self._reporters = reporters
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", reliable_qos())
        # On the wall clock: that simulated time stands still is worth a report.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(PERIOD_S, self.publish, clock=steady)

    def publish(self) -> None:
        """Publish now."""
        statuses = [_status(reporter()) for reporter in self._reporters]
        if not statuses:
            return
        message = DiagnosticArray(status=statuses)
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def close(self) -> None:
        """Stop publishing."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)


def _status(report: DiagnosticReport) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=report.level,
        name=report.name,
        message=report.message,
        hardware_id=report.name.rpartition(": ")[2],
        values=[KeyValue(key=key, value=str(value)) for key, value in report.values.items()],
    )
