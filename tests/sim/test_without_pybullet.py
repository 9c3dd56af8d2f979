"""Where PyBullet is not installed, everything works but what only PyBullet does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# ``None`` in ``sys.modules`` makes an import fail as if there were no such package.
HIDE = (
    "import sys\n"
    "for name in ('pybullet', 'pybullet_utils', 'pybullet_utils.bullet_client'):\n"
    "    sys.modules[name] = None\n"
)


def run_without(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a process that has no PyBullet."""
    return subprocess.run(
        [sys.executable, "-c", HIDE + code],
        cwd=folder,
        env=os.environ,
        capture_output=True,
        text=True,
    )


def command(words: str) -> str:
    """Code that runs ``asterias WORDS``."""
    return f"from asterias.__main__ import main; sys.exit(main({words.split()!r}))"


def test_physics_runs_without_pictures(tmp_path: Path) -> None:
    code = (
        "from sim.world import SimWorld\n"
        "with SimWorld('limb_p1', pictures=False) as world:\n"
        "    world.advance(0.1)\n"
        "    print(world.time_s, world.bodies[0].servo_rad.size)\n"
    )
    done = run_without(code, tmp_path)
    assert (done.stdout, done.returncode) == ("0.1 4\n", 0), done.stderr


def test_every_room_is_there(tmp_path: Path) -> None:
    code = (
        "import learning.environments, planners.planning.factory, hardware.factory, sim.ball_maze\n"
        "import sim.benchmarks.speed, learning.target_finding.env.environment, sim.emulation\n"
        "import learning.doom_maze.environment, learning.ball_maze.environment\n"
    )
    done = run_without(code, tmp_path)
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.slow
def test_real_drivers_on_emulated_devices_work(tmp_path: Path) -> None:
    doctor = "hardware doctor --robot limb_p1 --backend emulated --family feetech"
    done = run_without(command(doctor), tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_pictures_are_drawn_and_the_target_is_found(tmp_path: Path) -> None:
    for words in ("sim view --out view.png", "learning evaluate --policy ppo_kill0 --episodes 2"):
        done = run_without(command(words), tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "view.png").stat().st_size > 10_000


@pytest.mark.slow
def test_pybullets_pictures_are_refused_in_one_sentence(tmp_path: Path) -> None:
    for words in (
        "sim view --renderer pybullet",
        "sim bench --against pybullet --repeats 1",
        "sim engines --repeats 1",
    ):
        done = run_without(command(words), tmp_path)
        lines = done.stderr.splitlines()
        assert done.returncode == 2 and "PyBullet, which is not installed" in lines[-1]
        assert "Traceback" not in done.stderr
