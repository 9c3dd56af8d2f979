"""Looks around in simulation: what six cameras of a limb report, healthy and in four failures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from asterias.arrays import FloatArray, ImageArray
from hardware.description.limb import Pose
from hardware.description.robot import RobotDescription, load_robot
from learning.agents.tasks.target_location import NOWHERE, CameraReport, View, place_of, report_on
from sim.world import SimWorld

Failing = Literal["black", "frozen", "mirrored", "shuffled"]
FAILURES: tuple[Failing, ...] = ("black", "frozen", "mirrored", "shuffled")
HEALTHY = "healthy"
_ABSENT = 0.15  # share of looks without a target
_AWAY = Pose(xyz=(-5.0, 0.0, 0.2))
_SETTLE_S = 0.3
_POOL, _TRIALS = 24, 150  # glances kept, and tried


@dataclass(frozen=True)
class Look:
    """One look around.

    Attributes:
        number: distinguishes looks.
        truth: the place of the target, or ``nowhere``.
        reports: by camera, then by state: ``healthy`` or one of :data:`FAILURES`.
    """

    number: int
    truth: str
    reports: Mapping[str, Mapping[str, CameraReport]]

    def observations(self, states: Mapping[str, str]) -> dict[str, object]:
        """Return what members observe with the cameras in these states (healthy if not named)."""
        seen = {
            name: by_state[states.get(name, HEALTHY)] for name, by_state in self.reports.items()
        }
        return {**seen, "look": self.number}


@dataclass
class LookAround:
    """A limb that glances into a few directions, with all its six cameras wired.

    Args:
        seed: of poses, targets and what the cameras froze at.
        glances: poses per look.
    """

    seed: int
    glances: int = 6
    robot: RobotDescription = field(default_factory=lambda: wire_all_cameras(load_robot("limb_p1")))

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self._limb = self.robot.limbs[0]
        self.cameras = [camera.name for camera in self._limb.cameras]
        self._world = SimWorld(self.robot, seed=self.seed)
        base, pivot = self._limb.base.xyz, self._limb.body.hinges[0].pivot_m
        self._foot = np.array([base[0] + pivot[0], base[1] + pivot[1], 0.0])
        self._frozen: dict[str, ImageArray] = {}
        self._pool = self._useful_glances()

    def close(self) -> None:
        """Close the world."""
        self._world.close()

    def looks(self, count: int) -> Iterator[Look]:
        """Look around with the target somewhere else each time, or nowhere.

        Yields:
            A look: the reports of all cameras, and where the target is.
        """
        for number in range(count):
            truth = NOWHERE
            if self._rng.random() < _ABSENT:
                self._world.move_target(_AWAY)
            else:
                truth = self._place_target()
            chosen = self._rng.choice(len(self._pool), size=self.glances, replace=False)
            views = self._views([self._pool[i] for i in chosen])
            reports = {name: self._reports(name, seen) for name, seen in views.items()}
            yield Look(number, truth, reports)

    # -- parts --------------------------------------------------------------------------------

    def _place_target(self) -> str:
        """Put the target in reach of the cameras, facing the limb; return its place.

        Returns:
            The name of the place.
        """
        bearing = math.radians(self._rng.uniform(-50.0, 50.0))
        away, height = self._rng.uniform(0.55, 0.75), self._rng.uniform(0.1, 0.4)
        point = np.array([away * math.cos(bearing), away * math.sin(bearing), height])
        x, y, z = (point + self._foot).tolist()
        self._world.move_target(Pose(xyz=(x, y, z), rpy=(0.0, -0.5, math.pi + bearing)))
        return place_of(point)

    def _useful_glances(self) -> list[FloatArray]:
        """Return poses from which some camera sees targets; set what each camera may freeze at."""
        low = np.array([joint.limits_rad[0] for joint in self._limb.joints])
        high = np.array([joint.limits_rad[1] for joint in self._limb.joints])
        found: list[tuple[int, FloatArray]] = []
        for _ in range(_TRIALS):
            pose = self._rng.uniform(low, high)
            seeing = 0
            for _ in range(6):
                self._place_target()
                for name, views in self._views([pose]).items():
                    if self._report_on(name, views).place is not None:
                        seeing += 1
                        self._frozen[name] = views[0].image
            found.append((seeing, pose))
        found.sort(key=lambda entry: -entry[0])
        return [pose for _, pose in found[:_POOL]]

    def _views(self, poses: list[FloatArray]) -> dict[str, list[View]]:
        views: dict[str, list[View]] = {name: [] for name in self.cameras}
        scene = self._world.scene
        assert scene is not None
        for pose in poses:
            self._world.reset(positions_rad=[pose])
            self._world.advance(_SETTLE_S)
            for camera in self._limb.cameras:
                image = self._world.draw(0, camera)
                rotation, position = scene.camera_pose(0, camera, self._world.bodies[0])
                views[camera.name].append(View(image, rotation, position - self._foot))
        return views

    def _report_on(self, name: str, views: list[View]) -> CameraReport:
        camera = next(camera for camera in self._limb.cameras if camera.name == name)
        target = self.robot.target
        return report_on(views, camera, target.id, target.size_m)

    def _reports(self, name: str, views: list[View]) -> dict[str, CameraReport]:
        reports = {HEALTHY: self._report_on(name, views)}
        for failing in FAILURES:
            broken = [
                replace(view, image=break_picture(view.image, failing, self._frozen[name]))
                for view in views
            ]
            reports[failing] = self._report_on(name, broken)
        return reports


def draw_liars(
    cameras: Sequence[str], count: int, rng: np.random.Generator, first: Failing | None = None
) -> dict[str, str]:
    """Return which cameras fail, and how; ``first`` sets how the first of them does.

    Raises:
        ValueError: so many cameras cannot fail.
    """
    if not 0 <= count <= len(cameras):
        raise ValueError(f"{count} of {len(cameras)} cameras cannot fail.")
    chosen = rng.choice(len(cameras), size=count, replace=False)
    ways = [str(way) for way in rng.choice(FAILURES, size=count)]
    if first is not None and ways:
        ways[0] = first
    return {cameras[i]: way for i, way in zip(chosen, ways, strict=True)}


def break_picture(image: ImageArray, failing: Failing, frozen: ImageArray) -> ImageArray:
    """Return what a failing camera shows instead of ``image``, all ``(H, W, 3)``.

    black: nothing; frozen: an old picture; mirrored: left for right; shuffled: its quarters, each
    in the place of the one across.
    """
    if failing == "black":
        return np.zeros_like(image)
    if failing == "frozen":
        return frozen
    if failing == "mirrored":
        return np.ascontiguousarray(image[:, ::-1])
    half_height, half_width = image.shape[0] // 2, image.shape[1] // 2
    return np.roll(image, (half_height, half_width), axis=(0, 1))


def wire_all_cameras(robot: RobotDescription) -> RobotDescription:
    """Return the robot with the cameras enabled that are fitted but not wired."""
    limbs = tuple(
        limb.model_copy(
            update={
                "cameras": tuple(c.model_copy(update={"enabled": True}) for c in limb.cameras),
            }
        )
        for limb in robot.limbs
    )
    return robot.model_copy(update={"limbs": limbs})
