"""Measures policies on a launched robot: real nodes and drivers, emulated (or real) devices.

``ros2 run asterias_nodes find_bench --json results/hardware/find_target.json``: for each policy
``find_target.launch.xml`` searches from random poses, in wall time. A policy that is done is kept
in ``--folder``; the same command goes on with the next one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from asterias.errors import UserError
from asterias_nodes.runtime.bench import BenchOptions, run_bench
from learning.target_finding.experiments.baselines import FAULTS
from learning.target_finding.policies.registry import policy_names

STOP_TIMEOUT_S = 20.0
PREFIX = "[demo-"  # of the lines of a launch that report how far the searches are


@dataclass(frozen=True)
class FindBench(BenchOptions):
    """Options of the measurement."""

    policies: tuple[str, ...] = ("bmms", "ppo_kill0")
    """Names or paths of policies."""
    body: Literal["sim", "real", "emulated", "dynamixel", "feetech", "udp"] = "dynamixel"
    """Simulated, real, or with emulated devices; a family's name is short for emulated with it."""
    family: str = "dynamixel"
    """Servos of an emulated body."""
    faults: str = "kill0"
    """Cameras that fail in each search, unannounced: kill0 (none), kill1, kill12."""
    fault: Literal["off", "stuck", "garbage"] = "off"
    """How they fail."""
    joints: Literal["measured", "estimated", "auto"] = "measured"
    """Measured by the servos, estimated from cameras alone, or estimated where one is silent."""
    joint_fault: str = ""
    """How all joints' measurement fails from the start on, for example garbage; empty: it works."""
    episodes: int = 12
    """Searches per policy."""
    required: int = 10
    """Finds of each policy below which the exit code is 1."""
    seed: int = 0
    """Of poses, failures and the policies' draws."""
    folder: Path = Path("runs/find_bench")
    """Where each policy's pictures and summary go."""

    def __post_init__(self) -> None:
        if self.episodes < 1 or not self.policies:
            raise UserError("--episodes must be 1 or more, and --policies must name one.")
        if self.faults not in FAULTS:
            raise UserError(f"--faults must be one of {', '.join(FAULTS)}, not {self.faults}.")
        unknown = [
            one for one in self.policies if one not in policy_names() and not Path(one).exists()
        ]
        if unknown:
            known = ", ".join(policy_names())
            raise UserError(f"There is no policy '{unknown[0]}'; known are {known}.")


def measure(options: FindBench) -> list[dict[str, Any]]:
    """Return the summary of each policy's searches."""
    searches = []
    for number, policy in enumerate(options.policies):
        print(f"policy {number + 1}/{len(options.policies)}: {policy}", flush=True)
        # Another measurement has another folder.
        body = options.family if options.body == "emulated" else options.body
        words = (Path(policy).stem, body, options.faults, options.fault, options.episodes)
        more: tuple[str, ...] = (f"limb{options.limb}",) if options.limb else ()
        if options.joints != "measured" or options.joint_fault:
            more += (options.joints, options.joint_fault or "off")
        name = "-".join(map(str, (*words, *more, f"seed{options.seed}")))
        folder = options.folder / name
        if (folder / "summary.json").is_file():
            print(f"  is done: {folder}", flush=True)
        else:
            _search(options, policy, folder)
        searches.append(_summary(folder, options.episodes))
    return searches


def _search(options: FindBench, policy: str, folder: Path) -> None:
    """Launch, pass on the lines of progress, and wait for the end.

    Raises:
        UserError: the searches did not end by themselves.
        KeyboardInterrupt: passed on once the launch has ended.
    """
    goal = {
        "robot": options.robot,
        "limb": options.limb,
        "body": options.body,
        "family": options.family,
        "policy": policy,
        "faults": options.faults,
        "fault": options.fault,
        "joints": options.joints,
        "episodes": options.episodes,
        "seed": options.seed,
        "out": folder,
    }
    if options.joint_fault:
        goal["joint_fault"] = options.joint_fault
    arguments = [f"{name}:={value}" for name, value in goal.items()]
    process = subprocess.Popen(
        ["ros2", "launch", "launch/find_target.launch.xml", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        for line in process.stdout:
            lines.append(line)
            if line.startswith(PREFIX) and " left" in line:
                print(f"  {line.partition('] ')[2].rstrip()}", flush=True)
        process.wait(STOP_TIMEOUT_S)
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_TIMEOUT_S)
        raise
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    if not (folder / "summary.json").is_file():
        raise UserError("The searches did not end: " + " ".join("".join(lines[-8:]).split()))


def _summary(folder: Path, episodes: int) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    if len(summary["episodes"]) != episodes:
        raise UserError(f"{folder} holds another measurement; remove it.")
    return summary


def run(options: FindBench) -> int:
    """Return 0 if enough are found; measure, print and write the result file."""
    started_s = time.monotonic()
    searches = measure(options)
    for search in searches:
        mean, finds = search["mean_steps_of_finds"], search["found"]
        print(f"{search['policy']}: {finds} of {options.episodes} found, {mean} steps on average")
    body = {
        "body": options.body,
        "joints": options.joints,
        "joint_fault": options.joint_fault,
        "load_average_1_min": round(os.getloadavg()[0], 1),
        "wall_s": round(time.monotonic() - started_s, 1),
        "searches": searches,
    }
    options.write("find_bench", body, options.seed)
    return 0 if all(search["found"] >= options.required for search in searches) else 1


def main() -> int:
    """Return the exit code of the bench, run from the command line."""
    return run_bench(FindBench, "find_bench", __doc__ or "", run)


if __name__ == "__main__":
    sys.exit(main())
