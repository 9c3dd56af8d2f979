"""Installs the nodes so that `ros2 run asterias_nodes NODE` finds them."""

from setuptools import setup

PACKAGE = "asterias_nodes"
NODES = [
    "ask_bench",
    "bench",
    "camera_driver",
    "command_multiplexer",
    "dashboard",
    "demo",
    "doom_demo",
    "doom_world",
    "emulated_robot",
    "find_bench",
    "joy_reader",
    "language_agent",
    "limb_driver",
    "mapper",
    "maze_demo",
    "maze_world",
    "navigator",
    "path_follower",
    "planner",
    "player",
    "policy",
    "recorder",
    "recording_bench",
    "sim_robot",
    "target_detector",
    "target_finder",
    "teleop_bench",
    "teleop_gamepad",
    "teleop_keyboard",
    "teleop_leader",
    "train",
    "trainer",
]

# Their modules take long to import, with PyTorch, numba or matplotlib.
LATE = [
    "dashboard",
    "doom_demo",
    "doom_world",
    "emulated_robot",
    "language_agent",
    "mapper",
    "maze_demo",
    "maze_world",
    "planner",
]

setup(
    name=PACKAGE,
    version="0.1.0",
    description="Thin ROS 2 nodes around the Asterias robot",
    license="Apache-2.0",
    packages=[PACKAGE, f"{PACKAGE}.web"],
    package_data={PACKAGE: ["py.typed"], f"{PACKAGE}.web": ["static/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    python_requires=">=3.10",
    zip_safe=True,
    entry_points={
        "console_scripts": [
            f"{node} = {PACKAGE}.{'run_node:main_late' if node in LATE else f'{node}:main'}"
            for node in NODES
        ]
    },
)
