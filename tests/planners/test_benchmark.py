"""The bench runs, writes what it measured, and says how."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from planners.benchmark import BenchConfig, bench, training_memory_mb


def test_a_little_bench_writes_its_figures(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    config = BenchConfig("9x20", repeats=1, memory=False, json=tmp_path / "bench.json")
    lines = list(bench(config))
    torch.set_num_threads(threads)
    assert len(lines) == 2 and "BFS" in lines[1]
    result = json.loads((tmp_path / "bench.json").read_text())
    assert result["operator"][0]["cpu_ms"] > 0 and "processor" in result["machine"]
    with pytest.raises(ValueError, match="size x depth"):
        list(bench(BenchConfig("large")))


def test_memory_of_a_training_step_does_not_grow_with_the_depth() -> None:
    assert training_memory_mb(40, 2000) < 60  # plain autograd keeps about a gigabyte
