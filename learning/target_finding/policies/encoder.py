"""Encoder of the image policies: estimates the limb's commands from the cameras' tiles alone.

A small convolutional net sees each tile, the same for all, and layers over all tiles estimate the
commanded positions. It learns by self-supervision
(:mod:`learning.target_finding.algorithms.self_supervised`): the robot moves about and knows what it
commanded, so no one labels anything. Cameras take the place of position sensors, as the authors of
arXiv 2404.08093 meant them to.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Tensors = Mapping[str, npt.NDArray[Any]]

# Edge of the tiles that the net gets; larger ones are shrunk first.
TILE_PX = 48
TILE_FEATURES = 64
# Cameras and joints that an encoder is read for, before its layers are allocated.
_MOST = 1024


def shrunk(tiles: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return tiles ``(..., H, W)`` as ``(..., 48, 48)``, by means over areas."""
    if tiles.shape[-2:] == (TILE_PX, TILE_PX):
        return np.ascontiguousarray(tiles)
    flat = tiles.reshape(-1, *tiles.shape[-2:])
    small = [cv2.resize(t, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA) for t in flat]
    return np.stack(small).reshape(*tiles.shape[:-2], TILE_PX, TILE_PX).astype(np.uint8)


class TileEncoder(nn.Module):
    """Network from tiles ``(B, c, 48, 48)`` uint8 to estimated commands ``(B, joints)``.

    Args:
        cameras: number of tiles, c.
        joints: number of servos.
    """

    def __init__(self, cameras: int = 4, joints: int = 4) -> None:
        super().__init__()
        self.cameras, self.joints = cameras, joints
        self.tile = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        side = TILE_PX // 8
        self.describe = nn.Sequential(nn.Linear(32 * side * side, TILE_FEATURES), nn.ReLU())
        self.guess = nn.Sequential(
            nn.Linear(TILE_FEATURES * cameras, 128),
            nn.ReLU(),
            nn.Linear(128, 64),
            nn.ReLU(),
            nn.Linear(64, joints),
        )

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """Return the estimated commands ``(B, joints)``."""
        one = (tiles.to(torch.float32) / 127.5 - 1.0).reshape(-1, 1, TILE_PX, TILE_PX)
        described = self.describe(self.tile(one)).reshape(-1, TILE_FEATURES * self.cameras)
        guessed: torch.Tensor = self.guess(described)
        return guessed

    @torch.no_grad()
    def features(self, tiles: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return the estimated commands of tiles ``(c, H, W)`` or ``(B, c, H, W)`` of any size."""
        batch = torch.from_numpy(shrunk(tiles))
        single = batch.ndim == 3
        guessed: npt.NDArray[np.float32] = self(batch[None] if single else batch).numpy()
        return guessed[0] if single else guessed

    @cached_property
    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All weights, as a policy's file holds them."""
        shape = np.array([self.cameras, self.joints])
        return {"shape": shape, **{k: v.detach().numpy() for k, v in self.state_dict().items()}}

    @classmethod
    def from_tensors(cls, tensors: Tensors) -> TileEncoder:
        """Return the encoder of :attr:`tensors`.

        Raises:
            ValueError: they are not those of an encoder.
        """
        shape = tensors.get("shape")
        if shape is None or shape.shape != (2,) or not (1 <= min(shape) <= max(shape) <= _MOST):
            raise ValueError("these are not an encoder's weights")
        encoder = cls(*(int(size) for size in shape))
        state = {k: torch.as_tensor(v) for k, v in tensors.items() if k != "shape"}
        try:
            encoder.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError("these are not an encoder's weights") from error
        return encoder.eval()
