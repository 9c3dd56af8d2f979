"""Recordings for the eye: a page of plots, a contact sheet, a film of all tiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from asterias.arrays import FloatArray, ImageArray
from asterias.errors import UserError
from hardware.perception.apriltag import detect_tags
from hardware.perception.contact_sheet import contact_sheet
from hardware.perception.images import Tile, draw_tile, save_png
from learning.recordings.pictures import Pixels, to_rgb
from learning.recordings.plots.criticality import draw_band, read_sidecar
from learning.recordings.plots.video import FilmWriter
from learning.recordings.reading import Recording
from learning.recordings.sampling import Sampled, SampledEpisode, camera_key
from learning.recordings.trace import CAMERA, Trace, read_trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Frames done, frames in all.
OnFilm = Callable[[int, int], None]
# Episode, frame, height in px -> picture of that height.
DrawBeside = Callable[[SampledEpisode, int, int], ImageArray]

TILE_PX = 224
SHEET_ROWS = 8
JOINTS_INCH, RATES_INCH, ROW_INCH, BAND_INCH = 2.9, 1.6, 0.4, 0.9
RATE_WINDOW_S = 1.0
RATE_POINTS = 400
WIDEST_LINE = 6.0
INK, FOUND, STOPPED, DECIDED = "#33373f", "#14a03c", "#be2828", "#d66614"
KEY_FRAME_DISTANCE = 30


def plot(recording: Recording, path: Path, key_frames: Path | None = None) -> None:
    """Draws joints and commands of each limb, the cameras' rates, and finds, over time.

    Args:
        recording: what is drawn.
        path: of the picture.
        key_frames: file with the channel ``/critical_states``, drawn as a band.

    Raises:
        UserError: there is nothing to draw.
    """
    from matplotlib.figure import Figure  # takes a second to import

    trace = read_trace(recording)
    limbs = sorted(trace.joints)
    if not limbs and not trace.pictures:
        raise UserError(f"{recording.path} holds neither joint states nor pictures.")
    heights = [JOINTS_INCH] * len(limbs) + [RATES_INCH] * bool(trace.pictures)
    decided = None if key_frames is None else read_sidecar(key_frames)
    heights += [BAND_INCH] * (decided is not None)
    if trace.sights:
        heights.append(ROW_INCH * (1 + len(_eyes(trace))))
    figure = Figure(figsize=(11, 1.2 + sum(heights)), layout="constrained")
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    rows: list[Axes] = list(np.atleast_1d(axes))
    waiting = iter(rows)
    for limb in limbs:
        _plot_joints(next(waiting), trace, limb)
    if trace.pictures:
        _plot_rates(next(waiting), trace)
    if decided is not None:
        times_s, mask = decided
        _plot_decided(next(waiting), times_s - trace.start_ns / 1e9, mask)
    if trace.sights:
        _plot_finds(next(waiting), trace)
    for row in rows:
        _mark(row, trace)
        row.grid(alpha=0.25)
        row.set_xlim(0, max(trace.duration_s, 1e-3))
    rows[-1].set_xlabel("time since the first message (s)")
    figure.suptitle(_title(recording, trace), fontsize=11, color=INK)
    figure.savefig(path, dpi=110)


def sheet(sampled: Sampled, path: Path, rows: int = SHEET_ROWS) -> None:
    """Draw a contact sheet: all cameras at moments evenly far apart, the last one included.

    Args:
        sampled: a recording on a grid.
        path: picture to write.
        rows: moments.
    """
    _check_pictures(sampled)
    frames = [(part, frame) for part in sampled.episodes for frame in range(len(part.times_s))]
    places = np.unique(np.linspace(0, len(frames) - 1, max(rows, 1)).round().astype(int))
    moments = [frames[int(place)] for place in places]
    tiles: dict[tuple[int, int], dict[str, Tile]] = {}
    for part in sampled.episodes:
        wanted = {frame for owner, frame in moments if owner is part}
        for topic, frame, pixels in part.frames():
            if frame in wanted:
                tiles.setdefault((id(part), frame), {})[topic] = _tile(topic, pixels)
    first = sampled.episodes[0]
    strips = [[tiles[id(p), f][topic] for topic in sorted(first.pictures)] for p, f in moments]
    titles = [f"{part.times_s[frame]:.1f} s" for part, frame in moments]
    columns = 2 if len(first.pictures) <= 4 else 1
    picture = contact_sheet(strips, titles, _heading(first), columns=columns)
    _save(path, picture)


def film(
    sampled: Sampled,
    path: Path,
    on_progress: OnFilm = lambda done, total: None,
    beside: DrawBeside | None = None,
    key_frames: Path | None = None,
) -> int:
    """Write a video of all tiles with the time and the joints' angles; return its frames.

    Args:
        sampled: a recording on a grid; its parts follow each other.
        path: video to write.
        on_progress: gets how many frames are done, and how many there are.
        beside: draws what stands to the left of the tiles, for an episode, a frame and a height.
        key_frames: file with the channel ``/critical_states``, drawn as a band below.

    Returns:
        Number of frames.

    Raises:
        UserError: there are no pictures, or a file of that name.
    """
    if path.exists():
        raise UserError(f"{path} exists already; name a new file.")
    _check_pictures(sampled)
    below = None if key_frames is None else _Band(key_frames, sampled)
    temporary = path.with_name(f".{path.name}.tmp.mp4")
    total = sum(len(part.times_s) for part in sampled.episodes)
    count = 0
    try:
        with FilmWriter(temporary, sampled.episodes[0].fps, KEY_FRAME_DISTANCE) as writer:
            for part in sampled.episodes:
                for frame, images in _synchronised(part):
                    screen = _screen(part, frame, images, beside)
                    writer.write(screen if below is None else below.under(screen, part, frame))
                    count += 1
                    on_progress(count, total)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return count


# -- plots ----------------------------------------------------------------------------------------


def _plot_joints(axes: Axes, trace: Trace, limb: int) -> None:
    joints, commands = trace.joints[limb], trace.commands.get(limb)
    shown = commands.names if commands is not None else joints.names
    for number, name in enumerate(shown):
        if name not in joints.names:
            continue
        column = joints.values[:, joints.names.index(name)]
        (line,) = axes.plot(joints.times_s, np.degrees(column), lw=1.4, label=name)
        if commands is not None and len(commands.times_s):
            times = np.append(commands.times_s, trace.duration_s)
            goal = np.degrees(np.append(commands.values[:, number], commands.values[-1, number]))
            axes.step(times, goal, where="post", lw=0.8, ls="--", color=line.get_color())
    axes.set_ylabel(f"limb_{limb}: angle (degrees)\ndashed: commanded")
    if axes.lines:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)


def _plot_rates(axes: Axes, trace: Trace) -> None:
    step = min(1.0, WIDEST_LINE / len(trace.pictures))
    for number, (topic, times) in enumerate(trace.pictures.items()):
        moments, rates = _rates(np.asarray(times), trace.duration_s)
        # Cameras often have one rate: the lines behind are wider, so that each is seen.
        width = 1.0 + step * (len(trace.pictures) - number)
        axes.plot(moments, rates, lw=width, label=camera_key(topic), solid_capstyle="butt")
    axes.set_ylim(bottom=0)
    axes.set_ylabel("picture rate (Hz)")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)


def _rates(times_s: FloatArray, duration_s: float) -> tuple[FloatArray, FloatArray]:
    """Return moments, and pictures per s within half a window around each, both ``(n,)``."""
    half = min(RATE_WINDOW_S, max(duration_s, 1e-3)) / 2
    moments = np.linspace(half, max(duration_s - half, half), RATE_POINTS)
    # A window without its end holds as many pictures as fit, wherever it begins.
    counts = np.searchsorted(times_s, moments + half) - np.searchsorted(times_s, moments - half)
    everywhere = np.concatenate([[0.0], moments, [duration_s]])
    return everywhere, np.pad(counts / (2 * half), 1, mode="edge")


def _plot_decided(axes: Axes, times_s: FloatArray, mask: FloatArray) -> None:
    axes.fill_between(times_s, mask, step="mid", color=DECIDED, lw=0)
    axes.set_ylim(0, 1)
    axes.set_ylabel("decided")


def _eyes(trace: Trace) -> list[tuple[str, str]]:
    """Return limb and camera of all that saw a tag."""
    return sorted({(sight.limb, sight.camera) for sight in trace.sights})


def _plot_finds(axes: Axes, trace: Trace) -> None:
    cameras = _eyes(trace)
    for sight in trace.sights:
        row = cameras.index((sight.limb, sight.camera))
        axes.plot(sight.time_s, row, "|", ms=14, mew=1.6, color=FOUND)
    axes.set_yticks(range(len(cameras)), [f"{limb}/{camera}" for limb, camera in cameras])
    axes.set_ylim(-0.6, len(cameras) - 0.4)
    axes.set_ylabel("tag seen\n(limb/camera)")


def _mark(axes: Axes, trace: Trace) -> None:
    """Shades the times at which the emergency stop was engaged."""
    began_s: float | None = None
    for time_s, engaged in [*trace.stops, (trace.duration_s, False)]:
        if engaged and began_s is None:
            began_s = time_s
        elif not engaged and began_s is not None:
            axes.axvspan(began_s, time_s, color=STOPPED, alpha=0.12, lw=0)
            began_s = None


def _title(recording: Recording, trace: Trace) -> str:
    card = recording.card
    told = f": {card.task}, {card.outcome}" if card is not None and card.task else ""
    return f"{recording.name}{told} ({trace.duration_s:.1f} s)"


# -- pictures -------------------------------------------------------------------------------------


def _check_pictures(sampled: Sampled) -> None:
    first = sampled.episodes[0]
    if not first.pictures:
        reasons = f" ({' '.join(sampled.losses)})" if sampled.losses else ""
        raise UserError(f"{first.recording.path} holds no pictures that can be shown{reasons}.")


def _heading(episode: SampledEpisode) -> str:
    return f"{episode.recording.name}: {episode.task or 'what the cameras saw'}"


def _tile(topic: str, pixels: Pixels) -> Tile:
    image = to_rgb(pixels)
    match = CAMERA.match(topic)
    label = f"limb_{match[1]}/camera_{match[2]}" if match else topic
    return Tile(image, label, tuple(detect_tags(np.ascontiguousarray(image))))


def _synchronised(episode: SampledEpisode) -> Iterator[tuple[int, dict[str, Pixels]]]:
    """Yield frame after frame with the pictures of all cameras, as soon as all have come."""
    waiting: dict[int, dict[str, Pixels]] = {}
    following = 0
    for topic, frame, image in episode.frames():
        waiting.setdefault(frame, {})[topic] = image
        while len(waiting.get(following, ())) == len(episode.pictures):
            yield following, waiting.pop(following)
            following += 1


def _screen(
    episode: SampledEpisode, frame: int, images: dict[str, Pixels], beside: DrawBeside | None
) -> ImageArray:
    """Return tiles in rows of up to four, and a line of words below."""
    tiles = [draw_tile(_tile(topic, images[topic]), TILE_PX) for topic in sorted(images)]
    columns = min(4, len(tiles))
    if beside is not None and len(tiles) <= 4:
        columns = math.ceil(len(tiles) / 2)  # two rows: what stands beside them needs height
    blank = np.full_like(tiles[0], 250)
    tiles += [blank] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[first : first + columns]) for first in range(0, len(tiles), columns)]
    picture = np.vstack(rows)
    if beside is not None:
        picture = np.hstack([beside(episode, frame, picture.shape[0]), picture])
    return np.vstack([picture, _words(episode, frame, picture.shape[1])])


class _Band:
    """How far each moment decided, below the frames of a film."""

    def __init__(self, key_frames: Path, sampled: Sampled) -> None:
        times_s, self._mask = read_sidecar(key_frames)
        start_s = read_trace(sampled.episodes[0].recording).start_ns / 1e9
        self._times_s = times_s - start_s
        self._end_s = max(float(part.times_s[-1]) for part in sampled.episodes)

    def under(self, screen: ImageArray, part: SampledEpisode, frame: int) -> ImageArray:
        now_s = float(part.times_s[frame])
        band = draw_band(self._times_s, self._mask, screen.shape[1], self._end_s, now_s)
        return np.vstack([screen, band])


def _words(episode: SampledEpisode, frame: int, width: int) -> ImageArray:
    lines = [f"{episode.times_s[frame]:6.2f} s   {episode.task}"]
    angles = np.degrees(episode.state[frame])
    told = [
        f"{name.rpartition('.')[2]} {angle:+.0f}"
        for name, angle in zip(episode.joint_names, angles, strict=True)
    ]
    lines.append("  ".join(told[:8]))
    band = np.full((52, width, 3), 250, np.uint8)
    for number, line in enumerate(lines):
        place = (8, 20 + 22 * number)
        cv2.putText(band, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 44, 52), 1, cv2.LINE_AA)
    return band


def _save(path: Path, picture: ImageArray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_png(str(path), picture)
