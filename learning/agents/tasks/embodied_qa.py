"""Explore and answer: questions about a maze of which each explorer saw a part.

Three kinds of question (what is where, how many, how far) on the benchmark's mazes, with things
lying in them. An explorer walks, looks at the eight cells around it, and may misread what lies
there; what it knows is a map from cells to what it saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from asterias.arrays import Cell, MazeArray
from planners.mazes.datasets import MazeRule, generate
from planners.planning.exact_search import breadth_first

QuestionKind = Literal["what", "how many", "how far"]
QUESTION_KINDS: tuple[QuestionKind, ...] = ("what", "how many", "how far")
THINGS = ("ball", "box", "cup", "key")
WALL, FLOOR = "wall", "floor"
_THINGS_PER_MAZE = 10
KnownMap = Mapping[Cell, str]


@dataclass(frozen=True)
class MazeWorld:
    """A maze ``(M, M)``, 1 = free, and the things that lie in it."""

    maze: MazeArray
    things: Mapping[Cell, str]

    def content(self, cell: Cell) -> str:
        """Return what is in a cell: ``wall``, ``floor`` or a thing."""
        return self.things.get(cell, FLOOR if self.maze[cell] else WALL)


@dataclass(frozen=True)
class Question:
    """A question and what it is about; the true answer is never among it.

    Attributes:
        kind: what is where, how many, or how far.
        cells: the cell asked about, or both ends of a way.
        thing: that is to be counted.
    """

    kind: QuestionKind
    cells: tuple[Cell, ...] = ()
    thing: str = ""

    @property
    def text(self) -> str:
        """The question for people and language models."""
        if self.kind == "what":
            row, column = self.cells[0]
            return f"What lies at row {row}, column {column}?"
        if self.kind == "how many":
            return f"How many of these are in the maze: {self.thing}?"
        (a, b), (c, d) = self.cells
        return f"How many steps is it from row {a}, column {b} to row {c}, column {d}?"


def answer_from(known: KnownMap, question: Question, size: int) -> str | None:
    """Return the answer of a map; None where it has none. Unknown cells count as walls."""
    if question.kind == "what":
        return known.get(question.cells[0])
    if question.kind == "how many":
        return str(sum(content == question.thing for content in known.values()))
    maze = np.zeros((size, size), np.uint8)
    for cell, content in known.items():
        maze[cell] = content != WALL
    start, goal = question.cells
    if not (maze[start] and maze[goal]):
        return None
    path = breadth_first(maze, start, goal)
    return str(len(path) - 1) if path else None


def draw_worlds(
    count: int, seed: int, size: int = 15
) -> Iterator[tuple[MazeWorld, list[Question]]]:
    """Yield worlds, each with one question of every kind.

    Yields:
        A world and its questions.
    """
    rng = np.random.default_rng((seed, 7))
    mazes = generate(MazeRule(size), count, seed)
    for maze in mazes.mazes:
        free = _connected(maze, rng)
        lying = rng.choice(len(free), size=min(_THINGS_PER_MAZE, len(free) // 2), replace=False)
        world = MazeWorld(maze, {free[i]: str(rng.choice(THINGS)) for i in lying})
        cells = sorted(world.things)
        ends = rng.choice(len(cells), size=2, replace=False)
        yield (
            world,
            [
                Question("what", (cells[int(rng.integers(len(cells)))],)),
                Question("how many", thing=str(rng.choice(THINGS))),
                Question("how far", (cells[ends[0]], cells[ends[1]])),
            ],
        )


def truth(world: MazeWorld, question: Question) -> str:
    """Return the right answer."""
    size = len(world.maze)
    whole = {(r, c): world.content((r, c)) for r in range(size) for c in range(size)}
    return str(answer_from(whole, question, size))


def _connected(maze: MazeArray, rng: np.random.Generator) -> list[Cell]:
    """Return free cells that can be reached from one of them; the largest part of three tries."""
    free = [(int(r), int(c)) for r, c in np.argwhere(maze)]
    parts = []
    for _ in range(3):
        open_ = [free[int(rng.integers(len(free)))]]
        found = set(open_)
        while open_:
            for cell in _around(open_.pop(), maze, diagonal=False):
                if maze[cell] and cell not in found:
                    found.add(cell)
                    open_.append(cell)
        parts.append(sorted(found))
    return max(parts, key=len)


def _around(cell: Cell, maze: MazeArray, *, diagonal: bool) -> Iterator[Cell]:
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            row, column = cell[0] + down, cell[1] + right
            is_step = abs(down) + abs(right) == 1 or (diagonal and (down or right))
            if is_step and 0 <= row < maze.shape[0] and 0 <= column < maze.shape[1]:
                yield row, column


@dataclass(frozen=True)
class Explorer:
    """A member with legs and eyes.

    Attributes:
        name: of the member.
        steps: how far it walks in each maze.
        misreads: chance that it takes a thing for another, or floor for a thing that is not there
            (a tenth as often).
        seed: of its walks and errors.
    """

    name: str
    steps: int
    misreads: float
    seed: int

    def explore(self, world: MazeWorld, number: int) -> dict[Cell, str]:
        """Walk through world ``number`` and return what was seen; always the same for a number.

        Returns:
            What was seen, by cell.
        """
        rng = np.random.default_rng((self.seed, number))
        free = np.argwhere(world.maze)
        row, column = free[int(rng.integers(len(free)))]
        here = (int(row), int(column))
        visits: dict[Cell, int] = {}
        known: dict[Cell, str] = {}
        for _ in range(self.steps):
            visits[here] = visits.get(here, 0) + 1
            for cell in (here, *_around(here, world.maze, diagonal=True)):
                if cell not in known:
                    known[cell] = self._read(world.content(cell), rng)
            ways = [c for c in _around(here, world.maze, diagonal=False) if world.maze[c]]
            if not ways:
                break
            # Where it was least often, it goes next.
            fewest = min(visits.get(way, 0) for way in ways)
            fresh = [way for way in ways if visits.get(way, 0) == fewest]
            here = fresh[int(rng.integers(len(fresh)))]
        return known

    def _read(self, content: str, rng: np.random.Generator) -> str:
        if content == WALL:
            return content
        if content == FLOOR:
            return str(rng.choice(THINGS)) if rng.random() < 0.1 * self.misreads else content
        others = [thing for thing in THINGS if thing != content]
        return str(rng.choice(others)) if rng.random() < self.misreads else content


def draw_explorers(count: int, seed: int) -> list[Explorer]:
    """Return explorers with different legs; every fourth has bad eyes."""
    rng = np.random.default_rng((seed, 3))
    return [
        Explorer(
            name=f"explorer_{i}",
            steps=int(rng.integers(25, 61)),
            misreads=0.35 if i % 4 == 3 else 0.05,
            seed=int(rng.integers(2**31)),
        )
        for i in range(count)
    ]
