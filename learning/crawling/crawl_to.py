"""``python -m learning crawl-to``: crawl to a place in simulation, as ``/crawl_to`` does."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asterias.arrays import FloatArray
from asterias.cli import check_file
from asterias.errors import UserError
from learning.crawling.gaits import load_gait
from learning.crawling.limb_modes import CONTROL_HZ
from learning.crawling.pilot import GaitPilot
from learning.crawling.way_film import Moment, WayFilm, save_film
from sim.standing_world import StandingWorld


@dataclass(frozen=True)
class CrawlToPlace:
    """Crawl to a place on the ground with a gait, in simulation; film the way."""

    target_m: tuple[float, ...] = (1.0, 0.0)
    """Where to: x and y from where the robot starts."""
    gait: str = "rowing"
    """Name of a gait, or .json file."""
    robot: str = "starfish"
    """Name or path of a robot description."""
    tolerance_m: float = 0.08
    """How near counts as arrived."""
    limit_s: float = 60.0
    """Simulated time after which it is given up."""
    out: Path | None = None
    """Film to write: .webp or .gif."""

    def run(self) -> int:
        """Crawl, and film.

        Returns:
            0 when the robot has arrived, else 1.

        Raises:
            UserError: an option cannot be used.
        """
        target = np.array(self.target_m)
        if target.shape != (2,) or not np.isfinite(target).all():
            raise UserError(f"--target-m takes two finite lengths, not {self.target_m}.")
        for name in ("tolerance_m", "limit_s"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise UserError(f"--{name.replace('_', '-')} takes more than 0.")
        check_file("--out", self.out)
        if self.out is not None and self.out.suffix.lower() not in (".webp", ".gif"):
            raise UserError(f"--out {self.out}: a film ends in .webp or .gif.")
        with StandingWorld(self.robot, pictures=self.out is not None) as world:
            pilot = GaitPilot(world.robot, load_gait(self.gait))
            moments, left_m = self._crawl(world, pilot, target)
            if self.out is not None:
                film = WayFilm(world.robot, target, moments, f"gait {self.gait}")
                pictures = [film.frame(k) for k in range(len(moments))]
                self.out.parent.mkdir(parents=True, exist_ok=True)
                save_film(self.out, pictures, CONTROL_HZ)
            arrived = left_m <= self.tolerance_m
            print(
                f"{'Arrived' if arrived else 'Not arrived'} after {world.time_s:.1f} s, "
                f"{left_m:.2f} m left" + (f": {self.out}." if self.out is not None else ".")
            )
        return 0 if arrived else 1

    def _crawl(
        self, world: StandingWorld, pilot: GaitPilot, target: FloatArray
    ) -> tuple[list[Moment], float]:
        """Return the moments of the way, where pictures are wanted, and the distance left."""
        moments: list[Moment] = []
        for step in range(round(self.limit_s * CONTROL_HZ)):
            if self.out is not None:
                moments.append(_moment(world))
            rotation = world.whole.rotation()
            way = target - world.whole.position_m()[:2]
            if np.linalg.norm(way) <= self.tolerance_m:
                break
            ahead = rotation[:2, :2].T @ way
            bearing = math.atan2(ahead[1], ahead[0])
            goals = pilot.commands(step / CONTROL_HZ, bearing)
            for body, goal in zip(world.bodies, goals, strict=True):
                body.set_goal(goal)
            world.advance(1.0 / CONTROL_HZ)
        return moments, float(np.linalg.norm(target - world.whole.position_m()[:2]))


def _moment(world: StandingWorld) -> Moment:
    """Return all that a film shows of the world now."""
    tiles = [
        [world.draw(limb, camera.description) for camera in row]
        for limb, row in enumerate(world.cameras)
    ]
    hinges = tuple(body.hinge_rad for body in world.bodies)
    return Moment(world.time_s, *world.base_pose(), hinges, np.array(tiles))
