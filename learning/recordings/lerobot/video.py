"""The video files of a data set: many episodes in one file, a new file when one is full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asterias.arrays import ImageArray
from learning.recordings.lerobot.layout import VIDEO_FILE_MB, VIDEO_PATH, next_place
from learning.recordings.plots.video import FilmWriter


class CameraVideos:
    """The video files of one camera.

    Args:
        folder: of the data set.
        key: name of the camera's feature.
        fps: frames per second.

    Attributes:
        place: chunk and file that are written.
    """

    def __init__(self, folder: Path, key: str, fps: int) -> None:
        self._folder, self._key, self._fps = folder, key, fps
        self._writer: FilmWriter | None = None
        self.place = (0, 0)

    def start_episode(self) -> dict[str, Any]:
        """Open a file if one is needed; return where the next episode's pictures go.

        Returns:
            The columns of `meta/episodes` that say so.
        """
        if self._writer is not None and self._writer.size_bytes >= VIDEO_FILE_MB * 1e6:
            self.close()
            self.place = next_place(self.place)
        if self._writer is None:
            path = VIDEO_PATH.format(
                video_key=self._key, chunk_index=self.place[0], file_index=self.place[1]
            )
            self._writer = FilmWriter(self._folder / path, self._fps)
        prefix = f"videos/{self._key}"
        return {
            f"{prefix}/chunk_index": self.place[0],
            f"{prefix}/file_index": self.place[1],
            f"{prefix}/from_timestamp": self._writer.frames / self._fps,
        }

    def write(self, image: ImageArray) -> None:
        """Add the next frame, ``(H, W, 3)`` RGB."""
        assert self._writer is not None
        self._writer.write(image)

    def end_episode(self) -> dict[str, Any]:
        """Return where the episode's pictures ended."""
        assert self._writer is not None
        return {f"videos/{self._key}/to_timestamp": self._writer.frames / self._fps}

    def close(self) -> None:
        """Complete the last file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
