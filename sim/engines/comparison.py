"""The engines side by side: a held limb against our own loop at a fine step, and a robot on ground.

Every figure is measured in the same way in each engine, through the interfaces that both have.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

from asterias.arrays import FloatArray
from hardware.description.robot import RobotDescription, load_robot
from sim.contact.body import ContactBody
from sim.contact.shapes import Ground, Surface
from sim.contact.standing_robot import standing_robot
from sim.engines.registry import find_engine
from sim.physics.limb_body import LimbBody

Figures = dict[str, dict[str, float]]
# What the engines are measured against: our own loop, at so many steps a second.
REFERENCE, REFERENCE_HZ = "asterias", 8000.0
_SAMPLE_HZ = 100.0
_SAG_S, _MOVE_S = 2.0, 2.0
# Settled: no hinge is further from where it ends.
_SETTLED_RAD = 2e-3
_DROP_M, _DROP_S, _CREEP_S = 0.05, 2.0, 5.0
_AT_REST_M_S = 1e-3
_SLIDE_RAD, _REST_RAD, _FRICTION = math.radians(30.0), math.radians(20.0), 0.4
_GRAVITY_M_S2 = 9.81
# Gaits are learned at this rate; samples are whole steps.
_GROUND_HZ, _GROUND_SAMPLE_HZ = 250.0, 50.0


# -- a limb that is held --------------------------------------------------------------------------


def compare_limb(robot: str, engines: Sequence[str], seed: int) -> Figures:
    """Return how far each engine's limb is from the reference: sag, settling, way, energy.

    Args:
        robot: name or path of a description; its first limb is moved.
        engines: by name.
        seed: of the commands.
    """
    about = load_robot(robot)
    reference = _limb_track(about, REFERENCE, REFERENCE_HZ, seed)
    figures: Figures = {}
    for engine in engines:
        track = _limb_track(about, engine, about.simulation.physics_hz, seed)
        sag, moved = round(_SAG_S * _SAMPLE_HZ), slice(round(_SAG_S * _SAMPLE_HZ), None)
        apart = np.abs(track - reference)
        tips = 1e3 * np.linalg.norm(_tips(about, track) - _tips(about, reference), axis=1)
        figures[engine] = {
            "sag_mrad": 1e3 * float(apart[sag - 1].max()),
            "sag_tip_mm": float(tips[sag - 1]),
            "settled_after_s": _settled_s(track[moved]),
            "reference_settled_after_s": _settled_s(reference[moved]),
            "way_max_mrad": 1e3 * float(apart[moved].max()),
            "way_rms_mrad": 1e3 * float(np.sqrt((apart[moved] ** 2).mean())),
            "way_tip_max_mm": float(tips[moved].max()),
            "energy_gained_mj": _energy_gained_mj(about, engine),
        }
    return figures


def _held(about: RobotDescription, engine: str, physics_hz: float) -> LimbBody:
    """Return the first limb of a robot with nothing else round it."""
    settings = about.simulation.model_copy(update={"physics_hz": physics_hz})
    alone = about.model_copy(update={"backend": settings, "limbs": about.limbs[:1], "scenery": ()})
    return find_engine(engine).hold(alone).bodies[0]


def _limb_track(about: RobotDescription, engine: str, physics_hz: float, seed: int) -> FloatArray:
    """Return ``(T, h)`` angles: two seconds at home, and two towards a drawn command."""
    body = _held(about, engine, physics_hz)
    rng = np.random.default_rng(seed)
    goal = [0.5 * rng.uniform(*joint.limits_rad) for joint in about.limbs[0].joints]
    steps, track = round(physics_hz / _SAMPLE_HZ), []
    for k in range(round((_SAG_S + _MOVE_S) * _SAMPLE_HZ)):
        if k == round(_SAG_S * _SAMPLE_HZ):
            body.set_goal(goal)
        body.advance(steps)
        track.append(body.hinge_rad)
    return np.array(track)


def _settled_s(track: FloatArray) -> float:
    """Return after how long all hinges stay within 2 mrad of where they end."""
    late = np.flatnonzero(np.abs(track - track[-1]).max(axis=1) > _SETTLED_RAD)
    return (int(late[-1]) + 1) / _SAMPLE_HZ if late.size else 0.0


def _tips(about: RobotDescription, track: FloatArray) -> FloatArray:
    """Return ``(T, 3)`` where the last link's centre is."""
    limb = about.limbs[0]
    body, last = LimbBody(limb, about.materials), limb.body.links[-1]
    tips = []
    for angles in track:
        body.place(angles)
        rotation, shift = body.link_pose(last.name)
        tips.append(rotation @ np.array(last.center_m) + shift)
    return np.array(tips)


def _energy_gained_mj(about: RobotDescription, engine: str) -> float:
    """Return by how much the energy of a limp limb ever rises above what it was before, mJ."""
    body = _held(about, engine, about.simulation.physics_hz)
    body.power(False)
    least, gained = sum(body.energy_j()), 0.0
    for _ in range(round(_MOVE_S * _SAMPLE_HZ)):
        body.advance(round(about.simulation.physics_hz / _SAMPLE_HZ))
        now = sum(body.energy_j())
        gained, least = max(gained, now - least), min(least, now)
    return 1e3 * gained


# -- a robot on the ground ------------------------------------------------------------------------


def compare_ground(robot: str, engines: Sequence[str]) -> Figures:
    """Return what each engine's robot does when it drops, lies on a slope and slides down one."""
    return {engine: _ground(load_robot(robot), engine) for engine in engines}


def _ground(about: RobotDescription, engine: str) -> dict[str, float]:
    body = _standing(about, engine, height_m=_DROP_M)
    heights, speeds = [], []
    for _ in range(round(_DROP_S * _GROUND_SAMPLE_HZ)):
        _sample(body)
        heights.append(float(body.position_m()[2]))
        speeds.append(float(np.abs(body.velocity_m_s()).max()))
    moving = np.flatnonzero(np.array(speeds) > _AT_REST_M_S)
    body.close()
    return {
        "rest_height_mm": 1e3 * heights[-1],
        "at_rest_after_s": (int(moving[-1]) + 1) / _GROUND_SAMPLE_HZ if moving.size else 0.0,
        "rest_creep_mm": _creep_mm(about, engine),
        "slide_error": _slide_error(about, engine),
    }


def _standing(
    about: RobotDescription, engine: str, slope_rad: float = 0.0, height_m: float = 0.0
) -> ContactBody:
    settings = about.simulation.model_copy(update={"physics_hz": _GROUND_HZ})
    body = standing_robot(
        about.model_copy(update={"backend": settings}),
        ground=Ground(surface=Surface(friction=_FRICTION)),
        height_m=height_m,
        body=find_engine(engine).free_body(),
    )
    down = np.array([math.sin(slope_rad), 0.0, math.cos(slope_rad)])
    body.tree.gravity_m_s2[:] = -_GRAVITY_M_S2 * down
    return body


def _sample(body: ContactBody) -> None:
    body.advance(round(_GROUND_HZ / _GROUND_SAMPLE_HZ))


def _way(about: RobotDescription, engine: str, slope_rad: float, samples: int) -> FloatArray:
    """Return ``(samples + 1,)`` how far down a slope the robot is; it begins at rest on it."""
    body = _standing(about, engine, slope_rad)
    way = [float(body.position_m()[0])]
    for _ in range(samples):
        _sample(body)
        way.append(float(body.position_m()[0]))
    body.close()
    return -np.array(way)


def _creep_mm(about: RobotDescription, engine: str) -> float:
    """Return how far the robot creeps below the friction angle, after half a second."""
    way = _way(about, engine, _REST_RAD, round(_CREEP_S * _GROUND_SAMPLE_HZ))
    return 1e3 * float(abs(way[-1] - way[round(0.5 * _GROUND_SAMPLE_HZ)]))


def _slide_error(about: RobotDescription, engine: str) -> float:
    """Return the relative error of the acceleration ``g (sin a - mu cos a)`` from 0.2 s to 1 s."""
    way = _way(about, engine, _SLIDE_RAD, round(_GROUND_SAMPLE_HZ))
    third = round(0.4 * _GROUND_SAMPLE_HZ)
    first = way.size - 1 - 2 * third
    measured = (way[-1] - 2 * way[first + third] + way[first]) / (third / _GROUND_SAMPLE_HZ) ** 2
    wanted = _GRAVITY_M_S2 * (math.sin(_SLIDE_RAD) - _FRICTION * math.cos(_SLIDE_RAD))
    return float(abs(measured / wanted - 1.0))


# -- speed ----------------------------------------------------------------------------------------


def compare_speed(
    robot: str, standing: str, engines: Sequence[str], duration_s: float, repeats: int
) -> dict[str, Figures]:
    """Return simulated seconds a second of one core, without pictures, the engines by turns.

    Returns:
        For the held ``robot`` and the robot ``standing`` on the ground: median, least and most of
        each engine.
    """
    advances: dict[str, dict[str, Callable[[], object]]] = {"held": {}, "standing": {}}
    about, free = load_robot(robot), load_robot(standing)
    for engine in engines:
        held, steps = find_engine(engine).hold(about), about.simulation.physics_hz * duration_s
        body = _standing(free, engine)
        advances["held"][engine] = _bound(held.advance, round(steps))
        advances["standing"][engine] = _bound(body.advance, round(_GROUND_HZ * duration_s))
    figures: dict[str, Figures] = {}
    for kind, by_engine in advances.items():
        rates: dict[str, list[float]] = {engine: [] for engine in engines}
        for _ in range(repeats + 1):  # the first is thrown away
            for engine, advance in by_engine.items():
                start = time.process_time()
                advance()
                rates[engine].append(duration_s / (time.process_time() - start))
        figures[kind] = {
            engine: {
                "median": statistics.median(row[1:]),
                "min": min(row[1:]),
                "max": max(row[1:]),
            }
            for engine, row in rates.items()
        }
    return figures


def _bound(advance: Callable[[int], None], steps: int) -> Callable[[], object]:
    return lambda: advance(steps)
