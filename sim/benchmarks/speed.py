"""How fast the simulation runs: physics alone, cameras alone, and both as a robot needs them.

Times are processor time: what else the machine does at that moment does not count.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from sim.world import SimWorld


def spread(values: list[float]) -> dict[str, float]:
    """Return minimum, median and maximum."""
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def bench(robot: str, *, duration_s: float, repeats: int, renderer: str | None) -> dict[str, Any]:
    """Measure ``repeats`` times on one core over ``duration_s`` of simulated time.

    The real-time factor counts everything a running robot needs: physics at the description's
    rate and every picture of every enabled camera at its rate.

    Returns:
        The figures, as the result file holds them.
    """
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        with SimWorld(robot, renderer=renderer) as world:
            for row in world.cameras:
                for camera in row:
                    camera.connect()
            world.advance(0.1)
            run_robot(world, 0.2)
            steps = [_rate(lambda: _physics(world, duration_s)) for _ in range(repeats)]
            frames = [_rate(lambda: _pictures(world, 100)) for _ in range(repeats)]
            factors = [
                duration_s / _seconds(lambda: run_robot(world, duration_s)) for _ in range(repeats)
            ]
            return _report(world, duration_s, steps, frames, factors)
    finally:
        os.sched_setaffinity(0, allowed)


def _report(
    world: SimWorld,
    duration_s: float,
    steps: list[float],
    frames: list[float],
    factors: list[float],
) -> dict[str, Any]:
    return {
        "robot": world.robot.name,
        "limbs": len(world.bodies),
        "cameras": [
            f"{c.description.width_px}x{c.description.height_px} at {c.description.rate_hz:g} Hz"
            for row in world.cameras
            for c in row
        ],
        "renderer": world.scene.renderer_name if world.scene else "none",
        "physics_hz": world.robot.simulation.physics_hz,
        "simulated_s": duration_s,
        "cores": 1,
        "physics_steps_per_s": spread(steps),
        "camera_frames_per_s": spread(frames),
        "real_time_factor": spread(factors),
    }


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _rate(work: Callable[[], int]) -> float:
    start = time.process_time()
    count = work()
    return count / (time.process_time() - start)


def _physics(world: SimWorld, duration_s: float) -> int:
    # In steps of the control period, as a running robot takes them.
    period = 1.0 / world.robot.control_rate_hz
    ticks = round(duration_s / period)
    for _ in range(ticks):
        world.advance(period)
    return round(ticks * period * world.robot.simulation.physics_hz) * len(world.bodies)


def _pictures(world: SimWorld, rounds: int) -> int:
    count = 0
    for _ in range(rounds):
        for row in world.cameras:
            for camera in row:
                camera.read()
                count += 1
    return count


def run_robot(world: SimWorld, duration_s: float) -> None:
    """Run the robot: control periods, and each camera's pictures when they fall due."""
    period = 1.0 / world.robot.control_rate_hz
    for _ in range(round(duration_s / period)):
        world.advance(period)
        for camera in world.draw_due():
            camera.read()
