"""Drives from recordings of the robot: pictures with their stamps, joints with theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from asterias.errors import UserError
from hardware.description.robot import RobotDescription
from learning.fast_weights.estimation.drives import Drive, TileArray, shrunk
from learning.recordings.pictures import PictureError, decode_picture, to_rgb
from learning.recordings.reading import Decoder, Recording, find_recordings

# A drive with fewer pictures in all is too short to learn from.
FEWEST_PICTURES = 20


def recorded_drives(path: Path, robot: RobotDescription, limb: int) -> list[Drive]:
    """Return a drive of each recording at ``path``.

    Args:
        path: a file, a bag, or a folder of episodes.
        robot: the description; all its cameras and joints must have been recorded.
        limb: number of the limb.

    Returns:
        The drives; recordings that are too short are left out.

    Raises:
        UserError: no recording holds pictures and joints of this limb.
    """
    drives, reason = [], ""
    for recording in find_recordings(path):
        try:
            drives.append(_drive(recording, robot, limb))
        except UserError as error:
            reason = reason or str(error)
    if not drives:
        raise UserError(reason)
    return drives


def _drive(recording: Recording, robot: RobotDescription, limb: int) -> Drive:
    """Return what a recording holds, read once."""
    count = len(robot.limbs[limb].live_cameras)
    names = [joint.name for joint in robot.limbs[limb].joints]
    prefix = f"/limb_{limb}"
    states = f"{prefix}/joint_states"
    topics = {
        f"{prefix}/camera_{j}/image_raw{ending}": j
        for j in range(count)
        for ending in ("", "/compressed")
    }
    decode = Decoder()
    joints: list[tuple[float, list[float]]] = []
    frames: list[dict[float, TileArray]] = [{} for _ in range(count)]
    for raw in recording.messages({states, *topics}):
        time_s = raw.time_ns / 1e9
        if raw.topic.name == states:
            content = decode(raw)
            row = dict(zip(content.name, content.position, strict=False)) if content else {}
            values = [float(row.get(name, np.nan)) for name in names]
            if np.isfinite(values).all():
                joints.append((time_s, values))
            continue
        try:
            pixels = to_rgb(decode_picture(raw, decode))
        except PictureError:
            continue
        frames[topics[raw.topic.name]].setdefault(time_s, shrunk(pixels))
    _check(recording, states, joints, frames, names)
    return _sorted(joints, frames)


def _check(
    recording: Recording,
    states: str,
    joints: list[tuple[float, list[float]]],
    frames: list[dict[float, TileArray]],
    names: list[str],
) -> None:
    """Refuse a recording that nothing can be learned from.

    Raises:
        UserError: it lacks joints or pictures.
    """
    if len(joints) < 2:
        raise UserError(
            f"{recording.name} holds no measured joints {', '.join(names)} on {states}: it is of "
            "another robot or limb, or joint states were not recorded."
        )
    silent = [f"camera_{j}" for j, own in enumerate(frames) if not own]
    if silent:
        prefix = states.rpartition("/")[0]
        raise UserError(
            f"{recording.name} holds no pictures of {', '.join(silent)}; record "
            f"{prefix}/camera_*/image_raw, too."
        )
    if sum(map(len, frames)) < FEWEST_PICTURES:
        raise UserError(
            f"{recording.name} holds fewer than {FEWEST_PICTURES} pictures; record longer."
        )


def _sorted(joints: list[tuple[float, list[float]]], frames: list[dict[float, TileArray]]) -> Drive:
    by_time = dict(joints)
    times = np.array(sorted(by_time))
    start = times[0]
    stamps = [np.array(sorted(own)) for own in frames]
    return Drive(
        times - start,
        np.array([by_time[time] for time in times]),
        tuple(own - start for own in stamps),
        tuple(np.stack([own[time] for time in at]) for own, at in zip(frames, stamps, strict=True)),
    )
