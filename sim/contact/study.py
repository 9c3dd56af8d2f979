"""``python -m sim contact``: scenes with a known outcome, other engines beside, and the cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asterias.arrays import FloatArray
from asterias.cli import check_file
from asterias.errors import UserError
from asterias.files import write_json
from asterias.provenance import provenance
from hardware.description.robot import load_robot
from sim.contact import bullet_scenes, mujoco_scenes, scenes
from sim.contact.cost import measure_cost
from sim.contact.standing_robot import standing_robot

ENGINES: Mapping[str, scenes.SceneRunner] = {
    "asterias": scenes.run_scene,
    "mujoco": mujoco_scenes.run_scene,
    "pybullet": bullet_scenes.run_scene,
}
_DROP_M = 0.05
_DROP_S = 2.0
Tracks = dict[str, dict[str, FloatArray]]


@dataclass(frozen=True)
class MeasureContact:
    """Slide, rest, bounce, stack and drop bodies, here and in other engines; measure the cost."""

    robot: str = "starfish"
    """Name or path of the robot that is dropped and whose steps are timed."""
    repeats: int = 7
    """Rounds of the timing; the median counts."""
    json: Path | None = None
    """Result file to write, for example results/sim/contact.json."""
    picture: Path | None = None
    """Picture to draw, for example results/sim/contact.png."""

    def run(self) -> int:
        """Run, print, and write what is asked for.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        if self.repeats < 1:
            raise UserError(f"--repeats takes 1 or more, not {self.repeats}.")
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        tracks = run_engines()
        errors = {
            name: {engine: scenes.JUDGES[name](track) for engine, track in rows.items()}
            for name, rows in tracks.items()
        }
        dropped, cost = drop(self.robot), measure_cost(self.robot, self.repeats)
        for name, row in errors.items():
            print(f"{name}: " + ", ".join(f"{engine} {v:.3g}" for engine, v in row.items()))
        print(f"dropped {self.robot}: {dropped['figures']}")
        print(f"cost of a step beside one in the air: {cost['ratio']}")
        print(f"contacts there: {cost['contacts']}")
        if self.json is not None:
            figures = {"errors": errors, "dropped": dropped["figures"], "cost": cost}
            write_json(self.json, {**provenance(), **figures})
        if self.picture is not None:
            draw(tracks, dropped, self.picture)
        return 0


def run_engines() -> Tracks:
    """Return the track of each scene in each engine that is installed."""
    tracks: Tracks = {}
    for name, scene in scenes.SCENES.items():
        tracks[name] = {}
        for engine, run in ENGINES.items():
            try:
                tracks[name][engine] = run(scene)
            except UserError as error:  # not installed
                print(error)
    return tracks


def drop(robot: str) -> dict[str, Any]:
    """Drop a robot, its servos at home, and once more with limp servos for the books of energy.

    Returns:
        Figures, and the tracks that are drawn.
    """
    world = standing_robot(load_robot(robot), height_m=_DROP_M)
    samples = round(_DROP_S * scenes.SAMPLE_HZ)
    steps = round(1.0 / (world.dt_s * scenes.SAMPLE_HZ))
    heights = [float(world.position_m()[2])]
    for _ in range(samples):
        world.advance(steps)
        heights.append(float(world.position_m()[2]))
    figures = {
        "rest_height_m": heights[-1],
        "speed_at_rest_m_s": float(np.abs(world.state.v).max()),
        "contacts": world.contacts,
    }
    try:
        other = mujoco_scenes.run_robot(world, _DROP_S)[:, 0, 2]
        figures["rest_height_mujoco_m"] = float(other[-1])
    except UserError:
        other = None
    world.reset()
    world.weaken(np.zeros(world.servo.joint.size))
    books = []
    for _ in range(samples):
        world.advance(steps)
        books.append((sum(world.energy_j()), world.contact_work_j))
    return {"figures": figures, "heights": heights, "mujoco": other, "books": np.array(books)}


def draw(tracks: Tracks, dropped: Mapping[str, Any], path: Path) -> None:
    """Draw sliding, bouncing and dropping in all engines, and the books of energy."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    (slide, bounce), (fall, books) = figure.subplots(2, 2)
    styles = {"asterias": "-", "mujoco": "--", "pybullet": ":"}
    for engine, track in tracks["slide"].items():
        way = np.linalg.norm(track[:, 0] - track[0, 0], axis=1)
        slide.plot(_times(way), way, styles[engine], label=engine, lw=2)
    slide.set(title="Block, 30° slope, friction 0.4", xlabel="s", ylabel="way, m")
    for engine, track in tracks["bounce"].items():
        bounce.plot(_times(track), track[:, 0, 2] - 0.1, styles[engine], label=engine, lw=1.6)
    bounce.set(title="Ball, restitution 0.8", xlabel="s", ylabel="height, m")
    fall.plot(_times(dropped["heights"]), dropped["heights"], "-", label="asterias", lw=2)
    if dropped["mujoco"] is not None:
        fall.plot(_times(dropped["mujoco"]), dropped["mujoco"], "--", label="mujoco", lw=2)
    fall.set(title="Starfish dropped from 5 cm", xlabel="s", ylabel="height of its body, m")
    total, work = dropped["books"].T
    time_s = _times(total) + 1.0 / scenes.SAMPLE_HZ
    books.plot(time_s, total, label="energy")
    books.plot(time_s, work, label="work of contacts so far")
    books.set(title="Limp starfish dropped: books of energy", xlabel="s", ylabel="J")
    for axes in (slide, bounce, fall, books):
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
    figure.savefig(str(path), dpi=80)


def _times(values: Any) -> FloatArray:
    return np.arange(len(values)) / scenes.SAMPLE_HZ
