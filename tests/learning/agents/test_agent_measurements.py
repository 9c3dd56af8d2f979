"""Long measurements of language agents: what is done is saved, and not done again."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from learning.agents.experiments.faulty_cameras import FaultyCameras, measure
from learning.agents.experiments.resumable_rows import ResumableRows
from learning.agents.graph.edge_optimisation import EdgeOptions

SMALL = FaultyCameras(
    seeds=(0,),
    train=6,
    held_out=6,
    glances=2,
    liars=(1,),
    mixes=1,
    workers=1,
    edges=EdgeOptions(iterations=2, graphs=2, tasks=2),
)


@pytest.mark.slow
def test_a_stopped_measurement_goes_on_with_the_seeds_that_are_left(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    result = tmp_path / "edges.json"
    once = measure(
        SMALL, lambda *progress: told.append(progress), ResumableRows(result, asdict(SMALL))
    )
    assert told[0] == ("choices of liars", 0, 1) and told[-1] == ("choices of liars", 1, 1)

    both = replace(SMALL, seeds=(0, 1))
    assert not ResumableRows(result, asdict(both)).rows, "other options, other rows"
    saved = ResumableRows(result, asdict(both))
    saved.save(0, once["rows"])
    saved.save(1, [{**row, "seed": 1} for row in once["rows"]])
    again = measure(
        both, lambda *progress: told.append(progress), ResumableRows(result, asdict(both))
    )
    assert [row["seed"] for row in again["rows"]] == [0, 1]
    assert told[-1] == ("choices of liars", 2, 2)
    saved.remove()
    assert not list(tmp_path.iterdir())
