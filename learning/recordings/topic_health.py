"""One topic of a recording, judged by its own period against the whole recording."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from learning.recordings.bags.bag_writer import Topic
from learning.recordings.reading import encoding_words
from learning.recordings.trace import COMMANDS, TRAJECTORY

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
        """The fraction of messages that are there, of all that should be."""
        return self.count / max(self.count + self.missing + self.dropped, 1)

    @property
    def is_too_slow(self) -> bool:
        """Whether its rate is below the declared one."""
        return 0 < self.rate_hz < RATE_SHARE * self.declared_hz

    @property
    def shortly(self) -> str:
        """The same in a few words, for a table."""
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
        """What is wrong, in words; empty when nothing is."""
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
class TopicJudge:
    """One topic against the whole recording.

    Attributes:
        topic: filled in here.
        times_ns: of its messages, in the order of the files.
        span_ns: of the recording.
        start_ns: time 0 of what is reported.
        holes: times at which no topic had messages.
    """

    topic: TopicHealth
    times_ns: Times
    span_ns: tuple[int, int]
    start_ns: int
    holes: list[tuple[int, int]]

    def run(self) -> None:
        """Fill in what is found."""
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

        A recorder that was busy takes messages in bursts: then their mean says more.
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
            # What no topic has is reported once, of the clock.
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
