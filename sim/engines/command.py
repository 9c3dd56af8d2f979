"""``python -m sim engines``: the engines beside each other, in accuracy and speed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asterias.cli import check_file
from asterias.errors import UserError
from asterias.files import write_json
from asterias.provenance import provenance
from sim.engines.comparison import compare_ground, compare_limb, compare_speed
from sim.engines.registry import ENGINES


@dataclass(frozen=True)
class MeasureEngines:
    """Measure the engines beside each other: a held limb, a robot on the ground, speed."""

    robot: str = "limb_p1"
    """Name or path of the robot whose first limb is held."""
    standing: str = "starfish"
    """The same of the robot on the ground."""
    seed: int = 0
    """Of the command that the limb follows."""
    duration_s: float = 2.0
    """Simulated time of each timed run."""
    repeats: int = 5
    """Timed runs; the median counts."""
    json: Path | None = None
    """Result file to write, for example results/sim/engines.json."""

    def run(self) -> int:
        """Measure, print, and write the result file if asked for.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        if self.repeats < 1:
            raise UserError(f"--repeats takes 1 or more, not {self.repeats}.")
        if not 0.1 <= self.duration_s < float("inf"):
            raise UserError(f"--duration-s takes 0.1 or more, not {self.duration_s:g}.")
        check_file("--json", self.json)
        names = tuple(ENGINES)
        limb = compare_limb(self.robot, names, self.seed)
        ground = compare_ground(self.standing, names)
        speed = compare_speed(self.robot, self.standing, names, self.duration_s, self.repeats)
        for name in names:
            print(f"{name}:")
            for key, value in {**limb[name], **ground[name]}.items():
                print(f"  {key:28} {value:.4g}")
            for kind, row in speed.items():
                print(f"  {kind + ', times real time':28} {row[name]['median']:.1f}")
        if self.json is not None:
            about = {"robot": self.robot, "standing": self.standing}
            figures = {"limb": limb, "ground": ground, "real_time_factor": speed}
            write_json(self.json, {**provenance(self.seed), **about, **figures})
        return 0
