"""Commands that train: policies, and the encoder of images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import tyro
from rich.console import Console
from tyro.extras import literal_type_from_choices

from asterias.cli import check_file, check_folder, check_seed
from asterias.errors import UserError
from asterias.files import write_json
from asterias.progress import JsonLines, Stages, TrainingProgress, progress_bars, stop_requests
from learning.target_finding.algorithms.networks import NETWORKS
from learning.target_finding.algorithms.registry import (
    ALGORITHMS,
    BODY,
    LIMB,
    TrainingRequest,
    train,
)
from learning.target_finding.env.options import (
    DeadCameras,
    Observed,
    ServoFailure,
    SilentFailure,
    TargetFindingOptions,
    TargetMotion,
    Variation,
    with_command_range,
)
from learning.target_finding.policies.policy_files import POLICY_FILE
from learning.training.replay_options import ReplayBy, ReplayOptions
from learning.training.trackers import TRACKERS, tracked

Follow = Callable[[TrainingProgress], None]

if TYPE_CHECKING:
    AlgorithmName: TypeAlias = str
    NetworkName: TypeAlias = str
    TrackerName: TypeAlias = str
else:
    AlgorithmName = literal_type_from_choices(ALGORITHMS.names())
    NetworkName = literal_type_from_choices(NETWORKS.names())
    TrackerName = literal_type_from_choices(TRACKERS.names())


def listed(entries: tuple[tuple[str, Any], ...]) -> str:
    """Return names with their summaries, for the help of an option."""
    return "; ".join(f"{name}: {entry.summary}" for name, entry in entries) + "."


@dataclass(frozen=True)
class TaskArguments:
    """What is searched, with what, and what fails."""

    robot: str = "limb_p1"
    """Name or path of a robot description."""
    limb: int = 0
    """Number of the limb that searches."""
    faults: Annotated[DeadCameras, tyro.conf.arg(aliases=["--dead-cameras"])] = "kill0"
    """Cameras that fail in each episode: none (kill0 or 0), one (kill1 or 1), one or two (kill12
    or 1-2)."""
    silent: tuple[SilentFailure, ...] = ()
    """Ways in which they fail without being flagged; if none is named they are dead, and flagged
    so."""
    mid_episode: bool = False
    """Failures set in during the episode."""
    servo: ServoFailure = "none"
    """One servo is stuck, or limp, in each episode."""
    target: TargetMotion = "fixed"
    """The target stays, is elsewhere in each episode, or moves."""
    randomise: tuple[Variation, ...] = ()
    """What is drawn anew for each episode."""
    observe: Observed = "commands"
    """Observation of the policy: commands and camera flags, or the cameras' images."""
    goal: bool = False
    """Goal-conditioned form, for --algo sac with hindsight replay."""
    cap: int | None = None
    """Steps of an episode, 0 for no end; 5, or the algorithm's own, if not given."""
    increment: float | None = None
    """Largest change of a servo's command in a step, in halves of its range; 0.4, the paper's, if
    not given. 2 is all of it."""
    dead_share: float = 0.0
    """Of a whole body: share of the cameras that are dead in each episode. Where neither this nor
    --dead-limbs is given, a third of the episodes each has all cameras, half of them, and two limbs
    dead."""
    dead_limbs: int = 0
    """Of a whole body: limbs that are limp and blind in each episode."""

    def body(self) -> dict[str, Any]:
        """Return the options of a whole body's environment."""
        robot = {} if self.robot == "limb_p1" else {"robot": self.robot}
        given = {"cap": self.cap, "increment": self.increment}
        fails = {"dead_cameras": self.dead_share, "dead_limbs": self.dead_limbs}
        return robot | {k: v for k, v in given.items() if v is not None} | fails

    def options(self, algorithm: str) -> TargetFindingOptions:
        """Return the options of the environment for a learning algorithm.

        Raises:
            UserError: an option is of whole bodies alone.
        """
        other = ("cap", "increment", "dead_share", "dead_limbs")
        given: dict[str, Any] = {k: v for k, v in vars(self).items() if k not in other}
        given |= ALGORITHMS.get(algorithm).task
        given |= {k: getattr(self, k) for k in other[:2] if getattr(self, k) is not None}
        if self.dead_share or self.dead_limbs:
            raise UserError(f"--dead-share and --dead-limbs are of whole bodies: add --env {BODY}.")
        return with_command_range(TargetFindingOptions(**given))


@dataclass(frozen=True)
class Train:
    """Train a policy to find the target in simulation."""

    out: Path
    """Folder for checkpoint, policy, summary and tensorboard's curves."""
    algo: Annotated[AlgorithmName, tyro.conf.arg(help=listed(ALGORITHMS.items()))] = "ppo"
    env: str = LIMB
    """Environment: of a limb, or Asterias/StarfishTargetFinding-v0, where a whole body searches."""
    sharing: Literal["limbs", "body"] = "limbs"
    """Of a whole body: one policy that all limbs share, or one for all of them."""
    recordings: Path | None = None
    """Demonstrations for bc, act and diffusion, drives for state_estimator, as the recorder leaves
    them: a folder of episodes, or a file; for act and diffusion also a data set of LeRobot."""
    replay_by: ReplayBy = "uniform"
    """How act and diffusion draw from the recordings: evenly, or frames near those that decided
    more often, which `recordings key-frames` has found."""
    replay_share: float = 0.5
    """Share of the draws that follows how far frames decided; the others are even."""
    replay_correction: float = 0.0
    """Exponent of importance weights in the loss, 0 to 1: with 1 they undo in the mean what drawing
    more often changes."""
    net: Annotated[
        NetworkName, tyro.conf.arg(help=f"Network of PPO. {listed(NETWORKS.items())}")
    ] = "linear"
    task: tyro.conf.OmitArgPrefixes[TaskArguments] = field(default_factory=TaskArguments)
    seed: int = 0
    """Seed of everything."""
    steps: int | None = None
    """Steps of the robot; 3,600 if not given, as in the paper. The actor-critic counts episodes;
    act, diffusion and state_estimator count updates of networks (state_estimator: 8,000)."""
    episodes: int = 250
    """Episodes of the actor-critic; drives of babbling for state_estimator, 5 s each."""
    padded: bool = False
    """End every episode after the cap's steps, as the authors' PPO does."""
    curiosity: float = 0.0
    """Weight of curiosity (random network distillation) against the reward for a find."""
    encoder: str = "tiles"
    """Name or path of the encoder of images; see the command pretrain. Of state_estimator: of an
    estimator that is there."""
    processes: int = 3
    """Processes that simulate, 1 for the learner's own."""
    worlds: int = 0
    """Worlds that the learner's process moves and draws together in one loop, on all cores, in
    place of processes; 0: none."""
    resume: bool = False
    """Go on from the checkpoint in --out."""
    progress: Literal["bar", "json"] = "bar"
    """A bar for people; or for programs a line of JSON per iteration, and one with the summary."""
    track: Annotated[tuple[TrackerName, ...], tyro.conf.arg(help=listed(TRACKERS.items()))] = ()
    json: Path | None = None
    """Result file to write as well: the summary, without the history."""

    def run(self) -> int:
        """Train, and print the result.

        Returns:
            The exit code.
        """
        request = self._request()
        task = request.body or asdict(request.options)
        settings = {"algorithm": self.algo, "seed": self.seed, **task}
        with tracked(self.track, self.out.absolute(), settings) as follow:
            if self.progress == "json":
                summary = self._train_with_lines(request, follow)
            else:
                summary = self._train_with_bar(request, follow)
        if self.progress == "json":
            JsonLines.end(summary)
        else:
            written = self.out / str(summary.get("file", POLICY_FILE))
            what = "Estimator" if self.algo == "state_estimator" else "Policy"
            Console().print(describe_training(summary), f"{what}: {written}")
        if self.json is not None:
            write_json(self.json, {k: v for k, v in summary.items() if k != "history"})
        return 0

    def _request(self) -> TrainingRequest:
        """Return what is asked for, after the checks that take no time."""
        check_seed(self.seed)
        check_folder("--out", self.out)
        check_file("--json", self.json)
        return TrainingRequest(
            out=self.out,
            options=self.task.options(self.algo) if self.env == LIMB else TargetFindingOptions(),
            algorithm=self.algo,
            seed=self.seed,
            steps=self.steps,
            episodes=self.episodes,
            network=self.net,
            padded=self.padded,
            curiosity=self.curiosity,
            encoder=self.encoder,
            processes=self.processes,
            worlds=self.worlds,
            resume=self.resume,
            recordings=self.recordings,
            env=self.env,
            body=self.task.body() if self.env == BODY else {},
            sharing=self.sharing,
            replay=ReplayOptions(self.replay_by, self.replay_share, self.replay_correction),
        )

    def _train_with_lines(self, request: TrainingRequest, follow: Follow) -> dict[str, Any]:
        def tell(at: TrainingProgress) -> None:
            JsonLines.tell(at)
            follow(at)

        with stop_requests() as stop:
            return train(request, tell, stop)

    def _train_with_bar(self, request: TrainingRequest, follow: Follow) -> dict[str, Any]:
        with progress_bars(unit="steps") as progress, stop_requests() as stop:
            faults = request.options.faults if request.env == LIMB else request.sharing
            name = f"{self.algo} {faults}"
            bar = progress.add_task(name, total=None)

            def show(at: TrainingProgress) -> None:
                follow(at)
                length = f", {at.mean_steps:.2f} steps an episode" if at.mean_steps else ""
                light = f", data: {at.traffic_light}" if at.traffic_light else ""
                progress.update(
                    bar, total=at.total, completed=at.done, description=f"{name}{length}{light}"
                )

            return train(request, show, stop)


@dataclass(frozen=True)
class Pretrain:
    """Let the robot move about, and train an encoder to estimate its commands from its cameras."""

    out: Path
    """Folder for walks, checkpoint and encoder."""
    robot: str = "limb_p1"
    """Name or path of a robot description."""
    limb: int = 0
    """Number of the limb that moves."""
    walks: int = 6000
    """Random walks of six observations each, a multiple of 500."""
    epochs: int = 12
    """Passes over all observations."""
    corrupted: Annotated[float, tyro.conf.arg(aliases=["--spoilt"])] = 0.5
    """Fraction of observations of which one or two tiles are corrupted as by a failing camera."""
    seed: int = 0
    """Seed of everything."""
    processes: int = 2
    """Processes that simulate."""
    resume: bool = False
    """Go on from what is in --out."""

    def run(self) -> int:
        """Pretrain, and print the encoder's errors.

        Returns:
            The exit code.

        Raises:
            UserError: an option cannot be used.
        """
        from learning.target_finding.algorithms import self_supervised

        check_seed(self.seed)
        check_folder("--out", self.out)
        if self.processes < 1:
            raise UserError("--processes must be 1 or more.")
        options = TargetFindingOptions(robot=self.robot, limb=self.limb, observe="images")
        config = self_supervised.PretrainingConfig(
            self.out,
            with_command_range(options),
            walks=self.walks,
            epochs=self.epochs,
            corrupted=self.corrupted,
            seed=self.seed,
            processes=self.processes,
            resume=self.resume,
        )
        with progress_bars() as progress:
            card = self_supervised.pretrain(config, Stages(progress))
        Console().print(
            f"Mean error of each servo's command, of 2 from end to end: {card['error']}; "
            f"with one or two cameras failing: {card['error_corrupted']}. "
            f"Encoder: {self.out / self_supervised.ENCODER_FILE}"
        )
        return 0


def describe_training(summary: dict[str, Any]) -> str:
    """Return a training's summary as a sentence or two."""
    describe: Callable[[dict[str, Any]], str] = _describe_plainly
    if "found_by_geometry" in summary:
        describe = _describe_body
    elif "demonstrations" in summary:
        describe = _describe_cloning
    elif "rmse_deg" in summary:
        describe = _describe_estimator
    elif "last_50_episodes" in summary:
        describe = _describe_policy_search
    elif "last_15_episodes" in summary or "last_5_iterations" in summary:
        describe = _describe_reinforcement
    return describe(summary)


def _describe_plainly(summary: dict[str, Any]) -> str:
    return f"Trained by {summary.get('algorithm', 'a plug-in')}."


def _describe_body(summary: dict[str, Any]) -> str:
    shares = ", ".join(
        f"{100 * found[-1]:.1f} % with {name}"
        for name, found in summary["found_by_geometry"].items()
    )
    return f"By geometry, found within {summary['within']} steps: {shares}. {summary['wall_s']} s."


def _describe_estimator(summary: dict[str, Any]) -> str:
    errors = ", ".join(
        f"{value:.2f} degrees with {100 * float(drop):.0f} % of pictures lost"
        for drop, value in summary["rmse_deg"].items()
    )
    learned, held = summary["learned_s"] / 60, summary["held_out_s"] / 60
    return f"Learned from {learned:.1f} min; error on {held:.1f} min held out: {errors}."


def _describe_cloning(summary: dict[str, Any]) -> str:
    if "held_out_loss" not in summary:
        return (
            f"{summary['demonstrations']} demonstrations, {summary['steps']} steps; loss "
            f"{summary['loss']:.4f} after {summary['updates']} updates."
        )
    return (
        f"{summary['demonstrations']} demonstrations, {summary['steps']} steps; squared error "
        f"{summary['loss']:.4f}, {summary['held_out_loss']:.4f} on held-out episodes."
    )


def _describe_policy_search(summary: dict[str, Any]) -> str:
    last = summary["last_50_episodes"]
    return (
        f"Last 50 episodes: {last['mean_steps']:.2f} steps, {100 * last['found']:.0f} % found. "
        f"{summary['episodes']} episodes, {summary['steps_per_s']:.0f} steps/s, "
        f"{summary['wall_s']:.1f} s."
    )


def _describe_reinforcement(summary: dict[str, Any]) -> str:
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
