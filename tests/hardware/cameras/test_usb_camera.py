"""USB cameras: OpenCV's own V4L2 code talks to a device whose calls are answered from a socket.

The device must be there when a process starts, so the contract tests run in one of their own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The preloaded device."""
    built = tmp_path_factory.mktemp("v4l2") / "v4l2_camera.so"
    command = [
        "cc",
        "-shared",
        "-fPIC",
        "-O1",
        "-o",
        str(built),
        str(HERE / "v4l2_camera.c"),
        "-ldl",
    ]
    subprocess.run(command, check=True)
    return built


@pytest.mark.slow
def test_a_usb_camera_keeps_the_contract(library: Path, tmp_path: Path) -> None:
    place = tmp_path / "video0"
    environment = {**os.environ, "LD_PRELOAD": str(library), "V4L2_CAMERA": str(place)}
    tests = [str(HERE / "test_camera_contract.py"), str(HERE / "test_usb_device.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-k", "usb", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) >= 16, done.stdout
