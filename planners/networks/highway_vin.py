"""Highway VIN (Wang et al., ICML 2024): value iteration in blocks with gates.

The gates let information skip layers, so that a network of hundreds of layers is trained by plain
back-propagation from its last one. The block is in ``highway_block.py``; here it runs over VIN's
kernel, and over DT-VIN's, which is nobody's network but ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from planners.networks.base import ClosedForm, PlanningNetwork
from planners.networks.dt_vin import DTVIN, DTVINConfig
from planners.networks.highway_block import HighwayConfig, HighwayLayers
from planners.networks.vin import VIN, VINConfig


class _InBlocks(PlanningNetwork):
    """What a network whose layers come in highway blocks does otherwise than without them."""

    _layers: HighwayLayers

    @property
    def can_resume(self) -> bool:
        """Whether the state is V alone: no, it depends on where blocks begin."""
        return False

    def iterate(self, encoded: Sequence[Tensor], depth: int, saved_layers: Sequence[int]) -> Tensor:
        """Return V after the blocks that end at or before the saved layers, ``(N, B, H, W)``."""
        return self._layers.iterate(encoded, depth, saved_layers, is_training=self.training)

    def diagnostics(self) -> dict[str, float]:
        """Return the health of the gates: see :meth:`HighwayLayers.diagnostics`."""
        return self._layers.diagnostics()


@dataclass(frozen=True)
class HighwayVINConfig(HighwayConfig, VINConfig):
    """Shape of a Highway VIN."""


class HighwayVIN(_InBlocks, VIN):
    """A VIN whose layers come in blocks with filter and aggregate gates."""

    config_type = HighwayVINConfig
    config: HighwayVINConfig

    def __init__(self, config: HighwayVINConfig | None = None) -> None:
        super().__init__(config or HighwayVINConfig())
        self._layers = HighwayLayers(self.config)


@dataclass(frozen=True)
class HighwayDTVINConfig(HighwayConfig, DTVINConfig):
    """Shape of a DT-VIN in highway blocks."""


class HighwayDTVIN(_InBlocks, DTVIN):
    """A DT-VIN whose layers come in blocks with filter and aggregate gates."""

    config_type = HighwayDTVINConfig
    config: HighwayDTVINConfig

    def __init__(self, config: HighwayDTVINConfig | None = None) -> None:
        super().__init__(config or HighwayDTVINConfig())
        self._layers = HighwayLayers(self.config)

    def solve(self, mazes: Tensor, goals: Tensor, depth: int) -> ClosedForm | None:
        """Return None: blocks are no plain value iteration."""
        return None
