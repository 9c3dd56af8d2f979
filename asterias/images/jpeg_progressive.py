"""Follow the codes of the scans of a progressive JPEG file without its pixels (ITU T.81, G.2)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from asterias.images.jpeg_scan import begin_interval, code, fill, is_at_end, njit, take


@njit(cache=True, nogil=True)
def follow_dc_bits(
    data: npt.NDArray[np.uint8], start: int, count: int, units: int, restart: int
) -> bool:
    """Return whether a scan holds one more bit of the DC values of ``count`` blocks per unit."""
    reader = np.array([start, 0, 0, 0])
    for unit in range(units):
        is_new = restart > 0 and unit > 0 and unit % restart == 0
        if is_new and not begin_interval(data, reader, (unit // restart - 1) % 8):
            return False
        for _ in range(count):
            fill(data, reader)
            if take(reader, 1) < 0:
                return False
    return is_at_end(data, reader)


@njit(cache=True, nogil=True)
def follow_ac(
    data: npt.NDArray[np.uint8],
    start: int,
    table: npt.NDArray[np.uint16],
    band: npt.NDArray[np.int64],
    nonzero: npt.NDArray[np.int64],
    restart: int,
) -> bool:
    """Return whether a scan holds just its band of the AC values of all blocks.

    Args:
        data: ``(n,)`` the file.
        start: of the scan's coded bytes.
        table: ``(65536,)`` lookup of codes.
        band: ``(3,)`` first and last value, and 1 where the scan refines values.
        nonzero: ``(b,)`` bits of the values that are not zero; new ones are added.
        restart: blocks between two restart markers; 0: there are none.
    """
    reader = np.array([start, 0, 0, 0])
    run = 0  # of blocks whose band has ended
    for block in range(nonzero.size):
        is_new = restart > 0 and block > 0 and block % restart == 0
        if is_new and (run > 0 or not begin_interval(data, reader, (block // restart - 1) % 8)):
            return False
        if band[2] > 0:
            run = _refine(data, reader, table, band, nonzero, block, run)
        else:
            run = _first(data, reader, table, band, nonzero, block, run)
        if run < 0:
            return False
    return run == 0 and is_at_end(data, reader)


@njit(cache=True, nogil=True)
def _run_of_blocks(reader: npt.NDArray[np.int64], size: int) -> int:
    """Return for how many blocks, this one too, the band ends here; -1 if damaged (G.1.2.2)."""
    if size == 0:
        return 1
    more = take(reader, size)
    return (1 << size) + more if more >= 0 else -1


@njit(cache=True, nogil=True)
def _first(
    data: npt.NDArray[np.uint8],
    reader: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint16],
    band: npt.NDArray[np.int64],
    nonzero: npt.NDArray[np.int64],
    block: int,
    run: int,
) -> int:
    """Pass a block of a band's first scan.

    Returns:
        For how many blocks from the next on the band has ended; -1 where it is damaged.
    """
    if run > 0:
        return run - 1
    place = band[0]
    while place <= band[1]:
        symbol = code(data, reader, table)
        if symbol < 0:
            return -1
        zeros, size = symbol >> 4, symbol & 15
        if size == 0 and zeros < 15:
            run = _run_of_blocks(reader, zeros)
            return run - 1 if run > 0 else -1
        place += zeros
        if size > 0:
            if place > band[1] or take(reader, size) < 0:
                return -1
            nonzero[block] |= np.int64(1) << place
        place += 1
    return 0


@njit(cache=True, nogil=True)
def _refine(
    data: npt.NDArray[np.uint8],
    reader: npt.NDArray[np.int64],
    table: npt.NDArray[np.uint16],
    band: npt.NDArray[np.int64],
    nonzero: npt.NDArray[np.int64],
    block: int,
    run: int,
) -> int:
    """Pass a block of a later scan of a band (G.1.2.3).

    Returns:
        For how many blocks from the next on the band has ended; -1 where it is damaged.
    """
    place = band[0]
    while run == 0 and place <= band[1]:
        symbol = code(data, reader, table)
        zeros, size = symbol >> 4, symbol & 15
        if symbol < 0 or size > 1 or (size == 1 and take(reader, 1) < 0):
            return -1
        if size == 0 and zeros < 15:
            run = _run_of_blocks(reader, zeros)
            break
        place = _correct(data, reader, band[1], nonzero[block], place, zeros)
        if place < 0 or place > band[1] - size + 1:
            return -1
        nonzero[block] |= np.int64(size) << place
        place += 1
    if run <= 0:
        return run
    # The band ends here, but for one more bit of each value that is not zero.
    if _correct(data, reader, band[1], nonzero[block], place, 64) < 0:
        return -1
    return run - 1


@njit(cache=True, nogil=True)
def _correct(
    data: npt.NDArray[np.uint8],
    reader: npt.NDArray[np.int64],
    last: int,
    nonzero: int,
    place: int,
    zeros: int,
) -> int:
    """Pass values up to the zero after ``zeros`` zeros, a bit for each other; -1: damaged.

    Returns:
        The place of that zero, or ``last + 1``.
    """
    while place <= last:
        if (nonzero >> place) & 1:
            fill(data, reader)
            if take(reader, 1) < 0:
                return -1
        elif zeros == 0:
            return place
        else:
            zeros -= 1
        place += 1
    return place
