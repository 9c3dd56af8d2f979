"""Kernels for GPUs against the reference: values and gradients, on a GPU or emulated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from planners.operator.arguments import OperatorInputs, Sizes
from planners.operator.cuda_kernels.geometry import LaunchGeometry, geometries
from planners.operator.cuda_kernels.launchers import Launcher
from planners.operator.cuda_kernels.recursion import value_iteration as by_kernels
from planners.operator.value_iteration import value_iteration

# Largest error relative to the largest value. Sums of a few dozen float32 in another order differ
# by 1e-7 of them; what is wrong differs by far more.
TOLERANCE = 1e-4

Operator = Callable[[OperatorInputs], Tensor]


class OperatorCase(NamedTuple):
    """One call of the operator."""

    height: int
    width: int
    depth: int
    saved: tuple[int, ...]
    batch: int = 2
    actions: int = 4
    field: int = 3
    shared: bool = False
    """One kernel for all cells and mazes."""

    def sizes(self) -> Sizes:
        """Return the sizes of its arrays."""
        kernels = 1 if self.shared else self.batch
        sizes = (self.batch, self.height, self.width, self.actions, self.field)
        return Sizes(*sizes, kernels, self.shared)

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return transition, reward and value, the same at each call."""
        draw = torch.Generator().manual_seed(self.height + self.depth)
        cells = (1, 1) if self.shared else (self.height, self.width)
        shape = (1 if self.shared else self.batch, self.actions, self.field**2, *cells)
        transition = (2 * torch.randn(shape, generator=draw)).softmax(dim=2)
        reward, value = torch.randn(2, self.batch, self.height, self.width, generator=draw)
        return transition, reward, value


# Small: what an emulation does in seconds. Sizes that fill no block evenly, all kinds of kernels.
SMALL = (
    OperatorCase(11, 9, 23, (3, 10, 23)),
    OperatorCase(8, 13, 12, (12,), actions=3, shared=True),
    OperatorCase(9, 10, 9, (1, 9), batch=1, actions=9),
    OperatorCase(10, 12, 10, (5, 10), actions=3, field=5),
)
# Those that people plan on, for a GPU.
LARGE = (
    OperatorCase(15, 15, 200, (50, 200), batch=4),
    OperatorCase(35, 35, 600, (20, 600), batch=4),
    OperatorCase(37, 37, 100, (100,), actions=9),
    OperatorCase(100, 100, 300, (100, 300)),
)


def run(case: OperatorCase, operator: Operator, device: str = "cpu") -> list[Tensor]:
    """Return what a body makes of a case: V, then the gradients of T, R and V, on the CPU."""
    leaves = [one.to(device).requires_grad_() for one in case.tensors()]
    transition, reward, value = leaves
    found = operator(OperatorInputs(transition, reward, value, case.depth, case.saved))
    weights = torch.linspace(-1, 1, found.numel()).view(found.shape).to(device)
    (found * weights).sum().backward()  # type: ignore[no-untyped-call]
    gradients = [one.grad for one in leaves]
    return [found.detach().cpu(), *(one.cpu() for one in gradients if one is not None)]


def reference(inputs: OperatorInputs) -> Tensor:
    """Return what plain PyTorch makes of a call."""
    settings = (inputs.depth, inputs.saved_layers)
    return value_iteration(
        inputs.transition, inputs.reward, *settings, value=inputs.value, backend="reference"
    )


def errors(found: list[Tensor], expected: list[Tensor]) -> list[float]:
    """Return the largest error of each array, relative to its largest value."""
    pairs = zip(found, expected, strict=True)
    return [float((a - b).abs().max() / b.abs().max().clamp(min=1e-9)) for a, b in pairs]


def chosen_geometries(case: OperatorCase, launcher: Launcher) -> list[LaunchGeometry]:
    """Return the geometry that is taken for a case, and the first of each other cluster size."""
    found: dict[int, LaunchGeometry] = {}
    for one in geometries(case.sizes(), launcher.limits):
        found.setdefault(one.cluster, one)
    return list(found.values())


def small_geometries(case: OperatorCase, _: Launcher) -> list[LaunchGeometry]:
    """Return geometries for an emulation: one block, and several with two cells a thread."""
    area, found = case.height * case.width, []
    for cluster, cells in ((1, 1), (3 if case.field == 3 else 2, 2)):
        threads = -(-area // (cluster * cells))
        found.append(LaunchGeometry(case.actions, case.field, cells, threads, cluster))
    return found


def check(case: OperatorCase, name: str, operator: Operator, device: str) -> dict[str, Any]:
    """Return the row of one check."""
    expected = run(case, reference)
    worst = errors(run(case, operator, device), expected)
    names = ("value", "grad_transition", "grad_reward", "grad_value")
    return {
        "case": case._asdict(),
        "body": name,
        "errors": dict(zip(names, worst, strict=True)),
        "agrees": max(worst) <= TOLERANCE,
    }


def check_kernels(
    cases: tuple[OperatorCase, ...],
    launchers: tuple[Launcher, ...],
    geometries_of: Callable[[OperatorCase, Launcher], list[LaunchGeometry]],
    device: str,
) -> Iterator[dict[str, Any]]:
    """Yield a row for each case, geometry and launcher.

    Args:
        cases: to check.
        launchers: emulations differ in the order of their threads.
        geometries_of: which to check of a case.
        device: where the launchers run.
    """
    for case in cases:
        for geometry in geometries_of(case, launchers[0]):
            for launcher in launchers:
                operator = kernels(launcher, geometry)
                row = check(case, "kernels", operator, device)
                yield row | {"geometry": geometry._asdict()}


def kernels(launcher: Launcher, geometry: LaunchGeometry) -> Operator:
    """Return the operator by kernels of a geometry."""
    return lambda inputs: by_kernels(inputs, launcher, geometry)
