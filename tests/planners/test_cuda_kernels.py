"""The CUDA kernels without a GPU: compiled to PTX, and emulated thread by thread."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from asterias.errors import UserError
from planners.operator.cuda_kernels.nvrtc import SOURCE, compile_ptx, library
from planners.operator.value_iteration import value_iteration

EMULATION = Path(__file__).parent / "host_emulation.cpp"
# At 100 x 100 on sm_90, and at 35 x 35 in one block on sm_80.
LARGE = {"ACTIONS": 4, "FIELD": 3, "CELLS": 2, "THREADS": 640, "CLUSTER": 8}
SMALL = LARGE | {"CLUSTER": 1}


def nvrtc_or_skip() -> None:
    try:
        library()
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("architecture", "constants"), [("sm_80", SMALL), ("sm_90", LARGE)])
def test_the_kernels_compile_to_ptx(architecture: str, constants: dict[str, int]) -> None:
    nvrtc_or_skip()
    ptx = compile_ptx(SOURCE.read_text(), architecture, constants)
    assert f".target {architecture}" in ptx and ".visible .entry value_iteration" in ptx
    assert ("barrier.cluster.arrive" in ptx) == (constants["CLUSTER"] > 1)
    assert ("st.shared::cluster" in ptx) == (constants["CLUSTER"] > 1)
    assert ".local " not in ptx  # kernels of cells stay in registers


def test_what_does_not_compile_is_told() -> None:
    nvrtc_or_skip()
    with pytest.raises(UserError, match="does not compile the kernels for sm_80"):
        compile_ptx("__global__ void broken( {", "sm_80", {})


def emulate(program: Path, inputs: list[np.ndarray], depth: int, seed: int) -> np.ndarray:
    batch, height, width = inputs[1].shape
    head = np.array([batch, height, width, depth, seed], np.int32)
    data = b"".join([head.tobytes(), *(one.tobytes() for one in inputs)])
    done = subprocess.run([program], input=data, capture_output=True, check=True, timeout=60)
    return np.frombuffer(done.stdout, np.float32).reshape(batch, height, width)


@pytest.mark.parametrize(("cluster", "field"), [(1, 3), (4, 3), (3, 5)])
def test_blocks_and_barriers_compute_what_the_reference_does(
    tmp_path: Path, cluster: int, field: int
) -> None:
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler: the CUDA kernels are not emulated.")
    program = tmp_path / "emulation"
    constants = {"ACTIONS": 3, "FIELD": field, "CELLS": 2, "THREADS": 128 // cluster}
    words = [f"-D{name}={value}" for name, value in (constants | {"CLUSTER": cluster}).items()]
    words += ["-DHOST_EMULATION", f'-DVALUE_ITERATION="{SOURCE}"']
    subprocess.run(
        [compiler, "-std=c++17", "-Wno-unknown-pragmas", *words, EMULATION, "-o", program],
        check=True,
    )
    draw = torch.Generator().manual_seed(cluster)
    transition = torch.randn(2, 3, field**2, 11, 9, generator=draw).softmax(dim=2)
    reward, value = torch.randn(2, 2, 11, 9, generator=draw)
    inputs = [one.numpy() for one in (transition, reward, value)]
    for depth in (1, 2, 37):
        expected = value_iteration(transition, reward, depth, value=value, backend="reference")[0]
        found = emulate(program, inputs, depth, seed=0)
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-4)
        other = emulate(program, inputs, depth, seed=1)  # another order of the threads
        np.testing.assert_array_equal(found, other)
