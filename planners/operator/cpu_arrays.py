"""The arguments of one call as arrays, and the work arrays that it needs, for the CPU backend."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from planners.operator.arguments import sizes_of
from planners.operator.cpu_backward import GradArrays
from planners.operator.cpu_batches import ActionBuffers, BackwardBuffers, ForwardBuffers
from planners.operator.cpu_layout import (
    LINE_WORDS,
    BatchArrays,
    BatchGradients,
    LaneSets,
    LayerArrays,
    MazeArrays,
    WinnerKernels,
    layout_of,
    middle_of,
)
from planners.operator.cpu_threads import line, line_of
from planners.operator.simd import LANES


class OperatorCall:
    """The inputs of one call as arrays, and makers of buffers for one maze.

    Attributes:
        sizes: of the batch.
        layout: of one maze.
        cells: of a line, borders and filling included.
        inputs: the batch.
        value: V before the first layer, ``(..., B, H, W)``.
        key: names calls that can use the same buffers.
    """

    def __init__(
        self, transition: Tensor, reward: Tensor, forced: Tensor | None, value: Tensor
    ) -> None:
        sizes = sizes_of("cpu", transition, reward, value)
        self.sizes, self.layout = sizes, layout_of(sizes)
        self.cells = self.layout.blocks * LANES
        forced = torch.empty((0, *reward.shape)) if forced is None else forced
        self.is_forced = len(forced) > 0
        kernels: NDArray[np.float32] = transition.detach().contiguous().numpy()
        self.inputs = BatchArrays(
            kernels.reshape(len(kernels), math.prod(kernels.shape[1:])),
            reward.detach().contiguous().numpy(),
            forced.to(torch.int8).contiguous().numpy(),
            self.layout,
        )
        self.value: NDArray[np.float32] = value.detach().contiguous().numpy()
        blocks = 1 if sizes.shared else self.layout.blocks
        self.kernel_size = blocks * sizes.actions * sizes.field**2 * LANES
        self.key = (sizes.height, sizes.width, self.layout, self.is_forced)

    def maze(self) -> MazeArrays:
        """Return room for the kernel and the reward of a maze.

        And which of its cells are no border.
        """
        cells = np.zeros(self.cells, bool)
        rows = cells[: self.sizes.height * self.layout.row].reshape(self.sizes.height, -1)
        rows[:, : self.sizes.width] = True
        inside = np.packbits(cells, bitorder="little").view("<u2").astype(np.uint16)
        return MazeArrays(line(self.kernel_size), line(self.cells), inside)

    def choices(self, depth: int) -> LaneSets:
        """Return room for the choices of all layers, ``(B, depth * words)``.

        Where two threads meet, at the middle block, a cache line begins in each layer: else both
        write to that line at the same time, layer by layer, and wait for each other.
        """
        count = self.sizes.batch * depth * self.layout.words
        middle = middle_of(self.layout) * self.layout.bits
        raw = np.empty(count + 2 * LINE_WORDS, np.uint16)
        start = (-raw.ctypes.data // raw.itemsize - middle) % LINE_WORDS
        return raw[start : start + count].reshape(self.sizes.batch, depth * self.layout.words)

    def forward_buffers(self, count: int) -> ForwardBuffers:
        """Return room for ``count`` layers and the one before."""
        layers = LayerArrays(line((count + 1) * self.layout.plane), line((count + 1) * self.cells))
        forced = line_of(count * self.cells * self.is_forced, np.int8).view(np.int8)
        return ForwardBuffers(self.maze(), layers, forced)

    def backward_buffers(self, count: int, again: bool) -> BackwardBuffers:
        """Return room to compute ``count`` layers again, their choices included if ``again``.

        And to go back through them.
        """
        plane, bits = self.layout.plane, self.layout.blocks * self.layout.bits
        layers = LayerArrays(line((count + 1) * plane), line((count + 1) * self.cells * again))
        forced = line_of(count * self.cells * self.is_forced * again, np.int8).view(np.int8)
        choices = line_of(count * self.layout.words * again, np.uint16).view(np.uint16)
        winners = WinnerKernels(
            line(self.layout.field**2 * plane), line_of(bits, np.uint16).view(np.uint16)
        )
        grads = GradArrays(
            line((count + 1) * plane),
            line(self.kernel_size),
            line(self.cells),
            line(self.layout.field**2 * LANES),
            line_of(count + 1, np.uint8).view(np.uint8),
        )
        return BackwardBuffers(self.maze(), layers, forced, choices, winners, grads)

    def backward_halves(self, count: int) -> tuple[BackwardBuffers, BackwardBuffers]:
        """Return the same for two threads, that share all but the winners and what is small."""
        one, bits = self.backward_buffers(count, again=False), self.layout.blocks * self.layout.bits
        winners = WinnerKernels(
            line(self.layout.field**2 * self.layout.plane), line_of(bits, np.uint16).view(np.uint16)
        )
        outside = line_of(count + 1, np.uint8).view(np.uint8)
        taps = line(self.layout.field**2 * LANES)
        grads = one.grads._replace(taps=taps, outside=outside)
        return one, one._replace(winners=winners, grads=grads)

    def action_buffers(self, ring: int, backward: bool) -> ActionBuffers:
        """Return room for Q of ``ring`` layers, and to go back if ``backward``."""
        layout = self.layout
        return ActionBuffers(
            self.maze(),
            line(ring * layout.plane),
            line(ring * layout.actions * self.cells),
            line(layout.field**2 * layout.plane * backward),
            line(self.cells * backward),
            line(self.kernel_size * backward),
            line(self.cells * backward),
        )

    def gradients(self) -> BatchGradients:
        """Return room for the gradients of the transition of each maze.

        The reward and the value.
        """
        transition, reward = self.inputs.transition, self.inputs.reward
        whole = np.zeros((len(reward), transition.shape[1]), np.float32)
        return BatchGradients(whole, np.empty_like(reward), np.empty_like(self.value))

    def as_tensors(self, gradients: Sequence[NDArray[np.float32]]) -> list[Tensor]:
        """Return gradients as tensors, that of a transition of one maze summed over the batch."""
        transition, *others = (torch.from_numpy(gradient) for gradient in gradients)
        if self.sizes.kernels == 1 and self.sizes.batch != 1:
            transition = transition.sum(dim=0, keepdim=True)
        cells = (1, 1) if self.sizes.shared else (self.sizes.height, self.sizes.width)
        shape = (self.sizes.kernels, self.sizes.actions, self.sizes.field**2, *cells)
        return [transition.view(shape), *others]
