"""``python ros_ws/resolve_pythons.py``: for which Pythons and machines are there wheels of all?

Resolves the dependencies of pyproject.toml with uv, for wheels only, without installing them. What
has no wheel is named, left out, and the rest is resolved again. Writes results/setup/pythons.json.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from package_installer import uv_environment

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "results" / "setup" / "pythons.json"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = ("x86_64", "aarch64")
# What a robot's computer runs: drivers, teleoperation, recorder; without simulation and training.
ROBOT = (
    *("httpx", "lz4", "mcap", "mcap-ros2-support", "nicegui", "numpy", "opencv-python-headless"),
    *("pillow", "psutil", "pydantic", "pyserial", "pyyaml", "rich", "safetensors", "tyro"),
    "zstandard",
)
# Published as source only, and nothing but Python: no compiler is needed.
PURE_SOURCE = ("empy",)
TIMEOUT_S = 300


def requirements() -> dict[str, list[str]]:
    """Return the requirements of each part by its name."""
    tomllib = importlib.import_module("tomllib")  # since Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    everything = [line.partition(";")[0].strip() for line in project["dependencies"]]
    robot = [line for line in everything if name_of(line) in ROBOT]
    return {
        "robot: drivers, recorder": robot,
        "simulation, planning, training": everything,
        "ROS 2 from wheels": project["optional-dependencies"]["ros"],
    }


def name_of(requirement: str) -> str:
    """Return the name of a requirement such as ``numpy>=1.26``."""
    return re.split(r"[<>=\[; ]", requirement, maxsplit=1)[0]


def resolve(lines: Sequence[str], python: str, machine: str) -> tuple[int, list[str], str]:
    """Resolve for wheels only; leave out what has none, until the rest fits.

    Args:
        lines: requirements.
        python: version, such as 3.12.
        machine: of the wheels, such as aarch64.

    Returns:
        Number of packages in the end, names that have no wheel, and why it did not end otherwise.
    """
    left, missing = list(lines), list[str]()
    while True:
        done = run_uv(left, python, machine)
        if done.returncode == 0:
            found = [line for line in done.stdout.splitlines() if re.match(r"[A-Za-z0-9]", line)]
            return len(found), missing, ""
        culprit = culprit_of(done.stderr, left)
        if culprit is None:
            reason = " ".join(done.stderr.split())[:400]
            return 0, [*missing, "no answer"], reason
        missing.append(name_of(culprit))
        left.remove(culprit)


def run_uv(lines: Sequence[str], python: str, machine: str) -> subprocess.CompletedProcess[str]:
    """Return how uv ended that was asked for a set of wheels."""
    command = ["uv", "pip", "compile", "-", "-q", "--only-binary", ":all:", "--no-header"]
    command += ["--no-annotate", "--python-version", python]
    command += [word for name in PURE_SOURCE for word in ("--no-binary", name)]
    command += ["--python-platform", f"{machine}-manylinux_2_28"]
    try:
        return subprocess.run(
            command,
            input="\n".join(lines),
            capture_output=True,
            text=True,
            env=environment(),
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", "The resolver took too long.")


def environment() -> dict[str, str]:
    """Return uv's environment; a site's bounds on versions and its own files do not count here."""
    variables: dict[str, str] = uv_environment(Path(sys.executable))
    for name in ("UV_CONSTRAINT", "UV_FIND_LINKS"):
        variables.pop(name, None)
    return variables


def culprit_of(message: str, lines: Sequence[str]) -> str | None:
    """Return the requirement that uv's message says has no wheel, directly or below it."""
    text = " ".join(message.split())
    names = re.findall(r"([A-Za-z0-9_.-]+)(?:[=<>!][^ ]*)? has no (?:usable )?wheels?", text)
    names += re.findall(r"of ([A-Za-z0-9_.-]+)(?:[=<>!][^ ]*)? have no wheels?", text)
    for name in names:
        for line in lines:
            if name_of(line).lower().replace("_", "-") == name.lower().replace("_", "-"):
                return line
    # Something below a requirement: the one that the message comes from last.
    for line in lines:
        if re.search(rf"you require {re.escape(name_of(line))}\b", text):
            return line
    return None


def main() -> None:
    """Resolve all parts and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=RESULT)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for machine in MACHINES:
        for python in PYTHONS:
            for part, lines in requirements().items():
                packages, missing, reason = resolve(lines, python, machine)
                row = {"part": part, "machine": machine, "python": python}
                rows.append(row | {"packages": packages, "missing": missing, "reason": reason})
                print(
                    f"{machine} {python} {part}: {packages} packages, without {missing}", flush=True
                )
    version = subprocess.run(["uv", "--version"], capture_output=True, text=True).stdout
    about = {
        "command": "python ros_ws/resolve_pythons.py",
        "seed": None,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "python": platform.python_version(),
        "versions": {"uv": version.split()[1]},
        "machine": {"system": f"{platform.system()} {platform.machine()}"},
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
