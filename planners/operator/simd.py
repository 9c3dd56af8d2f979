"""Sixteen numbers as one value in compiled loops: a vector type for numba.

Left to itself, the compiler halves the vectors of processors that have wide ones, and tests at
every block whether arrays overlap. Here the code says what is a vector. It names no processor: the
compiler cuts sixteen lanes into what the machine has. Sets of lanes are the bits of an integer.

Nothing here checks an index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]  # numba stands on it
from numba import types
from numba.extending import intrinsic, models, register_model

LANES = 16

_BITS = ir.IntType(LANES)
_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_INTS = ir.VectorType(ir.IntType(32), LANES)
_BOOLS = ir.VectorType(ir.IntType(1), LANES)


def _emitted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make an operation of compiled code of a function that returns its signature and emits it."""
    operation: Callable[..., Any] = intrinsic(function)
    return operation


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__(name="float32x16")


_lanes = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _FLOATS)  # type: ignore[no-untyped-call]


def _pointer(context: Any, builder: Any, kind: Any, place: Any, lanes: Any) -> Any:
    """Return a pointer to ``lanes`` at ``place``, an array of some kind and an index."""
    array, index = place
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), lanes.as_pointer())


def _spread(builder: Any, number: Any) -> Any:
    """Emit sixteen times a number."""
    unknown = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
    one = builder.insert_element(unknown, number, ir.IntType(32)(0))
    return builder.shuffle_vector(one, unknown, ir.Constant(_INTS, None))


def _operation(result: Any, *arguments: Any) -> Callable[[Callable[..., Any]], Any]:
    """Make an operation on lanes and integers of a function that emits its code."""

    def made(emit: Callable[..., Any]) -> Any:
        signature = result(*arguments)

        def generate(context: Any, builder: Any, _: Any, values: Any) -> Any:
            return emit(builder, *values)

        return signature, generate

    return made


@_emitted
def load(typing: Any, array: Any, index: Any) -> Any:
    """Sixteen numbers of a float32 array from ``index`` on."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = _pointer(context, builder, signature.args[0], values, _FLOATS)
        return builder.load(place, align=4)

    return _lanes(array, types.intp), generate


@_emitted
def store(typing: Any, array: Any, index: Any, lanes: Any) -> Any:
    """Write sixteen numbers from ``index`` on."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = _pointer(context, builder, signature.args[0], values[:2], _FLOATS)
        builder.store(values[2], place, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, _lanes), generate


@_emitted
def nothing(typing: Any) -> Any:
    """Sixteen zeros."""
    return _operation(_lanes)(lambda builder: ir.Constant(_FLOATS, None))


@_emitted
def fused(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``, rounded once where the machine can."""

    def emit(builder: Any, *values: Any) -> Any:
        kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
        name = f"llvm.fmuladd.v{LANES}f32"
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        return builder.call(function, values)

    return _operation(_lanes, _lanes, _lanes, _lanes)(emit)


@_emitted
def plus(typing: Any, a: Any, b: Any) -> Any:
    """``a + b``."""
    return _operation(_lanes, _lanes, _lanes)(lambda builder, a, b: builder.fadd(a, b))


@_emitted
def minus(typing: Any, a: Any, b: Any) -> Any:
    """``a - b``."""
    return _operation(_lanes, _lanes, _lanes)(lambda builder, a, b: builder.fsub(a, b))


@_emitted
def times(typing: Any, a: Any, b: Any) -> Any:
    """``a * b``."""
    return _operation(_lanes, _lanes, _lanes)(lambda builder, a, b: builder.fmul(a, b))


@_emitted
def over(typing: Any, a: Any, b: Any) -> Any:
    """``a / b``."""
    return _operation(_lanes, _lanes, _lanes)(lambda builder, a, b: builder.fdiv(a, b))


@_emitted
def fill(typing: Any, number: Any) -> Any:
    """Sixteen times a number."""
    return _operation(_lanes, types.float32)(_spread)


@_emitted
def greater(typing: Any, a: Any, b: Any) -> Any:
    """The set of lanes in which ``a > b``."""

    def emit(builder: Any, a: Any, b: Any) -> Any:
        return builder.bitcast(builder.fcmp_ordered(">", a, b), _BITS)

    return _operation(types.uint16, _lanes, _lanes)(emit)


@_emitted
def choose(typing: Any, lanes: Any, a: Any, b: Any) -> Any:
    """``a`` in a set of lanes, ``b`` in the others."""

    def emit(builder: Any, lanes: Any, a: Any, b: Any) -> Any:
        return builder.select(builder.bitcast(lanes, _BOOLS), a, b)

    return _operation(_lanes, types.uint16, _lanes, _lanes)(emit)


@_emitted
def power_of_two(typing: Any, shifted: Any) -> Any:
    """2**n, where ``shifted`` is n + 1.5 * 2**23: its lowest bits then are n."""

    def emit(builder: Any, shifted: Any) -> Any:
        number = builder.add(builder.bitcast(shifted, _INTS), ir.Constant(_INTS, [127] * LANES))
        exponent = builder.shl(number, ir.Constant(_INTS, [23] * LANES))
        return builder.bitcast(exponent, _FLOATS)

    return _operation(_lanes, _lanes)(emit)


@_emitted
def exponent(typing: Any, a: Any) -> Any:
    """The n of positive ``a`` = m * 2**n with m from 0.7071 to 1.4142."""

    def emit(builder: Any, a: Any) -> Any:
        from_root_of_half = ir.Constant(_INTS, [0x3F3504F3] * LANES)
        bits = builder.sub(builder.bitcast(a, _INTS), from_root_of_half)
        return builder.sitofp(builder.ashr(bits, ir.Constant(_INTS, [23] * LANES)), _FLOATS)

    return _operation(_lanes, _lanes)(emit)


@_emitted
def equal(typing: Any, array: Any, index: Any, number: Any) -> Any:
    """The set of lanes in which an int8 array holds ``number``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.VectorType(ir.IntType(8), LANES)
        place = _pointer(context, builder, signature.args[0], values[:2], kind)
        all_lanes = _spread(builder, builder.trunc(values[2], ir.IntType(8)))
        found = builder.icmp_signed("==", builder.load(place, align=1), all_lanes)
        return builder.bitcast(found, _BITS)

    return types.uint16(array, types.intp, types.intp), generate
