"""Whether a recording is sound: each topic against the whole recording, and its files.

A topic is judged by its own period: pauses in it, a late start, an early end, its rate against the
one that its publisher or a person declared. What a data set would lose is named, too.
"""

from __future__ import annotations

import fnmatch
from array import array
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from learning.recordings.bags.bag_writer import Topic
from learning.recordings.bags.qos_profiles import declared_rate_hz
from learning.recordings.bags.scan import Scan, open_scan
from learning.recordings.pictures import PictureChecker, PictureError
from learning.recordings.reading import Decoder, Raw, Recording, encoding_words, raw_messages
from learning.recordings.timing.clock import ClockLog
from learning.recordings.topic_health import TopicHealth, TopicJudge
from learning.recordings.trace import JOINTS

# No message on any topic for so long: a clock that jumped, or a recorder that stood still.
LONG_PAUSE_NS = 5_000_000_000


@dataclass
class Health:
    """A recording.

    Attributes:
        start_ns, duration_s: of its clock.
        topics: by name.
        compressions: of its chunks.
        problems: sentences about files and clock.
        notes: sentences about what is no fault of the recording, but good to know.
    """

    start_ns: int = 0
    duration_s: float = 0.0
    topics: dict[str, TopicHealth] = field(default_factory=dict)
    compressions: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems and not any(topic.problem for topic in self.topics.values())

    def words(self) -> dict[str, Any]:
        """Return everything for a program."""
        return {
            "duration_s": round(self.duration_s, 6),
            "sound": self.is_sound,
            "problems": self.problems,
            "notes": self.notes,
            "topics": {
                name: {
                    "type": topic.topic.type_name,
                    "encoding": topic.topic.message_encoding,
                    "messages": topic.count,
                    "bytes": topic.data_bytes,
                    "rate_hz": round(topic.rate_hz, 3),
                    "latched": topic.topic.is_latched,
                    "gaps": [[round(g.start_s, 6), round(g.duration_s, 6)] for g in topic.gaps],
                    "late_s": round(topic.late_s, 6),
                    "early_s": round(topic.early_s, 6),
                    "missing": topic.missing,
                    "dropped": topic.dropped,
                    "backwards": topic.backwards,
                    "not_finite": topic.not_finite,
                    "damaged": topic.damaged,
                    "problem": topic.problem,
                }
                for name, topic in self.topics.items()
            },
        }


def examine(recording: Recording, rates: Mapping[str, float] | None = None) -> Health:
    """Read a recording once and judge it.

    Args:
        recording: to be judged.
        rates: declared rates in Hz by patterns of topics.

    Returns:
        What was found.
    """
    return _Examiner(recording, rates or {}).run()


class _Examiner:
    """One recording."""

    def __init__(self, recording: Recording, rates: Mapping[str, float]) -> None:
        self._recording = recording
        self._rates = rates
        self._health = Health()
        self._clock = ClockLog()
        self._times: dict[str, array[int]] = defaultdict(lambda: array("q"))
        self._log_times = array("q")
        self._decode = Decoder()
        self._check_picture = PictureChecker()

    def run(self) -> Health:
        health = self._health
        for file in self._recording.files:
            with open_scan(file) as scan:
                for raw in raw_messages(scan):
                    self._take(raw)
            health.compressions |= scan.compressions
            self._judge_file(file.name, scan)
        self._judge_parts()
        if not self._log_times:
            health.problems.append("It holds no messages.")
        else:
            self._judge_topics()
        self._add_card()
        return health

    def _take(self, raw: Raw) -> None:
        name = raw.topic.name
        topic = self._health.topics.get(name)
        if topic is None:
            topic = self._health.topics[name] = TopicHealth(raw.topic)
            topic.is_required = raw.topic.is_picture or bool(JOINTS.fullmatch(name))
            topic.declared_hz = self._declared(raw.topic)
        topic.count += 1
        topic.data_bytes += len(raw.data)
        time_ns = raw.time_ns
        self._times[name].append(time_ns)
        if not raw.topic.is_latched:
            self._log_times.append(raw.log_time_ns)
        if topic.is_required and raw.topic.is_readable:
            self._clock.add(len(self._log_times), name, time_ns)
            self._look_into(topic, raw)

    def _declared(self, topic: Topic) -> float:
        for pattern, rate_hz in self._rates.items():
            if fnmatch.fnmatchcase(topic.name, pattern):
                return rate_hz
        return declared_rate_hz(tuple(topic.qos_profiles))

    def _look_into(self, topic: TopicHealth, raw: Raw) -> None:
        """Count what a data set could not take."""
        if topic.topic.is_picture:
            try:
                self._check_picture(raw)
            except PictureError as error:
                topic.damaged += 1
                topic.damage = topic.damage or str(error)
            return
        content = self._decode(raw)
        if content is None:
            topic.damaged += 1
            topic.damage = "damaged message"
        elif not np.isfinite(getattr(content, "position", [])).all():
            topic.not_finite += 1

    # -- files ----------------------------------------------------------------------------------

    def _judge_file(self, name: str, scan: Scan) -> None:
        problems = self._health.problems
        cure = "`python -m learning.recordings recover` mends it."
        if not scan.was_complete:
            problems.append(f"{name} was cut short; {cure}")
        if scan.bad_chunks:
            problems.append(f"{name} is damaged in {scan.bad_chunks} places inside; {cure}")
        if scan.orphans:
            problems.append(f"{name} holds {scan.orphans} messages whose topic is not described.")
        for compression in sorted(scan.unknown_compressions):
            problems.append(
                f"{name} has parts compressed as {compression[:32]!r}, which cannot be read here; "
                "compress it anew with `mcap compress --compression zstd`."
            )

    def _judge_parts(self) -> None:
        for name in self._recording.missing:
            self._health.problems.append(
                f"{name} is missing, though the bag names it; copy the whole bag."
            )
        self._health.notes += self._recording.notes

    # -- topics ---------------------------------------------------------------------------------

    def _judge_topics(self) -> None:
        health = self._health
        times = {name: np.array(row, dtype=np.int64) for name, row in self._times.items()}
        health.start_ns = int(min(row.min() for row in times.values()))
        last_ns = int(max(row.max() for row in times.values()))
        health.duration_s = (last_ns - health.start_ns) / 1e9
        holes = self._holes()
        # Latched messages may be stamped long before; they open and close no recording.
        live = [row for name, row in times.items() if not health.topics[name].topic.is_latched]
        edges = [row.min() for row in live] or [health.start_ns]
        ends = [row.max() for row in live] or [last_ns]
        span = int(min(edges)), int(max(ends))
        for name, topic in health.topics.items():
            TopicJudge(topic, times[name], span, health.start_ns, holes).run()
        self._judge_clock()
        unreadable = [t.topic for t in health.topics.values() if not t.topic.is_readable]
        if len(unreadable) == len(health.topics):
            health.problems.append(f"No topic can be read: {encoding_words(unreadable[0])}.")
        else:
            health.notes += [
                f"{topic.name}: {encoding_words(topic)}."
                for topic in unreadable
                if not health.topics[topic.name].is_required
            ]

    def _holes(self) -> list[tuple[int, int]]:
        """Return from when to when nothing came on any topic, where that is long."""
        row = np.unique(np.array(self._log_times, dtype=np.int64))
        places = np.flatnonzero(np.diff(row) > LONG_PAUSE_NS)
        return [(int(row[place]), int(row[place + 1])) for place in places]

    def _judge_clock(self) -> None:
        health = self._health
        for start_ns, end_ns in self._holes():
            health.problems.append(
                f"Nothing was recorded between {(start_ns - health.start_ns) / 1e9:.2f} and "
                f"{(end_ns - health.start_ns) / 1e9:.2f} s: the clock jumped forward, or the "
                "recorder stood still; an export makes two episodes of it."
            )
        for _, back_ns in self._clock.breaks():
            health.problems.append(
                f"The clock goes back by {back_ns / 1e9:.2f} s; an export makes two episodes of it."
            )

    def _add_card(self) -> None:
        """Add what the recorder itself has noted."""
        card, health = self._recording.card, self._health
        if card is None:
            return
        if card.problem:
            health.problems.append(card.problem)
        for name, count in card.dropped.items():
            if name in health.topics:
                health.topics[name].dropped = count
            else:
                health.problems.append(f"{name}: all {count} messages were lost by the recorder.")
