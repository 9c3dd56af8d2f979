"""The wheel works outside the checkout: commands, robots, weights, and Gymnasium's plain names.

It is built from a copy of the tracked files and installed into an environment that sees the
packages of this one, for the dependencies, but not this checkout.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SITE = Path(sysconfig.get_path("purelib"))
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
# Where the checkout is not warm, numba compiles for half a minute of processor time.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Run = Callable[..., subprocess.CompletedProcess[str]]


def copy_of_the_checkout(folder: Path) -> Path:
    """Copy what git tracks, or would; links stay links."""
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in names:
        source, target = ROOT / name, folder / name
        if name and (source.is_file() or source.is_symlink()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = copy_of_the_checkout(folder / "source")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "-w", folder]
    done = subprocess.run([*PIP, "wheel", *options, source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("asterias-*.whl")
    return built


@pytest.fixture(scope="module")
def run(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a command of an environment with the wheel, in an empty folder."""
    folder = tmp_path_factory.mktemp("installed")
    venv, work = folder / "venv", folder / "work"
    work.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    python = venv / "bin" / "python"
    target = venv / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    options = ["install", "--no-deps", "--no-index", "--no-compile", wheel]
    subprocess.run([*PIP, "--python", python, *options], check=True)
    # A line of a .pth file that is no import adds a folder, whose own .pth files are not read.
    (target / "dependencies.pth").write_text(f"{SITE}\n")
    bring_machine_code(target)

    def run_there(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(work), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [str(venv / "bin" / words[0]), *words[1:]],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
        )

    return run_there


def bring_machine_code(target: Path) -> None:
    """Let the installed modules use what numba has compiled for the same ones of the checkout.

    numba's index holds a source file's time and size, so the times are made the same.
    """
    for room in ("sim", "planners"):
        for source in (ROOT / room).rglob("*.py"):
            twin = target / source.relative_to(ROOT)
            shutil.copystat(source, twin)
            for cache in (source.parent / "__pycache__").glob(f"{source.stem}.*.nb[ci]"):
                twin.with_name("__pycache__").mkdir(exist_ok=True)
                shutil.copy2(cache, twin.parent / "__pycache__" / cache.name)


def test_everything_that_the_packages_read_is_inside(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
    data = [
        *(ROOT / "launch").rglob("*.*"),
        *(ROOT / "planners" / "weights").rglob("*.*"),
        *(ROOT / "learning" / "target_finding" / "weights").rglob("*.*"),
    ]
    expected = {str(path.relative_to(ROOT)) for path in data if path.is_file()}
    expected = {f"asterias/{one}" if one.startswith("launch/") else one for one in expected}
    assert expected and expected - names == set()
    assert "asterias_gymnasium.pth" in names
    tops = {name.partition("/")[0] for name in names}
    assert not tops & {"tests", "docs", "results", "ros_ws", "launch", "build"}


def test_the_metadata_says_what_a_page_of_packages_shows(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        (name,) = [name for name in content.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = content.read(name).decode()
    head = metadata.partition("\n\n")[0]
    assert "Author: the Asterias developers" in head and "Keywords: " in head
    assert "Classifier: Operating System :: POSIX :: Linux" in head
    needed = [line for line in head.splitlines() if line.startswith("Requires-Dist: ")]
    assert needed and not [line for line in needed if "==" in line.partition(";")[0]]


def test_the_version_is_told(run: Run) -> None:
    done = run("asterias", "--version")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("asterias ")


def test_the_robot_is_drawn(run: Run) -> None:
    done = run("asterias", "sim", "view", "--robot", "limb_p1", "--settle-s", "0.1")
    assert done.returncode == 0, done.stderr
    assert "limb_p1" in done.stdout


def test_a_path_is_planned_with_our_weights(run: Run) -> None:
    maze = "planners mazes --out maze.npz --size 15 --count 1 --seed 5"
    plan = "planners plan --maze maze.npz --start 1,1 --goal 13,13 --out plan.png"
    for words in (maze, plan):
        done = run("asterias", *words.split())
        assert done.returncode == 0, done.stderr
    assert "dt_vin_15" in done.stdout and "optimal" in done.stdout


def test_gymnasium_makes_an_environment_by_its_plain_name(run: Run) -> None:
    code = (
        "import sys, gymnasium\n"
        "made = gymnasium.make('Asterias/TargetFinding-v0')\n"
        "print(made.reset(seed=1)[0].shape, sys.modules['sim'].__file__)\n"
    )
    done = run("python", "-c", code)
    assert done.returncode == 0, done.stderr
    shape, _, place = done.stdout.strip().rpartition(" ")
    assert shape == "(8,)" and not place.startswith(str(ROOT))


def test_the_module_of_the_environments_may_be_imported_first(run: Run) -> None:
    code = "import learning.environments, gymnasium; gymnasium.spec('Asterias/BallMaze-v0')"
    done = run("python", "-c", code)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_nothing_is_imported_for_gymnasium_before_it_is(run: Run) -> None:
    code = "import sys; print({'gymnasium', 'numpy', 'learning'} & set(sys.modules))"
    done = run("python", "-c", code)
    assert (done.stdout, done.stderr) == ("set()\n", "")
