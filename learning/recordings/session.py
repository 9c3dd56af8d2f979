"""What a recorder does with a stream of messages: episodes begin, end, are marked and discarded.

One thread calls everything here; files are written in a thread per episode.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from asterias.errors import UserError
from learning.recordings.bags.bag_recording import (
    MIN_FREE_BYTES,
    SYNC_PERIOD_S,
    BagRecording,
    RecordedMessage,
    Transform,
)
from learning.recordings.bags.bag_writer import Bag, Split, Topic
from learning.recordings.bags.ring import Ring
from learning.recordings.episodes import EpisodeCard, EpisodeOutcome, State

NO_NUMBER = -1
# Snapshots are in memory already, whatever their size.
UNLIMITED = 2**62


@dataclass(frozen=True)
class WriterOptions:
    """How files are written.

    Attributes:
        compression: ``none``, ``lz4`` or ``zstd``.
        split: when an episode begins its next file.
        sync_period_s: at most so much is lost when the process is killed.
        min_free_bytes: free space below which an episode ends.
    """

    compression: str = "lz4"
    split: Split = field(default_factory=Split)
    sync_period_s: float = SYNC_PERIOD_S
    min_free_bytes: int = MIN_FREE_BYTES


class Store(Protocol):
    """Where recordings go: a folder of episodes, or one file."""

    root: Path
    cards: list[EpisodeCard]

    def begin(self, task: str) -> tuple[Path, EpisodeCard]:
        """Return the file to write next, and its card."""

    def end(self, card: EpisodeCard) -> None:
        """Note a finished one."""

    def mark_last(self, outcome: EpisodeOutcome) -> EpisodeCard | None:
        """Mark the last finished one; None where there is none."""

    def discard(self, card: EpisodeCard) -> None:
        """Delete one."""


class SingleFile:
    """A store for one recording without a card.

    Args:
        path: of the file, which must not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = path.parent
        self.cards: list[EpisodeCard] = []

    def begin(self, task: str) -> tuple[Path, EpisodeCard]:
        """Return the file; its card is kept nowhere."""
        return self.path, EpisodeCard(NO_NUMBER, task)

    def end(self, card: EpisodeCard) -> None:
        """Nothing is kept of it."""

    def mark_last(self, outcome: EpisodeOutcome) -> EpisodeCard | None:
        """Return there are no marks without episodes."""
        return None

    def discard(self, card: EpisodeCard) -> None:
        """Return a recording without episodes stays.

        Raises:
            UserError: always.
        """
        raise UserError("This recording has no episodes to discard; start with mode:=episodes.")


@dataclass
class Running:
    """An episode whose file is open."""

    card: EpisodeCard
    recording: BagRecording
    topics: dict[str, Topic] = field(default_factory=dict)

    def add_topic(self, topic: Topic, transform: Transform | None) -> None:
        """Make a topic known to the file."""
        self.topics[topic.name] = topic
        self.recording.add_topic(topic, transform)

    def figures(self) -> EpisodeCard:
        """Return the card with what the file holds by now."""
        writer = self.recording.writer
        assert isinstance(writer, Bag)
        statistics = writer.statistics
        pictures = (name for name, topic in self.topics.items() if topic.is_picture)
        return replace(
            self.card,
            duration_s=round(statistics.duration_ns / 1e9, 6),
            messages=statistics.message_count,
            pictures=sum(statistics.message_counts.get(name, 0) for name in pictures),
            bytes=writer.size_bytes,
            dropped=dict(self.recording.dropped),
            files=tuple(path.name for path in writer.paths),
        )


class RecordingSession:
    """Episodes, one after the other, out of one stream of messages.

    Args:
        store: where they go.
        options: how they are written.
        ring: keeps the last seconds for :meth:`snapshot`, where there is one.

    Attributes:
        last: the episode that ended last.
        counts: its messages by topic.
    """

    def __init__(self, store: Store, options: WriterOptions, ring: Ring | None = None) -> None:
        self.store = store
        self.last: EpisodeCard | None = store.cards[-1] if store.cards else None
        self.ring = ring
        self.counts: dict[str, int] = {}
        self._options = options
        self._running: Running | None = None
        self._snapshots: list[Running] = []
        self._topics: dict[str, tuple[Topic, Transform | None]] = {}
        self._latched: dict[str, RecordedMessage] = {}

    # -- the stream -----------------------------------------------------------------------------

    def add_topic(self, topic: Topic, transform: Transform | None = None) -> None:
        """Make a topic known; ``transform`` is applied to its messages before they are written."""
        self._topics[topic.name] = (topic, transform)
        if self._running is not None:
            self._running.add_topic(topic, transform)

    def put(self, message: RecordedMessage) -> None:
        """Take a message of a known topic."""
        is_latched = self._topics[message.topic][0].is_latched
        if is_latched:
            self._latched[message.topic] = message
        if self.ring is not None:
            self.ring.add(message, is_latched=is_latched)
        if self._running is not None:
            self._running.recording.put(message)

    # -- what a person asks for -----------------------------------------------------------------

    @property
    def is_recording(self) -> bool:
        """True while an episode goes on."""
        return self._running is not None

    def start(self, task: str, now_ns: int) -> EpisodeCard:
        """Begin an episode with the last messages of latched topics, stamped ``now_ns``.

        Returns:
            The episode's card.

        Raises:
            UserError: one is being recorded, or the disk takes none.
        """
        if self._running is not None:
            raise UserError(
                f"{_name(self._running.card)} is being recorded; stop or discard it first."
            )
        self._running = self._open(task)
        for message in self._latched.values():
            kept = RecordedMessage(message.topic, message.data, now_ns, message.publish_time_ns)
            self._running.recording.put(kept)
        return self._running.card

    def stop(self) -> EpisodeCard:
        """End the episode; its files are complete when this returns.

        Returns:
            The episode's card.
        """
        running = self._take_running()
        running.recording.close()
        return self._finish(running)

    def mark(self, outcome: EpisodeOutcome) -> EpisodeCard:
        """Mark the present episode, or the last one.

        Returns:
            The episode's card.

        Raises:
            UserError: there is none.
        """
        if self._running is not None and self._running.card.episode != NO_NUMBER:
            self._running.card = replace(self._running.card, outcome=outcome)
            return self._running.card
        card = self.store.mark_last(outcome)
        if card is None:
            raise UserError("There is no episode to mark; start one with mode:=episodes.")
        self.last = card
        return card

    def discard(self) -> EpisodeCard:
        """Delete the present episode, or the last one.

        Returns:
            The episode's card.

        Raises:
            UserError: there is none.
        """
        if self._running is not None and self._running.card.episode != NO_NUMBER:
            running = self._take_running()
            running.recording.close()
            card = running.card
        elif self.store.cards:
            card = self.store.cards[-1]
        else:
            raise UserError("There is no episode to discard.")
        self.store.discard(card)
        self.last = self.store.cards[-1] if self.store.cards else None
        return card

    def snapshot(self, task: str) -> EpisodeCard:
        """Write what the ring holds as an episode; return before that is done.

        Returns:
            The episode's card.

        Raises:
            UserError: there is no ring, or it is empty.
        """
        if self.ring is None:
            raise UserError("Nothing is kept in memory; start the recorder with mode:=ring.")
        messages = list(self.ring)
        if not messages:
            raise UserError("Nothing has come on any topic yet; there is nothing to keep.")
        running = self._open(task, queue_bytes=UNLIMITED)
        self._snapshots.append(running)
        for message in messages:
            running.recording.put(message)
        running.recording.finish()
        return running.card

    # -- what happens by itself -----------------------------------------------------------------

    def poll(self) -> list[EpisodeCard]:
        """Return episodes that ended by themselves since the last call: snapshots, full disks."""
        ended = [running for running in self._snapshots if running.recording.is_done]
        self._snapshots = [running for running in self._snapshots if running not in ended]
        if self._running is not None and self._running.recording.is_done:
            ended.append(self._take_running())
        return [self._finish(running) for running in ended]

    def close(self) -> list[EpisodeCard]:
        """End everything; return what has ended by it.

        Returns:
            The cards of what has ended.
        """
        for running in self._snapshots:
            running.recording.close()
        cards = self.poll()
        return [*cards, self.stop()] if self._running is not None else cards

    def present(self) -> EpisodeCard | None:
        """Return the present episode with its figures by now, or the last one."""
        return self._running.figures() if self._running is not None else self.last

    # -- inside -----------------------------------------------------------------------------------

    def _open(self, task: str, **limits: int) -> Running:
        path = self.store.root
        try:
            path, card = self.store.begin(task)
            writer = self._open_bag(path, card)
        except FileExistsError as error:
            raise UserError(
                f"{path} exists already, and recordings are never overwritten; "
                "give parameter 'output' another name."
            ) from error
        except OSError as error:
            raise UserError(
                f"{path} cannot be written ({error.strerror}); "
                "give parameter 'output' another place."
            ) from error
        options = self._options
        recording = BagRecording(
            writer,
            sync_period_s=options.sync_period_s,
            min_free_bytes=options.min_free_bytes,
            **limits,
        )
        running = Running(card, recording)
        for topic, transform in self._topics.values():
            running.add_topic(topic, transform)
        return running

    def _open_bag(self, path: Path, card: EpisodeCard) -> Bag:
        about = {"task": card.task, "episode": str(card.episode), "started": card.started}
        try:
            return Bag(
                path,
                self._options.compression,
                split=self._options.split,
                about=about if card.episode != NO_NUMBER else None,
            )
        except OSError:
            if card.episode != NO_NUMBER:
                shutil.rmtree(path.parent, ignore_errors=True)
            raise

    def _take_running(self) -> Running:
        if self._running is None:
            raise UserError("Nothing is being recorded; start an episode first.")
        running, self._running = self._running, None
        return running

    def _finish(self, running: Running) -> EpisodeCard:
        failure = running.recording.failure
        state: State = "complete" if failure is None else "failed"
        problem = ""
        if failure is not None:
            problem = (
                f"Recording stopped, because {running.recording.writer.path} takes no more "
                f"({failure.strerror}); free some space. What was written before can be read."
            )
        self.counts = dict(running.recording.writer.statistics.message_counts)
        card = replace(running.figures(), state=state, problem=problem)
        self.last = card
        try:
            self.store.end(card)
        except OSError as error:
            self.last = card = replace(card, problem=problem or f"No card was written: {error}.")
        return card


def describe(cards: Sequence[EpisodeCard]) -> str:
    """Return one sentence about episodes that have ended."""
    return " ".join(_describe(card) for card in cards)


def _describe(card: EpisodeCard) -> str:
    if card.problem:
        return card.problem
    lost = sum(card.dropped.values())
    names = ", ".join(f"{topic} {count}" for topic, count in sorted(card.dropped.items()))
    return (
        f"{_name(card)}: {card.duration_s:.1f} s, {card.pictures} pictures, "
        f"{card.messages} messages, {card.bytes / 1e6:.1f} MB"
        + (f"; {lost} lost, because the disk was too slow ({names})" if lost else "")
        + "."
    )


def _name(card: EpisodeCard) -> str:
    return "The recording" if card.episode == NO_NUMBER else f"Episode {card.episode}"
