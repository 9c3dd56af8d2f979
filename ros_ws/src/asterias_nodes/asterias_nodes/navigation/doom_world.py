"""Managed node ``doom_world``: a maze in ViZDoom and a robot with a camera in it.

Publishes ``/camera/image_raw`` (sensor_msgs/Image, what the robot sees), ``/true_map`` (the maze as
it is, for those who watch), ``/odom`` (the true pose of ``base_link`` in the frame ``map``), the
same with the camera on ``/tf`` and ``/tf_static``, ``/robot_description``, ``/clock`` and
``/diagnostics``; takes ``/cmd_vel`` (geometry_msgs/Twist), which times out after half a second;
serves ``/e_stop`` with ``/e_stop_state``, ``/draw_maze``, and ``/look_around``, whose pictures come
on ``/views`` (asterias_interfaces/CellViews). A game process that dies is replaced, the robot goes
on where it was, and the log and ``/diagnostics`` say so.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from asterias_interfaces.msg import CellViews
from asterias_interfaces.srv import LookAround
from numpy.typing import NDArray
from rclpy.duration import Duration
from sensor_msgs.msg import Image

from asterias.arrays import Cell
from asterias_nodes.navigation.maze_world import (
    DELIVERY_S,
    FRAME,
    MazeWorldNode,
    MazeWorldSettings,
    Robot,
)
from asterias_nodes.runtime.conversions import to_image_msg, to_time_msg
from asterias_nodes.runtime.parameters import SettingsError
from asterias_nodes.runtime.qos import latched_qos, sensor_qos
from asterias_nodes.runtime.run_node import run_node
from asterias_nodes.transforms.mobile_robot import OPTICAL_FRAME, camera_frames
from hardware.description.frames import FixedFrame
from planners.mazes.problems import PlanningProblem
from sim.doom.game import TICS_PER_S, GameDiedError
from sim.doom.maps import CELL_UNITS, MazeMap
from sim.doom.robot import DoomRobot, DoomRobotLimits
from sim.doom.textures import choose_look

# Of the engine's player: eyes above the floor, in map units.
EYE_UNITS = 41.0


@dataclass(frozen=True)
class DoomWorldSettings(MazeWorldSettings):
    """Parameters of the node."""

    size: Annotated[int, "rows and columns of the maze"] = 15
    textures: Annotated[str, "texture sets: training, varied, any, held_out, or one"] = "training"
    light: Annotated[int, "light of the mazes, 0 to 255; -1 draws it"] = -1
    control_rate_hz: Annotated[float, "tics per simulated s; the engine has 35"] = 35.0
    image_rate_hz: Annotated[float, "pictures per simulated s, at most 35"] = 8.75
    max_speed_m_s: Annotated[float, "the robot's greatest speed"] = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.control_rate_hz != TICS_PER_S:
            raise SettingsError(f"Parameter 'control_rate_hz' must be {TICS_PER_S}.")
        if not 0 < self.image_rate_hz <= TICS_PER_S:
            raise SettingsError(
                f"Parameter 'image_rate_hz' must be from 0 to {TICS_PER_S}, above 0."
            )
        try:
            choose_look(self.textures, 0, self.light)
        except ValueError as error:
            raise SettingsError(f"Parameters 'textures' and 'light': {error}") from error


class DoomWorld(MazeWorldNode):
    """The maze world in ViZDoom."""

    map_topic = "/true_map"
    settings: DoomWorldSettings

    def __init__(self) -> None:
        super().__init__("doom_world", DoomWorldSettings)
        self._maze_seed = 0
        self._tics, self._deaths = 0, 0

    # -- life cycle -----------------------------------------------------------------------------

    def configure(self) -> None:
        """Start the game and open the topics.

        Raises:
            OSError: the game does not start.
        """
        try:
            super().configure()
        except GameDiedError as error:
            raise OSError(str(error)) from error
        self._images = self.owned.publisher(Image, "/camera/image_raw", sensor_qos())
        self._views = self.owned.publisher(CellViews, "/views", latched_qos())
        self.owned.service(LookAround, "/look_around", self._on_look)

    def cleanup(self) -> None:
        """Close the topics and end the game."""
        robot = self._robot
        super().cleanup()
        if isinstance(robot, DoomRobot):
            robot.close()

    # -- the world ------------------------------------------------------------------------------

    def _doom_map(self, course: PlanningProblem, seed: int) -> MazeMap:
        self._maze_seed = seed
        look = choose_look(self.settings.textures, seed, self.settings.light)
        return MazeMap(course.grid.free, course.start, course.goal, look)

    def _make_robot(self, course: PlanningProblem, seed: int) -> Robot:
        limits = DoomRobotLimits(
            speed_m_s=self.settings.max_speed_m_s,
            command_timeout_s=self.settings.cmd_vel_timeout_s,
        )
        return DoomRobot(self._doom_map(course, seed), course.grid.resolution_m, limits, seed)

    def _fixed_frames(self, cell_m: float) -> list[FixedFrame]:
        return camera_frames(0.0, EYE_UNITS / CELL_UNITS * cell_m)

    def _put(self, course: PlanningProblem, seed: int) -> None:
        self._doom_robot().place(self._doom_map(course, seed))

    def _doom_robot(self) -> DoomRobot:
        robot = self._placed()
        assert isinstance(robot, DoomRobot)
        return robot

    def _publish(self) -> None:
        super()._publish()
        robot = self._doom_robot()
        if robot.deaths > self._deaths:
            self._deaths = robot.deaths
            self.get_logger().warning(
                "The game process had died and was started again; the robot goes on from where it "
                f"was ({robot.deaths} so far)."
            )
        self._tics += 1
        if self._tics % max(1, round(TICS_PER_S / self.settings.image_rate_hz)) == 0:
            stamp = to_time_msg(self._time_s)
            self._images.publish(to_image_msg(robot.picture, stamp, OPTICAL_FRAME))

    # -- inputs ---------------------------------------------------------------------------------

    def _on_look(
        self, request: LookAround.Request, response: LookAround.Response
    ) -> LookAround.Response:
        robot = self._doom_robot()
        try:
            if request.everywhere:
                seen = robot.survey()
                cells = [(int(r), int(c)) for r, c in np.argwhere(seen.given)]
                views = seen.views[seen.given]
            else:
                cells, views = [robot.cell], robot.look_around()[None]
        except GameDiedError as error:
            response.message = str(error)
            return response
        message = self._views_msg(cells, views)
        self._views.publish(message)
        self._views.wait_for_all_acked(Duration(seconds=DELIVERY_S))
        response.success, response.cells = True, len(cells)
        response.stamp = message.header.stamp
        response.message = f"Looked around in {len(cells)} cells."
        return response

    def _views_msg(self, cells: list[Cell], views: NDArray[np.uint8]) -> CellViews:
        """Return the message of ``views``, ``(N, 4, 24, 32, 3)`` uint8."""
        # A tic is added, so that no two looks have the same stamp.
        self._time_s += self._paced().period_s
        stamp = to_time_msg(self._time_s)
        count, _, height, width, _ = views.shape
        sheet = views.transpose(0, 2, 1, 3, 4).reshape(count * height, 4 * width, 3)
        message = CellViews(maze=self._maze_seed, image=to_image_msg(sheet, stamp, OPTICAL_FRAME))
        message.header.stamp, message.header.frame_id = stamp, FRAME
        message.info = self._map_msg(self._drawn()).info
        message.rows = array("I", [row for row, _ in cells])
        message.columns = array("I", [column for _, column in cells])
        return message

    def _more_values(self) -> dict[str, object]:
        robot = self._doom_robot()
        return {
            "game_restarts": robot.deaths,
            "game_process": robot.process_id or "none",
            "tics": self._tics,
            "yaw_deg": round(math.degrees(robot.yaw_rad), 1),
        }


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes doom_world``."""
    return run_node(DoomWorld)
