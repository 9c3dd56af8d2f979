"""Jobs whose results are files in a folder of their own, on whatever machine they run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Generic, Protocol, TypeVar, cast

from asterias.files import write_bytes
from asterias.jobs.runner import JobRunner, JobWork, OnJobProgress, TellJob, ignore_progress


class FolderJob(Protocol):
    """A dataclass with a folder."""

    @property
    def folder(self) -> Path:
        """Where its results and its checkpoints are."""


F = TypeVar("F", bound=FolderJob)


def complete_folders(
    runner: JobRunner,
    work: JobWork[F, None],
    jobs: Sequence[F],
    on_progress: OnJobProgress = ignore_progress,
) -> Iterator[F]:
    """Run jobs that write into their folders.

    A machine that shares the folders' disk works in them, so that a job whose node is lost goes on
    from its checkpoint on another. One that does not works in a temporary folder and sends its
    files here at the end; such a job begins anew.

    Args:
        runner: of the jobs.
        work: completes the folder of a job, going on from what is there.
        jobs: dataclasses with a field ``folder``.
        on_progress: told the progress of jobs that run in this process.

    Yields:
        Each job whose folder is complete, in the order in which they end.
    """
    marker = f".job-{uuid.uuid4().hex}"
    own = [cast(F, replace(cast(Any, job), folder=job.folder.resolve())) for job in jobs]
    try:
        for job in own:
            job.folder.mkdir(parents=True, exist_ok=True)
            (job.folder / marker).touch()
        for number, files in runner.run(_FolderWork(work, marker), own, on_progress):
            for name, content in files.items():
                path = own[number].folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(path, content)
            yield jobs[number]
    finally:
        for job in own:
            (job.folder / marker).unlink(missing_ok=True)


@dataclass(frozen=True)
class _FolderWork(Generic[F]):
    """Does a job in its folder where that is seen, else in a temporary one.

    Attributes:
        work: what is to be done.
        marker: a file in the folders of the machine that the jobs come from.
    """

    work: JobWork[F, None]
    marker: str

    def __call__(self, job: F, tell: TellJob) -> dict[str, bytes]:
        """Do the job.

        Returns:
            The files that its folder lacks by their names in it, in the order of writing.
        """
        if (job.folder / self.marker).exists():
            self.work(job, tell)
            return {}
        with TemporaryDirectory() as temporary:
            folder = Path(temporary) / job.folder.name
            folder.mkdir()
            self.work(cast(F, replace(cast(Any, job), folder=folder)), tell)
            files = [path for path in folder.rglob("*") if path.is_file()]
            files.sort(key=lambda path: path.stat().st_mtime_ns)
            return {str(path.relative_to(folder)): path.read_bytes() for path in files}
