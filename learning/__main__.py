"""``python -m learning``: train and measure on the robot."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro
from rich.console import Console
from rich.table import Table

from hardware.errors import HardwareError
from hardware.results import provenance, write_json
from learning.progress import JsonLines, progress_bars, stop_requests
from learning.report import fill_tables
from learning.target_finding import baselines, evaluation
from learning.target_finding.environment import Faults, TargetFindingEnv, TargetFindingOptions
from learning.target_finding.linear_policy import FILE, find_policy
from sim.world import SimWorld


@dataclass(frozen=True)
class Baselines:
    """Measure the paper's Brownian baselines: two searchers, three camera-failure settings."""

    robot: str = "limb_p1"
    """Name or path of a robot description."""
    episodes: int = 200
    """Episodes per cell of the table."""
    seed: int = 0
    """Seed of everything."""
    json: Path | None = None
    """Result file to write, for example results/brownian_baselines.json."""

    def run(self) -> int:
        """Measure all six cells, print the table, write the result file if asked for."""
        if self.episodes < 2:
            raise HardwareError("--episodes must be 2 or more, so that there is a spread.")
        cells = [(policy, faults) for policy in baselines.POLICIES for faults in baselines.FAULTS]
        rows = []
        with SimWorld(self.robot, seed=self.seed) as world, progress_bars() as progress:
            for policy, faults in cells:
                bar = progress.add_task(f"{policy} {faults}", total=self.episodes)
                results = []
                for result in baselines.measure(
                    world, policy, faults, episodes=self.episodes, seed=self.seed
                ):
                    results.append(result)
                    progress.advance(bar)
                rows.append(baselines.summarise(policy, faults, results))
        Console().print(_baseline_table(rows))
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), "robot": self.robot, "rows": rows})
        return 0


@dataclass(frozen=True)
class Train:
    """Train a policy to find the target in simulation."""

    out: Path
    """Folder for checkpoint, policy, summary and tensorboard's curves."""
    algo: Literal["ppo"] = "ppo"
    """Algorithm."""
    robot: str = "limb_p1"
    """Name or path of a robot description."""
    faults: Faults = "kill0"
    """Cameras dead in each episode: none, 1 of 4, or 1 or 2."""
    seed: int = 0
    """Seed of everything."""
    steps: int = 3600
    """Steps of the robot, a multiple of 75; the paper takes 3,600."""
    processes: int = 3
    """Processes that simulate, 1 for the learner's own; 75 must be a multiple of it."""
    resume: bool = False
    """Go on from the checkpoint in --out."""
    progress: Literal["bar", "json"] = "bar"
    """A bar for people; or for programs a line of JSON per iteration, and one with the summary."""

    def run(self) -> int:
        """Train, and say what came of it."""
        from learning.target_finding import training  # PyTorch takes seconds to import

        if self.steps < 1 or self.steps % training.ITERATION_STEPS:
            raise HardwareError("--steps must be a multiple of 75, the steps of an iteration.")
        config = training.PpoConfig(
            out=self.out,
            options=TargetFindingOptions(robot=self.robot, faults=self.faults),
            seed=self.seed,
            iterations=self.steps // training.ITERATION_STEPS,
            processes=self.processes,
            resume=self.resume,
        )
        if self.progress == "json":
            json_lines = JsonLines(self.steps)
            with stop_requests() as is_stopped:
                summary = training.train(
                    config, on_iteration=json_lines.tell, is_stopped=is_stopped
                )
            json_lines.end(summary)
            return 0
        with progress_bars(unit="steps") as progress, stop_requests() as is_stopped:
            bar = progress.add_task(f"{self.algo} {self.faults}", total=self.steps)
            summary = training.train(
                config,
                lambda done, total: progress.update(bar, completed=done),
                is_stopped=is_stopped,
            )
        last = summary["last_5_iterations"]
        Console().print(
            f"Last 5 iterations: {last['mean_steps']:.2f} steps, {100 * last['found']:.0f} % found."
            f" {summary['steps_per_s']:.0f} steps/s: {summary['act_s']:.1f} s to act,"
            f" {summary['learn_s']:.1f} s to learn. Policy: {self.out / FILE}"
        )
        return 0


@dataclass(frozen=True)
class Evaluate:
    """Measure how many steps a trained policy needs."""

    policy: str
    """Name of a trained policy, folder of a training, or .safetensors file."""
    faults: Faults = "kill0"
    """Cameras dead in each episode: none, 1 of 4, or 1 or 2."""
    robot: str | None = None
    """Name or path of a robot description; the one of the training where none is given."""
    episodes: int = 200
    """Episodes."""
    seed: int = 1
    """Seed of start poses, dead cameras and the policy's draws."""
    deterministic: bool = False
    """Take the policy's mean instead of drawing, as it does in training."""
    json: Path | None = None
    """Result file to write."""

    def run(self) -> int:
        """Run the episodes, print the summary, write the result file if asked for."""
        if self.episodes < 2:
            raise HardwareError("--episodes must be 2 or more, so that there is a spread.")
        summary = self.measure()
        Console().print(
            f"{summary['mean_steps']:.2f} ± {summary['std_steps']:.2f} steps, "
            f"{100 * summary['success_within_cap']:.1f} % found within {summary['cap']}; "
            f"the paper's PPO: {summary['paper_mean_steps']} ± {summary['paper_std_steps']}."
        )
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), **summary})
        return 0

    def measure(self) -> dict[str, Any]:
        """Run the episodes, with a bar; returns policy, protocol and figures."""
        try:
            policy = find_policy(self.policy)
        except ValueError as error:
            raise HardwareError(str(error)) from error
        given = policy.card["options"] | {"faults": self.faults}
        given["command_range"] = tuple(given["command_range"])
        options = TargetFindingOptions(**given | ({"robot": self.robot} if self.robot else {}))
        results = []
        with TargetFindingEnv(options) as environment, progress_bars() as progress:
            bar = progress.add_task(f"{self.faults}", total=self.episodes)
            for result in evaluation.episodes(
                environment,
                policy,
                count=self.episodes,
                seed=self.seed,
                deterministic=self.deterministic,
            ):
                results.append(result)
                progress.advance(bar)
        about = {"policy": self.policy, "deterministic": self.deterministic, "cap": options.cap}
        return about | evaluation.summarise(results, self.faults)


@dataclass(frozen=True)
class Compare:
    """Measure the trained policies that come with Asterias, beside the paper's."""

    episodes: int = 400
    """Episodes per policy."""
    seed: int = 1
    """Seed of start poses, dead cameras and the policies' draws."""
    json: Path | None = None
    """Result file to write, for example results/target_finding.json."""

    def run(self) -> int:
        """Measure each under the camera failures that it was trained with; print the table."""
        rows = [
            Evaluate(f"ppo_{faults}", faults, episodes=self.episodes, seed=self.seed).measure()
            | {"trained": dict(find_policy(f"ppo_{faults}").card["last_5_iterations"])}
            for faults in get_args(Faults)
        ]
        Console().print(_policy_table(rows))
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), "rows": rows})
        return 0


@dataclass(frozen=True)
class Verdict:
    """Say whether a demo reached its goal: exit code 0 if so, 1 if not."""

    folder: tyro.conf.Positional[Path]
    """The demo's output folder."""

    def run(self) -> int:
        """Read the summary."""
        path = self.folder / "summary.json"
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise HardwareError(f"{path}: the demo left no summary; it did not finish.") from error
        return 0 if summary["passed"] else 1


@dataclass(frozen=True)
class Report:
    """Make the tables of a document anew from the files in results/."""

    document: tyro.conf.Positional[Path] = Path("README.md")
    """Markdown file with table marks."""

    def run(self) -> int:
        """Rewrite the document where its tables differ."""
        text = self.document.read_text(encoding="utf-8")
        filled = fill_tables(text)
        if filled != text:
            self.document.write_text(filled, encoding="utf-8")
        return 0


Command = (
    Annotated[Baselines, tyro.conf.subcommand("baselines")]
    | Annotated[Compare, tyro.conf.subcommand("compare")]
    | Annotated[Evaluate, tyro.conf.subcommand("evaluate")]
    | Annotated[Report, tyro.conf.subcommand("report")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Verdict, tyro.conf.subcommand("verdict")]
)


_DEAD = {"kill0": "none", "kill1": "1 of 4", "kill12": "1 or 2 of 4"}


def _baseline_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Steps until the target is found, mean ± standard deviation")
    for heading in ("searcher", "dead cameras", "simulation", "paper (real limb)", "ratio"):
        table.add_column(heading, justify="right" if heading == "ratio" else "left")
    for row in rows:
        table.add_row(
            row["policy"].upper(),
            _DEAD[row["faults"]],
            f"{row['mean_steps']:.1f} ± {row['std_steps']:.1f}",
            f"{row['paper_mean_steps']:.1f} ± {row['paper_std_steps']:.1f}",
            f"{row['ratio_to_paper']:.2f}",
        )
    return table


def _policy_table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Steps until the target is found, mean ± standard deviation")
    for heading in ("policy", "dead cameras", "simulation", "paper (real limb)", "found in time"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            row["policy"],
            _DEAD[row["faults"]],
            f"{row['mean_steps']:.2f} ± {row['std_steps']:.2f}",
            f"{row['paper_mean_steps']:.2f} ± {row['paper_std_steps']:.2f}",
            f"{100 * row['success_within_cap']:.1f} %",
        )
    return table


def main() -> int:
    """Run one verb; mistakes of the user end in one sentence and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    command = tyro.cli(Command, prog="python -m learning", description=__doc__)
    try:
        return command.run()
    except (HardwareError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
