"""The ViZDoom environments as learners meet them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.env_checker import check_env

from learning.doom_maze import CELLS_ENVIRONMENT_ID, ENVIRONMENT_ID
from learning.doom_maze.__main__ import main
from planners.mazes.action_sets import NEWS
from planners.planning.exact_search import a_star

BOTH = [ENVIRONMENT_ID, CELLS_ENVIRONMENT_ID]


@pytest.fixture(params=BOTH)
def env(request: pytest.FixtureRequest) -> Iterator[gymnasium.Env[Any, Any]]:
    made = gymnasium.make(request.param, render_mode="rgb_array", size=9)
    yield made
    made.close()


def way(env: gymnasium.Env[Any, Any]) -> list[tuple[int, int]]:
    """The shortest way of the maze that the environment has drawn."""
    course = env.unwrapped._course  # type: ignore[attr-defined]
    return a_star(course.grid.free, course.start, course.goal)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_learners_accept_it(env: gymnasium.Env[Any, Any]) -> None:
    check_env(env.unwrapped, skip_render_check=True)


def test_a_seed_decides_everything(env: gymnasium.Env[Any, Any]) -> None:
    runs = []
    for _ in range(2):
        first, info = env.reset(seed=11)
        env.action_space.seed(5)
        steps = [env.step(env.action_space.sample()) for _ in range(12)]
        seen = [first, *[step[0] for step in steps]]
        runs.append((info, seen, [step[1] for step in steps]))
    assert runs[0][0] == runs[1][0] and runs[0][2] == runs[1][2]
    for one, other in zip(runs[0][1], runs[1][1], strict=True):
        assert all(np.array_equal(one[key], other[key]) for key in one)
    named, _ = env.reset(options={"maze_seed": runs[0][0]["maze_seed"]})
    assert all(np.array_equal(named[key], runs[0][1][0][key]) for key in named)
    _, other_info = env.reset()
    assert other_info["maze_seed"] != runs[0][0]["maze_seed"]


def test_a_dead_game_truncates_its_episode_and_the_next_one_runs(
    env: gymnasium.Env[Any, Any],
) -> None:
    first, _ = env.reset(seed=2)
    process = env.unwrapped.game.process_id  # type: ignore[attr-defined]
    os.kill(process, signal.SIGKILL)
    for _ in range(50):  # the death may take a moment to show
        last, _, terminated, truncated, info = env.step(env.action_space.sample())
        if truncated:
            break
    assert truncated and not terminated and info["game_died"]
    assert env.observation_space.contains(last)
    again, _ = env.reset(seed=2)
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert not env.step(env.action_space.sample())[3]


def test_the_shortest_way_earns_its_steps_and_the_goal() -> None:
    env = gymnasium.make(CELLS_ENVIRONMENT_ID, size=9, start="farthest")
    _, info = env.reset(seed=1)
    cells = way(env)
    total = 0.0
    for here, after in pairwise(cells):
        action = NEWS.offsets.index((after[0] - here[0], after[1] - here[1]))
        observation, reward, terminated, truncated, info = env.step(action)
        assert tuple(observation["cell"]) == after == info["cell"]
        total += float(reward)
    assert terminated and not truncated and info["is_success"]
    assert total == info["shortest_steps"] + 1 == len(cells)
    env.close()


def test_a_wall_is_told_and_the_end_of_time_truncates() -> None:
    env = gymnasium.make(
        CELLS_ENVIRONMENT_ID, size=9, start="farthest", max_steps=30, reward="sparse"
    )
    env.reset(seed=1)
    told = [env.step(0) for _ in range(30)]
    assert told[-1][4]["wall"] and told[-1][3] and not told[-2][3]
    assert {step[1] for step in told} == {0.0}
    env.close()


def test_driving_forward_gets_on_and_the_goal_is_where_it_is_said_to_be() -> None:
    env = gymnasium.make(ENVIRONMENT_ID, size=9, start="farthest")
    _, info = env.reset(seed=4)
    cells, steps = way(env), 0
    for cell in cells[1:]:
        for _ in range(60):
            unwrapped: Any = env.unwrapped
            row, column = unwrapped._place()
            north, east = row - cell[0] - 0.5, cell[1] + 0.5 - column
            if abs(north) + abs(east) < 0.3:
                break
            yaw = unwrapped.game.pose[2]
            forward = np.cos(yaw) * east + np.sin(yaw) * north
            left = np.cos(yaw) * north - np.sin(yaw) * east
            action = np.array([forward, left, 0.3], np.float32)
            observation, _, terminated, _, info = env.step(action)
            steps += 1
            if terminated:
                break
    assert terminated and info["is_success"]
    assert np.hypot(*observation["goal"]) <= 0.4
    assert env.render() is None and steps < 400
    env.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"textures": "velvet"}, "textures are 'velvet'"),
        ({"start": "here"}, "start is 'here'"),
        ({"reward": "gold"}, "reward is 'gold'"),
        ({"size": 2}, "maze size is 2"),
        ({"max_steps": -1}, "max_steps is -1"),
        ({"light": 999}, "light is 999"),
    ],
)
def test_bad_options_are_told_in_one_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        gymnasium.make(ENVIRONMENT_ID, **options)


def test_textures_are_drawn_a_row_for_each_group(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "textures.png"
    assert main(["textures", "--out", str(out), "--groups", "brick", "unseen", "--looks", "2"]) == 0
    sheet = cv2.imread(str(out))
    assert sheet is not None
    assert sheet.shape[:2] == (32 + 2 * 126, 2 * 166)
    assert len({sheet[40:150, x : x + 150].tobytes() for x in (8, 174)}) == 2
    assert main(["textures", "--out", str(out), "--groups", "velvet"]) == 2
    assert "velvet" in capsys.readouterr().err
