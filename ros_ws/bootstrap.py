"""Builds the virtual environment and the ROS 2 workspace; called by bootstrap.sh.

Uses the standard library only. Work is done in stages. A stage leaves a stamp with a hash of all it
depends on, and is skipped while that hash is unchanged; a stage that fails or is interrupted leaves
no stamp and is done again.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

# Python was started with -I, so that it finds nothing that lies about.
sys.path.insert(0, str(Path(__file__).resolve().parent))

import package_installer

ROOT = Path(__file__).resolve().parent.parent
WORKSPACE = ROOT / "ros_ws"
INSTALL = WORKSPACE / "install"
VENV = ROOT / ".venv"
STAMPS = VENV / ".setup"
GYMNASIUM_PTH = ROOT / "asterias" / "gymnasium_plugin" / "asterias_gymnasium.pth"
ENVIRONMENT_FILE = VENV / "asterias.sh"
COMPLETION_FILE = VENV / "ros2-completion.sh"
PYTHON_DIR = f"python{sys.version_info.major}.{sys.version_info.minor}"
SITE_PACKAGES = VENV / "lib" / PYTHON_DIR / "site-packages"
ROS_DISTRO = os.environ.get("ROS_DISTRO", "")
TORCH_INDEX = os.environ.get("TORCH_INDEX", "")
# Raised when the recipe below changes, so that existing environments are brought up to date.
RECIPE = "1"
# Interfaces of others that no wheel has; a sourced ROS 2 that has them brings its own.
STAND_INS = ("control_msgs", "tf2_msgs")
# Every package at its pinned version with the hashes of its files.
LOCK = ROOT / "requirements.lock"
EXTRAS_LOCK = ROOT / "requirements-extras.lock"
CHECKED = ("--require-hashes", "--no-deps")
PACKAGES_TITLE = "installing pinned packages (a minute or two; more where PyTorch is downloaded)"
WORKSPACE_TITLE = "building the ROS 2 workspace (a minute)"
EXTRAS_TITLE = "installing what a few tests need"
# What `make test-all` adds: packages that only a few tests use.
TEST_EXTRAS = "browser,docs,onnx,pyelastica,ray"
NEXT_STEP = "Set-up is complete. Next: make demo   (or, in your own shell: source setup.bash)"
# PyBullet has wheels up to this Python and for this machine, and takes ten minutes to compile.
LAST_PYBULLET_PYTHON, PYBULLET_MACHINE = (3, 11), "x86_64"
NO_PYBULLET = (
    f"PyBullet has no wheel for Python {sys.version_info.major}.{sys.version_info.minor} on "
    f"{platform.machine()}, so it is left out: our own renderer draws, and all works but the "
    "ball maze."
)
LOG_TAIL_LINES = 40
# A shell script and a Python program at once: a "#!" line could not hold a path with spaces.
ROS2_COMMAND = """#!/bin/sh
'''exec' "${0%/*}/python" "$0" "$@"
' '''
import sys

from asterias_ros2.main import main

sys.argv[0] = "ros2"
sys.exit(main())
"""


class SetUpError(Exception):
    """Set-up cannot go on; the message is one sentence for the person who started it."""


@dataclass(frozen=True)
class Stage:
    """One step of set-up.

    Attributes:
        name: of the stamp file.
        title: what a person reads while it runs.
        key: hash of everything that ``build`` depends on.
        product: a file that exists after ``build``.
        build: does the work.
    """

    name: str
    title: str
    key: str
    product: Path
    build: Callable[[], None]

    @property
    def stamp(self) -> Path:
        """File that holds the key of the last successful build."""
        return STAMPS / self.name

    @property
    def started(self) -> Path:
        """File that exists while the stage is being built."""
        return STAMPS / f"{self.name}.started"

    def is_done(self) -> bool:
        """Return whether the last build succeeded with the same key."""
        if not self.stamp.is_file() or not self.product.exists():
            return False
        return self.stamp.read_text(encoding="utf-8") == self.key

    def run(self) -> None:
        """Build the stage; the stamp is written last, and whole."""
        STAMPS.mkdir(parents=True, exist_ok=True)
        self.stamp.unlink(missing_ok=True)
        self.started.touch()
        self.build()
        STAMPS.mkdir(parents=True, exist_ok=True)
        write_whole(self.stamp, self.key)
        self.started.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def say(text: str) -> None:
    """Print one line of progress."""
    print(text, flush=True)


def fail(text: str, status: int = 1) -> NoReturn:
    """End with one sentence on stderr."""
    print(text, file=sys.stderr, flush=True)
    sys.exit(status)


def run(command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None) -> None:
    """Run a command quietly; show the end of its output when it fails.

    Raises:
        SetUpError: the command failed.
    """
    log = STAMPS / "last_command.log"
    with log.open("wb") as output:
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=ROOT,
        )
    if done.returncode != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print("\n".join(lines[-LOG_TAIL_LINES:]), file=sys.stderr)
        raise SetUpError(
            f"Set-up stopped: '{shlex.join(map(str, command))}' failed as shown above."
        )


def hash_of(*parts: str) -> str:
    """Return the hash of a list of texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def hash_of_files(files: Iterator[Path]) -> str:
    """Return the hash of names and contents."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


# -- stage 1: the virtual environment


def check_python() -> None:
    """Refuse a Python without the parts that Debian puts into extra packages.

    Raises:
        SetUpError: a part is missing.
    """
    needed = "Set-up needs {}; on Debian or Ubuntu: sudo apt install {}"
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        raise SetUpError(needed.format("Python's venv module", f"{PYTHON_DIR}-venv")) from error
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        raise SetUpError(needed.format("Python's C headers", f"{PYTHON_DIR}-dev"))


def make_venv() -> None:
    """Make a fresh environment; what was built with an older one is removed."""
    for built in (INSTALL, WORKSPACE / "build", WORKSPACE / "log"):
        shutil.rmtree(built, ignore_errors=True)
    if VENV.is_symlink():
        VENV.unlink()
    shutil.rmtree(VENV, ignore_errors=True)
    STAMPS.mkdir(parents=True)
    options = ["--system-site-packages"] if ROS_DISTRO else []
    run([sys.executable, "-m", "venv", *options, VENV])


# -- stage 2: the packages


def pip_install(*arguments: str | Path) -> None:
    """Run ``pip install`` inside the environment."""
    quiet = ("-q", "--disable-pip-version-check", "--no-input", "--progress-bar", "off")
    run([VENV / "bin" / "python", "-m", "pip", "install", *quiet, *arguments])


def install(*arguments: str | Path) -> None:
    """Install into the environment, with uv if it is there; the arguments are pip's."""
    python, uv = VENV / "bin" / "python", VENV / "bin" / "uv"
    if uv.is_file():
        run(
            package_installer.uv_command(uv, python, arguments),
            environment=package_installer.uv_environment(python, arguments),
        )
    else:
        pip_install(*arguments)


def has_pybullet() -> bool:
    """Return whether there is a wheel of PyBullet, as the marker in pyproject.toml says."""
    is_old_enough = sys.version_info[:2] <= LAST_PYBULLET_PYTHON
    return is_old_enough and platform.machine() == PYBULLET_MACHINE


def install_uv(constraints: Path) -> None:
    """Install what installs quickly; where it cannot be had, say so and go on with pip."""
    try:
        source = (*CHECKED, "-r", lock_of("uv")) if is_locked() else ("-c", constraints, "uv")
        pip_install("--only-binary", ":all:", *source)
    except SetUpError:
        say("There is no uv here, so pip installs; that takes longer.")


def pinned_version(name: str) -> str:
    """Return the version of a package in constraints.txt.

    Raises:
        SetUpError: no version of it is pinned.
    """
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(name)}==([^\s;]+)", text, re.MULTILINE)
    if found is None:
        raise SetUpError(f"constraints.txt pins no version of {name}; add one.")
    return found.group(1)


def constraints_file() -> Path:
    """Return the file of pinned versions; beside a sourced ROS 2, one with that ROS's NumPy.

    The message classes of a sourced ROS are compiled against its NumPy, and OpenCV must fit to it.
    """
    constraints = ROOT / "constraints.txt"
    if not ROS_DISTRO:
        return constraints
    show_version = "import numpy; print(numpy.__version__)"
    numpy = subprocess.run([sys.executable, "-c", show_version], capture_output=True, text=True)
    own = re.compile(r"numpy==|opencv-python-headless==|ros-|colcon-")
    lines = constraints.read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if not own.match(line)]
    if numpy.returncode == 0:
        lines.append(f"numpy=={numpy.stdout.strip()}")
    adapted = STAMPS / "constraints.txt"
    write_whole(adapted, "\n".join(lines) + "\n")
    return adapted


def install_packages() -> None:
    """Install everything at its pinned version, and this project itself in place."""
    constraints = constraints_file()
    if not has_pybullet():
        say(NO_PYBULLET)
    install_uv(constraints)
    if is_locked():
        # First what builds the few packages that come as source.
        install(*CHECKED, "-r", lock_of("setuptools"))
    else:
        install("-c", constraints, "setuptools")
    torch = f"torch=={pinned_version('torch')}"
    if TORCH_INDEX:
        install("--force-reinstall", "--no-deps", "--index-url", TORCH_INDEX, torch)
    if is_locked():
        install(*CHECKED, "--no-build-isolation", "-r", LOCK)
        # Each platform has a wheel of PyTorch of its own, which no lock can name.
        install("-c", constraints, "--no-build-isolation", torch)
    if not ROS_DISTRO:
        extras = "ros,build,dev"
    elif shutil.which("colcon"):
        extras = "dev"
    else:
        extras = "build,dev"
    install("-c", constraints, "--no-build-isolation", "-e", f".[{extras}]")
    if not ROS_DISTRO:
        mend_ros_wheels()


def install_test_extras() -> None:
    """Install what only a few tests use."""
    if is_locked():
        install(*CHECKED, "--no-build-isolation", "-r", EXTRAS_LOCK)
    install("-c", constraints_file(), "--no-build-isolation", "-e", f".[{TEST_EXTRAS}]")


def is_locked() -> bool:
    """Return whether the lock says what to install.

    Beside a sourced ROS 2, some packages are that ROS's own; for Python 3.10, there is no lock.
    """
    return not ROS_DISTRO and sys.version_info >= (3, 11)


def lock_of(name: str) -> Path:
    """Return a file with one package of the lock, and its hashes.

    Raises:
        SetUpError: the lock does not hold it.
    """
    text = LOCK.read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(name)}==.*\n(?: +--hash.*\n)+", text, re.MULTILINE)
    if found is None:
        raise SetUpError(f"requirements.lock does not hold {name}; make it anew.")
    path = STAMPS / f"{name}.lock"
    write_whole(path, found.group())
    return path


def mend_ros_wheels() -> None:
    """Point the wheels' CMake files at this Python and this NumPy.

    The wheels name the include directories of the machine that they were built on. They are the
    only ones under /opt/python, so doing this twice changes nothing.
    """
    build_machine = r"/opt/python/cp3\d+-cp3\d+"
    include = sysconfig.get_path("include")
    numpy_include = str(SITE_PACKAGES / "numpy" / "_core" / "include")
    for path in VENV.glob("share/*/cmake/*.cmake"):
        text = path.read_text(encoding="utf-8")
        mended = re.sub(rf"{build_machine}/include/python3\.\d+", lambda _: include, text)
        mended = re.sub(
            rf"{build_machine}/lib/python3\.\d+/site-packages/numpy/_core/include",
            lambda _: numpy_include,
            mended,
        )
        if mended != text:
            write_whole(path, mended)


# -- stage 3: the workspace


def workspace_sources() -> Iterator[Path]:
    """Yield the files whose change needs a build; Python modules are used in place.

    The table of nodes says which commands there are.

    Yields:
        Paths below ``ros_ws/src``.
    """
    for path in (WORKSPACE / "src").rglob("*"):
        if "__pycache__" in path.parts or not path.is_file():
            continue
        if path.suffix not in (".py", ".pyc") or path.name in ("setup.py", "nodes.py"):
            yield path


def launch_files() -> list[str]:
    """Return names of what asterias_bringup installs as links; only a new name needs a build."""
    return sorted(str(path) for path in (ROOT / "launch").rglob("*") if path.is_file())


def library_paths() -> list[Path]:
    """Return where the loader finds the ROS libraries of the wheels and of the workspace."""
    wheels = [VENV / "lib", *sorted(SITE_PACKAGES.glob("ros_*.libs"))]
    return [INSTALL / "lib", *([] if ROS_DISTRO else wheels)]


def python_paths() -> list[Path]:
    """Return the workspace's Python packages: first the sources, then what was generated."""
    in_place = sorted(path.parent for path in (WORKSPACE / "src").glob("*/setup.py"))
    if ROS_DISTRO:
        in_place = [path for path in in_place if path.name != "asterias_ros2"]
    generated = sorted(INSTALL.glob("**/site-packages")) + sorted(INSTALL.glob("**/dist-packages"))
    return [*in_place, *generated]


def build_environment() -> dict[str, str]:
    """Return the environment of colcon; an outer make's job server must not reach the inner."""
    hidden = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTHONHOME", "PYTHON", "TORCH_INDEX")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment["PYTHONWARNINGS"] = "ignore"  # "setup.py install is deprecated"
    # Without this, colcon has make wait while the machine's load is above its number of cores.
    environment["MAKEFLAGS"] = f"-j{os.cpu_count() or 1}"
    if ROS_DISTRO:
        return environment
    environment.pop("PYTHONPATH", None)
    return environment | {
        "VIRTUAL_ENV": str(VENV),
        "PATH": f"{VENV / 'bin'}:{environment['PATH']}",
        "AMENT_PREFIX_PATH": str(VENV),
        "CMAKE_PREFIX_PATH": str(VENV),
        "LD_LIBRARY_PATH": ":".join(map(str, library_paths())),
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",
    }


def installed_stand_ins() -> list[str]:
    """Return those of :data:`STAND_INS` that the sourced ROS 2 has."""
    prefixes = [Path(path) for path in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if path]
    outside = [prefix for prefix in prefixes if prefix != INSTALL]
    return [
        name
        for name in STAND_INS
        if any((prefix / "share" / name / "package.xml").is_file() for prefix in outside)
    ]


def build_workspace() -> None:
    """Run ``colcon build`` for everything in ros_ws/src, into one prefix."""
    own_colcon = VENV / "bin" / "colcon"
    colcon = str(own_colcon) if own_colcon.is_file() else "colcon"
    command: list[str | Path] = [colcon, "--log-base", WORKSPACE / "log", "--log-level", "error"]
    command += ["build", "--merge-install", "--base-paths", WORKSPACE / "src"]
    command += ["--build-base", WORKSPACE / "build", "--install-base", INSTALL]
    if ROS_DISTRO:
        command += ["--packages-skip", "asterias_ros2", *installed_stand_ins()]
    command += ["--cmake-args", "-DBUILD_TESTING=OFF", "-DAMENT_CMAKE_SYMLINK_INSTALL=1"]
    if not ROS_DISTRO:
        command.append(f"-DPython3_EXECUTABLE={VENV / 'bin' / 'python'}")
    run(command, environment=build_environment())
    path_file = SITE_PACKAGES / "asterias_workspace.pth"
    write_whole(path_file, "".join(f"{path}\n" for path in python_paths()))


# -- stage 4: what setup.bash reads


def write_environment() -> None:
    """Write paths for setup.bash, and the ``ros2`` command where no ROS 2 is sourced."""
    # A wheel brings this file; an installation in place does not.
    shutil.copyfile(GYMNASIUM_PTH, SITE_PACKAGES / GYMNASIUM_PTH.name)
    command = VENV / "bin" / "ros2"
    if not ROS_DISTRO:
        write_whole(command, ROS2_COMMAND)
        command.chmod(0o755)
        write_whole(COMPLETION_FILE, completion_code())
    prefixes = [INSTALL, *([] if ROS_DISTRO else [VENV])]
    generated = [path for path in python_paths() if INSTALL in path.parents]
    values = {
        "root": str(ROOT),
        "ros": ROS_DISTRO,
        "prefixes": ":".join(map(str, prefixes)),
        "libraries": ":".join(map(str, library_paths())),
        "ros_pythonpath": ":".join(map(str, generated)),
    }
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in values.items()]
    write_whole(ENVIRONMENT_FILE, "# Written by set-up, read by setup.bash.\n" + "".join(lines))


def completion_code() -> str:
    """Return what makes bash and zsh complete the words after ``ros2``.

    Raises:
        SetUpError: the packages are not whole.
    """
    command: list[str] = [str(VENV / "bin" / "register-python-argcomplete"), "ros2"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SetUpError(f"argcomplete is not installed as it should be: {error}") from error
    return done.stdout


# -- stage 5: caches


def warm_caches() -> None:
    """Compile what the first simulation and the first training would otherwise wait for."""
    for room in ("sim", "planners"):
        if (ROOT / room / "__main__.py").is_file():
            run([VENV / "bin" / "python", "-m", room, "warm"])


# -- all together


def plan_stages(with_extras: bool = False) -> list[Stage]:
    """Return all stages in order; each key holds the key of the stage before."""
    base = str(Path(sys.base_prefix).resolve())
    venv_key = hash_of(RECIPE, str(ROOT), base, sys.version, ROS_DISTRO)
    pinned = hash_of_files(
        iter([ROOT / "constraints.txt", LOCK, EXTRAS_LOCK, ROOT / "pyproject.toml"])
    )
    packages_key = hash_of(venv_key, pinned, torch_source(venv_key))
    workspace_key = hash_of(packages_key, hash_of_files(workspace_sources()), *launch_files())
    loops = [*(ROOT / "sim").glob("**/*.py"), *(ROOT / "planners" / "operator").glob("*.py")]
    loops_key = hash_of(packages_key, hash_of_files(iter(loops)))
    python = VENV / "bin" / "python"
    version = sys.version.split()[0]
    extras = Stage("extras", EXTRAS_TITLE, packages_key, SITE_PACKAGES, install_test_extras)
    return [
        Stage("venv", f"making .venv with Python {version}", venv_key, python, make_venv),
        Stage("packages", PACKAGES_TITLE, packages_key, SITE_PACKAGES, install_packages),
        *([extras] if with_extras else []),
        Stage("workspace", WORKSPACE_TITLE, workspace_key, INSTALL / "share", build_workspace),
        Stage("environment", "writing paths", workspace_key, ENVIRONMENT_FILE, write_environment),
        Stage("caches", "compiling kernels", loops_key, VENV, warm_caches),
    ]


def torch_source(venv_key: str) -> str:
    """Return the index PyTorch comes from: the one asked for now, else that of last time."""
    record = STAMPS / "torch_index"
    if TORCH_INDEX:
        return TORCH_INDEX
    is_same_venv = (STAMPS / "venv").is_file() and (STAMPS / "venv").read_text() == venv_key
    return record.read_text(encoding="utf-8") if is_same_venv and record.is_file() else ""


def run_stages(stages: Sequence[Stage]) -> bool:
    """Build what is not up to date.

    Returns:
        Whether there was anything to do.
    """
    # Half-installed packages look installed to pip, so an interrupted install starts from nothing.
    restart = stages[1].started.exists()
    todo = [stage for stage in stages if not stage.is_done()]
    if restart:
        todo = list(stages)
    for stage in todo:
        say(f"[{stages.index(stage) + 1}/{len(stages)}] {stage.title} ...")
        stage.run()
        if stage.name == "packages" and TORCH_INDEX:
            write_whole(STAMPS / "torch_index", TORCH_INDEX)
    return bool(todo)


def use_base_python() -> None:
    """Go on with the Python below an active environment, which may be about to be replaced."""
    base = Path(sys.base_prefix) / "bin" / PYTHON_DIR
    if sys.prefix != sys.base_prefix and base.is_file():
        os.execv(base, [str(base), "-I", *sys.argv])


def lock() -> int:
    """Wait until no other set-up runs in this clone; the lock ends with the process.

    Returns:
        The handle of the lock.
    """
    handle = os.open(ROOT / ".setup.lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Another set-up is running in this clone; waiting for it.")
        fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def main() -> None:
    """Command line: see ``--help``."""
    parser = argparse.ArgumentParser(description="Sets Asterias up in this clone.")
    parser.add_argument("--quiet", action="store_true", help="say nothing when nothing is to do")
    parser.add_argument("--all", action="store_true", help="install what a few tests need, too")
    arguments = parser.parse_args()
    use_base_python()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        lock()
        check_python()
        did_something = run_stages(plan_stages(arguments.all))
    except SetUpError as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("Set-up was interrupted; start it again and it goes on.", 130)
    if did_something or not arguments.quiet:
        say(NEXT_STEP)


if __name__ == "__main__":
    main()
