"""The last seconds of all topics, in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from learning.recordings.bags.bag_recording import RecordedMessage


class Ring:
    """Keeps what is younger than ``duration_s``, but no more than ``limit_bytes``.

    Args:
        duration_s: of the recording's clock.
        limit_bytes: of messages; the oldest go first.
    """

    def __init__(self, duration_s: float, limit_bytes: int) -> None:
        self.size_bytes = 0
        self._duration_ns = round(duration_s * 1e9)
        self._limit_bytes = limit_bytes
        self._messages: deque[RecordedMessage] = deque()
        # Of each latched topic, the last message that has left the ring.
        self._latched: dict[str, RecordedMessage] = {}

    @property
    def duration_s(self) -> float:
        """From the oldest message to the newest."""
        if not self._messages:
            return 0.0
        return (self._messages[-1].log_time_ns - self._messages[0].log_time_ns) / 1e9

    def add(self, message: RecordedMessage, *, is_latched: bool = False) -> None:
        """Take a message, and forget what is too old or too much."""
        if self._messages and message.log_time_ns < self._messages[-1].log_time_ns:
            self.clear()  # simulated time has begun anew
        self._messages.append(message)
        self.size_bytes += len(message.data)
        if is_latched:
            self._latched[message.topic] = message
        oldest_ns = message.log_time_ns - self._duration_ns
        while self._messages[0].log_time_ns < oldest_ns or self.size_bytes > self._limit_bytes:
            self.size_bytes -= len(self._messages.popleft().data)
            if not self._messages:
                return

    def clear(self) -> None:
        """Forgets everything but the last messages of latched topics."""
        self._messages.clear()
        self.size_bytes = 0

    def __iter__(self) -> Iterator[RecordedMessage]:
        """Yield the last of latched topics, stamped with the start of the rest; then the rest."""
        if not self._messages:
            return
        first_ns = self._messages[0].log_time_ns
        for topic, message in self._latched.items():
            if not any(kept is message for kept in self._messages):
                yield RecordedMessage(topic, message.data, first_ns, message.publish_time_ns)
        yield from list(self._messages)
