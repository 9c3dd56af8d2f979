"""``python -m learning policy-search-study``, ``policy-search-limb``, ``four-rooms``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from asterias.cli import check_file, check_folder
from asterias.errors import UserError
from asterias.files import read_json, write_json
from asterias.jobs import JobOptions, complete_folders
from asterias.progress import Stages, progress_bars, stop_requests
from asterias.provenance import provenance
from learning.policy_search.common.pose_map import PoseMap
from learning.policy_search.registry import LEARNERS
from learning.policy_search.reward_weighted.four_rooms import four_rooms
from learning.policy_search.reward_weighted.tabular import convergence_table, limit_rate
from learning.policy_search.studies import curves, limb, runs
from learning.policy_search.studies.benchmarks import BENCHMARKS
from learning.target_finding.env.options import DEAD, TargetFindingOptions

_HELP = "; ".join(f"{name}: {about.title}" for name, about in BENCHMARKS.items())


@dataclass(frozen=True)
class PolicySearchStudy:
    """Train learners of policy search on benchmarks, several seeds each; draw their curves."""

    out: Path
    """Folder for the runs; what is finished there is not done again."""
    benchmarks: Annotated[tuple[str, ...], tyro.conf.arg(help=f"Which: {_HELP}.")] = field(
        default_factory=BENCHMARKS.names
    )
    seeds: int = 3
    """Trainings of each, with the seeds from 0 on."""
    train: bool = True
    """Train what is missing; --no-train reports what is finished."""
    json: Path | None = None
    """Result file, for example results/learning/policy_search.json; other benchmarks in it stay."""
    picture: Path | None = None
    """Learning curves to draw, for example results/learning/policy_search.png."""
    command_picture: Path | None = None
    """Commanded against obtained returns to draw, where a benchmark has them."""
    jobs: tyro.conf.OmitArgPrefixes[JobOptions] = field(default_factory=JobOptions)
    """Where trainings run."""

    def run(self) -> int:
        """Train, print the table, write and draw.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used, or there is nothing to report.
        """
        for name in self.benchmarks:
            BENCHMARKS.get(name)
        if self.seeds < 1:
            raise UserError("--seeds must be 1 or more.")
        self.jobs.check()
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        check_file("--command-picture", self.command_picture)
        todo = runs.benchmark_runs(self.out, self.benchmarks, self.seeds)
        if self.train:
            self._train(todo)
        rows = curves.summarise(todo)
        if not rows:
            raise UserError(f"{self.out} holds no finished run yet; leave out --no-train.")
        Console().print(_table(rows))
        if self.json is not None:
            made = provenance(0, self._command)
            held = read_json(self.json) if self.json.exists() else None
            rows = curves.merged(rows, made, held)
            write_json(self.json, {**made, "rows": rows})
        if self.picture is not None:
            curves.draw(rows, self.picture)
        commanded = [row for row in rows if "command_curves" in row]
        if self.command_picture is not None and commanded:
            curves.draw_commands(commanded, self.command_picture)
        return 0

    @property
    def _command(self) -> str:
        """What to type to do the same, whether or not it was done in one go."""
        return (
            f"python -m learning policy-search-study --out runs/policy_search --benchmarks "
            f"{' '.join(self.benchmarks)} --seeds {self.seeds}"
        )

    def _train(self, todo: list[runs.BenchmarkRun]) -> None:
        missing = [run for run in todo if not run.is_done]
        with self.jobs.open() as runner, progress_bars(24, unit="steps or runs") as progress:
            stages = Stages(progress)

            def tell(number: int, done: int, total: int) -> None:
                stages(f"{missing[number].benchmark} {missing[number].seed}", done, total)

            finished = complete_folders(runner, runs.complete_run, missing, tell)
            for done, _ in enumerate(finished, 1):
                stages("runs", done, len(missing))


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Return of the learned policy")
    for heading in ("benchmark", "seeds", "steps", "mean ± std", "each", "target", "paper", "s"):
        table.add_column(heading)
    for row in rows:
        target, paper = row["target"], row["paper"]
        table.add_row(
            row["title"],
            str(len(row["seeds"])),
            f"{row['steps']:,}",
            f"{row['mean_return']:.1f} ± {row['std_return']:.1f}",
            ", ".join(f"{value:.1f}" for value in row["returns"]),
            f"{target['return']:g} by {target['by']:,}: {target['reached']}" if target else "",
            f"{paper[-1][1]:g} at {paper[-1][0]:,}" if paper else "",
            f"{row['wall_s']:.0f}",
        )
    return table


@dataclass(frozen=True)
class PolicySearchLimb:
    """Let learners of policy search find the target with 0, 1, and 1 or 2 dead cameras."""

    out: Path
    """Folder for the runs; what is finished there is not done again."""
    learners: tuple[str, ...] = ("pgpe", "ppois", "cem", "pssvf", "random_search")
    """Which."""
    seeds: int = 3
    """Trainings of each, with the seeds from 0 on."""
    episodes: int = 200
    """Fresh episodes that each policy is tested on."""
    steps: int | None = None
    """Of each training, whose last batch is finished; as many as the paper's PPO by itself."""
    ablations: bool = False
    """Train apois with each of its options switched off, too."""
    copy: Path | None = None
    """Train and test in a nearest-pose copy; its file of poses, sampled where there is none."""
    poses: int = 8000
    """Of the copy, where it is sampled."""
    train: bool = True
    """Train what is missing; --no-train reports what is finished."""
    json: Path | None = None
    """Result file, for example results/learning/policy_search_limb.json; other learners stay."""
    picture: Path | None = None
    """Lengths of episodes in training to draw, for example beside the result file."""
    best: Path | None = None
    """Folder for the best policy of each learner and setting, best on its last 50 of training."""

    def run(self) -> int:
        """Train, test, print the table, write.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used, or there is nothing to report.
        """
        for name in self.learners:
            LEARNERS.get(name)
        if self.seeds < 1 or self.episodes < 2:
            raise UserError("--seeds must be 1 or more, --episodes 2 or more.")
        if self.steps is not None and self.steps < 1:
            raise UserError("--steps must be 1 or more.")
        check_folder("--out", self.out)
        check_file("--json", self.json)
        check_file("--picture", self.picture)
        check_folder("--best", self.best)
        todo = limb.limb_runs(
            self.out,
            self.learners,
            self.seeds,
            self.steps,
            ablations=self.ablations,
            copy=None if self.copy is None else self._poses(self.copy),
        )
        if self.train:
            with progress_bars(unit="trainings") as progress, stop_requests() as stop:
                bar = progress.add_task("trainings", total=len(todo))
                for run in todo:
                    limb.complete_limb_run(run, self.episodes, stop)
                    progress.advance(bar)
        rows = limb.limb_rows(todo)
        if not rows:
            raise UserError(f"{self.out} holds no finished run yet; leave out --no-train.")
        Console().print(_limb_table(rows))
        if self.json is not None:
            made = provenance(0, self._command)
            held = read_json(self.json) if self.json.exists() else None
            rows = limb.merged_limb_rows(rows, made, held)
            write_json(self.json, {**made, "rows": rows})
        if self.picture is not None:
            limb.draw_limb(rows, self.picture)
        if self.best is not None:
            limb.publish_best(todo, self.best, self._command)
        return 0

    @property
    def _command(self) -> str:
        """What to type to do the same, whether or not it was done in one go."""
        words = f"python -m learning policy-search-limb --out runs/limb --seeds {self.seeds}"
        words = f"{words} --episodes {self.episodes} --learners {' '.join(self.learners)}"
        words = words if self.steps is None else f"{words} --steps {self.steps}"
        words = f"{words} --ablations" if self.ablations else words
        return f"{words} --copy runs/poses.safetensors" if self.copy else words

    def _poses(self, path: Path) -> PoseMap:
        """Return the copy.

        Raises:
            UserError: there are too few poses.
        """
        if self.poses < 1:
            raise UserError("--poses must be 1 or more.")
        check_file("--copy", path)
        return PoseMap.kept(path, TargetFindingOptions(), self.poses)


def _limb_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Steps until the target is found, mean ± deviation over trainings")
    for heading in ("learner", "dead cameras", "seeds", "fresh episodes", "found", "trained on"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            row["learner"] + (f" without {row['without']}" if row["without"] else ""),
            DEAD[row["faults"]],
            str(len(row["seeds"])),
            f"{row['mean_steps']:.2f} ± {row['std_steps']:.2f}",
            "" if row["found"] is None else f"{100 * row['found']:.1f} %",
            f"{row['training_episodes']} episodes",
        )
    return table


@dataclass(frozen=True)
class FourRooms:
    """Measure how reward-weighted regression converges on the paper's four rooms."""

    seeds: int = 100
    """Random policies to begin with."""
    json: Path | None = None
    """Result file to write, for example results/learning/policy_search_four_rooms.json."""

    def run(self) -> int:
        """Iterate, print the table, write.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        if self.seeds < 2:
            raise UserError("--seeds must be 2 or more.")
        check_file("--json", self.json)
        mdp = four_rooms()
        rows = convergence_table(mdp, self.seeds)
        about = {
            "seeds": self.seeds,
            "limit_rate": round(limit_rate(mdp), 4),
            "optimal_start_value": round(float(mdp.optimal_values()[mdp.start]), 5),
        }
        for row in rows:
            Console().print(
                f"iteration {row['iteration']}: RMSVE {row['rmsve']:.4f} ({row['rmsve_std']:.4f}), "
                f"V(start) {row['start_value']:.4f} ({row['start_value_std']:.4f})"
            )
        Console().print(f"Rate near the optimum: {about['limit_rate']}")
        if self.json is not None:
            write_json(self.json, {**provenance(0), **about, "rows": rows})
        return 0
