"""``python -m learning diffusion-runtimes``: what a chunk costs in each runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from asterias.cli import check_file
from asterias.files import write_json
from asterias.provenance import provenance
from learning.diffusion_policy.runtimes.measures import encoder_rows, runtime_rows
from learning.diffusion_policy.two_ways.learners import demonstrated, shipped_model
from learning.target_finding.algorithms.self_supervised import find_encoder


@dataclass(frozen=True)
class DiffusionRuntimes:
    """Time a denoiser and a camera encoder in PyTorch, compiled, and in ONNX Runtime."""

    json: Path | None = None
    """Result file to write, for example results/learning/diffusion_runtimes.json."""

    def run(self) -> int:
        """Time the policy that comes with Asterias, print and write.

        Returns:
            The exit code.
        """
        check_file("--json", self.json)
        rows = runtime_rows(shipped_model(), demonstrated(1).observations)
        looks = encoder_rows(find_encoder("tiles"))
        table = Table(title="16 steps of denoising, one look of the encoder")
        for heading in ("network", "runtime", "ms", "largest difference"):
            table.add_column(heading)
        for name, found, key in (("denoiser", rows, "chunk_ms"), ("encoder", looks, "look_ms")):
            for row in found:
                table.add_row(name, row["runtime"], f"{row[key]:.2f}", f"{row['difference']:.0e}")
        Console().print(table)
        if self.json is not None:
            command = f"python -m learning diffusion-runtimes --json {self.json}"
            write_json(self.json, {**provenance(0, command), "rows": rows, "encoder": looks})
        return 0
