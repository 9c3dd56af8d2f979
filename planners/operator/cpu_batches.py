"""Compiled loops of the CPU backend over the mazes of a batch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from planners.operator.cpu_backward import (
    GradArrays,
    accumulate_action_kernel_grad,
    accumulate_kernel_grad,
    adjoint_of_action_values,
    backward,
)
from planners.operator.cpu_forward import action_values, forward, gather_policy_kernels, recompute
from planners.operator.cpu_layout import (
    BatchArrays,
    BatchGradients,
    ForcedActions,
    LaneSets,
    LayerArrays,
    MazeArrays,
    WinnerKernels,
    add_map_to_line,
    fill_zeros,
    line_to_map,
    load_forced,
    load_kernel,
    map_to_line,
    move_plane,
    reduce_shared_grad,
    start_layers,
    unload_kernel_grad,
)
from planners.operator.numba_options import compiled
from planners.operator.simd import LANES, FloatLine


class Tape(NamedTuple):
    """What the forward pass saves, and what the backward pass reads."""

    saved: NDArray[np.float32]
    """V of the layers that were asked for, or its gradient: ``(N, B, H, W)``."""
    stored: NDArray[np.float32]
    """V at every stride-th layer from layer 0 on: ``(S, B, H, W)``."""
    stride: int
    """Layers between two stored ones."""
    choices: NDArray[np.uint16]
    """Choices of all layers ``(B, depth * words)``, or ``(B, 0)``."""


class ForwardBuffers(NamedTuple):
    """Work arrays of the forward pass."""

    maze: MazeArrays
    layers: LayerArrays
    forced: ForcedActions


class BackwardBuffers(NamedTuple):
    """Work arrays of the backward pass."""

    maze: MazeArrays
    layers: LayerArrays
    forced: ForcedActions
    choices: LaneSets
    """Of one segment, where the tape has none."""
    winners: WinnerKernels
    grads: GradArrays


class ActionBuffers(NamedTuple):
    """Work arrays for Q and its gradient; the last four are needed for the gradient alone."""

    maze: MazeArrays
    summed: FloatLine
    lines: FloatLine
    """Q, or its gradient, a line per action."""
    products: FloatLine
    """Adjoints of the products kernel times R + V, a plane per tap."""
    target: FloatLine
    """Gradient of R + V, a line."""
    grad_kernel: FloatLine
    grad_reward: FloatLine


@compiled
def forward_batch(
    inputs: BatchArrays,
    saved_layers: NDArray[np.int64],
    depth: int,
    ring: int,
    tape: Tape,
    buffers: ForwardBuffers,
    first: int,
    last: int,
) -> None:
    """Run mazes ``first`` to ``last - 1``, ``ring`` layers at a time, and fill the tape."""
    layout, layers = inputs.layout, buffers.layers
    maze = buffers.maze
    cells, step = layout.blocks * LANES, layout.words
    for b in range(first, last):
        source = inputs.transition[min(b, len(inputs.transition) - 1)]
        load_kernel(source, maze.kernel, maze.inside, layout, inputs.reward.shape[2])
        map_to_line(inputs.reward[b], maze.reward, 0, layout.row)
        start_layers(tape.stored[0, b], maze.reward, layers.summed, layout.margin, layout.row)
        place = 0
        for layer in range(0, depth, ring):
            count = min(ring, depth - layer)
            load_forced(inputs.forced, buffers.forced, b, layer, count, layout)
            choice = tape.choices[b, layer * step : (layer + count) * step]
            forward(maze, layers, choice, buffers.forced, layout, count)
            while place < len(saved_layers) and saved_layers[place] <= layer + count:
                start = (saved_layers[place] - layer) * cells
                line_to_map(layers.values, start, tape.saved[place, b], layout.row)
                place += 1
            segment = (layer + count) // tape.stride
            if (layer + count) % tape.stride == 0 and segment < len(tape.stored):
                line_to_map(layers.values, count * cells, tape.stored[segment, b], layout.row)
            move_plane(layers.summed, count * layout.plane, 0, layout.plane)


@compiled
def _add_outside_gradients(
    grad_saved: NDArray[np.float32],
    saved_layers: NDArray[np.int64],
    place: int,
    maze: int,
    layer: int,
    count: int,
    grads: GradArrays,
    inputs: BatchArrays,
) -> int:
    """Write the gradients of the saved layers of a segment, ``layer + 1`` to ``layer + count``.

    Return the place of the saved layer before them.

    Returns:
        The place of the saved layer before them.
    """
    layout = inputs.layout
    fill_zeros(grads.outside)
    while place >= 0 and saved_layers[place] > layer:
        d = saved_layers[place] - layer
        start = d * layout.plane + layout.margin
        if d == count:
            add_map_to_line(grad_saved[place, maze], grads.values, start, layout.row)
        else:
            map_to_line(grad_saved[place, maze], grads.values, start, layout.row)
            grads.outside[d] = 1
        place -= 1
    return place


@compiled
def backward_batch(
    inputs: BatchArrays,
    saved_layers: NDArray[np.int64],
    depth: int,
    tape: Tape,
    buffers: BackwardBuffers,
    gradients: BatchGradients,
    first: int,
    last: int,
) -> None:
    """Fill in the gradients of mazes ``first`` to ``last - 1``.

    From the last stored layers to the first; ``tape.saved`` holds the gradient of the saved layers.
    """
    layout, maze, layers = inputs.layout, buffers.maze, buffers.layers
    winners, grads, summed = buffers.winners, buffers.grads, buffers.layers.summed
    row, plane, margin = layout.row, layout.plane, layout.margin
    step, known = layout.words, tape.choices.shape[1] > 0
    for b in range(first, last):
        source = inputs.transition[min(b, len(inputs.transition) - 1)]
        load_kernel(source, maze.kernel, maze.inside, layout, inputs.reward.shape[2])
        map_to_line(inputs.reward[b], maze.reward, 0, row)
        fill_zeros(winners.choice)
        gather_policy_kernels(maze.kernel, winners, winners.choice, layout)
        fill_zeros(grads.kernel)
        fill_zeros(grads.reward)
        fill_zeros(grads.values[:plane])
        place = len(saved_layers) - 1
        for segment in range(len(tape.stored) - 1, -1, -1):
            layer = segment * tape.stride
            count = min(tape.stride, depth - layer)
            start_layers(tape.stored[segment, b], maze.reward, summed, margin, row)
            if known:
                choice = tape.choices[b, layer * step : (layer + count) * step]
                recompute(maze, summed, choice, winners, layout, count)
            else:
                choice = buffers.choices[: count * step]
                load_forced(inputs.forced, buffers.forced, b, layer, count, layout)
                forward(maze, layers, choice, buffers.forced, layout, count)
            move_plane(grads.values, 0, count * plane, plane)
            place = _add_outside_gradients(
                tape.saved, saved_layers, place, b, layer, count, grads, inputs
            )
            backward(maze, choice, winners, grads, layout, count)
            accumulate_kernel_grad(grads, summed, choice, layout, count)
            reduce_shared_grad(grads.kernel, gradients.transition[b], layout)
        line_to_map(grads.values, margin, gradients.value[b], row)
        line_to_map(grads.reward, 0, gradients.reward[b], row)
        width = inputs.reward.shape[2]
        unload_kernel_grad(grads.kernel, gradients.transition[b], maze.inside, layout, width)


@compiled
def actions_batch(
    inputs: BatchArrays,
    value: NDArray[np.float32],
    result: NDArray[np.float32],
    buffers: ActionBuffers,
    first: int,
    last: int,
) -> None:
    """Fill ``result (N, B, A, H, W)`` with the Q of one layer on top of ``value (N, B, H, W)``."""
    layout, maze, lines = inputs.layout, buffers.maze, buffers.lines
    for b in range(first, last):
        source = inputs.transition[min(b, len(inputs.transition) - 1)]
        load_kernel(source, maze.kernel, maze.inside, layout, inputs.reward.shape[2])
        map_to_line(inputs.reward[b], maze.reward, 0, layout.row)
        for n in range(len(value)):
            start_layers(value[n, b], maze.reward, buffers.summed, layout.margin, layout.row)
            action_values(maze.kernel, buffers.summed, 0, lines, 0, layout)
            for a in range(layout.actions):
                line_to_map(lines, a * layout.blocks * LANES, result[n, b, a], layout.row)


@compiled
def actions_backward_batch(
    inputs: BatchArrays,
    value: NDArray[np.float32],
    grad: NDArray[np.float32],
    ring: int,
    buffers: ActionBuffers,
    gradients: BatchGradients,
    first: int,
    last: int,
) -> None:
    """Propagate ``grad (N, B, A, H, W)`` of Q back to the kernel, the reward and the values."""
    layout, maze = inputs.layout, buffers.maze
    row, actions, cells = layout.row, layout.actions, layout.blocks * LANES
    for b in range(first, last):
        source = inputs.transition[min(b, len(inputs.transition) - 1)]
        load_kernel(source, maze.kernel, maze.inside, layout, inputs.reward.shape[2])
        map_to_line(inputs.reward[b], maze.reward, 0, row)
        fill_zeros(buffers.grad_kernel)
        fill_zeros(buffers.grad_reward)
        for start in range(0, len(value), ring):
            count = min(ring, len(value) - start)
            for n in range(count):
                plane = n * layout.plane + layout.margin
                start_layers(value[start + n, b], maze.reward, buffers.summed, plane, row)
                for a in range(actions):
                    line = (n * actions + a) * cells
                    map_to_line(grad[start + n, b, a], buffers.lines, line, row)
                adjoint_of_action_values(
                    maze,
                    buffers.lines,
                    n * actions * cells,
                    buffers.products,
                    buffers.target,
                    buffers.grad_reward,
                    layout,
                )
                line_to_map(buffers.target, 0, gradients.value[start + n, b], row)
            accumulate_action_kernel_grad(
                buffers.grad_kernel, buffers.summed, buffers.lines, layout, count
            )
            reduce_shared_grad(buffers.grad_kernel, gradients.transition[b], layout)
        line_to_map(buffers.grad_reward, 0, gradients.reward[b], row)
        width = inputs.reward.shape[2]
        unload_kernel_grad(buffers.grad_kernel, gradients.transition[b], maze.inside, layout, width)
