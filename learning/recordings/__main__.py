"""``python -m learning.recordings``: look at recordings, mend them, play them, hand them on."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from asterias.cli import LazyCommand, run_command
from asterias.errors import UserError
from asterias.progress import progress_bars
from learning.recordings import health
from learning.recordings.bags.bag_recovery import CUT, Recovery, recover, recover_in_place
from learning.recordings.export_command import Export, print_losses
from learning.recordings.reading import find_recordings
from learning.recordings.sampling import sample_parts
from learning.recordings.tables import print_tables
from learning.recordings.timing.sampling_options import SamplingOptions

SOUND, UNSOUND = 0, 1


@dataclass(frozen=True)
class Info:
    """What is in a recording: time, size, topics, episodes."""

    path: tyro.conf.Positional[Path]
    """A file *.mcap, an episode's folder, or a folder of episodes."""
    json: bool = False
    """For programs."""

    def run(self) -> int:
        """Print tables.

        Returns:
            The exit code.
        """
        recordings = find_recordings(self.path)
        judged = [(recording, health.examine(recording)) for recording in recordings]
        if self.json:
            words = {recording.name: about.words() for recording, about in judged}
            print(json.dumps(words, indent=1))
            return 0
        print_tables(judged)
        return 0


@dataclass(frozen=True)
class Check:
    """Whether a recording is sound: cut files, lost messages, gaps by topic; exit code 1 if not."""

    path: tyro.conf.Positional[Path]
    """A file *.mcap, an episode's folder, or a folder of episodes."""
    rates: dict[str, float] = field(default_factory=dict)
    """Declared rates: patterns of topics, each with the Hz that its messages should come at."""

    def run(self) -> int:
        """Print what is wrong.

        Returns:
            The exit code.
        """
        sound = True
        for recording in find_recordings(self.path):
            about = health.examine(recording, self.rates)
            sound &= about.is_sound
            count = sum(topic.count for topic in about.topics.values())
            if about.is_sound:
                print(f"{recording.name}: sound, {count} messages on {len(about.topics)} topics.")
            else:
                print(f"{recording.name}: {count} messages on {len(about.topics)} topics, but")
            for line in [*about.problems, *about.notes]:
                print(f"  {line}")
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
        """Mend, and print what was found.

        Returns:
            The exit code.

        Raises:
            UserError: ``--out`` is given for a folder.
        """
        if self.out is not None:
            if not self.path.is_file():
                raise UserError("--out goes with one file; leave it out to mend in place.")
            print(f"{self.out}: {_found(recover(self.path, self.out))}")
            return 0
        for recording in find_recordings(self.path):
            for file, recovery in recover_in_place(recording):
                print(f"{file}: {_found(recovery)}")
                if not recovery.was_whole:
                    print(f"  What it was is now {file.name}{CUT}.")
        return 0


@dataclass(frozen=True)
class Play:
    """Publish a recording on the robot's topics, or drive the simulation by its commands."""

    path: tyro.conf.Positional[Path]
    """A file *.mcap, an episode's folder, or a folder of episodes."""
    to: Literal["topics", "simulation"] = "topics"
    """Publish in ROS 2 (what the robot published), or move a simulated limb here, without ROS."""
    commands: bool = False
    """To topics: publish the commands instead, so that the robot does it again."""
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
        """Play to the end, or until Ctrl-C.

        Returns:
            The exit code.
        """
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
        """Become the node, which has the terminal and the signals from here on.

        Raises:
            UserError: ROS 2 is not set up.
        """
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
    key_frames: Path | None = None
    """File *.critical_states.mcap of `key-frames`: a band shows which frames decided."""

    def run(self) -> int:
        """Draw the recording; of several, the first.

        Returns:
            The exit code.
        """
        from learning.recordings.plots import drawing

        self.out.parent.mkdir(parents=True, exist_ok=True)
        drawing.plot(find_recordings(self.path)[0], self.out, self.key_frames)
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
    topics: tuple[str, ...] = ()
    """Patterns of the camera topics to show; all if none is given."""
    without: tuple[str, ...] = ()
    """Patterns of topics to leave out, such as those of a camera that died."""

    def run(self) -> int:
        """Draw the recording; of several, the first.

        Returns:
            The exit code.
        """
        from learning.recordings.plots import drawing

        sampled = sample_parts(find_recordings(self.path)[0], _view(self.topics, self.without))
        print_losses(sampled.losses)
        drawing.sheet(sampled, self.out, self.rows)
        return 0


@dataclass(frozen=True)
class Video:
    """A film of an episode: all tiles, time and angles; with --outside the robot beside them."""

    path: tyro.conf.Positional[Path]
    """A file *.mcap, or an episode's folder."""
    out: Path
    """Video to write, *.mp4."""
    fps: int = 0
    """Frames per second; 0 takes the rate of the slowest camera."""
    topics: tuple[str, ...] = ()
    """Patterns of the camera topics to show; all if none is given."""
    without: tuple[str, ...] = ()
    """Patterns of topics to leave out, such as those of a camera that died."""
    outside: str = ""
    """Name or path of the robot's description: draws it from outside, as its joints moved."""
    key_frames: Path | None = None
    """File *.critical_states.mcap of `key-frames`: a band shows which frames decided."""

    def run(self) -> int:
        """Draw the recording; of several, the first.

        Returns:
            The exit code.
        """
        from learning.recordings.plots import drawing

        self.out.parent.mkdir(parents=True, exist_ok=True)
        options = _view(self.topics, self.without, self.fps)
        sampled = sample_parts(find_recordings(self.path)[0], options)
        print_losses(sampled.losses)
        with ExitStack() as stack:
            beside = None
            if self.outside:
                from learning.recordings.plots.outside import OutsideView

                view = stack.enter_context(OutsideView(self.outside, sampled.episodes))
                beside = view.draw
            progress = stack.enter_context(progress_bars(unit="frames"))
            bar = progress.add_task("video", total=None)
            frames = drawing.film(
                sampled,
                self.out,
                lambda done, total: progress.update(bar, completed=done, total=total),
                beside,
                self.key_frames,
            )
        print(f"{self.out}: {frames} frames.")
        return 0


_MOST_DROPPED = 20  # damaged places of a file that are printed
COMMANDS: dict[str, type | LazyCommand] = {
    "check": Check,
    "export": Export,
    "info": Info,
    "key-frames": LazyCommand(
        "learning.critical_states.key_frames.command:KeyFrames",
        "Find the frames that decided, from marks of success and failure alone.",
    ),
    "play": Play,
    "plot": Plot,
    "recover": Recover,
    "sheet": Sheet,
    "video": Video,
}


def _view(topics: tuple[str, ...], without: tuple[str, ...], fps: int = 0) -> SamplingOptions:
    return SamplingOptions(fps=fps, topics=topics, without=without)


def _found(recovery: Recovery) -> str:
    verb = "whole," if recovery.was_whole else "recovered"
    words = [f"{verb} {recovery.message_count} messages on {recovery.topic_count} topics"]
    if recovery.attachments:
        words.append(f"{recovery.attachments} attachments")
    if recovery.bad_chunks:
        words.append(f"{recovery.bad_chunks} damaged places left out")
    if recovery.orphans:
        words.append(f"{recovery.orphans} messages left out whose topic is described nowhere")
    if recovery.unknown_compressions:
        names = ", ".join(repr(name[:32]) for name in recovery.unknown_compressions)
        words.append(f"parts compressed as {names} left out")
    lines = [f"{', '.join(words)}.", *(f"  {text}" for text in recovery.dropped[:_MOST_DROPPED])]
    if len(recovery.dropped) > _MOST_DROPPED:
        lines.append(f"  and {len(recovery.dropped) - _MOST_DROPPED} places more")
    return "\n".join(lines)


def main(
    arguments: Sequence[str] | None = None, program: str = "python -m learning.recordings"
) -> int:
    """Run one command; a person's mistake ends in one sentence and exit code 2.

    Returns:
        The exit code.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    return run_command(COMMANDS, program, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
