"""A recording's commands once more, in simulation: does the robot do again what it did?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.recordings.reading import Recording
from learning.recordings.trace import Series, Trace, read_trace
from sim.world import SimWorld

# Seconds done, seconds in all.
OnSeconds = Callable[[float, float], None]
SETTLE_S = 1.0


@dataclass(frozen=True)
class Replay:
    """How a limb moved in simulation, beside how it moved when it was recorded.

    Attributes:
        names: of the commanded joints.
        times_s: ``(T,)`` of the recording.
        recorded, replayed: ``(T, n)`` positions in rad.
    """

    names: tuple[str, ...]
    times_s: FloatArray
    recorded: FloatArray
    replayed: FloatArray

    @property
    def rms_rad(self) -> FloatArray:
        """``(n,)`` root mean square of the difference of each joint."""
        rms: FloatArray = np.sqrt(np.mean((self.replayed - self.recorded) ** 2, axis=0))
        return rms


def replay(
    recording: Recording,
    robot: str = "limb_p1",
    limb: int = 0,
    on_seconds: OnSeconds = lambda done, total: None,
) -> Replay:
    """Drive a simulated limb by a recording's commands, from the pose in which it began.

    Args:
        recording: with joint states and commands of the limb.
        robot: name or path of a robot description.
        limb: its number.
        on_seconds: gets how much of the recording is done.

    Returns:
        What was recorded, and what the simulation did.

    Raises:
        UserError: it holds no commands of that limb, or of other joints.
    """
    trace = read_trace(recording)
    joints, commands = _series(recording, trace, limb)
    with SimWorld(robot, pictures=False) as world:
        if not 0 <= limb < len(world.robot.limbs):
            raise UserError(f"Robot {robot} has no limb {limb}.")
        names = tuple(joint.name for joint in world.robot.limbs[limb].joints)
        if names != commands.names:
            raise UserError(
                f"{recording.path} commands {', '.join(commands.names)}; limb {limb} of {robot} "
                f"has {', '.join(names)}."
            )
        columns = [joints.names.index(name) for name in names]
        recorded = joints.values[:, columns]
        body = world.bodies[limb]
        body.set_goal(recorded[0])
        world.advance(SETTLE_S)
        driver = world.limbs[limb]
        driver.connect()
        began_s = world.time_s
        replayed = np.empty_like(recorded)
        for row, time_s in enumerate(joints.times_s):
            if time_s >= commands.times_s[0]:
                body.set_goal(commands.at(np.array([time_s]))[0])
            world.advance_to(began_s + float(time_s - joints.times_s[0]))
            replayed[row] = driver.read().position_rad
            on_seconds(float(time_s), trace.duration_s)
        driver.disconnect()
    return Replay(names, joints.times_s, recorded, replayed)


def _series(recording: Recording, trace: Trace, limb: int) -> tuple[Series, Series]:
    joints, commands = trace.joints.get(limb), trace.commands.get(limb)
    if joints is None or commands is None or not len(commands.times_s):
        raise UserError(
            f"{recording.path} holds no joint states and commands of limb_{limb} to play."
        )
    return joints, commands
