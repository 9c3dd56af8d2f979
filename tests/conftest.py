"""Shared by all tests: each test process is alone on a ROS 2 domain and has settings of its own.

``make test`` runs them in parallel processes, a file always as a whole. Launched systems, which
fill a core each, all run in one process, so that no two of them disturb each other; what else takes
long comes early, so that no process is still busy when all others have ended.
"""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from asterias_nodes.runtime.domains import reserve_domain_id

# Files whose tests start whole systems: one group.
SYSTEMS = ("tests/system/", "tests/docs/test_documents.py")
# Files that take longest, but for those, the longest first.
LONG = (
    "tests/ros_ws/test_dashboard.py",
    "tests/ros2_command/test_graph_verbs.py",
    "tests/ros_ws/test_navigation.py",
    "tests/learning/policy_search/test_policy_learners.py",
    "tests/learning/target_finding/test_training_commands.py",
    "tests/ros_ws/test_recorder.py",
    "tests/learning/target_finding/test_target_finding_env.py",
    "tests/ros_ws/test_emergency_stop.py",
    "tests/learning/test_environment_contract.py",
    "tests/examples/",
    "tests/ros_ws/",
    "tests/hardware/cameras/",
)

# Real processes, devices and discovery, on a machine that may be busy with something else: what was
# too late has two more tries, and the report counts them.
ON_THE_CLOCK = (
    "tests/asterias/",
    "tests/docs/",
    "tests/examples/",
    "tests/hardware/",
    "tests/learning/",
    "tests/planners/",
    "tests/ros2_command/",
    "tests/ros_ws/",
    "tests/sim/",
    "tests/system/",
    "tests/test_wheel.py",
)
RERUNS = pytest.mark.flaky(reruns=2, reruns_delay=2)

os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
_HOME = tempfile.mkdtemp(prefix="asterias_test_home_")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
# Calibrations, and what a robot remembers from one run to the next.
os.environ["XDG_CONFIG_HOME"] = f"{_HOME}/config"
os.environ["XDG_STATE_HOME"] = f"{_HOME}/state"


# Imports and the list of tests are a million objects that stay: the collector of garbage looks at
# them neither while they are made nor afterwards.
gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Let the collector of garbage look at what the tests make, and at nothing older."""
    gc.freeze()
    gc.enable()


class _Scheduler(LoadFileScheduling):
    """Hands files to processes, and all launched systems to one of them."""

    def _split_scope(self, nodeid: str) -> str:
        return "systems" if nodeid.startswith(SYSTEMS) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return what hands out the tests for ``--dist loadfile``."""
    return _Scheduler(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes ``-n auto`` means: one more than cores, since nodes mostly wait.

    Each starts nodes of its own; with still more, tests of the wall clock are late.
    """
    return min((os.cpu_count() or 1) + 1, 8)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that wait for the clock; in parallel runs, bring long files first."""
    for item in items:
        if item.nodeid.startswith(ON_THE_CLOCK):
            item.add_marker(RERUNS)
    if hasattr(config, "workerinput"):
        items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    if item.nodeid.startswith(SYSTEMS):
        return -1
    found = (place for place, start in enumerate(LONG) if item.nodeid.startswith(start))
    return next(found, len(LONG))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread: networks as small as those of tests are slower with more."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
