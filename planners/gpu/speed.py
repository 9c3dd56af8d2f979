"""Times of the operator and of a training on a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from planners.gpu.checks import Operator, OperatorCase, chosen_geometries, kernels
from planners.mazes.datasets import MazeRule, generate_stratified
from planners.networks.base import observation
from planners.networks.registry import build
from planners.operator.arguments import OperatorInputs
from planners.operator.cuda_kernels.geometry import geometries
from planners.operator.cuda_kernels.launchers import GpuLauncher
from planners.operator.value_iteration import value_iteration
from planners.training.evaluation import parse_bins
from planners.training.losses import Labels, backward, layers_for
from planners.training.train_config import PRESETS
from planners.training.trainer import expert_labels

SIZES = ((15, 200), (35, 600), (100, 5000))
_BATCHES = (1, 256)
_STEP_BATCH = 4  # of the preset 100
_REPEATS = 10
_LONG_S = 2.0  # after which a measurement is not repeated


def fastest_s(work: Callable[[], Any]) -> float:
    """Return the least seconds of work on the GPU, after one that is not counted."""
    work()
    times: list[float] = []
    while len(times) < _REPEATS and sum(times) < _LONG_S:
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)


def programs(launcher: GpuLauncher) -> Iterator[dict[str, Any]]:
    """Build the program of each size.

    Yields:
        Its registers and how long it took.
    """
    for size, depth in SIZES:
        for geometry in geometries(
            OperatorCase(size, size, depth, (depth,)).sizes(), launcher.limits
        )[:1]:
            for tape in (False, True):
                start = time.perf_counter()
                launcher.build(geometry, tape=tape)
                row = {"size": size, "geometry": geometry._asdict(), "tape": tape}
                row["build_s"] = round(time.perf_counter() - start, 3)
                kernel = "backward" if tape else "forward"
                used, spilled = launcher.registers(geometry, kernel, tape=tape)
                yield row | {"kernel": kernel, "registers": used, "bytes_beside_them": spilled}


def _bodies(
    case: OperatorCase, launcher: GpuLauncher, others: dict[str, Operator]
) -> Iterator[tuple[str, dict[str, int], Operator]]:
    """Yield name, geometry and operator of all that can compute a case."""
    for geometry in chosen_geometries(case, launcher):
        yield "kernels", geometry._asdict(), kernels(launcher, geometry)
    for name, operator in others.items():
        yield name, {}, operator


def forward(
    launcher: GpuLauncher, others: dict[str, Operator], device: str
) -> Iterator[dict[str, Any]]:
    """Yield the time of a forward pass, for each size, batch and body."""
    for size, depth in SIZES:
        for batch in _BATCHES:
            case = OperatorCase(size, size, depth, (depth,), batch=batch)
            tensors = [one.to(device) for one in case.tensors()]
            inputs = OperatorInputs(tensors[0], tensors[1], tensors[2], depth, case.saved)
            for name, geometry, operator in _bodies(case, launcher, others):
                if name != "kernels" and batch > 1 and size == max(SIZES)[0]:
                    continue  # by count a second and more
                with torch.no_grad():
                    seconds = fastest_s(partial(operator, inputs))
                row = {"size": size, "depth": depth, "batch": batch, "body": name}
                row |= {"geometry": geometry, "ms": 1e3 * seconds}
                yield row | {"mazes_per_s": batch / seconds}


def _step(operator: Operator, case: OperatorCase, tensors: list[Tensor]) -> Callable[[], Any]:
    """Return forward and backward with loss at every tenth layer."""
    layers = layers_for("adaptive", case.depth, 10)

    def step() -> None:
        leaves = [one.detach().requires_grad_() for one in tensors]
        found = operator(OperatorInputs(leaves[0], leaves[1], leaves[2], case.depth, layers))
        found.sum().backward()  # type: ignore[no-untyped-call]

    return step


def _on_cpu(inputs: OperatorInputs) -> Tensor:
    settings = (inputs.depth, inputs.saved_layers)
    found = value_iteration(
        inputs.transition, inputs.reward, *settings, value=inputs.value, backend="cpu"
    )
    return found


def training_steps(
    launcher: GpuLauncher, others: dict[str, Operator], device: str
) -> Iterator[dict[str, Any]]:
    """Yield the time of a training step, beside that of all threads of this machine's processor."""
    for size, depth in SIZES:
        case = OperatorCase(size, size, depth, (depth,), batch=_STEP_BATCH)
        step = _step(_on_cpu, case, list(case.tensors()))
        step()
        start = time.perf_counter()
        step()
        on_cpu_s = time.perf_counter() - start
        tensors = [one.to(device) for one in case.tensors()]
        for name, geometry, operator in _bodies(case, launcher, others):
            seconds = fastest_s(_step(operator, case, tensors))
            row = {"size": size, "depth": depth, "batch": _STEP_BATCH, "body": name}
            row |= {"geometry": geometry, "ms": 1e3 * seconds, "cpu_ms": 1e3 * on_cpu_s}
            row |= {"cpu_threads": torch.get_num_threads()}
            yield row | {"times_as_fast": on_cpu_s / seconds}


def study(device: str, preset: str = "100") -> Iterator[dict[str, Any]]:
    """Yield the time of an update of a study, and of all its updates.

    Labels, encoding, loss and optimiser are in it; drawing the mazes and validation are not.
    """
    config = PRESETS[preset][1]
    edges = parse_bins(config.stratify)[:3]
    mazes = generate_stratified(MazeRule(config.size), edges, config.batch // 2, 0, block_size=16)
    network = build(config.model).to(device).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    maps = [one.to(device) for one in observation(mazes.mazes, mazes.goals)]
    layers = layers_for(config.loss, config.depth, config.stride)

    def update() -> None:
        optimiser.zero_grad()
        known = expert_labels(mazes)
        labels = Labels(known.lengths.to(device), known.optimal.to(device))
        backward(network, maps[0], maps[1], labels, config.depth, layers, config.loss)
        optimiser.step()

    seconds, updates = fastest_s(update), config.epochs * (config.mazes // config.batch)
    yield {"update_ms": 1e3 * seconds, "updates": updates, "seconds_of_study": seconds * updates}


def line(name: str, row: dict[str, Any]) -> str:
    """Return a row as a person reads it."""
    if name == "programs":
        return (
            "{size} x {size}, {kernel}: {registers} registers, {bytes_beside_them} bytes beside "
            "them, built in {build_s} s".format_map(row)
        )
    if name == "study":
        return (
            "study 100: {update_ms:.0f} ms an update, {seconds_of_study:.0f} s for {updates}"
        ).format_map(row)
    blocks = f" in {row['geometry']['cluster']} blocks" if row["geometry"] else ""
    text = f"{row['size']} x {row['size']} x {row['depth']}, batch {row['batch']}, {row['body']}"
    text += f"{blocks}: {row['ms']:.2f} ms"
    if name == "forward":
        return f"{text}, {row['mazes_per_s']:.0f} mazes/s"
    return f"{text} a training step, {row['times_as_fast']:.1f} times as fast as the processor"
