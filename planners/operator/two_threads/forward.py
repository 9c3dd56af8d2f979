"""Forward pass of one maze by two threads: each takes half of the blocks, from the middle outwards.

A layer of one half needs of the other only the ``lag`` blocks next to the middle, one layer before.
Both compute those first, so that each has a whole layer's time to see what the other has done.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planners.operator.cpu_batches import ForwardBuffers, Tape
from planners.operator.cpu_forward import ForwardState, visit_four
from planners.operator.cpu_layout import (
    BatchArrays,
    Layout,
    lag_of,
    load_kernel,
    map_to_line,
    move_plane,
    start_layers,
)
from planners.operator.numba_options import compiled
from planners.operator.simd import LANES
from planners.operator.two_threads.halves import half_to_map, sweep_half
from planners.operator.two_threads.progress import Counters, Side, WaitClock, tell

_SIZE = 4 * 4 * 9 * LANES  # bytes of a block's kernels: four actions, nine taps


@compiled
def _sweep_half(
    state: ForwardState,
    layout: Layout,
    count: int,
    done: int,
    side: Side,
    counters: Counters,
    clock: WaitClock,
) -> bool:
    return sweep_half(visit_four, state, layout, count, done, _SIZE, side, counters, clock)


@compiled
def load_maze(inputs: BatchArrays, maze: int, tape: Tape, buffers: ForwardBuffers) -> None:
    """Bring a maze of a batch into the layout: its kernels, reward and first layer."""
    layout, arrays = inputs.layout, buffers.maze
    source = inputs.transition[min(maze, len(inputs.transition) - 1)]
    load_kernel(source, arrays.kernel, arrays.inside, layout, inputs.reward.shape[2])
    map_to_line(inputs.reward[maze], arrays.reward, 0, layout.row)
    first = buffers.layers.summed
    start_layers(tape.stored[0, maze], arrays.reward, first, layout.margin, layout.row)


@compiled
def forward_half(
    inputs: BatchArrays,
    saved_layers: NDArray[np.int64],
    depth: int,
    ring: int,
    tape: Tape,
    buffers: ForwardBuffers,
    maze: int,
    side: Side,
    counters: Counters,
    clock: WaitClock,
) -> bool:
    """Run one half of a maze that :func:`load_maze` has loaded, and fill that half of the tape.

    Args:
        inputs: the batch, of 3 x 3 kernels of four actions, nothing imposed.
        saved_layers: whose V is wanted, rising.
        depth: layers.
        ring: layers computed between two looks at what is to be kept, at least two.
        tape: filled for this half.
        buffers: of both threads.
        maze: its number in the batch.
        side: which half.
        counters: of both threads.
        clock: of this thread.

    Returns:
        False if the threads have given up; nothing that was written counts then.
    """
    layout, layers = inputs.layout, buffers.layers
    cells, words, place = layout.blocks * LANES, layout.words, 0
    own = layout.margin + (side.middle * LANES if side.number else 0)
    for layer in range(0, depth, ring):
        count = min(ring, depth - layer)
        choice = tape.choices[maze, layer * words : (layer + count) * words]
        state = (buffers.maze, layers, choice, buffers.forced, layout)
        if not _sweep_half(state, layout, count, layer, side, counters, clock):
            return False
        while place < len(saved_layers) and saved_layers[place] <= layer + count:
            start = (saved_layers[place] - layer) * cells
            half_to_map(layers.values, start, tape.saved[place, maze], layout.row, side)
            place += 1
        segment = (layer + count) // tape.stride
        if (layer + count) % tape.stride == 0 and segment < len(tape.stored):
            target = tape.stored[segment, maze]
            half_to_map(layers.values, count * cells, target, layout.row, side)
        # The other thread has left layer 1, and with it layer 0, long ago: else this one would not
        # have come to the end of layer 2.
        if layer + count < depth:
            move_plane(layers.summed, count * layout.plane + own, own, side.blocks * LANES)
        tell(counters, side, layer + count)
    return True


@compiled
def is_worth_two(layout: Layout, depth: int, least: int) -> bool:
    """Return whether a maze is large and deep enough for two threads.

    Args:
        layout: of the maze.
        depth: layers.
        least: blocks of all layers together from which on it is.

    Returns:
        Whether it is.
    """
    return (
        layout.field == 3
        and layout.actions == 4
        and not layout.shared
        and layout.blocks >= 4 * lag_of(layout)
        and depth * layout.blocks >= least
    )
