"""Episodes on a regular grid of times: what data sets are made of.

A frame holds what was known at its time: the last state, picture and command not later. Nothing is
older than a bound, and frames for which something is missing are left out: what is left between
two such places is an episode of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from asterias.errors import UserError
from learning.recordings.pictures import Pixels, decode_picture
from learning.recordings.reading import Decoder, Recording
from learning.recordings.timing.sampling_options import MOST_FPS, SamplingOptions, matches
from learning.recordings.timing.streams import ROUNDING_S, Stream, common_spans
from learning.recordings.trace import CAMERA, JOINTS, CameraSeries, Series, Trace, read_runs

FEWEST_FRAMES = 2
# Of episodes without cameras.
USUAL_FPS = 10
# What is older than so many of its own periods counts as missing, unless a person says otherwise;
# `check` calls the same pause a gap.
MOST_PERIODS = 2.5
# Longer pauses of everything at once are a clock that jumped, or a recorder that stood still.
LONG_PAUSE_S = 5.0


class TooShortError(UserError):
    """An episode with less than two frames."""


# Gets how many frames are done.
OnFrames = Callable[[int], None]


@dataclass(frozen=True)
class SampledEpisode:
    """An episode at ``fps`` frames per second; frame k is what was known at ``times_s[k]``.

    Attributes:
        recording: where it comes from.
        task, success: as recorded and marked; ``success`` is None where nobody marked it, and where
            the end of the recording, to which the mark belongs, is not part of the episode.
        fps: frames per second of the recording's clock.
        times_s: ``(T,)`` since the recording's first message.
        state: ``(T, n)`` measured positions of the commanded joints, rad.
        action: ``(T, n)`` commanded positions in effect, rad; where nobody commanded, the next
            frame's state.
        joint_names: ``n`` names such as ``limb_0.shoulder_yaw``.
        pictures: per camera topic the ``(T,)`` numbers of its pictures that are shown.
        shapes: per camera topic the shape of its pictures: ``(H, W, 3)``, or ``(H, W)`` of depth.
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
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def frames(self) -> Iterator[tuple[str, int, Pixels]]:
        """Yield each camera's pictures as ``(topic, frame, pixels)``, in the order of the file.

        Pixels are ``(H, W, 3)`` uint8 RGB, or ``(H, W)`` uint16 depth in mm.
        """
        decode = Decoder()
        seen = dict.fromkeys(self.pictures, 0)
        left = sum(len(shown) for shown in self.pictures.values())
        for raw in self.recording.messages(set(self.pictures)):
            topic = raw.topic.name
            shown = np.flatnonzero(self.pictures[topic] == seen[topic])
            seen[topic] += 1
            if shown.size:
                picture = decode_picture(raw, decode)
                for frame in shown:
                    yield topic, int(frame), picture
            left -= shown.size
            if not left:
                return


@dataclass(frozen=True)
class Sampled:
    """What a recording gives.

    Attributes:
        episodes: its parts without a hole, in order.
        losses: sentences about what had to be left out; empty when nothing was.
    """

    episodes: tuple[SampledEpisode, ...]
    losses: tuple[str, ...] = ()


def sample(recording: Recording, fps: int = 0, task: str = "") -> SampledEpisode:
    """Put an episode on a grid; of several parts, return the first.

    Returns:
        The first part.
    """
    return sample_parts(recording, SamplingOptions(fps=fps, task=task)).episodes[0]


def sample_parts(recording: Recording, options: SamplingOptions) -> Sampled:
    """Put an episode on a grid.

    Args:
        recording: the episode.
        options: rate, cameras, and how old things may be.

    Returns:
        Its parts, and what was left out.
    """
    return _Sampler(recording, options).run()


def camera_key(topic: str) -> str:
    """Return a camera's name in a data set, such as ``limb_0_camera_2``."""
    match = CAMERA.match(topic)
    return f"limb_{match[1]}_camera_{match[2]}" if match else topic.strip("/").replace("/", "_")


class _Sampler:
    """One recording on its way to a grid."""

    def __init__(self, recording: Recording, options: SamplingOptions) -> None:
        self._recording = recording
        self._options = options
        self._losses: list[str] = []
        self._runs = read_runs(recording)
        self._limbs = self._chosen_limbs()
        self._cameras = self._chosen_cameras()
        self._fps = options.fps or self._slowest_rate()
        self._frames_left_out: Counter[str] = Counter()
        self._places: dict[str, tuple[float, float]] = {}
        # Commands go on through a jump of the clock.
        self._last_goals: dict[int, FloatArray] = {}

    def run(self) -> Sampled:
        if len(self._runs) > 1:
            self._losses.append(
                f"the clock goes back ({len(self._runs) - 1} times); what comes after is an "
                "episode of its own"
            )
        parts: list[SampledEpisode] = []
        for number, run in enumerate(self._runs):
            parts += self._parts(run, is_last=number == len(self._runs) - 1)
        for words, count in self._frames_left_out.items():
            first_s, last_s = self._places[words]
            self._losses.append(
                f"{count} frames left out between {first_s:.2f} and {last_s:.2f} s: {words}"
            )
        name = self._recording.path
        if not parts:
            reasons = "; ".join(self._losses)
            raise TooShortError(
                f"{name} is too short: no {FEWEST_FRAMES} frames at {self._fps} per second follow "
                f"each other{f' ({reasons})' if reasons else ''}."
            )
        return Sampled(tuple(parts), tuple(f"{name}: {loss}." for loss in self._losses))

    # -- what is taken --------------------------------------------------------------------------

    def _chosen_limbs(self) -> list[int]:
        name = self._recording.path
        found = {limb for run in self._runs for limb, s in run.joints.items() if len(s.times_s)}
        unreadable = dict(entry for run in self._runs for entry in run.unreadable.items())
        reasons = [f"{topic}: {why}" for topic, why in unreadable.items() if JOINTS.match(topic)]
        if not found and reasons:
            raise UserError(f"{name} cannot be exported: {'; '.join(reasons)}.")
        if not found:
            raise UserError(f"{name} holds no /limb_<i>/joint_states to learn from.")
        self._losses += [f"in {reason}; those that can be read are taken" for reason in reasons]
        left_out = self._options.without
        limbs = [n for n in sorted(found) if not matches(f"/limb_{n}/joint_states", left_out)]
        if not limbs:
            raise UserError(f"--without leaves no joint states of {name} to learn from.")
        for limb in limbs:
            topic = f"/limb_{limb}/joint_states"
            count = sum(run.not_finite.get(topic, 0) for run in self._runs)
            if count:
                self._losses.append(
                    f"{topic}: {count} messages hold positions that are no finite number; the "
                    "value before is taken as long as it is not too old"
                )
        return limbs

    def _chosen_cameras(self) -> list[str]:
        topics = sorted({topic for run in self._runs for topic in run.cameras})
        self._check_patterns(topics)
        chosen: list[str] = []
        for topic in filter(self._options.wants, topics):
            series = [run.cameras[topic] for run in self._runs if topic in run.cameras]
            reason = self._why_not(series)
            if reason:
                self._losses.append(f"{topic} is left out: {reason}")
                continue
            twin = next((name for name in chosen if camera_key(name) == camera_key(topic)), None)
            if twin is not None:
                self._losses.append(f"{topic} is left out: {twin} shows the same camera")
                continue
            chosen.append(topic)
            self._add_picture_losses(topic, series)
        return chosen

    def _check_patterns(self, topics: list[str]) -> None:
        for pattern in self._options.topics:
            if not any(matches(topic, (pattern,)) for topic in topics):
                raise UserError(
                    f"{self._recording.path} has no camera topic {pattern!r}; it has "
                    f"{', '.join(topics) or 'none'}."
                )

    def _why_not(self, series: list[CameraSeries]) -> str:
        form = next((s.form for s in series if s.form is not None), None)
        if form is None:
            return next((s.problem for s in series if s.problem), "it holds no picture")
        if form.is_depth and not self._options.depth:
            return "depth pictures do not go into this format; `--format folder` takes them"
        return ""

    def _add_picture_losses(self, topic: str, series: list[CameraSeries]) -> None:
        total = sum(len(run.pictures.get(topic, ())) for run in self._runs)
        damaged = sum(s.damaged for s in series)
        if damaged:
            problem = next(s.problem for s in series if s.problem)
            self._losses.append(
                f"{topic}: {damaged} of {total} pictures left out, since they cannot be decoded "
                f"({problem})"
            )
        resized = sum(s.resized for s in series)
        if resized:
            self._losses.append(
                f"{topic}: {resized} of {total} pictures left out, since their size is another "
                "than the first one's"
            )

    def _slowest_rate(self) -> int:
        rates = []
        for topic in self._cameras:
            period = _period([run.cameras[topic].times_s for run in self._runs])
            if period:
                rates.append(1.0 / period)
        return min(MOST_FPS, max(1, round(min(rates, default=float(USUAL_FPS)))))

    # -- parts without a hole -------------------------------------------------------------------

    def _parts(self, run: Trace, *, is_last: bool) -> Iterator[SampledEpisode]:
        streams = self._streams(run)
        limits = [stream.times_s for stream in streams if len(stream.times_s)]
        if not limits:
            return
        first_s = min(float(times[0]) for times in limits)
        joints = [self._joint_times(run, limb) for limb in self._limbs]
        end_s = min((float(times[-1]) for times in joints if len(times)), default=first_s)
        at_s = first_s
        for start, end in common_spans(stream.spans() for stream in streams):
            end = min(end, end_s)
            count = int((end - start) * self._fps + ROUNDING_S) + 1 if end >= start else 0
            if count < FEWEST_FRAMES:
                continue
            self._note_hole(streams, at_s, start)
            times_s = start + np.arange(count) / self._fps
            at_s = float(times_s[-1]) + 1 / self._fps
            is_end = is_last and at_s > end_s - ROUNDING_S
            yield self._episode(run, times_s, is_end=is_end)
        self._note_hole(streams, at_s, end_s)
        for limb, commands in run.commands.items():
            if len(commands.times_s):
                self._last_goals[limb] = commands.values[-1]

    def _streams(self, run: Trace) -> list[Stream]:
        streams = []
        for limb in self._limbs:
            series = run.joints.get(limb)
            times = [r.joints[limb].times_s for r in self._runs if limb in r.joints]
            bound_s = self._bound_s(times)
            topic = f"/limb_{limb}/joint_states"
            columns = self._columns(run, limb)
            masks = {} if series is None else {_finite(series, c).tobytes(): c for c in columns}
            if series is None or not columns:
                streams.append(Stream(topic, np.empty(0), bound_s))
                continue
            for column in masks.values():
                known = _finite(series, column)
                streams.append(Stream(topic, series.times_s[known], bound_s))
        for topic in self._cameras:
            camera = run.cameras.get(topic, CameraSeries())
            times = [r.cameras[topic].times_s for r in self._runs if topic in r.cameras]
            streams.append(Stream(topic, camera.times_s, self._bound_s(times)))
        return streams

    def _bound_s(self, times: list[FloatArray]) -> float:
        return self._options.max_age_s or max(MOST_PERIODS * _period(times), 1 / self._fps)

    def _joint_times(self, run: Trace, limb: int) -> FloatArray:
        series = run.joints.get(limb)
        return series.times_s if series is not None else np.empty(0)

    def _columns(self, run: Trace, limb: int) -> list[int]:
        """Return the columns of a limb's commanded joints; of all where nobody commanded."""
        joints, commands = run.joints.get(limb), run.commands.get(limb)
        if joints is None:
            return []
        wanted = commands.names if commands is not None else joints.names
        return [joints.names.index(name) for name in wanted if name in joints.names]

    def _note_hole(self, streams: list[Stream], start_s: float, end_s: float) -> None:
        count = round((end_s - start_s) * self._fps)
        if count < 1:
            return
        middle_s = start_s + (end_s - start_s) / 2
        missing = sorted({stream.topic for stream in streams if not stream.is_good(middle_s)})
        if end_s - start_s > LONG_PAUSE_S and len(missing) == len({s.topic for s in streams}):
            self._losses.append(
                f"nothing was recorded between {start_s:.2f} and {end_s:.2f} s: the clock jumped "
                "forward, or the recorder stood still; what comes after is an episode of its own"
            )
            return
        words = f"{', '.join(missing)} silent or not readable" if missing else "parts too short"
        self._frames_left_out[words] += count
        first_s, _ = self._places.get(words, (start_s, end_s))
        self._places[words] = (first_s, end_s)

    # -- one part -------------------------------------------------------------------------------

    def _episode(self, run: Trace, times_s: FloatArray, *, is_end: bool) -> SampledEpisode:
        card = self._recording.card
        marked = {"success": True, "failure": False}
        names, state, action = self._joints(run, times_s)
        return SampledEpisode(
            recording=self._recording,
            task=(card.task if card else "") or self._options.task,
            success=marked.get(card.outcome) if card and is_end else None,
            fps=self._fps,
            times_s=times_s,
            state=state,
            action=action,
            joint_names=names,
            pictures={topic: self._shown(run.cameras[topic], times_s) for topic in self._cameras},
            shapes={topic: _shape(run.cameras[topic]) for topic in self._cameras},
        )

    def _shown(self, camera: CameraSeries, times_s: FloatArray) -> npt.NDArray[np.int64]:
        places = np.searchsorted(camera.times_s, times_s + ROUNDING_S, side="right") - 1
        return camera.numbers[places]

    def _joints(
        self, run: Trace, times_s: FloatArray
    ) -> tuple[tuple[str, ...], FloatArray, FloatArray]:
        """Return names, measured and commanded positions of all limbs.

        Raises:
            UserError: a position is no finite number after all.
        """
        names: list[str] = []
        states, actions = [], []
        for limb in self._limbs:
            joints, columns = run.joints[limb], self._columns(run, limb)
            state = np.column_stack([_held(joints, column, times_s) for column in columns])
            states.append(state)
            actions.append(self._actions(run, limb, columns, state, times_s))
            names += [f"limb_{limb}.{joints.names[column]}" for column in columns]
        state, action = np.hstack(states), np.hstack(actions)
        if not (np.isfinite(state).all() and np.isfinite(action).all()):
            raise UserError(f"{self._recording.path} holds positions that are no finite number.")
        return tuple(names), state, action

    def _actions(
        self, run: Trace, limb: int, columns: list[int], state: FloatArray, times_s: FloatArray
    ) -> FloatArray:
        commands = run.commands.get(limb)
        if commands is None:
            return np.vstack([state[1:], state[-1:]])
        joints = run.joints[limb]
        mine = [commands.names.index(joints.names[column]) for column in columns]
        # Before the first command the limb has no goal: it stays where it is.
        action = np.full_like(state, np.nan)
        if limb in self._last_goals:
            action[:] = self._last_goals[limb][mine]
        if len(commands.times_s):
            told = times_s + ROUNDING_S >= commands.times_s[0]
            action[told] = commands.at(times_s[told] + ROUNDING_S)[:, mine]
        return np.where(np.isfinite(action), action, state)


def _period(times: Collection[FloatArray]) -> float:
    """Return the median pause; 0 where there are fewer than two messages at different times."""
    pauses = np.concatenate([np.diff(row) for row in times] or [np.empty(0)])
    pauses = pauses[pauses > 0]
    return float(np.median(pauses)) if len(pauses) else 0.0


def _finite(series: Series, column: int) -> npt.NDArray[np.bool_]:
    known: npt.NDArray[np.bool_] = np.isfinite(series.values[:, column])
    return known


def _held(series: Series, column: int, times_s: FloatArray) -> FloatArray:
    """Return ``(T,)`` a joint's last finite positions not later than each time."""
    known = _finite(series, column)
    places = np.searchsorted(series.times_s[known], times_s + ROUNDING_S, side="right") - 1
    held: FloatArray = series.values[known, column][places]
    return held


def _shape(camera: CameraSeries) -> tuple[int, ...]:
    assert camera.form is not None
    size = (camera.form.height_px, camera.form.width_px)
    return size if camera.form.is_depth else (*size, 3)
