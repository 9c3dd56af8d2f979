"""Weights run on mazes larger than those of their training."""

from __future__ import annotations

import json
from pathlib import Path

from planners.training.transfer import TransferConfig, transfer

WEIGHTS = Path(__file__).parents[2] / "planners" / "weights" / "dt_vin_15.safetensors"


def test_the_result_says_how_deep_how_long_and_how_well(tmp_path: Path) -> None:
    out = tmp_path / "transfer.json"
    config = TransferConfig(
        WEIGHTS, sizes="21,27", inverse_temperatures="1", per_bin=1, loops=1e9, json=out
    )
    lines = list(transfer(config))
    result = json.loads(out.read_text())
    first, second = result["sizes"]
    assert (first["size"], second["size"]) == (21, 27)
    assert first["depth"] == first["trained_depth"] == 200
    assert [bin_["hi"] for bin_ in first["bins"]] == [26, 52, 79]
    assert first["bins"][0]["success"] > 99
    assert sum("layers" in line for line in lines) == 2
