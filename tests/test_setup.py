"""Set-up: what is missing is named, the second time does nothing, shells are kept clean."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SETUP = ROOT / "setup.bash"
# What sourcing a ROS 2 sets, and setup.bash builds upon.
SOURCED = ("ROS_DISTRO", "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "AMENT_PREFIX_PATH")


def bash(script: str, *, folder: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a script with only these variables and a plain PATH."""
    plain = {"PATH": os.defpath, "HOME": str(folder)}
    if "ROS_DISTRO" in os.environ:
        plain |= {name: os.environ[name] for name in SOURCED if name in os.environ}
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env=plain | variables, capture_output=True, text=True
    )


def load_bootstrap() -> ModuleType:
    """The set-up program as a module."""
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "ros_ws" / "bootstrap.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bootstrap"] = module
    spec.loader.exec_module(module)
    return module


# -- what the system must have


@pytest.mark.parametrize(
    ("present", "told"),
    [
        ([], "git; on Debian or Ubuntu: sudo apt install git"),
        (["git"], "make; on Debian or Ubuntu: sudo apt install make"),
        (["git", "make"], "a C++ compiler; on Debian or Ubuntu: sudo apt install g++"),
        (["git", "make", "c++"], "Python 3.11 to 3.13; on Debian or Ubuntu: sudo apt install"),
    ],
)
def test_a_missing_program_is_named(tmp_path: Path, present: list[str], told: str) -> None:
    for name in ["dirname", *present]:
        (tmp_path / name).symlink_to(shutil.which(name) or "/bin/true")
    done = subprocess.run(
        ["/bin/sh", ROOT / "ros_ws" / "bootstrap.sh"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert told in done.stderr and done.stderr.count("\n") == 1


def test_a_second_set_up_does_nothing_and_is_quick() -> None:
    make = ["make", "--no-print-directory", "setup"]
    subprocess.run(make, cwd=ROOT, capture_output=True, check=True)
    started_s = time.monotonic()
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True)
    assert time.monotonic() - started_s < 10
    assert done.stdout.startswith("Set-up is complete.") and done.stdout.count("\n") == 1


# -- stages


def test_a_stage_is_built_once_per_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap = load_bootstrap()
    monkeypatch.setattr(bootstrap, "STAMPS", tmp_path / "stamps")
    built: list[str] = []

    def stage(key: str) -> Any:
        product = tmp_path / "product"

        def build() -> None:
            built.append(key)
            product.touch()

        return bootstrap.Stage("a", "a", key, product, build)

    for key in ("1", "1", "2", "2"):
        one = stage(key)
        if not one.is_done():
            one.run()
    assert built == ["1", "2"]
    (tmp_path / "product").unlink()
    assert not stage("2").is_done(), "what it made is gone"


def test_a_failed_stage_leaves_no_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap = load_bootstrap()
    monkeypatch.setattr(bootstrap, "STAMPS", tmp_path / "stamps")
    good = bootstrap.Stage("a", "a", "1", tmp_path, lambda: None)
    good.run()
    assert good.is_done() and not good.started.exists()

    def interrupt() -> None:
        raise KeyboardInterrupt

    bad = bootstrap.Stage("a", "a", "2", tmp_path, interrupt)
    with pytest.raises(KeyboardInterrupt):
        bad.run()
    assert not good.is_done() and not bad.is_done()
    assert bad.started.exists(), "so that the next set-up knows of it"


def test_wheels_are_mended_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap = load_bootstrap()
    monkeypatch.setattr(bootstrap, "VENV", tmp_path)
    monkeypatch.setattr(bootstrap, "SITE_PACKAGES", tmp_path / "site")
    folder = tmp_path / "share" / "std_msgs" / "cmake"
    folder.mkdir(parents=True)
    python, numpy = "/opt/python/cp311-cp311/include/python3.11", "numpy/_core/include"
    wheel = f'"{python};/opt/python/cp311-cp311/lib/python3.11/site-packages/{numpy};/opt/other"'
    (folder / "a.cmake").write_text(wheel)
    for _ in range(2):
        bootstrap.mend_ros_wheels()
        mended = (folder / "a.cmake").read_text()
        assert mended == f'"{sysconfig.get_path("include")};{tmp_path}/site/{numpy};/opt/other"'


@pytest.mark.skipif("ROS_DISTRO" in os.environ, reason="a sourced ROS 2 brings its own versions")
def test_every_installed_package_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.partition(";")[0].strip() for line in lines if not line.startswith("#")]
    # A wheel of ROS brings a second entry under the name that the package has in ROS.
    known = set(pins) | {pin.removeprefix("ros-") for pin in pins} | {"asterias==0.1.0"}
    folder = ROOT / ".venv" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    installed = set()
    for package in importlib.metadata.distributions(path=[str(folder)]):
        name = re.sub(r"[-_.]+", "-", package.metadata["Name"]).lower()
        installed.add(f"{name}=={package.version.partition('+')[0]}")
    assert {package for package in installed - known if not package.startswith("pip==")} == set()


def test_the_lock_holds_the_pinned_versions_with_the_hashes_of_their_files() -> None:
    bootstrap = load_bootstrap()
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition(";")[0].strip() for line in pins if not line.startswith("#")}
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", bootstrap.LOCK.read_text())[1:]
    for block in blocks:
        assert block.split()[0] in pinned
        assert re.fullmatch(r"(?s)[^\n]*\\\n(?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", block)
    locked = {block.split("==")[0] for block in blocks}
    needed = {re.split(r"[=<>\[ ]", line)[0].lower() for line in project_dependencies()}
    assert needed - locked == {"torch", "asterias"}


def project_dependencies() -> list[str]:
    """What pyproject.toml asks for, for the program, for ROS, to build and to develop."""
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *extras["ros"], *extras["build"], *extras["dev"]]


def test_a_file_that_is_not_the_locked_one_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bootstrap = load_bootstrap()
    # A wheel is a zip file; this one is not the one whose hash is in the lock.
    about = "stranger-1.0.dist-info"
    with zipfile.ZipFile(tmp_path / "stranger-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    (tmp_path / "lock").write_text(f"stranger==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / "venv")
    monkeypatch.setattr(bootstrap, "STAMPS", tmp_path)
    where = ("--no-index", "--find-links", tmp_path, "--target", tmp_path / "site")
    with pytest.raises(bootstrap.SetUpError, match="Set-up stopped"):
        bootstrap.pip_install(*bootstrap.CHECKED, *where, "-r", tmp_path / "lock")
    assert "DO NOT MATCH THE HASHES" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


# -- setup.bash


def test_sourcing_gives_the_commands_and_the_packages() -> None:
    script = f'cd /; source "{SETUP}" && type -P python ros2 && python -c "import sim, rclpy"'
    done = bash(script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"{ROOT}/.venv/bin/python"


def test_sourcing_completes_words_where_a_person_types() -> None:
    typed = ["bash", "--norc", "-ic", f'source "{SETUP}" && complete -p ros2']
    done = subprocess.run(typed, capture_output=True, text=True)
    assert "-F _python_argcomplete ros2" in done.stdout, done.stderr
    assert bash(f'source "{SETUP}" && ! complete -p ros2 2>/dev/null').returncode == 0


def test_sourcing_twice_changes_nothing_more() -> None:
    done = bash(
        f'source "{SETUP}"; env | sort > once; source "{SETUP}"; env | sort | diff once -',
        folder=ROOT / ".venv",
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_sourcing_leaves_nothing_of_its_own_behind() -> None:
    done = bash(
        f'set -u; before="$- $(shopt)"; source "{SETUP}"; [ "$before" = "$- $(shopt)" ] && '
        "! { set; declare -F; } | grep ^_asterias"
    )
    assert done.returncode == 0, done.stdout


def test_sourcing_respects_what_the_user_has_set() -> None:
    done = bash(
        f'source "{SETUP}"; echo $ROS_AUTOMATIC_DISCOVERY_RANGE $FASTDDS_BUILTIN_TRANSPORTS',
        ROS_AUTOMATIC_DISCOVERY_RANGE="SUBNET",
        FASTDDS_BUILTIN_TRANSPORTS="UDPv4",
    )
    assert done.stdout.split() == ["SUBNET", "UDPv4"]
    assert bash(f'source "{SETUP}"; echo $ROS_AUTOMATIC_DISCOVERY_RANGE').stdout == "LOCALHOST\n"


def test_sourcing_without_set_up_says_what_to_do(tmp_path: Path) -> None:
    shutil.copy(SETUP, tmp_path)
    done = bash(f'source "{tmp_path}/setup.bash"; echo $?')
    assert done.stdout == "1\n"
    assert done.stderr == f"Asterias is not set up yet: run 'make setup' in {tmp_path} first.\n"


def test_sourcing_a_moved_clone_says_what_to_do(tmp_path: Path) -> None:
    shutil.copy(SETUP, tmp_path)
    (tmp_path / ".venv").mkdir()
    shutil.copy(ROOT / ".venv" / "asterias.sh", tmp_path / ".venv")
    done = bash(f'source "{tmp_path}/setup.bash"; echo $?')
    assert done.stdout == "1\n" and "was moved" in done.stderr


# -- packages


def test_a_python_without_a_wheel_of_pybullet_does_without_it_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bootstrap = load_bootstrap()
    asked: list[str] = []
    for name in ("install", "pip_install"):
        monkeypatch.setattr(bootstrap, name, lambda *words: asked.extend(map(str, words)))
    monkeypatch.setattr(bootstrap, "mend_ros_wheels", lambda: None)
    monkeypatch.setattr(bootstrap, "STAMPS", tmp_path)
    monkeypatch.setattr(bootstrap, "TORCH_INDEX", "")
    monkeypatch.setattr(bootstrap, "LAST_PYBULLET_PYTHON", (3, 10))
    bootstrap.install_packages()
    told = capsys.readouterr().out
    assert told.startswith("PyBullet has no wheel for Python 3.") and told.count("\n") == 1
    assert not [word for word in asked if "pybullet" in word]
    monkeypatch.setattr(bootstrap, "LAST_PYBULLET_PYTHON", sys.version_info[:2])
    monkeypatch.setattr(bootstrap, "PYBULLET_MACHINE", os.uname().machine)
    bootstrap.install_packages()
    assert capsys.readouterr().out == ""


def test_the_lock_asks_for_pybullet_only_where_it_has_wheels() -> None:
    bootstrap = load_bootstrap()
    line = next(line for line in bootstrap.LOCK.read_text().splitlines() if "pybullet==" in line)
    newest = ".".join(map(str, (3, bootstrap.LAST_PYBULLET_PYTHON[1] + 1)))
    assert f"python_full_version < '{newest}'" in line
    assert f"platform_machine == '{bootstrap.PYBULLET_MACHINE}'" in line


def test_what_pip_is_told_is_handed_over_to_uv() -> None:
    installer = load_bootstrap().package_installer
    listing = (
        "global.index-url='https://a/simple'\n"
        "global.extra-index-url='https://b/simple https://c/simple'\n"
        "global.proxy='http://never'\n"
        "install.proxy='http://p:1'\n"
        ":env:.find-links='/w1 /w2'\n"
        "global.format='columns'\n"
        "download.index-url='https://other/simple'\n"
    )
    assert installer.uv_variables(installer.pip_settings(listing)) == {
        "UV_DEFAULT_INDEX": "https://a/simple",
        "UV_INDEX": "https://b/simple https://c/simple",
        "UV_FIND_LINKS": "/w1,/w2",
        "ALL_PROXY": "http://p:1",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    assert installer.uv_variables({}) == {"UV_INDEX_STRATEGY": "unsafe-best-match"}


def test_where_hashes_are_checked_bounds_of_a_site_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installer = load_bootstrap().package_installer
    monkeypatch.setenv("PIP_CONSTRAINT", "/bounds.txt")
    python = Path(sys.executable)
    monkeypatch.delenv("UV_CONSTRAINT", raising=False)
    assert installer.uv_environment(python)["UV_CONSTRAINT"] == "/bounds.txt"
    assert "UV_CONSTRAINT" not in installer.uv_environment(python, ("--require-hashes",))
    monkeypatch.setenv("UV_CONSTRAINT", "/mine.txt")
    assert installer.uv_environment(python)["UV_CONSTRAINT"] == "/mine.txt"


def test_without_uv_pip_installs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bootstrap = load_bootstrap()
    asked: list[tuple[str, ...]] = []

    def refuse(*words: str) -> None:
        raise bootstrap.SetUpError("no such package")

    monkeypatch.setattr(bootstrap, "VENV", tmp_path)
    monkeypatch.setattr(bootstrap, "STAMPS", tmp_path)
    monkeypatch.setattr(bootstrap, "pip_install", refuse)
    bootstrap.install_uv(tmp_path / "constraints.txt")
    assert "so pip installs" in capsys.readouterr().out
    monkeypatch.setattr(bootstrap, "pip_install", lambda *words: asked.append(words))
    bootstrap.install("numpy")
    assert asked == [("numpy",)]
