"""Parts out of a ``multipart/x-mixed-replace`` stream, as MJPEG cameras send it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from asterias.errors import DeviceError
from asterias.images.decode import ImageError
from hardware.cameras.jpeg import MOST_BYTES

HEAD_END = re.compile(rb"\r?\n\r?\n")
MOST_HEAD_BYTES = 8192
# So much of a stream is searched for its first boundary: more than a picture of a camera here.
MOST_LEAD_BYTES = 1 << 20
# A line that can be a boundary, whatever was declared: a head of a part stands behind it.
ANY_BOUNDARY = re.compile(rb"(?:^|\n)([^\r\n:]{1,72})\r?\n(?=Content-(?:Type|Length)\s*:)", re.I)


@dataclass(frozen=True)
class StreamPart:
    """A file and when it was taken on the sender's clock, where the sender says so."""

    data: bytes
    stamp_s: float | None


class MultipartReader:
    """Takes parts out of bytes as they come; what does not fit is skipped to the next boundary.

    Servers often declare another boundary than they send (with more or fewer dashes, or none at
    all), so the one in the stream counts: the first line that is the declared one but for dashes,
    or else the first line that has the head of a part behind it.

    Args:
        boundary: as in the stream's Content-Type; empty: none is declared.
    """

    def __init__(self, boundary: bytes) -> None:
        self._declared = boundary
        core = boundary.strip(b"-")
        self._expected = (
            re.compile(rb"(?:^|\n)(-*" + re.escape(core) + rb"-*)\r?\n") if core else None
        )
        self._mark: bytes | None = None
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes that have come."""
        self._buffer += data

    def next(self) -> StreamPart | None:
        """Return the next whole part, or None when more bytes must come first.

        Raises:
            ImageError: a part was skipped.
        """
        mark = self._mark = self._mark or self._find_mark()
        if mark is None:
            return None
        start = self._buffer.find(mark)
        if start < 0:
            # Keep what may be the beginning of a mark.
            del self._buffer[: max(len(self._buffer) - len(mark), 0)]
            return None
        head_end = HEAD_END.search(self._buffer, start)
        if head_end is None:
            if len(self._buffer) - start > MOST_HEAD_BYTES:
                self._skip(start)
                raise ImageError("a part without an end of its head")
            return None
        head = bytes(self._buffer[start + len(mark) : head_end.start()])
        return self._body(mark, start, head_end.end(), _fields(head))

    def _find_mark(self) -> bytes | None:
        """Return the line that separates the parts; None when more bytes must come first.

        Raises:
            DeviceError: so much has come without one that there is none.
        """
        found = None if self._expected is None else self._expected.search(self._buffer)
        found = found or ANY_BOUNDARY.search(self._buffer)
        if found is not None:
            return bytes(found[1])
        if len(self._buffer) > MOST_LEAD_BYTES:
            name = self._declared.decode("latin-1")
            named = f"boundary '{name}'" if name else "a boundary"
            raise DeviceError(f"{named} is not in the stream")
        return None

    def _body(
        self, mark: bytes, start: int, begin: int, fields: dict[str, str]
    ) -> StreamPart | None:
        """Return a part's content: as long as its head says, or else up to the next boundary.

        Raises:
            ImageError: the part is too long, or shorter than its head says.
        """
        following = self._buffer.find(mark, begin)
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
        del self._buffer[: start + len(self._mark or b"")]


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _number_f(text: str) -> float | None:
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    return float(text) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None
