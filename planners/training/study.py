"""Whole tables with one command.

Train every network of a size with several seeds, test them on the same fresh mazes, write what a
table needs.

A study can be stopped at any moment: finished runs are kept, a broken one goes on from its
checkpoint.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import tyro

from asterias.errors import UserError
from asterias.files import write_bytes, write_json
from asterias.provenance import provenance
from planners.mazes.action_sets import MOVES
from planners.mazes.datasets import MazeRule, MazeSet, generate, generate_stratified
from planners.networks.weights import load_weights, save_weights
from planners.training.checkpoints import CHECKPOINT
from planners.training.evaluation import Bin, greedy_actions, parse_bins, score
from planners.training.study_plans import PLANS, Case
from planners.training.train_config import PRESETS, TrainConfig
from planners.training.trainer import MAZES, WEIGHTS, PlannerTrainer


@dataclass
class StudyConfig:
    """Train and test all networks of a study: 15, 35, 61, 100 in this order, or one of a kind."""

    size: tyro.conf.Positional[str]
    """Study to run."""
    seeds: str = "0,1,2"
    """Seeds, with commas."""
    cases: str = ""
    """Cases to train, with commas; empty for all. All trained ones are tested."""
    out: Path = Path("runs/study")
    """Folder of the runs, one folder per size and case."""
    json: Path | None = None
    """Where to write the table."""
    threads: int = 0
    """Threads; 0 leaves the choice to PyTorch."""
    publish: Path | None = None
    """Folder for the weights of each network's best seed, best on its validation mazes."""

    @property
    def preset(self) -> str:
        """The preset that all runs of the study change."""
        return self.size.split("-")[0]


@dataclass(frozen=True)
class TrainingRun:
    """One training: a case and a seed."""

    case: Case
    config: TrainConfig
    preset: str

    @property
    def folder(self) -> Path:
        """Where it lives."""
        return self.config.out

    @property
    def finished(self) -> bool:
        """Whether it was trained to its end."""
        return (self.folder / "finished").is_file()

    def validation(self) -> float:
        """Return success plus optimality of its best weights on its validation mazes."""
        card = json.loads((self.folder / WEIGHTS).with_suffix(".json").read_text())
        return float(card["validation"]["mean"] + card["validation"]["optimal"])

    def command(self) -> str:
        """Return the command that does the same training alone."""
        words = ["python -m planners train", self.preset, f"--seed {self.config.seed}"]
        for name, value in self.case.changes.items():
            shown = f"'{value}'" if name in ("options", "stratify", "bins") else value
            words.append(f"--{name.replace('_', '-')} {shown}")
        if self.config.init_weights:
            words.append(f"--init-weights {self.config.init_weights}")
        return " ".join(words)


def runs_of(config: StudyConfig) -> list[TrainingRun]:
    """Return all runs of a study.

    Raises:
        UserError: the size or a case is unknown.
    """
    if config.size not in PLANS:
        raise UserError(f"study is {config.size!r}: choose one of {', '.join(PLANS)}.")
    cases = {case.name: case for case in PLANS[config.size].cases}
    wanted = config.cases.split(",") if config.cases else list(cases)
    unknown = [name for name in wanted if name not in cases]
    if unknown:
        raise UserError(f"study {config.size} has no {unknown[0]!r}, but {', '.join(cases)}.")
    seeds = [int(seed) for seed in config.seeds.split(",")]
    return [_run(config, cases[name], seed) for name in wanted for seed in seeds]


def _run(config: StudyConfig, case: Case, seed: int) -> TrainingRun:
    earlier = config.out / f"{case.init_case}_{seed}" / WEIGHTS if case.init_case else None
    preset = PRESETS[config.preset][1]
    folder = config.out / config.size / f"{case.name}_{seed}"
    broken = (folder / CHECKPOINT).is_file()
    changed: TrainConfig = replace(
        preset,
        **case.changes,
        out=folder,
        seed=seed,
        threads=config.threads,
        init_weights=earlier,
        tensorboard=False,
        resume=broken,
    )
    return TrainingRun(case, changed, config.preset)


def study(config: StudyConfig, train: Callable[[TrainConfig], PlannerTrainer]) -> Iterator[str]:
    """Train what is not trained yet, test what is; yield a line after each step.

    Yields:
        A line for each step.
    """
    for run in runs_of(config):
        if run.finished:
            continue
        trainer = train(run.config)
        progress = trainer.progress
        write_bytes(run.folder / "finished", json.dumps(asdict(progress)).encode())
        yield (
            f"{run.case.name} seed {run.config.seed}: {progress.update} updates, "
            f"{progress.seconds:.0f} s, {progress.cpu_seconds:.0f} s of processor time"
        )
    everything = [run for run in runs_of(replace(config, cases="")) if run.finished]
    tests = test_mazes(config, everything)
    rows = []
    for run in everything:
        rows.append(tested(run, tests, PLANS[config.size].bins))
        for name, result in rows[-1]["tests"].items():
            shares = " / ".join(f"{bin_['success']:.2f}" for bin_ in result["bins"])
            yield f"{run.case.name} seed {run.config.seed}, {name} mazes: {shares} %"
    if config.publish:
        for run in _best_seeds(everything):
            yield f"weights: {_publish(run, rows[everything.index(run)], config.publish)}"
    if config.json:
        write_json(config.json, _table(config, rows), indent=1)


def test_mazes(config: StudyConfig, runs: list[TrainingRun]) -> dict[str, MazeSet]:
    """Return fresh mazes, plain and stratified, of which none was seen by any of the runs."""
    plan, rule = PLANS[config.size], MazeRule(PRESETS[config.preset][1].size)
    seen = [MazeSet.load(run.folder / MAZES) for run in runs]
    edges = [0, *parse_bins(plan.bins)[1:]]
    return {
        "plain": generate(rule, plan.plain, 1_000_000, seen),
        "stratified": generate_stratified(
            rule, edges, plan.stratified, 2_000_000, MOVES[plan.moves], exclude=seen
        ),
    }


def tested(run: TrainingRun, tests: dict[str, MazeSet], bins: str) -> dict[str, Any]:
    """Return what the table says of one run."""
    network, card = load_weights(run.folder / WEIGHTS)
    progress = json.loads((run.folder / "finished").read_text())
    moves = MOVES[run.config.moves]
    results = {}
    for name, mazes in tests.items():
        depth, noise = run.config.depth, (run.config.noise, 3_000_000)
        actions = greedy_actions(network, mazes, depth, run.config.batch, noise=noise)
        rows: list[Bin] = score(actions, mazes, parse_bins(bins), moves)
        results[name] = {"mazes": len(mazes), "bins": [asdict(row) for row in rows]}
    return {
        "case": run.case.name,
        "about": run.case.about,
        "model": run.config.model,
        "depth": run.config.depth,
        "seed": run.config.seed,
        "command": run.command(),
        "parameters": sum(p.numel() for p in network.parameters()),
        "updates": progress["update"],
        "training_seconds": round(progress["seconds"], 1),
        "training_cpu_seconds": round(progress["cpu_seconds"], 1),
        "best_on_validation_after_s": card["seconds"],
        "threads": card["threads"],
        "tests": results,
    }


def _best_seeds(runs: list[TrainingRun]) -> list[TrainingRun]:
    """Return the run of each network that did best on its validation mazes; tests have no say."""
    best: dict[str, TrainingRun] = {}
    for run in runs:
        if run.case.name != run.config.model and not run.case.weights:
            continue  # a variant
        before = best.get(run.case.name)
        if before is None or run.validation() > before.validation():
            best[run.case.name] = run
    return list(best.values())


def _publish(run: TrainingRun, row: dict[str, Any], folder: Path) -> Path:
    network, card = load_weights(run.folder / WEIGHTS)
    path = folder / f"{run.case.weights or run.case.name}_{run.preset}.safetensors"
    added = {name: row[name] for name in ("command", "training_cpu_seconds", "tests")}
    save_weights(network, run.config.model, path, card | added)
    return path


def _table(config: StudyConfig, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "what": f"{config.preset} x {config.preset} mazes: success and optimality in per cent, "
        "from every reachable cell of mazes that no run has seen",
        **provenance(),
        "test_seeds": {"plain": 1_000_000, "stratified": 2_000_000},
        "summary": [_summary(name, rows) for name in dict.fromkeys(row["case"] for row in rows)],
        "runs": rows,
    }


def _summary(case: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and standard deviation over the seeds, bin by bin, on the stratified mazes."""
    chosen = [row for row in rows if row["case"] == case]
    bins = zip(*(row["tests"]["stratified"]["bins"] for row in chosen), strict=True)
    return {
        "case": case,
        "seeds": [row["seed"] for row in chosen],
        "training_seconds": _spread([row["training_seconds"] for row in chosen]),
        "training_cpu_seconds": _spread([row["training_cpu_seconds"] for row in chosen]),
        "bins": [
            {
                "lo": group[0]["lo"],
                "hi": group[0]["hi"],
                "starts": group[0]["starts"],
                "mazes": group[0]["mazes"],
                "success": _spread([one["success"] for one in group]),
                "optimal": _spread([one["optimal"] for one in group]),
            }
            for group in bins
        ],
    }


def _spread(numbers: list[float]) -> dict[str, float]:
    deviation = statistics.stdev(numbers) if len(numbers) > 1 else 0.0
    return {
        "mean": round(statistics.fmean(numbers), 4),
        "std": round(deviation, 4),
        "min": min(numbers),
    }
