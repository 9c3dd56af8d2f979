"""What all benches share: options, a ROS domain of their own, errors, and the result file."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import rclpy
import tyro

from asterias.errors import AsteriasError, UserError
from asterias.files import write_json
from asterias.provenance import provenance, public_command
from asterias_nodes.runtime.domains import reserve_domain_id
from hardware.description.limb import Limb
from hardware.description.robot import RobotDescription, load_robot


@dataclass(frozen=True)
class BenchOptions:
    """Options of every bench of a launched robot."""

    robot: str = "limb_p1"
    """Name or path of a robot description."""
    limb: int = 0
    """Number of the limb that is measured."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Result file to write."""

    def description(self) -> RobotDescription:
        """Return the description of the robot."""
        return load_robot(self.robot)

    def limb_description(self) -> Limb:
        """Return the description of the limb.

        Raises:
            UserError: the robot has no such limb.
        """
        limbs = self.description().limbs
        if not 0 <= self.limb < len(limbs):
            raise UserError(
                f"--limb must be from 0 to {len(limbs) - 1} for robot {self.robot}, "
                f"not {self.limb}."
            )
        return limbs[self.limb]

    @property
    def cameras(self) -> int:
        """The number of the limb's live cameras."""
        return len(self.limb_description().live_cameras)

    def write(self, bench: str, data: Mapping[str, Any], seed: int | None = None) -> None:
        """Write the result file, if one is asked for.

        Args:
            bench: the command's name.
            data: the figures.
            seed: of the measurement.
        """
        if self.json is not None:
            command = public_command(["ros2", "run", "asterias_nodes", bench, *sys.argv[1:]])
            write_json(self.json, {**provenance(seed, command), **data})


OptionsT = TypeVar("OptionsT", bound=BenchOptions)


def run_bench(
    options_type: type[OptionsT], bench: str, description: str, measure: Callable[[OptionsT], int]
) -> int:
    """Return the exit code of a bench, run from the command line in a ROS domain of its own.

    Args:
        options_type: its options.
        bench: the command's name.
        description: for ``--help``.
        measure: does the work; its errors end the bench with one sentence and exit code 2.
    """
    options = tyro.cli(
        options_type, prog=f"ros2 run asterias_nodes {bench}", description=description
    )
    # Started by nohup or in the background, Python would leave Ctrl-C's signal ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A domain of its own, so that no other robot on this machine is measured or moved.
    os.environ["ROS_DOMAIN_ID"] = str(reserve_domain_id())
    rclpy.init()
    try:
        return measure(options)
    except (AsteriasError, OSError, ValueError) as error:
        print(f"{bench}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    finally:
        rclpy.try_shutdown()
