"""Searchers with a belief: what a pose sees, Bayes' rule, fits of an order, searches by name."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from asterias.errors import UserError
from hardware.description.robot import load_robot
from learning.__main__ import main
from learning.inference.renyi import categorical_renyi
from learning.inference.sphere import CONCENTRATIONS, DirectionGrid, fibonacci_sphere
from learning.target_finding.belief.searchers import GridFilterSearcher, RenyiSearcher
from learning.target_finding.belief.sight import LimbSight
from learning.target_finding.belief.target_belief import (
    HIT,
    TargetBelief,
    ViewTable,
    view_table,
)
from learning.target_finding.env.options import TargetFindingOptions
from learning.target_finding.env.task import TargetFindingTask
from learning.target_finding.experiments.baselines import run_episode
from learning.target_finding.experiments.belief_search import facing
from learning.target_finding.policies.registry import Believer, make_searcher, policy_names
from learning.target_finding.policies.searcher_policy import SearcherPolicy
from sim.world import SimWorld

ROBOT = load_robot("limb_p1")
LOWER, UPPER = np.array([joint.limits_rad for joint in ROBOT.limbs[0].joints]).T


@pytest.fixture(scope="module")
def table() -> ViewTable:
    """The table that searchers by name use, too: made once a process."""
    return view_table(ROBOT, 0)


# -- directions ---------------------------------------------------------------------------------


def test_directions_are_spread_evenly() -> None:
    directions = fibonacci_sphere(400)
    assert np.linalg.norm(directions, axis=1) == pytest.approx(np.ones(400))
    assert np.abs(directions.mean(0)).max() < 0.01
    dots = directions @ directions.T - 2 * np.eye(400)
    nearest = np.arccos(dots.max(1))
    assert nearest.min() > 0.5 * math.sqrt(4 * math.pi / 400)


@pytest.fixture(scope="module")
def two_modes() -> tuple[DirectionGrid, np.ndarray]:
    """A belief left and right of a blind sector, the left mode the larger one."""
    grid = DirectionGrid(fibonacci_sphere(300))
    # On directions that a fit may have as its mean, so that neither mode is the easier one to hit.
    means = [grid.directions[::2][(grid.directions[::2] @ [0.0, y, 0.0]).argmax()] for y in (1, -1)]
    left, right = (np.exp(32 * (grid.directions @ mean - 1.0)) for mean in means)
    p = 0.6 * left / left.sum() + 0.4 * right / right.sum()
    return grid, p


def test_a_small_order_covers_both_modes_and_a_large_one_commits(
    two_modes: tuple[DirectionGrid, np.ndarray],
) -> None:
    grid, p = two_modes
    wide, narrow = grid.fit(p, 0.05), grid.fit(p, 10.0)
    to_left = grid.directions[:, 1] > 0.5
    assert wide.concentration < 2.0
    assert narrow.concentration > 8.0
    assert narrow.mean[1] > 0.95
    assert narrow.probabilities[to_left].sum() > 0.95
    assert wide.probabilities[~to_left].sum() > 0.3


@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_a_fit_is_the_best_of_its_family(
    alpha: float, two_modes: tuple[DirectionGrid, np.ndarray]
) -> None:
    grid, p = two_modes
    fit = grid.fit(p, alpha)
    rng = np.random.default_rng(0)
    for _ in range(20):
        mean = grid.directions[8 * int(rng.integers(37))]
        log_q = rng.choice(CONCENTRATIONS) * (grid.directions @ mean)
        log_q -= np.log(np.exp(log_q).sum())
        assert fit.divergence <= float(categorical_renyi(log_q, np.log(p), alpha)) + 1e-3
    exact = categorical_renyi(np.log(fit.probabilities), np.log(p), alpha)
    assert fit.divergence == pytest.approx(float(exact), rel=1e-3)


# -- what is seen -------------------------------------------------------------------------------


def test_cameras_are_where_the_simulation_has_them() -> None:
    pose = np.array([0.4, -0.5, 0.3, 0.2])
    rotations, positions = LimbSight(ROBOT, 0, np.zeros((0, 3))).camera_poses(pose)
    with SimWorld(ROBOT) as world:
        world.bodies[0].reset(pose)
        world.bodies[0].set_goal(pose)
        world.advance(1.0)
        assert world.scene is not None
        for j, camera in enumerate(ROBOT.limbs[0].live_cameras):
            rotation, position = world.scene.camera_pose(0, camera, world.bodies[0])
            assert np.abs(rotations[j] - rotation).max() < 0.03
            assert np.abs(positions[j] - position).max() < 0.01


def test_a_place_ahead_of_a_camera_is_seen_and_one_behind_it_or_a_box_is_not() -> None:
    pose = np.zeros(4)
    blind = LimbSight(ROBOT, 0, np.zeros((0, 3)))
    rotations, positions = blind.camera_poses(pose)
    ahead = positions + 0.5 * rotations[:, :, 0]
    behind = positions - 0.5 * rotations[:, :, 0]
    beside = positions[3] + rotations[3] @ np.array([[0.5, 0.26, 0.0]]).T[:, 0]
    seen = LimbSight(ROBOT, 0, np.vstack([ahead, behind, beside])).seen(pose)
    assert seen[3, 3]
    assert not seen[range(4), range(4, 8)].any()
    assert not seen[3, 8], "a part of the tag would be outside the picture"
    box = ROBOT.scenery[0].model_copy(
        update={"center_m": tuple(positions[3] + 0.25 * rotations[3][:, 0]), "size_m": (0.1,) * 3}
    )
    hidden = ROBOT.model_copy(update={"scenery": (box,)})
    assert not LimbSight(hidden, 0, ahead).seen(pose)[3, 3]


def test_a_look_lowers_what_live_cameras_see_and_nothing_else(table: ViewTable) -> None:
    belief = TargetBelief(table)
    before = belief.cells
    assert before.sum() == pytest.approx(1.0)
    belief.look(np.zeros(4), ())
    assert belief.cells == pytest.approx(before), "dead cameras tell nothing"
    belief.look(np.zeros(4), (3,))
    seen = table.sight.seen(np.zeros(4))[3] & (before > 0)
    assert seen.any()
    ratio = belief.cells[before > 0] / before[before > 0]
    in_sight = seen[before > 0]
    assert ratio[in_sight].max() / ratio[~in_sight].min() == pytest.approx(
        (1 - HIT) / (1 - 0.002), rel=1e-6
    )
    belief.look(np.zeros(4), (3,), seeing=(3,))
    assert belief.cells[seen].sum() > 0.7
    assert belief.entropy_bits < 8.0


# -- searchers ----------------------------------------------------------------------------------


def make(name: str, seed: int = 0) -> Believer:
    rng = np.random.default_rng(seed)
    made = make_searcher(name, LOWER, UPPER, rng, cameras=4, robot=ROBOT)
    assert isinstance(made, Believer)
    return made


@pytest.mark.parametrize("name", ["renyi", "renyi:0.1", "renyi:inf", "grid_filter"])
def test_searchers_stay_within_limits_and_do_not_look_twice_from_a_pose(name: str) -> None:
    searcher, position = make(name), np.zeros(4)
    seen = set()
    for step in range(6):
        position = searcher.act(position, (0, 1, 3) if step < 3 else (0, 1))
        assert (position >= LOWER).all()
        assert (position <= UPPER).all()
        seen.add(tuple(position))
    assert len(seen) >= 5
    assert searcher.picture().shape[2] == 3


def test_a_limb_of_eight_joints_and_cameras_has_a_table_too() -> None:
    table = view_table(load_robot("starfish"), 2, poses=30)
    assert table.seen.shape[:2] == (30, 8)
    assert table.seen.any(axis=(0, 2)).sum() >= 6, "most cameras see some place from some pose"
    pose = RenyiSearcher(table).act(table.poses_rad[0], range(8))
    assert pose.shape == (8,)


def test_the_same_seed_gives_the_same_search() -> None:
    first, second = (make("renyi", seed=4).act(np.zeros(4), (0, 1, 2, 3)) for _ in range(2))
    assert (first == second).all()


def test_the_target_is_found_in_simulation_with_dead_cameras(table: ViewTable) -> None:
    with SimWorld(ROBOT) as world:
        task = TargetFindingTask(world)
        for number, searcher in enumerate((RenyiSearcher, GridFilterSearcher)):
            result = run_episode(
                task,
                lambda rng, searcher=searcher: searcher(table, rng),
                seed=(7, number),
                faults="kill12",
                cap=60,
            )
            assert result.found


def test_wrong_settings_are_told_in_a_sentence() -> None:
    assert {"renyi", "grid_filter"} <= set(policy_names())
    for name, words in {
        "renyi:much": "no order",
        "renyi:-1": "alpha must be 0 or more",
        "renyi:nan": "alpha",
        "grid_filter:2": "takes no setting",
    }.items():
        with pytest.raises(UserError, match=words):
            make(name)
    with pytest.raises(UserError, match="needs the robot's description"):
        make_searcher("renyi", LOWER, UPPER, np.random.default_rng(0), cameras=4)


def test_a_tag_faces_the_limb() -> None:
    pose = facing(np.array([0.5, 0.5, 0.8]), np.array([0.0, 0.0, 0.3]))
    with SimWorld(ROBOT) as world:
        world.move_target(pose)
        assert world.scene is not None
        front = world.scene._target_front
    towards = np.array([-0.5, -0.5, -0.5]) / math.sqrt(0.75)
    assert front == pytest.approx(towards, abs=1e-6)


def test_a_searcher_moves_as_a_policy_of_the_environment() -> None:
    options = TargetFindingOptions(increment=2.0, wait_s=1.0)
    policy = SearcherPolicy("renyi:1", options)
    observation = np.array([0, 0, 0, 0, 0.25, 0.25, 0.25, 0.25], np.float32)
    first = policy.act(observation, np.random.default_rng(1))
    policy.start()
    assert (policy.act(observation, np.random.default_rng(1)) == first).all()
    with pytest.raises(UserError, match="no weights"):
        policy.save(Path("x"))


def test_commands_measure_searchers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "result.json"
    assert main(["evaluate", "--policy", "grid_filter", "--episodes", "2", "--json", str(out)]) == 0
    assert json.loads(out.read_text())["cap"] == 200
    study = ["belief-search", "--out", str(tmp_path), "--episodes", "2", "--places", "described"]
    study += ["--searchers", "grid_filter", "bmms", "renyi:1", "--json", str(out)]
    pictures = ["--picture", str(tmp_path / "p.png"), "--maps", str(tmp_path / "maps.png")]
    assert main([*study, *pictures]) == 0
    assert cv2.imread(str(tmp_path / "maps.png")).shape == (312, 1040, 3)
    rows = json.loads(out.read_text())["rows"]
    assert len(rows) == 9
    assert (tmp_path / "p.png").stat().st_size > 10_000
    assert main(study) == 0, "what is finished is read"
    assert json.loads(out.read_text())["rows"] == rows
    assert main([*study, "--places", "nowhere"]) == 2
    assert "described and anywhere" in capsys.readouterr().err
