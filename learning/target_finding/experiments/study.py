"""The paper's table and curves, ours beside theirs: many trainings, tested on fresh episodes.

A study can be stopped at any moment: finished trainings are kept, an interrupted one goes on from
its checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from asterias.errors import UserError
from asterias.files import read_json, write_json
from asterias.jobs import JobRunner, TellJob, complete_folders
from learning.target_finding.algorithms.checkpoint import CHECKPOINT_FILE
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import Faults, TargetFindingOptions, options_from_card
from learning.target_finding.experiments import evaluation
from learning.target_finding.policies.policy_files import POLICY_FILE, SUMMARY_FILE, load_policy

PAPER_CURVES = Path(str(files("learning.target_finding") / "paper_curves.json"))
TESTED = "tested.json"
SETTINGS: tuple[Faults, ...] = get_args(Faults)


@dataclass(frozen=True)
class StudyMethod:
    """A method of learning that has a place in the table.

    Attributes:
        name: in files and folders.
        description: in the table.
        paper: the paper's learner that it stands beside, ``ppo`` or ``ac``.
        training: options of the training.
    """

    name: str
    description: str
    paper: str
    training: dict[str, Any]


METHODS = (
    StudyMethod("ppo_padded", "PPO, linear, authors' code", "ppo", {"padded": True}),
    StudyMethod("ppo", "PPO, linear", "ppo", {}),
    StudyMethod("ppo_mlp", "PPO, 64 x 64, 12,000 steps", "ppo", {"net": "mlp", "steps": 12000}),
    StudyMethod("ac", "actor-critic", "ac", {}),
)


@dataclass(frozen=True)
class StudyRun:
    """One training of the study."""

    method: StudyMethod
    faults: Faults
    seed: int
    folder: Path

    def summary(self) -> dict[str, Any]:
        """Return what the training wrote."""
        return _read_figures(self.folder / SUMMARY_FILE, ("wall_s", "steps_per_s", "history"))

    def tested(self) -> dict[str, Any]:
        """Return the policy's figures on fresh episodes."""
        return _read_figures(self.folder / TESTED, ("episodes", "mean_steps", "success_within_cap"))

    @property
    def command(self) -> str:
        """The command that does the same training alone."""
        algorithm = "ac" if self.method.name == "ac" else "ppo"
        words = [f"python -m learning train --algo {algorithm} --faults {self.faults}"]
        for key, value in self.method.training.items():
            words.append(f"--{key}" if value is True else f"--{key} {value}")
        if algorithm == "ppo":
            words.append("--processes 1")
        return " ".join([*words, f"--seed {self.seed}"])


def _read_figures(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """Return a result file of the study.

    Raises:
        UserError: it is damaged, or lacks a figure.
    """
    data = read_json(path)
    missing = [key for key in keys if not isinstance(data, dict) or key not in data]
    if missing:
        raise UserError(f"{path} has no {missing[0]}; remove it, and the run is made again.")
    figures: dict[str, Any] = data
    return figures


def all_runs(folder: Path, methods: Sequence[str], seeds: int) -> list[StudyRun]:
    """Return the trainings of the study, all settings of one seed before the next seed."""
    return [
        StudyRun(method, faults, seed, folder / f"{method.name}_{faults}_{seed}")
        for seed in range(seeds)
        for method in METHODS
        if method.name in methods
        for faults in SETTINGS
    ]


def complete(
    runs: Sequence[StudyRun], episodes: int, runner: JobRunner, on_run: Callable[[StudyRun], None]
) -> None:
    """Train and test what is missing.

    Args:
        runs: of the study.
        episodes: that each policy is tested on.
        runner: of the trainings.
        on_run: called after each finished one.
    """
    todo = []
    for run in runs:
        if (run.folder / TESTED).exists() and run.tested()["episodes"] == episodes:
            on_run(run)
        else:
            todo.append(run)
    for run in complete_folders(runner, partial(_train_and_test, episodes=episodes), todo):
        on_run(run)


def _train_and_test(run: StudyRun, tell: TellJob, episodes: int) -> None:
    if not (run.folder / POLICY_FILE).exists():
        _train(run)
    policy = load_policy(run.folder)
    cap = 0 if run.method.name == "ac" else 5
    with TargetFindingEnv(options_from_card(policy.card["options"]), cap=cap) as environment:
        found = evaluation.episodes(environment, policy, count=episodes, seed=1000 + run.seed)
        row = evaluation.summarise(list(found), run.faults, run.method.paper)
    write_json(run.folder / TESTED, row)


def _is_orphan() -> bool:
    """Return whether this is a worker whose study is gone; then it stops."""
    parent = parent_process()
    return parent is not None and not parent.is_alive()


def _train(run: StudyRun) -> None:
    resume = (run.folder / CHECKPOINT_FILE).exists()
    if run.method.name == "ac":
        from learning.target_finding.algorithms import actor_critic

        options = TargetFindingOptions(faults=run.faults, actions="moves", wait_s=1.0, cap=0)
        config = actor_critic.ActorCriticConfig(run.folder, options, run.seed, resume=resume)
        actor_critic.train(config, should_stop=_is_orphan)
        return
    from learning.target_finding.algorithms import training

    training.train(
        training.TrainingConfig(
            out=run.folder,
            options=TargetFindingOptions(faults=run.faults),
            seed=run.seed,
            processes=1,
            resume=resume,
            **run.method.training,
        ),
        should_stop=_is_orphan,
    )


# -- the table ------------------------------------------------------------------------------------


def rows(runs: Sequence[StudyRun]) -> list[dict[str, Any]]:
    """Return a row per method and setting, over its finished trainings."""
    made = []
    for method in METHODS:
        for faults in SETTINGS:
            own = [
                run
                for run in runs
                if (run.method, run.faults) == (method, faults) and (run.folder / TESTED).exists()
            ]
            if own:
                made.append(_row(method, faults, own))
    return made


def _row(method: StudyMethod, faults: Faults, runs: list[StudyRun]) -> dict[str, Any]:
    summaries, tested = [run.summary() for run in runs], [run.tested() for run in runs]
    key = "last_15_episodes" if method.name == "ac" else "last_iteration"
    last = [summary[key]["mean_steps"] for summary in summaries]
    row: dict[str, Any] = {
        "method": method.name,
        "told": method.description,
        "faults": faults,
        "seeds": [run.seed for run in runs],
        "command": runs[0].command,
        # The paper's measure: the last 15 episodes of each training.
        "last_mean_steps": round(float(np.mean(last)), 3),
        "last_std_steps": round(float(np.std(last, ddof=1)), 3) if len(last) > 1 else 0.0,
        # On fresh episodes, mean and deviation over trainings.
        "mean_steps": round(float(np.mean([t["mean_steps"] for t in tested])), 3),
        "std_steps": round(float(np.std([t["mean_steps"] for t in tested])), 3),
        "episodes": tested[0]["episodes"],
        "median_steps": round(float(np.median([t["mean_steps"] for t in tested])), 3),
        "found": round(float(np.mean([t["success_within_cap"] for t in tested])), 4),
        "wall_s": round(float(np.mean([s["wall_s"] for s in summaries])), 1),
        "steps_per_s": round(float(np.mean([s["steps_per_s"] for s in summaries])), 1),
    }
    if method.paper == "ppo":
        five = [summary["last_5_iterations"]["below_cap"] for summary in summaries]
        row["below_cap_last_5"] = round(float(np.mean(five)), 4)
    paper = json.loads(PAPER_CURVES.read_text(encoding="utf-8"))[method.paper][faults]
    row["paper_mean_steps"], row["paper_std_steps"] = evaluation.PAPER_STEPS[method.paper, faults]
    row["paper_recorded_mean_steps"] = paper["mean_steps"][-1]
    return row


def best_run(runs: Sequence[StudyRun], method: str, faults: str) -> StudyRun | None:
    """Return the training of a method whose policy needs the fewest steps; None without any."""
    own = [
        run
        for run in runs
        if (run.method.name, run.faults) == (method, faults) and (run.folder / TESTED).exists()
    ]
    return min(own, key=lambda run: float(run.tested()["mean_steps"]), default=None)


def publish(runs: Sequence[StudyRun], folder: Path) -> None:
    """Write the best policy of each method and setting to ``folder/<method>_<setting>``."""
    for method in METHODS:
        for faults in SETTINGS:
            best = best_run(runs, method.name, faults)
            if best is not None:
                policy = load_policy(best.folder)
                tested = {k: v for k, v in best.tested().items() if k != "steps"}
                card = {**policy.card, "command": best.command, "tested": tested}
                path = folder / f"{method.name}_{faults}.safetensors"
                replace(cast(Any, policy), card=card).save(path)


# -- the curves -----------------------------------------------------------------------------------


def draw_curves(runs: Sequence[StudyRun], path: Path) -> None:
    """Draw learning curves, a panel per setting, ours beside the paper's; means and errors."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(SETTINGS), figsize=(13, 4.2), sharey=True, layout="constrained"
    )
    paper = json.loads(PAPER_CURVES.read_text(encoding="utf-8"))
    for axis, faults in zip(axes, SETTINGS, strict=True):
        for label, x, mean, error, (colour, line) in _curves(runs, faults, paper):
            axis.plot(x, mean, line, color=colour, label=label, linewidth=1.6)
            band = (x, mean - error, mean + error)
            axis.fill_between(*band, color=colour, alpha=0.18, linewidth=0)
        axis.set_yscale("log")
        axis.set_ylim(0.9, 200)
        axis.set_title({"kill0": "all cameras", "kill1": "1 of 4 dead"}.get(faults, "1 or 2 dead"))
        axis.set_xlabel("share of the training done (0 to 1)")
        axis.grid(alpha=0.25)
    axes[0].set_ylabel("steps until the target is found (number)")
    axes[0].legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


# Label, x, mean, standard error, and colour and dash of the line.
Curve = tuple[str, Any, Any, Any, tuple[str, str]]


def _curves(runs: Sequence[StudyRun], faults: Faults, paper: dict[str, Any]) -> Iterator[Curve]:
    for number, method in enumerate(METHODS):
        own = [r for r in runs if (r.method, r.faults) == (method, faults)]
        done = [run for run in own if (run.folder / TESTED).exists()]
        if not done:
            continue
        lines = [_smooth(run.summary()["history"], method) for run in done]
        size = min(len(line) for line in lines)
        table = np.array([line[:size] for line in lines])
        error = table.std(axis=0, ddof=1) / len(table) ** 0.5 if len(table) > 1 else 0 * table[0]
        style = (f"C{number}", "-")
        yield method.description, np.linspace(0, 1, size), table.mean(axis=0), error, style
        if method.name in ("ppo", "ac"):
            theirs = paper[method.paper][faults]
            mean, error = np.array(theirs["mean_steps"]), np.array(theirs["standard_error"])
            label = f"paper's {method.paper.upper()}, real limb"
            yield label, np.linspace(0, 1, len(mean)), mean, error, (f"C{number}", "--")


def _smooth(history: list[Any], method: StudyMethod) -> Any:
    if method.paper == "ppo":
        return np.array([entry["mean_steps"] for entry in history])
    return np.convolve(history, np.full(15, 1 / 15), mode="valid")
