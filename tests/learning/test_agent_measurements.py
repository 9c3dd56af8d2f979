"""Long measurements of language agents: what is done is kept, and not done again."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from learning.agents.edge_optimisation import EdgeOptions
from learning.agents.experiments.faulty_cameras import FaultyCameras, measure
from learning.agents.experiments.kept import KeptRows

SMALL = FaultyCameras(
    seeds=(0, 1),
    train=6,
    held_out=6,
    glances=2,
    liars=(1,),
    mixes=1,
    workers=1,
    edges=EdgeOptions(iterations=2, graphs=2, tasks=2),
)


def test_a_stopped_measurement_goes_on_with_the_seeds_that_are_left(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    result = tmp_path / "edges.json"
    first = replace(SMALL, seeds=(1,))
    done = measure(first, lambda *progress: told.append(progress))
    assert told[-1] == ("choices of liars", 1, 1)

    marked = [{**row, "learned": -1.0} for row in done["rows"]]
    KeptRows(result, asdict(SMALL)).keep(1, marked)
    whole = measure(SMALL, lambda *progress: told.append(progress), KeptRows(result, asdict(SMALL)))
    assert [row["seed"] for row in whole["rows"]] == [0, 1]
    assert whole["rows"][1] == marked[0], "what was kept is not measured again"
    assert told[-1] == ("choices of liars", 2, 2)

    kept = KeptRows(result, asdict(SMALL))
    assert sorted(kept.rows) == [0, 1]
    assert not KeptRows(result, asdict(first)).rows, "other options, other rows"
    kept.forget()
    assert not list(tmp_path.iterdir())
