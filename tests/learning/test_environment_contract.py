"""Every environment keeps the contract of Gymnasium and of stable-baselines3, in every form."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as check_by_gymnasium
from stable_baselines3.common.env_checker import check_env as check_by_sb3

from hardware.description.robot import load_robot
from learning.ball_maze.environment import BallMazeEnv
from learning.crawling.environment import StarfishCrawlEnv
from learning.doom_maze.environment import DoomMazeCellsEnv, DoomMazeEnv
from learning.environments import ENVIRONMENTS
from learning.starfish.environment import StarfishTargetFindingEnv
from learning.target_finding.env.environment import TargetFindingEnv
from learning.target_finding.env.options import Observed, TargetFindingOptions
from learning.target_finding.env.variations import TargetMover
from sim.world import SimWorld

# Where the cache is cold, numba compiles the loop with contact for a minute.
pytestmark = pytest.mark.timeout(600)

AnyEnv = gymnasium.Env[Any, Any]
SWIFT = TargetFindingOptions(wait_s=0.05)


def target_finding(**changes: Any) -> Callable[[], AnyEnv]:
    return lambda: TargetFindingEnv(replace(SWIFT, **changes), render_mode="rgb_array")


FORMS: dict[str, Callable[[], AnyEnv]] = {
    "commands": target_finding(),
    "images": target_finding(observe="images"),
    "both": target_finding(observe="both"),
    "moves": target_finding(actions="moves", cap=0),
    "dead cameras": target_finding(faults="1-2"),
    "silent failures": target_finding(faults="kill12", silent="frozen", mid_episode=True),
    "servo": target_finding(servo="limp"),
    "moving": target_finding(target="moving", randomise="light"),
    "goal": target_finding(goal=True),
    "goal and images": target_finding(goal=True, observe="images"),
    "starfish": target_finding(robot="starfish", limb=3),
    "doom": lambda: DoomMazeEnv(render_mode="rgb_array", size=9),
    "doom cells": lambda: DoomMazeCellsEnv(render_mode="rgb_array", size=9),
    "ball": lambda: BallMazeEnv(render_mode="rgb_array", size=9),
    "whole body": lambda: StarfishTargetFindingEnv(render_mode="rgb_array", simulate=False),
    "crawl": lambda: StarfishCrawlEnv(render_mode="rgb_array", observe="body", duration_s=0.4),
    "by pybullet": lambda: TargetFindingEnv(SWIFT, render_mode="rgb_array", engine="pybullet"),
    "crawl by pybullet": lambda: StarfishCrawlEnv(
        render_mode="rgb_array", duration_s=0.4, engine="pybullet"
    ),
}


# Every environment by its registered name, and the options that make each of its observation modes.
MODES: dict[str, list[dict[str, Any]]] = {
    "Asterias/TargetFinding-v0": [
        {"observe": observe, "goal": goal, "actions": actions, "wait_s": 0.05}
        for observe in get_args(Observed)
        for goal in (False, True)
        for actions in ("increments", "moves")
    ],
    "Asterias/DoomMaze-v0": [{"size": 9}],
    "Asterias/DoomMazeCells-v0": [{"size": 9}],
    "Asterias/BallMaze-v0": [{"size": 9}],
    "Asterias/StarfishCrawl-v0": [
        {"observe": "clock", "duration_s": 0.4},
        {"observe": "body", "duration_s": 0.4, "target_m": (1.0, 0.0), "draw_broken": 1},
        {"observe": "body", "duration_s": 0.4, "engine": "pybullet"},
    ],
}
MODES["Asterias/StarfishTargetFinding-v0"] = [
    {"wait_s": 0.05, "dead_cameras": 0.5, "silent_cameras": 0.5, "dead_limbs": 1},
    {"simulate": False, "dead_limbs": 2},
]
REGISTERED = [(name, options) for name, modes in MODES.items() for options in modes]


def test_the_modes_of_every_registered_environment_are_checked() -> None:
    assert set(MODES) == set(ENVIRONMENTS)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param(n, o, marks=pytest.mark.slow if n == "Asterias/DoomMaze-v0" else ())
        for n, o in REGISTERED
    ],
    ids=[" ".join([n.partition("/")[2], *map(str, o.values())]) for n, o in REGISTERED],
)
def test_both_checkers_pass_on_what_gymnasium_makes(name: str, options: dict[str, Any]) -> None:
    environment = gymnasium.make(name, **options)
    with warnings.catch_warnings():
        # Advice, such as on the range of actions, which is the paper's.
        warnings.simplefilter("ignore", UserWarning)
        check_by_sb3(environment)
        check_by_gymnasium(environment, skip_render_check=True)
    environment.close()


@pytest.fixture(params=list(FORMS))
def form(request: pytest.FixtureRequest) -> Callable[[], AnyEnv]:
    return FORMS[request.param]


FURTHER = ("dead cameras", "silent failures", "servo", "moving", "starfish", "by pybullet")


@pytest.mark.parametrize("further", FURTHER)
def test_both_checkers_find_no_fault_in_harder_forms(further: str) -> None:
    environment = FORMS[further]()
    with warnings.catch_warnings():
        # Advice, such as on the range of actions, which is the paper's.
        warnings.simplefilter("ignore", UserWarning)
        check_by_sb3(environment)
        check_by_gymnasium(environment, skip_render_check=True)
    environment.close()


def test_a_step_before_the_first_reset_says_so(form: Callable[[], AnyEnv]) -> None:
    environment = form()
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"reset\(\)"):
        environment.step(environment.action_space.sample())
    environment.close()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_action_that_is_no_finite_number_is_refused(
    form: Callable[[], AnyEnv], value: float
) -> None:
    environment = form()
    environment.reset(seed=1)
    space = environment.action_space
    action = np.full(space.shape or (1,), value)
    with pytest.raises(ValueError, match="action"):
        environment.step(action)
    environment.close()


def test_an_action_of_a_wrong_shape_is_refused(form: Callable[[], AnyEnv]) -> None:
    environment = form()
    environment.reset(seed=1)
    with pytest.raises(ValueError, match="action"):
        environment.step(np.zeros(23))
    environment.close()


def test_a_pickled_environment_gives_the_same_episodes(form: Callable[[], AnyEnv]) -> None:
    first = form()
    first.reset(seed=5)
    second = pickle.loads(pickle.dumps(first))
    one, two = first.reset(seed=7), second.reset(seed=7)
    assert same(one[0], two[0])
    first.action_space.seed(3)
    action = first.action_space.sample()
    assert same(first.step(action)[0], second.step(action)[0])
    first.close()
    second.close()


def same(one: Any, two: Any) -> bool:
    if isinstance(one, dict):
        return all(same(one[key], two[key]) for key in one)
    return bool(np.array_equal(one, two))


def test_only_the_goal_conditioned_form_computes_rewards() -> None:
    for goal in (False, True):
        with TargetFindingEnv(replace(SWIFT, goal=goal)) as environment:
            assert hasattr(environment, "compute_reward") == goal


# -- options --------------------------------------------------------------------------------------


def test_one_word_is_a_tuple_of_one() -> None:
    options: Any = {"silent": "black", "faults": "kill1", "randomise": "light"}
    assert TargetFindingOptions(**options).silent == ("black",)
    assert TargetFindingOptions(**options).randomise == ("light",)
    with TargetFindingEnv(replace(SWIFT, **options)) as environment:
        _, info = environment.reset(seed=0)
    assert list(info["failing_cameras"].values()) == ["black"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"randomise": "colour"}, "randomise must be light, texture"),
        ({"silent": 3}, "silent takes words"),
        ({"robot": "starfish", "limb": 6}, "no limb 6; its limbs are 0 to 5"),
        ({"limb": -1}, "limb must be a whole number"),
        ({"robot": "starfish", "command_range": (1.0,)}, "has 8 joints"),
        ({"wait_s": float("nan")}, "above 0"),
        ({"cap": 2.5}, "cap must be a whole number"),
        ({"colour": 1}, "no option 'colour'"),
    ],
)
def test_a_wrong_option_is_one_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TargetFindingEnv(**options)


def test_numbers_of_dead_cameras_are_the_authors_words() -> None:
    words: tuple[Any, ...] = ("0", "1", "1-2")
    made = [TargetFindingOptions(faults=word).faults for word in words]
    assert made == ["kill0", "kill1", "kill12"]


def test_the_command_range_follows_from_the_joints() -> None:
    with TargetFindingEnv(SWIFT) as paper, TargetFindingEnv(SWIFT, robot="starfish") as starfish:
        assert paper.options.command_range == (1.0, 1.0, 0.75, 1.0)
        assert starfish.options.command_range == (1.0,) * 8


@pytest.mark.parametrize("limb", [0, 2, 5])
def test_a_moved_target_faces_the_limb_that_searches(limb: int) -> None:
    robot = load_robot("starfish")
    with SimWorld(robot, pictures=False) as world:
        mover = TargetMover(world, "moved", limb)
        mover.reset(np.random.default_rng(0))
        x, y, _ = world.target_pose.xyz
        base = robot.limbs[limb].base.xyz
        facing = np.arctan2(base[1] - y, base[0] - x)
        assert world.target_pose.rpy[2] == pytest.approx(facing)
