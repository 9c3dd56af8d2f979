"""The processes of a soak: started, killed, started again, and measured meanwhile."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from ament_index_python.packages import get_package_prefix

STOP_TIMEOUT_S = 15.0
# Until then a node still imports, compiles and meets its peers: its memory and files grow by right.
WARM_UP_S = 60.0


@dataclass
class Sample:
    """What a process used at one moment.

    Attributes:
        age_s: since its start.
        rss_bytes: resident memory.
        files: open file descriptors.
    """

    age_s: float
    rss_bytes: int
    files: int


@dataclass
class Life:
    """One process of a node, from its start to its end.

    Attributes:
        node: name of the executable.
        started_s: monotonic time.
        samples: in the order of time.
        status: exit code; None while it runs, negative for the signal that ended it.
    """

    node: str
    started_s: float
    samples: list[Sample] = field(default_factory=list)
    status: int | None = None

    def settled(self) -> list[Sample]:
        """Return the samples after the warm-up."""
        return [sample for sample in self.samples if sample.age_s >= WARM_UP_S]

    def growth(self, what: str) -> float:
        """Return by how much an attribute of the samples grew after the warm-up.

        The medians of the first and the last quarter are compared; 0 for a life that was too short.
        """
        values = [float(getattr(sample, what)) for sample in self.settled()]
        quarter = len(values) // 4
        if not quarter:
            return 0.0
        return _median(values[-quarter:]) - _median(values[:quarter])


class SoakNode:
    """A node as a process of its own that may be killed and started again.

    Args:
        name: the executable of asterias_nodes.
        parameters: of the node; ``{life}`` in a value becomes the number of the life.
        environment: of the process.
        logs: folder for what it prints.
    """

    def __init__(
        self,
        name: str,
        parameters: Mapping[str, object],
        environment: Mapping[str, str],
        logs: Path,
    ) -> None:
        self.name = name
        self.lives: list[Life] = []
        self._parameters, self._environment, self._logs = parameters, environment, logs
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process."""
        number = len(self.lives)
        folder = Path(get_package_prefix("asterias_nodes")) / "lib" / "asterias_nodes"
        command = [str(folder / self.name), "--ros-args"]
        for key, value in self._parameters.items():
            command += ["-p", f"{key}:={str(value).replace('{life}', str(number))}"]
        with (self._logs / f"{self.name}_{number}.log").open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(self._environment),
                start_new_session=True,
            )
        self.lives.append(Life(self.name, time.monotonic()))

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait; a process that does not end is killed.

        Returns:
            The exit code.
        """
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            status = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            status = self._process.wait()
        self.lives[-1].status = status
        return status

    def sample(self) -> None:
        """Measure the process now."""
        if self._process is None or not self.is_running:
            return
        life = self.lives[-1]
        try:
            process = psutil.Process(self._process.pid)
            rss, files = process.memory_info().rss, process.num_fds()
        except psutil.Error:
            return
        life.samples.append(Sample(time.monotonic() - life.started_s, rss, files))


class Fleet:
    """All nodes of a soak.

    Args:
        nodes: in the order in which they are started.
        seed: of who dies how.
    """

    def __init__(self, nodes: list[SoakNode], seed: int) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.kills: list[dict[str, object]] = []
        self.died: list[str] = []
        self._rng = random.Random(seed)
        self._waiting: list[str] = []

    def start(self) -> None:
        """Start all."""
        for node in self.nodes.values():
            node.start()

    def kill_one(self) -> str:
        """End the next node in a random order, by SIGKILL two times of three.

        Returns:
            Its name.
        """
        if not self._waiting:
            self._waiting = self._rng.sample(sorted(self.nodes), len(self.nodes))
        name = self._waiting.pop()
        self.end(name, self._rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)))
        return name

    def end(self, name: str, number: signal.Signals) -> None:
        """End a node on purpose."""
        status = self.nodes[name].end(number)
        self.kills.append({"node": name, "signal": number.name, "status": status})

    def revive(self) -> None:
        """Start what does not run; note what has died by itself."""
        for node in self.nodes.values():
            if not node.is_running:
                if node.lives[-1].status is None:
                    status = node.end(signal.SIGKILL)
                    self.died.append(f"{node.name}: {status}")
                node.start()

    def sample(self) -> int:
        """Measure all.

        Returns:
            The resident memory of all together.
        """
        for node in self.nodes.values():
            node.sample()
        return sum(
            node.lives[-1].samples[-1].rss_bytes
            for node in self.nodes.values()
            if node.is_running and node.lives[-1].samples
        )

    def stop(self) -> list[str]:
        """End all in the reverse order.

        Returns:
            The names of those that did not end cleanly.
        """
        bad = []
        for node in reversed(list(self.nodes.values())):
            was_running = node.is_running
            if node.end(signal.SIGINT) != 0 and was_running:
                bad.append(node.name)
        return bad

    def lives(self) -> list[Life]:
        """Return the lives of all nodes."""
        return [life for node in self.nodes.values() for life in node.lives]


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
