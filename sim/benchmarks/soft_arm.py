"""How fast the limb is simulated beside a soft arm of PyElastica: in one run, one core, by turns.

Compared are simulated seconds per wall second at 25 Hz of control, and environment steps per wall
second at 25 Hz and at the target-finding task's one step each 2 s. The limb is counted with and
without its cameras; PyElastica has none.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from hardware.perception.apriltag import detect_tags
from sim.benchmarks.elastica_arm import ArmOptions, ElasticaArm
from sim.benchmarks.speed import spread
from sim.world import SimWorld

CONTROL_HZ = 25.0  # as PyElastica's own learning cases (gym-softrobot's arms)
TASK_STEP_S = 2.0
# As many elements as the limb has links, and as many as PyElastica's learning cases have.
ELEMENTS = (7, 20)

OnRound = Callable[[int, int], None]
Run = Callable[[float], None]


def bench_against_elastica(
    robot: str,
    *,
    duration_s: float,
    repeats: int,
    seed: int = 0,
    on_round: OnRound = lambda done, total: None,
) -> dict[str, Any]:
    """Measure all contestants ``repeats`` times by turns, each for ``duration_s``.

    Args:
        robot: name or path of a robot description; its first limb counts.
        duration_s: simulated time of a run of the limb; PyElastica's arms get a tenth of it.
        repeats: rounds.
        seed: of the commands.
        on_round: called after each round.

    Returns:
        The figures, as the result file holds them; a ``UserError`` says so where PyElastica is not
        installed.
    """
    arms = {elements: ElasticaArm(ArmOptions(elements=elements)) for elements in ELEMENTS}
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        with SimWorld(robot, seed=seed) as world:
            return _measure(world, arms, duration_s, repeats, seed, on_round)
    finally:
        os.sched_setaffinity(0, allowed)


def _measure(
    world: SimWorld,
    arms: dict[int, ElasticaArm],
    duration_s: float,
    repeats: int,
    seed: int,
    on_round: OnRound,
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    runs: dict[str, tuple[Run, float, float]] = {
        "limb": (_limb(world, rng, 0), duration_s, 1.0 / CONTROL_HZ),
        "limb_with_cameras": (_limb(world, rng, 1), duration_s, 1.0 / CONTROL_HZ),
        "limb_task": (_limb_task(world, rng), duration_s, TASK_STEP_S),
    }
    for elements, arm in arms.items():
        runs[f"pyelastica_{elements}"] = (_arm(arm, rng), 0.1 * duration_s, 1.0 / CONTROL_HZ)
    for run, _, step_s in runs.values():
        run(step_s)  # compiles
    factors: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(repeats):
        for name, (run, simulated_s, _) in runs.items():
            begin_s = time.perf_counter()
            run(simulated_s)
            factors[name].append(simulated_s / (time.perf_counter() - begin_s))
        on_round(number + 1, repeats)
    if not all(np.isfinite(arm.tip_m).all() for arm in arms.values()):
        raise RuntimeError("An arm of PyElastica has become unstable; its time step is too long.")
    return _report(world, arms, {name: step_s for name, (_, _, step_s) in runs.items()}, factors)


def _periods(duration_s: float, period_s: float) -> Iterator[float]:
    for _ in range(max(round(duration_s / period_s), 1)):
        yield period_s


def _limb(world: SimWorld, rng: np.random.Generator, cameras: int) -> Run:
    """Return new goals at the control rate; with cameras also each picture when it falls due."""
    joints = world.robot.limbs[0].joints
    lower, upper = np.array([joint.limits_rad for joint in joints]).T

    def run(duration_s: float) -> None:
        for period_s in _periods(duration_s, 1.0 / CONTROL_HZ):
            world.bodies[0].set_goal(rng.uniform(lower, upper))
            world.advance(period_s)
            for camera in world.cameras[0] if cameras else ():
                camera.connect()
                if camera.is_due:
                    camera.read()

    return run


def _limb_task(world: SimWorld, rng: np.random.Generator) -> Run:
    """Return a step of the target-finding task: a new goal, 2 s, all cameras observed."""
    joints = world.robot.limbs[0].joints
    lower, upper = np.array([joint.limits_rad for joint in joints]).T
    wanted = [world.robot.target.id]

    def run(duration_s: float) -> None:
        for period_s in _periods(duration_s, TASK_STEP_S):
            world.bodies[0].set_goal(rng.uniform(lower, upper))
            world.advance(period_s)
            for camera in world.cameras[0]:
                camera.connect()
                detect_tags(camera.read().image, ids=wanted)

    return run


def _arm(arm: ElasticaArm, rng: np.random.Generator) -> Run:
    """Return new torques at the control rate."""

    def run(duration_s: float) -> None:
        for period_s in _periods(duration_s, 1.0 / CONTROL_HZ):
            arm.set_torque(rng.uniform(-1.0, 1.0, 2))
            arm.advance(period_s)

    return run


def _report(
    world: SimWorld,
    arms: dict[int, ElasticaArm],
    steps_s: dict[str, float],
    factors: dict[str, list[float]],
) -> dict[str, Any]:
    median = {name: float(np.median(values)) for name, values in factors.items()}
    own = {name: median[name] for name in factors if not name.startswith("pyelastica")}
    rows = {
        name: {
            "simulated_s_per_s": spread(values),
            "control_period_s": steps_s[name],
            "steps_per_s": round(median[name] / steps_s[name], 2),
        }
        for name, values in factors.items()
    }
    for elements, arm in arms.items():
        rows[f"pyelastica_{elements}"] |= {
            "elements": elements,
            "integration_step_s": arm.options.step_s,
            # What it would make of the task's steps, without a look.
            "task_steps_per_s": round(median[f"pyelastica_{elements}"] / TASK_STEP_S, 3),
        }
    return {
        "robot": world.robot.name,
        "cores": 1,
        "control_hz": CONTROL_HZ,
        "load_average_1_min": round(os.getloadavg()[0], 1),
        "contestants": rows,
        "ratios": {
            f"{name} / pyelastica_{elements}": round(value / median[f"pyelastica_{elements}"], 1)
            for name, value in own.items()
            for elements in arms
        },
    }
