"""Frames of a robot: what transforms, pictures and the URDF call them, and where they are.

Names begin with the limb's number as on the topics, ``limb_0_finger_tip``. A link's frame sits at
the pivot of the hinge that carries it; in the straight pose it is parallel to the limb's common
frame. ``base_link`` is the frame in which a description places the limbs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hardware.description.fields import Vector3, check_unique
from hardware.description.limb import Hinge, JointDescription, Limb, Pose
from hardware.description.robot import RobotDescription

MAP_FRAME, BASE_FRAME = "map", "base_link"
# Cameras look along +x with +z up; optical frames along +z with -y up (REP 103).
OPTICAL_RPY: Vector3 = (-0.5 * math.pi, 0.0, -0.5 * math.pi)
_ORIGIN: Vector3 = (0.0, 0.0, 0.0)


def prefixed(limb: int, name: str) -> str:
    """Return the name of a link or joint of limb ``limb``, unique in the whole robot."""
    return f"limb_{limb}_{name}"


def camera_frame(limb: int, camera: int) -> str:
    """Return the frame of a camera that looks along +x."""
    return prefixed(limb, f"camera_{camera}")


def optical_frame(limb: int, camera: int) -> str:
    """Return the frame of a camera's pictures: x to the right, y down, z ahead."""
    return f"{camera_frame(limb, camera)}_optical_frame"


@dataclass(frozen=True)
class FixedFrame:
    """A frame that stands still in its parent; ``pose`` in m and rad."""

    parent: str
    child: str
    pose: Pose


@dataclass(frozen=True)
class TurningFrame:
    """A frame that turns about an axis of its parent.

    Attributes:
        parent, child: names of the frames.
        joint: unique name of the joint.
        limb: number of the limb.
        state_name: what the joint is called on the limb's ``joint_states``.
        origin_m: of the child in the parent.
        axis: unit vector in the parent, which is also the child's.
        hinge: None for the pulley of a tendon.
        servo: None for a joint that no servo drives directly.
    """

    parent: str
    child: str
    joint: str
    limb: int
    state_name: str
    origin_m: Vector3
    axis: Vector3
    hinge: Hinge | None
    servo: JointDescription | None


@dataclass(frozen=True)
class FrameTree:
    """All frames of a robot, parents before their children."""

    fixed: tuple[FixedFrame, ...]
    turning: tuple[TurningFrame, ...]


def frames_of(robot: RobotDescription) -> FrameTree:
    """Return the frames of a robot.

    Passes on ``ValueError``: two frames or two joints would have one name.
    """
    fixed: list[FixedFrame] = []
    turning: list[TurningFrame] = []
    for number, limb in enumerate(robot.limbs):
        root = prefixed(number, limb.body.links[0].name)
        fixed.append(FixedFrame(BASE_FRAME, root, limb.base))
        turning += _hinges(number, limb)
        turning += _pulleys(number, limb)
        fixed += _cameras(number, limb)
    children = [*(frame.child for frame in fixed), *(frame.child for frame in turning)]
    check_unique("frame", [BASE_FRAME, *children])
    check_unique("joint", [frame.joint for frame in turning])
    return FrameTree(tuple(fixed), tuple(turning))


def _hinges(number: int, limb: Limb) -> list[TurningFrame]:
    servos = {joint.hinge: joint for joint in limb.joints if joint.hinge is not None}
    pivots = pivots_of(limb)
    frames = []
    for hinge in limb.body.hinges:
        servo = servos.get(hinge.name)
        name = hinge.name if servo is None else servo.name
        frames.append(
            TurningFrame(
                parent=prefixed(number, hinge.parent),
                child=prefixed(number, hinge.child),
                joint=prefixed(number, name),
                limb=number,
                state_name=name,
                origin_m=_difference(hinge.pivot_m, pivots[hinge.parent]),
                axis=_unit(hinge.axis),
                hinge=hinge,
                servo=servo,
            )
        )
    return frames


def _pulleys(number: int, limb: Limb) -> list[TurningFrame]:
    """Return the pulleys of tendons: in the middle of the link from which the tendon starts."""
    hinges = {hinge.name: hinge for hinge in limb.body.hinges}
    links = {link.name: link for link in limb.body.links}
    tendons = {tendon.name: tendon for tendon in limb.body.tendons}
    pivots, frames = pivots_of(limb), []
    for joint in limb.joints:
        if joint.tendon is None:
            continue
        first = hinges[tendons[joint.tendon].hinges[0]]
        frames.append(
            TurningFrame(
                parent=prefixed(number, first.parent),
                child=prefixed(number, f"{joint.name}_pulley"),
                joint=prefixed(number, joint.name),
                limb=number,
                state_name=joint.name,
                origin_m=_difference(links[first.parent].center_m, pivots[first.parent]),
                axis=_unit(first.axis),
                hinge=None,
                servo=joint,
            )
        )
    return frames


def _cameras(number: int, limb: Limb) -> list[FixedFrame]:
    pivots, frames = pivots_of(limb), []
    for j, camera in enumerate(limb.live_cameras):
        shift = _difference(camera.pose.xyz, pivots[camera.link])
        body, optical = camera_frame(number, j), optical_frame(number, j)
        mount = Pose(xyz=shift, rpy=camera.pose.rpy)
        frames.append(FixedFrame(prefixed(number, camera.link), body, mount))
        frames.append(FixedFrame(body, optical, Pose(rpy=OPTICAL_RPY)))
    return frames


def pivots_of(limb: Limb) -> dict[str, Vector3]:
    """Return the origin of each link's frame, in m in the limb's common frame."""
    pivots = {limb.body.links[0].name: _ORIGIN}
    return pivots | {hinge.child: hinge.pivot_m for hinge in limb.body.hinges}


def _difference(point: Vector3, origin: Vector3) -> Vector3:
    return (point[0] - origin[0], point[1] - origin[1], point[2] - origin[2])


def _unit(axis: Vector3) -> Vector3:
    length = math.hypot(*axis)
    return (axis[0] / length, axis[1] / length, axis[2] / length)
