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
import numpy.typing as npt

from learning.recordings.bags.bag_writer import Topic
from learning.recordings.bags.qos_profiles import declared_rate_hz
from learning.recordings.bags.scan import Scan, open_scan
from learning.recordings.clock import ClockLog
from learning.recordings.pictures import PictureChecker, PictureError
from learning.recordings.reading import Decoder, Raw, Recording, encoding_words, raw_messages
from learning.recordings.trace import COMMANDS, JOINTS, TRAJECTORY

# A pause is a gap when it is so many times as long as the topic's own period.
GAP_PERIODS = 2.5
# Topics with fewer messages, or whose pauses differ more than this, have no period of their own.
FEWEST = 10
REGULAR = 0.6
# A stream that jitters has gaps where it pauses so many times as long as it mostly does.
JITTER_PAUSES = 2.0
# A topic may begin and end so much later and earlier than the recording: subscribing takes time.
EDGE_S, EDGE_SHARE = 1.0, 0.1
# Below so much of the declared rate a topic is too slow.
RATE_SHARE = 0.8
# No message on any topic for so long: a clock that jumped, or a recorder that stood still.
LONG_PAUSE_NS = 5_000_000_000
# What people and programs send when they like has no period.
SENT_AT_WILL = ("*/cmd_vel", "*/joy", "/joy", "/cmd_vel", "*/initialpose", "*/goal_pose")

Times = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Gap:
    """A pause of a topic that should not be; times in s since the recording's beginning."""

    start_s: float
    duration_s: float


@dataclass
class TopicHealth:
    """One topic.

    Attributes:
        topic: name and type.
        count: messages.
        data_bytes: of them, as they came over the wire.
        rate_hz: messages over their span; 0 where there are fewer than two.
        declared_hz: as promised by its publisher or given by a person; 0 where nobody did.
        gaps: pauses much longer than its period.
        late_s, early_s: how much later and earlier than the recording it begins and ends, where
            that is too much; else 0.
        missing: messages that pauses, late start and early end lack.
        dropped: messages that the recorder itself could not save.
        backwards: messages stamped earlier than the one before.
        not_finite: messages with positions that are no finite number.
        damaged: pictures that cannot be decoded, and why.
        is_required: whether data sets are made of it.
        start_s, end_s: first and last message since the recording's beginning.
    """

    topic: Topic
    count: int = 0
    data_bytes: int = 0
    rate_hz: float = 0.0
    declared_hz: float = 0.0
    gaps: list[Gap] = field(default_factory=list)
    late_s: float = 0.0
    early_s: float = 0.0
    missing: int = 0
    dropped: int = 0
    backwards: int = 0
    not_finite: int = 0
    damaged: int = 0
    damage: str = ""
    is_required: bool = False
    start_s: float = 0.0
    end_s: float = 0.0

    @property
    def recorded_share(self) -> float:
        """Return the fraction of messages that are there, of all that should be."""
        return self.count / max(self.count + self.missing + self.dropped, 1)

    @property
    def is_too_slow(self) -> bool:
        """Return whether its rate is below the declared one."""
        return 0 < self.rate_hz < RATE_SHARE * self.declared_hz

    @property
    def shortly(self) -> str:
        """Return the same in a few words, for a table."""
        words = []
        if self.missing or self.dropped:
            words.append(f"{self.missing + self.dropped} missing")
        if self.damaged:
            words.append(f"{self.damaged} damaged")
        if self.not_finite:
            words.append(f"{self.not_finite} not finite")
        if self.is_too_slow:
            words.append("slow")
        if self.backwards:
            words.append("backwards")
        if self.is_required and not self.topic.is_readable:
            words.append("encoding")
        return ", ".join(words)

    @property
    def problem(self) -> str:
        """Return what is wrong, in words; empty when nothing is."""
        words = [*self._lost(), *self._wrong()]
        return "; ".join(words)

    def _lost(self) -> list[str]:
        words = []
        about = f", about {self.missing} messages missing" if self.missing else ""
        if self.dropped:
            words.append(f"{self.dropped} lost by the recorder")
        if self.late_s:
            words.append(f"silent from the beginning to {self.start_s:.2f} s{about}")
        if self.early_s:
            words.append(f"silent from {self.end_s:.2f} s to the end{about}")
        if self.gaps:
            longest = max(self.gaps, key=lambda gap: gap.duration_s)
            words.append(
                f"{len(self.gaps)} gaps{about}, the longest "
                f"{longest.duration_s:.2f} s at {longest.start_s:.2f} s"
            )
        return words

    def _wrong(self) -> list[str]:
        words = []
        if self.is_too_slow:
            words.append(f"{self.rate_hz:.1f} Hz instead of {self.declared_hz:.1f} Hz")
        if self.backwards:
            words.append(f"{self.backwards} stamps go backwards")
        if self.not_finite:
            words.append(
                f"{self.not_finite} messages hold positions that are no finite number; an export "
                "takes the value before, or leaves the frames out"
            )
        if self.damaged:
            kind = "pictures" if self.topic.is_picture else "messages"
            words.append(
                f"{self.damaged} of {self.count} {kind} cannot be decoded ({self.damage}), "
                "which an export leaves out"
            )
        if self.is_required and not self.topic.is_readable:
            words.append(encoding_words(self.topic))
        return words


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
        """Return whether nothing is wrong."""
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
            _Judge(topic, times[name], span, health.start_ns, holes).run()
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


@dataclass
class _Judge:
    """One topic against the whole recording.

    Attributes:
        topic: filled in here.
        times_ns: of its messages, in the order of the files.
        span_ns: of the recording.
        start_ns: time 0 of what is told.
        holes: times at which no topic had messages.
    """

    topic: TopicHealth
    times_ns: Times
    span_ns: tuple[int, int]
    start_ns: int
    holes: list[tuple[int, int]]

    def run(self) -> None:
        topic = self.topic
        ordered = np.sort(self.times_ns)
        span_s = int(ordered[-1] - ordered[0]) / 1e9
        topic.rate_hz = (len(ordered) - 1) / span_s if span_s > 0 else 0.0
        topic.start_s = self._second(ordered[0])
        topic.end_s = self._second(ordered[-1])
        pauses = np.diff(ordered)
        if topic.topic.is_latched or not self._has_period(pauses):
            return
        period_ns = self._period_ns(pauses)
        if period_ns <= 0:
            return
        topic.backwards = int((np.diff(self.times_ns) < 0).sum())
        self._judge_pauses(ordered, pauses, period_ns)
        self._judge_edges(ordered, period_ns)

    def _second(self, time_ns: Any) -> float:
        return (int(time_ns) - self.start_ns) / 1e9

    def _has_period(self, pauses: Times) -> bool:
        """Return whether messages should come again and again: of cameras and joints always."""
        name = self.topic.topic.name
        if self.topic.is_required:
            return bool(len(pauses))
        if COMMANDS.fullmatch(name) or TRAJECTORY.fullmatch(name):
            return False
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in SENT_AT_WILL):
            return False
        return len(pauses) + 1 >= FEWEST and self._is_regular(pauses)

    def _is_regular(self, pauses: Times) -> bool:
        low, high = np.quantile(pauses, [0.1, 0.9])
        return bool(high - low <= REGULAR * 2 * np.median(pauses))

    def _period_ns(self, pauses: Times) -> float:
        """Return the period: the declared one, or the usual pause.

        A recorder that was busy takes messages in bursts: then their mean tells more.
        """
        if self.topic.declared_hz:
            return 1e9 / self.topic.declared_hz
        usual = float(np.median(pauses))
        mean = float(np.mean(pauses))
        return usual if usual > 0.2 * mean or self._is_regular(pauses) else mean

    def _judge_pauses(self, ordered: Times, pauses: Times, period_ns: float) -> None:
        limit = GAP_PERIODS * period_ns
        if not self._is_regular(pauses):
            limit = max(limit, JITTER_PAUSES * float(np.quantile(pauses, 0.95)))
        for number in np.flatnonzero(pauses > limit):
            start, end = int(ordered[number]), int(ordered[number + 1])
            # What no topic has is told once, of the clock.
            length = (
                end
                - start
                - sum(
                    min(end, last) - max(start, first)
                    for first, last in self.holes
                    if first < end and last > start
                )
            )
            if length > limit:
                self.topic.gaps.append(Gap(self._second(start), (end - start) / 1e9))
                self.topic.missing += round(length / period_ns) - 1

    def _judge_edges(self, ordered: Times, period_ns: float) -> None:
        first_ns, last_ns = self.span_ns
        share = min(EDGE_S * 1e9, EDGE_SHARE * (last_ns - first_ns))
        limit = max(GAP_PERIODS * period_ns, share)
        late_ns, early_ns = int(ordered[0]) - first_ns, last_ns - int(ordered[-1])
        if late_ns > limit:
            self.topic.late_s = late_ns / 1e9
            self.topic.missing += round(late_ns / period_ns)
        if early_ns > limit:
            self.topic.early_s = early_ns / 1e9
            self.topic.missing += round(early_ns / period_ns)
