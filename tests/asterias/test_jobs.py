"""Jobs in this process and in worker processes: the same results, errors, progress, folders."""

from __future__ import annotations

import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from asterias.errors import AsteriasError, UserError
from asterias.jobs import JobOptions, JobRunner, TellJob, complete_folders
from asterias.jobs.ray_cluster import check_address
from asterias.jobs.runner import JOB_RUNNERS


def squared(job: int, tell: TellJob) -> tuple[int, int]:
    tell(1, 1)
    if job < 0:
        raise UserError(f"{job} has no root.")
    return job * job, os.getpid()


def kill(job: int, tell: TellJob) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Folder:
    folder: Path


def count(job: Folder, tell: TellJob) -> None:
    """Go on from the checkpoint; be killed after the second of four steps."""
    path = job.folder / "steps"
    done = path.read_text() if path.exists() else ""
    for step in range(len(done), 4):
        path.write_text(done := f"{done}{step}")
    (job.folder / "deep").mkdir()
    (job.folder / "deep" / "result").write_text(f"{job.folder.name} {done}")


def test_any_number_of_processes_gives_the_same_results_in_order() -> None:
    with JobOptions().open() as here, JobOptions(parallel=2).open() as there:
        assert (here.places, there.places) == (1, 2)
        own, others = here.results(squared, range(6)), there.results(squared, range(6))
        assert [root for root, _ in own] == [root for root, _ in others] == [0, 1, 4, 9, 16, 25]
        assert {pid for _, pid in own} == {os.getpid()} and os.getpid() not in dict(others).values()
        for runner in (here, there):
            with pytest.raises(UserError, match="-1 has no root"):
                runner.results(squared, [-1, 2])
        with pytest.raises(AsteriasError, match="without a message"):
            there.results(kill, [0])


def test_progress_of_jobs_in_this_process_is_told() -> None:
    told: list[tuple[int, int, int]] = []
    with JobOptions().open() as runner:
        list(runner.run(squared, [3, 4], lambda *progress: told.append(progress)))
    assert told == [(0, 1, 1), (1, 1, 1)]


class ElsewhereRunner(JobRunner):
    """A machine that does not share the disk: it sees no folder of this one."""

    places = 1

    def run(self, work, jobs, on_progress=None):  # type: ignore[no-untyped-def]
        for number, job in enumerate(jobs):
            yield number, work(Folder(Path("/nowhere") / job.folder.name), lambda *_: None)


def test_files_of_a_job_come_back_from_a_machine_without_the_disk(tmp_path: Path) -> None:
    jobs = [Folder(tmp_path / name) for name in "ab"]
    assert list(complete_folders(ElsewhereRunner(), count, jobs)) == jobs
    for job in jobs:
        names = sorted(path.name for path in job.folder.rglob("*"))
        assert names == ["deep", "result", "steps"]
        assert (job.folder / "deep" / "result").read_text() == f"{job.folder.name} 0123"


def test_a_folder_that_is_seen_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    begun = Folder(tmp_path / "begun")
    begun.folder.mkdir()
    (begun.folder / "steps").write_text("xx")
    with JobOptions().open() as runner:
        assert list(complete_folders(runner, count, [begun])) == [begun]
    assert (begun.folder / "deep" / "result").read_text() == "begun xx23"
    assert not list(begun.folder.glob(".job-*"))


def test_an_address_where_nobody_listens_is_said_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"No Ray cluster answers at 127.0.0.1:{port}"):
            check_address(f"127.0.0.1:{port}")
    with pytest.raises(UserError, match="No Ray cluster answers at lab:head"):
        check_address("lab:head")
    check_address("")
    check_address("auto")


def test_options_that_cannot_be_used_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert JOB_RUNNERS.names()[:2] == ("local", "ray")
    with pytest.raises(UserError, match="There is no place for jobs 'cloud'"):
        JobOptions(on="cloud").check()
    with pytest.raises(UserError, match="--parallel must be 1 or more"):
        JobOptions(parallel=0).check()
    with pytest.raises(UserError, match="--ray-address is for --on ray"):
        JobOptions(ray_address="10.0.0.1:6379").check()
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"need Ray: pip install .*'asterias\[ray\]'"):
        JobOptions(on="ray").check()
