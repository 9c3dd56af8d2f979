"""The operator on a GPU: compiled kernels where they fit, else Triton.

``cuda_kernels`` takes maps whose kernels fit into the registers of a cluster of thread blocks,
about 10,000 cells with four actions, and is built at run time by NVRTC. ``cuda_triton`` takes the
rest.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from torch import Tensor

from asterias.errors import UserError
from planners.operator.arguments import OperatorInputs, sizes_of
from planners.operator.cuda_kernels import nvrtc
from planners.operator.cuda_kernels.geometry import geometries
from planners.operator.cuda_kernels.launchers import GpuLauncher
from planners.operator.cuda_kernels.recursion import value_iteration as by_kernels


def is_available() -> bool:
    """Return whether there is anything to compile the kernels with."""
    return find_spec("triton") is not None or _has_nvrtc()


def value_iteration(inputs: OperatorInputs) -> Tensor:
    """Return V after the saved layers: ``(len(saved_layers), B, H, W)``; gradients are exact.

    Raises:
        UserError: the kernels do not take such a call, or cannot be built, and Triton is missing.
    """
    device = inputs.reward.device
    if device.type == "cuda" and inputs.forced is None and _has_nvrtc():
        launcher = launcher_of(device.index or 0)
        sizes = sizes_of("cuda", inputs.transition, inputs.reward, inputs.value)
        for geometry in geometries(sizes, launcher.limits)[:1]:
            return by_kernels(inputs, launcher, geometry)
    if find_spec("triton") is None:
        raise UserError(
            "the GPU backend of value_iteration needs Triton for this call: pip install triton, or "
            "use the backend 'reference'."
        )
    from planners.operator import cuda_triton

    result: Tensor = cuda_triton.value_iteration(inputs)
    return result


@cache
def launcher_of(device: int) -> GpuLauncher:
    """Return what launches on a GPU; programs are compiled once."""
    return GpuLauncher(device)


@cache
def _has_nvrtc() -> bool:
    try:
        nvrtc.library()
    except UserError:
        return False
    return True
