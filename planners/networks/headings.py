"""States of a differential drive, cell and heading, as a map: four headings in a block of 2 x 2.

A cell (i, j) becomes the block at (2 i, 2 j), with its headings clockwise round the block::

    north east
    west  south

A turn then leads to a neighbour within the block, and the way forward to the same place of the next
block, two cells on: all actions lie in a patch of 5 x 5, so that whatever works on maps of cells
with 5 x 5 kernels works on states. A map that is turned by a quarter turns its headings, too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from planners.networks.base import COMPASS

# (row, column) of each heading in its block, clockwise from north.
PLACES = ((0, 0), (0, 1), (1, 1), (1, 0))
BLOCK = 2


def interleave(states: NDArray[Any]) -> NDArray[Any]:
    """Return states ``(n, 4, H, W)``, headings clockwise from north, as maps ``(n, 2 H, 2 W)``."""
    count, _, rows, columns = states.shape
    result = np.empty((count, BLOCK * rows, BLOCK * columns), states.dtype)
    for heading, (down, right) in enumerate(PLACES):
        result[:, down::BLOCK, right::BLOCK] = states[:, heading]
    return result


def separate(maps: NDArray[Any]) -> NDArray[Any]:
    """Return maps ``(n, 2 H, 2 W)`` as states ``(n, 4, H, W)``."""
    return np.stack([maps[:, down::BLOCK, right::BLOCK] for down, right in PLACES], axis=1)


def drive_steps() -> list[list[tuple[int, int]]]:
    """Return by how many rows and columns each action leads on in the map, heading by heading."""
    steps = []
    for heading, (down, right) in enumerate(COMPASS[: len(PLACES)]):
        here = PLACES[heading]
        turns = [PLACES[(heading + side) % len(PLACES)] for side in (1, -1)]
        turned = [(there[0] - here[0], there[1] - here[1]) for there in turns]
        steps.append([(BLOCK * down, BLOCK * right), *turned])
    return steps
