"""Measures policies on a launched robot: real nodes and drivers, emulated (or real) devices.

``ros2 run asterias_nodes find_bench --json results/hardware/find_target.json``: for each policy
``find_target.launch.xml`` searches from random poses, in wall time. A policy that is done is kept
in ``--folder``; the same command goes on with the next one. The rate of the control loop meanwhile
is that of the stamps of its joint states. With ``--node`` the node ``policy`` searches as well: it
is activated at random poses from which no camera sees the target.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from asterias_interfaces.action import FindTarget
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from asterias.errors import UserError
from asterias.files import read_json, write_json
from asterias.provenance import provenance
from asterias_nodes.runtime.actions.event_action_server import run as run_event_work
from asterias_nodes.runtime.actions.waiting import wait_until
from asterias_nodes.runtime.bench import BenchOptions, run_bench
from asterias_nodes.runtime.conversions import to_seconds
from asterias_nodes.runtime.launched_robot import LaunchedRobot
from asterias_nodes.target_finding.limb_client import LimbClient, SearchError
from learning.target_finding.env.task import TaskOptions
from learning.target_finding.experiments.baselines import FAULTS
from learning.target_finding.policies.registry import policy_names

STOP_TIMEOUT_S = 20.0
START_TIMEOUT_S = 60.0
SEARCH_TIMEOUT_S = 120.0
LET_GO_S = 1.0
NODE_FILE = "node.json"
LOOP_FILE = "control_loop.json"
FEWEST_PERIODS = 10
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
    node: bool = False
    """Let the node policy search as well, without failures of cameras."""
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
            with control_loop(options.limb) as stamps_s:
                _search(options, policy, folder)
            write_json(folder / LOOP_FILE, loop_figures(stamps_s))
        loop = folder / LOOP_FILE  # not there where an older version has measured
        rates = {"control_loop": read_json(loop)} if loop.is_file() else {}
        searches.append({**_summary(folder, options.episodes), **rates})
        if options.node:
            searches.append(_search_by_node(options, policy, folder))
    return searches


@contextmanager
def control_loop(limb: int) -> Iterator[list[float]]:
    """Collect the stamps of a limb's joint states, s, while something else goes on.

    Yields:
        The stamps so far.
    """
    stamps_s: list[float] = []
    node, executor = Node("find_bench"), SingleThreadedExecutor()
    node.create_subscription(
        JointState,
        f"/limb_{limb}/joint_states",
        lambda message: stamps_s.append(to_seconds(message.header.stamp)),
        100,
    )
    executor.add_node(node)

    def spin() -> None:
        with suppress(ExternalShutdownException):  # Ctrl-C
            executor.spin()

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield stamps_s
    finally:
        executor.shutdown()
        thread.join()
        node.destroy_node()


def loop_figures(stamps_s: list[float]) -> dict[str, Any]:
    """Return rate and periods of a control loop from the stamps of its joint states, s.

    Raises:
        UserError: there are too few.
    """
    periods_ms = 1e3 * np.diff(stamps_s)
    if len(periods_ms) < FEWEST_PERIODS:
        raise UserError(f"Only {len(stamps_s)} joint states came; was the robot launched?")
    return {
        "rate_hz": round(1e3 / float(periods_ms.mean()), 2),
        "periods": len(periods_ms),
        "period_ms": {
            name: round(float(np.percentile(periods_ms, share)), 2)
            for name, share in (("p50", 50), ("p99", 99), ("max", 100))
        },
    }


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


class NodeSearches(Node):
    """Puts a limb to random poses, from where the node ``policy`` is activated to search.

    Args:
        options: of the bench.
    """

    def __init__(self, options: FindBench) -> None:
        simulated = Parameter("use_sim_time", value=options.body == "sim")
        super().__init__("node_searches", parameter_overrides=[simulated])
        self.limb = LimbClient(
            self, options.robot, options.limb, "find_target", patience_s=START_TIMEOUT_S
        )
        self._change = self.create_client(ChangeState, "/policy/change_state")
        self._told: dict[str, str] = {}
        self._reports = 0
        self.create_subscription(DiagnosticArray, "/diagnostics", self._take, 10)

    def _take(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "policy: search":
                self._told = {value.key: value.value for value in status.values}
                self._reports += 1

    async def search(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return whether and in how many steps the node finds the target from a random pose."""
        await self._change_state(Transition.TRANSITION_DEACTIVATE)
        await self._go_where_nothing_is_seen(rng)
        before = await self._counts()
        begin_s = self.limb.now_s
        await self._change_state(Transition.TRANSITION_ACTIVATE)
        found = await wait_until(
            self, lambda: int(self._told["finds"]) > before["finds"], SEARCH_TIMEOUT_S
        )
        row = {"found": found, "robot_time_s": round(self.limb.now_s - begin_s, 3)}
        now = {name: int(self._told[name]) - before[name] for name in before}
        return {**row, "steps": now["steps"], "late_decisions": now["late_decisions"]}

    async def _go_where_nothing_is_seen(self, rng: np.random.Generator) -> None:
        await self.limb.wait_for_robot()
        cameras = range(len(self.limb.cameras))
        wait_s = TaskOptions().wait_s
        while True:
            # The source that had the limb before has let go by then.
            await self.limb.pause(LET_GO_S)
            pose = rng.uniform(self.limb.lower, self.limb.upper)
            if not await self.limb.drive_and_look(pose, cameras, wait_s):
                await self.limb.pause(LET_GO_S)
                return

    async def _counts(self) -> dict[str, int]:
        """Return the node's counters from a report that is newer than this call.

        Raises:
            SearchError: none comes.
        """
        reports = self._reports
        if not await wait_until(self, lambda: self._reports > reports, START_TIMEOUT_S):
            raise SearchError(FindTarget.Result.NO_ROBOT, "The node policy reports nothing.")
        return {name: int(self._told[name]) for name in ("steps", "finds", "late_decisions")}

    async def _change_state(self, transition: int) -> None:
        if not await wait_until(self, self._change.service_is_ready, START_TIMEOUT_S):
            raise SearchError(FindTarget.Result.NO_ROBOT, "The node policy did not start.")
        request = ChangeState.Request(transition=Transition(id=transition))
        await wait_until(self, self._change.call_async(request).done, START_TIMEOUT_S)


def _search_by_node(options: FindBench, policy: str, folder: Path) -> dict[str, Any]:
    """Return how the node ``policy`` searches on a body that is launched for it.

    Raises:
        UserError: the robot or the node does not start.
    """
    path = folder / NODE_FILE
    if path.is_file():
        found: dict[str, Any] = read_json(path)
        return found
    clock = time.monotonic()
    words = {name: getattr(options, name) for name in ("robot", "limb", "body", "family", "seed")}
    arguments = [f"{name}:={value}" for name, value in words.items()]
    out = f"devices_out:={folder / 'emulated_by_node.yaml'}"
    robot = LaunchedRobot("launch/include/body.launch.xml", *arguments, out)
    simulated = str(options.body == "sim").lower()
    settings = {"policy": policy, "use_sim_time": simulated, "seed": options.seed}
    settings |= {"robot": options.robot, "limb": options.limb}
    command = ["ros2", "run", "asterias_nodes", "policy", "--ros-args"]
    command += [word for name, value in settings.items() for word in ("-p", f"{name}:={value}")]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        with control_loop(options.limb) as stamps_s:
            rows = _spin_searches(options)
        loop = loop_figures(stamps_s)
    except SearchError as error:
        raise UserError(f"The node policy could not search: {error}") from error
    finally:
        os.killpg(process.pid, signal.SIGINT)
        robot.stop()
        process.wait(STOP_TIMEOUT_S)
    steps = [row["steps"] for row in rows if row["found"]]
    result = {
        **provenance(options.seed, " ".join(command)),
        "robot": options.robot,
        "policy": f"{policy}, by the node policy",
        "episodes": rows,
        "found": len(steps),
        "mean_steps_of_finds": round(float(np.mean(steps)), 3) if steps else None,
        "wall_s": round(time.monotonic() - clock, 2),
        "control_loop": loop,
    }
    write_json(path, result)
    return result


def _spin_searches(options: FindBench) -> list[dict[str, Any]]:
    node, executor = NodeSearches(options), SingleThreadedExecutor()
    executor.add_node(node)
    rng = np.random.default_rng(options.seed)
    rows: list[dict[str, Any]] = []
    try:
        for number in range(options.episodes):
            run_event_work(node.search(rng), rows.append)
            while len(rows) <= number:
                executor.spin_once(timeout_sec=0.1)
            end = "found" if rows[-1]["found"] else "not found"
            print(f"  node, episode {number + 1}: {end}, {rows[-1]['steps']} steps", flush=True)
    finally:
        node.limb.close()
        executor.shutdown()
        node.destroy_node()
    return rows


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
        rate = search.get("control_loop", {}).get("rate_hz", "an unknown number of")
        print(
            f"{search['policy']}: {finds} of {options.episodes} found, {mean} steps on average; "
            f"control loop {rate} Hz"
        )
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
