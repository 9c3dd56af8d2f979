"""What runs jobs: one interface, whatever machine they run on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from asterias.registry import Registry

J = TypeVar("J")
R = TypeVar("R")

# Done and total of one job, in a unit of its own.
TellJob = Callable[[int, int], None]
JobWork = Callable[[J, TellJob], R]
# Number of a job, its done, its total.
OnJobProgress = Callable[[int, int, int], None]


def ignore_progress(number: int, done: int, total: int) -> None:
    """Do nothing."""


def tell_nobody(done: int, total: int) -> None:
    """Do nothing: the progress of a job in another process is told at its end alone."""


class JobRunner(ABC):
    """Runs jobs that do not depend on each other.

    A job's result depends on the job alone, so that it is the same with any runner.

    Attributes:
        places: jobs that run at a time.
    """

    places: int

    @abstractmethod
    def run(
        self, work: JobWork[J, R], jobs: Sequence[J], on_progress: OnJobProgress = ignore_progress
    ) -> Iterator[tuple[int, R]]:
        """Run jobs, and yield each one's number and result as it ends.

        What a job raises is raised here. Where the iteration is given up, the rest is cancelled.

        Args:
            work: called with a job and a function that takes its progress; it can be pickled.
            jobs: what ``work`` is called with; they can be pickled.
            on_progress: told the progress of jobs that run in this process.
        """

    def results(self, work: JobWork[J, R], jobs: Sequence[J]) -> list[R]:
        """Return the results in the order of the jobs.

        Args:
            work: as :meth:`run` takes it.
            jobs: likewise.
        """
        made = dict(self.run(work, jobs))
        return [made[number] for number in range(len(jobs))]


@dataclass(frozen=True)
class RunnerSettings:
    """What a runner is opened with.

    Attributes:
        parallel: jobs at a time; None: 1 on this machine, as many as it has cores on a cluster.
        address: of a cluster; empty: the runner's own choice.
        preload: modules that workers of this machine import once, before they are forked.
    """

    parallel: int | None = None
    address: str = ""
    preload: tuple[str, ...] = ()


OpenRunner = Callable[[RunnerSettings], AbstractContextManager[JobRunner]]
JOB_RUNNERS: Registry[OpenRunner] = Registry("place for jobs", "asterias.job_runners")
