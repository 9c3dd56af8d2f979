"""Names of the arrays and cells that several rooms hand to each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Angles, positions, forces: float64, the shape stands in the docstring of who takes it.
FloatArray = npt.NDArray[np.float64]

# Yes or no for each of several.
BoolArray = npt.NDArray[np.bool_]

# A picture: uint8, (H, W, 3) RGB unless the docstring says otherwise.
ImageArray = npt.NDArray[np.uint8]

# Row and column of a maze or map, from its upper left corner.
Cell = tuple[int, int]

# The same with fractions: a point in it.
CellPoint = tuple[float, float]

# A maze: uint8 (H, W), 1 = free, row 0 in the north.
MazeArray = npt.NDArray[np.uint8]
