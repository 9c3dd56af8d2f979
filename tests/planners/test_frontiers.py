"""Where explorers go next: the price of doubt, stops, and what sight would bring."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from asterias.errors import UserError
from learning.doom_maze.__main__ import DrawWalk, EvaluateNavigation, main
from learning.doom_maze.evaluation import write_result
from learning.doom_maze.sight import SightBelief, cells_in_sight, sight_rows
from planners.mapping.exploration import ExplorationEnd, SurveyedWorld, explore
from planners.mapping.frontiers import (
    FRONTIERS,
    Expected,
    Optimistic,
    cheapest_way,
    wall_chances,
)
from planners.mapping.map_belief import FREE, UNKNOWN, WALL
from planners.mazes.datasets import MazeRule, generate
from planners.mazes.distances import distances
from planners.planning.exact import ExactPlanner

NO_VIEWS = np.zeros((1, 4, 24, 32, 3), np.uint8)


class GivenBelief(SightBelief):
    """Sees nothing but the cell it is in, and believes what it is told."""

    def __init__(self, chances: NDArray[np.float32]) -> None:
        super().__init__(np.ones(chances.shape, np.uint8), 1)
        self.chances = chances

    def _learn(self, places: NDArray[np.int64], views: NDArray[np.uint8]) -> None:
        pass

    def _guessed(self) -> NDArray[np.float32]:
        return self.chances.copy()


def test_a_doubtful_short_way_is_left_for_a_known_long_one() -> None:
    chances = np.ones((5, 7), np.float32)
    chances[1, 1:6] = chances[3, 1:6] = chances[1:4, 1] = chances[1:4, 5] = 0
    chances[3, 3] = chances[2, 3] = 0.8  # the straight way along row 3
    belief = GivenBelief(chances)
    belief.see([(3, 2), (3, 1), (2, 1)], np.repeat(NO_VIEWS, 3, axis=0))
    start, goal = (3, 2), (3, 4)
    planner = ExactPlanner()
    straight = planner.plan(Optimistic().map_to_plan_on(belief, start, goal), start, goal)
    assert straight.cells == ((3, 2), (3, 3), (3, 4))
    bold = Expected(doubt_price=2).map_to_plan_on(belief, start, goal)
    assert planner.plan(bold, start, goal).cells == straight.cells and not bold[2, 3]
    wary = Expected(doubt_price=20).map_to_plan_on(belief, start, goal)
    assert planner.plan(wary, start, goal).length == 10 and not wary[3, 3]


def test_without_another_way_the_plan_leads_through_the_fewest_believed_walls() -> None:
    chances = np.zeros((5, 8), np.float32)
    chances[:, 3] = chances[1, 4] = 0.97
    chances[3, 4] = 0.97
    belief = GivenBelief(chances)
    start, goal = (1, 1), (1, 6)
    belief.see([start], NO_VIEWS)
    assert not ExactPlanner().plan(belief.optimistic(), start, goal).reached
    free = Expected().map_to_plan_on(belief, start, goal)
    assert free[2, 3] and not free[1, 3] and not free[3, 3]
    belief.bump((2, 3))
    assert belief.closed()[2, 3] and belief.closed()[0, 3] and not belief.closed()[1, 3]
    assert not Expected().map_to_plan_on(belief, start, goal)[2, 3]


def test_far_from_all_looks_the_chance_is_that_of_the_parity() -> None:
    maze = generate(MazeRule(15, decimation=(0.0, 0.0)), 1, 4).mazes[0]
    belief = SightBelief(maze, 1)
    np.testing.assert_allclose(wall_chances(belief)[1:-1, 1:-1], 0.5)
    belief.see([(1, 1)], NO_VIEWS)
    belief.see([(3, 1)], NO_VIEWS)
    chances = wall_chances(belief)
    near = np.zeros(maze.shape, bool)
    near[:6, :4] = True
    assert (chances[near & (belief.occupancy() == FREE)] == 0).all()
    odd, pillars = chances[9, 9], chances[8, 8]
    known = belief.occupancy()[1:-1:2, 1:-1:2]
    assert odd == pytest.approx(1 / ((known == FREE).sum() + 2)) and odd < 0.5
    assert pillars > 0.5 and chances[10, 12] == pillars and chances[0, 0] == 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_cheapest_way_is_a_shortest_one_where_all_costs_are_alike(seed: int) -> None:
    drawn = generate(MazeRule(9), 1, seed)
    goal = (int(drawn.goals[0, 0]), int(drawn.goals[0, 1]))
    lengths = distances(drawn.mazes, drawn.goals)[0]
    row, column = divmod(int(lengths.argmax()), 9)
    costs = np.where(drawn.mazes[0] == 1, 1.0, np.inf)
    way = cheapest_way(costs, (row, column), goal)
    assert len(way) - 1 == lengths[row, column] and way[0] == (row, column) and way[-1] == goal
    costs[goal] = np.inf
    blocked = cheapest_way(np.where(costs == 1, np.inf, costs), (row, column), goal)
    assert blocked == [] or lengths[row, column] <= 1


@pytest.mark.parametrize("name", FRONTIERS.names())
def test_both_choices_arrive_without_a_step_through_walls(name: str) -> None:
    mazes = generate(MazeRule(15), 8, 21)
    for maze, goals in zip(mazes.mazes, mazes.goals, strict=True):
        goal = (int(goals[0]), int(goals[1]))
        lengths = distances(maze[None], goals[None])[0]
        row, column = divmod(int(lengths.argmax()), 15)
        views = np.broadcast_to(NO_VIEWS, (15, 15, 4, 24, 32, 3))
        world, belief = SurveyedWorld(maze, views, (row, column)), SightBelief(maze, 1)
        where = FRONTIERS.get(name)()
        walk = explore(world, belief, ExactPlanner(), goal, 900, frontiers=where)
        assert walk.end is ExplorationEnd.REACHED and walk.doubts == walk.bumps == 0
        assert walk.steps >= lengths[row, column] and all(maze[cell] for cell in walk.cells)
        if name == "expected":  # it looked wherever it went but in the goal
            assert walk.looks == len(set(walk.cells[:-1]))


def test_sight_ends_at_walls_and_shows_the_sides() -> None:
    maze = np.zeros((7, 9), np.uint8)
    maze[3, 1:7] = maze[1:4, 4] = 1
    seen = set(cells_in_sight(maze, (3, 1), 9))
    assert (3, 7) in seen and (3, 8) not in seen and (2, 4) in seen and (1, 4) not in seen
    assert (3, 4) not in set(cells_in_sight(maze, (3, 1), 2))
    rows = sight_rows(generate(MazeRule(15, decimation=(0, 0)), 12, 3), (1, 14), lambda *_: None)
    ways = {(row["sight_cells"], row["frontiers"]): row["path_over_optimum"] for row in rows}
    assert len(ways) == 4 and ways[14, "expected"] < ways[1, "expected"]
    assert ways[14, "expected"] < ways[14, "optimistic"]


def test_commands_offer_the_choices_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["evaluate", "15", "--frontiers", "brave"], ["walk", "--frontiers", "brave"]):
        assert main(command) == 2
        assert "'brave'" in (told := capsys.readouterr().err) and "optimistic, expected" in told
    with pytest.raises(UserError, match="not negative"):
        Expected(doubt_price=-1)
    assert DrawWalk(15).frontiers in FRONTIERS.names()
    assert EvaluateNavigation(15).frontiers == FRONTIERS.names()
    assert {FREE, WALL, UNKNOWN} == {0, 100, -1}


def test_a_result_file_keeps_the_command_of_each_part(tmp_path: Path) -> None:
    path = tmp_path / "maze.json"
    path.write_text(json.dumps({"command": "old", "surveyed": [1], "explored": [2]}))
    write_result(path, 0, {"explored": [3]})
    kept = json.loads(path.read_text())
    assert kept["surveyed"] == [1] and kept["explored"] == [3]
    assert kept["commands"]["surveyed"] == "old" != kept["commands"]["explored"]
    write_result(path, 0, {"explored": [4]})
    assert json.loads(path.read_text())["commands"]["surveyed"] == "old"
