"""Episodes on a regular grid of times: what data sets are made of."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray, ImageArray
from asterias.errors import UserError
from asterias.images import ImageError, decode_image
from learning.recordings.bags.bag_writer import PICTURE_TYPES
from learning.recordings.bags.cdr import parse_image
from learning.recordings.reading import Decoder, Raw, Recording
from learning.recordings.trace import CAMERA, Trace, read_trace

TO_RGB = {"bgr8": cv2.COLOR_BGR2RGB, "rgba8": cv2.COLOR_RGBA2RGB, "bgra8": cv2.COLOR_BGRA2RGB}
FEWEST_FRAMES = 2


class TooShortError(UserError):
    """An episode with less than two frames."""


# Told how many frames are done.
OnFrames = Callable[[int], None]


@dataclass(frozen=True)
class SampledEpisode:
    """An episode at ``fps`` frames per second; frame k is what was known at ``times_s[k]``.

    Attributes:
        recording: where it comes from.
        task, success: as told and marked; ``success`` is None where nobody marked it.
        fps: frames per second of the recording's clock.
        times_s: ``(T,)`` since the recording's first message.
        state: ``(T, n)`` measured positions of the commanded joints, rad.
        action: ``(T, n)`` commanded positions in effect, rad; where nobody commanded, the next
            frame's state.
        joint_names: ``n`` names such as ``limb_0.shoulder_yaw``.
        pictures: per camera topic the ``(T,)`` numbers of its pictures that are shown.
    """

    recording: Recording
    task: str
    success: bool | None
    fps: int
    times_s: FloatArray
    state: FloatArray
    action: FloatArray
    joint_names: tuple[str, ...]
    pictures: dict[str, npt.NDArray[np.int64]]

    def frames(self) -> Iterator[tuple[str, int, ImageArray]]:
        """Each camera's pictures as ``(topic, frame, (H, W, 3) RGB)``, in the order of the file."""
        decode = Decoder()
        seen = dict.fromkeys(self.pictures, 0)
        for raw in self.recording.messages(set(self.pictures)):
            topic = raw.topic.name
            shown = np.flatnonzero(self.pictures[topic] == seen[topic])
            seen[topic] += 1
            if shown.size:
                picture = decode_picture(raw, decode)
                for frame in shown:
                    yield topic, int(frame), picture


def sample(recording: Recording, fps: int = 0, task: str = "") -> SampledEpisode:
    """Puts an episode on a grid.

    Args:
        recording: the episode.
        fps: frames per second; 0 takes the rate of the slowest camera, or 10 without cameras.
        task: for recordings that tell none.

    Raises:
        UserError: it holds no joint states.
        TooShortError: it holds less than two frames.
    """
    trace = read_trace(recording)
    if not any(len(series.times_s) for series in trace.joints.values()):
        raise UserError(f"{recording.path} holds no /limb_<i>/joint_states to learn from.")
    pictures = {name: times for name, times in trace.pictures.items() if len(times)}
    fps = fps or _slowest_rate(pictures)
    times_s = _grid(trace, pictures, fps)
    if len(times_s) < FEWEST_FRAMES:
        raise TooShortError(
            f"{recording.path} is too short: {len(times_s)} frames at {fps} per second."
        )
    names, state, action = _joints(trace, times_s)
    card = recording.card
    marked = {"success": True, "failure": False}
    return SampledEpisode(
        recording=recording,
        task=(card.task if card else "") or task,
        success=marked.get(card.outcome) if card else None,
        fps=fps,
        times_s=times_s,
        state=state,
        action=action,
        joint_names=names,
        pictures={
            name: np.maximum(np.searchsorted(shown, times_s, side="right") - 1, 0)
            for name, shown in pictures.items()
        },
    )


def camera_key(topic: str) -> str:
    """A camera's name in a data set, such as ``limb_0_camera_2``."""
    match = CAMERA.match(topic)
    return f"limb_{match[1]}_camera_{match[2]}" if match else topic.strip("/").replace("/", "_")


def decode_picture(raw: Raw, decode: Decoder) -> ImageArray:
    """``(H, W, 3)`` RGB of a picture message.

    Raises:
        UserError: it cannot be decoded.
    """
    if raw.topic.type_name == PICTURE_TYPES[0]:
        picture = parse_image(raw.data)
        if picture is not None:
            return _to_rgb(picture.pixels, picture.encoding)
    else:
        content: Any = decode(raw)
        with contextlib.suppress(ImageError):
            return decode_image(bytes(content.data) if content is not None else b"")
    raise UserError(f"A picture of {raw.topic.name} cannot be decoded.")


def _to_rgb(pixels: ImageArray, encoding: str) -> ImageArray:
    if encoding == "mono8":
        return np.repeat(pixels[..., None], 3, axis=2)
    if encoding == "rgb8":
        return pixels
    return np.asarray(cv2.cvtColor(pixels, TO_RGB[encoding]), np.uint8)


def _slowest_rate(pictures: dict[str, FloatArray]) -> int:
    rates = [
        1.0 / float(np.median(np.diff(times)))
        for times in pictures.values()
        if len(times) > 1 and np.median(np.diff(times)) > 0
    ]
    return max(1, round(min(rates, default=10.0)))


def _grid(trace: Trace, pictures: dict[str, FloatArray], fps: int) -> FloatArray:
    """From the moment at which everything has been seen once, to the end of the joint states."""
    joints = [series.times_s for series in trace.joints.values() if len(series.times_s)]
    begin_s = max(float(times[0]) for times in [*joints, *pictures.values()])
    end_s = min(float(times[-1]) for times in joints)
    count = max(0, int((end_s - begin_s) * fps + 1e-6) + 1)
    return begin_s + np.arange(count) / fps


def _joints(trace: Trace, times_s: FloatArray) -> tuple[tuple[str, ...], FloatArray, FloatArray]:
    """Names, measured and commanded positions of all limbs."""
    names: list[str] = []
    states, actions = [], []
    for limb, joints in trace.joints.items():
        commands = trace.commands.get(limb)
        wanted = commands.names if commands is not None else joints.names
        columns = [joints.names.index(name) for name in wanted if name in joints.names]
        state = joints.at(times_s)[:, columns]
        following = np.vstack([state[1:], state[-1:]])
        action = following if commands is None else commands.at(times_s)
        if commands is not None and len(commands.times_s):
            # Before the first command the limb was told nothing: it stays where it is.
            early = times_s < commands.times_s[0]
            action = np.where(early[:, None], state, action)
        names += [f"limb_{limb}.{joints.names[column]}" for column in columns]
        states.append(state)
        actions.append(action)
    return tuple(names), np.hstack(states), np.hstack(actions)
