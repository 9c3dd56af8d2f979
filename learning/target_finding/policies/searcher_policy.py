"""A searcher as a policy of the environment, so that it is measured as trained policies are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from hardware.description.robot import load_robot
from learning.target_finding.env.observation import CommandUnit, Observation
from learning.target_finding.env.options import TargetFindingOptions, with_command_range
from learning.target_finding.policies.registry import Searcher, make_searcher

# The paper's protocol of its searchers: a step goes anywhere, and takes a second. Theirs had no
# cap; one that is ten times a search's length ends those that can find nothing.
SEARCHER_PROTOCOL = TargetFindingOptions(increment=2.0, wait_s=1.0, cap=200)


class SearcherPolicy:
    """Runs a searcher by the environment's observations and actions.

    Args:
        name: of a searcher that :func:`learning.target_finding.policies.registry.make_searcher`
            knows.
        options: the protocol, whose robot the searcher gets to know.
    """

    def __init__(self, name: str, options: TargetFindingOptions) -> None:
        self.name, self._options = name, with_command_range(options)
        self._robot = load_robot(options.robot)
        about = self._robot.limbs[options.limb]
        lower, upper = np.array([joint.limits_rad for joint in about.joints]).T
        self._unit = CommandUnit.of(lower, upper, self._options.command_range)
        self._cameras = len(about.live_cameras)
        self._searcher: Searcher | None = None
        self._make(np.random.default_rng(0))  # so that a wrong name is told at once

    @property
    def card(self) -> Mapping[str, Any]:
        """The protocol, under ``options``."""
        return {"algorithm": self.name, "options": asdict(self._options)}

    def start(self) -> None:
        """Forget the last episode."""
        self._searcher = None

    def act(self, observation: Observation, rng: np.random.Generator | None) -> FloatArray:
        """Return ``(n,)`` increments of the commands; without ``rng``, by one that starts at 0."""
        if self._searcher is None:
            self._searcher = self._make(rng if rng is not None else np.random.default_rng(0))
        joints = self._unit.reach.size
        command = observation[:joints].astype(np.float64)
        live = [int(j) for j in np.flatnonzero(observation[joints:])]
        wanted = self._searcher.act(self._unit.position_rad(command), live)
        increments: FloatArray = self._unit.command(wanted) - command
        return increments

    def save(self, path: Path) -> None:
        """Refuse: there is nothing to store.

        Raises:
            UserError: always.
        """
        raise UserError(f"'{self.name}' holds no weights that could be written to {path}.")

    def _make(self, rng: np.random.Generator) -> Searcher:
        unit = self._unit
        return make_searcher(
            self.name,
            unit.lower_rad,
            unit.upper_rad,
            rng,
            cameras=self._cameras,
            robot=self._robot,
            limb=self._options.limb,
        )
