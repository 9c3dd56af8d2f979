"""Interfaces of others that the workspace builds have the hashes of the originals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_share_directory
from control_msgs.action import FollowJointTrajectory

# As the originals have them since ROS 2 Iron; two nodes talk only if these agree.
HASHES = {
    "tf2_msgs/msg/TFMessage": "e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087",
    "control_msgs/msg/JointComponentTolerance": (
        "739ea7566931944d33830fa10f1bf5e7a7fbdc3172bce7a7eaac642bd6e3ffa4"
    ),
    "control_msgs/action/FollowJointTrajectory": (
        "738ebcb7a2d7cfa42f9f1001cc99ce3a4383d1cfe508015d9be8485e4b1c66f6"
    ),
}


@pytest.mark.parametrize("name", HASHES)
def test_the_type_has_the_hash_of_the_original(name: str) -> None:
    package, kind, message = name.split("/")
    path = Path(get_package_share_directory(package)) / kind / f"{message}.json"
    hashes = json.loads(path.read_text())["type_hashes"]
    found = {entry["type_name"]: entry["hash_string"] for entry in hashes}
    assert found[name] == f"RIHS01_{HASHES[name]}"


def test_the_codes_are_those_of_the_standard() -> None:
    result = FollowJointTrajectory.Result
    codes = [
        result.SUCCESSFUL,
        result.INVALID_GOAL,
        result.INVALID_JOINTS,
        result.OLD_HEADER_TIMESTAMP,
        result.PATH_TOLERANCE_VIOLATED,
        result.GOAL_TOLERANCE_VIOLATED,
    ]
    assert codes == [0, -1, -2, -3, -4, -5]
