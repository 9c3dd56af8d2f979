"""Iterative deepening of a planning network on one maze, in slices that can be interrupted."""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asterias.arrays import Cell, MazeArray
from planners.networks.base import ClosedForm, PlanningNetwork, observation
from planners.planning.types import PlanLimits, PlanProgress, PlanStatus

# A long recursion is cut into slices of about this length, to look at the clock and at cancel:
# several a second, and still long against the start of a slice (well below 1 ms).
_SLICE_S = 0.15
# Before the time of a layer is known: at least so many layers, and as many as make so many values.
# That is some milliseconds of a DT-VIN, and not yet a second of networks that are a hundred times
# slower. Shorter slices cost more than they tell: kernels are read anew for each.
_FIRST_SLICE = 8
_FIRST_VALUES = 4_000_000
_MOST_GROWTH = 4.0  # from one slice to the next, since one measurement may be wrong


class IterativeDeepening:
    """A network's planning state on one maze, deepened step by step.

    Attributes:
        layers: done so far.
    """

    def __init__(
        self,
        network: PlanningNetwork,
        maze: MazeArray,
        goal: Cell,
        device: torch.device,
        limits: PlanLimits,
    ) -> None:
        self.layers = 0
        self._network, self._limits = network, limits
        self._deadline_s = time.monotonic() + limits.time_limit_s
        mazes, goals = observation(maze[None], np.array([goal]))
        self._maps = (mazes.to(device), goals.to(device))
        self._encoded: tuple[Tensor, ...] | None = None
        self._state: Tensor | None = None
        self._solved: ClosedForm | None = None
        self._slice = max(_FIRST_SLICE, _FIRST_VALUES // maze.size)

    @torch.no_grad()
    def solve(self, layers: int) -> bool:
        """Take the outcome of so many layers from a closed form.

        Returns:
            False if the network has none here.
        """
        self._solved = self._network.solve(*self._maps, layers)
        if self._solved is None:
            return False
        self.layers = layers
        self._limits.report(PlanProgress(layers, layers, layers))
        return True

    @torch.no_grad()
    def deepen_to(self, layers: int, limit: int) -> PlanStatus | None:
        """Deepen to ``layers``; return the status that stopped it before, or None.

        Args:
            layers: to reach.
            limit: after which the planner gives up, for the report.

        Returns:
            The status, or None.
        """
        if self._encoded is None and self.layers < layers:  # a closed form needs no kernels
            self._encoded = self._network.encode(*self._maps)
        while self.layers < layers:
            started_s = time.monotonic()
            resumes = self._network.can_resume
            count = min(self._slice, layers - self.layers) if resumes else layers
            self._deepen(count, layers)
            self._limits.report(PlanProgress(self.layers, layers, limit))
            took_s = max(time.monotonic() - started_s, 1e-4)
            if count == self._slice:
                growth = min(_MOST_GROWTH, _SLICE_S / took_s)
                self._slice = max(_FIRST_SLICE, int(count * growth))
            if self._limits.is_canceled():
                return PlanStatus.CANCELED
            if time.monotonic() > self._deadline_s:
                return PlanStatus.TIME_LIMIT
        return None

    def _deepen(self, count: int, layers: int) -> None:
        assert self._encoded is not None
        if self._network.can_resume:
            self._state = self._network.resume(self._encoded, self._state, count)
            self.layers += count
        else:
            self._state = self._network.iterate(self._encoded, layers, (layers,))[-1]
            self.layers = layers
        if self._state.is_cuda:
            torch.cuda.synchronize()  # for the clock

    @torch.no_grad()
    def policy(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the best action and the value of every cell, both ``(H, W)``."""
        if self._solved is not None:
            return self._solved.actions[0].astype(np.int64), self._solved.values[0]
        assert self._encoded is not None and self._state is not None
        logits, values = self._network.decode_with_values(self._encoded, self._state[None])
        # Of equals the first, as argmax; along a short first axis it is 15 times as fast.
        return logits[0, 0].max(dim=0).indices.cpu().numpy(), values[0, 0].cpu().numpy()
