"""``export``: recordings become a data set that is true, or none."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.progress import Progress

from asterias.errors import UserError
from asterias.progress import progress_bars
from learning.recordings.exporters.registry import EXPORTERS, Exporter, ExportOptions
from learning.recordings.reading import Recording, find_recordings
from learning.recordings.sampling import (
    SampledEpisode,
    TooShortError,
    sample_parts,
)
from learning.recordings.timing.sampling_options import SamplingOptions

if TYPE_CHECKING:
    Format = str
else:
    Format = Literal[EXPORTERS.names()]

FORMATS = "; ".join(f"{name}: {exporter.summary}" for name, exporter in EXPORTERS.items())
Chosen = Literal["all", "success", "marked"]


@dataclass(frozen=True)
class Export:
    """Make a data set for learning of episodes.

    Frames for which a picture or a state is missing or too old are left out and counted; what is
    between two such places becomes an episode of its own.
    """

    path: tyro.conf.Positional[Path]
    """A file *.mcap, an episode's folder, or a folder of episodes."""
    out: Path
    """Folder to make."""
    format: Annotated[Format, tyro.conf.arg(help=FORMATS)] = "lerobot"
    fps: int = 0
    """Frames per second; 0 takes the rate of the slowest camera."""
    task: str = ""
    """For recordings that state none."""
    only: Chosen = "all"
    """Which episodes: all, those marked as a success, or those marked at all."""
    robot: str = "asterias"
    """Name of the robot."""
    topics: tuple[str, ...] = ()
    """Patterns of the camera topics to export; all if none is given."""
    without: tuple[str, ...] = ()
    """Patterns of topics to leave out: cameras, or joint states of limbs."""
    max_age: float = 0.0
    """Greatest age in s of a picture or state in a frame; 0 takes 2.5 periods of its topic."""
    camera_flags: bool = False
    """LeRobot: also write a flag for each camera as observation.environment_state, which its
    policies need where they see no pictures."""
    strict: bool = False
    """Refuse recordings of which something would be left out."""

    def run(self) -> int:
        """Read every episode once for its times, and once for its pictures.

        Returns:
            0 when the data set is written.

        Raises:
            UserError: no data set can be made of it, or not without a loss where that is asked.
        """
        exporter = EXPORTERS.get(self.format)
        if self.out.exists():
            raise UserError(
                f"{self.out} exists already, and is not overwritten; name a new folder."
            )
        with progress_bars(unit="frames") as progress:
            episodes, losses = self._sampled(exporter, progress)
            if losses and self.strict:
                raise UserError(f"Nothing was exported, for --strict was given: {' '.join(losses)}")
            total = sum(len(e.times_s) * len(e.pictures) for e in episodes)
            bar = progress.add_task("export", total=total)
            options = ExportOptions(
                self.robot, self.camera_flags, lambda done: progress.update(bar, completed=done)
            )
            exporter.write(episodes, self.out, options)
        print_losses(losses)
        frames = sum(len(episode.times_s) for episode in episodes)
        what = "1 episode" if len(episodes) == 1 else f"{len(episodes)} episodes"
        print(f"{self.out}: {what}, {frames} frames at {episodes[0].fps} Hz.")
        return 0

    def _sampled(
        self, exporter: Exporter, progress: Progress
    ) -> tuple[list[SampledEpisode], list[str]]:
        options = self._options(exporter, self.fps)
        recordings = find_recordings(self.path)
        wanted = [recording for recording in recordings if self._wants(recording)]
        if not wanted:
            raise UserError(
                f"{self.path} holds no episode that is marked as wanted: none of "
                f"{len(recordings)} goes with --only {self.only}."
            )
        bar = progress.add_task("read", total=len(wanted))
        parts: list[tuple[Recording, list[SampledEpisode], list[str]]] = []
        losses: list[str] = []
        for recording in wanted:
            progress.advance(bar)
            losses += [f"{recording.path} lacks {name}." for name in recording.missing]
            try:
                sampled = sample_parts(recording, options)
            except TooShortError as error:
                losses.append(str(error))
                continue
            parts.append((recording, list(sampled.episodes), list(sampled.losses)))
        if not parts:
            raise UserError(f"There is nothing to export: {' '.join(losses)}")
        slowest = min(episodes[0].fps for _, episodes, _ in parts)
        return self._at_one_rate(exporter, parts, slowest, losses)

    def _at_one_rate(
        self,
        exporter: Exporter,
        parts: list[tuple[Recording, list[SampledEpisode], list[str]]],
        fps: int,
        losses: list[str],
    ) -> tuple[list[SampledEpisode], list[str]]:
        """Sample those again whose rate is above the slowest.

        Returns:
            All episodes, and sentences about what was left out.
        """
        found: list[SampledEpisode] = []
        for recording, episodes, lost in parts:
            if episodes[0].fps != fps:
                sampled = sample_parts(recording, self._options(exporter, fps))
                episodes, lost = list(sampled.episodes), list(sampled.losses)
            found += episodes
            losses += lost
        return found, losses

    def _options(self, exporter: Exporter, fps: int) -> SamplingOptions:
        return SamplingOptions(
            fps=fps,
            task=self.task,
            topics=self.topics,
            without=self.without,
            max_age_s=self.max_age,
            depth=exporter.takes_depth,
        )

    def _wants(self, recording: Recording) -> bool:
        outcome = recording.card.outcome if recording.card is not None else "unknown"
        return {
            "all": True,
            "success": outcome == "success",
            "marked": outcome != "unknown",
        }[self.only]


def print_losses(losses: Sequence[str]) -> None:
    """Print what had to be left out, on stderr: the result itself goes to stdout."""
    for loss in losses:
        print(f"Left out: {loss}", file=sys.stderr)
