"""An installed package adds things of each kind by entry points, and a broken one stops nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def install(folder: Path, group: str, entry_points: str, module: str) -> dict[str, str]:
    """Make a folder look like one in which a package is installed; return its environment."""
    about = folder / "stranger-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        f"[{group}]\n{entry_points}\nbroken = stranger_is_not_here:NOTHING\n"
    )
    (folder / "stranger.py").write_text(module)
    paths = [str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def asterias(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process that sees the package."""
    return subprocess.run(
        [sys.executable, "-m", "asterias", *words],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


NETWORK = """
from planners.networks.vin import VIN


class StrangerVIN(VIN):
    '''A network that differs by its name alone.'''
"""


@pytest.mark.slow
def test_a_planner_network_is_trained_and_plans_by_its_name(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    np = pytest.importorskip("numpy")
    environment = install(
        tmp_path / "site", "asterias.planners", "stranger_vin = stranger:StrangerVIN", NETWORK
    )
    options = ["--mazes", "64", "--validation", "4", "--epochs", "1", "--depth", "4", "--size", "9"]
    options += ["--no-tensorboard", "--stratify", "", "--threads", "1", "--model", "stranger_vin"]
    out = tmp_path / "run"
    done = asterias(environment, "planners", "train", "15", "--out", str(out), *options)
    assert done.returncode == 0, done.stderr
    broken = [line for line in done.stderr.splitlines() if "broken" in line]
    assert len(broken) == 1 and "package stranger is left out: ModuleNotFoundError" in broken[0]
    picture = np.pad(np.full((3, 3), 255, np.uint8), 1)
    cv2.imwrite(str(tmp_path / "maze.png"), picture)
    weights = out / "weights.safetensors"
    plan = asterias(
        environment,
        *("planners", "plan", "--maze", str(tmp_path / "maze.png"), "--start", "1,1"),
        *("--goal", "1,2", "--weights", str(weights), "--json", str(tmp_path / "plan.json")),
    )
    assert "Traceback" not in plan.stderr and (tmp_path / "plan.json").is_file()
    wrong = asterias(
        environment, "planners", "train", "15", "--out", str(out), "--model", "strange"
    )
    assert wrong.returncode == 2 and "stranger_vin" in wrong.stderr


SKILL = """
from learning.agents.messages import Answer
from learning.agents.skills.skill import Skill


async def wave(body, call):
    return Answer("I have waved")


WAVE = Skill("wave", wave, moves=True, example="wave", phrases=("wave(?: your hand)?",))
MISNAMED = Skill("nod", wave, moves=True, example="nod", phrases=("nod",))
"""
USE_SKILL = """
from pathlib import Path
from learning.agents.skills.orders import orders_understood, read_order
from learning.agents.skills.registry import SKILLS
from learning.agents.skills.skill_gate import load_skill_rules
print(SKILLS.names()[-1], read_order("please wave your hand").calls)
print(orders_understood(SKILLS.names()))
print(list(load_skill_rules(Path("skills.yaml"))))
"""


def test_a_skill_is_ordered_offered_and_allowed_by_its_name(tmp_path: Path) -> None:
    points = "wave = stranger:WAVE\nbow = stranger:MISNAMED"
    environment = install(tmp_path / "site", "asterias.skills", points, SKILL)
    (tmp_path / "skills.yaml").write_text("skills:\n  wave: {}\n")
    done = run_python(environment, USE_SKILL, tmp_path)
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first == "wave [{'skill': 'wave', 'numbers': {}}]"
    assert "'wave' (wave)" in second and third == "['wave']"
    skipped = done.stderr.splitlines()
    assert len(skipped) == 2 and "'bow'" in skipped[0] and "'broken'" in skipped[1]


EXPORTER = """
from learning.recordings.exporters.registry import Exporter


def write(episodes, out, options):
    out.write_text(f"{len(episodes)} episodes")


TEXT = Exporter(
    "one line of text", write, lambda path: path.suffix == ".line", lambda path: [path.read_text()]
)
"""
USE_EXPORTER = """
from pathlib import Path
from learning.recordings.datasets import load_episodes
print(load_episodes(Path("set.line")))
"""


def test_a_format_of_data_sets_is_offered_and_read_back(tmp_path: Path) -> None:
    environment = install(tmp_path / "site", "asterias.exporters", "line = stranger:TEXT", EXPORTER)
    offered = asterias(environment, "learning", "recordings", "export", "--help")
    assert offered.returncode == 0 and "line: one line of text" in " ".join(offered.stdout.split())
    (tmp_path / "set.line").write_text("2 episodes")
    done = run_python(environment, USE_EXPORTER, tmp_path)
    assert done.stdout == "['2 episodes']\n", done.stderr
    assert [line for line in done.stderr.splitlines() if "'broken'" in line]


def run_python(
    environment: dict[str, str], code: str, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run a program in a process that sees the package."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        check=False,
    )
