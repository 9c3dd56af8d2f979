"""How far each moment decided: the channel ``/critical_states`` in a file of its own, and a band.

The recording is never changed. Messages are ``std_msgs/msg/Float32`` from 0 to 1 on the recording's
clock, so that players and plots show them as any other topic.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import cv2
import numpy as np

from asterias.arrays import FloatArray, ImageArray
from asterias.errors import UserError
from learning.recordings.bags.bag_writer import BagWriter, Topic
from learning.recordings.bags.cdr import LITTLE_ENDIAN
from learning.recordings.reading import Recording

ENDING = ".critical_states.mcap"
# Of episodes in runs/mine the files are in runs/mine_key_frames, as the how-to has it.
KEY_FRAMES = "_key_frames"
TOPIC = Topic("/critical_states", "std_msgs/msg/Float32", "float32 data\n")
_VALUE = struct.Struct("<f")
BAND_PX = 46
INK, DECIDED, PAPER, LINE = (40, 44, 52), (214, 102, 20), 250, (200, 203, 208)


def file_name(name: str) -> str:
    """Return what files of a recording are called, without the ending."""
    return re.sub(r"[^\w.-]+", "_", name)[:80] or "recording"


def sidecar_path(recording: Path, name: str) -> Path:
    """Return where the sidecar of a recording is looked for.

    Args:
        recording: its file or folder.
        name: of the recording.
    """
    folder = recording.absolute().parent
    return folder.with_name(folder.name + KEY_FRAMES) / f"{file_name(name)}{ENDING}"


def recording_criticality(recording: Recording, start_ns: int, times_s: FloatArray) -> FloatArray:
    """Return ``(T,)`` how far moments of a recording decided, as its sidecar has it.

    Args:
        recording: the recording.
        start_ns: its clock at time 0.
        times_s: ``(T,)`` of the moments.

    Raises:
        UserError: there is no sidecar.
    """
    path = sidecar_path(recording.path, recording.name)
    if not path.is_file():
        folder = recording.path.absolute().parent
        raise UserError(
            f"Nothing says which frames of {recording.path} decided: {path} is not there; "
            f"`asterias learning recordings key-frames {folder} --out {folder}{KEY_FRAMES}` "
            "makes it."
        )
    known_s, mask = read_sidecar(path)
    found: FloatArray = np.interp(times_s, known_s - start_ns / 1e9, mask)
    return found


def write_sidecar(path: Path, start_ns: int, times_s: FloatArray, mask: FloatArray) -> None:
    """Write a sidecar, whole or not at all; one that is there is replaced.

    Args:
        path: of the file.
        start_ns: clock of the recording at time 0.
        times_s: ``(T,)`` of the moments.
        mask: ``(T,)`` how far each decided, from 0 to 1.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        writer = BagWriter(temporary, name=path.name)
        writer.add_topic(TOPIC)
        for time_s, value in zip(times_s, mask, strict=True):
            at_ns = start_ns + round(float(time_s) * 1e9)
            writer.write(TOPIC.name, LITTLE_ENDIAN + _VALUE.pack(float(value)), at_ns, at_ns)
        writer.close(is_bag=False)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_sidecar(path: Path) -> tuple[FloatArray, FloatArray]:
    """Return times ``(T,)`` in s of the recording's clock, and the mask ``(T,)``.

    Raises:
        UserError: there is no such channel in the file.
    """
    if not path.is_file():
        raise UserError(f"{path} is not there; `recordings key-frames` makes such files.")
    times, values = [], []
    for raw in Recording(path, (path,)).messages({TOPIC.name}):
        if len(raw.data) == len(LITTLE_ENDIAN) + _VALUE.size:
            times.append(raw.log_time_ns / 1e9)
            values.append(_VALUE.unpack_from(raw.data, len(LITTLE_ENDIAN))[0])
    if not times:
        raise UserError(f"{path} holds no channel {TOPIC.name}; `recordings key-frames` makes it.")
    return np.array(times), np.clip(np.nan_to_num(np.array(values)), 0.0, 1.0)


def draw_band(
    times_s: FloatArray,
    mask: FloatArray,
    width: int,
    duration_s: float,
    now_s: float | None = None,
) -> ImageArray:
    """Return ``(46, width, 3)`` RGB: the mask over time, with a line at the present time.

    Args:
        times_s: ``(T,)`` of the mask.
        mask: ``(T,)`` from 0 to 1.
        width: px.
        duration_s: time at the right end.
        now_s: time of the line; None draws none.
    """
    band = np.full((BAND_PX, width, 3), PAPER, np.uint8)
    left, right, top, base = 10, width - 10, 6, BAND_PX - 16
    at_px = np.linspace(0.0, max(duration_s, 1e-6), right - left)
    heights = np.interp(at_px, times_s, mask)
    for column, height in enumerate(heights):
        top_px = base - round(float(height) * (base - top))
        band[top_px : base + 1, left + column] = DECIDED
    cv2.line(band, (left, base), (right, base), LINE, 1)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(band, "0 s", (left, BAND_PX - 4), font, 0.35, INK, 1, cv2.LINE_AA)
    end = f"{duration_s:.1f} s"
    cv2.putText(band, end, (right - 40, BAND_PX - 4), font, 0.35, INK, 1, cv2.LINE_AA)
    if now_s is not None:
        place = left + round((right - left) * min(max(now_s / max(duration_s, 1e-6), 0.0), 1.0))
        cv2.line(band, (place, top - 4), (place, base), INK, 1)
    return band
