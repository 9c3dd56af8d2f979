"""Measures ``/find_target`` with a whole body: a launched robot whose limbs all search at once.

``ros2 run asterias_nodes body_find_bench --json results/target_finding/starfish_find_target.json``:
``starfish.launch.xml`` without the ground, and one goal after the other, each from random poses
that do not see the target.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from typing import Any

import rclpy
from asterias_interfaces.action import FindTarget
from rclpy.action import ActionClient
from rclpy.node import Node

from asterias.errors import UserError
from asterias_nodes.runtime.bench import BenchOptions, run_bench
from asterias_nodes.runtime.launched_robot import LaunchedRobot

START_S, SEARCH_S = 120.0, 240.0
_NOT_THERE = (FindTarget.Result.NO_ROBOT, FindTarget.Result.NO_CAMERAS)


@dataclass(frozen=True)
class BodyFindBench(BenchOptions):
    """Options of the measurement."""

    robot: str = "starfish"
    """Name or path of a robot description."""
    policy: str = ""
    """Searcher; empty takes the best there is."""
    dead_limb: int = -1
    """Number of a limb whose cameras are left out; -1: none."""
    episodes: int = 20
    """Searches."""
    required: int = 18
    """Finds below which the exit code is 1."""
    max_steps: int = 20
    """Steps after which a search is given up."""
    seed: int = 0
    """Seed of the first search; the next takes the next number."""
    real_time_factor: float = 1.0
    """Simulated seconds per second."""

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.max_steps < 1:
            raise UserError("--episodes and --max-steps must be 1 or more.")


def measure(options: BodyFindBench) -> int:
    """Launch, search, write the result.

    Returns:
        The exit code.
    """
    factor = f"real_time_factor:={options.real_time_factor}"
    robot = LaunchedRobot(
        "launch/starfish.launch.xml", "ground:=false", f"robot:={options.robot}", factor
    )
    node = Node("body_find_bench")
    try:
        rows = _search(node, options)
    finally:
        node.destroy_node()
        robot.stop()
    found = [row for row in rows if row["found"]]
    steps = [row["steps"] for row in found]
    body = {
        "policy": ", ".join(sorted({row["policy"] for row in rows} - {""})),
        "dead_limb": options.dead_limb,
        "load_average_1_min": round(os.getloadavg()[0], 1),
        "found": len(found),
        "within_3": sum(step <= 3 for step in steps),
        "mean_steps_of_finds": round(sum(steps) / len(steps), 2) if steps else None,
        "episodes": rows,
    }
    options.write("body_find_bench", body, options.seed)
    print(f"{len(found)} of {len(rows)} found, {body['mean_steps_of_finds']} steps on average")
    return 0 if len(found) >= options.required else 1


def _search(node: Node, options: BodyFindBench) -> list[dict[str, Any]]:
    """Return how each search ended.

    Raises:
        UserError: the robot does not start, or a search does not end.
    """
    client = ActionClient(node, FindTarget, "/find_target")
    if not client.wait_for_server(START_S):
        raise UserError("The launched robot does not serve /find_target.")
    rows: list[dict[str, Any]] = []
    cameras = len(options.description().limbs[0].live_cameras)
    dead = [f"limb_{options.dead_limb}/camera_{j}" for j in range(cameras)]
    for number in range(options.episodes):
        goal = FindTarget.Goal(
            policy=options.policy,
            max_steps=options.max_steps,
            seed=options.seed + number,
            dead_cameras=dead if options.dead_limb >= 0 else [],
            random_start=True,
        )
        begun_s = time.monotonic()
        answer = _ask(node, client, goal)
        # The robot may still be compiling or starting up when it is asked for the first time.
        deadline_s = begun_s + START_S
        while not rows and answer.error_code in _NOT_THERE and time.monotonic() < deadline_s:
            begun_s = time.monotonic()
            answer = _ask(node, client, goal)
        row = {name: getattr(answer, name) for name in ("found", "steps", "camera", "policy")}
        row |= {"robot_s": round(answer.duration_s, 2), "error": answer.error_msg}
        rows.append({**row, "wall_s": round(time.monotonic() - begun_s, 2)})
        told = f"found by {answer.camera}" if answer.found else answer.error_msg
        print(f"{number + 1}/{options.episodes}: {told}, {answer.steps} steps", flush=True)
    return rows


def _ask(node: Node, client: ActionClient, goal: FindTarget.Goal) -> FindTarget.Result:
    """Return the result of a goal."""
    handle = _wait(node, client.send_goal_async(goal))
    return _wait(node, handle.get_result_async()).result


def _wait(node: Node, future: Any) -> Any:
    """Return what a future gives.

    Raises:
        UserError: it does not come.
    """
    rclpy.spin_until_future_complete(node, future, timeout_sec=SEARCH_S)
    if not future.done():
        raise UserError("A search has not ended; see the launch's log.")
    return future.result()


def main() -> int:
    """Return the exit code of the bench, run from the command line."""
    return run_bench(BodyFindBench, "body_find_bench", __doc__ or "", measure)


if __name__ == "__main__":
    sys.exit(main())
