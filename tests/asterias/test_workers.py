"""Worker processes end with the work that they were started for."""

from __future__ import annotations

import signal
import time
from multiprocessing import get_context

import psutil
import pytest

from asterias.workers import worker_pool

LONG_S = 60.0


def be_deaf() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def test_workers_end_at_once_when_the_work_is_interrupted() -> None:
    began_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt), worker_pool(2, get_context("spawn"), be_deaf) as pool:
        jobs = [pool.submit(time.sleep, LONG_S) for _ in range(5)]
        while not any(job.running() for job in jobs):
            time.sleep(0.01)
        workers = [psutil.Process(number) for number in pool._processes]
        raise KeyboardInterrupt
    assert time.monotonic() - began_s < LONG_S / 2
    assert not any(worker.is_running() for worker in workers)
