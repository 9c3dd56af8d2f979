"""The first hour with a limb of your own, rehearsed on emulated servos: real drivers, real bytes.

    python examples/real_limb_in_an_hour.py

Each step is a command that you type for the real limb (docs/how_to/describe_your_robot.md has parts
and wiring). Only a person's hands are missing here: the emulated limb moves itself when asked.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from hardware.description.robot import load_robot

HARDWARE = [sys.executable, "-m", "hardware"]
# An emulated servo gets its turn from the operating system: on a busy machine it may answer late.
TRIES = 4


def step(title: str, *arguments: str, keys: str = "") -> str:
    """Return what a command printed."""
    print(f"\n{title}\n  $ asterias hardware {' '.join(arguments)}")
    for _ in range(TRIES):
        done = subprocess.run(
            [*HARDWARE, *arguments], input=keys, capture_output=True, text=True, check=False
        )
        if not done.returncode:
            break
    else:
        sys.exit(done.stdout + done.stderr)
    print("  " + "\n  ".join(done.stdout.strip().splitlines()[-3:]))
    return done.stdout


def main() -> None:
    """Scan, describe, set ids, calibrate, examine, and bring the limb to rest."""
    bare = ("--backend", "emulated", "--family", "feetech")
    folder = Path(tempfile.mkdtemp())
    robot, calibration = folder / "my_limb.yaml", folder / "calibration.json"

    text = step("0:00  What answers?", "new", "--from-scan", "--most-id", "6", *bare)
    robot.write_text(text, encoding="utf-8")
    joints = [joint.name for joint in load_robot(robot).limbs[0].joints]

    here = ("--robot", str(robot), *bare)
    enter = "\n" * (2 + 2 * len(joints))
    step("0:10  One id each.", "set-id", "--most-id", "30", *here, keys=enter)
    step("0:20  Zero, direction, range.", "calibrate", "--out", str(calibration), *here, keys=enter)
    step("0:40  Is all well?", "doctor", *here)
    step("0:50  Home, and let go.", "rest", *here)
    print(f"\n1:00  Drive it: ros2 launch launch/teleop.launch.xml robot:={robot} body:=real")


if __name__ == "__main__":
    main()
