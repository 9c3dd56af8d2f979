"""The verb ``gpu``: build, check and time the kernels, or check them by emulation.

Made to be run once, by somebody who has a GPU: one command, below eight minutes, and a file with
all that it found. Parts for which the time does not suffice are named as left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from asterias.cli import check_file
from asterias.errors import UserError
from asterias.files import write_json
from asterias.provenance import provenance
from planners.gpu import checks, speed
from planners.operator.cuda_kernels import nvrtc
from planners.operator.cuda_kernels.geometry import LaunchGeometry
from planners.operator.cuda_kernels.launchers import EmulatingLauncher, GpuLauncher

# What is compiled where there is no GPU: 100 x 100 cells on an H100, 35 x 35 on an A100.
PROGRAMS = {"sm_80": LaunchGeometry(4, 3, 2, 640, 1), "sm_90": LaunchGeometry(4, 3, 2, 640, 8)}
# Aims, in the units of the rows that they are held against.
AIMS = {
    "forward_100x100x5000_ms": (10.0, "at most"),
    "mazes_per_s_100x100x5000_batch_256": (2000.0, "at least"),
    "training_step_100x100x5000_times_as_fast": (20.0, "at least"),
    "study_100_s": (120.0, "at most"),
}


@dataclass
class GpuConfig:
    """Build, check and time the operator on a GPU: below 8 minutes, and all of it in one file.

    Without a GPU it says so and ends with exit code 2; --emulate checks the kernels there.
    """

    json: Path | None = None
    """Where to write the result."""
    emulate: bool = False
    """Check the kernels without a GPU: compiled by NVRTC if it is there, and run in fibres."""
    device: int = 0
    """Number of the GPU."""
    budget_s: float = 420.0
    """Seconds after which nothing more is begun."""


@dataclass
class GpuReport:
    """What has been found so far."""

    budget_s: float
    begun_s: float = field(default_factory=time.monotonic)
    result: dict[str, Any] = field(default_factory=dict)

    def is_over(self) -> bool:
        """Return whether nothing more may begin."""
        return time.monotonic() - self.begun_s > self.budget_s

    def rows(self, name: str, found: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Keep rows under a name; what the time does not suffice for is left out.

        Yields:
            Each row.
        """
        kept = self.result.setdefault(name, [])
        if self.is_over():
            self.result.setdefault("left_out", []).append(name)
            return
        for row in found:
            kept.append(row)
            yield row
            if self.is_over():
                self.result.setdefault("left_out", []).append(f"rest of {name}")
                return


def gpu(config: GpuConfig) -> Iterator[str]:
    """Yield a line for each finding; write all of them to ``config.json``.

    Raises:
        UserError: there is no GPU, and no emulation was asked for; or a check failed.
    """
    check_file("--json", config.json)
    report = GpuReport(config.budget_s)
    if config.emulate:
        yield from _emulate(report)
    else:
        launcher, name = _find_gpu(config.device)
        report.result |= {"device": name, "architecture": launcher.architecture}
        yield f"{name}, {launcher.architecture}"
        yield from _on_gpu(launcher, f"cuda:{config.device}", report)
    failed = [row for row in report.result["checks"] if not row["agrees"]]
    report.result["seconds"] = round(time.monotonic() - report.begun_s, 1)
    if config.json:
        write_json(config.json, {**provenance(), **report.result}, indent=1)
    for name in report.result.get("left_out", []):
        yield f"left out, the time was over: {name}"
    if failed:
        raise UserError(f"{len(failed)} checks failed: the kernels must not be used.")
    yield f"all {len(report.result['checks'])} checks agree with the reference"


def _emulate(report: GpuReport) -> Iterator[str]:
    report.result["device"] = "emulated"
    for row in report.rows("programs", _compiled()):
        yield "{architecture}: compiled, {kilobytes:.0f} kB in {seconds:.1f} s".format_map(row)
    if not report.result["programs"]:
        yield "NVRTC is not installed: the kernels are not compiled for GPUs"
    launchers = tuple(EmulatingLauncher(seed) for seed in (0, 1))
    rows = checks.check_kernels(checks.SMALL, launchers, checks.small_geometries, "cpu")
    for row in report.rows("checks", rows):
        yield _check_line(row)


def _compiled() -> Iterator[dict[str, Any]]:
    """Yield a row for each architecture that the source compiles for; none without NVRTC."""
    try:
        nvrtc.library()
    except UserError:
        return
    source = nvrtc.SOURCE.read_text(encoding="utf-8")
    for architecture, geometry in PROGRAMS.items():
        start = time.perf_counter()
        code = nvrtc.compile_cubin(source, architecture, geometry.constants(tape=True))
        seconds = time.perf_counter() - start
        row = {"architecture": architecture, "geometry": geometry._asdict()}
        yield row | {"kilobytes": len(code) / 1024, "seconds": seconds}


def _check_line(row: dict[str, Any]) -> str:
    case, worst = row["case"], max(row["errors"].values())
    where = ""
    if "geometry" in row:
        where = " in {cluster} blocks of {threads} threads with {cells} cells".format_map(
            row["geometry"]
        )
    verdict = "agrees" if row["agrees"] else "DIFFERS"
    return (
        f"{case['height']} x {case['width']}, {case['depth']} layers, {case['actions']} actions, "
        f"{row['body']}{where}: {verdict}, largest error {worst:.1e}"
    )


def _find_gpu(device: int) -> tuple[GpuLauncher, str]:
    """Return what launches on a GPU, and its name.

    Raises:
        UserError: there is none.
    """
    if not torch.cuda.is_available():
        raise UserError(
            f"PyTorch {torch.__version__} sees no GPU here: run this where one is, or check the "
            "kernels with --emulate."
        )
    if not 0 <= device < torch.cuda.device_count():
        raise UserError(f"--device is {device}: there are {torch.cuda.device_count()} GPUs.")
    torch.cuda.set_device(device)
    torch.cuda.synchronize()  # begins PyTorch's context, which the kernels share
    return GpuLauncher(device), torch.cuda.get_device_name(device)


def _on_gpu(launcher: GpuLauncher, where: str, report: GpuReport) -> Iterator[str]:
    """Yield a line for each finding on a GPU.

    Args:
        launcher: of the GPU.
        where: its name as a device of PyTorch.
        report: to be filled.

    Yields:
        The lines.
    """
    cases = (*checks.SMALL, *checks.LARGE)
    rows = checks.check_kernels(cases, (launcher,), checks.chosen_geometries, where)
    for row in report.rows("checks", rows):
        yield _check_line(row)
    bodies: dict[str, checks.Operator] = {}
    if find_spec("triton") is not None:
        from planners.operator import cuda_triton

        bodies["Triton"] = cuda_triton.value_iteration
        rows = (checks.check(case, "Triton", bodies["Triton"], where) for case in checks.LARGE[:2])
        for row in report.rows("triton_checks", rows):
            yield _check_line(row)
    for name, rows in (
        ("programs", speed.programs(launcher)),
        ("forward", speed.forward(launcher, bodies, where)),
        ("training_steps", speed.training_steps(launcher, bodies, where)),
        ("study", speed.study(where)),
    ):
        for row in report.rows(name, rows):
            yield speed.line(name, row)
    report.result["aims"] = _aims(report.result)
    for name, aim in report.result["aims"].items():
        yield f"{name}: {aim['measured']} ({aim['aim']}): {'met' if aim['met'] else 'missed'}"


def _aims(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what was measured of each aim, those not measured left out."""
    forward = [row for row in result["forward"] if row["size"] == 100]
    one = [row["ms"] for row in forward if row["batch"] == 1]
    many = [row["mazes_per_s"] for row in forward if row["batch"] == 256]
    steps = [row for row in result["training_steps"] if row["size"] == 100]
    measured = {
        "forward_100x100x5000_ms": min(one, default=None),
        "mazes_per_s_100x100x5000_batch_256": max(many, default=None),
        "training_step_100x100x5000_times_as_fast": max(
            (row["times_as_fast"] for row in steps), default=None
        ),
        "study_100_s": next((row["seconds_of_study"] for row in result["study"]), None),
    }
    rows: dict[str, dict[str, Any]] = {}
    for name, number in measured.items():
        if number is not None:
            limit, sense = AIMS[name]
            met = number <= limit if sense == "at most" else number >= limit
            rows[name] = {"aim": f"{sense} {limit:g}", "measured": round(number, 2), "met": met}
    return rows
