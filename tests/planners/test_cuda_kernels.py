"""The CUDA kernels without a GPU: compiled for GPUs, and emulated thread by thread."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from asterias.errors import UserError
from planners.__main__ import main
from planners.gpu import checks, measure, speed
from planners.gpu.checks import OperatorCase
from planners.networks.dt_vin import DTVIN
from planners.operator.arguments import Sizes
from planners.operator.cuda_kernels import launchers, nvrtc
from planners.operator.cuda_kernels.geometry import GpuLimits, LaunchGeometry, geometries
from planners.operator.cuda_kernels.launchers import EmulatingLauncher, GpuLauncher
from planners.operator.cuda_kernels.nvrtc import SOURCE, compile_cubin, compile_ptx, library

H100, A100 = GpuLimits(232_448, clusters=True), GpuLimits(166_912, clusters=False)
CASE = OperatorCase(11, 9, 17, (3, 10, 17))
CLUSTER = LaunchGeometry(4, 3, 2, 17, 3)


def nvrtc_or_skip() -> None:
    try:
        library()
    except UserError as error:
        pytest.skip(str(error))


def emulation(seed: int = 0) -> EmulatingLauncher:
    try:
        return EmulatingLauncher(seed)
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("architecture", measure.PROGRAMS)
def test_the_kernels_compile_for_gpus(architecture: str) -> None:
    nvrtc_or_skip()
    geometry, source = measure.PROGRAMS[architecture], SOURCE.read_text()
    ptx = compile_ptx(source, architecture, geometry.constants(tape=True))
    assert f".target {architecture}" in ptx
    for kernel in ("value_iteration_forward", "value_iteration_backward"):
        assert f".visible .entry {kernel}" in ptx
    assert ("barrier.cluster.arrive" in ptx) == (geometry.cluster > 1)
    assert ("st.shared::cluster" in ptx) == (geometry.cluster > 1)
    assert ".local " not in ptx  # kernels of cells stay in registers
    code = compile_cubin(source, architecture, geometry.constants(tape=False))
    assert code.startswith(b"\x7fELF")


def test_what_does_not_compile_is_told() -> None:
    nvrtc_or_skip()
    with pytest.raises(UserError, match="does not compile the kernels for sm_80"):
        compile_ptx("__global__ void broken( {", "sm_80", {})


def test_a_missing_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="NVRTC is missing: pip install"):
        library()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"install g\+\+"):
        EmulatingLauncher()


@pytest.mark.parametrize(
    ("case", "geometry"),
    [
        (CASE, CLUSTER),
        (OperatorCase(8, 13, 12, (12,), actions=3, shared=True), LaunchGeometry(3, 3, 1, 104, 1)),
        (OperatorCase(10, 12, 10, (5, 10), actions=3, field=5), LaunchGeometry(3, 5, 2, 30, 2)),
    ],
)
def test_blocks_and_barriers_compute_what_the_reference_does(
    case: OperatorCase, geometry: LaunchGeometry
) -> None:
    expected = checks.run(case, checks.reference)
    for seed in (0, 1):  # another order of the threads
        found = checks.run(case, checks.kernels(emulation(seed), geometry))
        assert max(checks.errors(found, expected)) < 1e-5


def test_values_alone_need_no_tape() -> None:
    operator = checks.kernels(emulation(), CLUSTER)
    transition, reward, value = CASE.tensors()
    inputs = checks.OperatorInputs(transition, reward, value, CASE.depth, CASE.saved)
    with torch.no_grad():
        torch.testing.assert_close(operator(inputs), checks.reference(inputs))


def test_the_emulation_sees_a_missing_barrier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulation()
    line = "    barrier();  // after the last, too"
    assert line in SOURCE.read_text()
    broken = tmp_path / "broken.cu"
    broken.write_text(SOURCE.read_text().replace(line, "  //"))
    monkeypatch.setattr(launchers, "SOURCE", broken)
    geometry = LaunchGeometry(4, 3, 2, 18, 3)  # compiled programs are kept by geometry
    expected = checks.run(CASE, checks.reference)
    found = checks.run(CASE, checks.kernels(EmulatingLauncher(), geometry))
    assert not max(checks.errors(found, expected)) < checks.TOLERANCE  # wrong, or no number


def test_maps_are_spread_over_a_gpu() -> None:
    hundred, little = Sizes(1, 100, 100, 4, 3, 1, False), Sizes(9, 15, 15, 4, 3, 9, False)
    assert geometries(hundred, H100)[0] == LaunchGeometry(4, 3, 2, 640, 8)
    assert geometries(hundred, A100) == []  # no clusters: left to Triton
    assert geometries(little, A100)[0].cluster == 1
    assert geometries(hundred._replace(field=7), H100) == []
    for sizes in (hundred, little, hundred._replace(height=102, width=102)):
        for one in geometries(sizes, H100):
            assert one.cells * one.threads * one.cluster >= sizes.height * sizes.width
            assert 4 * one.shared_floats(sizes, backward=True) <= H100.shared_bytes


def test_without_a_gpu_the_command_says_so_and_emulates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["gpu"]) == 2
    said = capsys.readouterr()
    assert "sees no GPU here" in said.err and len(said.err.strip().splitlines()) == 1
    emulation()
    monkeypatch.setattr(checks, "SMALL", (CASE,))
    monkeypatch.setattr(checks, "small_geometries", lambda *_: [CLUSTER])
    out = tmp_path / "gpu.json"
    assert main(["gpu", "--emulate", "--json", str(out)]) == 0
    assert "all 2 checks agree" in capsys.readouterr().out and '"emulated"' in out.read_text()


class FakeGpu(EmulatingLauncher):
    """Stands in for a GPU."""

    architecture = "sm_90"

    def registers(self, *_: object, **__: object) -> tuple[int, int]:
        return 96, 0


def test_all_that_is_measured_on_a_gpu_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    emulation()
    case = CASE._replace(depth=4, saved=(4,))
    for name in ("SMALL", "LARGE"):
        monkeypatch.setattr(checks, name, (case, case))
    for module in (checks, speed):
        monkeypatch.setattr(module, "chosen_geometries", lambda *_: [CLUSTER])
    monkeypatch.setattr(speed, "geometries", lambda *_: [CLUSTER])
    monkeypatch.setattr(speed, "SIZES", ((9, 3),))
    monkeypatch.setattr(speed, "_BATCHES", (1, 2))
    monkeypatch.setattr(speed, "_REPEATS", 1)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    # As on a GPU: the fused loss of the CPU, which compiles for a minute, is not taken.
    monkeypatch.setattr(DTVIN, "linear_policy", lambda self: None)
    real = speed.study
    monkeypatch.setattr(speed, "study", lambda where: real(where, "15"))
    report = measure.GpuReport(60.0)
    lines = list(measure._on_gpu(FakeGpu(), "cpu", report))  # type: ignore[arg-type]
    assert {"checks", "programs", "forward", "training_steps", "study"} <= set(report.result)
    assert all(row["agrees"] for row in report.result["checks"])
    assert report.result["aims"]["study_100_s"]["measured"] > 0
    assert any("mazes/s" in line for line in lines)
    late = measure.GpuReport(-1.0)
    assert list(late.rows("checks", iter([{"agrees": True}]))) == []
    assert late.result["left_out"] == ["checks"]


FAKE_DRIVER = """
#include <cstring>
#include <string>
#include "EMULATION"
static std::string loaded, got;
static int shared_bytes;
extern "C" {
int cuDeviceGetAttribute(int* value, int number, int) {
  *value = number == 97 ? 232448 : number == 75 ? 9 : number == 120;
  return 0;
}
int cuModuleLoadData(void** module, const char* code) {
  loaded = code, *module = &loaded;
  return loaded == "code for sm_90" ? 0 : 200;
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
  got = name, *function = &got;
  return module == &loaded ? 0 : 500;
}
int cuFuncSetAttribute(void* function, int attribute, int value) {
  shared_bytes = value;
  return function == &got && attribute == 8 ? 0 : 1;
}
int cuFuncGetAttribute(int* value, int attribute, void*) { *value = attribute; return 0; }
int cuGetErrorString(int, const char** text) { *text = "made up"; return 0; }
int cuLaunchKernel(void*, unsigned x, unsigned y, unsigned z, unsigned tx, unsigned ty, unsigned tz,
                   unsigned shared, void*, void** parameters, void**) {
  if (x % CLUSTER || y * z * ty * tz != 1 || tx != THREADS || shared != unsigned(shared_bytes))
    return 1;
  const auto run = got == "value_iteration_forward" ? launch_forward : launch_backward;
  return run(parameters, x / CLUSTER, shared / 4, 0);
}
}
"""


def test_the_driver_is_called_as_it_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emulation()
    source, driver = tmp_path / "driver.cpp", tmp_path / "driver.so"
    source.write_text(FAKE_DRIVER.replace("EMULATION", str(launchers._EMULATION)))
    words = [f"-D{name}={value}" for name, value in CLUSTER.constants(tape=True).items()]
    words += ["-DHOST_EMULATION", f'-DVALUE_ITERATION="{SOURCE}"', "-std=c++17", "-w"]
    compiler = shutil.which("g++") or "clang++"
    subprocess.run([compiler, *words, "-fPIC", "-shared", source, "-o", driver], check=True)
    monkeypatch.setattr(
        launchers, "compile_cubin", lambda _, architecture, __: f"code for {architecture}".encode()
    )
    gpu = GpuLauncher(0, str(driver))
    assert gpu.architecture == "sm_90" and gpu.limits == H100
    assert gpu.registers(CLUSTER, "forward", tape=True) == (4, 3)
    found = checks.run(CASE, checks.kernels(gpu, CLUSTER))
    assert max(checks.errors(found, checks.run(CASE, checks.reference))) < 1e-5
    monkeypatch.setattr(launchers, "compile_cubin", lambda *_: b"other")
    with pytest.raises(UserError, match=r"driver failed \(200\): made up"):
        gpu.build(CLUSTER, tape=False)
    with pytest.raises(UserError, match="no driver of NVIDIA here"):
        GpuLauncher(0, str(tmp_path / "none.so"))
