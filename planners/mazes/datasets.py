"""Mazes: generators, data sets without overlap, plain and stratified sampling.

A maze is uint8 ``(M, M)``, 1 = free, 0 = wall; a goal is a row and a column. The default maze is
that of the GPPN benchmark, which DT-VIN uses: depth-first carving, then each interior wall removed
with a probability drawn per maze from 0 to 1, then a goal drawn from the interior and made free.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from asterias.errors import UserError
from asterias.files import write_bytes
from planners.mazes import generators as carving
from planners.mazes.action_sets import NEWS, Moves
from planners.mazes.distances import distances
from planners.mazes.generators import compiled

MazeKind = Literal["depth_first", "kruskal", "wilson", "obstacles", "rooms", "warehouse", "streets"]

_KINDS: tuple[MazeKind, ...] = get_args(MazeKind)
_BLOCK = 256  # mazes that are drawn at once; block k of a seed is always the same
_MOST_BYTES = 4 * 2**30  # of mazes in memory
_PATIENCE = 200  # blocks without a single new maze before giving up


@dataclass(frozen=True)
class MazeSet:
    """Mazes uint8 ``(n, M, M)`` with 1 = free, and goals int64 ``(n, 2)`` as row and column."""

    mazes: NDArray[np.uint8]
    goals: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.mazes)

    @property
    def size(self) -> int:
        """Rows and columns of each maze."""
        return int(self.mazes.shape[1])

    def __getitem__(self, index: slice | NDArray[np.int64]) -> MazeSet:
        return MazeSet(self.mazes[index], self.goals[index])

    def fingerprints(self) -> list[bytes]:
        """Return a key per maze; equal layouts have equal keys whatever the goal."""
        return [row.tobytes() for row in np.packbits(self.mazes.reshape(len(self), -1), axis=1)]

    def save(self, path: Path | str) -> None:
        """Write a compressed ``.npz`` that appears whole or not at all."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, mazes=self.mazes, goals=self.goals)
        write_bytes(Path(path), buffer.getvalue())

    @classmethod
    def load(cls, path: Path | str, limit_bytes: int = _MOST_BYTES) -> MazeSet:
        """Return the data set of a file.

        Args:
            path: a ``.npz`` with the arrays mazes and goals.
            limit_bytes: greatest size of the mazes in memory.

        Raises:
            UserError: the file is missing, too large, damaged, or holds something else.
        """
        mazes, goals = _read_arrays(Path(path), limit_bytes)
        fits = mazes.ndim == 3 and goals.shape == (len(mazes), 2) and mazes.dtype.kind in "bui"
        if not fits or goals.dtype.kind not in "ui" or not ((mazes == 0) | (mazes == 1)).all():
            raise UserError(
                f"{path}: mazes {mazes.shape} must be (n, M, M) of 0 and 1, "
                f"and goals {goals.shape} must be (n, 2)."
            )
        if len(goals) and (goals.min() < 0 or (goals >= np.array(mazes.shape[1:])).any()):
            raise UserError(f"{path}: a goal lies outside its maze.")
        return cls(mazes.astype(np.uint8, copy=False), goals.astype(np.int64))


def _read_arrays(path: Path, limit_bytes: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the arrays mazes and goals of a file, whose sizes are checked before they are read.

    Raises:
        UserError: the file is missing, too large or damaged.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file.")
    try:
        with zipfile.ZipFile(path) as archive:
            for name in ("mazes", "goals"):
                with archive.open(f"{name}.npy") as member:
                    size = _declared_bytes(member)
                if size > limit_bytes:
                    raise UserError(
                        f"{path} holds {size:,} bytes of {name}; at most {limit_bytes:,} are read."
                    )
        with np.load(path, allow_pickle=False) as data:
            return data["mazes"], data["goals"]
    except UserError:
        raise
    except Exception as error:  # readers of zip and npy raise whatever broken data make them
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(
            f"{path} is no maze file: it needs the arrays 'mazes' and 'goals' ({reason})."
        ) from error


def _declared_bytes(member: IO[bytes]) -> int:
    """Return the size that the head of an array's file declares."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0
    shape, _, dtype = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(member)
    return math.prod(shape) * dtype.itemsize


@dataclass(frozen=True)
class MazeRule:
    """How mazes are drawn."""

    size: int
    """Rows and columns, at least 4."""
    kind: MazeKind = "depth_first"
    """Generator; depth_first is the benchmark's."""
    decimation: tuple[float, float] = (0.0, 1.0)
    """Range of the share of interior walls removed, drawn anew for each maze (carved kinds only).
    """

    def __post_init__(self) -> None:
        low, high = self.decimation
        if self.size < 4:
            raise UserError(
                f"maze size is {self.size}: the smallest maze with a choice of goals has size 4."
            )
        if self.kind not in _KINDS:
            raise UserError(f"maze kind is {self.kind!r}: choose one of {', '.join(_KINDS)}.")
        if not 0 <= low <= high <= 1:
            raise UserError(f"decimation is {self.decimation}: give two rising numbers in 0 to 1.")


def generate(rule: MazeRule, count: int, seed: int, exclude: Sequence[MazeSet] = ()) -> MazeSet:
    """Draw ``count`` mazes that differ from one another and from every layout in ``exclude``.

    Returns:
        The mazes, in the order of drawing.

    Raises:
        UserError: the rule does not hold that many different mazes, or count or seed make no sense.
    """
    if count < 1:
        raise UserError(f"{count} mazes are wanted: ask for at least one.")
    taken = {key for maze_set in exclude for key in maze_set.fingerprints()}
    parts: list[MazeSet] = []
    found = barren = 0
    for block in _blocks(rule, seed):
        fresh = block[_unseen(block, taken)][: count - found]
        parts.append(fresh)
        found += len(fresh)
        barren = 0 if len(fresh) else barren + 1
        if found >= count:
            break
        if barren >= _PATIENCE:
            raise UserError(
                f"only {found} different mazes found for {rule}, {count} wanted: ask for fewer."
            )
    return _join(parts)


def generate_splits(
    rule: MazeRule, counts: tuple[int, int, int], seed: int
) -> tuple[MazeSet, MazeSet, MazeSet]:
    """Draw train, validation and test sets of the given sizes that share no maze layout.

    Returns:
        The three sets.
    """
    whole = generate(rule, sum(counts), seed)
    first, second = counts[0], counts[0] + counts[1]
    return whole[:first], whole[first:second], whole[second:]


def generate_stratified(
    rule: MazeRule,
    edges: Sequence[int],
    per_bin: int,
    seed: int,
    moves: Moves = NEWS,
    exclude: Sequence[MazeSet] = (),
    limit: int = 1_000_000,
    block_size: int = _BLOCK,
) -> MazeSet:
    """Draw ``per_bin`` mazes for each bin of path length, ``(edges[i], edges[i+1]]``.

    A maze counts for the bin in which its longest shortest path falls, so the last bins hold mazes
    with long paths, which plain sampling almost never gives. Mazes are drawn ``block_size`` at a
    time, which is part of the seed: large mazes need small blocks.

    Returns:
        The mazes, bin by bin.

    Raises:
        UserError: ``limit`` drawn mazes do not suffice, or an argument makes no sense.
    """
    if per_bin < 1:
        raise UserError(f"{per_bin} mazes per bin are wanted: ask for at least one.")
    if len(edges) < 2 or list(edges) != sorted(set(edges)):
        raise UserError(f"bin edges are {list(edges)}: give at least two rising path lengths.")
    taken = {key for maze_set in exclude for key in maze_set.fingerprints()}
    filled: list[list[MazeSet]] = [[] for _ in edges[1:]]
    sizes = np.zeros(len(filled), np.int64)
    for drawn, block in enumerate(_blocks(rule, seed, block_size)):
        block = block[_unseen(block, taken)]
        lengths = distances(block.mazes, block.goals, moves)
        longest = lengths.max(axis=tuple(range(1, lengths.ndim)))
        for b in range(len(filled)):
            low, high = edges[b] * moves.unit, edges[b + 1] * moves.unit
            inside = (longest > low) & (longest <= high)
            filled[b].append(block[np.flatnonzero(inside)][: per_bin - sizes[b]])
            sizes[b] += len(filled[b][-1])
        if (sizes >= per_bin).all():
            break
        if drawn * block_size > limit:
            raise UserError(
                f"{limit} mazes of {rule} fill the bins {list(edges)} only to {sizes.tolist()}."
            )
    return _join([part for parts in filled for part in parts])


def _blocks(rule: MazeRule, seed: int, size: int = _BLOCK) -> Iterator[MazeSet]:
    """Yield endless blocks of mazes; block k of a seed is always the same.

    Raises:
        UserError: the seed is negative.
    """
    if seed < 0:
        raise UserError(f"seed is {seed}: give a number that is not negative.")
    low, high = rule.decimation
    for block in range(2**31):
        bits = np.random.SeedSequence([seed, block]).generate_state(1, np.uint64)
        mazes = np.zeros((size, rule.size, rule.size), np.uint8)
        goals = np.empty((size, 2), np.int64)
        _fill(mazes, goals, _KINDS.index(rule.kind), low, high, bits)
        yield MazeSet(mazes, goals)


@compiled
def _fill(
    mazes: NDArray[np.uint8],
    goals: NDArray[np.int64],
    kind: int,
    low: float,
    high: float,
    state: NDArray[np.uint64],
) -> None:
    for n in range(len(mazes)):
        share = low + (high - low) * carving.uniform(state)
        if kind == 0:
            carving.depth_first(mazes[n], state)
        elif kind == 1:
            carving.kruskal(mazes[n], state)
        elif kind == 2:
            carving.wilson(mazes[n], state)
        elif kind == 3:
            carving.obstacles(mazes[n], state)
        elif kind == 4:
            carving.rooms(mazes[n], state)
        elif kind == 5:
            carving.warehouse(mazes[n], state)
        else:
            carving.streets(mazes[n], state)
        if kind < 3:
            carving.decimate(mazes[n], share, state)
        row, column = carving.draw_goal(mazes.shape[1], state)
        goals[n, 0], goals[n, 1] = row, column
        mazes[n, row, column] = 1


def _unseen(block: MazeSet, taken: set[bytes]) -> NDArray[np.int64]:
    """Return the indices of layouts not in ``taken``, and add them to it."""
    fresh = []
    for index, key in enumerate(block.fingerprints()):
        if key not in taken:
            taken.add(key)
            fresh.append(index)
    return np.asarray(fresh, dtype=np.int64)


def _join(parts: Sequence[MazeSet]) -> MazeSet:
    return MazeSet(
        np.concatenate([part.mazes for part in parts]),
        np.concatenate([part.goals for part in parts]),
    )
