"""Find out what a JPEG file holds before a decoder allocates anything for it.

The file is walked as libjpeg walks it (jdmarker.c): fill bytes, bytes between segments and markers
without a length are passed over, so that both see the same start of frame and the same size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial

import numpy as np
import numpy.typing as npt

from asterias.errors import UserError
from asterias.images.progression import Progression, ScanBand

START_OF_IMAGE = b"\xff\xd8"
# ITU T.81, table B.1. Markers without a length: TEM and the restarts.
_TEM, _EOI, _SOI, _SOS, _DHT, _DQT, _DRI = 0x01, 0xD9, 0xD8, 0xDA, 0xC4, 0xDB, 0xDD
_RESTARTS = range(0xD0, 0xD8)
# Start of frame: all of C0 to CF but the tables DHT, JPG and DAC.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {_DHT, 0xC8, 0xCC}
# What OpenCV's libjpeg decodes: baseline, extended, progressive, and both with arithmetic coding.
_DECODABLE = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_SEQUENTIAL = frozenset({0xC0, 0xC1})  # Huffman codes, one scan per component
_PROGRESSIVE = 0xC2  # Huffman codes, many scans
# A.3.1 and A.3.3: of 8 by 8 pixels of 8 bits, shifted by 128, the DC value is within 1024; one step
# of quantisation more for rounding, and half as much again for encoders that clip late.
_MOST_DC = 1536
# More than the codes of the largest unit of blocks take when all of them are as short as can be.
_ZEROS = bytes(32)
# Cameras may put a line end, or padding, before the picture.
_MOST_LEAD_BYTES = 64


class ImageError(UserError):
    """An image cannot be used; the message says in a few words what it is instead."""


@dataclass
class _Component:
    """A colour component: its sampling factors, and the number of its quantisation table."""

    horizontal: int
    vertical: int
    quantisation: int


@dataclass
class JpegHeader:
    """What the segments of a JPEG file say.

    Attributes:
        width_px, height_px: size of the picture.
        start, end: the file's bytes within the data, from start to end of image.
    """

    width_px: int = 0
    height_px: int = 0
    start: int = 0
    end: int = 0
    _kind: int = 0
    _components: dict[int, _Component] = field(default_factory=dict)
    _tables: dict[int, bytes] = field(default_factory=dict)
    _dc_units: dict[int, int] = field(default_factory=dict)
    _restart: int = 0


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Return width and height in px as a decoder will see them; ImageError where there is none."""
    header = _Walk(data, check_scans=False).to_frame()
    return header.width_px, header.height_px


def check_jpeg(data: bytes) -> JpegHeader:
    """Return the header of a whole JPEG file whose data are sound; else ImageError.

    The Huffman codes are followed to their end: a picture that was cut, or holds bytes of something
    else, does not come out with as many blocks as its size needs. A decoder would fill the rest
    with grey and say nothing. Of a progressive file, all scans must be there.
    """
    return _Walk(data, check_scans=True).to_end()


@cache
def prepare() -> None:
    """Load what :func:`check_jpeg` needs, once: it takes half a second, or some if it is compiled.

    For programs that must not stand still when the first picture comes.
    """
    from asterias.images.jpeg_scan import follow_codes

    nothing = np.frombuffer(bytes(4), np.uint8)
    blocks = np.zeros((1, 3), np.int64)
    follow_codes(nothing, 0, _lookups((_USUAL_TABLES[0],)), blocks, np.zeros(4, np.int64), 0, 0)


class _Walk:
    """One pass over the segments of a file."""

    def __init__(self, data: bytes, check_scans: bool) -> None:
        start = data.find(START_OF_IMAGE, 0, _MOST_LEAD_BYTES)
        if start < 0:
            raise ImageError("no JPEG")
        self._data = data
        self._at = start + len(START_OF_IMAGE)
        self._check_scans = check_scans
        self._checks: list[Callable[[], bool]] = []
        self._header = JpegHeader(start=start)
        self._progression: Progression | None = None

    def to_frame(self) -> JpegHeader:
        """Return the header once the size is known."""
        while not self._header.width_px:
            self._segment(self._marker())
        return self._header

    def to_end(self) -> JpegHeader:
        """Return the header once the end of the image has come.

        Raises:
            ImageError: it holds no scan, or one that is damaged.
        """
        has_scan = False
        while (marker := self._marker()) != _EOI:
            has_scan |= marker == _SOS
            self._segment(marker)
        # After the end is known: half a file is called that, not a damaged one.
        if not has_scan or not all(check() for check in self._checks) or self._lacks_scans():
            raise ImageError("a damaged JPEG")
        self._header.end = self._at
        return self._header

    def _lacks_scans(self) -> bool:
        """Return whether a progressive file ends before its last scan."""
        numbers = frozenset(self._header._components)
        return self._progression is not None and not self._progression.is_complete(numbers)

    def _marker(self) -> int:
        """Return the next marker: whatever stands before it is passed over, as libjpeg does.

        Raises:
            ImageError: there is none.
        """
        data, at = self._data, self._at
        while True:
            at = data.find(b"\xff", at)
            if at < 0:
                raise ImageError("half a JPEG")
            while at < len(data) and data[at] == 0xFF:
                at += 1
            if at >= len(data):
                raise ImageError("half a JPEG")
            at += 1
            if data[at - 1] != 0:
                self._at = at
                return data[at - 1]

    def _segment(self, marker: int) -> None:
        if marker == _TEM or marker in _RESTARTS:
            return
        if marker in (_SOI, _EOI):
            raise ImageError("a damaged JPEG")
        data, at = self._data, self._at
        length = int.from_bytes(data[at : at + 2], "big")
        if at + max(length, 2) > len(data):
            raise ImageError("half a JPEG")
        if length < 2:
            raise ImageError("a damaged JPEG")
        body = data[at + 2 : at + length]
        self._at = at + length
        if marker in _FRAMES:
            self._frame(marker, body)
        elif marker == _DHT:
            self._huffman_tables(body)
        elif marker == _DQT:
            self._quantisation(body)
        elif marker == _DRI and len(body) >= 2:
            self._header._restart = int.from_bytes(body[:2], "big")
        elif marker == _SOS:
            self._scan(body)

    def _frame(self, marker: int, body: bytes) -> None:
        header = self._header
        if marker not in _DECODABLE:
            raise ImageError("a JPEG of a kind that cannot be decoded")
        # Two frames, or a body of another length than its components need: libjpeg refuses it.
        if header.width_px or len(body) < 6 or len(body) != 6 + 3 * body[5]:
            raise ImageError("a damaged JPEG")
        header.height_px = int.from_bytes(body[1:3], "big")
        header.width_px = int.from_bytes(body[3:5], "big")
        header._kind = marker
        for i in range(6, len(body), 3):
            factors = body[i + 1] >> 4, body[i + 1] & 15
            if not all(1 <= factor <= 4 for factor in factors):
                raise ImageError("a damaged JPEG")
            header._components[body[i]] = _Component(*factors, body[i + 2])
        if not header.width_px or not header.height_px or not header._components:
            raise ImageError("a damaged JPEG")

    def _huffman_tables(self, body: bytes) -> None:
        while body:
            size = 17 + sum(body[1:17])
            if len(body) < size or body[0] & 0x0F > 3 or body[0] >> 4 > 1:
                raise ImageError("a damaged JPEG")
            self._header._tables[body[0]] = body[1:size]
            body = body[size:]

    def _quantisation(self, body: bytes) -> None:
        """Note the unit of the DC values, which comes first in each table.

        Raises:
            ImageError: a table is cut.
        """
        while body:
            width = 1 + (body[0] >> 4)
            size = 1 + 64 * width
            if width > 2 or len(body) < size:
                raise ImageError("a damaged JPEG")
            unit = int.from_bytes(body[1 : 1 + width], "big")
            self._header._dc_units[body[0] & 15] = max(unit, 1)
            body = body[size:]

    def _scan(self, body: bytes) -> None:
        header = self._header
        count = body[0] if body else 0
        if not header.width_px or not 1 <= count <= 4 or len(body) < 4 + 2 * count:
            raise ImageError("a damaged JPEG")
        chosen = [(body[i], body[i + 1]) for i in range(1, 1 + 2 * count, 2)]
        if not all(number in header._components for number, _ in chosen):
            raise ImageError("a damaged JPEG")
        start = self._at
        self._skip_scan()
        if self._check_scans and header._kind in _SEQUENTIAL:
            self._note_scan(start, chosen)
        elif self._check_scans and header._kind == _PROGRESSIVE:
            last = body[1 + 2 * count : 4 + 2 * count]
            self._note_pass(start, chosen, ScanBand(last[0], last[1], last[2] >> 4, last[2] & 15))

    def _skip_scan(self) -> None:
        """Go on to the next marker that is no restart; stuffed bytes belong to the scan."""
        while True:
            marker = self._marker()
            if marker not in _RESTARTS:
                self._at -= 2
                return

    def _note_scan(self, start: int, chosen: list[tuple[int, int]], dc_shift: int = -1) -> None:
        """Have the codes of this scan followed once the end of the file is known.

        Args:
            start: of its coded bytes.
            chosen: number and tables of its components.
            dc_shift: bits that its DC values lack, in a scan without AC values; -1: it has both.
        """
        # Here, since numba takes half a second to import and most programs see no camera.
        from asterias.images.jpeg_scan import follow_codes

        header = self._header
        rows, blocks = list[bytes](), list[tuple[int, int, int]]()
        limits = np.zeros(4, np.int64)
        for place, (number, tables) in enumerate(chosen):
            part = header._components[number]
            repeats = part.horizontal * part.vertical if len(chosen) > 1 else 1
            blocks += repeats * [(place, len(rows), len(rows) + 1 if dc_shift < 0 else -1)]
            rows.append(self._table(tables >> 4))
            if dc_shift < 0:
                rows.append(self._table(0x10 | (tables & 15)))
            limits[place] = _MOST_DC // header._dc_units.get(part.quantisation, 1) + 2
        self._refuse_zeros(start, rows)
        self._checks.append(
            partial(
                follow_codes,
                np.frombuffer(self._data, np.uint8),
                start,
                _lookups(tuple(rows)),
                np.array(blocks),
                (limits >> max(dc_shift, 0)) + 1,
                self._units(chosen),
                header._restart,
            )
        )

    def _refuse_zeros(self, start: int, rows: list[bytes]) -> None:
        """Note damage where a scan is zero for long.

        Code 0 is a table's first. Unless it means "as before" in all of them, no scan is zero for
        long: then it was overwritten, and may by chance still have as many blocks as it should.
        """
        if any(row[16] for row in rows) and _ZEROS in self._data[start : self._at]:
            self._checks.append(lambda: False)

    def _note_pass(self, start: int, chosen: list[tuple[int, int]], band: ScanBand) -> None:
        """Have a scan of a progressive file followed, likewise.

        Raises:
            ImageError: it fits no scan before it, or has more blocks than bits.
        """
        if self._progression is None:
            self._progression = Progression()
        progression, is_dc = self._progression, band.first == 0
        has_band = band.last == 0 if is_dc else band.first <= band.last < 64 and len(chosen) == 1
        if not has_band or not all([progression.note(number, band) for number, _ in chosen]):
            raise ImageError("a damaged JPEG")
        units = self._units(chosen)
        if units > 8 * len(self._data):  # the DC values alone take a bit of each block
            raise ImageError("a damaged JPEG")
        if is_dc and not band.before:
            self._note_scan(start, chosen, band.after)
            return
        from asterias.images.jpeg_progressive import follow_ac, follow_dc_bits

        data, restart = np.frombuffer(self._data, np.uint8), self._header._restart
        if is_dc:
            parts = [self._header._components[number] for number, _ in chosen]
            count = sum(part.horizontal * part.vertical for part in parts) if len(parts) > 1 else 1
            self._checks.append(partial(follow_dc_bits, data, start, count, units, restart))
            return
        ((number, tables),) = chosen
        row = self._table(0x10 | (tables & 15))
        if not band.before:
            self._refuse_zeros(start, [row])
        limits = np.array([band.first, band.last, int(band.before > 0)])
        lookup = _lookups((row,))[0]

        def follow() -> bool:
            nonzero = progression.nonzero(number, units)
            return bool(follow_ac(data, start, lookup, limits, nonzero, restart))

        self._checks.append(follow)

    def _table(self, number: int) -> bytes:
        # Streams of cameras may leave the tables out; decoders take the usual ones (T.81, K.3).
        table = self._header._tables.get(number, _USUAL_TABLES.get(number))
        if table is None:
            raise ImageError("a damaged JPEG")
        return table

    def _units(self, chosen: list[tuple[int, int]]) -> int:
        """Return how many units of blocks the scan holds (T.81, A.2)."""
        header = self._header
        parts = header._components.values()
        horizontal = max(part.horizontal for part in parts)
        vertical = max(part.vertical for part in parts)
        if len(chosen) > 1:
            across, down = 8 * horizontal, 8 * vertical
            return -(-header.width_px // across) * -(-header.height_px // down)
        one = header._components[chosen[0][0]]
        width = -(-header.width_px * one.horizontal // horizontal)
        height = -(-header.height_px * one.vertical // vertical)
        return -(-width // 8) * -(-height // 8)


@lru_cache(maxsize=16)
def _lookups(tables: tuple[bytes, ...]) -> npt.NDArray[np.uint16]:
    """Return ``(t, 65536)`` lookups; a camera's pictures have the same tables all the time."""
    lookups = np.stack([_lookup(table) for table in tables])
    lookups.flags.writeable = False
    return lookups


def _lookup(table: bytes) -> npt.NDArray[np.uint16]:
    """Return ``(65536,)``: length of the code at the head of 16 bits times 256, plus its symbol.

    0 where no code begins so.

    Raises:
        ImageError: there are more codes than bits for them.
    """
    lookup = np.zeros(1 << 16, np.uint16)
    code, index = 0, 16
    for length in range(1, 17):
        for _ in range(table[length - 1]):
            first = code << (16 - length)
            if first >= 1 << 16:
                raise ImageError("a damaged JPEG")
            lookup[first : first + (1 << (16 - length))] = length << 8 | table[index]
            code, index = code + 1, index + 1
        code <<= 1
    return lookup


def _usual_tables() -> dict[int, bytes]:
    """Return the tables of T.81, annex K.3, by class and number."""
    luma_dc = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, *range(12)])
    chroma_dc = bytes([0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, *range(12)])
    luma_ac = bytes.fromhex(
        "0002010303020403050504040000017d01020300041105122131410613516107227114328191a1082342b1c1"
        "1552d1f02433627282090a161718191a25262728292a3435363738393a434445464748494a53545556575859"
        "5a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2"
        "b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8"
        "f9fa"
    )
    chroma_ac = bytes.fromhex(
        "00020102040403040705040400010277000102031104052131061241510761711322328108144291a1b1c109"
        "233352f0156272d10a162434e125f11718191a262728292a35363738393a434445464748494a535455565758"
        "595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9"
        "aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8"
        "f9fa"
    )
    return {0x00: luma_dc, 0x01: chroma_dc, 0x10: luma_ac, 0x11: chroma_ac}


_USUAL_TABLES = _usual_tables()
