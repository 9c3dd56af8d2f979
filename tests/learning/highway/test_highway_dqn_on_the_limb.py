"""Highway DQN as an algorithm of target finding: trained, resumed, run from its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asterias.errors import UserError
from learning.__main__ import main
from learning.target_finding.algorithms.registry import ALGORITHMS, TrainingRequest
from learning.target_finding.env.options import TargetFindingOptions, with_command_range
from learning.target_finding.policies.moves_policy import GreedyMovesPolicy
from learning.target_finding.policies.policy_files import (
    POLICY_FILE,
    PolicySearcher,
    load_policy,
)

ALGORITHM = ALGORITHMS.get("highway_dqn")
OPTIONS = with_command_range(TargetFindingOptions(actions="moves", wait_s=0.1, cap=30))


def request(out: Path, steps: int, resume: bool = False) -> TrainingRequest:
    return TrainingRequest(
        out, OPTIONS, "highway_dqn", steps=steps, processes=1, resume=resume, seed=1
    )


def test_it_learns_and_its_policy_searches_on_a_limb(tmp_path: Path) -> None:
    summary = ALGORITHM.run(request(tmp_path, 300))
    assert summary["options"]["actions"] == "moves" and summary["steps"] == 300
    half_turn = np.full(4, np.pi / 2)
    searcher = PolicySearcher.on_limb(
        str(tmp_path), -half_turn, half_turn, 4, np.random.default_rng(0)
    )
    moved = searcher.act(np.zeros(4), {0, 1, 2, 3})
    assert (np.abs(moved) > 1e-6).sum() == 1


@pytest.mark.slow
def test_a_resumed_training_ends_in_the_same_policy(tmp_path: Path) -> None:
    ALGORITHM.run(request(tmp_path / "whole", 600))
    stop = iter([True])
    with pytest.raises(KeyboardInterrupt):
        ALGORITHM.run(request(tmp_path / "parts", 600), should_stop=lambda: next(stop, False))
    ALGORITHM.run(request(tmp_path / "parts", 600, resume=True))
    first, second = (load_policy(tmp_path / name) for name in ("whole", "parts"))
    assert isinstance(first, GreedyMovesPolicy) and isinstance(second, GreedyMovesPolicy)
    for name, tensor in first.tensors.items():
        assert np.array_equal(tensor, second.tensors[name])


def test_what_does_not_fit_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = replace(OPTIONS, observe="images")
    with pytest.raises(UserError, match="sees commands and camera flags"):
        ALGORITHM.run(replace(request(tmp_path / "a", 300), options=pictures))
    with pytest.raises(UserError, match="set actions to moves"):
        ALGORITHM.run(replace(request(tmp_path / "a", 300), options=TargetFindingOptions()))
    tensors = {"layer_0.weight": np.zeros((8, 8), np.float32), "layer_0.bias": np.zeros(8)}
    card = {"options": {"actions": "moves", "command_range": [1.0] * 4}, "cameras": 4}
    policy = GreedyMovesPolicy({k: v.astype(np.float32) for k, v in tensors.items()}, card)
    policy.save(tmp_path / POLICY_FILE)
    assert load_policy(tmp_path).act(np.zeros(8, np.float32), None) == 0
    for form in ("sb3", "onnx"):
        out = str(tmp_path / "exported")
        assert main(["export", str(tmp_path), "--to", form, "--out", out]) == 2
        assert "exported nowhere" in (error := capsys.readouterr().err) or "no form" in error
    GreedyMovesPolicy({"layer_0.bias": np.zeros(8, np.float32)}, card).save(tmp_path / POLICY_FILE)
    with pytest.raises(UserError, match="no layers"):
        load_policy(tmp_path)
