"""The bench runs, writes what it measured, and says how."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from planners.operator.value_iteration import value_iteration
from planners.training.benchmark import EAGER, BenchConfig, bench, eager, training_memory_mb


def test_a_little_bench_writes_its_figures(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    config = BenchConfig("9x20", repeats=1, memory=False, json=tmp_path / "bench.json")
    lines = list(bench(config))
    torch.set_num_threads(threads)
    assert len(lines) == 2 and "BFS" in lines[1]
    result = json.loads((tmp_path / "bench.json").read_text())
    row = result["operator"][0]
    assert row["cpu_ms"] > 0 and row["eager_ms"] == min(row["eager_forms_ms"].values())
    assert row["eager_train_ms"] == row["eager_train_forms_ms"][row["eager_train_form"]]
    assert "processor" in result["machine"]
    with pytest.raises(ValueError, match="size x depth"):
        list(bench(BenchConfig("large")))


def test_the_plain_forms_compute_the_same() -> None:
    draw = torch.Generator().manual_seed(0)
    transition = torch.randn(2, 4, 9, 6, 7, generator=draw).softmax(dim=2)
    reward = torch.randn(2, 6, 7, generator=draw)
    expected = value_iteration(transition, reward, 6, (3, 6), backend="reference").sum()
    for form in EAGER:
        torch.testing.assert_close(eager(form, transition, reward, 6, 3), expected)


def test_memory_of_a_training_step_does_not_grow_with_the_depth() -> None:
    assert training_memory_mb(40, 2000) < 60  # plain autograd keeps about a gigabyte


def test_the_closed_form_is_measured_beside_search(tmp_path: Path) -> None:
    out = tmp_path / "closed_form.json"
    config = BenchConfig("15x200,21x400", repeats=1, closed_form=True, json=out)
    threads = torch.get_num_threads()
    assert len(list(bench(config))) == 2
    torch.set_num_threads(threads)
    rows = json.loads(out.read_text())["rows"]
    assert [row["size"] for row in rows] == [15, 21]
    assert all(row["closed_form_ms"] > row["bfs_ms"] > 0 for row in rows)


def test_one_thread_and_two_are_measured_in_turns(tmp_path: Path) -> None:
    out, threads = tmp_path / "two_threads.json", torch.get_num_threads()
    assert len(list(bench(BenchConfig("40x16", repeats=1, two_threads=True, json=out)))) == 1
    assert torch.get_num_threads() == 1
    torch.set_num_threads(threads)
    row = json.loads(out.read_text())["rows"][0]
    assert row["train_cpu_ms"] > row["forward_cpu_ms"] > 0 and row["train_two_ms"] > 0
    assert row["train_half_cpu_ms"] > row["forward_half_cpu_ms"] > 0
