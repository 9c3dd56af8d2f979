"""Jobs on a Ray cluster (extra ``ray``); those of a node that is lost are run again elsewhere."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import cv2

from asterias import __version__
from asterias.errors import AsteriasError, UserError
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

RAY_MISSING = (
    "Jobs on a cluster need Ray: pip install -c constraints.txt 'asterias[ray]' (or 'ray') on each "
    "of its machines."
)
# How often a job is begun again after its process or node was lost. A job that takes its process
# down each time, for want of memory say, ends with a message and not never.
RETRIES = 5
# Time for a machine of a lab's network to take a connection.
_ANSWER_S = 5.0


def import_ray() -> Any:
    """Return Ray.

    Raises:
        UserError: it is not installed.
    """
    # Before the import: nothing is reported to Ray's makers unless somebody asks for it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise UserError(RAY_MISSING) from error
    return ray


def check_address(address: str) -> None:
    """Say at once what Ray says after minutes: that nobody listens at an address.

    Args:
        address: such as ``10.0.0.1:6379``; empty or without a port, it is not checked.

    Raises:
        UserError: it is no address, or nobody listens.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except (OSError, ValueError) as error:
        raise UserError(
            f"No Ray cluster answers at {address} ({error}); start one with: ray start --head "
            "--port 6379, and give its address, such as 10.0.0.1:6379."
        ) from error


class RayRunner(JobRunner):
    """Runs each job as a task of one core.

    Args:
        ray: the package, connected to a cluster.
        parallel: jobs at a time; None: as many as the cluster has cores for.
    """

    def __init__(self, ray: Any, parallel: int | None) -> None:
        self._ray, self._parallel = ray, parallel
        self.places = parallel or max(1, int(ray.cluster_resources().get("CPU", 1)))

    def run(
        self, work: JobWork[J, R], jobs: Sequence[J], on_progress: OnJobProgress = ignore_progress
    ) -> Iterator[tuple[int, R]]:
        """Run jobs on the cluster, as :meth:`JobRunner.run` says.

        Yields:
            Number and result of each, as they end.
        """
        begin = self._ray.remote(_run_job).options(num_cpus=1, max_retries=RETRIES).remote
        coming = iter(enumerate(jobs))
        waiting: dict[Any, int] = {}
        try:
            while True:
                while self._parallel is None or len(waiting) < self._parallel:
                    number, job = next(coming, (-1, None))
                    if number < 0:
                        break
                    waiting[begin(work, job, __version__)] = number
                if not waiting:
                    return
                (done, *_), _ = self._ray.wait(list(waiting))
                yield waiting.pop(done), self._result(done)
        finally:
            # Ray would connect anew for a cancellation after the end.
            for task in waiting if self._ray.is_initialized() else ():
                with suppress(Exception):  # ended in the meantime, or the cluster has gone
                    self._ray.cancel(task, force=True)

    def _result(self, task: Any) -> Any:
        """Return a task's result, or raise what it raised.

        Raises:
            AsteriasError: it was lost with its process or node time and again.
            UserError: a node cannot run it.
        """
        errors = self._ray.exceptions
        try:
            return self._ray.get(task)
        except errors.RayTaskError as error:
            if isinstance(error.cause, errors.RaySystemError):  # the job could not be unpacked
                reason = " ".join(str(error.cause).split("\n")[0].split())
                raise UserError(
                    f"A node of the cluster cannot run the job ({reason}); install the same "
                    "asterias there, with the same extras."
                ) from error
            # What the job raised, as it would be raised here.
            raise error.cause from None
        except errors.RayError as error:
            raise AsteriasError(
                f"A job was lost with its process or node {RETRIES + 1} times; is there too little "
                f"memory? ({type(error).__name__})"
            ) from error


def _run_job(work: JobWork[J, R], job: J, version: str) -> R:
    """Run a job on a node.

    Returns:
        Its result.

    Raises:
        UserError: another version is installed there.
    """
    if __version__ != version:
        raise UserError(
            f"A node of the cluster has asterias {__version__}, and this machine {version}; "
            "install the same everywhere."
        )
    cv2.setNumThreads(1)  # a job is one core's work
    return work(job, tell_nobody)


@contextmanager
def ray_runner(settings: RunnerSettings) -> Iterator[JobRunner]:
    """Open the place ``ray``.

    Without an address, the cluster of the variable RAY_ADDRESS or one that runs on this machine is
    joined; where there is none, one is started for these jobs.

    Args:
        settings: address of a cluster, and how many jobs at a time.

    Yields:
        The runner.

    Raises:
        UserError: Ray is not installed, or no cluster can be had.
    """
    ray = import_ray()
    if ray.is_initialized():  # by who calls this
        yield RayRunner(ray, settings.parallel)
        return
    check_address(settings.address)
    try:
        ray.init(
            address=settings.address or None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = f"at {settings.address}" if settings.address else "here"
        raise UserError(
            f"No Ray cluster answers {where} ({' '.join(str(error).split())[:200]}); begin one "
            "with: ray start --head --port 6379."
        ) from error
    try:
        yield RayRunner(ray, settings.parallel)
    finally:
        ray.shutdown()


JOB_RUNNERS.register("ray", ray_runner)
