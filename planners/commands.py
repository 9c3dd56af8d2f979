"""Commands of ``python -m planners``, each of which imports only what it needs."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import tyro

from asterias.cli import plain_text

Config = TypeVar("Config")


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
    """depth_first, kruskal, wilson, obstacles, rooms, warehouse or streets."""
    stratify: str = ""
    """Edges of longest-path bins to fill evenly, as in 0,600,1200,1800; empty for plain sampling.
    """
    exclude: tuple[Path, ...] = ()
    """Maze files whose layouts must not come again."""


def mazes(arguments: list[str], program: str) -> int:
    """Write a maze file.

    Returns:
        The exit code.
    """
    from planners.mazes.datasets import MazeRule, MazeSet, generate, generate_stratified
    from planners.training.evaluation import parse_bins

    config = tyro.cli(MazesConfig, args=arguments, prog=program)
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


def train(arguments: list[str], program: str) -> int:
    """Train with a progress bar; Ctrl-C and a polite kill leave a checkpoint.

    Returns:
        The exit code.
    """
    from planners.training import trainer as training
    from planners.training.train_config import PRESETS

    config = tyro.extras.overridable_config_cli(
        PRESETS, args=arguments, prog=program, description=plain_text(train.__doc__)
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


def evaluate(arguments: list[str], program: str) -> int:
    """Score weights and print a table.

    Returns:
        The exit code.
    """
    from rich.console import Console
    from rich.table import Table

    from planners.training import evaluation

    config = tyro.cli(evaluation.EvaluateConfig, args=arguments, prog=program)
    result = evaluation.evaluate(config)
    title = "{model}, {size} x {size}, {depth} layers, {seconds} s".format_map(result)
    table = Table("steps", "starts", "mazes", "success %", "optimal %", title=title)
    for row in result["bins"]:  # type: ignore[attr-defined]
        span = f"{row['lo']}-{row['hi']}"
        shares = (f"{row['success']:.2f}", f"{row['optimal']:.2f}")
        table.add_row(span, str(row["starts"]), str(row["mazes"]), *shares)
    Console().print(table)
    return 0


def plan(arguments: list[str], program: str) -> int:
    """Plan one path; exit code 0 only if the goal is reached.

    Returns:
        The exit code.
    """
    from planners.planning import plan_command

    config = tyro.cli(plan_command.PlanConfig, args=arguments, prog=program)
    return plan_command.plan(config)


def study(arguments: list[str], program: str) -> int:
    """Train and test a whole table; a stopped study goes on with the same command.

    Returns:
        The exit code.
    """
    from planners.training import study
    from planners.training.progress import train_with_display

    config = tyro.cli(study.StudyConfig, args=arguments, prog=program)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.default_int_handler)
    try:
        for line in study.study(config, train_with_display):
            print(line, flush=True)
    except KeyboardInterrupt:
        print("\nstopped; go on with the same command", file=sys.stderr)
        return 130
    return 0


def _print_lines(
    config_type: type[Config],
    measure: Callable[[Config], Iterable[str]],
    arguments: list[str],
    program: str,
) -> int:
    """Return the exit code, after measuring what the options say and printing each line at once."""
    for line in measure(tyro.cli(config_type, args=arguments, prog=program)):
        print(line, flush=True)
    return 0


def transfer(arguments: list[str], program: str) -> int:
    """Score weights on mazes larger than those of their training.

    Returns:
        The exit code.
    """
    from planners.training import transfer as transfers

    return _print_lines(transfers.TransferConfig, transfers.transfer, arguments, program)


def scale(arguments: list[str], program: str) -> int:
    """Score weights on suites of larger mazes and other kinds of maps.

    Returns:
        The exit code.
    """
    from planners.training import scaling

    return _print_lines(scaling.ScaleConfig, scaling.scale, arguments, program)


def compare(arguments: list[str], program: str) -> int:
    """Measure grid planners that people use beside ours.

    Returns:
        The exit code.
    """
    from planners.training import comparison

    return _print_lines(comparison.CompareConfig, comparison.compare, arguments, program)


def neural_a_star(arguments: list[str], program: str) -> int:
    """Train and score Neural A*; what is trained is kept.

    Returns:
        The exit code.
    """
    from planners.neural_a_star import study

    return _print_lines(study.NeuralAStarConfig, study.neural_a_star, arguments, program)


def terrain(arguments: list[str], program: str) -> int:
    """Train and score planning on pictures of terrain; what is trained is kept.

    Returns:
        The exit code.
    """
    from planners.terrain import study as terrains

    return _print_lines(terrains.TerrainConfig, terrains.terrain, arguments, program)


def gates(arguments: list[str], program: str) -> int:
    """Measure gradients through layers and gates.

    Returns:
        The exit code.
    """
    from planners.training import gate_health

    return _print_lines(gate_health.GateHealthConfig, gate_health.gate_health, arguments, program)


def bench(arguments: list[str], program: str) -> int:
    """Measure and print.

    Returns:
        The exit code.
    """
    from planners.training import benchmark

    return _print_lines(benchmark.BenchConfig, benchmark.bench, arguments, program)


def gpu(arguments: list[str], program: str) -> int:
    """Build, check and time the operator's kernels.

    Returns:
        The exit code.
    """
    from planners.gpu import measure

    return _print_lines(measure.GpuConfig, measure.gpu, arguments, program)


def warm(arguments: list[str], program: str) -> int:
    """Compile what would otherwise be compiled at the first use.

    Returns:
        The exit code.
    """
    from planners.training import jit_warmup as warm

    tyro.cli(warm.WarmConfig, args=arguments, prog=program)
    warm.warm()
    return 0
