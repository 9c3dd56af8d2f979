"""How many worlds a machine simulates at once: limbs that move, and every picture they see."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from sim.benchmarks.speed import spread
from sim.vectorised.worlds import WorldBatch

# A limb gets another goal so often, as a policy that acts would give it.
_GOAL_S = 1.0


def bench_worlds(
    robot: str, count: int, *, duration_s: float, repeats: int, renderer: str | None
) -> dict[str, Any]:
    """Measure ``count`` worlds that are moved and drawn together, on one core and on all.

    Control periods, physics and every picture of every enabled camera at its rate are counted, as
    :func:`sim.benchmarks.speed.bench` does for one world. Besides the wall time, which other work
    on the machine lengthens, the processor's time is kept: what as many free cores would do.

    Args:
        robot: name or path of a description.
        count: of worlds.
        duration_s: simulated time of each run, in each world.
        repeats: runs.
        renderer: overrides the description's.

    Returns:
        The figures, as the result file holds them.
    """
    cores = len(os.sched_getaffinity(0))
    figures: dict[str, Any] = {}
    for threads in sorted({1, cores}):
        with WorldBatch.of(robot, count, renderer=renderer, threads=threads) as batch:
            for world in batch.worlds:
                for row in world.cameras:
                    for camera in row:
                        camera.connect()
            rng = np.random.default_rng(0)
            _run(batch, _GOAL_S, rng)
            runs = [_measure(batch, duration_s, rng) for _ in range(repeats)]
            if not figures:
                figures = _about(batch, duration_s)
        figures[f"threads_{threads}"] = {key: spread([run[key] for run in runs]) for key in runs[0]}
    return figures


def _about(batch: WorldBatch, duration_s: float) -> dict[str, Any]:
    world = batch.worlds[0]
    return {
        "robot": world.robot.name,
        "worlds": len(batch.worlds),
        "limbs": len(world.bodies),
        "cameras": sum(len(row) for row in world.cameras),
        "renderer": world.scene.renderer_name if world.scene else "none",
        "physics_hz": world.robot.simulation.physics_hz,
        "simulated_s": duration_s,
    }


def _measure(batch: WorldBatch, duration_s: float, rng: np.random.Generator) -> dict[str, float]:
    wall_s, processor_s = time.perf_counter(), time.process_time()
    _run(batch, duration_s, rng)
    wall_s, processor_s = time.perf_counter() - wall_s, time.process_time() - processor_s
    simulated_s, threads = duration_s * len(batch.worlds), batch.threads.count
    return {
        "world_s_per_s": simulated_s / wall_s,
        "world_s_per_s_on_free_cores": threads * simulated_s / processor_s,
        "cores_had": processor_s / wall_s,
    }


def _run(batch: WorldBatch, duration_s: float, rng: np.random.Generator) -> None:
    period_s = 1.0 / batch.worlds[0].robot.control_rate_hz
    often = round(_GOAL_S / period_s)
    for tick in range(round(duration_s / period_s)):
        if tick % often == 0:
            _draw_goals(batch, rng)
        batch.advance(period_s)
        for camera in batch.draw_due():
            camera.read()


def _draw_goals(batch: WorldBatch, rng: np.random.Generator) -> None:
    for world in batch.worlds:
        for body in world.bodies:
            limits = np.array([joint.limits_rad for joint in body.limb.joints])
            body.set_goal(rng.uniform(limits[:, 0], limits[:, 1]))
