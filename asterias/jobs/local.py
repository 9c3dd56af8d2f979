"""Jobs in this process, or in worker processes of this machine."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import get_context

import cv2

from asterias.errors import AsteriasError
from asterias.jobs.runner import (
    JOB_RUNNERS,
    J,
    JobRunner,
    JobWork,
    OnJobProgress,
    R,
    RunnerSettings,
    ignore_progress,
    tell_nobody,
)
from asterias.workers import worker_pool


class HereRunner(JobRunner):
    """Runs one job after the other in this process."""

    places = 1

    def run(
        self, work: JobWork[J, R], jobs: Sequence[J], on_progress: OnJobProgress = ignore_progress
    ) -> Iterator[tuple[int, R]]:
        """Run jobs in their order, as :meth:`JobRunner.run` says.

        Yields:
            Number and result of each.
        """
        for number, job in enumerate(jobs):
            yield number, work(job, partial(on_progress, number))


class ProcessRunner(JobRunner):
    """Runs jobs in worker processes, which stay from one call to the next.

    Args:
        pool: of processes.
        places: their number.
    """

    def __init__(self, pool: ProcessPoolExecutor, places: int) -> None:
        self._pool, self.places = pool, places

    def run(
        self, work: JobWork[J, R], jobs: Sequence[J], on_progress: OnJobProgress = ignore_progress
    ) -> Iterator[tuple[int, R]]:
        """Run jobs side by side, as :meth:`JobRunner.run` says.

        Yields:
            Number and result of each, as they end.

        Raises:
            AsteriasError: a process has ended by itself.
        """
        waiting = {self._pool.submit(work, job, tell_nobody): at for at, job in enumerate(jobs)}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        except BrokenProcessPool as error:
            raise AsteriasError(
                "A worker process has ended without a message; was it killed, or is there too "
                "little memory?"
            ) from error
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def local_runner(settings: RunnerSettings) -> Iterator[JobRunner]:
    """Open the place ``local``: one job at a time in this process, more in worker processes.

    Args:
        settings: how many at a time.

    Yields:
        The runner.
    """
    places = settings.parallel or 1
    if places == 1:
        yield HereRunner()
        return
    context = get_context("forkserver")  # a fork would copy threads of PyTorch in any state
    context.set_forkserver_preload(list(settings.preload))
    with worker_pool(places, context, _begin) as pool:
        yield ProcessRunner(pool, places)


def _begin() -> None:
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)  # a job is one core's work


JOB_RUNNERS.register("local", local_runner)
