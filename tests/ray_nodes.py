"""A Ray cluster of this machine: nodes with real workers, one of which can be killed."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

MEMORY_BYTES = 80_000_000  # of the object store; more than the least that Ray takes


class Nodes:
    """A head with one core, and a second node with one core."""

    def __init__(self, cluster: Any, second: Any) -> None:
        self._cluster, self._second = cluster, second
        self.address: str = cluster.address

    def busy_workers(self) -> list[psutil.Process]:
        """Return the second node's workers that run a job."""
        raylet = psutil.Process(self._second.all_processes["raylet"][0].process.pid)
        # Workers are called after the function that they run.
        return [child for child in raylet.children(recursive=True) if "_run_job" in _name(child)]

    def kill_second(self) -> None:
        """Kill the second node and its workers, as a power cut would."""
        workers = self.busy_workers()
        self._cluster.remove_node(self._second, allow_graceful=False)
        for worker in workers:
            if worker.is_running():
                worker.kill()


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@contextmanager
def ray_nodes() -> Iterator[Nodes]:
    """Start both nodes; end them with the block."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    # Ray's sockets are files with paths of 107 characters at most: pytest's folders are too deep.
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    Path("/tmp/ray").mkdir(exist_ok=True)  # where Ray notes the address of what runs here
    node = {"num_cpus": 1, "object_store_memory": MEMORY_BYTES, "include_dashboard": False}
    # Workers find what tests share as the tests do.
    paths = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), paths or ""])
    head = {**node, "temp_dir": str(folder)}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        second = cluster.add_node(**node)
        cluster.wait_for_nodes()
        yield Nodes(cluster, second)
    finally:
        cluster.shutdown()
        os.environ.pop("PYTHONPATH")
        if paths is not None:
            os.environ["PYTHONPATH"] = paths
        shutil.rmtree(folder, ignore_errors=True)


def wait_until(is_so: Callable[[], object], limit_s: float = 60.0) -> None:
    """Wait for a condition."""
    end_s = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < end_s, "it did not come about"
        time.sleep(0.05)
