"""Read a pickle as plain values: no name in it is imported, and nothing in it is called.

A pickle is a program for a small stack machine that may call any function. This reads the
instructions (:func:`pickletools.genops`) and keeps what they would build as data: numbers, text,
lists and dictionaries as they are, and every object as a :class:`Record` of its class's name, its
arguments and its state.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_MARK = object()
_FLOATS = {"f4": np.float32, "f8": np.float64}
# Instructions whose argument is the value.
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BYTEARRAY8"),
}
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
    "MARK": lambda: _MARK,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True)
class Name:
    """A name that the pickle would import, such as ``numpy.dtype``."""

    text: str


@dataclass(eq=False)
class Record:
    """An object as the pickle describes it; nothing of its class is known or used.

    Attributes:
        name: of its class, or of the function that would make it.
        arguments: of that function.
        state: what its attributes would become.
    """

    name: str
    arguments: Any
    state: Any = None


def read_values(content: bytes) -> Any:
    """Return what a pickle holds, as values and records.

    Args:
        content: the whole file.

    Raises:
        ValueError: it is no pickle, is damaged, or uses what this does not read.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name == "STOP":
                return machine.stack.pop()
            machine.do(opcode.name, argument)
    except (IndexError, KeyError, TypeError, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"it is no pickle, or damaged ({type(error).__name__})") from error
    raise ValueError("it ends too early")


class _Machine:
    """The stack and the memory of the instructions."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def do(self, name: str, argument: Any) -> None:
        """Do one instruction.

        Raises:
            ValueError: it is none that is read.
        """
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _TUPLES:
            count = _TUPLES[name]
            self.stack[-count:] = [tuple(self.stack[-count:])]
        elif "PUT" in name or name == "MEMOIZE":
            self.memo[len(self.memo) if argument is None else argument] = self.stack[-1]
        elif name.endswith("GET"):
            self.stack.append(self.memo[argument])
        elif name not in ("PROTO", "FRAME"):
            work: Callable[[Any], None] | None = getattr(self, f"_{name.lower()}", None)
            if work is None:
                raise ValueError(f"it uses {name}, which is not read")
            work(argument)

    def _after_mark(self) -> list[Any]:
        """Return all that lies above the last mark; it is taken off, and so is the mark."""
        place = len(self.stack) - 1 - self.stack[::-1].index(_MARK)
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._after_mark()

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._after_mark()))

    def _list(self, _: Any) -> None:
        self.stack.append(self._after_mark())

    def _dict(self, _: Any) -> None:
        values = self._after_mark()
        self.stack.append(dict(zip(values[::2], values[1::2], strict=True)))

    def _append(self, _: Any) -> None:
        value = self.stack.pop()
        self._extend([value])

    def _appends(self, _: Any) -> None:
        self._extend(self._after_mark())

    def _extend(self, values: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(values)

    def _setitem(self, _: Any) -> None:
        key, value = self.stack[-2:]
        del self.stack[-2:]
        self._update([key, value])

    def _setitems(self, _: Any) -> None:
        self._update(self._after_mark())

    def _update(self, values: list[Any]) -> None:
        if isinstance(self.stack[-1], dict):
            self.stack[-1].update(zip(values[::2], values[1::2], strict=True))

    def _additems(self, _: Any) -> None:
        values = self._after_mark()
        if isinstance(self.stack[-1], set):
            self.stack[-1].update(values)

    def _frozenset(self, _: Any) -> None:
        self.stack.append(frozenset(self._after_mark()))

    def _global(self, argument: str) -> None:
        self.stack.append(Name(argument.replace(" ", ".")))

    def _stack_global(self, _: Any) -> None:
        module, name = self.stack[-2:]
        self.stack[-2:] = [Name(f"{module}.{name}")]

    def _reduce(self, _: Any) -> None:
        made, arguments = self.stack[-2:]
        self.stack[-2:] = [Record(made.text if isinstance(made, Name) else "?", arguments)]

    def _newobj(self, argument: Any) -> None:
        self._reduce(argument)

    def _newobj_ex(self, argument: Any) -> None:
        self.stack.pop()  # arguments by keyword
        self._reduce(argument)

    def _build(self, _: Any) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Record):
            self.stack[-1].state = state


# -- numbers of numpy -----------------------------------------------------------------------------


def to_array(value: Any) -> npt.NDArray[np.float64]:
    """Return the numbers of a record that numpy would make an array or a number of.

    Raises:
        ValueError: it is no such record, or not of floating-point numbers.
    """
    if isinstance(value, int | float):
        return np.array(float(value))
    if not isinstance(value, Record):
        raise ValueError("numbers are expected")
    try:
        return _decoded(value)
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"an array is damaged ({error})") from error


def _decoded(value: Record) -> npt.NDArray[np.float64]:
    last = value.name.rpartition(".")[2]
    fortran = False
    if last == "_reconstruct":
        _, shape, kind, fortran, content = value.state
    elif last == "_frombuffer":
        content, kind, shape, order = value.arguments
        fortran = order == "F"
    elif last == "scalar":
        (kind, content), shape = value.arguments, ()
    else:
        raise ValueError(f"{value.name} is no array")
    if isinstance(content, Record) and content.name == "_codecs.encode":
        content = content.arguments[0].encode("latin1")  # bytes, before protocol 3
    numbers = np.frombuffer(bytes(content), _dtype(kind))
    shaped: npt.NDArray[np.float64] = numbers.reshape(shape, order="F" if fortran else "C").astype(
        np.float64
    )
    return shaped


def _dtype(kind: Any) -> np.dtype[Any]:
    code = kind.arguments[0] if isinstance(kind, Record) else ""
    if code not in _FLOATS:
        raise ValueError("its numbers are no floating-point numbers")
    order = kind.state[1] if kind.state else "<"
    swapped: np.dtype[Any] = np.dtype(_FLOATS[code]).newbyteorder(">" if order == ">" else "<")
    return swapped
