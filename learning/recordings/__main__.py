"""``python -m learning.recordings``: look at recordings, mend them, play them, hand them on."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from hardware.errors import HardwareError
from learning.progress import progress_bars
from learning.recordings import health
from learning.recordings.bag_recovery import CUT, Recovery, recover, recover_in_place
from learning.recordings.reading import Recording, find_recordings
from learning.recordings.sampling import OnFrames, SampledEpisode, TooShortError, sample

SOUND, UNSOUND = 0, 1


@dataclass(frozen=True)
class Info:
    """What is in a recording: time, size, topics, episodes."""

    path: tyro.conf.Positional[Path]
    """A file *.mcap, an episode's folder, or a folder of episodes."""
    json: bool = False
    """For programs."""

    def run(self) -> int:
        """Print tables."""
        recordings = find_recordings(self.path)
        judged = [(recording, health.examine(recording)) for recording in recordings]
        if self.json:
            words = {recording.name: about.words() for recording, about in judged}
            print(json.dumps(words, indent=1))
            return 0
        console = Console()
        if len(judged) > 1:
            console.print(_episode_table(judged))
        for recording, about in judged[:1] if len(judged) > 1 else judged:
            console.print(_topic_table(recording, about))
        return 0


@dataclass(frozen=True)
class Check:
    """Whether a recording is sound: cut files, lost messages, gaps by topic; exit code 1 if not."""

    path: tyro.conf.Positional[Path]
    """A file *.mcap, an episode's folder, or a folder of episodes."""

    def run(self) -> int:
        """Print what is wrong."""
        sound = True
        for recording in find_recordings(self.path):
            about = health.examine(recording)
            sound &= about.is_sound
            count = sum(topic.count for topic in about.topics.values())
            if about.is_sound:
                print(f"{recording.name}: sound, {count} messages on {len(about.topics)} topics.")
                continue
            print(f"{recording.name}: {count} messages on {len(about.topics)} topics, but")
            for problem in about.problems:
                print(f"  {problem}")
            for name, topic in sorted(about.topics.items()):
                if topic.problem:
                    share = 100 * topic.recorded_share
                    print(f"  {name}: {topic.problem} ({share:.2f} % recorded)")
        return SOUND if sound else UNSOUND


@dataclass(frozen=True)
class Recover:
    """Mend what was cut short: in place (what it was stays as NAME.cut), or into a new file."""

    path: tyro.conf.Positional[Path]
    """A file *.mcap, an episode's folder, or a folder of episodes."""
    out: Path | None = None
    """New file to write, where one file is to be mended and left as it is."""

    def run(self) -> int:
        """Mend, and say what was found."""
        if self.out is not None:
            if not self.path.is_file():
                raise HardwareError("--out goes with one file; leave it out to mend in place.")
            print(f"{self.out}: {_found(recover(self.path, self.out))}")
            return 0
        for recording in find_recordings(self.path):
            for file, recovery in recover_in_place(recording):
                kept = "" if recovery.was_whole else f" What it was is now {file.name}{CUT}."
                print(f"{file}: {_found(recovery)}{kept}")
        return 0


@dataclass(frozen=True)
class Export:
    """Make a data set for learning of episodes."""

    path: tyro.conf.Positional[Path]
    """A file *.mcap, an episode's folder, or a folder of episodes."""
    out: Path
    """Folder to make."""
    format: Literal["lerobot", "folder"] = "lerobot"
    """LeRobotDataset v3 (Parquet, MP4), or a plain folder (CSV, PNG)."""
    fps: int = 0
    """Frames per second; 0 takes the rate of the slowest camera."""
    task: str = ""
    """For recordings that tell none."""
    only: Literal["all", "success", "marked"] = "all"
    """Which episodes: all, those marked as a success, or those marked at all."""
    robot: str = "asterias"
    """Name of the robot."""

    def run(self) -> int:
        """Read every episode once for its times, and once for its pictures."""
        with progress_bars(unit="frames") as progress:
            episodes = self._sampled(progress)
            total = sum(len(e.times_s) * len(e.pictures) for e in episodes)
            bar = progress.add_task("export", total=total)
            self._write(episodes, lambda done: progress.update(bar, completed=done))
        frames = sum(len(episode.times_s) for episode in episodes)
        print(f"{self.out}: {len(episodes)} episodes, {frames} frames at {episodes[0].fps} Hz.")
        return 0

    def _sampled(self, progress: Progress) -> list[SampledEpisode]:
        recordings = find_recordings(self.path)
        bar = progress.add_task("read", total=len(recordings))
        episodes = []
        for recording in recordings:
            progress.advance(bar)
            if not self._wants(recording):
                continue
            try:
                episodes.append(sample(recording, self.fps, self.task))
            except TooShortError as error:
                progress.console.print(f"Left out: {error}")
        if not episodes:
            raise HardwareError(f"{self.path} holds no episode that is marked as wanted.")
        slowest = min(episode.fps for episode in episodes)
        return [
            e if e.fps == slowest else sample(e.recording, slowest, self.task) for e in episodes
        ]

    def _wants(self, recording: Recording) -> bool:
        outcome = recording.card.outcome if recording.card is not None else "unknown"
        return {
            "all": True,
            "success": outcome == "success",
            "marked": outcome != "unknown",
        }[self.only]

    def _write(self, episodes: Sequence[SampledEpisode], on_frames: OnFrames) -> None:
        if self.format == "folder":
            from learning.recordings.folder_export import export_folder

            export_folder(episodes, self.out, on_frames=on_frames)
            return
        from learning.recordings.lerobot_export import export_lerobot

        export_lerobot(episodes, self.out, robot_type=self.robot, on_frames=on_frames)


Command = (
    Annotated[Check, tyro.conf.subcommand("check")]
    | Annotated[Export, tyro.conf.subcommand("export")]
    | Annotated[Info, tyro.conf.subcommand("info")]
    | Annotated[Recover, tyro.conf.subcommand("recover")]
)


def _found(recovery: Recovery) -> str:
    if recovery.was_whole:
        return f"whole, {recovery.message_count} messages on {recovery.topic_count} topics."
    damage = f", {recovery.bad_chunks} damaged places left out" if recovery.bad_chunks else ""
    return f"recovered {recovery.message_count} messages on {recovery.topic_count} topics{damage}."


def _episode_table(judged: Sequence[tuple[Recording, health.Health]]) -> Table:
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


def _topic_table(recording: Recording, about: health.Health) -> Table:
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


def main() -> int:
    """Run one verb; mistakes of the user end in one sentence and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    command = tyro.cli(Command, prog="python -m learning.recordings", description=__doc__)
    try:
        return command.run()
    except (HardwareError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
