"""Pictures out of a file, a recording (MCAP) or a video, at the pace in which they were taken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
from pydantic import Field

from asterias.arrays import ImageArray
from asterias.errors import DeviceError
from asterias.images.decode import ImageError
from hardware.cameras.jpeg import decode_jpeg
from hardware.cameras.settings import CameraSettings
from hardware.cameras.stream import FrameSource, Grab
from hardware.description.buses import BusSettings
from hardware.description.limb import CameraDescription

TimedPicture = tuple[float, ImageArray | ImageError]


class ReplaySource(FrameSource):
    """Plays a file.

    Args:
        description: size of the pictures; its rate counts for videos that state none.
        file: recording or video.
        topic: of the recording.
        loop: begin again at the end; else the camera is silent then.
    """

    def __init__(
        self, description: CameraDescription, file: str, topic: str, loop: bool = True
    ) -> None:
        self.file = Path(file)
        self.topic = topic
        self.loop = loop
        self._about = description
        self._pictures: Iterator[TimedPicture] = iter(())
        self._waiting: TimedPicture | None = None
        self._started_s = 0.0
        self._first_s: float | None = None

    def open(self) -> None:
        """Open the file at its beginning.

        Raises:
            DeviceError: there is no such file, or it holds no picture.
        """
        if not self.file.is_file():
            raise DeviceError(f"there is no file {self.file}")
        self._rewind()
        self._waiting = next(self._pictures, None)
        if self._waiting is None:
            where = f" on topic '{self.topic}'" if self.file.suffix == ".mcap" else ""
            raise DeviceError(f"{self.file} holds no picture{where}")

    def grab(self, timeout_s: float) -> Grab | None:
        """Return the next picture when its time has come, or None after ``timeout_s``."""
        if self._waiting is None:
            time.sleep(timeout_s)
            return None
        time_s, picture = self._waiting
        if self._first_s is None:
            self._first_s, self._started_s = time_s, time.monotonic()
        wait_s = self._started_s + time_s - self._first_s - time.monotonic()
        if wait_s > timeout_s:
            time.sleep(timeout_s)
            return None
        if wait_s > 0:
            time.sleep(wait_s)
        self._waiting = self._following()
        if isinstance(picture, ImageError):
            raise picture
        return Grab(picture)

    def close(self) -> None:
        """Forget the file."""
        self._pictures, self._waiting = iter(()), None

    def _rewind(self) -> None:
        is_recording = self.file.suffix == ".mcap"
        self._pictures = self._recorded() if is_recording else self._filmed()
        self._first_s = None

    def _following(self) -> TimedPicture | None:
        following = next(self._pictures, None)
        if following is None and self.loop:
            self._rewind()
            following = next(self._pictures, None)
        return following

    # -- files ----------------------------------------------------------------------------------

    def _recorded(self) -> Iterator[TimedPicture]:
        """Yield the pictures of a topic; a recording that is cut off is read up to there.

        Yields:
            Time stamp and picture, in the order of the file.

        Raises:
            DeviceError: the file is no readable recording.
        """
        # Here, since every robot description imports this file, and few cameras are replayed.
        from mcap.exceptions import McapError
        from mcap.reader import NonSeekingReader
        from mcap_ros2.decoder import DecoderFactory

        factory = DecoderFactory()
        with self.file.open("rb") as file:
            # In the order of the file: the index may be missing after a crash.
            messages = NonSeekingReader(file, decoder_factories=[factory]).iter_decoded_messages(
                topics=[self.topic], log_time_order=False
            )
            try:
                for _, _, message, content in messages:
                    yield message.log_time * 1e-9, self._picture(content)
            except (McapError, EOFError) as error:
                if self._first_s is None:
                    raise DeviceError(f"{self.file} is no readable recording ({error})") from error

    def _picture(self, message: Any) -> ImageArray | ImageError:
        """Return the picture of a sensor_msgs Image (rgb8, bgr8) or CompressedImage."""
        about = self._about
        try:
            if hasattr(message, "format"):
                return decode_jpeg(bytes(message.data), about.width_px, about.height_px)
            flat = np.frombuffer(bytes(message.data), np.uint8)
            image = flat.reshape(message.height, message.step)[:, : 3 * message.width]
            image = image.reshape(message.height, message.width, 3)
            if message.encoding == "rgb8":
                return image
            if message.encoding == "bgr8":
                return image[..., ::-1]
            return ImageError(f"a picture with encoding '{message.encoding}'")
        except ImageError as error:
            return error
        except ValueError:
            return ImageError("a picture whose size is a lie")

    def _filmed(self) -> Iterator[TimedPicture]:
        capture = cv2.VideoCapture(str(self.file))
        try:
            if not capture.isOpened():
                raise DeviceError(f"{self.file} is no video that OpenCV can read")
            rate_hz = capture.get(cv2.CAP_PROP_FPS) or self._about.rate_hz
            count = 0
            while True:
                done, image = capture.read()
                if not done:
                    return
                yield count / rate_hz, cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8)
                count += 1
        finally:
            capture.release()


class ReplaySettings(CameraSettings):
    """Pictures from a file, at the pace in which they were taken.

    Attributes:
        file: a recording (``.mcap``) or a video.
        topic: of the recording; needed for ``.mcap`` only.
        loop: start again at the end.
    """

    type: Literal["replay"] = "replay"
    file: Annotated[str, Field(min_length=1)]
    topic: str = ""
    loop: bool = True

    def open(self, description: CameraDescription, bus: BusSettings) -> FrameSource:
        """Return the source of the pictures, closed."""
        return ReplaySource(description, self.file, self.topic, self.loop)
