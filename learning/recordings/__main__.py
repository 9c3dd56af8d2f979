"""``python -m learning.recordings``: look at recordings, mend them, play them, hand them on."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from asterias.cli import run_command
from asterias.errors import UserError
from asterias.progress import progress_bars
from learning.recordings import health
from learning.recordings.bags.bag_recovery import CUT, Recovery, recover, recover_in_place
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
                raise UserError("--out goes with one file; leave it out to mend in place.")
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
            raise UserError(f"{self.path} holds no episode that is marked as wanted.")
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
            from learning.recordings.exporters.folder import export_folder

            export_folder(episodes, self.out, on_frames=on_frames)
            return
        from learning.recordings.lerobot.export import export_lerobot

        export_lerobot(episodes, self.out, robot_type=self.robot, on_frames=on_frames)


@dataclass(frozen=True)
class Play:
    """Publish a recording on the robot's topics, or drive the simulation by its commands."""

    path: tyro.conf.Positional[Path]
    """A file *.mcap, an episode's folder, or a folder of episodes."""
    to: Literal["topics", "simulation"] = "topics"
    """Publish in ROS 2 (what the robot said), or move a simulated limb here, without ROS."""
    commands: bool = False
    """To topics: publish what the robot heard instead, so that it does it again."""
    topics: tuple[str, ...] = ("*",)
    """To topics: patterns of those to play."""
    rate: float = 1.0
    """To topics: times as fast as it was recorded."""
    start: float = 0.0
    """To topics: seconds to leave out at the beginning."""
    loop: bool = False
    """To topics: begin again at the end."""
    robot: str = "limb_p1"
    """In simulation: name or path of the robot description."""
    limb: int = 0
    """In simulation: which limb of the recording and of the robot."""

    def run(self) -> int:
        """Play to the end, or until Ctrl-C."""
        if self.to == "topics":
            return self._to_topics()
        from learning.recordings.replaying import replay

        for recording in find_recordings(self.path):
            with progress_bars() as progress:
                bar = progress.add_task(recording.name[:12], total=None)
                result = replay(
                    recording,
                    self.robot,
                    self.limb,
                    lambda done, total, bar=bar, progress=progress: progress.update(  # type: ignore[misc]
                        bar, completed=round(done, 1), total=round(total, 1)
                    ),
                )
            rms = ", ".join(
                f"{name} {math.degrees(error):.1f}"
                for name, error in zip(result.names, result.rms_rad, strict=True)
            )
            print(f"{recording.name}: from what was recorded, degrees (rms): {rms}")
        return 0

    def _to_topics(self) -> int:
        """The node, which has the terminal and the signals from here on."""
        find_recordings(self.path)
        if shutil.which("ros2") is None:
            raise UserError("There is no ros2 here; run `source setup.bash` first.")
        quoted = ", ".join(f"'{topic}'" for topic in self.topics)
        parameters = {
            "recording": f"'{self.path}'",
            "topics": f"[{quoted}]",
            "commands": str(self.commands).lower(),
            "rate": str(float(self.rate)),
            "start_s": str(float(self.start)),
            "loop": str(self.loop).lower(),
        }
        command = ["ros2", "run", "asterias_nodes", "player", "--ros-args"]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={value}"]
        sys.stdout.flush()
        os.execvp(command[0], command)


@dataclass(frozen=True)
class Plot:
    """Draw joints, commands, camera rates and finds over time."""

    path: tyro.conf.Positional[Path]
    """A file *.mcap, or an episode's folder."""
    out: Path
    """Picture to write, *.png, *.svg or *.pdf."""

    def run(self) -> int:
        """Draw the recording; of several, the first."""
        from learning.recordings.plots import drawing

        self.out.parent.mkdir(parents=True, exist_ok=True)
        drawing.plot(find_recordings(self.path)[0], self.out)
        return 0


@dataclass(frozen=True)
class Sheet:
    """A contact sheet: what all cameras saw, at moments evenly far apart."""

    path: tyro.conf.Positional[Path]
    """A file *.mcap, or an episode's folder."""
    out: Path
    """Picture to write, *.png."""
    rows: int = 8
    """Moments."""

    def run(self) -> int:
        """Draw the recording; of several, the first."""
        from learning.recordings.plots import drawing

        drawing.sheet(find_recordings(self.path)[0], self.out, self.rows)
        return 0


@dataclass(frozen=True)
class Video:
    """A film of an episode: all tiles, time and angles."""

    path: tyro.conf.Positional[Path]
    """A file *.mcap, or an episode's folder."""
    out: Path
    """Video to write, *.mp4."""
    fps: int = 0
    """Frames per second; 0 takes the rate of the slowest camera."""

    def run(self) -> int:
        """Draw the recording; of several, the first."""
        from learning.recordings.plots import drawing

        self.out.parent.mkdir(parents=True, exist_ok=True)
        recording = find_recordings(self.path)[0]
        with progress_bars(unit="frames") as progress:
            bar = progress.add_task("video", total=None)
            frames = drawing.film(
                recording, self.out, self.fps, lambda done: progress.update(bar, completed=done)
            )
        print(f"{self.out}: {frames} frames.")
        return 0


COMMANDS: dict[str, type] = {
    "check": Check,
    "export": Export,
    "info": Info,
    "play": Play,
    "plot": Plot,
    "recover": Recover,
    "sheet": Sheet,
    "video": Video,
}


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


def main(
    arguments: Sequence[str] | None = None, program: str = "python -m learning.recordings"
) -> int:
    """Run one command; a person's mistake ends in one sentence and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return run_command(COMMANDS, program, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
