"""The soak as a person starts it, for less than a minute."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(400)
def test_a_short_soak_survives_deaths_faults_and_stops(tmp_path: Path) -> None:
    out = tmp_path / "soak.json"
    words = ["--minutes", "0.4", "--kill-period-s", "8", "--seed", "3", "--json", str(out)]
    command = [sys.executable, "-m", "asterias_nodes.soak.soak_bench", *words]
    run = subprocess.run(
        [*command, "--folder", str(tmp_path / "soak")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    figures = json.loads(out.read_text(encoding="utf-8"))
    assert figures["complaints"] == [] and len(figures["kills"]) >= 2
    assert figures["recordings"]["messages"] > 100
    assert any(name.startswith("stop: released") for name in figures["actions"])
