"""Single moments of a limb all over its range: pictures, joints, and where the cameras stood.

An encoder learns from these first. Drives show the same pose in picture after picture; of stills
each is another pose. Half of them are taken 80 ms after the servos were sent elsewhere, so that
links that swing are seen, too. Poses are drawn towards the ends of the ranges, where pictures tell
joints least.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.files import read_json, write_json
from hardware.description.robot import load_robot
from learning.fast_weights.estimation.drives import TILE_PX, TileArray, shrunk
from learning.fast_weights.estimation.encoder import EYE_NUMBERS
from sim.world import SimWorld

# Both parameters of the beta distribution of a joint within its range; 1 would be uniform.
TOWARDS_ENDS = 0.8
MOVED_SHARE, MOVED_STD_RAD, MOVED_S = 0.5, 0.15, 0.08
# A camera's place is given in this unit.
PLACE_UNIT_M = 0.2
# A pool that was stopped goes on from the last whole part of this size.
PART = 1000
_ABOUT = "stills.json"


@dataclass(frozen=True)
class StillsPlan:
    """Which stills are taken.

    Attributes:
        robot, limb: whose.
        count: how many.
        seed: of the poses.
    """

    robot: str = "limb_p1"
    limb: int = 0
    count: int = 50_000
    seed: int = 0


@dataclass(frozen=True)
class Stills:
    """Stills side by side, of c cameras and n joints.

    Attributes:
        tiles: ``(N, c, 48, 48, 3)``, on disk.
        joints_rad: ``(N, n)`` servo positions.
        eyes: ``(N, c, 9)`` poses of the cameras, of the limb at rest.
    """

    tiles: TileArray
    joints_rad: npt.NDArray[np.float32]
    eyes: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of stills."""
        return len(self.tiles)


def taken(
    plan: StillsPlan,
    folder: Path,
    on_stills: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Stills:
    """Return the stills in ``folder``; those that are missing are taken.

    Raises:
        KeyboardInterrupt: ``should_stop`` said so; what was taken is kept.
        UserError: the folder holds others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about: Any = read_json(folder / _ABOUT) if (folder / _ABOUT).is_file() else {"done": 0}
    if about.get("plan", asdict(plan)) != asdict(plan):
        raise UserError(f"{folder} holds other stills; remove it, or choose another --out.")
    arrays = _arrays(plan, folder, bool(about["done"]))
    if about["done"] < plan.count:
        with SimWorld(plan.robot, seed=0) as world:
            for first in range(int(about["done"]), plan.count, PART):
                last = min(first + PART, plan.count)
                for number in range(first, last):
                    _take(world, plan, _poses(plan)[:, number], arrays, number)
                    if should_stop():
                        raise KeyboardInterrupt
                _flush(arrays)
                write_json(folder / _ABOUT, {"plan": asdict(plan), "done": last})
                on_stills(last, plan.count)
    return arrays


def _flush(arrays: Stills) -> None:
    for array in (arrays.tiles, arrays.joints_rad, arrays.eyes):
        assert isinstance(array, np.memmap)
        array.flush()


def _arrays(plan: StillsPlan, folder: Path, are_there: bool) -> Stills:
    """Return the files of a pool as arrays, made where they are not there.

    Raises:
        UserError: the disk has no room for them.
    """
    limb = load_robot(plan.robot).limbs[plan.limb]
    cameras, size = len(limb.live_cameras), plan.count
    shapes: dict[str, tuple[type, tuple[int, ...]]] = {
        "tiles": (np.uint8, (size, cameras, TILE_PX, TILE_PX, 3)),
        "joints_rad": (np.float32, (size, len(limb.joints))),
        "eyes": (np.float32, (size, cameras, EYE_NUMBERS)),
    }
    wanted = sum(np.dtype(kind).itemsize * int(np.prod(shape)) for kind, shape in shapes.values())
    if not are_there and wanted > shutil.disk_usage(folder).free:
        raise UserError(
            f"{size} stills take {wanted / 1e9:.1f} GB, more than is free in {folder}; choose "
            "another --out, or fewer --episodes."
        )
    mode = "r+" if are_there else "w+"
    return Stills(
        **{
            name: np.lib.format.open_memmap(folder / f"{name}.npy", mode, kind, shape)
            for name, (kind, shape) in shapes.items()
        }
    )


@lru_cache(maxsize=1)
def _poses(plan: StillsPlan) -> FloatArray:
    """Return ``(2, N, n)``: where the limb stands, and where its servos are sent."""
    joints = load_robot(plan.robot).limbs[plan.limb].joints
    low, high = np.array([joint.limits_rad for joint in joints]).T
    rng = np.random.default_rng(plan.seed)
    both = np.empty((2, plan.count, len(low)))
    for number in range(plan.count):
        both[:, number] = low + (high - low) * rng.beta(TOWARDS_ENDS, TOWARDS_ENDS, len(low))
        if rng.random() < MOVED_SHARE:
            both[1, number] += rng.normal(0.0, MOVED_STD_RAD, len(low))
    return np.clip(both, low, high)


def _take(world: SimWorld, plan: StillsPlan, poses: FloatArray, into: Stills, number: int) -> None:
    """Take still ``number`` of poses ``(2, n)``."""
    body, cameras = world.bodies[plan.limb], world.robot.limbs[plan.limb].live_cameras
    rest = [[joint.home_rad for joint in limb.joints] for limb in world.robot.limbs]
    rest[plan.limb] = list(poses[0])
    world.reset(positions_rad=rest)
    body.set_goal(poses[1])
    world.advance(MOVED_S)
    for camera, about in enumerate(cameras):
        into.tiles[number, camera] = shrunk(world.draw(plan.limb, about))
    into.joints_rad[number] = body.servo_rad
    # Where the cameras of a limb at rest would stand: a function of the joints alone.
    body.reset(into.joints_rad[number])
    assert world.scene is not None, "a world with cameras has one"
    eyes = world.scene.camera_eyes(plan.limb, cameras, body)
    into.eyes[number, :, :6] = eyes[:, :2].reshape(len(cameras), 6)
    into.eyes[number, :, 6:] = eyes[:, 3] / PLACE_UNIT_M
