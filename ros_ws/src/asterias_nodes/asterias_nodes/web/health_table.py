"""The newest report of each part on ``/diagnostics``, in a table of bounded size."""

from __future__ import annotations

import time
from typing import NamedTuple

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from asterias_nodes.web.text import shortened

STALE_S = 3.0
# A robot of six limbs has about 60 parts. Whoever invents names must not fill the memory.
MAX_PARTS = 256
MAX_VALUES = 32
LEVELS = {
    DiagnosticStatus.ERROR: ("error", 0),
    DiagnosticStatus.WARN: ("warn", 1),
    DiagnosticStatus.STALE: ("stale", 2),
    DiagnosticStatus.OK: ("ok", 3),
}


class PartReport(NamedTuple):
    """One part's health.

    Attributes:
        order: 0 is worst.
        level: ``error``, ``warn``, ``stale`` or ``ok``.
        name: of the part.
        message: a sentence.
        values: names and values; empty for what is well.
    """

    order: int
    level: str
    name: str
    message: str
    values: tuple[tuple[str, str], ...]


class HealthTable:
    """Reports by name; a full table drops the part that has been silent longest."""

    def __init__(self) -> None:
        self._reports: dict[str, tuple[float, PartReport]] = {}

    def on_diagnostics(self, message: DiagnosticArray) -> None:
        """Take the reports of a message."""
        now = time.monotonic()
        for status in message.status[:MAX_PARTS]:
            report = _report(status)
            # Taken out first, so that the order of the table is that of the last reports.
            self._reports.pop(report.name, None)
            if len(self._reports) >= MAX_PARTS:
                del self._reports[next(iter(self._reports))]
            self._reports[report.name] = (now, report)

    @property
    def reports(self) -> list[PartReport]:
        """All parts, the worst first, then by name."""
        now = time.monotonic()
        found = []
        for received_s, report in list(self._reports.values()):
            if now - received_s > STALE_S:
                level, order = LEVELS[DiagnosticStatus.STALE]
                found.append(report._replace(order=order, level=level, message="no report"))
            else:
                found.append(report)
        return sorted(found)


def _report(status: DiagnosticStatus) -> PartReport:
    level, order = LEVELS.get(status.level, LEVELS[DiagnosticStatus.STALE])
    # Counters would change the list twice a second: they are shown for what is wrong only.
    shown = [] if level == "ok" else status.values[:MAX_VALUES]
    values = tuple((shortened(v.key), shortened(v.value)) for v in shown)
    return PartReport(order, level, shortened(status.name), shortened(status.message, 200), values)
