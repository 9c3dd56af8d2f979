"""Parameters of the node ``recorder``."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from asterias_nodes.runtime.parameters import SettingsError
from learning.recordings.bags.bag_recording import SYNC_PERIOD_S
from learning.recordings.bags.bag_writer import COMPRESSIONS, Split
from learning.recordings.bags.ring import Ring
from learning.recordings.episodes import EpisodeStore
from learning.recordings.session import RecordingSession, SingleFile, WriterOptions

MEGABYTE = 1_000_000

Mode = Literal["now", "episodes", "ring"]
Pictures = Literal["raw", "jpeg"]


@dataclass(frozen=True)
class RecorderSettings:
    """Parameters of the recorder."""

    output: Annotated[
        str,
        "file to write in mode now, else folder of the episodes, which may hold some already; "
        "empty: a new one in runs/",
    ] = ""
    mode: Annotated[
        str, "now: record at once; episodes: when asked; ring: keep the last seconds, too"
    ] = "now"
    topics: Annotated[list[str], "patterns of the topics to record, such as /limb_*/camera_*/*"] = (
        field(default_factory=lambda: ["*"])
    )
    exclude: Annotated[list[str], "patterns of topics to leave out; they win over 'topics'"] = (
        # Compressed images say nothing that the raw ones do not, and are made for listeners only.
        field(default_factory=lambda: ["/parameter_events", "*/compressed", "/recorder/status"])
    )
    pictures: Annotated[str, "raw, or jpeg: a tenth of the size, with small losses"] = "raw"
    compression: Annotated[str, "of the file: none, lz4 or zstd"] = "lz4"
    split_mb: Annotated[float, "MB after which the next file begins; 0 for never"] = 0.0
    split_s: Annotated[float, "s after which the next file begins; 0 for never"] = 0.0
    ring_s: Annotated[float, "s that mode ring keeps in memory"] = 30.0
    ring_mb: Annotated[float, "MB of messages that mode ring keeps at most"] = 1000.0
    snapshot_on: Annotated[list[str], "std_msgs/Bool topics that cause a snapshot: true"] = field(
        default_factory=lambda: ["/e_stop_state"]
    )
    sync_period_s: Annotated[float, "s between writes to the disk; a crash loses no more"] = (
        SYNC_PERIOD_S
    )
    min_free_mb: Annotated[float, "MB of free disk below which recording stops"] = 64.0

    def __post_init__(self) -> None:
        _check_word("compression", self.compression, COMPRESSIONS)
        _check_word("mode", self.mode, get_args(Mode))
        _check_word("pictures", self.pictures, get_args(Pictures))
        _check_range("sync_period_s", self.sync_period_s, 0.01, 60.0)
        _check_range("ring_s", self.ring_s, 0.1, 3600.0)
        for name in ("split_mb", "split_s", "ring_mb", "min_free_mb"):
            _check_range(name, getattr(self, name), 0.0, 1e9)
        if not self.topics:
            raise SettingsError("Parameter 'topics' must name at least one pattern, such as '*'.")
        if self.mode != "now" and self.output.endswith(".mcap"):
            raise SettingsError(
                f"Parameter 'output' must be a folder in mode '{self.mode}', not {self.output}."
            )

    @property
    def path(self) -> Path:
        """Where to record: a file in mode ``now``, a folder otherwise."""
        if self.output:
            return Path(self.output).expanduser()
        folder = Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-recording"
        return folder / "recording.mcap" if self.mode == "now" else folder

    @property
    def writer(self) -> WriterOptions:
        """How files are written."""
        return WriterOptions(
            compression=self.compression,
            split=Split(round(self.split_mb * MEGABYTE), self.split_s),
            sync_period_s=self.sync_period_s,
            min_free_bytes=round(self.min_free_mb * MEGABYTE),
        )

    def session(self) -> RecordingSession:
        """Return what the messages go into."""
        if self.mode == "now":
            return RecordingSession(SingleFile(self.path), self.writer)
        ring = Ring(self.ring_s, round(self.ring_mb * MEGABYTE)) if self.mode == "ring" else None
        return RecordingSession(EpisodeStore(self.path), self.writer, ring)

    def wants(self, topic: str) -> bool:
        """Return whether to record a topic; hidden ones (``_action/…``) only by their name."""
        if any(fnmatch.fnmatchcase(topic, pattern) for pattern in self.exclude):
            return False
        if "/_" in topic:
            return topic in self.topics
        return any(fnmatch.fnmatchcase(topic, pattern) for pattern in self.topics)


def _check_word(name: str, value: str, known: Sequence[str] | dict[str, Any]) -> None:
    if value not in known:
        raise SettingsError(f"Parameter '{name}' must be one of {', '.join(known)}, not '{value}'.")


def _check_range(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise SettingsError(
            f"Parameter '{name}' must be from {lowest:g} to {highest:g}, not {value:g}."
        )
