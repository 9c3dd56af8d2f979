"""Commands that repeat the paper: its baselines, its table and curves, and an oracle's bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from asterias.cli import check_episodes, check_file, check_folder, check_seed
from asterias.errors import UserError
from asterias.files import write_json
from asterias.jobs import JobOptions
from asterias.progress import progress_bars
from asterias.provenance import provenance
from learning.target_finding.env.options import DEAD, TargetFindingOptions, with_command_range
from learning.target_finding.experiments import baselines
from sim.world import SimWorld

# What a worker of this machine imports once, before it is forked.
_PRELOAD = (
    "learning.target_finding.experiments.study",
    "learning.target_finding.algorithms.training",
)


@dataclass(frozen=True)
class Baselines:
    """Measure the paper's Brownian baselines: two searchers, three camera-failure settings."""

    robot: str = "limb_p1"
    """Name or path of a robot description."""
    limb: int = 0
    """Number of the limb that searches."""
    episodes: int = 200
    """Episodes per cell of the table."""
    seed: int = 0
    """Seed of everything."""
    json: Path | None = None
    """Result file to write, for example results/target_finding/brownian_baselines.json."""

    def run(self) -> int:
        """Measure all six cells, print the table, write the result file if asked for.

        Returns:
            The exit code.
        """
        check_seed(self.seed)
        check_episodes(self.episodes)
        check_file("--json", self.json)
        with_command_range(TargetFindingOptions(robot=self.robot, limb=self.limb))
        cells = [(policy, faults) for policy in baselines.POLICIES for faults in baselines.FAULTS]
        rows = []
        with SimWorld(self.robot, seed=self.seed) as world, progress_bars() as progress:
            for policy, faults in cells:
                bar = progress.add_task(f"{policy} {faults}", total=self.episodes)
                results = []
                for result in baselines.measure(
                    world, policy, faults, episodes=self.episodes, seed=self.seed, limb=self.limb
                ):
                    results.append(result)
                    progress.advance(bar)
                rows.append(baselines.summarise(policy, faults, results))
        Console().print(_baseline_table(rows))
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), "robot": self.robot, "rows": rows})
        return 0


@dataclass(frozen=True)
class Compare:
    """Make the paper's table and learning curves, ours beside theirs: train, test, draw."""

    out: Path = Path("runs/target_finding")
    """Folder of the trainings; finished ones are kept, interrupted ones go on."""
    seeds: int = 10
    """Trainings of each kind; the paper has 10."""
    methods: tuple[str, ...] = ("ppo_padded", "ppo", "ppo_mlp", "ac")
    """Which to train and show."""
    episodes: int = 200
    """Fresh episodes that each trained policy is tested on."""
    train: bool = True
    """Train what is missing; without, show what there is."""
    json: Path | None = None
    """Result file to write, for example results/target_finding/study.json."""
    picture: Path | None = None
    """Learning curves to draw, for example runs/target_finding/curves.png."""
    publish: Path | None = None
    """Folder for the best policy of each kind, best on its fresh episodes."""
    jobs: tyro.conf.OmitArgPrefixes[JobOptions] = field(default_factory=JobOptions)
    """Where trainings run; on this machine 2 at a time by default."""

    def run(self) -> int:
        """Train what is missing, print the table, write what is asked for.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used, or there is no finished training to show.
        """
        from learning.target_finding.experiments import study

        self._check([method.name for method in study.METHODS])
        runs = study.all_runs(self.out, self.methods, self.seeds)
        if self.train:
            with self.jobs.open(2, _PRELOAD) as runner, progress_bars(unit="trainings") as progress:
                bar = progress.add_task("trainings", total=len(runs))
                tell: Callable[[study.StudyRun], None] = lambda run: progress.advance(bar)  # noqa: E731
                study.complete(runs, self.episodes, runner, tell)
        rows = study.rows(runs)
        if not rows:
            raise UserError(f"{self.out} holds no finished training yet; leave out --no-train.")
        Console().print(_study_table(rows))
        if self.json is not None:
            write_json(self.json, {**provenance(0), "seeds": list(range(self.seeds)), "rows": rows})
        if self.picture is not None:
            study.draw_curves(runs, self.picture)
        if self.publish is not None:
            study.publish(runs, self.publish)
        return 0

    def _check(self, known: list[str]) -> None:
        """Check the options.

        Raises:
            UserError: a method is unknown, a number too small, or an output cannot be written.
        """
        for name in self.methods:
            if name not in known:
                raise UserError(f"Unknown method '{name}'; choose among {', '.join(known)}.")
        if self.seeds < 1 or self.episodes < 2:
            raise UserError("--seeds must be 1 or more, --episodes 2 or more.")
        self.jobs.check()
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        check_folder("--publish", self.publish)


@dataclass(frozen=True)
class OracleBound:
    """Measure how few steps any policy could need: one that knows which poses see the tag."""

    robot: str = "limb_p1"
    """Name or path of a robot description."""
    limb: int = 0
    """Number of the limb that searches."""
    poses: int = 40000
    """Random poses to observe from."""
    seed: int = 0
    """Seed of everything."""
    json: Path | None = None
    """Result file to write, for example results/target_finding/bound.json."""

    def run(self) -> int:
        """Observe from all poses, and print how far the nearest that sees the tag is.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        from learning.target_finding.experiments import oracle_bound

        check_seed(self.seed)
        check_file("--json", self.json)
        if self.poses < 1000:
            raise UserError("--poses must be 1000 or more.")
        options = with_command_range(TargetFindingOptions(robot=self.robot, limb=self.limb))
        with progress_bars(unit="poses") as progress:
            bar = progress.add_task("poses", total=self.poses)
            tell: Callable[[], None] = lambda: progress.advance(bar)  # noqa: E731
            poses = oracle_bound.sample_poses(options, self.poses, self.seed, tell)
        rows = oracle_bound.oracle_bounds(poses, options, self.seed)
        seen = float(poses.seeing.any(axis=1).mean())
        Console().print(f"{100 * seen:.1f} % of poses see the tag. A searcher that knows them:")
        for row in rows:
            Console().print(
                f"{row['faults']}: {row['mean_steps']:.2f} steps, "
                f"{100 * row['found_in_1']:.0f} % in 1, {100 * row['found_in_2']:.0f} % in 2"
            )
        if self.json is not None:
            about = {"robot": self.robot, "poses": self.poses, "seeing": round(seen, 4)}
            write_json(self.json, {**provenance(self.seed), **about, "rows": rows})
        return 0


def _baseline_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Steps until the target is found, mean ± standard deviation")
    for heading in ("searcher", "dead cameras", "simulation", "paper (real limb)", "ratio"):
        table.add_column(heading, justify="right" if heading == "ratio" else "left")
    for row in rows:
        table.add_row(
            row["policy"].upper(),
            DEAD[row["faults"]],
            f"{row['mean_steps']:.1f} ± {row['std_steps']:.1f}",
            f"{row['paper_mean_steps']:.1f} ± {row['paper_std_steps']:.1f}",
            f"{row['ratio_to_paper']:.2f}",
        )
    return table


def _study_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Steps until the target is found, mean ± deviation over trainings")
    for heading in ("method", "dead cameras", "last 15", "fresh", "paper", "found", "s a run"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            row["told"],
            DEAD[row["faults"]],
            f"{row['last_mean_steps']:.2f} ± {row['last_std_steps']:.2f}",
            f"{row['mean_steps']:.2f} ± {row['std_steps']:.2f}",
            f"{row['paper_mean_steps']:.2f} ± {row['paper_std_steps']:.2f}",
            f"{100 * row['found']:.1f} %",
            f"{row['wall_s']:.0f}",
        )
    return table
