"""Managed node ``mapper``: turns what the camera sees into a map.

Takes ``/views`` (asterias_interfaces/CellViews) and ``/bumps`` (geometry_msgs/PointStamped, a place
in a cell that turned out to be a wall); publishes ``/map`` (nav_msgs/OccupancyGrid, latched: 0
free, 100 wall, -1 unknown) after each, with its stamp. Views of another maze begin a new map. The
service ``/doubt_map`` (std_srvs/Trigger) makes all walls that were not bumped into unknown, for
those whom the map leaves no way.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from asterias_interfaces.msg import CellViews
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PointStamped
from nav_msgs.msg import MapMetaData, OccupancyGrid
from numpy.typing import NDArray
from std_srvs.srv import Trigger

from asterias_nodes.navigation.navigation_messages import to_occupancy_msg
from asterias_nodes.runtime.conversions import from_image_msg
from asterias_nodes.runtime.diagnostics import ERROR, OK, WARN, DiagnosticReport, Diagnostics
from asterias_nodes.runtime.lifecycle_node import ManagedNode
from asterias_nodes.runtime.parameters import SettingsError, declare_settings
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from asterias_nodes.runtime.run_node import run_node
from planners.mapping.map_belief import SURE, UNKNOWN, MapBelief
from planners.mapping.mapper import VIEW_SHAPE, Mapper, load_mapper
from planners.mazes.grid_map import GridMap


@dataclass(frozen=True)
class MapperSettings:
    """Parameters of the node."""

    weights: Annotated[str, "mapper of planners/weights/doom, or a .safetensors file"] = "mapper"
    sure: Annotated[float, "probability, 0.5 to 1, from which on a cell counts as known"] = SURE

    def __post_init__(self) -> None:
        if not 0.5 <= self.sure <= 1:
            raise SettingsError("Parameter 'sure' must be from 0.5 to 1.")


class MapperNode(ManagedNode):
    """Keeps one belief; a worker thread runs the network."""

    def __init__(self) -> None:
        super().__init__("mapper")
        self.settings = declare_settings(self, MapperSettings)
        self._mapper: Mapper | None = None
        self._belief: MapBelief | None = None
        self._maze: int | None = None
        self._frame, self._error = "", ""
        self._info = MapMetaData()
        self._views, self._cells = 0, 0
        self._worker: ThreadPoolExecutor | None = None

    # -- life cycle -----------------------------------------------------------------------------

    def configure(self) -> None:
        """Load the network and open the topics."""
        self._mapper = load_mapper(self.settings.weights)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="mapping")
        self._map_topic = self.owned.publisher(OccupancyGrid, "/map", latched_qos())
        self.owned.subscription(CellViews, "/views", self._on_views, latched_qos())
        self.owned.subscription(PointStamped, "/bumps", self._on_bump, reliable_qos())
        self.owned.service(Trigger, "/doubt_map", self._on_doubt)
        self.owned.add(Diagnostics(self, [self._report]).close)

    def cleanup(self) -> None:
        """Wait for the worker, close the topics, forget the map."""
        if self._worker is not None:
            self._worker.shutdown(cancel_futures=True)
            self._worker = None
        super().cleanup()
        self._belief = self._mapper = self._maze = None

    # -- inputs ---------------------------------------------------------------------------------

    def _on_views(self, message: CellViews) -> None:
        try:
            views = views_of(message)
        except ValueError as error:
            self._error = f"Views were dropped: {error}"
            self.get_logger().error(self._error)
            return
        if self._maze != message.maze or self._belief is None:
            assert self._mapper is not None
            info = message.info
            self._belief = MapBelief(self._mapper, info.height, info.width, self.settings.sure)
            self._maze = message.maze
        self._info, self._frame, self._error = message.info, message.header.frame_id, ""
        cells = [(int(r), int(c)) for r, c in zip(message.rows, message.columns, strict=True)]
        self._views, self._cells = self._views + 1, self._cells + len(cells)
        belief = self._belief
        self._update(lambda: belief.see(cells, views), message.header.stamp)

    def _on_bump(self, message: PointStamped) -> None:
        belief = self._belief
        if belief is None:
            return
        grid = self._grid(belief)
        cell = grid.cell_at((message.point.x, message.point.y))
        if grid.is_inside(cell):
            self._update(lambda: belief.bump(cell), message.header.stamp)

    def _on_doubt(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        belief = self._belief
        if belief is None:
            response.message = "There is no map yet."
            return response
        self._update(belief.doubt, self.get_clock().now().to_msg())
        response.success = True
        response.message = "Only what was bumped into counts as a wall now."
        return response

    # -- the map --------------------------------------------------------------------------------

    def _update(self, change: Callable[[], None], stamp: Time) -> None:
        """Change the belief in the worker's thread, then publish the map in this one."""
        belief, executor = self._belief, self.executor
        if self._worker is None or belief is None:
            return

        def work() -> NDArray[np.int8]:
            change()
            return belief.occupancy()

        def hand_over(future: Future[NDArray[np.int8]]) -> None:
            executor.create_task(lambda: self._publish(belief, future, stamp))

        self._worker.submit(work).add_done_callback(hand_over)

    def _publish(self, belief: MapBelief, future: Future[NDArray[np.int8]], stamp: Time) -> None:
        if future.cancelled() or belief is not self._belief:
            return
        try:
            occupancy = future.result()
        except ValueError as error:
            self._error = f"Views were dropped: {error}"
            self.get_logger().error(self._error)
            return
        self._map_topic.publish(to_occupancy_msg(occupancy, self._grid(belief), stamp, self._frame))

    def _grid(self, belief: MapBelief) -> GridMap:
        origin = self._info.origin.position
        free = np.ones(belief.shape, np.uint8)
        return GridMap(free, float(self._info.resolution), (origin.x, origin.y, 0.0))

    def _report(self) -> DiagnosticReport:
        belief = self._belief
        values: dict[str, object] = {"looks": self._views, "cells_seen": self._cells}
        level, text = OK, "ok"
        if belief is not None:
            values["unknown_cells"] = int((belief.occupancy() == UNKNOWN).sum())
        else:
            level, text = WARN, "no views have come on /views"
        if self._error:
            level, text = ERROR, self._error
        return DiagnosticReport("mapper: map", level, text, values)


def views_of(message: CellViews) -> NDArray[np.uint8]:
    """Return the pictures of a message, ``(N, 4, 24, 32, 3)``.

    Raises:
        ValueError: sizes that do not fit together, or cells outside the map.
    """
    directions, height, width, _ = VIEW_SHAPE
    count, info = len(message.rows), message.info
    if len(message.columns) != count:
        raise ValueError(f"{count} rows but {len(message.columns)} columns of cells.")
    if not info.height or not info.width or not info.resolution > 0:
        raise ValueError("they do not say how large the map is (info).")
    outside = [
        (row, column)
        for row, column in zip(message.rows, message.columns, strict=True)
        if row >= info.height or column >= info.width
    ]
    if outside:
        raise ValueError(f"the cell {outside[0][0]},{outside[0][1]} is outside the map.")
    image = from_image_msg(message.image)
    if image.shape != (count * height, directions * width, 3):
        raise ValueError(
            f"the picture is {image.shape}; {count} cells need "
            f"{(count * height, directions * width, 3)}."
        )
    rows = image.reshape(count, height, directions, width, 3)
    return np.ascontiguousarray(rows.transpose(0, 2, 1, 3, 4))


def main() -> int:
    """Return the exit code of ``ros2 run asterias_nodes mapper``."""
    return run_node(MapperNode)
