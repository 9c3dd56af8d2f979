"""Plan through a map of your own: a picture, dark walls on light ground, or a ROS map.

python examples/plan_a_map.py                                    # draws itself a map
python examples/plan_a_map.py floor.png 3,4 40,60 --planner dt_vin
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from planners.planning.plan_command import PlanConfig, run_plan


def draw_a_map(path: Path) -> None:
    """Write two rooms with a door between them, 16 pixels to a cell."""
    free = np.zeros((12, 20), np.uint8)
    free[1:-1, 1:9] = free[1:-1, 10:-1] = 255
    free[8, 9] = 255  # the door
    cv2.imwrite(str(path), np.kron(free, np.ones((16, 16), np.uint8)))


def main() -> None:
    """Plan, write the picture, and print how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("map", type=Path, nargs="?", default=Path("runs/two_rooms.png"))
    parser.add_argument("start", nargs="?", default="2,2")
    parser.add_argument("goal", nargs="?", default="2,17")
    parser.add_argument("--planner", default="a_star", help="a_star, bfs, dt_vin, or a weight file")
    options = parser.parse_args()
    if not options.map.exists():
        options.map.parent.mkdir(parents=True, exist_ok=True)
        draw_a_map(options.map)
    picture = options.map.with_name(f"{options.map.stem}_plan.png")
    config = PlanConfig(
        maze=options.map,
        start=options.start,
        goal=options.goal,
        weights=options.planner,
        out=picture,
    )
    plan = run_plan(config).plan
    print(f"{plan.status.value}: {len(plan.cells) - 1} steps; {picture}.")


if __name__ == "__main__":
    main()
