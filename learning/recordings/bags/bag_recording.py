"""A recording that goes on in a thread of its own and survives ``kill -9``.

Whatever has been taken is in a finished, fsynced chunk of the file after ``SYNC_PERIOD_S`` or a
little more, so that a killed recorder loses less than the last second, and
:func:`learning.recordings.bags.bag_recovery.recover` turns what is left into a clean file.
"""

from __future__ import annotations

import errno
import queue
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from learning.recordings.bags.bag_writer import Bag, BagWriter, Statistics, Topic

SYNC_PERIOD_S = 0.5
# What may wait for the disk before messages are dropped.
QUEUE_BYTES = 256 * 1024 * 1024
# A machine whose disk is quite full cannot even log.
MIN_FREE_BYTES = 64 * 1024 * 1024

# Makes another message of one, such as JPEG of a raw picture; None where that cannot be done.
Transform = Callable[[bytes], bytes | None]


@dataclass(frozen=True)
class RecordedMessage:
    """A serialized message; times in ns of the recording's clock."""

    topic: str
    data: bytes
    log_time_ns: int
    publish_time_ns: int


class BagRecording:
    """A :class:`Bag` in a thread of its own, so that a slow disk delays no callback.

    Args:
        writer: used by the thread alone until :meth:`close` returns.
        sync_period_s: at most so much is lost when the process is killed.
        queue_bytes: what may wait for the disk; further messages are dropped and counted.
        min_free_bytes: free space below which the recording ends, whole, as on a full disk.
    """

    def __init__(
        self,
        writer: Bag | BagWriter,
        *,
        sync_period_s: float = SYNC_PERIOD_S,
        queue_bytes: int = QUEUE_BYTES,
        min_free_bytes: int = 0,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self.failure: OSError | None = None
        self.writer = writer
        self._sync_period_s = sync_period_s
        self._queue_bytes = queue_bytes
        self._min_free_bytes = min_free_bytes
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._transforms: dict[str, Transform] = {}
        self._queue: queue.SimpleQueue[Topic | RecordedMessage | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """True once the file is complete, or has failed."""
        return not self._thread.is_alive()

    def add_topic(self, topic: Topic, transform: Transform | None = None) -> None:
        """Make a topic known; must come before its first message.

        Args:
            topic: as it will be in the file.
            transform: what the thread makes of each of its messages.
        """
        if transform is not None:
            self._transforms[topic.name] = transform
        self._queue.put(topic)

    def write(self, topic: str, data: bytes, log_time_ns: int, publish_time_ns: int) -> None:
        """Take one serialized message; return at once."""
        self.put(RecordedMessage(topic, data, log_time_ns, publish_time_ns))

    def put(self, message: RecordedMessage) -> None:
        """As :meth:`write`."""
        size = len(message.data)
        with self._lock:
            if self._waiting_bytes + size > self._queue_bytes or self.failure is not None:
                self.dropped[message.topic] += 1
                return
            self._waiting_bytes += size
        self._queue.put(message)

    def finish(self) -> None:
        """Lets the thread complete the file; does not wait for it."""
        self._queue.put(None)

    def close(self) -> Statistics:
        """Write what waits and complete the file; return what it holds.

        Returns:
            What the files hold.
        """
        self.finish()
        self._thread.join()
        return self.writer.statistics

    def _run(self) -> None:
        """Body of the thread."""
        try:
            self._write_until_closed()
            self.writer.close()
        except OSError as error:
            self.failure = error
            self.writer.abandon()

    def _write_until_closed(self) -> None:
        next_sync_s = time.monotonic() + self._sync_period_s
        while True:
            try:
                item = self._queue.get(timeout=max(0.0, next_sync_s - time.monotonic()))
            except queue.Empty:
                pass
            else:
                if item is None:
                    return
                self._take(item)
            if time.monotonic() >= next_sync_s:
                self.writer.sync()
                if self._is_short_of_space():
                    return
                next_sync_s = time.monotonic() + self._sync_period_s

    def _is_short_of_space(self) -> bool:
        """Return whether the disk is nearly full; a failure is noted then."""
        if not self._min_free_bytes:
            return False
        if shutil.disk_usage(self.writer.path.parent).free >= self._min_free_bytes:
            return False
        self.failure = OSError(errno.ENOSPC, "the disk is nearly full")
        return True

    def _take(self, item: Topic | RecordedMessage) -> None:
        if isinstance(item, Topic):
            self.writer.add_topic(item)
            return
        with self._lock:
            self._waiting_bytes -= len(item.data)
        transform = self._transforms.get(item.topic)
        data = transform(item.data) if transform is not None else item.data
        if data is None:
            self.dropped[item.topic] += 1
            return
        self.writer.write(item.topic, data, item.log_time_ns, item.publish_time_ns)
