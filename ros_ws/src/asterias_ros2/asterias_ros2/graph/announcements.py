"""How long it takes until a running system is known.

A Fast DDS participant answers the first announcement of a newcomer at once, but the newcomer misses
the answer about every second time: it announces itself before it listens (release 3.2). What it
missed comes again with the periodic announcements of the others, so after one period, and not
before, it knows them all. The period is 3 s unless a profile shortens it.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
DEFAULT_PERIOD_S = 3.0


def announcement_period_s(environment: Mapping[str, str] | None = None) -> float:
    """Return the time between two announcements of a node in this environment, in seconds."""
    source = os.environ if environment is None else environment
    path = next((source[name] for name in PROFILES if source.get(name)), None)
    if path is None:
        return DEFAULT_PERIOD_S
    try:
        root = ET.parse(Path(path)).getroot()
    except (OSError, ET.ParseError):
        return DEFAULT_PERIOD_S
    for participant in root.iterfind(".//{*}participant"):
        if participant.get("is_default_profile") == "true":
            return _period_s(participant)
    return DEFAULT_PERIOD_S


def _period_s(participant: ET.Element) -> float:
    period = participant.find(".//{*}leaseAnnouncement")
    if period is None:
        return DEFAULT_PERIOD_S
    try:
        seconds = float(period.findtext("{*}sec", "0"))
        return seconds + 1e-9 * float(period.findtext("{*}nanosec", "0"))
    except ValueError:
        return DEFAULT_PERIOD_S
