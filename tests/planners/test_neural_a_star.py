"""Neural A*: differentiable search, its gradient, its training, planning with what it learned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from asterias.errors import UserError
from planners.__main__ import main
from planners.mazes.datasets import MazeRule, generate
from planners.mazes.distances import distances
from planners.neural_a_star import study
from planners.neural_a_star.network import GuidanceEncoder, closed_cells, load_encoder
from planners.neural_a_star.search import guided_search


def question(seed: int, size: int = 11) -> tuple[torch.Tensor, ...]:
    mazes = generate(MazeRule(size), 3, seed)
    maps, paths = study._examples(mazes, study.np.random.default_rng(seed))
    return (*maps, paths)


def test_differentiable_search_closes_what_a_search_does() -> None:
    free, starts, goals, _ = question(3)
    costs = torch.ones_like(free)  # steps: on unit costs both are A*
    closed = closed_cells(costs, free, starts, goals, free[0].numel())
    for k in range(len(free)):
        start, goal = (tuple(one[k].nonzero()[0].tolist()) for one in (starts, goals))
        found = guided_search(None, free[k].numpy().astype("uint8"), start, goal)
        assert int(closed[k].round().sum()) == found.expanded
        assert all(closed[k][cell] > 0.5 for cell in found.cells)


def test_gradients_lower_the_costs_along_the_way() -> None:
    torch.manual_seed(0)
    free, starts, goals, paths = question(4)
    costs = torch.full_like(free, 0.5).requires_grad_()
    closed = closed_cells(costs, free, starts, goals, 60)
    (closed - paths).abs().mean().backward()  # type: ignore[no-untyped-call]
    assert costs.grad is not None and float(costs.grad.abs().sum()) > 0
    wasted = (closed.detach().round() > 0) & (paths == 0)
    if wasted.any():
        assert costs.grad[wasted].mean() < costs.grad[(paths > 0) & (free > 0)].mean()


def test_any_guidance_finds_a_way_and_unit_costs_a_shortest_one() -> None:
    torch.manual_seed(1)
    mazes = generate(MazeRule(21), 4, seed=6)
    lengths = distances(mazes.mazes, mazes.goals)
    for k in range(4):
        row, column = divmod(int(lengths[k].argmax()), 21)
        goal = (int(mazes.goals[k, 0]), int(mazes.goals[k, 1]))
        exact = guided_search(None, mazes.mazes[k], (row, column), goal)
        assert len(exact.cells) - 1 == lengths[k].max()
        ours = guided_search(GuidanceEncoder(), mazes.mazes[k], (row, column), goal)
        assert ours.cells[0] == (row, column) and ours.cells[-1] == goal
        assert len(ours.cells) >= len(exact.cells)
    blocked = mazes.mazes[0].copy()
    blocked[:, 10] = 0
    assert guided_search(None, blocked, (1, 1), (1, 19)).cells == []


def test_the_command_trains_scores_and_keeps_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "_TESTS", (("depth_first", 9, 5),))
    out, result = tmp_path / "w.safetensors", tmp_path / "r.json"
    words = ["neural-a-star", "--size", "9", "--updates", "2", "--batch", "4"]
    words += ["--out", str(out), "--json", str(result)]
    assert main(words) == 0
    row = json.loads(result.read_text())["rows"][0]
    assert row["reached"] == 100 and row["maps"] <= 5
    capsys.readouterr()
    assert main(words) == 0 and "loss" not in capsys.readouterr().out
    assert main([*words, "--updates", "0"]) == 2
    with pytest.raises(UserError, match="is missing: make it by"):
        load_encoder(tmp_path / "none.safetensors")


def test_the_shipped_encoder_expands_less_than_a_star() -> None:
    row = study._score(load_encoder(), "depth_first", 15, 60)
    assert row["reached"] == 100 and row["expanded"] < row["expanded_a_star"]
