"""Between maps, poses and paths of the planners and ROS 2 messages."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose, PoseStamped, Quaternion
from nav_msgs.msg import OccupancyGrid, Path
from numpy.typing import NDArray

from asterias.arrays import Cell
from planners.mazes.grid_map import GridMap, Point

OCCUPIED, UNKNOWN = 100, -1


def from_map_msg(
    message: OccupancyGrid, *, unknown_is_free: bool = False, occupied_threshold: int = 50
) -> GridMap:
    """Return a map from its message.

    Args:
        message: the map; its first row is the lowest.
        unknown_is_free: what cells of value -1 count as.
        occupied_threshold: the least value, of 0 to 100, that is a wall.

    Raises:
        ValueError: sizes that do not fit together, no cells, or a resolution that is not above 0.
    """
    height, width = message.info.height, message.info.width
    if len(message.data) != height * width:
        raise ValueError(
            f"The map has {len(message.data)} cells, but is {height} high and {width} wide."
        )
    values = np.asarray(message.data, np.int8).reshape(height, width)[::-1]
    free = (values >= 0) & (values < occupied_threshold)
    if unknown_is_free:
        free |= values < 0
    pose = message.info.origin
    origin = (pose.position.x, pose.position.y, yaw_of(pose.orientation))
    return GridMap(free.astype(np.uint8), float(message.info.resolution), origin)


def to_map_msg(grid: GridMap, stamp: Time, frame_id: str) -> OccupancyGrid:
    """Return a map as its message: free cells 0, walls 100."""
    values = np.where(grid.free > 0, 0, OCCUPIED).astype(np.int8)
    return _grid_msg(values, grid, stamp, frame_id)


def to_occupancy_msg(
    occupancy: NDArray[np.int8], grid: GridMap, stamp: Time, frame_id: str
) -> OccupancyGrid:
    """Return the message of a map ``(H, W)`` that may have unknown cells, -1."""
    return _grid_msg(occupancy, grid, stamp, frame_id)


def occupancy_of(message: OccupancyGrid) -> NDArray[np.int8]:
    """Return a map's values ``(H, W)``, row 0 at the top: 0 free to 100 wall, -1 unknown."""
    shape = message.info.height, message.info.width
    return np.asarray(message.data, np.int8).reshape(shape)[::-1]


def to_value_map_msg(
    values: NDArray[np.float32], grid: GridMap, stamp: Time, frame_id: str
) -> OccupancyGrid:
    """Return a value map for viewers: ranks 0 to 100 of the free cells, -1 for walls."""
    free = grid.free > 0
    ranks = np.full(grid.free.shape, UNKNOWN, np.int8)
    order = values[free].argsort().argsort()
    ranks[free] = np.round(100 * order / max(1, order.size - 1)).astype(np.int8)
    return _grid_msg(ranks, grid, stamp, frame_id)


def _grid_msg(values: NDArray[np.int8], grid: GridMap, stamp: Time, frame_id: str) -> OccupancyGrid:
    message = OccupancyGrid()
    message.header.stamp, message.header.frame_id = stamp, frame_id
    message.info.map_load_time = stamp
    message.info.resolution = grid.resolution_m
    message.info.height, message.info.width = (int(size) for size in values.shape)
    message.info.origin = to_pose(grid.origin[:2], grid.origin[2])
    # An array, because rclpy takes those without a look at each element.
    message.data = array("b", np.ascontiguousarray(values[::-1]).tobytes())
    return message


def to_pose(point: Point, yaw_rad: float = 0.0) -> Pose:
    """Return a pose in the plane as its message."""
    pose = Pose()
    pose.position.x, pose.position.y = float(point[0]), float(point[1])
    pose.orientation = Quaternion(z=math.sin(yaw_rad / 2), w=math.cos(yaw_rad / 2))
    return pose


def to_pose_stamped(point: Point, stamp: Time, frame_id: str, yaw_rad: float = 0.0) -> PoseStamped:
    """Return a stamped pose in the plane."""
    message = PoseStamped(pose=to_pose(point, yaw_rad))
    message.header.stamp, message.header.frame_id = stamp, frame_id
    return message


def point_of(pose: Pose) -> Point:
    """Return the place of a pose in m.

    Raises:
        ValueError: it is no number.
    """
    point = float(pose.position.x), float(pose.position.y)
    if not all(map(math.isfinite, point)):
        raise ValueError(f"A pose lies at {point}, which are no numbers.")
    return point


def yaw_of(orientation: Any) -> float:
    """Return the rotation about z in rad; 0 for a quaternion of zeros (not set)."""
    x, y, z, w = orientation.x, orientation.y, orientation.z, orientation.w
    return math.atan2(2 * (w * z + x * y), w * w + x * x - y * y - z * z)


def to_path_msg(
    cells: Sequence[Cell], grid: GridMap, start: Pose, goal: Pose, stamp: Time, frame_id: str
) -> Path:
    """Return a path through the centres of cells, whose ends are the start and the goal themselves.

    The first pose is the start's place and the last the goal's pose; each other one looks where the
    path goes. With one cell there is one pose, the goal.
    """
    points = [grid.centre_of(cell) for cell in cells]
    if points:
        points[0], points[-1] = point_of(start), point_of(goal)
    path = Path()
    path.header.stamp, path.header.frame_id = stamp, frame_id
    for here, after in pairwise(points):
        yaw_rad = math.atan2(after[1] - here[1], after[0] - here[0])
        path.poses.append(to_pose_stamped(here, stamp, frame_id, yaw_rad))
    if points:
        path.poses.append(to_pose_stamped(points[-1], stamp, frame_id, yaw_of(goal.orientation)))
    return path
