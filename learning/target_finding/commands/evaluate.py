"""Commands that measure policies: one, and those for harder forms of the task."""

from __future__ import annotations

import importlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.table import Table

from asterias.cli import check_episodes, check_file, check_seed
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import progress_bars
from asterias.provenance import provenance
from hardware.description.devices import RendererName
from learning.target_finding.algorithms.registry import LIMB, TASKS
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.observation import PAPER_COMMAND_RANGE
from learning.target_finding.env.options import (
    DeadCameras,
    ServoFailure,
    SilentFailure,
    TargetFindingOptions,
    options_from_card,
)
from learning.target_finding.experiments import evaluation
from learning.target_finding.policies.policy_files import Policy, find_policy, trained_policies
from learning.target_finding.policies.registry import is_searcher
from learning.target_finding.policies.searcher_policy import SEARCHER_PROTOCOL, SearcherPolicy


@dataclass(frozen=True)
class EvaluatePolicy:
    """Measure how many steps a policy or a searcher needs."""

    policy: str
    """Name of a trained policy, folder of a training, .safetensors file, or a searcher, whose steps
    go anywhere: bmms, bmss, grid_filter, renyi, renyi:0.5 (of order 0.5)."""
    env: str = LIMB
    """Environment: of a limb, or Asterias/StarfishTargetFinding-v0, where a whole body searches."""
    faults: Annotated[DeadCameras | None, tyro.conf.arg(aliases=["--dead-cameras"])] = None
    """Cameras that fail in each episode; as in the training if not given."""
    silent: tuple[SilentFailure, ...] | None = None
    """Ways in which they fail without being flagged; as in the training if not given."""
    servo: ServoFailure | None = None
    """One servo fails; as in the training if not given."""
    robot: str | None = None
    """Name or path of a robot description; the one of the training if not given."""
    limb: int | None = None
    """Number of the limb that searches; the one of the training if not given."""
    cap: int | None = None
    """Steps of an episode, 0 for no end; as in the training if not given."""
    increment: float | None = None
    """Of a whole body: largest change of a servo's command in a step, in halves of its range; as in
    the training if not given."""
    dead_share: float = 0.0
    """Of a whole body: share of the cameras that are dead."""
    dead_limbs: int = 0
    """Of a whole body: limbs that are limp and blind."""
    renderer: RendererName | None = None
    """What draws what the cameras see; as the robot's description says if not given."""
    episodes: int = 200
    """Episodes."""
    seed: int = 1
    """Seed of start poses, failures and the policy's draws."""
    deterministic: bool = False
    """Take the policy's mean instead of drawing, as it does in training."""
    json: Path | None = None
    """Result file to write."""

    def run(self) -> int:
        """Run the episodes, print the summary, write the result file if asked for.

        Returns:
            The exit code.

        Raises:
            UserError: the environment is unknown.
        """
        check_file("--json", self.json)
        if self.env not in TASKS:
            raise UserError(f"evaluate knows the environments {' and '.join(TASKS)}.")
        summary = self.measure() if self.env == LIMB else self._measure_body()
        text = (
            f"{summary['mean_steps']:.2f} ± {summary['std_steps']:.2f} steps, "
            f"{100 * summary['success_within_cap']:.1f} % found within {summary['cap']}."
        )
        if "paper_mean_steps" in summary:
            text += f" The paper's: {summary['paper_mean_steps']} ± {summary['paper_std_steps']}."
        Console().print(text)
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), **summary})
        return 0

    def measure(self) -> dict[str, Any]:
        """Run the episodes, with a bar.

        Returns:
            Policy, protocol and figures, as the result file holds them.
        """
        check_seed(self.seed)
        check_episodes(self.episodes)
        policy, options = self._policy()
        results = []
        with (
            TargetFindingEnv(options, renderer=self.renderer) as environment,
            progress_bars() as progress,
        ):
            bar = progress.add_task(f"{options.faults}", total=self.episodes)
            for result in evaluation.episodes(
                environment,
                policy,
                count=self.episodes,
                seed=self.seed,
                deterministic=self.deterministic,
            ):
                results.append(result)
                progress.advance(bar)
        algorithm = str(policy.card.get("algorithm", "ppo"))
        about = {
            "policy": self.policy,
            "algorithm": algorithm,
            "deterministic": self.deterministic,
            "cap": options.cap,
            "silent": list(options.silent),
            "servo": options.servo,
            "renderer": self.renderer,
        }
        as_paper = (options.observe, options.servo, options.silent) == ("commands", "none", ())
        as_paper &= options.command_range == PAPER_COMMAND_RANGE
        return about | evaluation.summarise(results, options.faults, algorithm if as_paper else "")

    def _measure_body(self) -> dict[str, Any]:
        """Run the episodes of a whole body, with a bar.

        Returns:
            The figures.

        Raises:
            UserError: an option is of limbs alone.
        """
        if self.faults is not None or self.silent or self.servo is not None or self.renderer:
            raise UserError(
                "A whole body takes --dead-share and --dead-limbs, no --faults, --silent, --servo "
                "or --renderer."
            )
        check_seed(self.seed)
        check_episodes(self.episodes)
        # It lives in a wing above this one.
        measure: Any = importlib.import_module("learning.starfish.evaluation").measure_by_name
        given = {"robot": self.robot, "cap": self.cap, "increment": self.increment}
        changes = {name: value for name, value in given.items() if value is not None}
        changes |= {"dead_cameras": self.dead_share, "dead_limbs": self.dead_limbs}
        with progress_bars() as progress:
            bar = progress.add_task(self.policy, total=self.episodes)
            found: dict[str, Any] = measure(
                self.policy, changes, self.episodes, self.seed, lambda: progress.advance(bar)
            )
        return found

    def _policy(self) -> tuple[Policy, TargetFindingOptions]:
        if is_searcher(self.policy):
            options = self._options(asdict(SEARCHER_PROTOCOL))
            return SearcherPolicy(self.policy, options), options
        policy = find_policy(self.policy)
        return policy, self._options(policy.card["options"])

    def _options(self, trained: dict[str, Any]) -> TargetFindingOptions:
        """Return the options of the training with those that were given in their place."""
        names = ("faults", "silent", "servo", "robot", "limb", "cap")
        given = {k: getattr(self, k) for k in names if getattr(self, k) is not None}
        # Without failures there is no way of failing; one that is asked for is refused.
        if given.get("faults") in ("kill0", "0") and not self.silent:
            given["silent"] = ()
        return options_from_card({**trained, **given})


# What the policies for harder forms of the task are tested with, in the order of the table.
_ALL_SILENT: tuple[SilentFailure, ...] = ("black", "frozen", "noisy", "delayed")
ROBUSTNESS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("images", "all cameras", {"faults": "kill0"}),
    ("images", "1 of 4 failing silently", {"faults": "kill1", "silent": _ALL_SILENT}),
    *(
        ("images", f"1 of 4 {kind} without a word", {"faults": "kill1", "silent": (kind,)})
        for kind in _ALL_SILENT
    ),
    ("ppo_kill0", "one servo stuck, not trained for it", {"servo": "stuck", "cap": 10}),
    ("stuck_servo", "one servo stuck", {"servo": "stuck", "cap": 10}),
    ("stuck_servo", "no servo stuck", {"servo": "none", "cap": 10}),
)


@dataclass(frozen=True)
class Robustness:
    """Measure the policies for what the paper left open: images, silent failures, stuck servos."""

    episodes: int = 300
    """Episodes per row."""
    seed: int = 1
    """Seed of start poses, failures and the policies' draws."""
    json: Path | None = None
    """Result file to write, for example results/target_finding/beyond.json."""

    def run(self) -> int:
        """Measure all rows, print the table, write the result file if asked for.

        Returns:
            The exit code.
        """
        check_file("--json", self.json)
        rows = [
            {
                "told": description,
                **EvaluatePolicy(name, episodes=self.episodes, seed=self.seed, **how).measure(),
            }
            for name, description, how in ROBUSTNESS
        ]
        table = Table(title="Steps until the target is found, mean ± standard deviation")
        for heading in ("policy", "tested with", "steps", "found", "within"):
            table.add_column(heading)
        for row in rows:
            steps = f"{row['mean_steps']:.2f} ± {row['std_steps']:.2f}"
            found = f"{100 * row['success_within_cap']:.1f} %"
            table.add_row(row["policy"], row["told"], steps, found, str(row["cap"]))
        Console().print(table)
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), "rows": rows})
        return 0


@dataclass(frozen=True)
class CompareRenderers:
    """Measure the shipped policies with each renderer: do they find what they were trained to?"""

    renderers: tuple[RendererName, ...] = ("raster", "pybullet")
    """The renderers."""
    episodes: int = 200
    """Episodes per policy and renderer, from the same start poses; of image policies thrice as
    many."""
    seed: int = 1
    """Seed of start poses, failures and the policies' draws."""
    json: Path | None = None
    """Result file to write, for example results/sim/policies.json."""

    def run(self) -> int:
        """Measure, print the table, write the result file if asked for.

        Returns:
            The exit code.
        """
        check_file("--json", self.json)
        rows = [self._row(name, how) for name in trained_policies() for how in self.renderers]
        table = Table(title="Steps until the target is found, mean ± standard deviation")
        for heading in ("policy", "renderer", "steps", "found"):
            table.add_column(heading)
        for row in rows:
            steps = f"{row['mean_steps']:.2f} ± {row['std_steps']:.2f}"
            found = f"{100 * row['success_within_cap']:.1f} %"
            table.add_row(row["policy"], row["renderer"], steps, found)
        Console().print(table)
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), "rows": rows})
        return 0

    def _row(self, name: str, renderer: RendererName) -> dict[str, Any]:
        sees = find_policy(name).card["options"].get("observe", "commands") != "commands"
        count = 3 * self.episodes if sees else self.episodes
        row = EvaluatePolicy(name, renderer=renderer, episodes=count, seed=self.seed).measure()
        return {key: value for key, value in row.items() if key != "steps"}
