"""What a recording says of the robot, as arrays: joints, commands, finds, when pictures came.

Times are those of the recording's clock, in s since its first message.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from learning.recordings.reading import Decoder, Raw, Recording

JOINTS = re.compile(r"/limb_(\d+)/joint_states")
COMMANDS = re.compile(r"/limb_(\d+)/commands")
TRAJECTORY = re.compile(r"/limb_(\d+)/joint_trajectory")
CAMERA = re.compile(r"/limb_(\d+)/camera_(\d+)/")
DETECTIONS = "/target/detections"
STOP = "/e_stop_state"


@dataclass(frozen=True)
class Series:
    """Values over time.

    Attributes:
        names: ``n`` of them.
        times_s: ``(T,)``, not decreasing.
        values: ``(T, n)``; NaN where a joint was not named.
    """

    names: tuple[str, ...]
    times_s: FloatArray
    values: FloatArray

    def at(self, times_s: FloatArray) -> FloatArray:
        """``(K, n)`` values in effect at ``(K,)`` times: the last ones not later, else the first.

        Raises:
            ValueError: there are none at all.
        """
        if not len(self.times_s):
            raise ValueError("a series without values has none at any time")
        rows = np.searchsorted(self.times_s, times_s, side="right") - 1
        values: FloatArray = self.values[np.maximum(rows, 0)]
        return values


@dataclass(frozen=True)
class Sight:
    """A camera that saw tags."""

    time_s: float
    limb: str
    camera: str
    ids: tuple[int, ...]


@dataclass
class Trace:
    """All of it.

    Attributes:
        start_ns: clock at time 0.
        duration_s: until the last message.
        joints: measured positions in rad by limb, commanded joints first.
        commands: commanded positions in rad by limb, of the commanded joints.
        pictures: ``(T,)`` times of each camera's pictures, by topic.
        sights: when cameras saw tags.
        stops: ``(time in s, engaged)`` of the emergency stop.
    """

    start_ns: int = 0
    duration_s: float = 0.0
    joints: dict[int, Series] = field(default_factory=dict)
    commands: dict[int, Series] = field(default_factory=dict)
    pictures: dict[str, FloatArray] = field(default_factory=dict)
    sights: list[Sight] = field(default_factory=list)
    stops: list[tuple[float, bool]] = field(default_factory=list)


def read_trace(recording: Recording) -> Trace:
    """Reads a recording once.

    Raises:
        UserError: a file cannot be read.
    """
    gathered = _Gatherer()
    for raw in recording.messages():
        gathered.take(raw)
    return gathered.trace()


class _Gatherer:
    """Takes message after message."""

    def __init__(self) -> None:
        self._decode = Decoder()
        self._first_ns: int | None = None
        self._last_ns = 0
        self._joints: dict[int, list[tuple[int, Any]]] = defaultdict(list)
        self._commands: dict[int, list[tuple[int, list[float]]]] = defaultdict(list)
        self._moves: dict[int, list[tuple[int, Any]]] = defaultdict(list)
        self._pictures: dict[str, list[int]] = defaultdict(list)
        self._sights: list[tuple[int, Any]] = []
        self._stops: list[tuple[int, bool]] = []

    def take(self, raw: Raw) -> None:
        """One message."""
        time_ns = raw.time_ns
        self._first_ns = time_ns if self._first_ns is None else min(self._first_ns, time_ns)
        self._last_ns = max(self._last_ns, time_ns)
        name = raw.topic.name
        if raw.topic.is_picture:
            self._pictures[name].append(time_ns)
        elif match := JOINTS.fullmatch(name):
            self._keep(self._joints[int(match[1])], raw)
        elif match := TRAJECTORY.fullmatch(name):
            self._keep(self._moves[int(match[1])], raw)
        elif match := COMMANDS.fullmatch(name):
            content = self._decode(raw)
            if content is not None:
                self._commands[int(match[1])].append((time_ns, list(content.data)))
        elif name == DETECTIONS:
            self._keep(self._sights, raw)
        elif name == STOP:
            content = self._decode(raw)
            self._stops.append((time_ns, bool(content.data)))

    def _keep(self, row: list[tuple[int, Any]], raw: Raw) -> None:
        content = self._decode(raw)
        if content is not None:
            row.append((raw.time_ns, content))

    def trace(self) -> Trace:
        """What came, as arrays."""
        start_ns = self._first_ns or 0
        trace = Trace(start_ns, (self._last_ns - start_ns) / 1e9)
        for limb, rows in sorted(self._joints.items()):
            trace.joints[limb] = self._joint_series(rows)
        for limb in sorted({*self._commands, *self._moves}):
            names = self._commanded_names(limb, trace.joints.get(limb))
            trace.commands[limb] = self._command_series(limb, names, trace.joints.get(limb))
        trace.pictures = {
            name: self._seconds(times) for name, times in sorted(self._pictures.items())
        }
        trace.sights = [
            Sight(
                self._second(time_ns),
                content.limb,
                content.camera,
                tuple(int(found.id) for found in content.detections),
            )
            for time_ns, content in self._sights
            if content.detections
        ]
        trace.stops = [(self._second(time_ns), engaged) for time_ns, engaged in self._stops]
        return trace

    def _second(self, time_ns: int) -> float:
        return (time_ns - (self._first_ns or 0)) / 1e9

    def _seconds(self, times_ns: list[int]) -> FloatArray:
        return (np.array(times_ns, dtype=np.int64) - (self._first_ns or 0)) / 1e9

    def _joint_series(self, rows: list[tuple[int, Any]]) -> Series:
        names = tuple(dict.fromkeys(name for _, content in rows for name in content.name))
        values = np.full((len(rows), len(names)), np.nan)
        column = {name: number for number, name in enumerate(names)}
        for row, (_, content) in enumerate(rows):
            for name, position in zip(content.name, content.position, strict=False):
                values[row, column[name]] = position
        return _sorted(names, self._seconds([time_ns for time_ns, _ in rows]), values)

    def _commanded_names(self, limb: int, joints: Series | None) -> tuple[str, ...]:
        """Joint states name the commanded joints first; how many, the commands say."""
        named = [tuple(move.joint_names) for _, move in self._moves[limb] if move.joint_names]
        widths = [len(data) for _, data in self._commands[limb]]
        count = max([*widths, *(len(names) for names in named)], default=0)
        if joints is not None and len(joints.names) >= count:
            return joints.names[:count]
        if named:
            return max(named, key=len)
        return tuple(f"joint_{number}" for number in range(count))

    def _command_series(self, limb: int, names: tuple[str, ...], joints: Series | None) -> Series:
        """Both kinds of command in one row; of a timed move, where it leads to in the end."""
        rows: list[tuple[int, dict[str, float]]] = [
            (time_ns, dict(zip(names, data, strict=False)))
            for time_ns, data in self._commands[limb]
        ]
        for time_ns, content in self._moves[limb]:
            if content.points:
                own = list(content.joint_names) or list(names)
                goal = dict(zip(own, content.points[-1].positions, strict=False))
                rows.append((time_ns, goal))
        rows.sort(key=lambda row: row[0])
        values = np.full((len(rows), len(names)), np.nan)
        before = np.full(len(names), np.nan)
        for number, (time_ns, goal) in enumerate(rows):
            if number == 0 and joints is not None and set(names) <= set(joints.names):
                columns = [joints.names.index(name) for name in names]
                before = joints.at(np.array([self._second(time_ns)]))[0, columns]
            before = np.array(
                [goal.get(name, old) for name, old in zip(names, before, strict=True)]
            )
            values[number] = before
        return _sorted(names, self._seconds([time_ns for time_ns, _ in rows]), values)


def _sorted(names: tuple[str, ...], times_s: FloatArray, values: FloatArray) -> Series:
    order = np.argsort(times_s, kind="stable")
    return Series(names, times_s[order], values[order])
