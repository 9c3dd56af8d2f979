"""The soak's own judgement: growth, leftovers in shared memory, and what counts as a complaint."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from asterias.errors import UserError
from asterias_nodes.runtime.shared_memory import (
    PORT,
    SEGMENT,
    dead_names,
    remove_dead_ports,
    remove_dead_segments,
)
from asterias_nodes.soak.fleet import WARM_UP_S, Fleet, Life, Sample, SoakNode
from asterias_nodes.soak.soak_bench import SoakBench, complaints, soak

WELL: dict[str, Any] = {
    "memory_growth": 0.01,
    "file_growth_of_nodes": {"recorder": 2.0},
    "stop_motion_rad_max": 0.001,
    "stops_watched": 70,
    "stops_not_watched": 0,
    "stops_forgotten": 0,
    "recordings": {"messages": 10, "unreadable": []},
    "shared_memory_left": [],
    "died_by_themselves": [],
    "ended_uncleanly": [],
    "tracebacks": [],
}


def life(*values: int, warm_up: int = 500) -> Life:
    """A life whose memory is ``warm_up`` at first, and then these values."""
    found = Life("recorder", 0.0)
    found.samples = [Sample(1.0, warm_up, 10)]
    found.samples += [Sample(WARM_UP_S + k, value, 10 + k) for k, value in enumerate(values)]
    return found


def test_growth_is_counted_after_the_warm_up_only() -> None:
    assert life(100, 100, 101, 100, 100, 100, 100, 100).growth("rss_bytes") == 0
    assert life(100, 100, 110, 120, 130, 140, 150, 150).growth("rss_bytes") == 50
    assert life(100, 200).growth("rss_bytes") == 0, "too short to say"
    assert life(*[100] * 8).growth("files") == 6


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("memory_growth", 0.06, "memory grew by 6.0 %"),
        ("file_growth_of_nodes", {"recorder": 20.0}, "20 more open files"),
        ("stop_motion_rad_max", 0.02, "moved by 0.02 rad while stopped"),
        ("stops_forgotten", 1, "1 stops were forgotten"),
        ("stops_not_watched", 2, "2 stops could not be watched"),
        ("recordings", {"messages": 1, "unreadable": ["x"]}, "cannot be read"),
        ("recordings", {"messages": 0, "unreadable": []}, "nothing was recorded"),
        ("shared_memory_left", ["fastdds_1"], "left in /dev/shm"),
        ("died_by_themselves", ["recorder: 1"], "died by themselves"),
        ("ended_uncleanly", ["recorder"], "did not end cleanly"),
        ("tracebacks", ["recorder_0.log"], "tracebacks are in"),
    ],
)
def test_each_figure_that_is_not_well_is_one_sentence(key: str, value: Any, words: str) -> None:
    assert complaints(WELL) == []
    (sentence,) = complaints(WELL | {key: value})
    assert words in sentence


def test_only_memory_of_dead_processes_is_removed(tmp_path: Path) -> None:
    dead, alive, young = (f"fastdds_{digit * 16}" for digit in "abc")
    names = [dead, alive, young, "fastdds_port7412", "fastdds_port7413"]
    for name in names:
        for part in (name, f"{name}_el", f"sem.{name}_mutex"):
            (tmp_path / part).touch()
    long_ago_s = time.time() - 60
    for path in tmp_path.iterdir():
        if young not in path.name:
            os.utime(path, (long_ago_s, long_ago_s))
    handles = [os.open(tmp_path / f"{name}_el", os.O_RDWR) for name in (alive, "fastdds_port7413")]
    try:
        for handle in handles:
            fcntl.flock(handle, fcntl.LOCK_EX)
        assert dead_names(SEGMENT, tmp_path) == [dead]
        assert dead_names(PORT, tmp_path) == ["fastdds_port7412"]
        assert remove_dead_segments(tmp_path) == 1 and remove_dead_ports(tmp_path) == 1
        left = {path.name for path in tmp_path.iterdir()}
        assert not any(dead in name or "port7412" in name for name in left)
        assert {alive, young, "fastdds_port7413"} <= left
    finally:
        for handle in handles:
            os.close(handle)


def test_nodes_that_are_killed_come_back_and_those_that_die_are_noted(tmp_path: Path) -> None:
    nodes = [SoakNode(name, {}, os.environ, tmp_path) for name in ("command_multiplexer",)]
    fleet = Fleet(nodes, seed=0)
    fleet.start()
    try:
        assert fleet.sample() > 0
        assert fleet.kill_one() == "command_multiplexer"
        fleet.revive()
        assert nodes[0].is_running and fleet.died == []
        nodes[0]._process.send_signal(signal.SIGKILL)  # type: ignore[union-attr]
        nodes[0]._process.wait()  # type: ignore[union-attr]
        fleet.revive()
        assert fleet.died == ["command_multiplexer: -9"] and len(fleet.lives()) == 3
        time.sleep(3.0)
    finally:
        assert fleet.stop() == []


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(UserError, match="is not empty"):
        soak(SoakBench(folder=tmp_path))
    with pytest.raises(UserError, match="above 0"):
        SoakBench(minutes=0)


def test_a_bench_that_was_started_with_signals_ignored_ends_on_them(start: Any) -> None:
    code = """
import signal, sys, time
from dataclasses import dataclass
from asterias_nodes.runtime.bench import BenchOptions, run_bench

@dataclass(frozen=True)
class Idle(BenchOptions):
    pass

def measure(options):
    print("ready", flush=True)
    time.sleep(60)
    return 0

signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.exit(run_bench(Idle, "idle", "Waits.", measure))
"""
    process = start(sys.executable, "-c", code)
    assert next(process.lines()) == "ready"
    assert process.stop(signal.SIGINT).status == 130
