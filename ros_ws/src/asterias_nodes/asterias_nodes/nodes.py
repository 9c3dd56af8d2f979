"""The nodes of this package: the name that `ros2 run` takes, and the module that makes it."""

from __future__ import annotations

NODES = {
    "ask_bench": "agents.ask_bench",
    "bench": "launch_bench",
    "body_find_bench": "target_finding.body_find_bench",
    "camera_driver": "robot.camera_driver",
    "command_multiplexer": "robot.command_multiplexer",
    "crawl": "crawling.crawl",
    "crawl_demo": "crawling.crawl_demo",
    "dashboard": "web.dashboard",
    "demo": "target_finding.demo",
    "doom_demo": "navigation.doom_demo",
    "doom_world": "navigation.doom_world",
    "emulated_robot": "robot.emulated_robot",
    "find_bench": "target_finding.find_bench",
    "foxglove_bridge": "foxglove_bridge.bridge",
    "joy_reader": "teleop.joy_reader",
    "language_agent": "agents.language_agent",
    "limb_driver": "robot.limb_driver",
    "mapper": "navigation.mapper",
    "maze_demo": "navigation.maze_demo",
    "maze_world": "navigation.maze_world",
    "navigator": "navigation.navigator",
    "path_follower": "navigation.path_follower",
    "planner": "navigation.planner",
    "player": "recording.player",
    "policy": "target_finding.policy",
    "recorder": "recording.recorder",
    "recording_bench": "recording.recording_bench",
    "robot_state_publisher": "transforms.robot_state_publisher",
    "sim_robot": "robot.sim_robot",
    "soak_bench": "soak.soak_bench",
    "state_estimator": "state_estimation.state_estimator",
    "target_detector": "target_finding.target_detector",
    "target_finder": "target_finding.target_finder",
    "teleop_bench": "teleop.teleop_bench",
    "teleop_gamepad": "teleop.teleop_gamepad",
    "teleop_keyboard": "teleop.teleop_keyboard",
    "teleop_leader": "teleop.teleop_leader",
    "train": "target_finding.train",
    "trainer": "target_finding.trainer",
}


def module_of(node: str) -> str:
    """Return the full name of the module that makes a node."""
    return f"asterias_nodes.{NODES[node]}"


def entry_point(node: str) -> str:
    """Return the console script of a node, as setuptools reads it.

    Benches are no nodes: they end as programs do.
    """
    if node.endswith("bench"):
        return f"{node} = {module_of(node)}:main"
    return f"{node} = asterias_nodes.start_node:main"
