"""Episodes: numbered folders, each a ROS 2 bag, with a card that says what was done, how well."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal, get_args

from asterias.errors import UserError
from asterias.files import read_json, write_json

CARD = "episode.json"
# A card has some hundred bytes, and a name per file.
CARD_LIMIT_BYTES = 4 * 1024 * 1024
FOLDER = re.compile(r"episode_(\d{6,})")

EpisodeOutcome = Literal["unknown", "success", "failure"]
State = Literal["recording", "complete", "failed"]


@dataclass(frozen=True)
class EpisodeCard:
    """What is known of an episode beside its messages.

    Attributes:
        episode: number, from 0.
        task: what was to be done, in a person's words.
        outcome: as marked; ``unknown`` until then.
        state: ``recording`` until its end; one that stays so was killed and is for ``recover``.
        problem: one sentence, where it ended early.
        started: ISO time of the wall clock.
        duration_s: of the recording's clock, from the first message to the last.
        messages, pictures, bytes: what the files hold.
        dropped: messages that did not reach the file, by topic.
        files: names, in order.
    """

    episode: int
    task: str = ""
    outcome: EpisodeOutcome = "unknown"
    state: State = "recording"
    problem: str = ""
    started: str = ""
    duration_s: float = 0.0
    messages: int = 0
    pictures: int = 0
    bytes: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write the card into the episode's folder, whole or not at all."""
        write_json(folder / CARD, asdict(self))


def load_card(folder: Path) -> EpisodeCard:
    """Return the card in an episode's folder.

    Raises:
        UserError: there is none, or it is none of ours.
    """
    path = folder / CARD
    content = read_json(path, CARD_LIMIT_BYTES)
    try:
        content["files"] = tuple(content["files"])
        card = EpisodeCard(**content)
        problem = _card_problem(card)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is no card of an episode: {error}.") from error
    if problem:
        raise UserError(f"{path} is no card of an episode: {problem}.")
    return card


def _card_problem(card: EpisodeCard) -> str:
    """Return what a card's fields should not be; empty where all is well."""
    if card.outcome not in get_args(EpisodeOutcome) or card.state not in get_args(State):
        return f"outcome {card.outcome!r}, state {card.state!r}"
    if not all(isinstance(name, str) for name in card.files):
        return "its files are no names"
    if not all(isinstance(text, str) for text in (card.task, card.problem, card.started)):
        return "its task is no text"
    if not all(isinstance(count, int) for count in card.dropped.values()):
        return "its counts are no numbers"
    return ""


def episode_folder(root: Path, number: int) -> Path:
    """Return where episode ``number`` of a recording lies."""
    return root / f"episode_{number:06d}"


def episode_folders(root: Path) -> list[Path]:
    """Return folders of all episodes below ``root``, in order."""
    if not root.is_dir():
        return []
    return sorted(
        (path for path in root.iterdir() if path.is_dir() and FOLDER.fullmatch(path.name)),
        key=lambda path: int(path.name.rpartition("_")[2]),
    )


class EpisodeStore:
    """The episodes in one folder; a folder that has some is gone on with.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cards: list[EpisodeCard] = []
        for folder in episode_folders(root):
            if (folder / CARD).is_file():
                self.cards.append(load_card(folder))

    def begin(self, task: str) -> tuple[Path, EpisodeCard]:
        """Make the folder of the next episode; return its first file's path, and its card.

        Returns:
            The path of its first file, and its card.
        """
        folders = episode_folders(self.root)
        number = int(folders[-1].name.rpartition("_")[2]) + 1 if folders else 0
        folder = episode_folder(self.root, number)
        folder.mkdir(parents=True)
        started = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        card = EpisodeCard(number, task, started=started)
        card.save(folder)
        return folder / f"{folder.name}.mcap", card

    def end(self, card: EpisodeCard) -> None:
        """Note a finished episode."""
        card.save(self.folder(card))
        self.cards = [*(kept for kept in self.cards if kept.episode != card.episode), card]

    def mark_last(self, outcome: EpisodeOutcome) -> EpisodeCard | None:
        """Mark the last finished episode; None where there is none.

        Returns:
            Its card; None where there is none.
        """
        if not self.cards:
            return None
        card = replace(self.cards[-1], outcome=outcome)
        self.end(card)
        return card

    def discard(self, card: EpisodeCard) -> None:
        """Delete an episode; its number is given again if it was the last."""
        shutil.rmtree(self.folder(card))
        self.cards = [kept for kept in self.cards if kept.episode != card.episode]

    def folder(self, card: EpisodeCard) -> Path:
        """Return where an episode lies."""
        return episode_folder(self.root, card.episode)
