"""How the CPU backend lays out one maze: a line of cells in blocks of sixteen, and a wavefront.

A map of H x W cells is one line of cells, row after row, each row followed by ``r = F // 2`` border
cells that serve as the right border of one row and the left border of the next. The line is cut
into blocks of 16 cells, filled up at the end. Arrays are one-dimensional; the classes below say
what is in them. ``docs/explanation/value_iteration_kernels.md`` draws the layout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from planners.operator.arguments import Sizes
from planners.operator.numba_options import compiled, inlined
from planners.operator.simd import LANES, FloatLine, LaneSet, load, select, store, zeros

LaneSets = NDArray[LaneSet]
"""Sets of lanes, one after the other."""
ForcedActions = NDArray[np.int8]
"""Imposed actions, or -1."""

LINE_WORDS = 32
"""Numbers of 16 bits in a cache line."""

# Bytes of a first-level data cache that a wavefront may fill with kernels. Processors of today have
# 32 to 48 KiB of it.
_FIRST_CACHE = 32 * 1024
# Bytes of kernels up to which layers need no chunks: a fraction of a second-level cache (1 to 2 MiB
# a core), since R + V of a few dozen layers shares it.
_SECOND_CACHE = 512 * 1024
# Blocks of a layer that are computed in a row: enough to pay for the loop around them, and few
# enough for kernel blocks of as many layers to stay in the first-level cache.
_STRIP = 4
# Blocks that a group of layers takes before the next group does: 64 blocks of four 3x3 kernels are
# 147 kB, which stay in the second-level cache until the last group has used them.
_CHUNK = 64

VisitState = TypeVar("VisitState")


class Layout(NamedTuple):
    """Sizes of one maze's arrays."""

    actions: int
    field: int
    """Rows and columns F of a kernel."""
    row: int
    """Cells from one row of the map to the next: W + F // 2."""
    blocks: int
    """Blocks of 16 cells."""
    margin: int
    """Cells of zeros on both sides of a plane, whole blocks."""
    plane: int
    """Cells of the line with its margins."""
    bits: int
    """Bits of an action's number."""
    words: int
    """Numbers of 16 bits from the choices of one layer to those of the next: whole cache lines."""
    shared: bool
    """One kernel for all cells."""


class MazeArrays(NamedTuple):
    """One maze."""

    kernel: FloatLine
    """Block by block, then action by action, tap by tap, then 16 cells; one block if shared by all;
    zero at border cells if not."""
    reward: FloatLine
    """A number per cell."""
    inside: LaneSets
    """For each block the cells that are no border."""


class LayerArrays(NamedTuple):
    """L + 1 layers of value iteration."""

    summed: FloatLine
    """R + V, a plane per layer."""
    values: FloatLine
    """V, a line without margins per layer."""


class WinnerKernels(NamedTuple):
    """The kernel of each cell's winning action, as the backward pass needs it."""

    kernels: FloatLine
    """Tap by tap, each a plane."""
    choice: LaneSets
    """The winners that they belong to, coded as in ``BatchArrays``' choices: for each block the
    cells whose winner has bit 0, those whose winner has bit 1, and so on."""


class BatchArrays(NamedTuple):
    """Inputs of a batch of B mazes."""

    transition: NDArray[np.float32]
    """``(B or 1, A * F*F * H * W)``, or ``(B or 1, A * F*F)`` for one kernel for all cells."""
    reward: NDArray[np.float32]
    """``(B, H, W)``."""
    forced: NDArray[np.int8]
    """``(layers, B, H, W)``, or no layers where nothing is imposed."""
    layout: Layout


class BatchGradients(NamedTuple):
    """Gradients of a batch's inputs, in their shapes, that of the transition for each maze."""

    transition: NDArray[np.float32]
    reward: NDArray[np.float32]
    value: NDArray[np.float32]


def layout_of(sizes: Sizes) -> Layout:
    """Return the layout of mazes of these sizes."""
    radius = sizes.field // 2
    row = sizes.width + radius
    blocks = -(-sizes.height * row // LANES)
    # The farthest neighbour is radius rows and radius cells away.
    margin = -(-radius * (row + 1) // LANES) * LANES
    plane = blocks * LANES + 2 * margin
    plane += LANES * (plane // LANES % 2 == 0)  # equal places of layers share no cache set
    bits = max(1, (sizes.actions - 1).bit_length())
    words = -(-blocks * bits // LINE_WORDS) * LINE_WORDS
    return Layout(sizes.actions, sizes.field, row, blocks, margin, plane, bits, words, sizes.shared)


def middle_of(layout: Layout) -> int:
    """Return the first block of the second of two halves."""
    return layout.blocks // 2


@inlined
def kernel_at(layout: Layout, block: int) -> int:
    """Return where a block's kernel begins."""
    return 0 if layout.shared else block * layout.actions * layout.field**2 * LANES


@inlined
def offset_of(tap: int, field: int, row: int) -> int:
    """Return how many cells from a cell its neighbour at a tap is."""
    return (tap // field - field // 2) * row + tap % field - field // 2


@compiled
def lag_of(layout: Layout) -> int:
    """Return how many blocks a layer must stay behind the one before it.

    Those that its farthest neighbours reach into.
    """
    return (layout.field // 2 * (layout.row + 1) + LANES - 1) // LANES


@compiled
def wavefront_of(layout: Layout, count: int, size: int) -> tuple[int, int, int, int]:
    """Return the course of a wavefront over layers that use ``size`` bytes in each block.

    The lag between two layers, the layers in a group, and the blocks that a layer and a group take
    at a time.
    """
    lag = max(1, lag_of(layout))
    room = _FIRST_CACHE // max(1, size)
    # A quarter more than the cache holds is still faster without a wavefront (measured).
    if layout.shared or layout.blocks <= room + room // 4:
        return lag, 1, layout.blocks, layout.blocks
    group = min(count, max(2, (room - _STRIP) // lag + 1))
    chunked = layout.blocks * size > _SECOND_CACHE
    return lag, group, _STRIP, _CHUNK if chunked else layout.blocks + lag * count


@inlined
def sweep(
    visit: Callable[[VisitState, int, int], None],
    state: VisitState,
    layout: Layout,
    count: int,
    size: int,
) -> None:
    """Call ``visit(state, layer, block)`` for ``count`` layers of all blocks, in a wavefront.

    A block of a layer comes after the blocks of the layer before that it reads. ``visit`` must be
    inlined, so that constants in it unroll its loops.

    Args:
        visit: computes one block of one layer.
        state: handed to it.
        layout: of the maze.
        count: layers.
        size: bytes that a layer uses in each block, which ought to stay in a cache.
    """
    lag, group, strip, chunk = wavefront_of(layout, count, size)
    skew = lag if group > 1 else 0
    fronts = layout.blocks + skew * (count - 1)
    for start in range(0, fronts, chunk):
        for first in range(0, count, group):
            for front in range(start, min(start + chunk, fronts), strip):
                for layer in range(first, min(first + group, count)):
                    left = front - skew * layer
                    for block in range(max(left, 0), min(left + strip, layout.blocks)):
                        visit(state, layer, block)


@inlined
def _lanes_of_row(inside: LaneSet, first: int, row: int) -> LaneSet:
    """Return those of a block's lanes that lie in the row that begins at lane ``first``."""
    below = (1 << max(0, first)) - 1
    above = (1 << min(LANES, first + row)) - 1
    lanes: LaneSet = np.uint16(inside & (above & ~below))
    return lanes


@inlined
def _rows_of_block(block: int, layout: Layout, width: int, area: int) -> tuple[int, int, bool]:
    """Return a block's first and last row, and whether vectors of the dense map stay within it."""
    x, border = block * LANES, layout.row - width
    first = x // layout.row
    last = min((x + LANES - 1) // layout.row, area // width - 1)
    return first, last, x - last * border >= 0 and x - first * border + LANES <= area


@compiled
def load_kernel(
    source: FloatLine, kernel: FloatLine, inside: LaneSets, layout: Layout, width: int
) -> None:
    """Copy a kernel, flat in the order ``(A, F*F, H or 1, W or 1)``, into blocks."""
    filters = layout.actions * layout.field**2
    if layout.shared:  # one kernel for all cells fills one block
        for c in range(filters):
            for x in range(LANES):
                kernel[c * LANES + x] = source[c]
        return
    area, row, border = source.size // filters, layout.row, layout.row - width
    for block in range(layout.blocks):
        x, target = block * LANES, block * filters * LANES
        first, last, whole = _rows_of_block(block, layout, width, area)
        for c in range(filters):
            if whole:
                weights = zeros()
                for i in range(first, last + 1):
                    lanes = _lanes_of_row(inside[block], i * row - x, row)
                    weights = select(lanes, load(source, c * area + x - i * border), weights)
                store(kernel, target + c * LANES, weights)
                continue
            for lane in range(LANES):
                if inside[block] >> lane & 1:
                    place = c * area + x + lane - (x + lane) // row * border
                    kernel[target + c * LANES + lane] = source[place]


@compiled
def unload_kernel_grad(
    grad: FloatLine, target: FloatLine, inside: LaneSets, layout: Layout, width: int
) -> None:
    """Copy a kernel's gradient, in blocks, to a flat array in the order ``(A, F*F, H, W)``."""
    filters = layout.actions * layout.field**2
    if layout.shared:
        return
    area, row, border = target.size // filters, layout.row, layout.row - width
    for block in range(layout.blocks):
        x, source = block * LANES, block * filters * LANES
        first, last, whole = _rows_of_block(block, layout, width, area)
        for c in range(filters):
            if whole:
                for i in range(first, last + 1):
                    lanes = _lanes_of_row(inside[block], i * row - x, row)
                    place = c * area + x - i * border
                    mixed = select(lanes, load(grad, source + c * LANES), load(target, place))
                    store(target, place, mixed)
                continue
            for lane in range(LANES):
                if inside[block] >> lane & 1:
                    place = c * area + x + lane - (x + lane) // row * border
                    target[place] = grad[source + c * LANES + lane]


@compiled
def reduce_shared_grad(grad: FloatLine, target: FloatLine, layout: Layout) -> None:
    """Move the gradient of a kernel shared by all cells into ``target``, of any other nothing.

    Called now and then: millions of small terms in one sum would lose digits.
    """
    if layout.shared:
        for c in range(target.size):
            for x in range(LANES):
                target[c] += grad[c * LANES + x]
                grad[c * LANES + x] = 0


@compiled
def map_to_line(source: NDArray[np.float32], target: FloatLine, start: int, row: int) -> None:
    """Copy a map ``(H, W)`` to a line of cells that begins at ``start``."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[np.uint64(start + i * row + j)] = source[i, j]


@compiled
def line_to_map(source: FloatLine, start: int, target: NDArray[np.float32], row: int) -> None:
    """Copy a line of cells that begins at ``start`` to a map ``(H, W)``."""
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            target[i, j] = source[np.uint64(start + i * row + j)]


@compiled
def add_map_to_line(source: NDArray[np.float32], target: FloatLine, start: int, row: int) -> None:
    """Add a map ``(H, W)`` to a line of cells that begins at ``start``."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[np.uint64(start + i * row + j)] += source[i, j]


@compiled
def move_plane(line: FloatLine, source: int, target: int, count: int) -> None:
    """Copy whole vectors within an array."""
    for x in range(0, count, LANES):
        store(line, target + x, load(line, source + x))


@compiled
def fill_zeros(line: NDArray[np.generic]) -> None:
    """Write zeros all over an array."""
    for x in range(line.size):
        line[x] = 0


@compiled
def start_layers(
    value: NDArray[np.float32], reward: FloatLine, summed: FloatLine, start: int, row: int
) -> None:
    """Write R + V of layer 0; ``value (H, W)`` is V."""
    for i in range(value.shape[0]):
        for j in range(value.shape[1]):
            x = np.uint64(i * row + j)
            summed[np.uint64(start) + x] = value[i, j] + reward[x]


@compiled
def load_forced(
    source: NDArray[np.int8],
    forced: ForcedActions,
    maze: int,
    first: int,
    count: int,
    layout: Layout,
) -> None:
    """Copy the imposed actions of ``count`` layers of a maze, if there are any."""
    cells, row = layout.blocks * LANES, layout.row
    for d in range(min(count, len(source))):
        for i in range(source.shape[2]):
            for j in range(source.shape[3]):
                forced[d * cells + i * row + j] = source[first + d, maze, i, j]
