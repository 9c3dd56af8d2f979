"""Let a trained policy search with a real limb: drivers, cameras, detector, no ROS.

    python examples/policy_on_the_robot.py                      # emulated: real bytes, no device
    python examples/policy_on_the_robot.py my_limb.yaml --real --policy runs/by_sb3

With ROS: `ros2 launch launch/find_target.launch.xml robot:=my_limb.yaml body:=real policy:=...`.
"""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack

import numpy as np

from asterias.errors import StaleFrameError
from hardware.description.robot import RobotDescription, load_robot
from hardware.factory import make_camera, make_limb
from hardware.limbs.driver import LimbDriver
from hardware.perception.apriltag import detect_tags
from learning.target_finding.policies.registry import make_searcher
from sim.emulation import SimulatedDevices

MOST_STEPS = 30


def go(limb: LimbDriver, goal_rad: np.ndarray, seconds: float) -> None:
    """Command a position at the control rate for some time."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        limb.send(goal_rad)
        limb.tick()
        time.sleep(0.02)


def search(robot: RobotDescription, policy: str, wait_s: float) -> int:
    """Return after how many steps a camera saw the target; -1 for never."""
    described = robot.limbs[0]
    with ExitStack() as stack:
        limb = stack.enter_context(make_limb(robot, 0))
        cameras = [
            stack.enter_context(make_camera(robot, described, about))
            for about in described.live_cameras
        ]
        low, high = np.array([joint.limits_rad for joint in described.joints]).T
        rng = np.random.default_rng(0)
        searcher = make_searcher(policy, low, high, rng, cameras=len(cameras), robot=robot)
        goal = rng.uniform(low, high)
        for step in range(MOST_STEPS):
            go(limb, goal, wait_s)
            alive = []
            for number, camera in enumerate(cameras):
                try:
                    picture = camera.read_latest(max_age_s=1.0).image
                except StaleFrameError:
                    continue  # a dead camera; the policy is told so
                alive.append(number)
                if detect_tags(picture, ids=[robot.target.id]):
                    print(f"{described.live_cameras[number].name} sees the target, step {step}.")
                    return step
            goal = searcher.act(goal, alive)
    return -1


def main() -> None:
    """Search once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("robot", nargs="?", default="limb_p1")
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--policy", default="ppo_kill0")
    parser.add_argument("--wait-s", type=float, default=2.0)
    options = parser.parse_args()
    robot = load_robot(options.robot)
    if options.real:
        search(robot, options.policy, options.wait_s)
        return
    with SimulatedDevices(robot) as devices:
        search(devices.description, options.policy, options.wait_s)


if __name__ == "__main__":
    main()
