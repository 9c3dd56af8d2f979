"""Whether a recording is sound: rates, gaps and lost messages of each topic, and its files."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from learning.recordings.bags.bag_writer import Topic
from learning.recordings.bags.scan import open_scan
from learning.recordings.reading import Recording, raw_messages

# A pause is a gap when it is so many times as long as the topic's own period.
GAP_PERIODS = 2.5
# Topics with fewer messages, or whose pauses differ more than this, have no period of their own.
FEWEST = 10
REGULAR = 0.6
LONGEST_LIST = 5


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
        rate_hz: of its median period; 0 where it has none.
        gaps: pauses much longer than that.
        missing: messages that such pauses lack.
        dropped: messages that the recorder itself could not keep.
        backwards: messages stamped earlier than the one before.
    """

    topic: Topic
    count: int = 0
    data_bytes: int = 0
    rate_hz: float = 0.0
    gaps: list[Gap] = field(default_factory=list)
    missing: int = 0
    dropped: int = 0
    backwards: int = 0

    @property
    def recorded_share(self) -> float:
        """Messages that are there, of all that should be."""
        return self.count / max(self.count + self.missing + self.dropped, 1)

    @property
    def shortly(self) -> str:
        """The same in a few words, for a table."""
        if self.missing or self.dropped:
            return f"{self.missing + self.dropped} missing"
        return "backwards" if self.backwards else ""

    @property
    def problem(self) -> str:
        """What is wrong, in words; empty when nothing is."""
        words = []
        if self.dropped:
            words.append(f"{self.dropped} lost by the recorder")
        if self.gaps:
            longest = max(self.gaps, key=lambda gap: gap.duration_s)
            words.append(
                f"{len(self.gaps)} gaps, about {self.missing} messages missing, the longest "
                f"{longest.duration_s:.2f} s at {longest.start_s:.2f} s"
            )
        if self.backwards:
            words.append(f"{self.backwards} stamps go backwards")
        return "; ".join(words)


@dataclass
class Health:
    """A recording.

    Attributes:
        start_ns, duration_s: of its clock.
        topics: by name.
        compressions: of its chunks.
        problems: sentences about files.
    """

    start_ns: int = 0
    duration_s: float = 0.0
    topics: dict[str, TopicHealth] = field(default_factory=dict)
    compressions: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Nothing is wrong."""
        return not self.problems and not any(topic.problem for topic in self.topics.values())

    def words(self) -> dict[str, Any]:
        """For a program."""
        return {
            "duration_s": round(self.duration_s, 6),
            "sound": self.is_sound,
            "problems": self.problems,
            "topics": {
                name: {
                    "type": topic.topic.type_name,
                    "messages": topic.count,
                    "bytes": topic.data_bytes,
                    "rate_hz": round(topic.rate_hz, 3),
                    "gaps": [[round(g.start_s, 6), round(g.duration_s, 6)] for g in topic.gaps],
                    "missing": topic.missing,
                    "dropped": topic.dropped,
                    "backwards": topic.backwards,
                }
                for name, topic in self.topics.items()
            },
        }


def examine(recording: Recording) -> Health:
    """Reads a recording once and judges it.

    Raises:
        UserError: a file cannot be read.
    """
    health = Health()
    times: dict[str, list[int]] = defaultdict(list)
    for file in recording.files:
        with open_scan(file) as scan:
            for raw in raw_messages(scan):
                topic = health.topics.setdefault(raw.topic.name, TopicHealth(raw.topic))
                topic.count += 1
                topic.data_bytes += len(raw.data)
                times[raw.topic.name].append(raw.time_ns)
        health.compressions |= scan.compressions
        if not scan.was_complete:
            health.problems.append(
                f"{file.name} was cut short; `python -m learning.recordings recover` mends it."
            )
        if scan.bad_chunks:
            health.problems.append(f"{file.name} is damaged in {scan.bad_chunks} places inside.")
    if times:
        health.start_ns = min(row[0] for row in times.values())
        health.duration_s = (max(max(row) for row in times.values()) - health.start_ns) / 1e9
    for name, topic in health.topics.items():
        _judge(topic, np.array(times[name], dtype=np.int64), health.start_ns)
    _add_card(recording, health)
    return health


def _judge(topic: TopicHealth, times_ns: np.ndarray[Any, np.dtype[np.int64]], start: int) -> None:
    """Period and gaps of a topic that has a period."""
    pauses = np.diff(times_ns)
    if len(times_ns) < FEWEST or topic.topic.is_latched:
        return
    period = float(np.median(pauses))
    low, high = np.quantile(pauses, [0.1, 0.9])
    if period <= 0:
        return
    topic.rate_hz = 1e9 / period
    if high - low > REGULAR * 2 * period:
        return  # comes when it likes: commands, events
    topic.backwards = int((pauses < 0).sum())
    for number in np.flatnonzero(pauses > GAP_PERIODS * period):
        topic.gaps.append(Gap((int(times_ns[number]) - start) / 1e9, int(pauses[number]) / 1e9))
        topic.missing += round(float(pauses[number]) / period) - 1


def _add_card(recording: Recording, health: Health) -> None:
    """What the recorder itself has noted."""
    card = recording.card
    if card is None:
        return
    if card.problem:
        health.problems.append(card.problem)
    for name, count in card.dropped.items():
        if name in health.topics:
            health.topics[name].dropped = count
        else:
            health.problems.append(f"{name}: all {count} messages were lost by the recorder.")
