"""The starfish's launch file as users start it: it crawls, and leaves a film and a summary."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytestmark = pytest.mark.system


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_starfish_crawls_to_the_target_that_it_sees_and_to_a_place(
    launch: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "starfish"
    run = launch("launch/starfish.launch.xml", "around:=1", "distance_m:=0.3", f"out:={out}")
    assert run.wait(360) == 0, run.text
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["passed"] and summary["arrived"] == 2
    assert [row["bearing_deg"] for row in summary["runs"]] == [None, 0.0]
    with Image.open(out / "crawl.webp") as film:
        assert film.size == (984, 480) and getattr(film, "n_frames", 1) > 20
    assert "arrived 2 of 2" in run.text and "Traceback" not in run.text
