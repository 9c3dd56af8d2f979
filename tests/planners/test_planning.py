"""Plans, exact and learned, and the scoring of policies against a walk in plain Python."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from planners.__main__ import main
from planners.mazes.action_sets import MOORE, NEWS, OCTILE
from planners.mazes.datasets import MazeKind, MazeRule, generate
from planners.mazes.distances import distances, optimal_actions
from planners.mazes.grid_map import GridMap
from planners.mazes.map_files import NoMazeError, ReadOptions, read_map
from planners.mazes.policy_walks import walk_costs
from planners.networks.base import PlanningNetwork
from planners.planning.exact import ExactPlanner
from planners.planning.factory import find_weights, make_planner
from planners.planning.learned import LearnedPlanner
from planners.planning.types import GridPlan, PlanLimits, PlanProgress, PlanStatus
from planners.training.evaluation import follow, parse_bins, score

torch.set_num_threads(1)  # little tensors, and tests may share the machine


class Oracle(PlanningNetwork):
    """A network whose logits are prescribed."""

    def __init__(self, actions: np.ndarray) -> None:
        super().__init__(None)
        self.logits = torch.nn.functional.one_hot(torch.from_numpy(actions).long(), 4).float()

    def encode(self, mazes: torch.Tensor, goals: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (mazes,)

    def iterate(self, encoded: object, depth: int, keep: object) -> torch.Tensor:
        return self.logits.permute(2, 0, 1)[None, None]

    def decode(self, encoded: object, states: torch.Tensor) -> torch.Tensor:
        return states


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    size=st.integers(4, 17),
    kind=st.sampled_from(["depth_first", "obstacles", "rooms"]),
)
def test_both_searches_find_shortest_paths(seed: int, size: int, kind: MazeKind) -> None:
    one = generate(MazeRule(size, kind), 1, seed)
    maze, goal = one.mazes[0], (int(one.goals[0, 0]), int(one.goals[0, 1]))
    draw = np.random.default_rng(seed)
    start_row, start_column = draw.choice(np.argwhere(maze))
    start = (int(start_row), int(start_column))
    for moves in (NEWS, MOORE):
        length = int(distances(one.mazes, one.goals, moves)[0][start])
        for method in ("a_star", "bfs"):
            plan = ExactPlanner(method, moves).plan(maze, start, goal)
            if length < 0:
                assert plan.status is PlanStatus.NO_PATH
                continue
            assert plan.status is PlanStatus.OPTIMAL and len(plan.cells) == length + 1
            assert plan.cells[0] == start and plan.cells[-1] == goal
            steps = np.diff(np.array(plan.cells), axis=0)
            assert all(tuple(step) in moves.offsets for step in steps)
            assert all(maze[cell] for cell in plan.cells)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(4, 12), noise=st.floats(0, 1))
def test_pointer_jumping_is_walking(seed: int, size: int, noise: float) -> None:
    maze_set = generate(MazeRule(size), 2, seed)
    draw = np.random.default_rng(seed)
    bits = optimal_actions(distances(maze_set.mazes, maze_set.goals))
    best = np.argmax(bits[:, None] >> np.arange(4, dtype=np.uint8).reshape(-1, 1, 1) & 1, axis=1)
    random = draw.integers(0, 4, best.shape)
    actions = np.where(draw.random(best.shape) < noise, random, best).astype(np.int8)
    steps = follow(actions, maze_set)
    for n, row, column in np.argwhere(maze_set.mazes):
        cell, walked = (int(row), int(column)), 0
        while cell != tuple(maze_set.goals[n]) and walked <= size**2:
            down, right = NEWS.offsets[actions[n][cell]]
            after = (cell[0] + down, cell[1] + right)
            inside = 0 <= after[0] < size and 0 <= after[1] < size
            cell = after if inside and maze_set.mazes[n][after] else cell
            walked += 1
        assert steps[n, row, column] == (walked if walked <= size**2 else -1)


def test_an_optimal_policy_scores_a_hundred_in_every_bin() -> None:
    maze_set = generate(MazeRule(15), 30, 5)
    bits = optimal_actions(distances(maze_set.mazes, maze_set.goals))
    actions = np.argmax(bits[:, None] >> np.arange(4, dtype=np.uint8).reshape(-1, 1, 1) & 1, axis=1)
    rows = score(actions.astype(np.int8), maze_set, [1, 15, 30, 60])
    assert [(row.lo, row.hi) for row in rows] == [(1, 15), (16, 30), (31, 60)]
    assert all(row.success == row.optimal == 100 for row in rows if row.starts)
    assert parse_bins("1,15") == [1, 15]
    with pytest.raises(ValueError, match="rising path lengths"):
        parse_bins("15,1")


MAZE = np.array([[1, 1, 1, 0, 1], [1, 0, 1, 0, 0], [1, 1, 1, 1, 1]], np.uint8)
EAST = np.ones(MAZE.shape, np.int64)


def test_each_way_to_fail_has_its_own_status() -> None:
    planner = LearnedPlanner(Oracle(EAST), depth=1)
    plan = planner.plan(MAZE, (2, 0), (2, 4))
    assert plan.status is PlanStatus.OPTIMAL and plan.reached and len(plan.cells) == 5
    assert planner.plan(MAZE, (0, 0), (2, 4)).status is PlanStatus.COLLISION
    assert planner.plan(MAZE, (0, 3), (2, 4)).status is PlanStatus.START_IN_WALL
    assert planner.plan(MAZE, (-1, 0), (2, 4)).status is PlanStatus.START_OUTSIDE_MAP
    assert planner.plan(MAZE, (0, 0), (1, 1)).status is PlanStatus.GOAL_IN_WALL
    assert planner.plan(MAZE, (0, 0), (0, 5)).status is PlanStatus.GOAL_OUTSIDE_MAP
    assert planner.plan(MAZE, (0, 0), (0, 4)).status is PlanStatus.NO_PATH
    circle = EAST.copy()
    circle[0, 1] = 3
    assert LearnedPlanner(Oracle(circle), 1).plan(MAZE, (0, 0), (2, 4)).status is PlanStatus.TIMEOUT
    detour = EAST.copy()
    detour[2, 0], detour[1, 0], detour[0, 2], detour[1, 2] = 0, 0, 2, 2
    plan = LearnedPlanner(Oracle(detour), 1).plan(MAZE, (2, 0), (2, 4))
    assert plan.status is PlanStatus.VALID and "would do" in plan.message


# -- how deep --------------------------------------------------------------------------------------


def snake(turns: int) -> np.ndarray:
    """One corridor that winds through a square, far longer than the mazes of training are wide."""
    maze = np.zeros((2 * turns + 1, 2 * turns + 1), np.uint8)
    maze[1::2, 1:-1] = 1
    maze[2:-1:4, -2] = maze[4:-1:4, 1] = 1
    return maze


def test_a_longer_way_than_any_in_training_is_planned_deeper() -> None:
    maze = snake(12)
    way = ExactPlanner().plan(maze, (1, 1), (23, 1))
    learned = make_planner("dt_vin_15").plan(maze, (1, 1), (23, 1))
    assert len(way.cells) > 270
    assert learned.status is PlanStatus.OPTIMAL and learned.layers > 200
    shallow = make_planner("dt_vin_15", depth=100).plan(maze, (1, 1), (23, 1))
    assert not shallow.reached and shallow.layers == 100


class Forgetful(Oracle):
    """Goes east when it is planned up to 8 layers deep, and west beyond."""

    def iterate(self, encoded: object, depth: int, keep: object) -> torch.Tensor:
        states = super().iterate(encoded, depth, keep)
        return states if depth <= 8 else states.roll(2, dims=2)


def test_a_walk_that_arrived_counts_even_if_a_deeper_policy_errs() -> None:
    maze = np.ones((3, 40), np.uint8)
    network = Forgetful(np.ones(maze.shape, np.int64))
    plan = LearnedPlanner(network, trained_depth=8).plan(maze, (1, 0), (1, 39))
    assert plan.status is PlanStatus.OPTIMAL and plan.layers == 8
    late = LearnedPlanner(network, trained_depth=9).plan(maze, (1, 0), (1, 39))
    assert late.status is PlanStatus.COLLISION and late.layers == 18  # nothing changes any more


def test_slices_do_not_change_the_values() -> None:
    one = generate(MazeRule(15), 1, 3)
    goal = (int(one.goals[0, 0]), int(one.goals[0, 1]))
    planner = LearnedPlanner.load(find_weights("dt_vin", 15), 203)
    plan = planner.plan(one.mazes[0], goal, goal)
    with torch.no_grad():
        goals = torch.zeros(1, 15, 15)
        goals[0][goal] = 1
        encoded = planner.network.encode(torch.from_numpy(one.mazes).float(), goals)
        whole = planner.network.iterate(encoded, 204, (204,))[0, 0]
    assert plan.values is not None and plan.layers == 203
    np.testing.assert_allclose(plan.values, whole.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("weights", ["dt_vin", "vin"])
def test_a_plan_can_be_watched_limited_and_canceled(weights: str) -> None:
    maze, seen = snake(30), list[PlanProgress]()
    planner = make_planner(weights, depth=100_000)
    canceled = PlanLimits(is_canceled=lambda: len(seen) >= 3, report=seen.append)
    plan = planner.plan(maze, (1, 1), (59, 59), canceled)
    assert plan.status is PlanStatus.CANCELED and len(seen) == 3
    assert seen[0].layers < seen[2].layers < seen[2].limit == 100_000
    large = snake(120)  # the first slice of layers does not reach its end
    plan = planner.plan(large, (1, 1), (239, 239), PlanLimits(time_limit_s=0.01))
    assert plan.status is PlanStatus.TIME_LIMIT and "time was over" in plan.message


def test_weights_are_found_by_model_and_map_size() -> None:
    assert find_weights("dt_vin", 10).stem == "dt_vin_15"
    assert find_weights("dt_vin", 35).stem == "dt_vin_35"
    assert int(find_weights("dt_vin", 5000).stem.split("_")[-1]) >= 35
    assert find_weights("dt_vin_15", 5000).stem == "dt_vin_15"
    with pytest.raises(ValueError, match=r"no planner 'dtvin'.*a_star.*dt_vin_15"):
        find_weights("dtvin", 15)


# -- files -----------------------------------------------------------------------------------------


def maze_of(size: int, seed: int = 1) -> np.ndarray:
    return np.asarray(generate(MazeRule(size), 1, seed).mazes[0])


def picture_of(maze: np.ndarray, cell_px: int, margin: tuple[int, int]) -> np.ndarray:
    """A maze with light corridors and a light margin outside its dark border."""
    picture = np.kron(maze * 255, np.ones((cell_px, cell_px), np.uint8))
    if cell_px == 1:
        return picture
    return np.pad(picture, (margin, margin[::-1]), constant_values=255)


def is_read(maze: np.ndarray, cell_px: int, margin: tuple[int, int], path: Path) -> bool:
    cv2.imwrite(str(path), picture_of(maze, cell_px, margin))
    return np.array_equal(read_map(path).grid.free, maze)


def test_any_cell_size_and_margin_is_found(tmp_path: Path) -> None:
    # Where a corridor goes all round, it may as well be a light frame in a dark margin: of 1,500
    # such pictures 32 were read wrongly.
    rng = np.random.default_rng(0)
    wrong = []
    for _ in range(150):
        seed, size, cell_px = (int(rng.integers(*r)) for r in ((0, 10**6), (9, 41), (1, 13)))
        margin = (int(rng.integers(31)), int(rng.integers(31)))
        maze = maze_of(size, seed)[: size - 2 * (seed % 2)].copy()
        maze[-1] = maze[:, -1] = 0  # margins are seen outside a border
        if not is_read(maze, cell_px, margin, tmp_path / "maze.png"):
            wrong.append((seed, size, cell_px, margin))
    assert len(wrong) <= 6, wrong


def test_an_empty_room_of_one_pixel_a_cell_is_found(tmp_path: Path) -> None:
    room = np.pad(np.ones((7, 7), np.uint8), 1)
    assert is_read(room, 1, (0, 0), tmp_path / "room.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("cell_px", [4.3, 14.28])
def test_pictures_scaled_by_a_fraction_are_read(
    tmp_path: Path, cell_px: float, suffix: str
) -> None:
    maze = maze_of(35)
    size = round(35 * cell_px)
    picture = cv2.resize(maze * 255, (size, size), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(tmp_path / f"maze{suffix}"), picture)
    file = read_map(tmp_path / f"maze{suffix}")
    np.testing.assert_array_equal(file.grid.free, maze)
    assert file.cell_px == pytest.approx(cell_px, rel=0.02) and "35 x 35 cells" in file.note


def test_thin_walls_and_coloured_marks_are_read(tmp_path: Path) -> None:
    maze = maze_of(35)
    widths = np.where(np.arange(35) % 2, 14, 2)
    grown = maze.repeat(widths, axis=0).repeat(widths, axis=1)
    cv2.imwrite(str(tmp_path / "thin.png"), grown * 255)
    fine = maze.repeat(widths // 2, axis=0).repeat(widths // 2, axis=1)
    np.testing.assert_array_equal(read_map(tmp_path / "thin.png").grid.free, fine)
    colours = np.kron(maze * 255, np.ones((8, 8), np.uint8))[..., None].repeat(3, axis=2)
    colours[8:16, 8:16] = (0, 0, 255)  # red, in the cell 1,1
    cv2.imwrite(str(tmp_path / "marks.png"), colours)
    np.testing.assert_array_equal(read_map(tmp_path / "marks.png").grid.free, maze)


def test_a_ros_map_is_read_with_its_geometry(tmp_path: Path) -> None:
    grey = np.array([[0, 254, 254], [205, 254, 0]], np.uint8)
    cv2.imwrite(str(tmp_path / "map.pgm"), grey)
    about = "image: map.pgm\nresolution: 0.5\norigin: [-1.0, 2.0, 0.0]\nnegate: 0\n"
    about += "occupied_thresh: 0.65\nfree_thresh: 0.196\n"
    (tmp_path / "map.yaml").write_text(about)
    grid = read_map(tmp_path / "map.yaml").grid
    np.testing.assert_array_equal(grid.free, [[0, 1, 1], [0, 1, 0]])
    np.testing.assert_array_equal(
        read_map(tmp_path / "map.yaml", ReadOptions(unknown_is_free=True)).grid.free,
        [[0, 1, 1], [1, 1, 0]],
    )
    np.testing.assert_array_equal(read_map(tmp_path / "map.pgm").grid.free, grid.free)
    assert grid.centre_of((1, 0)) == (-0.75, 2.25)  # the lower left cell
    assert grid.cell_at((0.4, 2.9)) == (0, 2)
    (tmp_path / "map.yaml").write_text("image: map.pgm\n")
    with pytest.raises(NoMazeError, match="needs image, resolution and origin"):
        read_map(tmp_path / "map.yaml")


@given(
    yaw=st.floats(-3.1, 3.1),
    place=st.tuples(st.floats(-5, 25), st.floats(-5, 25)),
    m=st.floats(0.01, 2),
)
def test_points_and_cells_are_inverse(yaw: float, place: tuple[float, float], m: float) -> None:
    grid = GridMap(np.ones((20, 10), np.uint8), m, (3.0, -2.0, yaw))
    assert grid.to_grid(grid.to_point(place)) == pytest.approx(place, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "picture", "sentence"),
    [
        ("white.png", np.full((50, 50), 255, np.uint8), "all its pixels are free"),
        ("photo.jpg", None, "too many greys"),
        ("text.png", b"hello", "no readable picture"),
        ("absent.png", None, "does not exist"),
    ],
)
def test_a_picture_that_is_no_maze_is_refused_in_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    picture: np.ndarray | bytes | None,
    sentence: str,
) -> None:
    path = tmp_path / name
    if name == "photo.jpg":
        rows, columns = np.mgrid[:300, :400]
        picture = np.uint8(128 + 60 * np.sin(columns / 30) + 50 * np.cos(rows / 40))
    if isinstance(picture, bytes):
        path.write_bytes(picture)
    elif picture is not None:
        cv2.imwrite(str(path), picture)
    out = tmp_path / "answer.json"
    code = main(
        ["plan", "--maze", str(path), "--start", "1,1", "--goal", "2,2", "--json", str(out)]
    )
    assert code == 9 and json.loads(out.read_text())["status"] == "no_maze"
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1


# -- the command -----------------------------------------------------------------------------------


def plan_command(folder: Path, *options: str) -> tuple[int, dict[str, object]]:
    """Run ``plan`` on MAZE, drawn with 5 pixels per cell; exit code and JSON."""
    cv2.imwrite(str(folder / "maze.png"), np.kron(MAZE * 255, np.ones((5, 5), np.uint8)))
    words = ["plan", "--maze", str(folder / "maze.png"), "--json", str(folder / "plan.json")]
    code = main([*words, *options])
    return code, json.loads((folder / "plan.json").read_text())


@pytest.mark.parametrize(
    ("start", "goal", "code", "status"),
    [
        ("0,0", "2,4", 0, "optimal"),
        ("0,3", "2,4", 3, "start_in_wall"),
        ("0,9", "2,4", 3, "start_outside_map"),
        ("0,0", "1,1", 4, "goal_in_wall"),
        ("0,0", "0,4", 5, "no_path"),
    ],
)
@pytest.mark.parametrize("weights", ["bfs", "dt_vin"])
def test_each_answer_has_its_exit_code(
    tmp_path: Path, weights: str, start: str, goal: str, code: int, status: str
) -> None:
    ends = ("--start", start, "--goal", goal, "--weights", weights)
    got, answer = plan_command(tmp_path, *ends)
    assert (got, answer["status"]) == (code, status)
    if code == 0:
        path = answer["path"]
        assert isinstance(path, Sequence) and path[0] == [0, 0] and path[-1] == [2, 4]
        assert len(path) == 7 and answer["steps"] == answer["shortest_steps"] == 6


def test_a_picture_comes_out(tmp_path: Path) -> None:
    out = tmp_path / "plan.png"
    plan_command(tmp_path, "--start", "0,0", "--goal", "2,4", "--out", str(out))
    picture = cv2.imread(str(out))
    assert picture is not None and min(picture.shape[:2]) > 200
    red = (picture[..., 2] > 200) & (picture[..., 1] < 60) & (picture[..., 0] < 100)
    white = (picture > 250).all(axis=2)
    assert red.sum() > 500, "the plan is not to be seen"
    assert white.sum() > 500, "the shortest path under it is not to be seen"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--start", "here", "--goal", "2,4"), "give row and column"),
        (("--start", "0,0"), "there is no goal: give --goal R,C"),
        (("--start", "0,0", "--goal", "2,4", "--weights", "x"), "no planner 'x'"),
        (("--start", "0,0", "--goal", "2,4", "--cell-px", "99"), "larger than the picture"),
        (("--start", "0,0", "--goal", "2,4", "--out", "plan.doc"), "ends in .png"),
    ],
)
def test_bad_options_end_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], sentence: str
) -> None:
    cv2.imwrite(str(tmp_path / "maze.png"), np.kron(MAZE * 255, np.ones((5, 5), np.uint8)))
    assert main(["plan", "--maze", str(tmp_path / "maze.png"), *options]) == 2
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1


def test_octile_plans_are_shortest_in_length(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = generate(MazeRule(31, "obstacles"), 1, seed=4)
    one.save(tmp_path / "m.npz")
    words = ["plan", "--maze", str(tmp_path / "m.npz"), "--costs", "octile"]
    answers = []
    for weights in ((), ("--weights", "a_star"), ("--weights", "bfs")):
        assert main([*words, *weights, "--json", str(tmp_path / "p.json")]) == 0
        answers.append(json.loads((tmp_path / "p.json").read_text()))
    assert "as short as possible" in capsys.readouterr().out
    assert {answer["status"] for answer in answers} == {"optimal"}
    ours = answers[0]
    assert ours["planner"] == "doubt_dt_vin_octile_35" and ours["costs"] == "octile"
    steps = zip(ours["path"], ours["path"][1:], strict=False)
    length = sum(math.dist(*pair) for pair in steps)
    assert ours["length"] == pytest.approx(length, abs=1e-3)
    assert {answer["shortest_length"] for answer in answers} == {ours["length"]}
    assert main([*words, "--weights", "sparse_dt_vin_moore_15"]) == 2
    assert "plans with the moves 'moore', not 'octile'" in capsys.readouterr().err


def test_anytime_plans_come_early_and_get_better() -> None:
    maze, seen = np.ones((101, 101), np.uint8), list[int]()
    maze[50, :100] = 0  # the way is round a long wall
    planner = make_planner("dt_vin_100")
    found: list[GridPlan] = []

    def take(plan: GridPlan) -> None:
        found.append(plan)
        seen.append(plan.layers)

    limits = PlanLimits(improve=take, is_anytime=True)
    plan = planner.plan(maze, (0, 0), (100, 0), limits)
    assert plan.status is PlanStatus.OPTIMAL and seen and seen == sorted(seen)
    assert seen[0] < 1000 and all(early.reached for early in found)
    lengths = [len(early.cells) for early in found]
    assert lengths == sorted(lengths, reverse=True) and len(plan.cells) <= lengths[-1]


def test_anytime_planning_ends_where_all_ways_are_found() -> None:
    maze = np.ones((100, 100), np.uint8)
    maze[50, :60] = 0
    planner = make_planner("dt_vin_100")
    plan = planner.plan(maze, (20, 20), (10, 10), PlanLimits(is_anytime=True))
    assert plan.status is PlanStatus.OPTIMAL and plan.layers < 2000  # of 5000
    whole = planner.plan(maze, (20, 20), (10, 10))
    assert whole.status is PlanStatus.OPTIMAL and whole.layers == 5000


def test_walks_from_all_cells_are_followed_to_goal_wall_or_circle() -> None:
    one = generate(MazeRule(9, "obstacles"), 1, seed=2)
    goal = (int(one.goals[0, 0]), int(one.goals[0, 1]))
    for moves in (NEWS, MOORE, OCTILE):
        draw = np.random.default_rng(3)
        lengths = distances(one.mazes, one.goals, moves)
        bits = optimal_actions(lengths, moves)[0]
        best = np.log2(np.maximum(bits & -bits.astype(np.int16), 1)).astype(np.int64)
        wrong = draw.integers(0, len(moves.actions), best.shape)
        for actions in (best, np.where(draw.random(best.shape) < 0.2, wrong, best)):
            found = walk_costs(one.mazes[0], goal, actions, moves)
            expected = follow(actions[None].astype(np.int8), one, moves)[0]
            free = one.mazes[0] > 0
            np.testing.assert_array_equal(found[free], expected[free])
        assert (walk_costs(one.mazes[0], goal, best, moves) == lengths[0])[lengths[0] >= 0].all()


def test_plans_of_a_closed_form_reach_across_maps_far_larger_than_those_of_training() -> None:
    maze = snake(150)  # 301 x 301, a way of 45,000 steps
    plan = make_planner("sparse_dt_vin", 301).plan(maze, (1, 1), (299, 299))
    assert plan.status is PlanStatus.OPTIMAL and len(plan.cells) > 40_000
    real = generate(MazeRule(600, "warehouse"), 1, seed=4).mazes[0][:307, :604]
    start, goal = (1, 1), (302, 590)
    real[start] = real[goal] = 1
    assert make_planner("sparse_dt_vin", 604).plan(real, start, goal).status is PlanStatus.OPTIMAL


def test_a_plan_longer_than_any_of_the_training_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "m.npz", mazes=snake(12)[None], goals=np.array([[23, 1]]))
    command = ["plan", "--maze", str(tmp_path / "m.npz"), "--json", str(tmp_path / "p.json")]
    main([*command, "--weights", "dt_vin_15"])
    assert "times as long as any that dt_vin_15 was trained on" in capsys.readouterr().out
    assert json.loads((tmp_path / "p.json").read_text())["unlike_training"] > 2
    main(command)
    assert "unlike the training" not in capsys.readouterr().out
