"""How two threads of compiled code tell each other how far they are, and wait, never for ever.

A thread that waits looks a few hundred times, then gives its core away between looks, so that two
threads on one core take turns; after ``PATIENCE_NS`` without news it gives up, and so does the
other. What they had begun is then done again by one thread.
"""

# mypy: disable-error-code="empty-body"
# The bodies of the operations are what their emitters generate.

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # numba stands on it
from numba import types
from numba.core.base import BaseContext
from numba.core.typing.templates import Signature
from numba.extending import intrinsic
from numpy.typing import NDArray

from planners.operator.cpu_layout import Layout, middle_of
from planners.operator.numba_options import compiled
from planners.operator.simd import Emitted

PATIENCE_NS = 5_000_000
"""Nanoseconds without news after which a waiting thread gives up: a turn or two of a busy core, and
hundreds of times what the other thread needs for a layer."""

# Looks before a core is given away: about a microsecond, a fifth of a layer of 100 x 100.
_LOOKS = 300
# Numbers of one cache line, so that a thread that looks does not slow down one that writes.
_LINE = 8
_GIVEN_UP = 2 * _LINE

Counters = NDArray[np.int64]
"""How far thread 0 and thread 1 are, and whether one has given up, a cache line each."""
WaitClock = NDArray[np.int64]
"""Seconds and nanoseconds, to read the time into, and the patience of the thread it belongs to."""


class Side(NamedTuple):
    """Which half a thread works on."""

    number: int
    """0 for the first blocks, 1 for the last."""
    middle: int
    """The first block of the second half."""
    blocks: int
    """Of this half."""


def sides_of(layout: Layout) -> tuple[Side, Side]:
    """Return the two halves of a maze."""
    middle = middle_of(layout)
    return Side(0, middle, middle), Side(1, middle, layout.blocks - middle)


def new_counters() -> Counters:
    """Return counters of two threads that have done nothing yet."""
    return np.zeros(3 * _LINE, np.int64)


def new_clock(patience_ns: int = PATIENCE_NS) -> WaitClock:
    """Return the clock of a thread that waits so long at most."""
    return np.array([0, 0, patience_ns], np.int64)


def has_given_up(counters: Counters) -> bool:
    """Return whether one of the threads has waited in vain."""
    return bool(counters[_GIVEN_UP])


def _place(
    context: BaseContext, builder: ir.IRBuilder, kind: types.Array, values: list[ir.Value]
) -> ir.Value:
    make = context.make_array(kind)  # type: ignore[no-untyped-call]
    return builder.gep(make(context, builder, values[0]).data, [values[1]])


def _emit_acquire(_: BaseContext, array: types.Array, index: types.Type) -> Emitted:
    def generate(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, values: list[ir.Value]
    ) -> ir.Value:
        place = _place(context, builder, signature.args[0], values)
        return builder.load_atomic(place, "acquire", align=8)

    return types.int64(array, types.intp), generate


def _emit_release(
    _: BaseContext, array: types.Array, index: types.Type, number: types.Type
) -> Emitted:
    def generate(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, values: list[ir.Value]
    ) -> ir.Value:
        place = _place(context, builder, signature.args[0], values)
        builder.store_atomic(values[2], place, "release", align=8)
        return context.get_dummy_value()  # type: ignore[no-untyped-call]

    return types.void(array, types.intp, types.int64), generate


_acquire = cast(Callable[[Counters, int], int], intrinsic(_emit_acquire))
_release = cast(Callable[[Counters, int, int], None], intrinsic(_emit_release))
_yield_core = cast(Callable[[], int], types.ExternalFunction("sched_yield", types.int32()))
_read_clock = cast(
    Callable[[int, int], int],
    types.ExternalFunction("clock_gettime", types.int32(types.int32, types.intp)),
)
_MONOTONIC = np.int32(1)  # of clock_gettime, on Linux


@compiled
def tell(counters: Counters, side: Side, count: int) -> None:
    """Tell the other thread that this one has done ``count``, and all that came before."""
    _release(counters, side.number * _LINE, count)


@compiled
def wait(counters: Counters, side: Side, count: int, clock: WaitClock) -> bool:
    """Wait until the other thread has done ``count``.

    Args:
        counters: of both threads.
        side: of the thread that waits.
        count: to wait for.
        clock: of this thread.

    Returns:
        False if one of the threads has given up.
    """
    other, looks, first = (1 - side.number) * _LINE, 0, 0
    while _acquire(counters, other) < count:
        looks += 1
        if looks < _LOOKS:
            continue
        if _acquire(counters, _GIVEN_UP):
            return False
        _read_clock(_MONOTONIC, clock.ctypes.data)
        now = clock[0] * 1_000_000_000 + clock[1]
        if first == 0:
            first = now
        if now - first > clock[2]:
            _release(counters, _GIVEN_UP, 1)
            return False
        _yield_core()
    return True
