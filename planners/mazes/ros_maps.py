"""ROS maps as map_server reads them: a YAML file that names a picture, thresholds and a mode.

The modes and their arithmetic are those of Nav2's ``map_io.cpp``; the picture's greys are shares
of the greatest value, and the mean of its channels counts.
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from asterias.errors import UserError
from asterias.files import read_text
from asterias.yaml_text import check_brackets, load_yaml
from planners.mazes.pictures import Shades

_MOST_BYTES = 64 * 1024  # a map's YAML has half a kilobyte
_MODES = ("trinary", "scale", "raw")
# Costs from 0 to 100 from which on a cell is a wall; the node planner's parameter is the same.
_OCCUPIED = 50.0
_WORDS = {"1": True, "true": True, "yes": True, "on": True}
_NO_WORDS = {"0": False, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class RosMap:
    """What the YAML file says."""

    image: Path
    resolution_m: float
    origin: tuple[float, float, float]
    """Pose of the lower left corner: x and y in m, yaw in rad."""
    negate: bool
    """Whether dark is free."""
    occupied: float
    """Occupancy from 0 to 1 above which a cell is a wall."""
    free: float
    """Occupancy below which a cell is free."""
    mode: str


def read_ros_map(path: Path) -> RosMap:
    """Return what a map's YAML file says.

    Raises:
        UserError: it is no such file, or a value makes no sense.
    """
    about = _mapping(path)
    missing = [key for key in ("image", "resolution", "origin") if key not in about]
    if missing or not isinstance(about["image"], str) or not about["image"]:
        raise UserError(f"{path} is no ROS map: it needs image, resolution and origin [x, y, yaw].")
    origin = about["origin"]
    if not isinstance(origin, list) or len(origin) != 3:
        raise UserError(f"{path}: origin must be [x, y, yaw], in m and rad.")
    x, y, yaw = (_number(path, "origin", value) for value in origin)
    resolution = _number(path, "resolution", about["resolution"])
    if resolution <= 0:
        raise UserError(f"{path}: resolution is {resolution:g} m; it must be above 0.")
    occupied = _number(path, "occupied_thresh", about.get("occupied_thresh", 0.65))
    free = _number(path, "free_thresh", about.get("free_thresh", 0.25))
    if not 0 <= free < occupied <= 1:
        raise UserError(f"{path}: thresholds must rise, 0 <= free_thresh < occupied_thresh <= 1.")
    image = path.parent / about["image"]
    mode = _mode(path, about.get("mode", "trinary"))
    negate = _boolean(path, about.get("negate", False))
    return RosMap(image, resolution, (x, y, yaw), negate, occupied, free, mode)


def free_cells(
    about: RosMap,
    shades: Shades,
    opacity: NDArray[np.float32] | None,
    unknown_is_free: bool,
) -> NDArray[np.uint8]:
    """Return the free cells ``(H, W)`` of a map's picture, 1 = free."""
    channels = shades if shades.ndim == 3 else shades[..., None]
    shade = channels.mean(axis=2, dtype=np.float64)
    if about.mode == "trinary" and opacity is not None:
        # map_server averages alpha in with the colours in this mode.
        shade = (channels.sum(axis=2, dtype=np.float64) + opacity) / (channels.shape[2] + 1)
    if about.mode == "raw":
        cost = np.round(255 * shade)
        known = cost <= 100
    else:
        occupancy = shade if about.negate else 1 - shade
        cost = 100 * (occupancy - about.free) / (about.occupied - about.free)
        cost = np.rint(cost.clip(0, 100))
        cost[occupancy > about.occupied] = 100
        cost[occupancy < about.free] = 0
        known = (occupancy > about.occupied) | (occupancy < about.free)
        if about.mode == "scale":
            known = np.ones(shade.shape, bool) if opacity is None else opacity >= 1
    free = np.where(known, cost < _OCCUPIED, unknown_is_free)
    return np.asarray(free, np.uint8)


def _mapping(path: Path) -> dict[str, object]:
    """Return a YAML file's mapping; aliases, which small files use to become huge, are refused.

    Raises:
        UserError: it is no YAML file with a mapping.
    """
    text = read_text(path, _MOST_BYTES)
    has_aliases = False
    try:
        check_brackets(text)
        has_aliases = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text))
        about = None if has_aliases else load_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is no ROS map, since it is no YAML file: {reason}.") from error
    if has_aliases:
        raise UserError(f"{path} uses YAML aliases (*name): a map file needs none.")
    if not isinstance(about, dict):
        raise UserError(f"{path} is no ROS map: it needs image, resolution and origin [x, y, yaw].")
    return about


def _number(path: Path, key: str, value: object) -> float:
    try:
        number = float(value) if isinstance(value, (int, float, str)) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        shown = " ".join(str(value).split())[:40]
        raise UserError(f"{path}: {key} is {shown}; it must be a finite number.")
    return number


def _boolean(path: Path, value: object) -> bool:
    word = str(value).strip().lower()
    known = _WORDS | _NO_WORDS
    if word not in known:
        raise UserError(f"{path}: negate is {word[:40]!r}; it must be 0 or 1.")
    return known[word]


def _mode(path: Path, value: object) -> str:
    word = str(value).strip().lower()
    if word not in _MODES:
        near = difflib.get_close_matches(word, _MODES, n=1)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise UserError(f"{path}: mode is {word[:40]!r}; choose {', '.join(_MODES)}{hint}")
    return word
