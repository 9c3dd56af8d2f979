"""``python -m sim``, as users type it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from command_line import run_here

ROOT = Path(__file__).resolve().parents[2]


def run_sim(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_here("sim", *arguments)


def test_view_draws_the_limb_and_its_tiles(tmp_path: Path) -> None:
    out = tmp_path / "view.png"
    positions = ("0.1", "-0.2", "0.0", "0.4")
    done = run_sim("view", "--out", str(out), "--positions-rad", *positions)
    assert done.returncode == 0, done.stderr
    picture = cv2.imread(str(out))
    assert picture is not None and picture.shape[0] > 500
    assert picture.std() > 20


def test_bench_writes_a_result_file(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    done = run_sim("bench", "--duration-s", "0.5", "--repeats", "2", "--json", str(out))
    assert done.returncode == 0, done.stderr
    assert "x real time" in done.stdout
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert figures["real_time_factor"]["median"] > 0
    assert figures["cameras"] == ["96x96 at 10 Hz"] * 4
    assert {"command", "versions", "machine"} <= set(figures)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("view", "--robot", "limb_p2"), "did you mean 'limb_p1'"),
        (("view", "--positions-rad", "1.0", "2.0"), "takes 4 values (shoulder_yaw"),
        (("view", "--out", "/nowhere/view.png"), "/nowhere/view.png"),
        (("bench", "--renderer", "egl"), "set backend.renderer to raster"),
        (("view", "--positions-rad", "9", "0", "0", "0"), "shoulder_yaw takes -1.5708 to 1.5708"),
        (("view", "--positions-rad", "nan", "0", "0", "0"), "shoulder_yaw takes"),
        (("bench", "--repeats", "0"), "--repeats takes 1 or more"),
        (("bench", "--duration-s", "nan"), "--duration-s takes 0.1 or more"),
        (("warm", "--robot", "/nowhere/limb.yaml"), "/nowhere/limb.yaml"),
    ],
)
def test_mistakes_are_one_sentence(arguments: tuple[str, ...], words: str) -> None:
    done = run_sim(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_warm_says_nothing_but_the_renderer() -> None:
    command = [sys.executable, "-m", "sim", "warm"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr == "Cameras are drawn by compiled loops on the CPU.\n"
