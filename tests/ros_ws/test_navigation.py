"""Planner, maze world and path follower as processes, spoken to over DDS."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from action_client import Asker
from action_msgs.msg import GoalStatus
from asterias_interfaces.action import ComputePath, FollowPath
from asterias_interfaces.srv import DrawMaze
from geometry_msgs.msg import Twist
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from asterias_nodes.navigation.maze_demo import MazeDemoSettings
from asterias_nodes.navigation.maze_world import MazeWorldSettings
from asterias_nodes.navigation.navigation_messages import (
    from_map_msg,
    point_of,
    to_map_msg,
    to_pose,
    to_pose_stamped,
    yaw_of,
)
from asterias_nodes.navigation.planner import PlannerSettings
from asterias_nodes.runtime.conversions import to_time_msg
from asterias_nodes.runtime.parameters import SettingsError
from asterias_nodes.runtime.qos import latched_qos, reliable_qos
from planners.mazes.datasets import MazeRule, generate
from planners.mazes.grid_map import GridMap
from planners.mazes.problems import draw_problem
from planners.networks.weights import WEIGHTS_FOLDER

Code = ComputePath.Result
ORIGIN = (-2.0, 1.0, 0.5)  # a map that lies askew
RESOLUTION_M = 0.25
#        0 is a wall, 1 free, 2 unknown; the lower right cell is shut in
PLAN = np.array(
    [
        [1, 1, 1, 0, 1],
        [1, 0, 1, 0, 0],
        [1, 2, 1, 1, 1],
        [0, 0, 0, 0, 0],
        [1, 1, 1, 0, 1],
    ]
)
GRID = GridMap((PLAN == 1).astype(np.uint8), RESOLUTION_M, ORIGIN)


def map_msg() -> OccupancyGrid:
    message = to_map_msg(GRID, to_time_msg(1.0), "map")
    values = np.asarray(message.data, np.int8).reshape(PLAN.shape)
    values[PLAN[::-1] == 2] = -1
    message.data = values.ravel().tolist()
    return message


def goal_msg(
    start: tuple[int, int] | None, goal: tuple[int, int], planner: str = "", frame: str = "map"
) -> ComputePath.Goal:
    """A goal between the centres of two cells; start None is the robot's pose."""
    stamp = to_time_msg(0.0)
    message = ComputePath.Goal(planner_id=planner, use_start=start is not None)
    message.goal = to_pose_stamped(GRID.centre_of(goal), stamp, frame, 1.0)
    if start is not None:
        message.start = to_pose_stamped(GRID.centre_of(start), stamp, "")
    return message


def test_messages_and_maps_are_inverse() -> None:
    again = from_map_msg(to_map_msg(GRID, to_time_msg(0.0), "map"))
    np.testing.assert_array_equal(again.free, GRID.free)
    assert again.origin == pytest.approx(ORIGIN) and again.resolution_m == RESOLUTION_M
    assert from_map_msg(map_msg(), unknown_is_free=True).free[2, 1] == 1
    assert from_map_msg(map_msg(), occupied_threshold=100).free.sum() == GRID.free.sum()
    short = map_msg()
    short.data = [0] * 3
    with pytest.raises(ValueError, match="has 3 cells, but is 5 high"):
        from_map_msg(short)


def change_state(peer: Any, transition: int) -> None:
    """Let the planner change its state."""
    client = peer.node.create_client(ChangeState, "/planner/change_state")
    peer.wait_until(client.service_is_ready)
    future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
    peer.wait_until(future.done)
    assert future.result().success
    peer.node.destroy_client(client)


def expect_shortest_path(result: Any) -> None:
    """From the upper left cell to the right: the path, its frame, and where the poses look."""
    assert (result.error_code, result.error_msg, result.status) == (0, "", "optimal")
    points = [point_of(pose.pose) for pose in result.path.poses]
    assert [GRID.cell_at(point) for point in points] == [
        *((0, column) for column in range(3)),
        (1, 2),
        *((2, column) for column in range(2, 5)),
    ]
    assert result.path.header.frame_id == result.path.poses[0].header.frame_id == "map"
    assert yaw_of(result.path.poses[-1].pose.orientation) == pytest.approx(1.0)
    # The map's x axis is turned by its origin's yaw.
    assert yaw_of(result.path.poses[0].pose.orientation) == pytest.approx(ORIGIN[2])
    steps_m = [math.dist(a, b) for a, b in pairwise(points)]
    assert steps_m == pytest.approx([RESOLUTION_M] * 6)


def refused_goals() -> list[tuple[ComputePath.Goal, int, str]]:
    """Goals without a path, the code of each and words of its sentence."""
    return [
        (goal_msg((0, 0), (2, 4), "psychic"), Code.INVALID_PLANNER, "a_star, dt_vin, gppn_15"),
        (goal_msg((0, 0), (2, 4), frame="odom"), Code.TF_ERROR, "give it in 'map'"),
        (goal_msg(None, (2, 4)), Code.TF_ERROR, "nothing comes on /odom"),
        (goal_msg((5, 0), (2, 4)), Code.START_OUTSIDE_MAP, "outside the map"),
        (goal_msg((0, 0), (0, -1)), Code.GOAL_OUTSIDE_MAP, "outside the map"),
        (goal_msg((1, 1), (2, 4)), Code.START_OCCUPIED, "is a wall"),
        (goal_msg((0, 0), (2, 1)), Code.GOAL_OCCUPIED, "is a wall"),
        (goal_msg((0, 0), (4, 4)), Code.NO_VALID_PATH, "separate"),
    ]


def publish_hard_maze(maps: Any) -> ComputePath.Goal:
    """Publish a maze too hard for a VIN of 15 x 15; a goal across it for that VIN."""
    maze = GridMap(generate(MazeRule(35, decimation=(0, 0)), 1, 1).mazes[0], 1.0)
    maps.publish(to_map_msg(maze, to_time_msg(2.0), "map"))
    assert maps.wait_for_all_acked()
    hard = ComputePath.Goal(planner_id="gppn_15", use_start=True)
    hard.start = to_pose_stamped(maze.centre_of((1, 1)), to_time_msg(0.0), "map")
    hard.goal = to_pose_stamped(maze.centre_of((33, 33)), to_time_msg(0.0), "map")
    return hard


def test_a_path_is_planned_published_and_every_failure_has_its_code(
    start_node: Any, peer: Any
) -> None:
    node = start_node(
        "planner", planners="[a_star, dt_vin, gppn_15]", patience_s=0.3, autostart=False
    )
    change_state(peer, Transition.TRANSITION_CONFIGURE)
    asker = Asker(peer, ComputePath, "/compute_path")
    assert not asker.send(goal_msg((0, 0), (2, 4))).accepted
    change_state(peer, Transition.TRANSITION_ACTIVATE)
    result = asker.ask(goal_msg((0, 0), (2, 4)))
    assert result.error_code == Code.NO_MAP and "/map" in result.error_msg
    maps = peer.node.create_publisher(OccupancyGrid, "/map", latched_qos())
    maps.publish(map_msg())
    plans: list[Path] = []
    peer.node.create_subscription(Path, "/plan", plans.append, latched_qos())
    for planner in ("a_star", "dt_vin", ""):
        result = asker.ask(goal_msg((0, 0), (2, 4), planner))
        expect_shortest_path(result)
    peer.wait_until(lambda: len(plans) == 3)
    assert plans[-1] == result.path
    for goal, code, words in refused_goals():
        result = asker.ask(goal)
        assert result.error_code == code, result.error_msg
        assert words in result.error_msg and not result.path.poses
    poses = peer.node.create_publisher(Odometry, "/odom", reliable_qos())
    robot = Odometry()
    robot.header.frame_id, robot.pose.pose = "map", to_pose(GRID.centre_of((2, 0)))
    peer.wait_until(lambda: poses.get_subscription_count() > 0)
    poses.publish(robot)
    result = asker.ask(goal_msg(None, (0, 0)))
    assert result.error_code == Code.NONE and len(result.path.poses) == 3
    hard = publish_hard_maze(maps)
    result = asker.ask(hard)
    assert result.error_code in (Code.PATH_COLLIDES, Code.PATH_CIRCLES), result
    assert result.layers > 0 and "would reach the goal" in result.error_msg
    # A life cycle later all is as before.
    for transition in ("DEACTIVATE", "CLEANUP", "CONFIGURE", "ACTIVATE"):
        change_state(peer, getattr(Transition, f"TRANSITION_{transition}"))
    peer.wait_until(asker.client.server_is_ready)
    hard.planner_id = "a_star"
    assert asker.ask(hard).error_code == Code.NONE
    asker.close()
    outcome = node.stop()
    assert outcome.status == 0 and "Traceback" not in outcome.stderr


def test_a_long_plan_is_told_about_canceled_replaced_and_limited(
    start_node: Any, peer: Any
) -> None:
    node = start_node("planner", planners="[dt_vin, bfs]", depth=10_000_000, time_limit_s=2.0)
    asker = Asker(peer, ComputePath, "/compute_path")
    maps = peer.node.create_publisher(OccupancyGrid, "/map", latched_qos())
    course = draw_problem(MazeRule(201), 0, False, 1.0)
    maps.publish(to_map_msg(course.grid, to_time_msg(1.0), "map"))
    long = ComputePath.Goal(use_start=True)
    long.start.pose = to_pose(course.grid.centre_of(course.start))
    long.goal.pose = to_pose(course.grid.centre_of(course.goal))
    first = asker.send(long)
    # On a busy machine two pieces of feedback may come within one slice of layers.
    heard = asker.feedback
    peer.wait_until(lambda: bool(heard) and heard[-1].layers > heard[0].layers)
    assert 0 < asker.feedback[0].layers < asker.feedback[-1].layers
    assert asker.feedback[0].max_layers == 10_000_000
    asked_s = time.monotonic()
    answer = first.cancel_goal_async()
    peer.wait_until(answer.done)
    ended = asker.result(first)
    assert ended.status == GoalStatus.STATUS_CANCELED
    assert ended.result.error_code == Code.CANCELED
    assert time.monotonic() - asked_s < 1.5
    second = asker.send(long)
    long.planner_id = "bfs"
    third = asker.ask(long)
    long.planner_id = ""
    assert third.error_code == Code.NONE
    assert len(third.path.poses) == course.shortest_steps + 1
    ended = asker.result(second)
    assert ended.status == GoalStatus.STATUS_ABORTED
    assert ended.result.error_code == Code.REPLACED
    # What has been found counts, though not all layers were done.
    result = asker.ask(long)
    assert result.status in ("optimal", "valid") and 0 < result.layers < 10_000_000
    # Stopping does not wait for the plan's end.
    asker.send(long)
    asker.close()
    outcome = node.stop()
    assert outcome.status == 0 and "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        (PlannerSettings, {"planners": ["dt_vin", "psychic"]}, "no planner 'psychic'"),
        (PlannerSettings, {"planners": ["x=none.safetensors"]}, "no weights at none.safetensors"),
        (PlannerSettings, {"planners": []}, "at least one planner"),
        (PlannerSettings, {"time_limit_s": 0.0}, "'time_limit_s' must be above 0"),
        (MazeWorldSettings, {"kind": "hedge"}, "maze kind is 'hedge'"),
        (MazeWorldSettings, {"size": 2}, "maze size is 2"),
        (MazeDemoSettings, {"mazes": 0}, "'mazes' must be 1 or more"),
    ],
)
def test_wrong_settings_say_what_is_wrong(kind: Any, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        kind(**settings)
    assert told in str(caught.value)


def test_a_wrong_parameter_ends_a_node_with_one_sentence(start_node: Any) -> None:
    outcome = start_node("maze_world", real_time_factor=0.0).wait()
    assert outcome.status == 2
    told = "maze_world: Parameter 'real_time_factor' must be above 0.\n"
    assert outcome.stderr == told


def damaged_weights(folder: Any, damage: str) -> str:
    source = WEIGHTS_FOLDER / "dt_vin_15.safetensors"
    content, card = source.read_bytes(), source.with_suffix(".json").read_text()
    contents = {"cut": content[:-9], "web page": b"<html>404</html>"}
    cards = {"card": "[1, 2]", "empty card": ""}
    (folder / "mine.safetensors").write_bytes(contents.get(damage, content))
    (folder / "mine.json").write_text(cards.get(damage, card))
    return f"mine={folder}/mine.safetensors"


@pytest.mark.parametrize("damage", ["cut", "web page", "card", "empty card"])
def test_damaged_weights_are_no_settings_of_the_planner(tmp_path: Any, damage: str) -> None:
    with pytest.raises(SettingsError, match=r"mine\.(safetensors|json)") as caught:
        PlannerSettings(planners=["bfs", damaged_weights(tmp_path, damage)])
    assert "\n" not in str(caught.value)


@pytest.mark.slow  # which weights are refused is tested above; how a node ends, with the world
def test_damaged_weights_end_the_planner_with_one_sentence(start_node: Any, tmp_path: Any) -> None:
    planners = f"[bfs, {damaged_weights(tmp_path, 'cut')}]"
    # It loads PyTorch first, which takes long where other tests run.
    outcome = start_node("planner", planners=planners).wait(90.0)
    assert outcome.status == 2
    assert outcome.stderr.startswith("planner: Parameters 'planners' and 'device': ")
    assert "mine.safetensors is no safetensors file" in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_the_world_has_walls_an_emergency_stop_and_new_mazes(start_node: Any, peer: Any) -> None:
    node = start_node("maze_world", size=9, real_time_factor=10.0)
    maps, poses, states = [], [], []  # type: ignore[var-annotated]
    peer.node.create_subscription(OccupancyGrid, "/map", maps.append, latched_qos())
    peer.node.create_subscription(Odometry, "/odom", poses.append, reliable_qos())
    peer.node.create_subscription(Bool, "/e_stop_state", states.append, latched_qos())
    commands = peer.node.create_publisher(Twist, "/cmd_vel", reliable_qos(1))
    peer.wait_until(lambda: maps and poses and states and commands.get_subscription_count())
    grid = from_map_msg(maps[0])
    assert grid.free.shape == (9, 9) and poses[0].header.frame_id == "map"
    push = Twist()
    push.linear.x = push.linear.y = 0.7

    def drive(duration_s: float) -> tuple[float, float]:
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s:
            commands.publish(push)
            peer.spin(0.02)
        return point_of(poses[-1].pose.pose)

    drive(0.5)
    assert all(grid.is_free(grid.cell_at(point_of(pose.pose.pose))) for pose in poses)
    assert len({point_of(pose.pose.pose) for pose in poses}) > 3

    def call(kind: Any, name: str, **fields: Any) -> Any:
        client = peer.node.create_client(kind, name)
        peer.wait_until(client.service_is_ready)
        future = client.call_async(kind.Request(**fields))
        peer.wait_until(future.done)
        return future.result()

    drawn = call(DrawMaze, "/draw_maze", seed=5)
    assert drawn.success and drawn.shortest_steps > 5
    peer.wait_until(lambda: len(maps) == 2)
    assert maps[-1] == drawn.map and maps[-1].data != maps[0].data
    start = point_of(drawn.start.pose)
    peer.wait_until(lambda: point_of(poses[-1].pose.pose) == pytest.approx(start))
    assert call(SetBool, "/e_stop", data=True).success
    assert drive(0.3) == pytest.approx(start)
    peer.wait_until(lambda: states[-1].data)
    assert not call(DrawMaze, "/draw_maze", seed=-1).success
    assert node.stop().status == 0


class Cart:
    """A robot without walls: moves as /cmd_vel says, at each tick."""

    def __init__(self, peer: Any) -> None:
        self.peer, self.x, self.y, self.time_s = peer, 0.0, 0.0, 100.0
        self.twist = Twist()
        self.is_stuck = False
        self.poses = peer.node.create_publisher(Odometry, "/odom", reliable_qos())
        peer.node.create_subscription(Twist, "/cmd_vel", self._keep, reliable_qos())

    def _keep(self, message: Twist) -> None:
        self.twist = message

    def tick(self) -> None:
        self.time_s += 0.05
        if not self.is_stuck:
            self.x += 0.05 * self.twist.linear.x
            self.y += 0.05 * self.twist.linear.y
        message = Odometry()
        message.header.frame_id, message.header.stamp = "map", to_time_msg(self.time_s)
        message.pose.pose = to_pose((self.x, self.y))
        self.poses.publish(message)
        self.peer.spin(0.004)

    def until(self, condition: Any) -> None:
        end_s = time.monotonic() + 15
        while not condition():
            assert time.monotonic() < end_s
            self.tick()


def test_the_follower_drives_and_ends_for_each_reason(start_node: Any, peer: Any) -> None:
    node = start_node("path_follower", patience_s=0.5)
    asker, cart = Asker(peer, FollowPath, "/follow_path"), Cart(peer)
    stops = peer.node.create_publisher(Bool, "/e_stop_state", latched_qos())
    stops.publish(Bool(data=False))
    peer.wait_until(lambda: cart.poses.get_subscription_count() > 0)
    code = FollowPath.Result

    def follow(*points: tuple[float, float], frame: str = "map") -> Any:
        path = Path(poses=[to_pose_stamped(p, to_time_msg(0.0), frame) for p in points])
        path.header.frame_id = frame
        return asker.send(FollowPath.Goal(path=path))

    def outcome(handle: Any, *, ticks: bool = True) -> Any:
        future = handle.get_result_async()
        if ticks:
            cart.until(future.done)
        else:
            peer.wait_until(future.done)
        return future.result().result

    result = outcome(follow((0, 0), (1, 0), (2, 0), (2, 1)))
    assert result.error_code == code.NONE, result.error_msg
    assert (cart.x, cart.y) == pytest.approx((2, 1), abs=0.11)
    assert result.driven == pytest.approx(2.9, abs=0.3) and result.duration.sec >= 2
    assert asker.feedback and asker.feedback[0].distance_to_goal > 2
    cart.until(lambda: cart.twist == Twist())  # the robot is told to stop
    assert outcome(follow()).error_code == code.INVALID_PATH
    assert "plan again" in outcome(follow((9, 9), (9, 10))).error_msg
    assert outcome(follow((2, 1), (3, 1), frame="odom")).error_code == code.TF_ERROR
    assert outcome(follow((2, 1), (3, 1)), ticks=False).error_code == code.TF_ERROR
    cart.is_stuck = True
    handle = follow((2, 1), (9, 1))
    assert outcome(handle).error_code == code.FAILED_TO_MAKE_PROGRESS
    cart.is_stuck = False
    first, second = follow((2, 1), (9, 1)), follow((2, 1), (8, 1))
    assert outcome(first).error_code == code.REPLACED
    second.cancel_goal_async()
    assert outcome(second).error_code == code.CANCELED
    handle = follow((2, 1), (9, 1))
    stops.publish(Bool(data=True))
    assert outcome(handle).error_code == code.E_STOP
    assert outcome(follow((2, 1), (9, 1))).error_code == code.E_STOP
    assert cart.x < 4
    asker.close()
    outcome_of_node = node.stop()
    assert outcome_of_node.status == 0 and "Traceback" not in outcome_of_node.stderr
