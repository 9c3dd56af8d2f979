"""Work on many worlds in step: each says what it waits for, and all wait together.

A course is a generator that acts on one world. Where simulated time has to pass it yields
:class:`Wait`, and before it reads cameras it may yield :class:`NeedPictures`; it returns a result.
Alone, a course waits in its own world; together, all courses go to their next wish, and one
compiled loop grants all of these.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sim.rendering.camera import SimCamera
from sim.vectorised.worlds import WorldBatch
from sim.world import SimWorld

T = TypeVar("T")


@dataclass(frozen=True)
class Wait:
    """Let simulated time pass.

    Attributes:
        duration_s: rounded to whole physics steps.
    """

    duration_s: float


@dataclass(frozen=True)
class NeedPictures:
    """Have the pictures of some cameras at hand, which are read next.

    Attributes:
        cameras: returns them, by limb; asked only where drawing together saves.
    """

    cameras: Callable[[], Sequence[Sequence[SimCamera]]]


Course = Generator[Wait | NeedPictures, None, T]


@dataclass
class Spent:
    """Wall time spent on motion, and on pictures drawn together, in s."""

    simulate_s: float = 0.0
    render_s: float = 0.0


def run_alone(world: SimWorld, course: Course[T], spent: Spent) -> T:
    """Run a course to its end in its own world, which draws a picture when it is read.

    Returns:
        The course's result.
    """
    while True:
        try:
            wish = next(course)
        except StopIteration as end:
            result: T = end.value
            return result
        if isinstance(wish, Wait):
            began = time.perf_counter()
            world.advance(wish.duration_s)
            spent.simulate_s += time.perf_counter() - began


@dataclass
class Lockstep:
    """Runs courses in the worlds of a batch, all in step.

    Attributes:
        batch: the worlds.
        spent: wall time, of all worlds together.
    """

    batch: WorldBatch
    spent: Spent = field(default_factory=Spent)

    def run(self, courses: Sequence[tuple[int, Course[T]]]) -> list[T]:
        """Run one course in each of some worlds, given by number, to their ends.

        Returns:
            The results, in the order of the courses.
        """
        worlds = [number for number, _ in courses]
        return self.run_all(worlds, len(courses), lambda _, number: courses[number][1])

    def run_all(
        self, worlds: Sequence[int], count: int, begin: Callable[[int, int], Course[T]]
    ) -> list[T]:
        """Run ``count`` courses; a world whose course has ended takes the next.

        Args:
            worlds: numbers of those that take part.
            count: of courses.
            begin: returns the course of a number that runs in a world of a number.

        Returns:
            The results, by the courses' numbers.
        """
        results: dict[int, T] = {}
        waiting = deque(range(count))
        running: dict[int, tuple[int, Course[T]]] = {}
        idle = deque(worlds)
        while waiting or running:
            while waiting and idle:
                number = waiting.popleft()
                world = idle.popleft()
                running[world] = number, begin(world, number)
            wishes: list[tuple[int, Wait | NeedPictures]] = []
            for world, (number, course) in list(running.items()):
                try:
                    wishes.append((world, next(course)))
                except StopIteration as end:
                    results[number] = end.value
                    del running[world]
                    idle.append(world)
            self._grant(wishes)
        return [results[number] for number in range(count)]

    def _grant(self, wishes: Iterable[tuple[int, Wait | NeedPictures]]) -> None:
        waits, looks = [], []
        for world, wish in wishes:
            if isinstance(wish, Wait):
                waits.append((world, wish.duration_s))
            else:
                looks.append((world, wish.cameras()))
        began = time.perf_counter()
        if waits:
            self.batch.advance_each(waits)
        between = time.perf_counter()
        if looks:
            self.batch.draw(looks)
        self.spent.simulate_s += between - began
        self.spent.render_s += time.perf_counter() - between
