"""Command line: ``python -m planners mazes | train | evaluate | study | transfer | plan | bench |
warm``; each verb knows ``--help``. The mapper is trained by ``python -m learning.doom_maze
mapper``.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tyro

USAGE = """usage: python -m planners VERB ...

  mazes     draw a set of mazes             mazes --out test.npz --size 15
  train     train a planner from a preset   train 15 --out runs/15
  evaluate  score weights on mazes          evaluate --weights W --mazes test.npz
  study     train and test a whole table    study 15 --json results/planners/maze_15.json
  transfer  score weights on larger mazes   transfer --weights W --sizes 201,501
  plan      plan through one maze, draw it  plan --maze maze.png --start 1,1 --goal 13,13
  bench     measure speed and memory        bench
  warm      compile ahead of first use      warm

Each verb explains its options with --help."""


@dataclass
class MazesConfig:
    """Draw a set of mazes and write it as .npz."""

    out: Path
    """File to write."""
    size: int = 15
    """Rows and columns."""
    count: int = 1000
    """Mazes, or mazes per bin with --stratify."""
    seed: int = 1_000_000
    """Seed."""
    kind: str = "depth_first"
    """depth_first, kruskal, wilson, obstacles or rooms."""
    stratify: str = ""
    """Edges of longest-path bins to fill evenly, as in 0,600,1200,1800; empty for plain sampling.
    """
    exclude: tuple[Path, ...] = ()
    """Maze files whose layouts must not come again."""


def mazes(arguments: list[str]) -> int:
    """Write a maze file."""
    from planners.mazes.datasets import MazeRule, MazeSet, generate, generate_stratified
    from planners.training.evaluation import parse_bins

    config = tyro.cli(MazesConfig, args=arguments, prog="python -m planners mazes")
    rule = MazeRule(config.size, config.kind)  # type: ignore[arg-type]
    exclude = [MazeSet.load(path) for path in config.exclude]
    if config.stratify:
        edges = parse_bins(config.stratify)
        drawn = generate_stratified(rule, edges, config.count, config.seed, exclude=exclude)
    else:
        drawn = generate(rule, config.count, config.seed, exclude)
    drawn.save(config.out)
    print(f"{len(drawn)} mazes of {config.size} x {config.size} written to {config.out}")
    return 0


def train(arguments: list[str]) -> int:
    """Train with a progress bar; Ctrl-C and a polite kill leave a checkpoint."""
    from planners.training import trainer as training

    config = tyro.extras.overridable_config_cli(
        training.PRESETS, args=arguments, prog="python -m planners train"
    )
    from planners.training.progress import train_with_display

    for name in (signal.SIGINT, signal.SIGTERM):  # also where a shell has masked Ctrl-C
        signal.signal(name, signal.default_int_handler)
    try:
        trainer = train_with_display(config)
    except KeyboardInterrupt:
        print(f"\nstopped; go on with: train ... --out {config.out} --resume", file=sys.stderr)
        return 130
    if trainer.rank:
        return 0
    last = trainer.progress.history[-1]
    print(f"trained in {trainer.progress.seconds:.0f} s; validation {last}")
    print(f"weights: {config.out / training.WEIGHTS}")
    return 0


def evaluate(arguments: list[str]) -> int:
    """Score weights and print a table."""
    from rich.console import Console
    from rich.table import Table

    from planners.training import evaluation

    config = tyro.cli(evaluation.EvaluateConfig, args=arguments, prog="python -m planners evaluate")
    result = evaluation.evaluate(config)
    title = "{model}, {size} x {size}, {depth} layers, {seconds} s".format_map(result)
    table = Table("steps", "starts", "mazes", "success %", "optimal %", title=title)
    for row in result["bins"]:  # type: ignore[attr-defined]
        span = f"{row['lo']}-{row['hi']}"
        shares = (f"{row['success']:.2f}", f"{row['optimal']:.2f}")
        table.add_row(span, str(row["starts"]), str(row["mazes"]), *shares)
    Console().print(table)
    return 0


def plan(arguments: list[str]) -> int:
    """Plan one path; exit code 0 only if the goal is reached."""
    from planners.planning import plan_command

    config = tyro.cli(plan_command.PlanConfig, args=arguments, prog="python -m planners plan")
    return plan_command.plan(config)


def study(arguments: list[str]) -> int:
    """Train and test a whole table; a stopped study goes on with the same command."""
    from planners.training import study
    from planners.training.progress import train_with_display

    config = tyro.cli(study.StudyConfig, args=arguments, prog="python -m planners study")
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.default_int_handler)
    try:
        for line in study.study(config, train_with_display):
            print(line, flush=True)
    except KeyboardInterrupt:
        print("\nstopped; go on with the same command", file=sys.stderr)
        return 130
    return 0


def transfer(arguments: list[str]) -> int:
    """Score weights on mazes larger than those of their training."""
    from planners.training import transfer as transfers

    config = tyro.cli(transfers.TransferConfig, args=arguments, prog="python -m planners transfer")
    for line in transfers.transfer(config):
        print(line, flush=True)
    return 0


def bench(arguments: list[str]) -> int:
    """Measure and print."""
    from planners.training import benchmark

    config = tyro.cli(benchmark.BenchConfig, args=arguments, prog="python -m planners bench")
    for line in benchmark.bench(config):
        print(line, flush=True)
    return 0


def warm(arguments: list[str]) -> int:
    """Compile what would otherwise be compiled at the first use."""
    from planners.training import jit_warmup as warm

    tyro.cli(warm.WarmConfig, args=arguments, prog="python -m planners warm")
    warm.warm()
    return 0


VERBS: dict[str, Callable[[list[str]], int]] = {
    "mazes": mazes,
    "train": train,
    "evaluate": evaluate,
    "study": study,
    "transfer": transfer,
    "plan": plan,
    "bench": bench,
    "warm": warm,
}


def main(arguments: list[str]) -> int:
    """Run a verb; input that makes no sense ends in one sentence and exit code 2."""
    if arguments[:1] == ["mapper"]:
        print("The mapper is trained by: python -m learning.doom_maze mapper", file=sys.stderr)
        return 2
    if not arguments or arguments[0] not in VERBS:
        print(USAGE)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    try:
        return VERBS[arguments[0]](arguments[1:])
    except (ValueError, NotImplementedError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
