"""Sixteen numbers as one value in compiled loops: a vector type for numba.

Left to itself, the compiler halves the vectors of processors that have wide ones, and tests at
every block whether arrays overlap. Here the code says what is a vector. It names no processor: the
compiler cuts sixteen lanes into what the machine has. Sets of lanes are the bits of an integer.

Each operation has an emitter, which returns numba's signature and a generator of LLVM code; the
decorator ``_operation`` gives it the types that its callers see. ``docs/explanation/
value_iteration_kernels.md`` explains how to add one.

Nothing here checks an index.
"""

# mypy: disable-error-code="empty-body"
# The bodies of the operations are what their emitters generate.

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # numba stands on it
from numba import types
from numba.core.base import BaseContext
from numba.core.datamodel.manager import DataModelManager
from numba.core.typing.templates import Signature
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

from planners.operator.numba_options import inlined

LANES = 16  # a cache line of float32: one AVX-512 register, two of AVX, four of NEON

FloatLine = NDArray[np.float32]
"""A one-dimensional array of float32."""
LaneSet = np.uint16
"""Bit i is lane i."""


class Lanes:
    """Sixteen float32 numbers; exists in compiled code alone."""


P = ParamSpec("P")
R = TypeVar("R")
Generator = Callable[..., ir.Value]
"""Emits the code: ``(context, builder, signature, values)``."""
Emitted = tuple[Signature, Generator]

_BITS = ir.IntType(LANES)
_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_INTS = ir.VectorType(ir.IntType(32), LANES)
_BOOLS = ir.VectorType(ir.IntType(1), LANES)


def _operation(emitted: Callable[..., Emitted]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Give an operation of compiled code the types and the docstring that its callers see.

    Args:
        emitted: returns the operation's numba signature and the generator of its code.

    Returns:
        A decorator of the typed function.
    """

    def made(seen: Callable[P, R]) -> Callable[P, R]:
        emitted.__name__, emitted.__doc__ = seen.__name__, seen.__doc__
        return cast(Callable[P, R], intrinsic(emitted))

    return made


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__(name="float32x16")


_lanes = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm: DataModelManager, fe_type: _Lanes) -> None:
        super().__init__(dmm, fe_type, _FLOATS)  # type: ignore[no-untyped-call]


def _pointer(
    context: BaseContext,
    builder: ir.IRBuilder,
    kind: types.Array,
    place: tuple[ir.Value, ir.Value],
    lanes: ir.Type,
) -> ir.Value:
    """Return a pointer to ``lanes`` at ``place``, an array of some kind and an index."""
    array, index = place
    make = context.make_array(kind)  # type: ignore[no-untyped-call]
    data = make(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), lanes.as_pointer())


def _broadcast(builder: ir.IRBuilder, number: ir.Value) -> ir.Value:
    """Emit sixteen times a number.

    Returns:
        The sixteen numbers.
    """
    unknown = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    one = builder.insert_element(unknown, number, ir.IntType(32)(0))
    return builder.shuffle_vector(one, unknown, ir.Constant(_INTS, None))


def _on_lanes(emit: Callable[..., ir.Value], result: types.Type, *arguments: types.Type) -> Emitted:
    """Return signature and generator of an operation on lanes and numbers, without memory."""

    def generate(
        _: BaseContext, builder: ir.IRBuilder, __: Signature, values: list[ir.Value]
    ) -> ir.Value:
        return emit(builder, *values)

    return result(*arguments), generate


def _emit_load(_: BaseContext, array: types.Array, index: types.Type) -> Emitted:
    def generate(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, values: list[ir.Value]
    ) -> ir.Value:
        place = _pointer(context, builder, signature.args[0], (values[0], values[1]), _FLOATS)
        return builder.load(place, align=4)

    return _lanes(array, types.intp), generate


@_operation(_emit_load)
def load(array: FloatLine, index: int) -> Lanes:
    """Return sixteen numbers of a float32 array from ``index`` on."""


def _emit_store(
    _: BaseContext, array: types.Array, index: types.Type, lanes: types.Type
) -> Emitted:
    def generate(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, values: list[ir.Value]
    ) -> ir.Value:
        place = _pointer(context, builder, signature.args[0], (values[0], values[1]), _FLOATS)
        builder.store(values[2], place, align=4)
        return context.get_dummy_value()  # type: ignore[no-untyped-call]

    return types.void(array, types.intp, _lanes), generate


@_operation(_emit_store)
def store(array: FloatLine, index: int, lanes: Lanes) -> None:
    """Write sixteen numbers from ``index`` on."""


def _emit_zeros(_: BaseContext) -> Emitted:
    return _on_lanes(lambda builder: ir.Constant(_FLOATS, None), _lanes)


@_operation(_emit_zeros)
def zeros() -> Lanes:
    """Return sixteen zeros."""


def _emit_multiply_add(_: BaseContext, a: types.Type, b: types.Type, c: types.Type) -> Emitted:
    def emit(builder: ir.IRBuilder, *values: ir.Value) -> ir.Value:
        kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
        name = f"llvm.fmuladd.v{LANES}f32"
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        return builder.call(function, values)

    return _on_lanes(emit, _lanes, _lanes, _lanes, _lanes)


@_operation(_emit_multiply_add)
def multiply_add(a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    """Return ``a * b + c``, rounded once where the machine can."""


def _emit_add(_: BaseContext, a: types.Type, b: types.Type) -> Emitted:
    return _on_lanes(lambda builder, a, b: builder.fadd(a, b), _lanes, _lanes, _lanes)


@_operation(_emit_add)
def add(a: Lanes, b: Lanes) -> Lanes:
    """Return ``a + b``."""


def _emit_subtract(_: BaseContext, a: types.Type, b: types.Type) -> Emitted:
    return _on_lanes(lambda builder, a, b: builder.fsub(a, b), _lanes, _lanes, _lanes)


@_operation(_emit_subtract)
def subtract(a: Lanes, b: Lanes) -> Lanes:
    """Return ``a - b``."""


def _emit_multiply(_: BaseContext, a: types.Type, b: types.Type) -> Emitted:
    return _on_lanes(lambda builder, a, b: builder.fmul(a, b), _lanes, _lanes, _lanes)


@_operation(_emit_multiply)
def multiply(a: Lanes, b: Lanes) -> Lanes:
    """Return ``a * b``."""


def _emit_divide(_: BaseContext, a: types.Type, b: types.Type) -> Emitted:
    return _on_lanes(lambda builder, a, b: builder.fdiv(a, b), _lanes, _lanes, _lanes)


@_operation(_emit_divide)
def divide(a: Lanes, b: Lanes) -> Lanes:
    """Return ``a / b``."""


def _emit_fill(_: BaseContext, number: types.Type) -> Emitted:
    return _on_lanes(_broadcast, _lanes, types.float32)


@_operation(_emit_fill)
def fill(number: np.float32) -> Lanes:
    """Return sixteen times a number."""


def _emit_greater(_: BaseContext, a: types.Type, b: types.Type) -> Emitted:
    def emit(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
        return builder.bitcast(builder.fcmp_ordered(">", a, b), _BITS)

    return _on_lanes(emit, types.uint16, _lanes, _lanes)


@_operation(_emit_greater)
def greater(a: Lanes, b: Lanes) -> LaneSet:
    """Return the set of lanes in which ``a > b``."""


def _emit_select(_: BaseContext, lanes: types.Type, a: types.Type, b: types.Type) -> Emitted:
    def emit(builder: ir.IRBuilder, lanes: ir.Value, a: ir.Value, b: ir.Value) -> ir.Value:
        return builder.select(builder.bitcast(lanes, _BOOLS), a, b)

    return _on_lanes(emit, _lanes, types.uint16, _lanes, _lanes)


@_operation(_emit_select)
def select(lanes: LaneSet, a: Lanes, b: Lanes) -> Lanes:
    """Return ``a`` in a set of lanes, ``b`` in the others."""


def _emit_power_of_two(_: BaseContext, shifted: types.Type) -> Emitted:
    def emit(builder: ir.IRBuilder, shifted: ir.Value) -> ir.Value:
        # 127 is the bias of a float32's exponent, which begins at bit 23.
        number = builder.add(builder.bitcast(shifted, _INTS), ir.Constant(_INTS, [127] * LANES))
        exponent = builder.shl(number, ir.Constant(_INTS, [23] * LANES))
        return builder.bitcast(exponent, _FLOATS)

    return _on_lanes(emit, _lanes, _lanes)


@_operation(_emit_power_of_two)
def power_of_two(shifted: Lanes) -> Lanes:
    """Return 2**n, where ``shifted`` is n + 1.5 * 2**23: its lowest bits then are n."""


def _emit_exponent(_: BaseContext, a: types.Type) -> Emitted:
    def emit(builder: ir.IRBuilder, a: ir.Value) -> ir.Value:
        root_of_half = ir.Constant(_INTS, [0x3F3504F3] * LANES)  # float32 0.70710678 as bits
        bits = builder.sub(builder.bitcast(a, _INTS), root_of_half)
        return builder.sitofp(builder.ashr(bits, ir.Constant(_INTS, [23] * LANES)), _FLOATS)

    return _on_lanes(emit, _lanes, _lanes)


@_operation(_emit_exponent)
def exponent(a: Lanes) -> Lanes:
    """Return the n of positive ``a`` = m * 2**n with m from 0.7071 to 1.4142."""


def _emit_equal(
    _: BaseContext, array: types.Array, index: types.Type, number: types.Type
) -> Emitted:
    def generate(
        context: BaseContext, builder: ir.IRBuilder, signature: Signature, values: list[ir.Value]
    ) -> ir.Value:
        kind = ir.VectorType(ir.IntType(8), LANES)
        place = _pointer(context, builder, signature.args[0], (values[0], values[1]), kind)
        all_lanes = _broadcast(builder, builder.trunc(values[2], ir.IntType(8)))
        found = builder.icmp_signed("==", builder.load(place, align=1), all_lanes)
        return builder.bitcast(found, _BITS)

    return types.uint16(array, types.intp, types.intp), generate


@_operation(_emit_equal)
def equal(array: NDArray[np.int8], index: int, number: int) -> LaneSet:
    """Return the set of lanes in which an int8 array holds ``number``."""


# -- functions of lanes, made of the operations --------------------------------------------------

_SHIFT = np.float32(1.5 * 2**23)  # plus a number: the number's whole part, in the lowest bits
_LOG2_E = np.float32(1.44269504)
# ln 2 in two parts, the first with few bits, so that n times it is exact (Cody and Waite).
_LN_2_HIGH, _LN_2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)


@inlined
def exp(x: Lanes) -> Lanes:
    """Return e**x of numbers that are not positive, to two units in the last place; 0 below 1e-26.

    Products of such numbers would be denormal, which takes a hundred times as long. The polynomial
    is that of ``expf`` in the Cephes library (S. Moshier), on ln 2 / 2 around zero.
    """
    lowest = fill(np.float32(-60))
    small = greater(lowest, x)
    x = select(small, lowest, x)
    shifted = multiply_add(x, fill(_LOG2_E), fill(_SHIFT))
    n = subtract(shifted, fill(_SHIFT))
    r = multiply_add(n, fill(-_LN_2_HIGH), x)
    r = multiply_add(n, fill(-_LN_2_LOW), r)
    p = fill(np.float32(1.9875691e-4))
    p = multiply_add(p, r, fill(np.float32(1.3981999e-3)))
    p = multiply_add(p, r, fill(np.float32(8.3334519e-3)))
    p = multiply_add(p, r, fill(np.float32(4.1665796e-2)))
    p = multiply_add(p, r, fill(np.float32(1.6666666e-1)))
    p = multiply_add(p, r, fill(np.float32(0.5)))
    p = add(multiply_add(p, multiply(r, r), r), fill(np.float32(1)))
    return select(small, zeros(), multiply(p, power_of_two(shifted)))


@inlined
def log(a: Lanes) -> Lanes:
    """Return the natural logarithm of positive numbers, to two units in the last place.

    The polynomial is that of ``logf`` in the Cephes library, on sqrt(1/2) to sqrt(2).
    """
    n = exponent(a)
    f = subtract(multiply(a, power_of_two(subtract(fill(_SHIFT), n))), fill(np.float32(1)))
    square = multiply(f, f)
    p = fill(np.float32(7.0376836e-2))
    p = multiply_add(p, f, fill(np.float32(-1.1514610e-1)))
    p = multiply_add(p, f, fill(np.float32(1.1676999e-1)))
    p = multiply_add(p, f, fill(np.float32(-1.2420141e-1)))
    p = multiply_add(p, f, fill(np.float32(1.4249323e-1)))
    p = multiply_add(p, f, fill(np.float32(-1.6668058e-1)))
    p = multiply_add(p, f, fill(np.float32(2.0000715e-1)))
    p = multiply_add(p, f, fill(np.float32(-2.4999994e-1)))
    p = multiply_add(p, f, fill(np.float32(3.3333331e-1)))
    p = multiply(multiply(p, f), square)
    p = multiply_add(n, fill(_LN_2_LOW), p)
    p = multiply_add(square, fill(np.float32(-0.5)), p)
    return multiply_add(n, fill(_LN_2_HIGH), add(f, p))
