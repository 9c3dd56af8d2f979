"""The recorded robot drawn from outside, as its joints were measured."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from asterias.arrays import FloatArray, ImageArray
from asterias.context import Closeable
from asterias.errors import UserError
from hardware.description.robot import load_robot
from learning.recordings.sampling import SampledEpisode
from sim.physics.kinematics import SoftLimb
from sim.rendering.outside_view import Viewpoint, extent, outside_view, viewpoint_of
from sim.world import SimWorld

# Frames by which the camera is placed so that the robot stays in the picture.
LOOKED_AT = 24
LABEL_PX = 22


class OutsideView(Closeable):
    """Draws frames of a recording as somebody beside the robot would see them.

    Flexible links, which servos do not measure, are where the limb rests at its servos' positions;
    the target stands where the description puts it.

    Args:
        robot: name or path of the description of the robot that was recorded.
        episodes: what will be drawn.

    Raises:
        UserError: the recording is of another robot.
    """

    def __init__(self, robot: str, episodes: Sequence[SampledEpisode]) -> None:
        described = load_robot(robot)
        self._columns: list[list[int] | None] = []
        recorded = episodes[0].joint_names
        for i, limb in enumerate(described.limbs):
            names = [f"limb_{i}.{joint.name}" for joint in limb.joints]
            known = set(names) <= set(recorded)
            self._columns.append([recorded.index(name) for name in names] if known else None)
        if not any(self._columns):
            raise UserError(
                f"--outside {robot}: this recording is of another robot; its joints are "
                f"{', '.join(recorded)}."
            )
        self._world = SimWorld(described)
        self._limbs = [SoftLimb.of(described, i) for i in range(len(described.limbs))]
        self._viewpoint = self._find_viewpoint(episodes)

    def draw(self, episode: SampledEpisode, frame: int, height_px: int) -> ImageArray:
        """Return ``(height_px, W, 3)`` RGB of one frame, four to three, with a label below."""
        self._pose(episode.state[frame])
        size = (round((height_px - LABEL_PX) * 4 / 3), height_px - LABEL_PX)
        picture = outside_view(self._world, *size, viewpoint=self._viewpoint)
        band = np.full((LABEL_PX, size[0], 3), 250, np.uint8)
        text = f"{self._world.robot.name} from outside"
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(band, text, (4, 15), font, 0.42, (40, 44, 52), 1, cv2.LINE_AA)
        return np.vstack([picture, band])

    def close(self) -> None:
        """Free the simulation that draws."""
        self._world.close()

    def _pose(self, state_rad: FloatArray) -> None:
        """Bend all limbs that were recorded to ``(n,)`` measured positions."""
        bodies = zip(self._world.bodies, self._limbs, self._columns, strict=True)
        for body, limb, columns in bodies:
            if columns is not None:
                body.place(limb.hinges(np.nan_to_num(state_rad[columns])))

    def _find_viewpoint(self, episodes: Sequence[SampledEpisode]) -> Viewpoint:
        """Return from where the robot is seen in all frames."""
        states = np.concatenate([episode.state for episode in episodes])
        corners = []
        for state in states[:: max(1, len(states) // LOOKED_AT)]:
            self._pose(state)
            corners.append(extent(self._world))
        lowest = np.min([low for low, _ in corners], axis=0)
        return viewpoint_of(np.array([lowest, np.max([high for _, high in corners], axis=0)]))
