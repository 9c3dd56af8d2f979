"""The verbs of ``python -m learning`` that train and measure target finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from asterias.errors import HardwareError
from asterias.files import write_json
from asterias.progress import JsonLines, Stages, TrainingProgress, progress_bars, stop_requests
from asterias.provenance import provenance
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import (
    DEAD,
    Faults,
    Observed,
    ServoFailure,
    SilentFailure,
    TargetFindingOptions,
    TargetMotion,
    Variation,
    options_from_card,
)
from learning.target_finding.experiments import baselines, evaluation
from learning.target_finding.policies.policy_files import POLICY_FILE, find_policy
from sim.world import SimWorld

Algorithm = Literal["ppo", "ac", "sac", "recurrent_ppo"]


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
    """Result file to write, for example results/target_finding/brownian_baselines.json."""

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
class TaskArguments:
    """What is searched, with what, and what fails meanwhile."""

    robot: str = "limb_p1"
    """Name or path of a robot description."""
    faults: Faults = "kill0"
    """Cameras that fail in each episode: none, 1 of 4, or 1 or 2."""
    silent: tuple[SilentFailure, ...] = ()
    """Ways in which they fail without a word; if none is named they are dead, and flagged so."""
    mid_episode: bool = False
    """Failures set in during the episode."""
    servo: ServoFailure = "none"
    """One servo is stuck, or limp, in each episode."""
    target: TargetMotion = "fixed"
    """The target stays, is elsewhere in each episode, or moves."""
    randomise: tuple[Variation, ...] = ()
    """What is drawn anew for each episode."""
    observe: Observed = "commands"
    """What a policy sees: commands and camera flags, or the cameras' images."""
    goal: bool = False
    """Goal-conditioned form, for --algo sac with hindsight replay."""
    cap: int | None = None
    """Steps of an episode, 0 for no end; 5, or none for the actor-critic, if not given."""

    def options(self, algorithm: Algorithm) -> TargetFindingOptions:
        """The options of the environment."""
        told: dict[str, Any] = {key: value for key, value in vars(self).items() if key != "cap"}
        if algorithm == "ac":
            told |= {"actions": "moves", "wait_s": 1.0, "cap": 0}
        return TargetFindingOptions(**told | ({} if self.cap is None else {"cap": self.cap}))


@dataclass(frozen=True)
class Train:
    """Train a policy to find the target in simulation."""

    out: Path
    """Folder for checkpoint, policy, summary and tensorboard's curves."""
    algo: Algorithm | Literal["bc"] = "ppo"
    """PPO or the actor-critic of the paper; SAC or recurrent PPO for what is harder; bc clones."""
    recordings: Path | None = None
    """Demonstrations for bc, as the recorder leaves them: a folder of episodes, or a file."""
    net: Literal["linear", "mlp"] = "linear"
    """PPO's net: the paper's, or two hidden layers of 64."""
    task: tyro.conf.OmitArgPrefixes[TaskArguments] = field(default_factory=TaskArguments)
    seed: int = 0
    """Seed of everything."""
    steps: int | None = None
    """Steps of the robot; 3,600 if not given, as in the paper. The actor-critic counts episodes."""
    episodes: int = 250
    """Episodes of the actor-critic."""
    padded: bool = False
    """End every episode after the cap's steps, as the authors' PPO does."""
    curiosity: float = 0.0
    """Weight of curiosity (random network distillation) against the reward for a find."""
    encoder: str = "tiles"
    """Name or path of the encoder of images; see the verb pretrain."""
    processes: int = 3
    """Processes that simulate, 1 for the learner's own."""
    resume: bool = False
    """Go on from the checkpoint in --out."""
    progress: Literal["bar", "json"] = "bar"
    """A bar for people; or for programs a line of JSON per iteration, and one with the summary."""
    json: Path | None = None
    """Result file to write as well: the summary, without the history."""

    def run(self) -> int:
        """Train, and say what came of it."""
        if self.algo == "bc":
            return self._clone()
        if self.progress == "json":
            with stop_requests() as stop:
                summary = self._train(JsonLines.tell, stop)
            JsonLines.end(summary)
            self._keep(summary)
            return 0
        with progress_bars(unit="steps") as progress, stop_requests() as stop:
            bar = progress.add_task(f"{self.algo} {self.task.faults}", total=None)

            def tell(at: TrainingProgress) -> None:
                text = f"{self.algo} {self.task.faults}, {at.mean_steps:.2f} steps an episode"
                progress.update(bar, total=at.total, completed=at.done, description=text)

            summary = self._train(tell, stop)
        Console().print(_told(summary), f"Policy: {self.out / POLICY_FILE}")
        self._keep(summary)
        return 0

    def _clone(self) -> int:
        from learning.target_finding.algorithms import behaviour_cloning as cloning

        if self.recordings is None:
            raise HardwareError("--algo bc needs --recordings: demonstrations to learn from.")
        options = self.task.options("ppo")
        config = cloning.BcConfig(self.recordings, self.out, options, seed=self.seed)
        with progress_bars(unit="epochs") as progress:
            bar = progress.add_task("bc", total=config.epochs)
            summary = cloning.clone(
                config, lambda done, total: progress.update(bar, completed=done)
            )
        Console().print(
            f"{summary['demonstrations']} demonstrations, {summary['steps']} steps; squared error "
            f"{summary['loss']:.4f}, {summary['held_out_loss']:.4f} on held-out episodes. "
            f"Policy: {self.out / POLICY_FILE}"
        )
        return 0

    def _keep(self, summary: dict[str, Any]) -> None:
        if self.json is not None:
            write_json(self.json, {k: v for k, v in summary.items() if k != "history"})

    def _train(self, tell: Any, stop: Any) -> dict[str, Any]:
        assert self.algo != "bc"
        options = self.task.options(self.algo)
        if self.algo == "ac":
            from learning.target_finding.algorithms import actor_critic

            config = actor_critic.ActorCriticConfig(
                self.out, options, self.seed, self.episodes, self.resume
            )
            return actor_critic.train(config, tell, stop)
        from learning.target_finding.algorithms import training  # PyTorch takes seconds to import

        return training.train(
            training.TrainingConfig(
                out=self.out,
                options=options,
                algorithm=self.algo,
                net=self.net,
                seed=self.seed,
                steps=3600 if self.steps is None else self.steps,
                padded=self.padded,
                curiosity=self.curiosity,
                encoder=self.encoder,
                processes=self.processes,
                resume=self.resume,
            ),
            tell,
            stop,
        )


@dataclass(frozen=True)
class Pretrain:
    """Let the robot move about and learn to tell from its cameras where it is."""

    out: Path
    """Folder for poses, checkpoint and encoder."""
    robot: str = "limb_p1"
    """Name or path of a robot description."""
    walks: int = 6000
    """Random walks of six looks, a multiple of 500."""
    epochs: int = 12
    """Times that all looks are learned from."""
    spoilt: float = 0.5
    """Share of looks of which one or two tiles are spoilt as by a failing camera."""
    seed: int = 0
    """Seed of everything."""
    processes: int = 2
    """Processes that simulate."""
    resume: bool = False
    """Go on from what is in --out."""

    def run(self) -> int:
        """Pretrain, and print how well the encoder estimates."""
        from learning.target_finding.algorithms import self_supervised

        config = self_supervised.PretrainingConfig(
            self.out,
            TargetFindingOptions(robot=self.robot, observe="images"),
            walks=self.walks,
            epochs=self.epochs,
            spoilt=self.spoilt,
            seed=self.seed,
            processes=self.processes,
            resume=self.resume,
        )
        with progress_bars() as progress:
            card = self_supervised.pretrain(config, Stages(progress))
        Console().print(
            f"Mean error of each servo's command, of 2 from end to end: {card['error']}; "
            f"with one or two cameras failing: {card['error_spoilt']}. "
            f"Encoder: {self.out / self_supervised.ENCODER_FILE}"
        )
        return 0


@dataclass(frozen=True)
class EvaluatePolicy:
    """Measure how many steps a trained policy needs."""

    policy: str
    """Name of a trained policy, folder of a training, or .safetensors file."""
    faults: Faults | None = None
    """Cameras that fail in each episode; as in the training if not given."""
    silent: tuple[SilentFailure, ...] | None = None
    """Ways in which they fail without a word; as in the training if not given."""
    servo: ServoFailure | None = None
    """One servo fails; as in the training if not given."""
    robot: str | None = None
    """Name or path of a robot description; the one of the training where none is given."""
    cap: int | None = None
    """Steps of an episode, 0 for no end; as in the training if not given."""
    episodes: int = 200
    """Episodes."""
    seed: int = 1
    """Seed of start poses, failures and the policy's draws."""
    deterministic: bool = False
    """Take the policy's mean instead of drawing, as it does in training."""
    json: Path | None = None
    """Result file to write."""

    def run(self) -> int:
        """Run the episodes, print the summary, write the result file if asked for."""
        summary = self.measure()
        told = (
            f"{summary['mean_steps']:.2f} ± {summary['std_steps']:.2f} steps, "
            f"{100 * summary['success_within_cap']:.1f} % found within {summary['cap']}."
        )
        if "paper_mean_steps" in summary:
            told += f" The paper's: {summary['paper_mean_steps']} ± {summary['paper_std_steps']}."
        Console().print(told)
        if self.json is not None:
            write_json(self.json, {**provenance(self.seed), **summary})
        return 0

    def measure(self) -> dict[str, Any]:
        """Run the episodes, with a bar; returns policy, protocol and figures.

        Raises:
            HardwareError: there is no such policy, or too few episodes.
        """
        if self.episodes < 2:
            raise HardwareError("--episodes must be 2 or more, so that there is a spread.")
        with _as_mistakes():
            policy = find_policy(self.policy)
        changed = ("faults", "silent", "servo", "robot", "cap")
        given = {k: getattr(self, k) for k in changed if getattr(self, k) is not None}
        if given.get("faults") == "kill0":
            given["silent"] = ()
        options = options_from_card({**policy.card["options"], **given})
        results = []
        with TargetFindingEnv(options) as environment, progress_bars() as progress:
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
        }
        as_paper = options.observe == "commands" and (options.servo, options.silent) == ("none", ())
        return about | evaluation.summarise(results, options.faults, algorithm if as_paper else "")


@dataclass(frozen=True)
class Compare:
    """Make the paper's table and learning curves, ours beside theirs: train, test, draw."""

    out: Path = Path("runs/target_finding")
    """Folder of the trainings; finished ones are kept, a broken one goes on."""
    seeds: int = 10
    """Trainings of each kind; the paper has 10."""
    methods: tuple[str, ...] = ("ppo_padded", "ppo", "ppo_mlp", "ac")
    """Which to train and show."""
    episodes: int = 200
    """Fresh episodes that each trained policy is tested on."""
    parallel: int = 2
    """Trainings at a time."""
    train: bool = True
    """Train what is missing; without, show what there is."""
    json: Path | None = None
    """Result file to write, for example results/target_finding/study.json."""
    picture: Path | None = None
    """Learning curves to draw, for example runs/target_finding/curves.png."""
    publish: Path | None = None
    """Folder for the best policy of each kind, best on its fresh episodes."""

    def run(self) -> int:
        """Train what is missing, print the table, write what is asked for."""
        from learning.target_finding.experiments import study

        known = [method.name for method in study.METHODS]
        for name in self.methods:
            if name not in known:
                raise HardwareError(f"Unknown method '{name}'; choose among {', '.join(known)}.")
        if self.seeds < 1 or self.episodes < 2 or self.parallel < 1:
            raise HardwareError("--seeds and --parallel must be 1 or more, --episodes 2 or more.")
        runs = study.all_runs(self.out, self.methods, self.seeds)
        if self.train:
            with progress_bars(unit="trainings") as progress:
                bar = progress.add_task("trainings", total=len(runs))
                tell: Callable[[study.StudyRun], None] = lambda run: progress.advance(bar)  # noqa: E731
                study.complete(runs, self.episodes, self.parallel, tell)
        rows = study.rows(runs)
        if not rows:
            raise HardwareError(f"{self.out} holds no finished training yet; leave out --no-train.")
        Console().print(_study_table(rows))
        if self.json is not None:
            write_json(self.json, {**provenance(0), "seeds": list(range(self.seeds)), "rows": rows})
        if self.picture is not None:
            study.draw_curves(runs, self.picture)
        if self.publish is not None:
            study.publish(runs, self.publish)
        return 0


# What the policies for harder forms of the task are tested with, in the order of the table.
_ALL_SILENT: tuple[SilentFailure, ...] = ("black", "frozen", "noisy", "delayed")
BEYOND: tuple[tuple[str, str, dict[str, Any]], ...] = (
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
        """Measure all rows, print the table, write the result file if asked for."""
        rows = [
            {
                "told": told,
                **EvaluatePolicy(name, episodes=self.episodes, seed=self.seed, **how).measure(),
            }
            for name, told, how in BEYOND
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
class OracleBound:
    """Measure how few steps any policy could need: one that knows which poses see the tag."""

    robot: str = "limb_p1"
    """Name or path of a robot description."""
    poses: int = 40000
    """Random poses to look from."""
    seed: int = 0
    """Seed of everything."""
    json: Path | None = None
    """Result file to write, for example results/target_finding/bound.json."""

    def run(self) -> int:
        """Look from all poses, and say how far the nearest that sees the tag is."""
        from learning.target_finding.experiments import oracle_bound

        if self.poses < 1000:
            raise HardwareError("--poses must be 1000 or more.")
        options = TargetFindingOptions(robot=self.robot)
        with progress_bars(unit="poses") as progress:
            bar = progress.add_task("poses", total=self.poses)
            poses = oracle_bound.sample_poses(
                options, self.poses, self.seed, lambda: progress.advance(bar)
            )
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


@contextmanager
def _as_mistakes() -> Iterator[None]:
    """What the policies say of a wrong name or file is a mistake of the user."""
    try:
        yield
    except ValueError as error:
        raise HardwareError(str(error)) from error


def _told(summary: dict[str, Any]) -> str:
    if "last_15_episodes" in summary:
        last = f"Last 15 episodes: {summary['last_15_episodes']['mean_steps']:.2f} steps."
        spent = f"{summary['simulate_s']:.1f} s to simulate, {summary['render_s']:.1f} s to render"
    else:
        five = summary["last_5_iterations"]
        last = (
            f"Last 5 iterations: {five['mean_steps']:.2f} steps, {100 * five['found']:.0f} % found."
        )
        spent = ", ".join(
            f"{summary[f'{what}_s']:.1f} s to {what}"
            for what in ("simulate", "render", "infer", "learn")
        )
    pace = f"{summary['steps_per_s']:.0f} steps/s, {summary['wall_s']:.1f} s"
    return f"{last} {pace}: {spent}."


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
