"""A point robot among walls, and the follower that drives it along a plan."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planners.mazes.datasets import MazeRule
from planners.mazes.grid_map import GridMap
from planners.mazes.problems import PlanningProblem, draw_problem
from planners.navigation.path_follower import FollowerOptions, PathFollower, corners
from planners.navigation.point_robot import PointRobot, PointRobotLimits
from planners.planning.exact_search import a_star

ROOM = np.zeros((5, 7), np.uint8)
ROOM[1:4, 1:6] = 1


def robot(resolution_m: float = 0.5, yaw_rad: float = 0.0) -> PointRobot:
    """A robot in the middle of a room of 3 x 5 free cells."""
    return PointRobot(GridMap(ROOM, resolution_m, (1.0, 2.0, yaw_rad)), (2, 3))


def test_forward_is_along_x_and_left_is_up() -> None:
    one = robot()
    assert one.point == (1.0 + 3.5 * 0.5, 2.0 + 2.5 * 0.5)
    before = one.point
    one.command(0.2, 0.1, 0.0)
    one.step(0.5)
    assert one.point == pytest.approx((before[0] + 0.1, before[1] + 0.05))
    one.command(0.0, 0.0, math.pi)
    for _ in range(10):
        one.command(0.0, 0.0, math.pi)
        one.step(0.05)
    assert one.yaw_rad == pytest.approx(1.5, abs=1e-6)  # 3 rad/s is the limit


def test_a_robot_stops_at_walls_slides_along_them_and_counts_contacts() -> None:
    one = robot()
    for _ in range(20):
        one.command(0.0, 1.0, 0.0)
        one.step(0.1)
    assert one.cell == (1, 3) and one.contacts == 1 and one.touches
    assert one.point[1] == pytest.approx(2.0 + 4 * 0.5, abs=1e-5)
    for _ in range(30):
        one.command(0.7, 0.7, 0.0)
        one.step(0.1)
    assert one.cell == (1, 5) and one.contacts == 1


def test_a_command_times_out_and_an_emergency_stop_wins() -> None:
    one = robot(resolution_m=10)
    start = one.point
    one.command(5.0, 0.0, 0.0)  # cut to 1 m/s
    for _ in range(100):
        one.step(0.05)
    assert one.point[0] - start[0] == pytest.approx(0.5)
    one.command(1.0, 0.0, 0.0)
    one.stop(True)
    one.step(0.1)
    assert not one.command(1.0, 0.0, 0.0)
    one.stop(False)
    one.step(0.1)
    assert one.point[0] - start[0] == pytest.approx(0.5)
    assert not one.command(math.nan, 0.0, 0.0)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    yaw=st.floats(-3, 3),
    commands=st.lists(st.tuples(*[st.floats(-20, 20)] * 3), min_size=1, max_size=30),
)
def test_no_command_takes_a_robot_into_a_wall(
    seed: int, yaw: float, commands: list[tuple[float, float, float]]
) -> None:
    course = draw_problem(MazeRule(9), seed, False, 0.3)
    grid = GridMap(course.grid.free, 0.3, (0.0, 0.0, yaw))
    one = PointRobot(grid, course.start, PointRobotLimits(speed_m_s=10))
    for command in commands:
        before = one.point
        one.command(*command)
        one.step(0.2)
        assert grid.is_free(grid.cell_at(one.point))
        assert math.dist(before, one.point) <= 10 * 0.2 + 1e-6


def test_corners_drop_what_lies_on_a_straight_line() -> None:
    path = np.array([(0, 0), (1, 0), (2, 0), (2, 0), (2, 1), (1, 1), (2, 1)], float)
    assert corners(path).tolist() == [[0, 0], [2, 0], [2, 1], [1, 1], [2, 1]]
    assert corners(path[:1]).tolist() == [[0, 0]]


def drive(course: PlanningProblem, delay: int, period_s: float = 0.05) -> PointRobot:
    """Follow the shortest path; the follower sees the pose of ``delay`` steps ago."""
    one = PointRobot(course.grid, course.start)
    cells = a_star(course.grid.free, course.start, course.goal)
    follower = PathFollower([course.grid.centre_of(cell) for cell in cells], FollowerOptions())
    seen = [(one.point, one.yaw_rad)] * (delay + 1)
    for _ in range(round(60 + 10 * course.shortest_steps / period_s)):
        command = follower.command(*seen[0])
        if command.is_done:
            break
        one.command(command.forward_m_s, command.left_m_s, command.turn_rad_s)
        one.step(period_s)
        seen = [*seen[1:], (one.point, one.yaw_rad)]
    return one


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000), delay=st.integers(0, 2), resolution_m=st.sampled_from([0.05, 0.5, 3])
)
def test_a_plan_is_driven_to_its_end_without_touching_a_wall(
    seed: int, delay: int, resolution_m: float
) -> None:
    course = draw_problem(MazeRule(11), seed, True, resolution_m)
    one = drive(course, delay if resolution_m > 0.1 else min(delay, 1))
    assert one.cell == course.goal and one.contacts == 0


def test_a_course_is_the_same_for_the_same_seed() -> None:
    first, again = (draw_problem(MazeRule(15), 4, True, 0.5) for _ in range(2))
    assert (first.start, first.goal) == (again.start, again.goal)
    assert len(a_star(first.grid.free, first.start, first.goal)) == first.shortest_steps + 1
    with pytest.raises(ValueError, match="not negative"):
        draw_problem(MazeRule(15), -1, True, 0.5)
