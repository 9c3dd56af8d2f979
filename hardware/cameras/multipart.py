"""Parts out of a ``multipart/x-mixed-replace`` stream, as MJPEG cameras send it."""

from __future__ import annotations

from dataclasses import dataclass

from asterias.images import ImageError
from hardware.cameras.jpeg import MOST_BYTES

HEAD_END = b"\r\n\r\n"
MOST_HEAD_BYTES = 8192


@dataclass(frozen=True)
class StreamPart:
    """A file and when it was taken on the sender's clock, where the sender says so."""

    data: bytes
    stamp_s: float | None


class MultipartReader:
    """Takes parts out of bytes as they come; what does not fit is skipped to the next boundary.

    Args:
        boundary: as in the stream's Content-Type.
    """

    def __init__(self, boundary: bytes) -> None:
        self._mark = b"--" + boundary.removeprefix(b"--")
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """More bytes have come."""
        self._buffer += data

    def next(self) -> StreamPart | None:
        """The next whole part, or None when more bytes must come first.

        Raises:
            ImageError: a part was skipped.
        """
        start = self._buffer.find(self._mark)
        if start < 0:
            # Keep what may be the beginning of a mark.
            del self._buffer[: max(len(self._buffer) - len(self._mark), 0)]
            return None
        head_end = self._buffer.find(HEAD_END, start)
        if head_end < 0:
            if len(self._buffer) - start > MOST_HEAD_BYTES:
                self._skip(start)
                raise ImageError("a part without an end of its head")
            return None
        head = bytes(self._buffer[start + len(self._mark) : head_end])
        return self._body(start, head_end + len(HEAD_END), _fields(head))

    def _body(self, start: int, begin: int, fields: dict[str, str]) -> StreamPart | None:
        """A part's content: as long as its head says, or else up to the next boundary."""
        following = self._buffer.find(self._mark, begin)
        length = _number(fields.get("content-length", ""))
        if length is None or not 0 < length <= MOST_BYTES:
            if following < 0:
                if len(self._buffer) - begin > MOST_BYTES:
                    self._skip(start)
                    raise ImageError("a part that is too long")
                return None
            length = following - begin
        elif 0 <= following < begin + length:
            # The next part begins within this one: its length is a lie.
            del self._buffer[:following]
            raise ImageError("a picture shorter than its head says")
        if len(self._buffer) < begin + length:
            return None
        data = bytes(self._buffer[begin : begin + length])
        del self._buffer[: begin + length]
        return StreamPart(data.rstrip(b"\r\n"), _number_f(fields.get("x-timestamp", "")))

    def _skip(self, start: int) -> None:
        del self._buffer[: start + len(self._mark)]


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _number_f(text: str) -> float | None:
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    return float(text) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None
