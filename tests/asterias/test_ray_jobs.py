"""Jobs on a Ray cluster of two nodes, one of which is killed on the way."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ray_nodes import Nodes, ray_nodes, wait_until

from asterias.errors import AsteriasError, UserError
from asterias.jobs import JobOptions, JobRunner, TellJob, complete_folders
from learning.policy_search import PGPE
from learning.policy_search.compute_classes import runs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with ray_nodes() as started:
        yield started


@dataclass(frozen=True)
class Folder:
    folder: Path


def count(job: Folder, tell: TellJob) -> None:
    """Take four steps, each noted in the folder; the first attempt ends with its process."""
    path = job.folder / "steps"
    done = path.read_text() if path.exists() else ""
    is_first = not done
    for step in range(len(done), 4):
        path.write_text(done := f"{done}{step}")
        if is_first and step == 1:
            os._exit(1)
    (job.folder / "result").write_text(f"{is_first} {done}")


def refuse(job: int, tell: TellJob) -> int:
    if job == 2:
        raise UserError("2 is refused.")
    return job


def last(job: int, tell: TellJob) -> int:
    os._exit(1)


def long(job: int, tell: TellJob) -> None:
    time.sleep(120.0)


def test_a_lost_job_goes_on_from_its_checkpoint(nodes: Nodes, tmp_path: Path) -> None:
    jobs = [Folder(tmp_path / name) for name in "ab"]
    with JobOptions("ray", ray_address=nodes.address).open() as runner:
        assert runner.places == 2
        assert set(complete_folders(runner, count, jobs)) == set(jobs)
    assert [(job.folder / "result").read_text() for job in jobs] == ["False 0123"] * 2


def test_what_a_job_raises_is_raised_here(nodes: Nodes) -> None:
    with JobOptions("ray", parallel=1, ray_address=nodes.address).open() as runner:
        assert runner.results(refuse, [5, 4, 3]) == [5, 4, 3]
        with pytest.raises(UserError, match=r"^2 is refused\.$"):
            runner.results(refuse, [1, 2, 3])
        with pytest.raises(AsteriasError, match="lost with its process or node 6 times"):
            runner.results(last, [0])


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C is heard: it is ignored by what a shell started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_jobs_end_when_a_person_interrupts(nodes: Nodes) -> None:
    def interrupt() -> None:
        wait_until(nodes.busy_workers)
        os.kill(os.getpid(), signal.SIGINT)

    options = JobOptions("ray", ray_address=nodes.address)
    with pytest.raises(KeyboardInterrupt), options.open() as runner:
        threading.Thread(target=interrupt, daemon=True).start()
        runner.results(long, [1, 2, 3])
    wait_until(lambda: not nodes.busy_workers())


def test_episodes_are_those_of_this_process(nodes: Nodes) -> None:
    def learned(runner: JobRunner | None) -> tuple[list[float], list[float]]:
        model = PGPE("LinearPolicy", "CartPole-v1", seed=3)
        model.rollouts.runner = runner
        model.learn(2000)
        model.close()
        return list(model.theta), model.returns

    with JobOptions("ray", ray_address=nodes.address).open() as runner:
        there = learned(runner)
    assert there == learned(None) and len(there[1]) > 10


def test_a_sweep_ends_with_the_same_numbers_after_a_node_is_lost(tmp_path: Path) -> None:
    # 6 trainings of a second each, with given throughputs: the steps are the same everywhere.
    pace = {"cem": 15_000.0, "ppois": 15_000.0}
    methods = tuple(pace)

    def study(folder: str) -> runs.ClassStudy:
        return runs.ClassStudy(
            tmp_path / folder, "cartpole", methods, (1, 4), seeds=3, stop_solved=False
        )

    def scores(folder: str) -> list[tuple[object, ...]]:
        rows = runs.rows_of(study(folder), pace)
        return [(row["method"], at["steps"], at["scores"]) for row in rows for at in row["classes"]]

    with JobOptions().open() as here:
        runs.complete_runs(study("local"), pace, here, lambda *_: None)
    killed: list[int] = []
    with ray_nodes() as nodes, JobOptions("ray", ray_address=nodes.address).open() as there:

        def kill_on_the_way(stage: str, done: int, total: int) -> None:
            if not killed and 1 <= done < total:
                wait_until(nodes.busy_workers)
                killed.append(len(nodes.busy_workers()))
                nodes.kill_second()

        runs.complete_runs(study("ray"), pace, there, kill_on_the_way)
    assert killed == [1]
    assert scores("ray") == scores("local") and len(scores("ray")) == 4
