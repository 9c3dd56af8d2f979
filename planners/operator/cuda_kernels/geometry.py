"""How a map is spread over a GPU: cells a thread, threads a block, blocks a cluster."""

from __future__ import annotations

from typing import NamedTuple

from planners.operator.arguments import Sizes

_REGISTERS = 65_536  # of a multiprocessor, on all GPUs since 2012
_MOST_REGISTERS = 255  # of a thread
# Beside the kernels of its cells a thread holds addresses, the patch and a sum. ptxas 13 for sm_90:
# 96 registers for 2 cells of four 3 x 3 kernels (8 to 24 bytes of addresses spilled), 64 for one.
_SPARE_REGISTERS = 24
# Registers go to warps by fours, so that other numbers of threads than these waste some.
_THREADS = (1024, 896, 768, 640, 512, 384, 256, 128)
_MOST_CELLS = 6
_CLUSTERS = (1, 2, 4, 8)  # 16 blocks need a GPU that has them free beside each other


class GpuLimits(NamedTuple):
    """What a GPU has."""

    shared_bytes: int
    """Shared memory that a block may ask for."""
    clusters: bool
    """Whether blocks can write into each other's shared memory (from sm_90 on)."""


class LaunchGeometry(NamedTuple):
    """Constants of a program."""

    actions: int
    field: int
    cells: int
    """Of a thread."""
    threads: int
    """Of a block."""
    cluster: int
    """Blocks of a maze."""

    def constants(self, *, tape: bool) -> dict[str, int]:
        """Return what is defined for the compiler; with ``tape`` for a way back."""
        names = ("ACTIONS", "FIELD", "CELLS", "THREADS", "CLUSTER")
        return dict(zip(names, self, strict=True)) | {"TAPE": int(tape)}

    def shared_floats(self, sizes: Sizes, *, backward: bool) -> int:
        """Return the numbers of dynamic shared memory that a block needs."""
        per_block = -(-sizes.height * sizes.width // self.cluster)
        planes = 2 * self.field**2 if backward else 2
        return planes * (per_block + 2 * _halo(sizes))


def geometries(sizes: Sizes, limits: GpuLimits) -> list[LaunchGeometry]:
    """Return the geometries that hold a map, the one to take first; empty if none does.

    Fewest blocks first, since a barrier of a block takes less than one of a cluster; then most
    threads, which hide what a thread waits for.
    """
    if sizes.field not in (3, 5):
        return []
    found = []
    for cluster in _CLUSTERS if limits.clusters else (1,):
        per_block = -(-sizes.height * sizes.width // cluster)
        if cluster > 1 and per_block < _halo(sizes):
            continue
        for threads in _THREADS:
            cells = -(-per_block // threads)
            registers = cells * sizes.actions * sizes.field**2 + _SPARE_REGISTERS
            most = min(_MOST_REGISTERS, _REGISTERS // threads // 8 * 8)
            one = LaunchGeometry(sizes.actions, sizes.field, cells, threads, cluster)
            is_wasteful = cells == 1 and threads - 128 >= per_block
            fits = 4 * one.shared_floats(sizes, backward=True) <= limits.shared_bytes
            if fits and cells <= _MOST_CELLS and registers <= most and not is_wasteful:
                found.append(one)
    return found


def _halo(sizes: Sizes) -> int:
    """Return how many cells before and behind its own a block reads."""
    return sizes.field // 2 * (sizes.width + 1)
