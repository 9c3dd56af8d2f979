"""A step of PyTorch's recurrent cells in NumPy, for policies that remember."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.float32]
# What a cell carries from step to step: hidden and cell values; only the memory of an LSTM has the
# latter.
Memory = tuple[Row, Row]

# Cells by the first part of their tensors' names, with their gates.
CELL_GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def cell_of(tensors: Mapping[str, npt.NDArray[np.float32]]) -> str | None:
    """Return the kind of a policy's cell; None where it has no memory."""
    return next((cell for cell in CELL_GATES if f"{cell}.weight_hh" in tensors), None)


def empty_memory(cell: str, tensors: Mapping[str, npt.NDArray[np.float32]]) -> Memory:
    """Return the memory at the start of an episode."""
    units = tensors[f"{cell}.weight_hh"].shape[1]
    return np.zeros(units, np.float32), np.zeros(units, np.float32)


def cell_step(
    cell: str, tensors: Mapping[str, npt.NDArray[np.float32]], x: Row, memory: Memory
) -> Memory:
    """Return the memory after a step; its first part is the cell's output.

    Args:
        cell: ``lstm`` (gates input, forget, cell, output), ``gru`` (reset, update, new) or ``rnn``.
        tensors: with the cell's, by PyTorch's names.
        x: ``(inputs,)``.
        memory: before the step.
    """
    hidden, kept = memory
    seen = tensors[f"{cell}.weight_ih"] @ x + tensors[f"{cell}.bias_ih"]
    known = tensors[f"{cell}.weight_hh"] @ hidden + tensors[f"{cell}.bias_hh"]
    if cell == "lstm":
        take, forget, new, give = np.split(seen + known, 4)
        kept = _sigmoid(forget) * kept + _sigmoid(take) * np.tanh(new)
        hidden = _sigmoid(give) * np.tanh(kept)
    elif cell == "gru":
        reset, update, new = np.split(seen, 3)
        reset_known, update_known, new_known = np.split(known, 3)
        share = _sigmoid(update + update_known)
        fresh = np.tanh(new + _sigmoid(reset + reset_known) * new_known)
        hidden = (1 - share) * fresh + share * hidden
    else:
        hidden = np.tanh(seen + known)
    return hidden.astype(np.float32), kept.astype(np.float32)


def _sigmoid(x: Row) -> Row:
    out: Row = (1.0 / (1.0 + np.exp(-x))).astype(np.float32)
    return out
