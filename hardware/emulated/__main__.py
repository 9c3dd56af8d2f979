"""``python -m hardware.emulated``: an emulated robot in a process of its own.

Writes a robot description with its ports and addresses once everything answers, and runs until its
standard input is closed or it is stopped.
"""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import tyro

from asterias.errors import HardwareError
from hardware.description.robot import load_robot, save_robot
from hardware.emulated.robot import EmulatedRobot


@dataclass(frozen=True)
class Emulate:
    """Emulate the servos and cameras of a robot."""

    out: Path
    """Robot description to write, for the drivers."""
    robot: str = "limb_p1"
    """Name or path of a robot description."""
    family: str = "dynamixel"
    """Servos to emulate: dynamixel, feetech, udp, or a family of an installed package."""
    baud_rate: int = 1_000_000
    """Bytes take their time at this rate; 0: no time at all."""


def main() -> int:
    """Return the exit code, after running until asked to stop."""
    options = tyro.cli(Emulate, prog="python -m hardware.emulated", description=__doc__)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=_wait_for_the_end, args=(stop,), daemon=True).start()
    try:
        robot = EmulatedRobot(
            load_robot(options.robot), options.family, baud_rate=options.baud_rate
        )
    except HardwareError as error:
        print(error, file=sys.stderr)
        return 2
    with robot:
        save_robot(robot.description, options.out)
        stop.wait()
    return 0


def _wait_for_the_end(stop: threading.Event) -> None:
    """Wait until the process that started this one closes its end of the standard input."""
    while sys.stdin.buffer.read(1):
        pass
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
