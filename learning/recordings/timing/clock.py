"""Jumps of a recording's clock: where time goes back, and what belongs to which run of it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

# Publishers of one topic, and threads of one publisher, come out of order by less than this.
OUT_OF_ORDER_NS = 100_000_000


class ClockLog:
    """The times of a recording's messages, in the order of its files."""

    def __init__(self) -> None:
        self._topics: dict[str, int] = {}
        self._numbers, self._which, self._times_ns = array("Q"), array("I"), array("q")

    def add(self, number: int, topic: str, time_ns: int) -> None:
        """Note a message by its number in the recording."""
        self._numbers.append(number)
        self._which.append(self._topics.setdefault(topic, len(self._topics)))
        self._times_ns.append(time_ns)

    def breaks(self) -> list[tuple[int, int]]:
        """Return the messages at which time begins anew, with the ns by which it went back.

        Time goes back where a topic's own messages do: files that hold topic after topic have one
        clock all the same.
        """
        return list(self._breaks())

    def _breaks(self) -> Iterator[tuple[int, int]]:
        last: dict[int, int] = {}
        high: int | None = None
        # Since this message, all were earlier than what came before: perhaps a new run of time.
        candidate: int | None = None
        since: dict[int, int] = {}
        rows = zip(self._numbers, self._which, self._times_ns, strict=True)
        for number, topic, time_ns in rows:
            before = last.get(topic)
            is_behind = high is not None and time_ns < high - OUT_OF_ORDER_NS
            if is_behind and candidate is None:
                candidate, since = number, {}
            elif not is_behind:
                candidate = None
            if before is not None and time_ns < before - OUT_OF_ORDER_NS:
                yield (number if candidate is None else candidate), before - time_ns
                last, candidate = {**since, topic: time_ns}, None
                high, since = max(last.values()), {}
                continue
            last[topic] = since[topic] = time_ns
            high = time_ns if high is None else max(high, time_ns)
