"""World, mapper and navigator of the ViZDoom mazes as processes, spoken to over DDS."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from asterias_interfaces.action import Navigate
from asterias_interfaces.msg import CellViews
from asterias_interfaces.srv import DrawMaze, LookAround
from geometry_msgs.msg import PointStamped, Twist
from nav_msgs.msg import OccupancyGrid, Odometry
from rclpy.action import ActionClient
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from asterias_nodes.navigation.doom_demo import DoomDemoSettings
from asterias_nodes.navigation.doom_world import DoomWorldSettings
from asterias_nodes.navigation.mapper import views_of
from asterias_nodes.navigation.navigation_messages import from_map_msg, occupancy_of
from asterias_nodes.runtime.conversions import from_image_msg, to_image_msg, to_time_msg
from asterias_nodes.runtime.parameters import SettingsError
from asterias_nodes.runtime.qos import latched_qos, reliable_qos, sensor_qos


def collect(peer: Any, kind: Any, topic: str, qos: Any) -> list[Any]:
    messages: list[Any] = []
    peer.node.create_subscription(kind, topic, messages.append, qos)
    return messages


def call(peer: Any, kind: Any, name: str, request: Any) -> Any:
    client = peer.node.create_client(kind, name)
    peer.wait_until(client.service_is_ready, 60.0)
    future = client.call_async(request)
    peer.wait_until(future.done)
    return future.result()


@pytest.mark.slow
def test_what_is_seen_becomes_a_map_and_a_goal_can_be_canceled(start_node: Any, peer: Any) -> None:
    start_node("doom_world", size=9, seed=3, real_time_factor=3.0, openness=0.0)
    start_node("mapper")
    start_node("planner", planners="[dt_vin, a_star]", unknown_is_free=True)
    start_node("path_follower", speed_m_s=0.3)
    start_node("navigator")
    maps = collect(peer, OccupancyGrid, "/map", latched_qos())
    poses = collect(peer, Odometry, "/odom", reliable_qos())
    images = collect(peer, Image, "/camera/image_raw", sensor_qos())
    drawn = call(peer, DrawMaze, "/draw_maze", DrawMaze.Request(seed=3))
    truth = from_map_msg(drawn.map)

    looked = call(peer, LookAround, "/look_around", LookAround.Request(everywhere=True))
    assert looked.success and looked.cells == truth.free.sum()
    peer.wait_until(lambda: bool(maps))
    seen = occupancy_of(maps[-1])
    assert (seen == 0).sum() == truth.free.sum() and maps[-1].header.stamp == looked.stamp
    assert maps[-1].info.origin == drawn.map.info.origin

    peer.wait_until(lambda: bool(images))
    assert from_image_msg(images[-1]).shape == (120, 160, 3)

    client = ActionClient(peer.node, Navigate, "/navigate")
    peer.wait_until(client.server_is_ready)
    feedback: list[Any] = []
    goal = Navigate.Goal(goal=drawn.goal, planner_id="dt_vin")
    sent = client.send_goal_async(goal, feedback_callback=lambda m: feedback.append(m.feedback))
    peer.wait_until(sent.done)
    handle = sent.result()
    assert handle.accepted
    peer.wait_until(lambda: any(told.distance_to_go > 0 for told in feedback))
    assert feedback[-1].plans >= 1 and feedback[-1].looks >= 1
    handle.cancel_goal_async()
    ended = handle.get_result_async()
    peer.wait_until(ended.done)
    assert ended.result().status == GoalStatus.STATUS_CANCELED
    assert ended.result().result.error_code == Navigate.Result.CANCELED
    peer.spin(0.5)
    still = poses[-1].pose.pose.position
    peer.spin(0.5)
    after = poses[-1].pose.pose.position
    assert abs(still.x - after.x) + abs(still.y - after.y) < 0.02  # the robot stands

    bump = PointStamped()
    bump.header = maps[-1].header
    free = np.argwhere(truth.free)
    cell = next((int(r), int(c)) for r, c in free if occupancy_of(maps[-1])[r, c] != 100)
    bump.point.x, bump.point.y = truth.centre_of(cell)
    count = len(maps)
    peer.node.create_publisher(PointStamped, "/bumps", reliable_qos()).publish(bump)
    peer.wait_until(lambda: len(maps) > count)
    assert occupancy_of(maps[-1])[cell] == 100
    count = len(maps)
    assert call(peer, Trigger, "/doubt_map", Trigger.Request()).success
    peer.wait_until(lambda: len(maps) > count)
    assert (occupancy_of(maps[-1])[1:-1, 1:-1] == 100).sum() == 1

    push = peer.node.create_publisher(Twist, "/cmd_vel", reliable_qos(1))
    command = Twist()
    command.angular.z = 3.0
    peer.wait_until(lambda: push.get_subscription_count() > 0)

    def turns() -> bool:
        push.publish(command)
        return bool(poses[-1].twist.twist.angular.z == pytest.approx(3.0))

    peer.wait_until(turns)


def views_msg(count: int = 1) -> CellViews:
    """Views of cells in a map of 5 x 6."""
    sheet = np.zeros((24 * count, 128, 3), np.uint8)
    message = CellViews(image=to_image_msg(sheet, to_time_msg(0.0), "camera"))
    message.info.height, message.info.width, message.info.resolution = 5, 6, 0.5
    message.rows, message.columns = [1] * count, [2] * count
    return message


def test_views_are_taken_apart_as_they_were_put_together() -> None:
    message = views_msg(2)
    picture = np.random.default_rng(0).integers(0, 255, (48, 128, 3), np.uint8)
    message.image = to_image_msg(picture, to_time_msg(0.0), "camera")
    views = views_of(message)
    assert views.shape == (2, 4, 24, 32, 3)
    np.testing.assert_array_equal(views[1, 2], picture[24:, 64:96])


def test_views_that_do_not_fit_are_refused_with_a_sentence() -> None:
    outside = views_msg()
    outside.rows = [5]
    uneven = views_msg()
    uneven.columns = [1, 2]
    small = views_msg()
    small.rows, small.columns = [1, 2], [1, 2]
    empty = views_msg()
    empty.info.height = 0
    for message, words in (
        (outside, "the cell 5,2 is outside the map"),
        (uneven, "1 rows but 2 columns"),
        (small, "2 cells need"),
        (empty, "how large the map is"),
    ):
        with pytest.raises(ValueError, match=words):
            views_of(message)


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        (DoomWorldSettings, {"textures": "velvet"}, "'textures' and 'light'"),
        (DoomWorldSettings, {"control_rate_hz": 20.0}, "must be 35"),
        (DoomWorldSettings, {"image_rate_hz": 0.0}, "image_rate_hz"),
        (DoomDemoSettings, {"views": "some"}, "all or explore"),
        (DoomDemoSettings, {"mazes": 0}, "'mazes' must be 1"),
    ],
)
def test_wrong_settings_say_what_is_wrong(kind: Any, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        kind(**settings)
