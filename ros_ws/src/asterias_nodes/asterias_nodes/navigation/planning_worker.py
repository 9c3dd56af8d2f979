"""The planner's worker thread: networks are loaded once, plans are awaited without blocking."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
from rclpy.node import Node

from asterias.arrays import Cell
from asterias_nodes.runtime.actions.waiting import in_thread
from asterias_nodes.runtime.executor import soon
from planners.mazes.grid_map import GridMap
from planners.planning.exact import EXACT, ExactPlanner
from planners.planning.factory import find_weights
from planners.planning.learned import LearnedPlanner
from planners.planning.types import GridPlan, PlanLimits, Planner, PlanProgress, PlanStatus


def weights_by_id(planners: list[str]) -> dict[str, str]:
    """Return what each planner id stands for, in the order of the parameter."""
    parts = [entry.partition("=") for entry in planners]
    return {name: weights if equals else name for name, equals, weights in parts}


def check_planners(planners: list[str]) -> None:
    """Load each planner's weights once, to know that they can be used.

    An error of the loader (unknown or unreadable weights) is passed on.
    """
    for name in weights_by_id(planners).values():
        if name not in EXACT:
            LearnedPlanner.load(find_weights(name, 0), device="cpu")


class PlanningWorker:
    """Plans in a thread of its own, one plan after another.

    Args:
        node: the hosting node; waits are resumed in its thread.
        planners: ids, as in the node's parameter.
        depth: layers of learned planners; 0 goes as deep as needed.
        device: cpu, cuda or auto.
        time_limit_s: seconds after which a learned planner gives up.
    """

    def __init__(
        self, node: Node, planners: list[str], depth: int, device: str, time_limit_s: float
    ) -> None:
        self.ids = weights_by_id(planners)
        self._node = node
        self._depth, self._device, self._time_limit_s = depth, device, time_limit_s
        self._loaded: dict[str, Planner] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="planning")

    def warm_up(self) -> None:
        """Load compiled code now, not in the first goal's time."""
        maze = np.ones((5, 5), np.uint8)
        for name in self.ids:
            self._planner(name, len(maze)).plan(maze, (0, 0), (4, 4))

    async def plan(
        self,
        name: str,
        grid: GridMap,
        ends: tuple[Cell, Cell],
        is_stopped: Callable[[], bool],
        on_progress: Callable[[PlanProgress], None],
        on_improved: Callable[[GridPlan], None],
    ) -> GridPlan:
        """Return the plan of the planner with id ``name``.

        Args:
            name: the planner's id.
            grid: the map.
            ends: cell of the robot and cell to reach.
            is_stopped: asked in the worker's thread; True ends the planning.
            on_progress: called in the worker's thread.
            on_improved: called in the node's thread, with each plan that is better than those
                before it.
        """

        def work() -> GridPlan:
            if is_stopped():
                return GridPlan(PlanStatus.CANCELED, (), (), "the goal was canceled.")
            limits = PlanLimits(
                self._time_limit_s,
                is_stopped,
                on_progress,
                improve=lambda plan: soon(self._node, on_improved, plan),
                is_anytime=True,
            )
            planner = self._planner(name, max(grid.free.shape))
            return planner.plan(grid.free, *ends, limits)

        try:
            return await in_thread(self._node, self._thread, work)
        except CancelledError:
            return GridPlan(PlanStatus.CANCELED, (), (), "the planner is shutting down.")

    def close(self) -> None:
        """Wait for the plan in progress, drop those that wait, forget the networks."""
        self._thread.shutdown(cancel_futures=True)
        self._loaded.clear()

    def _planner(self, name: str, size: int) -> Planner:
        weights = self.ids[name]
        if weights in EXACT:
            return ExactPlanner(weights)
        path = find_weights(weights, size)
        if str(path) not in self._loaded:
            self._loaded[str(path)] = LearnedPlanner.load(path, self._depth, self._device)
        return self._loaded[str(path)]
