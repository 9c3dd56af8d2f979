"""Target finding by learners of policy search, beside PPO at equal steps: trained, then tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import UserError
from asterias.files import read_json, write_json
from learning.policy_search.common.pose_map import PoseMap
from learning.policy_search.common.pose_map_env import PoseMapEnv
from learning.policy_search.limb_training import train_request
from learning.policy_search.studies.result_rows import merged_rows
from learning.target_finding.algorithms.checkpoint import CHECKPOINT_FILE
from learning.target_finding.algorithms.registry import TrainingRequest, ignore_progress
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import (
    DEAD,
    Faults,
    TargetFindingOptions,
    options_from_card,
    with_command_range,
)
from learning.target_finding.experiments import evaluation
from learning.target_finding.policies.policy_files import (
    POLICY_FILE,
    SUMMARY_FILE,
    Policy,
    load_policy,
)

TESTED = "tested.json"
SIMULATION = "simulation"
SETTINGS: tuple[Faults, ...] = get_args(Faults)
# Steps at which an episode is called short, and episodes that the mean is over.
_SHORT, _WINDOW = 4.0, 50
# Options of a learner, each switched off in a training of its own: what it is worth.
WITHOUT: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "apois": {
        "by_step": {"by_step": False},
        "batches": {"batches": 1},
        "kl": {"kl": 0.0},
        "trace": {"trace": 1.0},
        "spread_decay": {"spread_decay": 0.0},
    }
}


@dataclass(frozen=True)
class LimbRun:
    """One training on the limb.

    Attributes:
        steps: of training; None takes the study's own.
        without: the option that is switched off, of :data:`WITHOUT`; empty: none.
        copy: that it trains and is tested in; None: the simulation.
    """

    learner: str
    faults: Faults
    seed: int
    folder: Path
    steps: int | None = None
    without: str = ""
    copy: PoseMap | None = None

    @property
    def is_done(self) -> bool:
        """Whether it is trained and tested."""
        return (self.folder / TESTED).exists()


def limb_runs(
    folder: Path,
    learners: Sequence[str],
    seeds: int,
    steps: int | None = None,
    *,
    ablations: bool = False,
    copy: PoseMap | None = None,
) -> list[LimbRun]:
    """Return the runs, all settings of one seed before the next seed.

    Args:
        folder: that their folders are in.
        learners: which.
        seeds: trainings of each.
        steps: of each training; None takes the study's own.
        ablations: with each learner's options switched off, one at a time, too.
        copy: that they train and are tested in; None: the simulation.
    """
    made = []
    for seed in range(seeds):
        for learner in learners:
            off = WITHOUT.get(learner, {}) if ablations else {}
            for without in ("", *off):
                name = f"{learner}_without_{without}" if without else learner
                name = f"{name}_copy" if copy else name
                for faults in SETTINGS:
                    place = folder / f"limb_{name}_{faults}_{seed}"
                    made.append(LimbRun(learner, faults, seed, place, steps, without, copy))
    return made


def complete_limb_run(run: LimbRun, episodes: int, should_stop: Callable[[], bool]) -> None:
    """Train and test what is missing of a run.

    Args:
        run: the run.
        episodes: fresh ones that the policy is tested on.
        should_stop: asked now and then.
    """
    if run.is_done:
        return
    if not (run.folder / POLICY_FILE).exists():
        request = TrainingRequest(
            out=run.folder,
            options=with_command_range(TargetFindingOptions(faults=run.faults)),
            algorithm=run.learner,
            seed=run.seed,
            steps=run.steps,
            processes=1,
            resume=(run.folder / CHECKPOINT_FILE).exists(),
        )
        changes = WITHOUT[run.learner][run.without] if run.without else None
        make = partial(PoseMapEnv, run.copy, run.faults) if run.copy else None
        train_request(request, ignore_progress, should_stop, changes, make)
    policy = load_policy(run.folder)
    if run.copy is not None:
        write_json(run.folder / TESTED, _tested_in(run.copy, policy, run, episodes))
        return
    with TargetFindingEnv(options_from_card(policy.card["options"])) as environment:
        found = evaluation.episodes(environment, policy, count=episodes, seed=1000 + run.seed)
        write_json(run.folder / TESTED, evaluation.summarise(list(found), run.faults))


def _tested_in(copy: PoseMap, policy: Policy, run: LimbRun, episodes: int) -> dict[str, Any]:
    draws, starts = (np.random.default_rng((1000 + run.seed, part)) for part in range(2))

    def act(_: Any, seen: FloatArray) -> FloatArray:
        return np.array([policy.act(row.astype(np.float32), draws) for row in seen])

    steps, _ = copy.run(act, 1, episodes, starts, run.faults)
    # The copy tells no last step that found from one that did not.
    return {"episodes": episodes, "mean_steps": round(float(steps.mean()), 3)}


def limb_rows(runs: Sequence[LimbRun]) -> list[dict[str, Any]]:
    """Return a row per learner, option that is off, and setting, over its finished runs."""
    made = []
    for learner, without in dict.fromkeys((run.learner, run.without) for run in runs):
        for faults in SETTINGS:
            own = (learner, without, faults)
            done = [r for r in runs if (r.learner, r.without, r.faults) == own and r.is_done]
            if done:
                made.append(_row(learner, faults, done))
    return made


def publish_best(runs: Sequence[LimbRun], folder: Path, command: str) -> None:
    """Write each learner's best policy of a setting to ``folder/<learner>_<setting>``.

    The best is that whose last episodes of training were shortest: fresh ones choose nothing.

    Args:
        runs: those in the simulation with all options on are looked at.
        folder: for the policies.
        command: that made them.
    """
    done = [run for run in runs if run.is_done and run.copy is None and not run.without]
    for learner, faults in dict.fromkeys((run.learner, run.faults) for run in done):
        own = [run for run in done if (run.learner, run.faults) == (learner, faults)]
        best = min(own, key=_last_steps)
        policy = load_policy(best.folder)
        tested = {k: v for k, v in _read(best.folder / TESTED, "steps").items() if k != "steps"}
        card = {**policy.card, "command": command, "tested": tested}
        replace(cast(Any, policy), card=card).save(folder / f"{learner}_{faults}.safetensors")


def _last_steps(run: LimbRun) -> float:
    last = _read(run.folder / SUMMARY_FILE, "last_50_episodes")["last_50_episodes"]
    return float(last["mean_steps"])


def merged_limb_rows(
    rows: Sequence[dict[str, Any]], made: dict[str, Any], held: Any
) -> list[dict[str, Any]]:
    """Return rows beside those of other learners that a result file holds.

    Args:
        rows: as :func:`limb_rows` made them.
        made: how, the block of provenance.
        held: what the file holds; None where there is none.

    Returns:
        All rows, each with how it was made.
    """
    return merged_rows(rows, made, held, _name, "learners on the limb")


def _name(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    place = row.get("where", SIMULATION)
    return row["learner"], row.get("without", ""), row["faults"], place


def _row(learner: str, faults: Faults, runs: list[LimbRun]) -> dict[str, Any]:
    tested = [_read(run.folder / TESTED, "mean_steps") for run in runs]
    summaries = [_read(run.folder / SUMMARY_FILE, "history") for run in runs]
    steps = [test["mean_steps"] for test in tested]
    needed = [_episodes_until_short(summary["history"]["lengths"]) for summary in summaries]
    trained = sorted({summary["steps"] for summary in summaries})
    if len(trained) > 1 or runs[0].steps not in (None, trained[0]):
        raise UserError(
            f"{runs[0].folder.parent} holds trainings of {trained[0]} steps; choose another --out."
        )
    return {
        "learner": learner,
        "without": runs[0].without,
        "where": SIMULATION if runs[0].copy is None else "copy",
        "faults": faults,
        "seeds": [run.seed for run in runs],
        "parameters": summaries[0]["parameters"],
        "settings": summaries[0]["settings"],
        "steps": summaries[0]["steps"],
        "taken_steps": [summary["taken_steps"] for summary in summaries],
        "training_episodes": round(float(np.mean([s["episodes"] for s in summaries]))),
        "episodes_until_short": needed,
        "tested_episodes": tested[0]["episodes"],
        "each": steps,
        "mean_steps": round(float(np.mean(steps)), 3),
        "std_steps": round(float(np.std(steps)), 3),
        "found": None if runs[0].copy else _found(tested),
        "steps_per_s": round(float(np.mean([s["steps_per_s"] for s in summaries])), 1),
        "curves": [_curve(summary["history"]["lengths"]) for summary in summaries],
    }


def _found(tested: Sequence[Mapping[str, Any]]) -> float:
    return round(float(np.mean([test["success_within_cap"] for test in tested])), 4)


def _curve(lengths: Sequence[int]) -> list[list[float]]:
    """Return steps of training so far, and the mean length of the last 50 episodes, at times."""
    ends, every = np.cumsum(lengths), range(_WINDOW, len(lengths) + 1, _WINDOW // 2)
    return [
        [int(ends[at - 1]), round(float(np.mean(lengths[at - _WINDOW : at])), 3)] for at in every
    ]


def draw_limb(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw how long episodes are in training: a panel a setting, mean and range over seeds.

    Args:
        rows: of a result file; those of the simulation that have curves are drawn.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    size, panels = (13, 4), len(SETTINGS)
    figure, axes = pyplot.subplots(
        1, panels, figsize=size, layout="constrained", sharey=True, squeeze=False
    )
    for axis, faults in zip(axes[0], SETTINGS, strict=True):
        there = [row for row in rows if row.get("where") == SIMULATION and all(row["curves"])]
        own = [row for row in there if row["faults"] == faults]
        for number, row in enumerate(own):
            grid = np.linspace(0, row["steps"], 100)
            lines = np.array([np.interp(grid, *np.transpose(curve)) for curve in row["curves"]])
            shown = grid >= max(curve[0][0] for curve in row["curves"])
            name = f"without {row['without']}" if row["without"] else row["learner"]
            axis.plot(grid[shown], lines.mean(0)[shown], f"C{number}", label=name)
            if not row["without"]:
                ends = lines.min(0)[shown], lines.max(0)[shown]
                axis.fill_between(grid[shown], *ends, color=f"C{number}", alpha=0.2, lw=0)
        axis.set(title=f"dead cameras: {DEAD[faults]}", xlabel="steps of training")
        axis.grid(alpha=0.25)
    axes[0, 0].set_ylabel(f"steps of an episode, mean of {_WINDOW}")
    axes[0, 0].legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _episodes_until_short(lengths: Sequence[int]) -> int | None:
    """Return after how many episodes of training the mean of 50 fell below 4 steps; None: never."""
    if len(lengths) < _WINDOW:
        return None
    means = np.convolve(lengths, np.full(_WINDOW, 1 / _WINDOW), mode="valid")
    short = np.flatnonzero(means < _SHORT)
    return int(short[0]) + _WINDOW if short.size else None


def _read(path: Path, key: str) -> dict[str, Any]:
    data = read_json(path)
    if not isinstance(data, dict) or key not in data:
        raise UserError(f"{path} has no {key}; remove its folder, and the run is made again.")
    return data
