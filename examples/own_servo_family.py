"""Drive a servo of your own: its registers in a table, then the whole stack knows it.

    python examples/own_servo_family.py

Here the servo speaks Feetech's protocol with a firmware of its own. It is described, emulated
byte for byte and driven by the real driver, as it would be on a real port.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from hardware.buses.families import SERVO_FAMILIES
from hardware.buses.feetech import MODELS
from hardware.buses.ratings import ServoRating, rpm
from hardware.buses.registers import ServoFamily

# Torque, speed and mass give every joint its limits; the number is what the servo says it is.
RATING = ServoRating(stall_torque_nm=3.2, no_load_rad_s=rpm(60), mass_kg=0.07)
MODEL = replace(MODELS["sts3215"], name="a1", number=99, rating=RATING)
SERVO_FAMILIES.register("acme", ServoFamily("acme", {"a1": MODEL}, "a1", (1_000_000,)))

# Descriptions know the families that are registered when they are imported.
from hardware.description.robot import parse_robot  # noqa: E402
from hardware.emulated.robot import EmulatedRobot  # noqa: E402
from hardware.factory import make_limb  # noqa: E402

ROBOT = {
    "name": "arm",
    "limbs": [
        {"name": "arm", "joints": [{"name": "pan", "servo": "a1"}, {"name": "tilt", "servo": "a1"}]}
    ],
}


def main() -> None:
    """Move both joints to a goal, and print where they are."""
    goal = np.array([0.4, -0.2])
    robot = EmulatedRobot(parse_robot(ROBOT), "acme", pattern=False)
    with robot, make_limb(robot.description, 0) as limb:
        end_s = time.monotonic() + 20.0
        while np.abs(limb.read().position_rad - goal).max() > 0.02 and time.monotonic() < end_s:
            limb.send(goal)
            limb.tick()
            time.sleep(0.02)
        print("Joints at", limb.read().position_rad.round(2).tolist(), "rad.")


if __name__ == "__main__":
    main()
