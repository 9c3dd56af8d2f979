"""Follow the Huffman codes of a JPEG scan without computing its pixels (ITU T.81, F.2.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

_Function = TypeVar("_Function", bound=Callable[..., object])

if TYPE_CHECKING:

    def njit(*, cache: bool, nogil: bool) -> Callable[[_Function], _Function]:
        """Stand for numba's decorator, which hides the types of what it compiles."""
else:
    from numba import njit

# Bytes between the last block and the next marker that are no sign of damage: some cameras' chips
# flush their buffer by whole words.
SPARE_BYTES = 3
_BUFFER_MASK = (1 << 56) - 1
# Places in the reader's state.
_AT, _BUFFER, _BITS, _PADDED = 0, 1, 2, 3


@njit(cache=True, nogil=True)
def follow_codes(
    data: npt.NDArray[np.uint8],
    start: int,
    tables: npt.NDArray[np.uint16],
    blocks: npt.NDArray[np.int64],
    limits: npt.NDArray[np.int64],
    units: int,
    restart: int,
) -> bool:
    """Return whether a scan holds just the blocks that it must hold.

    Args:
        data: ``(n,)`` the file.
        start: of the scan's coded bytes.
        tables: ``(t, 65536)`` lookups of codes.
        blocks: ``(b, 3)`` of each block of a unit: its component, below 4, and the rows of its DC
            and its AC codes in ``tables``; -1 instead of the latter: the scan has DC values only.
        limits: ``(4,)`` greatest DC value of each component, in units of its quantisation.
        units: of blocks in the scan.
        restart: units between two restart markers; 0: there are none.
    """
    reader = np.array([start, 0, 0, 0])
    levels = np.zeros(4, np.int64)
    for unit in range(units):
        if restart > 0 and unit > 0 and unit % restart == 0:
            if not begin_interval(data, reader, (unit // restart - 1) % 8):
                return False
            levels[:] = 0
        for block in range(blocks.shape[0]):
            component = blocks[block, 0]
            levels[component] += dc_step(data, reader, tables[blocks[block, 1]])
            # Codes that are read out of step soon lead to levels that no pixels have.
            if abs(levels[component]) > limits[component]:
                return False
            row = blocks[block, 2]
            if row >= 0 and not _pass_block(data, reader, tables[row]):
                return False
    return is_at_end(data, reader)


@njit(cache=True, nogil=True)
def fill(data: npt.NDArray[np.uint8], reader: npt.NDArray[np.int64]) -> None:
    """Have 41 bits or more in the buffer; zeros from the next marker on, as libjpeg does."""
    while reader[_BITS] <= 40:
        at, value = reader[_AT], 0
        if reader[_PADDED] == 0 and at < data.size:
            value = data[at]
            is_marker = value == 0xFF and (at + 1 >= data.size or data[at + 1] != 0)
            if is_marker:
                value = 0
                reader[_PADDED] = 8
            else:
                reader[_AT] += 2 if value == 0xFF else 1
        else:
            reader[_PADDED] += 8
        reader[_BUFFER] = ((reader[_BUFFER] << 8) | value) & _BUFFER_MASK
        reader[_BITS] += 8


@njit(cache=True, nogil=True)
def take(reader: npt.NDArray[np.int64], count: int) -> int:
    """Return the next bits as a number; -1 where the file has no more."""
    reader[_BITS] -= count
    if reader[_BITS] < reader[_PADDED]:
        return -1
    return int((reader[_BUFFER] >> reader[_BITS]) & ((1 << count) - 1))


@njit(cache=True, nogil=True)
def code(
    data: npt.NDArray[np.uint8], reader: npt.NDArray[np.int64], table: npt.NDArray[np.uint16]
) -> int:
    """Return the symbol of the next code; -1 where there is none."""
    fill(data, reader)
    entry = table[(reader[_BUFFER] >> (reader[_BITS] - 16)) & 0xFFFF]
    if entry == 0 or take(reader, entry >> 8) < 0:
        return -1
    return int(entry & 0xFF)


@njit(cache=True, nogil=True)
def dc_step(
    data: npt.NDArray[np.uint8], reader: npt.NDArray[np.int64], table: npt.NDArray[np.uint16]
) -> int:
    """Return how far a block's DC value is from the last one's; beyond all limits if damaged."""
    size = code(data, reader, table)
    if size == 0:
        return 0
    value = take(reader, size) if 0 < size <= 15 else -1
    if value < 0:
        return 1 << 30
    # F.2.2.1: the lower half of the numbers of this size are the negative ones.
    return value if value >> (size - 1) else value - (1 << size) + 1


@njit(cache=True, nogil=True)
def _pass_block(
    data: npt.NDArray[np.uint8], reader: npt.NDArray[np.int64], table: npt.NDArray[np.uint16]
) -> bool:
    """Return whether the 63 AC values of a block are sound, and pass them."""
    place = 1
    while place < 64:
        symbol = code(data, reader, table)
        if symbol < 0:
            return False
        run, size = symbol >> 4, symbol & 15
        if size == 0:
            if run != 15:
                return True  # the rest of the block is zero
            place += 16
            continue
        place += run + 1
        if place > 64 or take(reader, size) < 0:
            return False
    return True


@njit(cache=True, nogil=True)
def begin_interval(data: npt.NDArray[np.uint8], reader: npt.NDArray[np.int64], number: int) -> bool:
    """Return whether a restart marker follows, and pass it: the codes begin anew behind it."""
    if not is_at_end(data, reader):
        return False
    at = reader[_AT]
    while at + 1 < data.size and data[at + 1] == 0xFF:
        at += 1
    if at + 1 >= data.size or data[at + 1] != 0xD0 + number:
        return False
    reader[_AT], reader[_BUFFER], reader[_BITS], reader[_PADDED] = at + 2, 0, 0, 0
    return True


@njit(cache=True, nogil=True)
def is_at_end(data: npt.NDArray[np.uint8], reader: npt.NDArray[np.int64]) -> bool:
    """Return whether a marker follows, but for spare bytes; moves on to it."""
    left, at = (reader[_BITS] - reader[_PADDED]) // 8, reader[_AT]
    while at < data.size and left <= SPARE_BYTES:
        if data[at] == 0xFF:
            if at + 1 >= data.size or data[at + 1] != 0:
                break
            at += 1
        at, left = at + 1, left + 1
    reader[_AT] = at
    return bool(left <= SPARE_BYTES)
