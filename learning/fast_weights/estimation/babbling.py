"""Motor babbling in simulation: the limb goes from pose to pose while its cameras take pictures.

Poses are uniform within the limits. A move is a minimum-jerk curve (Flash and Hogan 1985) of a
drawn speed, or, for a share of them, a step that the servos follow as fast as they can, as a
search sends it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from hardware.description.robot import load_robot
from learning.fast_weights.estimation.drives import Drive, TileArray, shrunk
from sim.world import SimWorld

CONTROL_PERIOD_S = 0.02
# Servos settle and flexible links come to rest before a drive begins.
SETTLE_S = 0.3


@dataclass(frozen=True)
class Babbling:
    """How a limb babbles.

    Attributes:
        robot: name or path of the description.
        limb: number of the limb.
        drive_s: length of a drive.
        mean_rad_s: range of the mean speed of the farthest joint in a smooth move.
        step_share: share of moves that are steps, at the servos' limit.
        pause_s: longest pause after a move.
        together_share: share of drives in which all cameras take their pictures at once; in the
            others each has a phase of its own.
        jitter_s: standard deviation of a picture's time around its regular one.
    """

    robot: str = "limb_p1"
    limb: int = 0
    drive_s: float = 5.0
    mean_rad_s: tuple[float, float] = (0.2, 1.0)
    step_share: float = 0.0
    pause_s: float = 1.0
    together_share: float = 0.5
    jitter_s: float = 0.008

    def __post_init__(self) -> None:
        limbs = len(load_robot(self.robot).limbs)
        if not 0 <= self.limb < limbs:
            raise UserError(
                f"Robot {self.robot} has no limb {self.limb}; set --limb below {limbs}."
            )


def babble(babbling: Babbling, count: int, seed: int) -> Iterator[Drive]:
    """Yield ``count`` drives; the same seed gives the same ones."""
    with SimWorld(babbling.robot, seed=seed) as world:
        for number in range(count):
            yield _drive(world, babbling, np.random.default_rng((seed, number)))


def goals(babbling: Babbling, rng: np.random.Generator, times_s: FloatArray) -> FloatArray:
    """Return ``(T, n)`` commanded positions at ``(T,)`` rising times."""
    limb = load_robot(babbling.robot).limbs[babbling.limb]
    low, high = np.array([joint.limits_rad for joint in limb.joints]).T
    fastest = np.array([joint.velocity_limit_rad_s for joint in limb.joints])
    rows = np.empty((len(times_s), len(low)))
    start, begin_s, filled = rng.uniform(low, high), 0.0, 0
    while filled < len(times_s):
        goal = rng.uniform(low, high)
        if rng.random() < babbling.step_share:
            is_step, lasts_s = True, float(np.max(np.abs(goal - start) / fastest))
        else:
            speed = rng.uniform(*babbling.mean_rad_s)
            is_step, lasts_s = False, float(np.max(np.abs(goal - start)) / speed)
        end_s = begin_s + lasts_s + rng.uniform(0.0, babbling.pause_s)
        last = int(np.searchsorted(times_s, end_s))
        share = np.clip((times_s[filled:last] - begin_s) / lasts_s, 0.0, 1.0)[:, None]
        curve = share if is_step else share**3 * (10.0 - 15.0 * share + 6.0 * share**2)
        rows[filled:last] = start + (goal - start) * curve
        start, begin_s, filled = goal, end_s, last
    return rows


def _frame_times(
    babbling: Babbling, rng: np.random.Generator, rates_hz: list[float], tick_s: float
) -> list[FloatArray]:
    """Return the times of each camera's pictures, whole physics steps."""
    together = rng.random() < babbling.together_share
    phase, times = rng.random(), []
    shared = rng.normal(0.0, babbling.jitter_s, int(babbling.drive_s * max(rates_hz)) + 2)
    for rate in rates_hz:
        count = int(babbling.drive_s * rate)
        own = rng.normal(0.0, babbling.jitter_s, len(shared))
        offset = phase if together else rng.random()
        late = np.clip((shared if together else own)[:count], -0.3 / rate, 0.3 / rate)
        at = (np.arange(count) + offset) / rate + late
        at = np.round(at / tick_s) * tick_s
        times.append(at[(at >= 0.0) & (at <= babbling.drive_s - CONTROL_PERIOD_S)])
    return times


def _drive(world: SimWorld, babbling: Babbling, rng: np.random.Generator) -> Drive:
    limb = babbling.limb
    cameras = world.robot.limbs[limb].live_cameras
    count = round(babbling.drive_s / CONTROL_PERIOD_S) + 1
    times: FloatArray = np.arange(count, dtype=np.float64) * CONTROL_PERIOD_S
    path = goals(babbling, rng, times)
    frames = _frame_times(babbling, rng, [camera.rate_hz for camera in cameras], world.dt_s)
    tiles: list[list[TileArray]] = [[] for _ in cameras]
    joints = np.empty_like(path)
    _place(world, limb, path[0])
    start_s = world.time_s
    # Pictures (kind 0) of an instant come before its next command.
    events = [(t, 0, j) for j, at in enumerate(frames) for t in at]
    events += [(t, 1, k) for k, t in enumerate(times)]
    heapq.heapify(events)
    while events:
        at, kind, number = heapq.heappop(events)
        world.advance_to(start_s + at)
        if kind == 0:
            tiles[number].append(shrunk(world.draw(limb, cameras[number])))
        else:
            joints[number] = world.bodies[limb].servo_rad
            world.bodies[limb].set_goal(path[number])
    stacked = tuple(np.stack(own) for own in tiles)
    return Drive(times, joints, tuple(frames), stacked)


def _place(world: SimWorld, limb: int, position_rad: FloatArray) -> None:
    """Put the limb at rest at ``(n,)`` positions, the others at home."""
    rest = [
        position_rad if i == limb else [joint.home_rad for joint in about.joints]
        for i, about in enumerate(world.robot.limbs)
    ]
    world.reset(positions_rad=rest)
    world.bodies[limb].set_goal(position_rad)
    world.advance(SETTLE_S)
