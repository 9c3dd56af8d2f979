"""Rooms of many worlds, drawn by one compiled loop on several threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from asterias.arrays import FloatArray, ImageArray
from hardware.description.limb import CameraDescription
from sim.rendering.raster.background import Packed
from sim.rendering.raster.scene import RasterScene
from sim.rendering.raster.stage import draw_stages
from sim.vectorised.stacking import row_of, stacked
from sim.vectorised.threads import RowNumbers, Threads


class WorldView(NamedTuple):
    """What is to be drawn of a world: its number, and where its cameras stand, ``(c, 4, 3)``."""

    world: int
    eyes: FloatArray


class SceneBatch:
    """Rooms of robots of one description; what moves in them moves into shared arrays.

    Each scene goes on working by itself as before.

    Args:
        scenes: of the same robot, detail and supersampling.
    """

    def __init__(self, scenes: Sequence[RasterScene]) -> None:
        self.scenes = list(scenes)
        self._shapes = scenes[0].shapes
        self._stages = stacked([scene.stage for scene in scenes])
        for i, scene in enumerate(scenes):
            scene.share(self._shapes, row_of(self._stages, i))

    def draw(
        self, camera: CameraDescription, views: Sequence[WorldView], threads: Threads
    ) -> ImageArray:
        """Return pictures ``(c, H, W, 3)`` by cameras of one kind, in the order of the views."""
        worlds = np.array([view.world for view in views])
        moved = np.array([self.scenes[view.world].begin_drawing() for view in views])
        first = np.cumsum([0, *(len(view.eyes) for view in views)])
        eyes = np.concatenate([view.eyes for view in views]).astype(np.float32)
        scene = self.scenes[0]
        packed: Packed = np.empty((len(eyes), *scene.picture_size(camera)), np.int32)
        size = (len(eyes), camera.height_px, camera.width_px, 3)
        pictures: ImageArray = np.empty(size, np.uint8)
        optics = scene.optics(camera)

        def work(share: RowNumbers) -> None:
            # A share's views follow each other, and so do their cameras.
            low, high = first[share[0]], first[share[-1] + 1]
            draw_stages(
                self._shapes,
                self._stages,
                worlds[share],
                moved[share],
                first[share[0] : share[-1] + 2] - low,
                eyes[low:high],
                optics,
                packed[low:high],
            )
            pictures[low:high] = scene.finish(packed[low:high], camera)

        threads.run(work, len(views))
        return pictures
