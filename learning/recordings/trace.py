"""What a recording says of the robot, as arrays: joints, commands, finds, when pictures came.

Times are those of the recording's clock, in s since its first message.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from learning.recordings.pictures import PictureChecker, PictureError, PictureForm
from learning.recordings.reading import Decoder, Raw, Recording, encoding_words
from learning.recordings.timing.clock import ClockLog

JOINTS = re.compile(r"/limb_(\d+)/joint_states")
COMMANDS = re.compile(r"/limb_(\d+)/commands")
TRAJECTORY = re.compile(r"/limb_(\d+)/joint_trajectory")
CAMERA = re.compile(r"/limb_(\d+)/camera_(\d+)/")
DETECTIONS = "/target/detections"
STOP = "/e_stop_state"


R = TypeVar("R", bound="_Row")


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
        """Return ``(K, n)`` values in effect at ``(K,)`` times: the last not later, else the first.

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
class CameraSeries:
    """The pictures of a camera that can be decoded, in the order of time.

    Attributes:
        times_s: ``(T,)``, not decreasing.
        numbers: ``(T,)`` their places among all messages of the topic, in the order of the file.
        form: size and kind; None where no picture can be decoded.
        damaged: pictures that cannot be decoded.
        resized: pictures of another size or kind than the first.
        problem: why pictures cannot be decoded; empty where all can.
        encoding: named where no picture of this camera can be decoded for its encoding.
    """

    times_s: FloatArray = field(default_factory=lambda: np.empty(0))
    numbers: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    form: PictureForm | None = None
    damaged: int = 0
    resized: int = 0
    problem: str = ""
    encoding: str = ""


@dataclass
class Trace:
    """What was recorded, or what of it belongs to one run of the clock.

    Attributes:
        start_ns: clock at time 0.
        duration_s: until the last message.
        joints: measured positions in rad by limb, commanded joints first.
        commands: commanded positions in rad by limb, of the commanded joints.
        pictures: ``(T,)`` times of each camera's pictures, by topic.
        cameras: the pictures that can be decoded, by topic; empty unless that was asked for.
        sights: when cameras saw tags.
        stops: ``(time in s, engaged)`` of the emergency stop.
        not_finite: messages with positions that are no finite number, by topic.
        unreadable: why messages of a topic could not be read, by topic.
    """

    start_ns: int = 0
    duration_s: float = 0.0
    joints: dict[int, Series] = field(default_factory=dict)
    commands: dict[int, Series] = field(default_factory=dict)
    pictures: dict[str, FloatArray] = field(default_factory=dict)
    cameras: dict[str, CameraSeries] = field(default_factory=dict)
    sights: list[Sight] = field(default_factory=list)
    stops: list[tuple[float, bool]] = field(default_factory=list)
    not_finite: dict[str, int] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


def read_trace(recording: Recording) -> Trace:
    """Read a recording once, as one run of time; pictures are not looked into.

    Returns:
        All of it.
    """
    gathered = _Gatherer()
    for raw in recording.messages():
        gathered.take(raw)
    return gathered.trace(0, None)


def read_runs(recording: Recording) -> list[Trace]:
    """Read a recording once, and part it where its clock went back; pictures are checked.

    Returns:
        A trace per run of the clock, in order.
    """
    gathered = _Gatherer(PictureChecker())
    for raw in recording.messages():
        gathered.take(raw)
    starts = [0, *(number for number, _ in gathered.clock.breaks())]
    ends: list[int | None] = [*starts[1:], None]
    return [gathered.trace(start, end) for start, end in zip(starts, ends, strict=True)]


@dataclass
class _Row:
    """A message that counts: its number in the recording, its time, and what it holds."""

    number: int
    time_ns: int
    content: Any = None


@dataclass
class _PictureRow(_Row):
    """A picture: its place among its topic's messages, its form, or why it has none."""

    place: int = 0
    form: PictureForm | None = None
    problem: str = ""
    encoding: str = ""


class _Gatherer:
    """Takes message after message.

    Args:
        check: returns whether a picture can be decoded; None does not look into pictures.
    """

    def __init__(self, check: PictureChecker | None = None) -> None:
        self.clock = ClockLog()
        self._check = check
        self._decode = Decoder()
        self._count = 0
        self._first_ns: int | None = None
        self._last_ns = 0
        self._joints: dict[int, list[_Row]] = defaultdict(list)
        self._commands: dict[int, list[_Row]] = defaultdict(list)
        self._moves: dict[int, list[_Row]] = defaultdict(list)
        self._pictures: dict[str, list[_PictureRow]] = defaultdict(list)
        self._sights: list[_Row] = []
        self._stops: list[_Row] = []
        self._unreadable: dict[str, str] = {}

    def take(self, raw: Raw) -> None:
        """Take one message."""
        time_ns = raw.time_ns
        self._first_ns = time_ns if self._first_ns is None else min(self._first_ns, time_ns)
        self._last_ns = max(self._last_ns, time_ns)
        name = raw.topic.name
        if raw.topic.is_picture:
            self._take_picture(raw, time_ns)
        elif match := JOINTS.fullmatch(name):
            self._add(self._joints[int(match[1])], raw)
            self.clock.add(self._count, name, time_ns)
        elif match := TRAJECTORY.fullmatch(name):
            self._add(self._moves[int(match[1])], raw)
        elif match := COMMANDS.fullmatch(name):
            self._add(self._commands[int(match[1])], raw)
            self.clock.add(self._count, name, time_ns)
        elif name == DETECTIONS:
            self._add(self._sights, raw)
        elif name == STOP:
            self._add(self._stops, raw)
        self._count += 1

    def _take_picture(self, raw: Raw, time_ns: int) -> None:
        rows = self._pictures[raw.topic.name]
        row = _PictureRow(self._count, time_ns, place=len(rows))
        if self._check is not None:
            try:
                row.form = self._check(raw)
            except PictureError as error:
                row.problem, row.encoding = str(error), error.encoding
        rows.append(row)
        self.clock.add(self._count, raw.topic.name, time_ns)

    def _add(self, rows: list[_Row], raw: Raw) -> None:
        content = self._decode(raw)
        if content is not None:
            rows.append(_Row(self._count, raw.time_ns, content))
            return
        topic = raw.topic
        why = "messages are damaged" if topic.is_readable else encoding_words(topic)
        self._unreadable.setdefault(topic.name, why)

    def trace(self, start: int, end: int | None) -> Trace:
        """Return what came between two messages, as arrays."""

        def mine(rows: Iterable[R]) -> list[R]:
            return [
                row for row in rows if row.number >= start and (end is None or row.number < end)
            ]

        start_ns = self._first_ns or 0
        trace = Trace(start_ns, (self._last_ns - start_ns) / 1e9)
        trace.unreadable = dict(self._unreadable)
        for limb, rows in sorted(self._joints.items()):
            trace.joints[limb] = self._joint_series(mine(rows), self._joint_names(limb))
            self._count_not_finite(trace, f"/limb_{limb}/joint_states", mine(rows), "position")
        for limb in sorted({*self._commands, *self._moves}):
            names = self._commanded_names(limb)
            commands, moves = mine(self._commands[limb]), mine(self._moves[limb])
            self._count_not_finite(trace, f"/limb_{limb}/commands", commands, "data")
            trace.commands[limb] = self._command_series(
                commands, moves, names, trace.joints.get(limb)
            )
        for name, pictures in sorted(self._pictures.items()):
            rows_here = mine(pictures)
            trace.pictures[name] = np.sort(self._seconds(rows_here))
            if self._check is not None:
                trace.cameras[name] = self._camera(rows_here, pictures)
        trace.sights = [
            Sight(
                self._second(row.time_ns),
                row.content.limb,
                row.content.camera,
                tuple(int(found.id) for found in row.content.detections),
            )
            for row in mine(self._sights)
            if row.content.detections
        ]
        trace.stops = [
            (self._second(row.time_ns), bool(row.content.data)) for row in mine(self._stops)
        ]
        return trace

    def _count_not_finite(self, trace: Trace, topic: str, rows: list[_Row], name: str) -> None:
        count = sum(not np.isfinite(getattr(row.content, name)).all() for row in rows)
        if count:
            trace.not_finite[topic] = count

    def _camera(self, rows: list[_PictureRow], everywhere: list[_PictureRow]) -> CameraSeries:
        form = next((row.form for row in everywhere if row.form is not None), None)
        good = [row for row in rows if row.form is not None and row.form == form]
        times_s = self._seconds(good)
        order = np.argsort(times_s, kind="stable")
        bad = [row for row in rows if row.form is None]
        return CameraSeries(
            times_s=times_s[order],
            numbers=np.array([row.place for row in good], np.int64)[order],
            form=form,
            damaged=len(bad),
            resized=len(rows) - len(good) - len(bad),
            problem=bad[0].problem if bad else "",
            encoding=next((row.encoding for row in bad), "") if form is None else "",
        )

    def _second(self, time_ns: int) -> float:
        return (time_ns - (self._first_ns or 0)) / 1e9

    def _seconds(self, rows: Sequence[_Row]) -> FloatArray:
        times_ns = np.array([row.time_ns for row in rows], dtype=np.int64)
        return (times_ns - (self._first_ns or 0)) / 1e9

    def _joint_names(self, limb: int) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for row in self._joints[limb] for name in row.content.name))

    def _joint_series(self, rows: list[_Row], names: tuple[str, ...]) -> Series:
        values = np.full((len(rows), len(names)), np.nan)
        column = {name: number for number, name in enumerate(names)}
        for number, row in enumerate(rows):
            for name, position in zip(row.content.name, row.content.position, strict=False):
                values[number, column[name]] = position
        values[~np.isfinite(values)] = np.nan
        return _sorted(names, self._seconds(rows), values)

    def _commanded_names(self, limb: int) -> tuple[str, ...]:
        """Return the commanded joints: joint states name them first; how many, the commands say."""
        moves = [tuple(row.content.joint_names) for row in self._moves[limb]]
        named = [names for names in moves if names]
        widths = [len(row.content.data) for row in self._commands[limb]]
        count = max([*widths, *(len(names) for names in named)], default=0)
        measured = self._joint_names(limb) if limb in self._joints else ()
        if len(measured) >= count and measured:
            return measured[:count]
        if named:
            return max(named, key=len)
        return tuple(f"joint_{number}" for number in range(count))

    def _command_series(
        self, commands: list[_Row], moves: list[_Row], names: tuple[str, ...], joints: Series | None
    ) -> Series:
        """Return both kinds of command in one row; of a timed move, where it leads to in the end.

        What is no finite number commands nothing: the joint's goal before it holds.
        """
        rows: list[tuple[_Row, dict[str, float]]] = [
            (row, dict(zip(names, row.content.data, strict=False))) for row in commands
        ]
        for row in moves:
            if row.content.points:
                own = list(row.content.joint_names) or list(names)
                rows.append((row, dict(zip(own, row.content.points[-1].positions, strict=False))))
        rows.sort(key=lambda entry: entry[0].time_ns)
        values = np.full((len(rows), len(names)), np.nan)
        before = np.full(len(names), np.nan)
        measured = joints is not None and len(joints.times_s) and set(names) <= set(joints.names)
        for number, (row, goal) in enumerate(rows):
            if number == 0 and measured and joints is not None:
                columns = [joints.names.index(name) for name in names]
                before = joints.at(np.array([self._second(row.time_ns)]))[0, columns]
            for place, name in enumerate(names):
                if math.isfinite(goal.get(name, math.nan)):
                    before[place] = goal[name]
            values[number] = before
        return _sorted(names, self._seconds([row for row, _ in rows]), values)


def _sorted(names: tuple[str, ...], times_s: FloatArray, values: FloatArray) -> Series:
    order = np.argsort(times_s, kind="stable")
    return Series(names, times_s[order], values[order])
