"""The small parts of the ground floor: threads, statistics, provenance, closing."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from asterias.context import Closeable
from asterias.provenance import Clock, provenance, public_command
from asterias.statistics import mean_and_std, median_and_range
from asterias.threads import StoppableThread


def test_a_thread_runs_until_it_is_stopped_and_can_be_started_again() -> None:
    ran = threading.Event()

    def work(thread: StoppableThread) -> None:
        while not thread.is_stopping:
            ran.set()
            thread.wait(10.0)

    thread = StoppableThread(work, "worker")
    assert thread.stop() and not thread.is_alive
    for _ in range(2):
        ran.clear()
        thread.start()
        assert ran.wait(5.0) and thread.is_alive
        with pytest.raises(RuntimeError, match="worker runs already"):
            thread.start()
        assert thread.stop(5.0) and not thread.is_alive


def test_a_thread_may_stop_itself() -> None:
    ended = []
    thread = StoppableThread(lambda own: ended.append(own.stop()), "self")
    thread.start()
    assert thread.stop(5.0)
    assert ended == [False]


def test_means_and_medians_are_rounded_and_need_values() -> None:
    assert mean_and_std([1.0, 2.0, 4.0]) == {"mean": 2.33, "std": 1.53}
    assert mean_and_std([3.0]) == {"mean": 3.0, "std": 0.0}
    assert median_and_range([3.0, 1.0, 2.26], 1) == {"median": 2.3, "min": 1.0, "max": 3.0}
    for figure in (mean_and_std, median_and_range):
        with pytest.raises(ValueError, match="at least one value"):
            figure([])


def test_a_command_in_a_result_file_names_no_folder_of_the_machine() -> None:
    folder = Path.cwd()
    words = ["python", "-m", "sim", "bench", "--json", "/tmp/mine/a b.json", f"{folder}/x/y.json"]
    assert public_command(words) == "python -m sim bench --json 'a b.json' x/y.json"
    topic = ["ros2", "topic", "hz", "/joint_states"]
    assert public_command(topic) == "ros2 topic hz /joint_states"


def test_the_block_of_provenance_has_one_set_of_keys() -> None:
    block = provenance(3, "python -m sim bench")
    assert list(block) == ["command", "seed", "date", "python", "versions", "machine"]
    assert block["command"] == "python -m sim bench" and block["seed"] == 3
    keys = ["processor", "cores", "memory_gib", "system", "load_average"]
    assert list(block["machine"]) == keys


def test_the_command_is_told_as_a_person_types_it() -> None:
    code = "from asterias.provenance import provenance; print(provenance()['command'])"
    out = subprocess.run(
        [sys.executable, "-c", code, "a b"], capture_output=True, text=True, check=True
    )
    assert out.stdout.startswith("python -c 'from asterias.provenance ")
    assert out.stdout.endswith("'a b'\n")


def test_a_clock_counts_wall_and_processor_time() -> None:
    wall_s, cpu_s = Clock().elapsed()
    assert 0.0 <= wall_s < 5.0 and 0.0 <= cpu_s < 5.0


def test_a_closeable_closes_at_the_end_of_its_block() -> None:
    class Lamp(Closeable):
        is_lit = True

        def close(self) -> None:
            self.is_lit = False

    with Lamp() as lamp:
        assert lamp.is_lit
    assert not lamp.is_lit
