"""What contacts cost: a step of a robot that slides on the ground, beside one in the air."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from hardware.description.robot import load_robot
from sim.contact.body import ContactBody
from sim.contact.shapes import Ground, Obstacle, Surface
from sim.contact.standing_robot import standing_robot

_STEPS = 200
_SETTLE_STEPS = 500
_SPEED_M_S = (0.05, 0.02)
_LEVEL_BOX = Obstacle((1.1, 0.0, -0.05), (2.0, 4.0, 0.1))


def measure_cost(robot: str, repeats: int) -> dict[str, Any]:
    """Measure by turns, in processor time.

    The robot's servos are limp, so that its limbs lie on the ground and slide. Half of the ground
    is a box whose top is level with the floor: spheres there have two contacts, of which one would
    do, which is hard for the solver.

    Args:
        robot: name or path of a robot description.
        repeats: rounds; the median counts.

    Returns:
        The figures.
    """
    surface = Surface(friction=0.01)
    floor, level = Ground(surface=surface), Ground(boxes=(_LEVEL_BOX,), surface=surface)
    worlds = {
        "in_air": _limp(robot, floor, height_m=10.0),
        "on_floor": _limp(robot, floor, height_m=0.0),
        "on_floor_and_box": _limp(robot, level, height_m=0.0),
    }
    times: dict[str, list[float]] = {name: [] for name in worlds}
    counts: dict[str, list[int]] = {name: [] for name in worlds}
    for _ in range(repeats + 1):
        for name, world in worlds.items():
            world.reset()
            if name != "in_air":
                world.advance(_SETTLE_STEPS)
            world.state.v[:2] = _SPEED_M_S
            begin = time.process_time()
            world.advance(_STEPS)
            times[name].append(1e6 * (time.process_time() - begin) / _STEPS)
            counts[name].append(world.contacts)
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    free = medians["in_air"]
    return {
        "robot": robot,
        "coordinates": int(worlds["in_air"].state.q.size),
        "step_us": {name: round(value, 1) for name, value in medians.items()},
        "contacts": {name: int(np.median(values)) for name, values in counts.items()},
        "ratio": {name: round(value / free, 2) for name, value in medians.items()},
    }


def _limp(robot: str, ground: Ground, height_m: float) -> ContactBody:
    world = standing_robot(load_robot(robot), ground=ground, height_m=height_m)
    world.weaken(np.zeros(world.servo.joint.size))
    return world
