"""Video files, frame by frame, in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np

from asterias.arrays import ImageArray
from asterias.context import Closeable

CODEC = "libx264"
CODEC_NAME = "h264"
PIXEL_FORMAT = "yuv420p"
# A key frame every other frame: learners read single frames anywhere.
KEY_FRAME_DISTANCE = 2
QUALITY = 20


class FilmWriter(Closeable):
    """An H.264 video in an MP4 file.

    Args:
        path: of a new file.
        fps: frames per second.
        key_frame_distance: frames from one that can be read alone to the next.
    """

    def __init__(self, path: Path, fps: int, key_frame_distance: int = KEY_FRAME_DISTANCE) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.frames = 0
        self._container = av.open(str(path), "w")
        stream: Any = self._container.add_stream(CODEC, rate=fps)
        self._stream = stream
        self._stream.pix_fmt = PIXEL_FORMAT
        self._stream.options = {
            "crf": str(QUALITY),
            "preset": "veryfast",
            "g": str(key_frame_distance),
            "bf": "0",
        }
        self._stream.codec_context.thread_count = 1

    def write(self, image: ImageArray) -> None:
        """Add ``(H, W, 3)`` RGB; odd sizes get a black line."""
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)))
        if self.frames == 0:
            self._stream.height, self._stream.width = image.shape[:2]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts = self.frames
        self.frames += 1
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    @property
    def size_bytes(self) -> int:
        """Of the file so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def close(self) -> None:
        """Completes the file."""
        if self.frames:
            for packet in self._stream.encode():
                self._container.mux(packet)
        self._container.close()


class FilmReader:
    """Frames of a video by their time.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._container = av.open(str(path))
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "NONE"

    def at(self, time_s: float) -> ImageArray:
        """Return ``(H, W, 3)`` RGB of the frame that is shown at a time.

        Raises:
            IndexError: the video ends before.
        """
        base = self._stream.time_base
        assert base is not None
        rate = self._stream.average_rate
        half = 0.5 / float(rate) if rate else 0.0
        self._container.seek(round(time_s / base), stream=self._stream)
        for frame in self._container.decode(self._stream):
            if frame.time is not None and frame.time > time_s - half:
                return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        raise IndexError(f"The video has no frame at {time_s:.3f} s.")

    def close(self) -> None:
        """Close the file."""
        self._container.close()
