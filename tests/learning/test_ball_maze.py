"""A ball in a maze: its physics, what is seen from above, and the agent that pushes it."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.env_checker import check_env

from learning.ball_maze import ENVIRONMENT_ID
from learning.ball_maze.agent import BallAgent, map_of
from planners.mazes.datasets import MazeRule, generate
from planners.planning.factory import make_planner
from sim.ball_maze import CONTROL_HZ, DRAG_N_S_M, MASS_KG, RADIUS_M, BallMaze

HALL = np.pad(np.ones((3, 9), np.uint8), 1)


def test_a_push_moves_the_ball_as_newton_says_and_walls_stop_it() -> None:
    with BallMaze(HALL, (2, 2)) as ball:
        for _ in range(CONTROL_HZ):
            ball.push(1.0, 0.0)
        # m v' = F - d v, from rest, after one second
        expected = (1 - np.exp(-DRAG_N_S_M / MASS_KG)) / DRAG_N_S_M
        assert ball.velocity_m_s == pytest.approx((expected, 0.0), abs=0.02)
        assert ball.place[0] == pytest.approx(2.5, abs=1e-6)
        for _ in range(4 * CONTROL_HZ):
            ball.push(10.0, 0.0)
        assert ball.place[1] == pytest.approx(10 - RADIUS_M, abs=0.05)
        assert abs(ball.velocity_m_s[0]) < 0.05 and ball.cell == (2, 9)


def test_the_ball_needs_a_free_cell() -> None:
    with pytest.raises(ValueError, match="cannot begin in 0,0"):
        BallMaze(HALL, (0, 0))


def test_the_picture_from_above_is_the_maze() -> None:
    maze = generate(MazeRule(15), 1, 4).mazes[0]
    row, column = np.argwhere(maze)[3].tolist()
    with BallMaze(maze, (row, column)) as ball:
        picture = ball.picture()
    assert picture.shape == (60, 60, 3)
    seen = map_of(picture)
    seen[row, column] = 1
    np.testing.assert_array_equal(seen, maze)
    spot = picture[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].astype(int)
    assert (spot[..., 0] - spot[..., 1]).max() > 100  # the ball is red


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_learners_accept_it_and_a_planner_of_2d_mazes_pushes_the_ball_to_the_goal() -> None:
    env = gymnasium.make(ENVIRONMENT_ID, size=9, farthest=True)
    check_env(env.unwrapped, skip_render_check=True)
    agent = BallAgent(make_planner("dt_vin", 9, device="cpu"))
    seen, info = env.reset(seed=3)
    agent.start(seen)
    assert agent.status == "optimal" and info["steps"] > 5
    ended = False
    while not ended:
        seen, reward, arrived, truncated, _ = env.step(agent.act(seen))
        ended = arrived or truncated
    assert arrived and reward == 1
    env.close()
