"""Backward pass of one maze by two threads, each on half of the blocks.

As in the forward pass a thread computes the blocks next to the middle first, and tells the other.
Each keeps the winners' kernels for itself, those of the other half's nearest blocks included, since
the other may be a layer further. Segments end together: their planes are used again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from planners.operator.cpu_backward import (
    GradArrays,
    accumulate_block,
    adjoint_block,
    follow_choice,
)
from planners.operator.cpu_batches import BackwardBuffers, Tape
from planners.operator.cpu_forward import RecomputeState, gather_policy_kernels, recompute_four
from planners.operator.cpu_layout import (
    BatchArrays,
    BatchGradients,
    LaneSets,
    Layout,
    MazeArrays,
    WinnerKernels,
    fill_zeros,
    line_to_map,
    load_kernel,
    map_to_line,
    move_plane,
    unload_kernel_grad,
)
from planners.operator.numba_options import compiled
from planners.operator.simd import LANES
from planners.operator.two_threads.halves import (
    add_map_to_half,
    block_of,
    lag_blocks,
    map_to_half,
    start_half,
    sweep_half,
)
from planners.operator.two_threads.progress import Counters, Side, WaitClock, tell, wait

_SIZE = 4 * 9 * LANES  # bytes of a block's winning kernels


@compiled
def start_backward(inputs: BatchArrays, maze: int, buffers: BackwardBuffers) -> None:
    """Bring a maze of a batch into the layout, and its gradients to zero."""
    layout, arrays, grads = inputs.layout, buffers.maze, buffers.grads
    source = inputs.transition[min(maze, len(inputs.transition) - 1)]
    load_kernel(source, arrays.kernel, arrays.inside, layout, inputs.reward.shape[2])
    map_to_line(inputs.reward[maze], arrays.reward, 0, layout.row)
    fill_zeros(grads.kernel)
    fill_zeros(grads.reward)
    fill_zeros(grads.values[: layout.plane])


@compiled
def finish_backward(
    inputs: BatchArrays, maze: int, buffers: BackwardBuffers, gradients: BatchGradients
) -> None:
    """Write the gradients of a maze, whose halves are done, in their shapes."""
    layout, grads = inputs.layout, buffers.grads
    line_to_map(grads.values, layout.margin, gradients.value[maze], layout.row)
    line_to_map(grads.reward, 0, gradients.reward[maze], layout.row)
    inside, width = buffers.maze.inside, inputs.reward.shape[2]
    unload_kernel_grad(grads.kernel, gradients.transition[maze], inside, layout, width)


@compiled
def _recompute_half(
    state: RecomputeState,
    layout: Layout,
    count: int,
    done: int,
    side: Side,
    counters: Counters,
    clock: WaitClock,
) -> bool:
    return sweep_half(recompute_four, state, layout, count, done, _SIZE, side, counters, clock)


@compiled
def _outside_half(
    grad_saved: NDArray[np.float32],
    saved_layers: NDArray[np.int64],
    place: int,
    layer: int,
    count: int,
    grads: GradArrays,
    layout: Layout,
    side: Side,
) -> int:
    """Write one half of the gradients of the saved layers of a segment.

    Args:
        grad_saved: of one maze ``(N, H, W)``.
        saved_layers: their numbers.
        place: of the last one in this segment or before.
        layer: before the segment.
        count: layers of the segment.
        grads: written.
        layout: of the maze.
        side: which half.

    Returns:
        The place of the saved layer before them.
    """
    fill_zeros(grads.outside)
    while place >= 0 and saved_layers[place] > layer:
        d = saved_layers[place] - layer
        start = d * layout.plane + layout.margin
        if d == count:
            add_map_to_half(grad_saved[place], grads.values, start, layout.row, side)
        else:
            map_to_half(grad_saved[place], grads.values, start, layout.row, side)
            grads.outside[d] = 1
        place -= 1
    return place


@compiled
def _adjoint_half(
    maze: MazeArrays,
    choice: LaneSets,
    winners: WinnerKernels,
    grads: GradArrays,
    layout: Layout,
    count: int,
    done: int,
    side: Side,
    counters: Counters,
    clock: WaitClock,
) -> bool:
    """Propagate the adjoint of V of layer ``count`` back to layer 0, and to the reward.

    Returns:
        False if the threads have given up.
    """
    lag = lag_blocks(layout)
    for back in range(count):
        d = count - back
        for k in range(-lag, side.blocks):
            follow_choice(2, maze, choice, winners, layout, d, block_of(side, k))
        if not wait(counters, side, done + back, clock):
            return False
        for k in range(side.blocks):
            adjoint_block(3, maze, winners, grads, layout, d, block_of(side, k))
            if k == lag - 1:
                tell(counters, side, done + back + 1)
    return True


@compiled
def backward_half(
    inputs: BatchArrays,
    saved_layers: NDArray[np.int64],
    depth: int,
    tape: Tape,
    buffers: BackwardBuffers,
    maze: int,
    side: Side,
    counters: Counters,
    clock: WaitClock,
) -> bool:
    """Compute one half of a maze's gradients, from the last stored layers to the first.

    Args:
        inputs: the batch, of 3 x 3 kernels of four actions, nothing imposed.
        saved_layers: of which there are gradients, rising.
        depth: layers.
        tape: with the choices of all layers; ``saved`` holds the gradient of the saved layers.
        buffers: this thread's; maze, layers and gradients are those of the other thread too, what
            is small and the winners are its own.
        maze: its number in the batch; :func:`start_backward` has loaded it.
        side: which half.
        counters: of both threads.
        clock: of this thread.

    Returns:
        False if the threads have given up.
    """
    layout, winners, grads = inputs.layout, buffers.winners, buffers.grads
    arrays, summed, plane = buffers.maze, buffers.layers.summed, layout.plane
    words, done, place = layout.words, 0, len(saved_layers) - 1
    own = layout.margin + (side.middle * LANES if side.number else 0)
    fill_zeros(winners.choice)
    gather_policy_kernels(arrays.kernel, winners, winners.choice, layout)
    for segment in range(len(tape.stored) - 1, -1, -1):
        layer = segment * tape.stride
        count = min(tape.stride, depth - layer)
        if not wait(counters, side, done, clock):  # the other reads these planes no more
            return False
        value = tape.stored[segment, maze]
        start_half(value, arrays.reward, summed, layout.margin, layout.row, side)
        tell(counters, side, done + 1)
        choice = tape.choices[maze, layer * words : (layer + count) * words]
        state = (arrays, summed, choice, winners, layout)
        if not _recompute_half(state, layout, count, done + 1, side, counters, clock):
            return False
        move_plane(grads.values, own, count * plane + own, side.blocks * LANES)
        saved = tape.saved[:, maze]
        place = _outside_half(saved, saved_layers, place, layer, count, grads, layout, side)
        done += count + 1
        tell(counters, side, done)
        given = (arrays, choice, winners, grads, layout, count, done)
        if not _adjoint_half(*given, side, counters, clock):
            return False
        for k in range(side.blocks):
            accumulate_block(grads, summed, choice, layout, count, block_of(side, k))
        done += count + 1
        tell(counters, side, done)
    return True
