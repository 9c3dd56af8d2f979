"""Demonstrations of a limb as steps: MCAP recordings, LeRobot data sets, folders.

A step is a command that a person, a script or a policy gave, with what was seen before it. Streams
of commands are one step as long as they come more often than every ``step_s``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from asterias.errors import UserError
from hardware.description.robot import load_robot
from learning.diffusion_policy.training import ChunkData
from learning.recordings.datasets import EpisodeData, load_episodes
from learning.recordings.episode_data import Floats
from learning.target_finding.algorithms.behaviour_cloning import STILL
from learning.target_finding.env.observation import CommandUnit, Tiles, observe
from learning.target_finding.env.options import TargetFindingOptions
from learning.target_finding.policies.encoder import TileEncoder, shrunk
from learning.training.replay_priority import window_means

FEWEST_DEMONSTRATIONS = 5
# Frames per second at which recordings are read; fine enough to tell what was seen before a step.
FPS = 10
# A data set must have so many frames in the time of a step.
FRAMES_A_STEP = 2
STEP_S = 1.0


@dataclass(frozen=True)
class ShownSteps:
    """The steps of one demonstration.

    Attributes:
        commands: ``(K + 1, n)`` in the authors' unit, before each step and after the last.
        live: cameras that sent pictures.
        tiles: ``(K, c, 48, 48)`` what they saw before each step; None where nobody asks.
        criticality: ``(K,)`` how far the frames from each step to the next decided, in the mean;
            None where nobody asks.
    """

    commands: npt.NDArray[np.float64]
    live: tuple[int, ...]
    tiles: Tiles | None
    criticality: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class LimbEyes:
    """What a policy of the limb gets to see, and how an observation is parted.

    Attributes:
        joints, cameras: of the limb.
        encoder: of the cameras' tiles; None where commands and camera flags are observed.
    """

    joints: int
    cameras: int
    encoder: TileEncoder | None

    @property
    def groups(self) -> tuple[int, ...]:
        """Sizes of the parts of an observation."""
        if self.encoder is None:
            return self.joints, self.cameras
        return (self.joints,)

    def observation(self, seen: npt.NDArray[np.generic]) -> Floats:
        """Return ``(F,)``: commands and flags as they are, or what the encoder makes of tiles."""
        if self.encoder is None:
            return np.asarray(seen, np.float32)
        return self.encoder.features(np.asarray(seen, np.uint8))


def read_demonstrations(
    path: Path,
    options: TargetFindingOptions,
    step_s: float = STEP_S,
    with_criticality: bool = False,
) -> list[ShownSteps]:
    """Return the successes of recordings or of a data set; all, where none is marked.

    Args:
        path: recordings, or a data set.
        options: the protocol, with its command range; pictures are read where it observes them.
        step_s: s between two decisions.
        with_criticality: read how far each step decided, too.

    Raises:
        UserError: they are of another robot, have other cameras or rates, or are too few.
    """
    chosen = chosen_episodes(path, options, FPS, step_s)
    shown = [_steps(episode, options, step_s, with_criticality) for episode in chosen]
    shown = [steps for steps in shown if len(steps.commands) > 1]
    if len(shown) < FEWEST_DEMONSTRATIONS:
        raise UserError(
            f"{path} holds {len(shown)} demonstrations in which limb {options.limb} is commanded; "
            f"a diffusion policy needs {FEWEST_DEMONSTRATIONS} at least: record more."
        )
    return shown


def chosen_episodes(
    path: Path, options: TargetFindingOptions, fps: int, step_s: float = STEP_S
) -> list[EpisodeData]:
    """Return the successes of recordings or of a data set; all, where none is marked.

    Args:
        path: recordings, or a data set.
        options: the protocol.
        fps: frames a second at which recordings are read.
        step_s: s between two decisions.

    Raises:
        UserError: they are of another robot, have other cameras or rates, or are too few.
    """
    episodes = load_episodes(path, fps)
    marked = [episode for episode in episodes if episode.success]
    if not marked and any(episode.success is False for episode in episodes):
        raise UserError(f"All episodes of {path} are marked as failures; nothing is learned there.")
    chosen = marked or episodes
    _check(path, chosen, options, step_s)
    if len(chosen) < FEWEST_DEMONSTRATIONS:
        raise UserError(
            f"{path} holds {len(chosen)} demonstrations of this limb; cloning needs "
            f"{FEWEST_DEMONSTRATIONS} at least: record more."
        )
    return chosen


def limb_columns(episode: EpisodeData, options: TargetFindingOptions) -> slice:
    """Return the columns of the limb's joints among all that were recorded."""
    limbs = load_robot(options.robot).limbs
    joints = len(limbs[options.limb].joints)
    if episode.actions.shape[1] == joints:
        return slice(None)
    first = sum(len(limb.joints) for limb in limbs[: options.limb])
    return slice(first, first + joints)


def _check(
    path: Path, episodes: Sequence[EpisodeData], options: TargetFindingOptions, step_s: float
) -> None:
    robot = load_robot(options.robot)
    joints = [len(limb.joints) for limb in robot.limbs]
    cameras = len(robot.limbs[options.limb].live_cameras)
    for episode in episodes:
        found = episode.actions.shape[1]
        if found not in (joints[options.limb], sum(joints)):
            raise UserError(
                f"{path} was recorded on a robot with {found} joints; limb {options.limb} of "
                f"{options.robot} has {joints[options.limb]}: name the robot with --robot."
            )
        seen = _cameras(episode, options)
        if options.observe == "images" and len(seen) != cameras:
            raise UserError(
                f"{path} holds the pictures of {len(seen)} cameras; limb {options.limb} of "
                f"{options.robot} has {cameras}: record all of them, or leave out --observe images."
            )
    rate = min(episode.fps for episode in episodes)
    if rate * step_s < FRAMES_A_STEP:
        raise UserError(
            f"{path} has {rate} frames per second, too few for a step every {step_s:g} s; "
            f"export it with --fps {FPS}."
        )


def _cameras(episode: EpisodeData, options: TargetFindingOptions) -> dict[int, str]:
    """Return the names of the limb's cameras by number."""
    prefix = f"limb_{options.limb}_camera_"
    names = [name for name in episode.cameras if name.startswith(prefix)]
    if names:
        return {int(name.removeprefix(prefix)): name for name in names}
    # Data sets of others name cameras as they like; their order counts.
    strange = [name for name in episode.cameras if not name.startswith("limb_")]
    return dict(enumerate(strange))


def _steps(
    episode: EpisodeData, options: TargetFindingOptions, step_s: float, with_criticality: bool
) -> ShownSteps:
    limbs = load_robot(options.robot).limbs
    lower, upper = np.array([j.limits_rad for j in limbs[options.limb].joints]).T
    unit = CommandUnit.of(lower, upper, options.command_range)
    columns = limb_columns(episode, options)
    rows = [unit.command(episode.states[0, columns].astype(np.float64))]
    frames: list[int] = []
    decided = -np.inf
    for frame, action in enumerate(episode.actions[:, columns]):
        command = unit.command(action.astype(np.float64))
        if np.abs(command - rows[-1]).max() <= STILL:
            continue
        if frame - decided < step_s * 0.9 * episode.fps:
            rows[-1] = command  # still the same decision: a stream of commands
        else:
            rows.append(command)
            frames.append(max(frame - 1, 0))
            decided = frame
    cameras = _cameras(episode, options)
    count = len(limbs[options.limb].live_cameras)
    live = tuple(j for j in sorted(cameras) if j < count) or tuple(range(count))
    tiles = None
    if options.observe == "images" and frames:
        tiles = np.stack([_tiles(episode, cameras, frame) for frame in frames])
    decided_by = None
    if with_criticality and frames:
        # From what was seen before a step until the next one is decided, or to the end.
        values = episode.criticality().astype(np.float64)
        decided_by = np.add.reduceat(values, frames)
        decided_by /= np.diff([*frames, len(values)])
    return ShownSteps(np.array(rows), live, tiles, decided_by)


def _tiles(episode: EpisodeData, cameras: dict[int, str], frame: int) -> Tiles:
    pictures = [episode.picture(cameras[number], frame) for number in sorted(cameras)]
    grey = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) if p.ndim == 3 else p for p in pictures]
    return np.stack([shrunk(picture.astype(np.uint8)) for picture in grey])


def chunks_of(shown: Sequence[ShownSteps], eyes: LimbEyes, horizon: int) -> ChunkData:
    """Return observations, and chunks of increments; nothing is done after a demonstration's end.

    Args:
        shown: the demonstrations.
        eyes: what is observed.
        horizon: steps of a chunk.
    """
    observations, chunks = [], []
    for steps in shown:
        increments = np.diff(steps.commands, axis=0)
        padded = np.concatenate([increments, np.zeros((horizon, increments.shape[1]))])
        for number in range(len(increments)):
            seen: npt.NDArray[np.generic] = observe(
                steps.commands[number], steps.live, eyes.cameras
            )
            if eyes.encoder is not None and steps.tiles is not None:
                seen = steps.tiles[number]
            observations.append(eyes.observation(seen))
            chunks.append(padded[number : number + horizon])
    known = [steps.criticality for steps in shown if steps.criticality is not None]
    criticality = np.concatenate([window_means(one, horizon) for one in known]) if known else None
    return ChunkData(np.array(observations, np.float32), np.array(chunks, np.float32), criticality)
