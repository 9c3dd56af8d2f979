"""Speed and memory of the operator against plain PyTorch.

And exact search beside the learned planner.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from asterias.errors import UserError
from asterias.files import write_json
from asterias.provenance import provenance
from planners.mazes.datasets import MazeRule, MazeSet, generate, generate_stratified
from planners.mazes.distances import distances, farthest_cell
from planners.networks.base import observation
from planners.networks.registry import build
from planners.networks.weights import WEIGHTS_FOLDER, load_weights
from planners.operator import reference
from planners.operator.two_threads.speed import two_threads_rows
from planners.operator.value_iteration import value_iteration
from planners.planning import exact_search as search
from planners.planning.anytime_bench import anytime_rows
from planners.training.losses import Labels, backward, layers_for


@dataclass
class BenchConfig:
    """Measure forward pass, training step and memory, single-threaded, and exact search."""

    sizes: str = "15x200,35x600,100x5000"
    """Map size x depth, with commas."""
    repeats: int = 5
    """Measurements of which the fastest counts."""
    budget_s: float = 20.0
    """Seconds after which a slow case is not repeated."""
    training_batch: int = 1
    """Mazes in a training step."""
    eager_layers: int = 300
    """Layers of the plain PyTorch training step; deeper ones are scaled up from it to save memory
    and time.
    """
    closed_form: bool = False
    """Measure the closed form of sparse_dt_vin_15 alone, beside breadth-first search."""
    anytime: int = 0
    """Mazes of 100 x 100 on which to measure anytime planning alone; 0 for none."""
    two_threads: bool = False
    """Measure the operator by one thread and by two alone, or with --anytime plans by two threads,
    by the clock of the wall.
    """
    memory: bool = True
    """Measure the memory of a training step at the last size."""
    json: Path | None = None
    """Where to write the result."""


def _unfolded(transition: Tensor, total: Tensor) -> Tensor:
    """Q by ``unfold``, multiply and sum: the reference body.

    Returns:
        Q ``(B, A, H, W)``.
    """
    return reference.action_values(transition, total, torch.zeros(()))


def _windows(transition: Tensor, total: Tensor) -> Tensor:
    """Q by strided windows of the padded map, multiply and sum.

    Returns:
        Q ``(B, A, H, W)``.
    """
    field = math.isqrt(transition.shape[2])
    padded = functional.pad(total, (field // 2,) * 4)
    windows = padded.unfold(1, field, 1).unfold(2, field, 1).permute(0, 3, 4, 1, 2)
    return (transition * windows.reshape(len(total), 1, -1, *total.shape[1:])).sum(dim=2)


def _shifted(transition: Tensor, total: Tensor) -> Tensor:
    """Q by one multiply-add of a shifted map per tap.

    Returns:
        Q ``(B, A, H, W)``.
    """
    field, (height, width) = math.isqrt(transition.shape[2]), total.shape[1:]
    padded = functional.pad(total, (field // 2,) * 4).unsqueeze(1)
    q = torch.zeros(())
    for tap in range(field**2):
        down, right = divmod(tap, field)
        shifted = padded[:, :, down : down + height, right : right + width]
        q = torch.addcmul(q, transition[:, :, tap], shifted)
    return q


# Natural ways to write a layer in PyTorch; each comparison is with the fastest.
EAGER = {"unfold": _unfolded, "windows": _windows, "shifted": _shifted}


def eager(form: str, transition: Tensor, reward: Tensor, depth: int, every: int) -> Tensor:
    """Return the sum of V over every so many layers, in plain PyTorch."""
    value, total = torch.zeros_like(reward), torch.zeros(())
    for layer in range(1, depth + 1):
        q = EAGER[form](transition, reward + value)
        value = q.max(dim=1).values if q.requires_grad else q.amax(dim=1)
        if layer % every == 0:
            total = total + value.sum()
    return total


def fastest(work: Callable[[], Any], repeats: int, budget_s: float) -> float:
    """Return the least seconds of CPU time that this thread needed for ``work``."""
    times: list[float] = []
    work()
    while len(times) < repeats and (not times or sum(times) < budget_s):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return min(times)


def bench(config: BenchConfig) -> Iterator[str]:
    """Yield one line per measurement; write all of them to ``config.json``."""
    torch.set_num_threads(1)
    sizes = _parse_sizes(config.sizes)
    if config.closed_form:
        yield from _bench_closed_form(config, sizes)
        return
    if config.anytime:
        yield from _bench_anytime(config)
        return
    if config.two_threads:
        yield from _bench_two_threads(config, sizes)
        return
    rows: list[dict[str, Any]] = []
    for size, depth in sizes:
        rows.append(_operator(config, size, depth))
        yield (
            "{size} x {size} x {depth}: forward {cpu_ms:.2f} ms, PyTorch ({eager_form}) "
            "{eager_ms:.1f} ms ({ratio:.1f} x); training step {train_ms:.2f} ms, PyTorch "
            "({eager_train_form}) {eager_train_ms:.0f} ms ({train_ratio:.1f} x)"
        ).format_map(rows[-1])
    searches = []
    for size, depth in sizes:
        searches.append(_searches(config, size, depth))
        yield (
            "{size} x {size}, {length} steps: BFS {bfs_ms:.3f} ms (all cells), "
            "A* {a_star_ms:.3f} ms, DT-VIN {dt_vin_ms:.1f} ms (all cells)".format_map(searches[-1])
        )
    clock = "CPU time of the measuring thread, fastest of the repeats"
    result: dict[str, Any] = {**provenance()}
    result |= {"threads": 1, "clock": clock}
    result |= {"operator": rows, "planners": searches}
    if config.memory:
        result["training_step_mb"] = training_memory_mb(*sizes[-1])
        yield f"memory of a training step at {sizes[-1]}, batch 1: {result['training_step_mb']} MB"
    if config.json:
        write_json(config.json, result, indent=1)


def _bench_anytime(config: BenchConfig) -> Iterator[str]:
    """Yield a line per network; write all of them to ``config.json``."""
    seed, rows, threads = 7_000_000, [], 2 if config.two_threads else 1
    torch.set_num_threads(threads)
    clock = time.perf_counter if config.two_threads else time.thread_time
    for row in anytime_rows(config.anytime, seed, clock):
        rows.append(row)
        yield (
            "{weights}: first answer after {first_ms[median]:.1f} ms, {first_layers[median]:.0f} "
            "layers ({first_within_5_ms:.0f} % within 5 ms), settled after {last_ms[median]:.1f} "
            "ms, {layers[median]:.0f} layers; all layers of the training: {whole_ms[median]:.1f} ms"
        ).format_map(row)
    if config.json:
        name = "wall" if config.two_threads else "CPU time of the measuring thread"
        result = {**provenance(seed), "threads": threads, "clock": name, "rows": rows}
        write_json(config.json, result, indent=1)


def _bench_two_threads(config: BenchConfig, sizes: list[tuple[int, int]]) -> Iterator[str]:
    """Yield a line per size; write all of them to ``config.json``."""
    rows = []
    for row in two_threads_rows(sizes, 4 * config.repeats):
        rows.append(row)
        yield (
            "{size} x {size} x {depth}: forward {forward_one_ms:.1f} ms by one thread, "
            "{forward_two_ms:.1f} by two (the second came in {forward_came:.0f} %); training step "
            "{train_one_ms:.1f} and {train_two_ms:.1f} ms ({train_came:.0f} %); processor time: "
            "forward {forward_cpu_ms:.1f}, one half {forward_half_cpu_ms:.1f}; training step "
            "{train_cpu_ms:.1f}, one half {train_half_cpu_ms:.1f} ms".format_map(row)
        )
    if config.json:
        clock = "wall, fastest of the repeats, one thread and two in turns"
        write_json(config.json, {**provenance(), "clock": clock, "rows": rows}, indent=1)


def _bench_closed_form(config: BenchConfig, sizes: list[tuple[int, int]]) -> Iterator[str]:
    """Yield a line per size; write all of them to ``config.json``."""
    network, _ = load_weights(WEIGHTS_FOLDER / "sparse_dt_vin_15.safetensors")
    rows = []
    for size, depth in sizes:
        rule = MazeRule(size, decimation=(0, min(1.0, 500 / size**2)))
        one = generate_stratified(rule, (size, size**2), 1, seed=size, block_size=8)
        maps, repeats = observation(one.mazes, one.goals), 20 * config.repeats

        def best(work: Callable[[], Any], repeats: int = repeats) -> float:
            return 1e3 * fastest(work, repeats, config.budget_s / 4)

        row: dict[str, Any] = {"size": size, "depth": depth}
        row |= {"length": int(distances(one.mazes, one.goals).max())}
        solved = best(partial(network.solve, *maps, depth))
        row |= {"closed_form_ms": solved, "bfs_ms": best(partial(distances, one.mazes, one.goals))}
        rows.append(row)
        yield (
            "{size} x {size} x {depth}: closed form {closed_form_ms:.3f} ms, breadth-first search "
            "{bfs_ms:.3f} ms".format_map(row)
        )
    if config.json:
        clock = "CPU time of the measuring thread, fastest of the repeats"
        result = {**provenance(), "threads": 1, "clock": clock, "rows": rows}
        write_json(config.json, result, indent=1)


def _parse_sizes(text: str) -> list[tuple[int, int]]:
    try:
        pairs = [part.split("x") for part in text.split(",")]
        return [(int(size), int(depth)) for size, depth in pairs]
    except ValueError:
        raise UserError(f"sizes are {text!r}: give size x depth, as in 15x200,35x600.") from None


def _operator(config: BenchConfig, size: int, depth: int) -> dict[str, Any]:
    draw = torch.Generator().manual_seed(size)
    batch = config.training_batch
    transition = torch.randn(batch, 4, 9, size, size, generator=draw).softmax(dim=2)
    reward = torch.randn(batch, size, size, generator=draw)

    def forward() -> None:
        with torch.no_grad():
            value_iteration(transition[:1], reward[:1], depth, backend="cpu")

    def eager_forward(form: str) -> None:
        with torch.no_grad():
            eager(form, transition[:1], reward[:1], depth, depth)

    def train() -> None:
        t, r = transition.clone().requires_grad_(), reward.clone().requires_grad_()
        keep = layers_for("adaptive", depth, 10)
        value_iteration(t, r, depth, keep, backend="cpu").sum().backward()  # type: ignore[no-untyped-call]

    def eager_train(form: str) -> None:
        t, r = transition.clone().requires_grad_(), reward.clone().requires_grad_()
        eager(form, t, r, part, 10).backward()  # type: ignore[no-untyped-call]

    def best(work: Callable[[], Any]) -> float:
        return 1e3 * fastest(work, config.repeats, config.budget_s)

    part = min(depth, config.eager_layers)
    row: dict[str, Any] = {"size": size, "depth": depth, "training_batch": batch}
    row["cpu_ms"] = best(forward)
    forms = {form: best(partial(eager_forward, form)) for form in EAGER}
    row["eager_ms"], row["eager_form"] = min((ms, form) for form, ms in forms.items())
    row["eager_forms_ms"] = forms
    row["ratio"] = row["eager_ms"] / row["cpu_ms"]
    row["train_ms"] = best(train)
    forms = {form: best(partial(eager_train, form)) * depth / part for form in EAGER}
    row["eager_train_ms"], row["eager_train_form"] = min((ms, form) for form, ms in forms.items())
    row["eager_train_forms_ms"] = forms
    row["eager_train_layers_measured"] = part
    row["train_ratio"] = row["eager_train_ms"] / row["train_ms"]
    return row


def _long_maze(size: int) -> MazeSet:
    """Draw a maze with a long path in it.

    Returns:
        The maze.
    """
    edges = {15: (40, 90), 35: (150, 400), 100: (1200, 1800)}.get(size, (size, size**2))
    return generate_stratified(MazeRule(size, decimation=(0, 0.1)), edges, 1, seed=size)


def _searches(config: BenchConfig, size: int, depth: int) -> dict[str, Any]:
    one = _long_maze(size)
    lengths = distances(one.mazes, one.goals)[0]
    start = farthest_cell(lengths)
    goal = (int(one.goals[0, 0]), int(one.goals[0, 1]))
    network = build("dt_vin").eval()
    maze, goals = observation(one.mazes, one.goals)

    def learned() -> None:
        with torch.no_grad():
            network(maze, goals, depth)

    def best(work: Callable[[], Any]) -> float:
        return 1e3 * fastest(work, 20 * config.repeats, config.budget_s / 4)

    return {
        "size": size,
        "length": int(lengths.max()),
        "bfs_ms": best(lambda: distances(one.mazes, one.goals)),
        "a_star_ms": best(lambda: search.a_star(one.mazes[0], start, goal)),
        "dt_vin_ms": best(learned),
        "dt_vin_layers": depth,
    }


def training_memory_mb(size: int, depth: int) -> int:
    """Return by how many megabytes a DT-VIN training step, batch 1.

    Raises the peak of a fresh process.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return int(pool.apply(_measure_memory, (size, depth)))


def _measure_memory(size: int, depth: int) -> float:
    torch.set_num_threads(1)
    _training_step(15, 20)  # libraries and compiled code are not the step's
    before = _peak_kb()
    _training_step(size, depth)
    return (_peak_kb() - before) / 1024


def _peak_kb() -> int:
    """Return the peak resident memory of this process, of which a parent's peak is no part."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def _training_step(size: int, depth: int) -> None:
    one = generate(MazeRule(size), 1, seed=0)
    lengths = distances(one.mazes, one.goals)
    optimal = torch.from_numpy(np.repeat((lengths > 0)[:, None], 4, axis=1).astype(np.float32))
    labels = Labels(torch.from_numpy(lengths), optimal)
    layers = layers_for("adaptive", depth, 10)
    backward(build("dt_vin"), *observation(one.mazes, one.goals), labels, depth, layers)
