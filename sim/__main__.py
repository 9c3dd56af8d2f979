"""``python -m sim``: view the simulated robot, measure the simulation, export shapes."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from asterias.cli import check_file, run_command
from asterias.errors import UserError
from asterias.files import write_json
from asterias.provenance import provenance
from hardware.description.devices import RendererName
from hardware.description.limb import JointDescription
from hardware.description.robot import load_robot
from hardware.perception.apriltag import detect_tags
from hardware.perception.images import Tile, save_png, sheet
from sim.benchmarks.renderer_pictures import side_by_side
from sim.benchmarks.renderers import compare_renderers
from sim.benchmarks.soft_arm import bench_against_elastica
from sim.benchmarks.speed import bench
from sim.benchmarks.worlds import bench_worlds
from sim.contact.study import MeasureContact
from sim.engines.command import MeasureEngines
from sim.rendering.outside_view import outside_view
from sim.rendering.raster.export import export_robot
from sim.standing_world import StandingWorld
from sim.vectorised.worlds import WorldBatch
from sim.world import SimWorld


@dataclass(frozen=True)
class ViewRobot:
    """Draw the limb from outside, and what each camera sees."""

    robot: str = "limb_p1"
    """Name or path of a robot description."""
    out: Path = Path("view.png")
    """Picture to write."""
    positions_rad: tuple[float, ...] = ()
    """Joint positions of the first limb in command order; home when not given."""
    settle_s: float = 1.5
    """Simulated time before the picture is taken."""
    renderer: RendererName | None = None
    """Overrides the description's renderer."""

    def run(self) -> int:
        """Draw and write the picture.

        Returns:
            The exit code.
        """
        check_file("--out", self.out)
        with SimWorld(self.robot, renderer=self.renderer) as world:
            world.bodies[0].set_goal(self._goal_rad(world.robot.limbs[0].joints))
            world.advance(_not_negative("--settle-s", self.settle_s))
            save_png(str(self.out), view_picture(world))
        print(f"Drew {self.robot} into {self.out}.")
        return 0

    def _goal_rad(self, joints: Sequence[JointDescription]) -> list[float]:
        if not self.positions_rad:
            return [joint.home_rad for joint in joints]
        if len(self.positions_rad) != len(joints):
            names = ", ".join(joint.name for joint in joints)
            raise UserError(f"--positions-rad takes {len(joints)} values ({names}).")
        for value, joint in zip(self.positions_rad, joints, strict=True):
            low, high = joint.limits_rad
            if not low <= value <= high:
                raise UserError(
                    f"--positions-rad: {joint.name} takes {low:g} to {high:g}, not {value:g}."
                )
        return list(self.positions_rad)


@dataclass(frozen=True)
class MeasureSpeed:
    """Measure physics steps/s, camera frames/s and the real-time factor on one core."""

    robot: str = "limb_p1"
    """Name or path of a robot description."""
    duration_s: float = 20.0
    """Simulated time of each run."""
    repeats: int = 5
    """Runs; the median counts."""
    renderer: RendererName | None = None
    """Overrides the description's renderer."""
    against: Literal["pyelastica", "pybullet"] | None = None
    """Measure by turns with another engine, which must be installed: its soft arm (pyelastica), or
    its pictures (pybullet): speed, decoded tags, pixels."""
    worlds: int = 0
    """Measure so many worlds at once, on one core and on all; 0: a single one."""
    views: int = 2000
    """Views of the tag to decode, with --against pybullet."""
    picture: Path | None = None
    """With --against pybullet: picture of both side by side to write."""
    json: Path | None = None
    """Result file to write, for example results/sim/bench.json, results/sim/renderers.json,
    results/sim/soft_arm_bench.json or results/sim/worlds.json."""

    def run(self) -> int:
        """Measure, print, and write the result file if asked for.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        if self.repeats < 1:
            raise UserError(f"--repeats takes 1 or more, not {self.repeats}.")
        if not 0.1 <= self.duration_s < math.inf:
            raise UserError(f"--duration-s takes 0.1 or more, not {self.duration_s:g}.")
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        if self.views < 1:
            raise UserError(f"--views takes 1 or more, not {self.views}.")
        if self.worlds < 0 or (self.worlds and self.against is not None):
            raise UserError("--worlds takes 0 or more, and goes with no --against.")
        if self.against == "pybullet":
            self._compare_renderers()
            return 0
        if self.against is not None:
            self._compare()
            return 0
        if self.worlds:
            self._measure_worlds()
            return 0
        figures = bench(
            self.robot, duration_s=self.duration_s, repeats=self.repeats, renderer=self.renderer
        )
        print(
            f"{figures['robot']}: {len(figures['cameras'])} cameras, "
            f"{figures['renderer']}, one core"
        )
        for key, unit in (
            ("physics_steps_per_s", "physics steps/s"),
            ("camera_frames_per_s", "camera frames/s"),
            ("real_time_factor", "x real time with cameras"),
        ):
            value = figures[key]
            print(
                f"  {value['median']:12,.1f} {unit}  ({value['min']:,.1f} to {value['max']:,.1f})"
            )
        if self.json is not None:
            write_json(self.json, {**provenance(), **figures})
        return 0

    def _measure_worlds(self) -> None:
        """Measure many worlds at once."""
        figures = bench_worlds(
            self.robot,
            self.worlds,
            duration_s=self.duration_s,
            repeats=self.repeats,
            renderer=self.renderer,
        )
        print(f"{figures['worlds']} x {figures['robot']}, {figures['cameras']} cameras each")
        for name, row in figures.items():
            if name.startswith("threads_"):
                rate, free = row["world_s_per_s"], row["world_s_per_s_on_free_cores"]
                print(
                    f"  {name.removeprefix('threads_')} thread(s): {rate['median']:.0f} world-s/s "
                    f"with {row['cores_had']['median']:.2f} cores; {free['median']:.0f} by "
                    "processor time, were all cores free"
                )
        if self.json is not None:
            write_json(self.json, {**provenance(0), **figures})

    def _compare_renderers(self) -> None:
        """Measure our renderer beside PyBullet's."""
        names = ("raster", "pybullet", "raster_2x2")
        if self.picture is not None:
            save_png(str(self.picture), side_by_side(names[:2]))
        figures = compare_renderers(
            names,
            duration_s=self.duration_s,
            repeats=self.repeats,
            views=self.views,
            note=lambda text: print(f"{text} ...", flush=True),
        )
        factors, shares = figures["real_time_factor"], figures["decoded"]["share"]
        for name in names:
            print(
                f"  {name:10} {figures['tile_ms'][name]['median']:.3f} ms a tile, "
                + ", ".join(f"{bot} {rows[name]['median']:.1f} x" for bot, rows in factors.items())
                + f", {100.0 * shares[name]:.1f} % of tags"
            )
        if self.json is not None:
            write_json(self.json, {**provenance(), **figures})

    def _compare(self) -> None:
        """Measure beside the other engine."""
        figures = bench_against_elastica(
            self.robot,
            duration_s=self.duration_s,
            repeats=self.repeats,
            on_round=lambda done, total: print(f"round {done} of {total}", flush=True),
        )
        for name, row in figures["contestants"].items():
            factor = row["simulated_s_per_s"]
            print(
                f"  {name:20} {factor['median']:10,.2f} simulated s/s  ({factor['min']:,.2f} to "
                f"{factor['max']:,.2f}), {row['steps_per_s']:10,.1f} steps/s of "
                f"{row['control_period_s']:g} s"
            )
        for name, ratio in figures["ratios"].items():
            print(f"  {name}: {ratio:,.1f}")
        if self.json is not None:
            write_json(self.json, {**provenance(0), **figures})


@dataclass(frozen=True)
class WarmUp:
    """Compile the simulation's loops ahead of time, so that the first launch is quick."""

    robot: str = "limb_p1"
    """Name or path of a robot description."""
    standing: str = "starfish"
    """The same of a robot that stands on the ground."""

    def run(self) -> int:
        """Step and draw once.

        Returns:
            The exit code.
        """
        with SimWorld(self.robot) as world:
            world.advance(0.1)
            for row in world.cameras:
                for camera in row:
                    camera.connect()
                    camera.read()
            for body in world.bodies:
                body.energy_j()
        # The loop with contact is another one; it takes a minute.
        with StandingWorld(self.standing) as standing:
            standing.advance(0.1)
            standing.whole.energy_j()
            for camera in standing.cameras[0]:
                camera.connect()
            standing.draw_due()
        # Many worlds in one call are loops of their own (gymnasium.make_vec).
        with WorldBatch.of(self.robot, 2) as batch:
            for world in batch.worlds:
                for camera in world.cameras[0]:
                    camera.connect()
            batch.advance(0.1)
            batch.draw_due()
        return 0


@dataclass(frozen=True)
class ExportShapes:
    """Write the robot's shapes: STL for its links, glTF for the whole, URDF that names them."""

    robot: str = "limb_p1"
    """Name or path of a robot description."""
    out: Path = Path("shapes")
    """Folder to write to."""

    def run(self) -> int:
        """Write the files.

        Returns:
            The exit code.

        Raises:
            UserError: there is a file in the place of the folder.
        """
        if self.out.exists() and not self.out.is_dir():
            raise UserError(f"--out takes a folder, and {self.out} is a file.")
        check_file("--out", self.out / "meshes" / "link.stl")
        files = export_robot(load_robot(self.robot), self.out)
        print(f"Wrote {len(files)} files to {self.out}.")
        return 0


COMMANDS: dict[str, type] = {
    "view": ViewRobot,
    "bench": MeasureSpeed,
    "contact": MeasureContact,
    "engines": MeasureEngines,
    "export": ExportShapes,
    "warm": WarmUp,
}


def _not_negative(option: str, value: float) -> float:
    if not 0.0 <= value < math.inf:
        raise UserError(f"{option} takes 0 or more, not {value:g}.")
    return value


def view_picture(world: SimWorld) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return the robot from outside, and a row of tiles per limb below it; ``(H, W, 3)`` RGB."""
    rows, titles = [], []
    for i, row in enumerate(world.cameras):
        tiles = []
        for j, camera in enumerate(row):
            image = world.draw(i, camera.description)
            label = f"camera_{j}  {camera.name}"
            tiles.append(Tile(image, label, tuple(detect_tags(image, [world.robot.target.id]))))
        rows.append(tiles)
        titles.append(f"{world.robot.limbs[i].name}: what its cameras see")
    tiles_picture = sheet(rows, titles)
    width = tiles_picture.shape[1]
    outside = outside_view(world, width, round(0.6 * width))
    return np.vstack([outside, tiles_picture])


def main(arguments: Sequence[str] | None = None, program: str = "python -m sim") -> int:
    """Run one command; a person's mistake ends in one sentence and exit code 2.

    Returns:
        The exit code.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return run_command(COMMANDS, program, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
