"""The state of a recorder as a message."""

from __future__ import annotations

import shutil
from pathlib import Path

from asterias_interfaces.msg import RecordedEpisode, RecorderStatus
from builtin_interfaces.msg import Time

from learning.recordings.episodes import EpisodeCard, episode_folder
from learning.recordings.session import NO_NUMBER, RecordingSession

LISTED_EPISODES = 100
OUTCOMES = {
    "unknown": RecordedEpisode.UNKNOWN,
    "success": RecordedEpisode.SUCCESS,
    "failure": RecordedEpisode.FAILURE,
}


def to_status_msg(session: RecordingSession, stamp: Time, text: str) -> RecorderStatus:
    """Return the state of a recording session.

    Args:
        session: the session.
        stamp: of the message.
        text: the newest sentence for a person.
    """
    card = session.present()
    root = session.store.root
    return RecorderStatus(
        stamp=stamp,
        state=_state(session, card),
        episode=_episode(root, card or EpisodeCard(NO_NUMBER)),
        episodes=[_episode(root, finished) for finished in session.store.cards[-LISTED_EPISODES:]],
        dropped_topics=sorted(card.dropped) if card is not None else [],
        buffered_seconds=session.ring.duration_s if session.ring is not None else 0.0,
        free_bytes=free_bytes(root),
        folder=str(root),
        text=text,
    )


def free_bytes(folder: Path) -> int:
    """Return the free space where a folder is, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _state(session: RecordingSession, card: EpisodeCard | None) -> int:
    if session.is_recording:
        return int(RecorderStatus.RECORDING)
    if card is not None and card.state == "failed":
        return int(RecorderStatus.FAILED)
    return int(RecorderStatus.IDLE if session.ring is None else RecorderStatus.BUFFERING)


def _episode(root: Path, card: EpisodeCard) -> RecordedEpisode:
    has_folder = card.episode != NO_NUMBER
    return RecordedEpisode(
        number=card.episode,
        task=card.task,
        outcome=OUTCOMES[card.outcome],
        seconds=card.duration_s,
        frames=card.pictures,
        messages=card.messages,
        bytes=card.bytes,
        dropped=sum(card.dropped.values()),
        path=str(episode_folder(root, card.episode)) if has_folder else "",
    )
