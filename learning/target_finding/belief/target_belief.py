"""Where the target may be: an exact Bayes filter over bearings and distances from a limb."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from asterias.arrays import BoolArray, FloatArray
from asterias.errors import UserError
from hardware.description.robot import RobotDescription
from learning.inference.sphere import DirectionGrid, fibonacci_sphere
from learning.target_finding.belief.sight import LimbSight

BEARINGS = 480  # 9 degrees apart, a seventh of a camera's field
# A tag's picture must be this wide to be decoded, and a limb does not look at itself; measured: in
# pictures of 96 px tags of 0.1 m are decoded at 1.0 m as well as anywhere, at 1.2 m seldom.
_LEAST_TAG_PX = 8.0
_SHELLS = 4
_NEAREST = 1.3  # of the cameras' reach round their mean place
POSES = 900  # that are candidates for the next look
_POSE_SEED = 29  # they are the same in every search

# Measured in simulation over 4,500 random poses and three places: a camera that has the tag in
# sight, by geometry, decodes it 3 times of 4; one that has not, twice in a thousand.
HIT, STRAY = 0.75, 0.002

# Of live cameras together, as numbers, since sums over places are the whole work of a step.
SeenPlaces = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ViewTable:
    """What is seen from which pose of a limb; made once, since it depends on the limb alone.

    Attributes:
        grid: the bearings.
        center_m: ``(3,)`` from which bearings go out, world: the mean place of the cameras.
        distances_m: ``(R,)``.
        plausible: ``(N * R,)`` above the floor, where a tag can be.
        poses_rad: ``(M, n)`` candidates for the next look.
        seen: ``(M, c, N * R)`` which camera sees which place.
        sight: answers the same for other poses.
    """

    grid: DirectionGrid
    center_m: FloatArray
    distances_m: FloatArray
    plausible: BoolArray
    poses_rad: FloatArray
    seen: BoolArray
    sight: LimbSight

    def views(self, live: Collection[int]) -> SeenPlaces:
        """Return ``(M, N * R)``, 1 where one of the ``live`` cameras sees a place from a pose."""
        return np.asarray(self.seen[:, sorted(live)].any(axis=1), np.float32)


def view_table(robot: RobotDescription, limb: int, poses: int = POSES) -> ViewTable:
    """Return the table of a limb; the first call takes about a second, later ones nothing.

    Args:
        robot: the description.
        limb: number of the limb.
        poses: that are candidates for the next look.

    Returns:
        The table.

    Raises:
        UserError: the limb has no camera to look with.
    """
    if not robot.limbs[limb].live_cameras:
        raise UserError(f"Limb {limb} has no camera, and nothing to search with.")
    return _view_table(robot.model_dump_json(), limb, poses)


@lru_cache(maxsize=8)
def _view_table(description: str, limb: int, poses: int) -> ViewTable:
    """Return the table of a limb of a robot given as JSON, which can be compared as a whole."""
    robot = RobotDescription.model_validate_json(description)
    about = robot.limbs[limb]
    limits = np.array([joint.limits_rad for joint in about.joints])
    rng = np.random.default_rng(_POSE_SEED)
    candidates = rng.uniform(limits[:, 0], limits[:, 1], (poses, len(limits)))
    blind = LimbSight(robot, limb, np.zeros((0, 3)))
    positions = np.array([blind.camera_poses(pose)[1] for pose in candidates[:200]])
    center = positions.reshape(-1, 3).mean(0)
    reach = float(np.linalg.norm(positions.reshape(-1, 3) - center, axis=1).max())
    focal = max(camera.focal_px for camera in about.live_cameras)
    furthest = max(focal * robot.target.size_m / _LEAST_TAG_PX, 2.0 * reach)
    distances = np.linspace(_NEAREST * reach, furthest, _SHELLS)
    bearings = fibonacci_sphere(BEARINGS)
    places = (center + bearings[:, None] * distances[:, None]).reshape(-1, 3)
    sight = LimbSight(robot, limb, places)
    seen = np.array([sight.seen(pose) for pose in candidates])
    plausible = places[:, 2] > 0.5 * robot.target.size_m
    return ViewTable(DirectionGrid(bearings), center, distances, plausible, candidates, seen, sight)


class TargetBelief:
    """Probability of each bearing and distance; starts even over all places that can be seen.

    Args:
        table: what is seen from where.
    """

    def __init__(self, table: ViewTable) -> None:
        self.table = table
        can = table.plausible & table.seen.any(axis=(0, 1))
        self.cells: FloatArray = can / max(can.sum(), 1)

    def look(
        self, position_rad: FloatArray, live: Collection[int], seeing: Collection[int] = ()
    ) -> None:
        """Take in a look: by Bayes' rule, each live camera sees the target or does not.

        Args:
            position_rad: ``(n,)`` pose of the limb at the look.
            live: numbers of the cameras that work; dead ones tell nothing.
            seeing: numbers of those that saw the target.
        """
        seen = self.table.sight.seen(position_rad)
        likelihood = np.ones(self.cells.size)
        for j in live:
            hit = np.where(seen[j], HIT, STRAY)
            likelihood *= hit if j in seeing else 1.0 - hit
        posterior = self.cells * likelihood
        total = float(posterior.sum())
        # A tag where no model place is leaves nothing; then the older belief is the better one.
        self.cells = posterior / total if total > 1e-300 else self.cells

    def within(self, places: BoolArray) -> FloatArray:
        """Return ``(N * R,)`` the belief over some ``(N * R,)`` places alone."""
        kept = np.where(places, self.cells, 0.0)
        total = float(kept.sum())
        return kept / total if total > 0.0 else self.cells

    def bearings(self, cells: FloatArray | None = None) -> FloatArray:
        """Return ``(N,)`` probabilities of the bearings, as a von Mises-Fisher mixture.

        ``cells``: ``(N * R,)``, the belief itself where none are given.
        """
        chosen = self.cells if cells is None else cells
        marginal = chosen.reshape(-1, len(self.table.distances_m)).sum(1)
        return self.table.grid.mixture(marginal)

    @property
    def entropy_bits(self) -> float:
        """How much is left to know."""
        some = self.cells[self.cells > 0.0]
        return float(-(some * np.log2(some)).sum())
