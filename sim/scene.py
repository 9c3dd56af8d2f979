"""What the cameras see: limbs, floor and target as low-polygon shapes in PyBullet.

TinyRenderer's cost grows with triangles and with shadows, so bodies are boxes, the floor is two
triangles and shadows are off: some 0.3 ms for a 96x96 picture on one core instead of 7.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pybullet
import pybullet_data  # noqa: F401  (part of the wheel; its absence means a broken install)

from hardware.description import CameraDescription, Limb, Target
from hardware.errors import DeviceError
from sim.body import LimbBody
from sim.rotations import FloatArray, quaternion_from_rotation, rotation_from_rpy
from sim.tag import CELLS, SHEET_CELLS, tag_image

log = logging.getLogger(__name__)
