"""PickupGestureWiimoteZ of the UCR archive, read from the files that the aeon package ships.

50 gestures to learn from and 50 to be tested with, ten kinds, one axis of an accelerometer, 29 to
361 samples each (Guna, Humar, Pogacnik 2012). aeon itself is not imported: only its files are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from asterias.errors import UserError

NAME = "PickupGestureWiimoteZ"
# Samples that make one token; the paper's log-signatures take as few steps together.
GROUP = 4
# Samples after which time counts as 1.
TIME_UNIT = 50.0
# Fewer samples than this are never left.
_FEWEST = 6
TOKEN_SIZE = 5


@dataclass(frozen=True)
class IrregularSeries:
    """One series.

    Attributes:
        times: ``(T,)`` rising numbers of the samples that are there.
        values: ``(T,)``.
    """

    times: FloatArray
    values: FloatArray


@dataclass(frozen=True)
class GestureSets:
    """Series to learn from and to be tested with, with the numbers of their classes from 0."""

    learned: tuple[IrregularSeries, ...]
    learned_labels: npt.NDArray[np.int64]
    tested: tuple[IrregularSeries, ...]
    tested_labels: npt.NDArray[np.int64]


def read_gestures(folder: Path | None = None) -> GestureSets:
    """Return the gestures.

    Args:
        folder: that holds the two ``.ts`` files; None takes those of the aeon package.

    Raises:
        UserError: they are not there, or are no such series.
    """
    folder = _shipped() if folder is None else folder
    learned, names = _read(folder / f"{NAME}_TRAIN.ts")
    tested, other = _read(folder / f"{NAME}_TEST.ts")
    kinds = sorted({*names, *other})
    if len(kinds) < 2:
        raise UserError(f"{folder} holds gestures of one kind only; nothing can be told apart.")
    number = {name: place for place, name in enumerate(kinds)}
    return GestureSets(
        learned,
        np.array([number[name] for name in names]),
        tested,
        np.array([number[name] for name in other]),
    )


def _shipped() -> Path:
    """Return the folder of the aeon package, without importing it.

    Raises:
        UserError: it is not installed.
    """
    spec = find_spec("aeon")
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    for place in places:
        folder = Path(place) / "datasets" / "data" / NAME
        if folder.is_dir():
            return folder
    raise UserError(
        f"The gestures {NAME} ship with aeon, which is not installed: `pip install --no-deps aeon` "
        "(only its files are read), or name a folder with the two .ts files by --data."
    )


def _read(path: Path) -> tuple[tuple[IrregularSeries, ...], list[str]]:
    """Return series and classes of a ``.ts`` file.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read; it should be a .ts file of {NAME}.") from error
    series, names = [], []
    try:
        start = [line.strip().lower() for line in lines].index("@data")
        for line in filter(None, map(str.strip, lines[start + 1 :])):
            numbers, name = line.rsplit(":", 1)
            values = np.array([float(part) for part in numbers.split(",")])
            series.append(IrregularSeries(np.arange(len(values), dtype=np.float64), values))
            names.append(name)
    except ValueError as error:
        raise UserError(f"{path} is no .ts file of one channel with classes.") from error
    if not series or not all(np.isfinite(one.values).all() for one in series):
        raise UserError(f"{path} holds no series, or values that are no numbers.")
    return tuple(series), names


def dropped(
    series: Sequence[IrregularSeries], share: float, rng: np.random.Generator
) -> tuple[IrregularSeries, ...]:
    """Return series of which a share of the samples is missing, drawn for each sample."""
    kept = []
    for one in series:
        dice = rng.random(len(one.times))
        there = dice >= share
        there[np.argsort(-dice)[:_FEWEST]] = True
        kept.append(IrregularSeries(one.times[there], one.values[there]))
    return tuple(kept)


def varied(series: IrregularSeries, rng: np.random.Generator) -> IrregularSeries:
    """Return a series as another hand might have made it: slower, stronger, less of it received.

    All networks learn from the same variations.
    """
    (thinned,) = dropped([series], rng.uniform(0.0, 0.3), rng)
    pace, strength = np.exp(rng.normal(0.0, 0.12)), np.exp(rng.normal(0.0, 0.1))
    middle = float(thinned.values.mean())
    values = middle + strength * (thinned.values - middle) + rng.normal(0.0, 0.03)
    return IrregularSeries(thinned.times * pace, values + rng.normal(0.0, 0.02, len(values)))


def token_rows(
    series: Sequence[IrregularSeries],
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]:
    """Return what networks get: each :data:`GROUP` samples that came as one token.

    Returns:
        Tokens ``(B, N, 5)``: mean, spread and rise of the samples, time since the token before, and
        time since the start; their times ``(B, N)`` in :data:`TIME_UNIT`; and the number of each
        row's last token ``(B,)``, which is repeated after it.
    """
    parts = [_tokens(one) for one in series]
    last = np.array([len(times) - 1 for _, times in parts])
    most = int(last.max()) + 1
    rows = np.stack([tokens[np.minimum(np.arange(most), len(tokens) - 1)] for tokens, _ in parts])
    times = np.stack([own[np.minimum(np.arange(most), len(own) - 1)] for _, own in parts])
    return rows, times, last


def _tokens(series: IrregularSeries) -> tuple[FloatArray, FloatArray]:
    starts = np.arange(0, len(series.times), GROUP)
    counts = np.diff(np.append(starts, len(series.times)))
    ends = starts + counts - 1
    mean = np.add.reduceat(series.values, starts) / counts
    square = np.add.reduceat(series.values**2, starts) / counts
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    rise = series.values[ends] - series.values[starts]
    times = (series.times[ends] - series.times[0]) / TIME_UNIT
    gaps = np.diff(times, prepend=0.0) * TIME_UNIT / GROUP / 2.0
    return np.column_stack([mean, 3.0 * spread, rise, gaps - 1.0, times - 1.5]), times


def summaries(series: Sequence[IrregularSeries]) -> FloatArray:
    """Return six numbers of each series, ``(B, 6)``, for the ridge regression."""
    return np.array(
        [
            (v.mean(), v.std(), v.min(), v.max(), t[-1] - t[0], np.abs(np.diff(v)).mean())
            for t, v in ((one.times, one.values) for one in series)
        ]
    )
