"""Tables of recordings for a terminal; where nobody sees a terminal, nothing is cut."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from learning.recordings.health import Health
from learning.recordings.reading import Recording

# Of a line in a pipe or a file, which has no width: nothing is cut or wrapped.
PIPE_COLUMNS = 10_000


def print_tables(judged: Sequence[tuple[Recording, Health]]) -> None:
    """Print what is in recordings: of one its topics, of several one line each."""
    console = Console() if sys.stdout.isatty() else Console(width=PIPE_COLUMNS)
    if len(judged) > 1:
        console.print(_episode_table(judged))
    for recording, about in judged[:1]:
        console.print(_topic_table(recording, about))


def _episode_table(judged: Sequence[tuple[Recording, Health]]) -> Table:
    table = Table(title=f"{len(judged)} recordings", box=SIMPLE)
    for head in ("name", "task", "outcome", "s", "pictures", "messages", "MB", "sound"):
        is_word = head in ("name", "task", "outcome")
        table.add_column(head, justify="left" if is_word else "right", no_wrap=head == "name")
    for recording, about in judged:
        card = recording.card
        topics = about.topics.values()
        table.add_row(
            recording.name,
            card.task if card else "",
            card.outcome if card else "",
            f"{about.duration_s:.1f}",
            str(sum(topic.count for topic in topics if topic.topic.is_picture)),
            str(sum(topic.count for topic in topics)),
            f"{recording.size_bytes / 1e6:.1f}",
            "yes" if about.is_sound else "no",
        )
    return table


def _topic_table(recording: Recording, about: Health) -> Table:
    compression = ", ".join(sorted(filter(None, about.compressions))) or "none"
    table = Table(
        title=f"{recording.name}: {about.duration_s:.1f} s, {recording.size_bytes / 1e6:.1f} MB in "
        f"{len(recording.files)} files, compression {compression}",
        box=SIMPLE,
    )
    for head in ("topic", "type", "messages", "Hz", "MB", "wrong"):
        is_word = head in ("topic", "type", "wrong")
        table.add_column(head, justify="left" if is_word else "right", no_wrap=head == "topic")
    for name, topic in sorted(about.topics.items()):
        table.add_row(
            name,
            topic.topic.type_name,
            str(topic.count),
            f"{topic.rate_hz:.1f}" if topic.rate_hz else "",
            f"{topic.data_bytes / 1e6:.1f}",
            topic.shortly,
        )
    return table
