"""``python -m hardware``: find, examine, set up and try the devices of a robot.

Each verb can be rehearsed without any device: ``--robot limb_p1 --backend emulated``.
"""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from asterias.cli import run_command
from asterias.errors import DescriptionError, HardwareError
from asterias.files import write_text
from hardware.buses.bus import open_bus
from hardware.buses.serial_bus import SerialBus
from hardware.cameras.http_stream import without_password
from hardware.description.buses import UdpSettings
from hardware.description.robot import RobotDescription, load_robot
from hardware.description.urdf import urdf_of
from hardware.factory import calibration_path, devices_of, make_limb, make_limb_bus
from hardware.limbs.calibration import default_path, save
from hardware.setup.benchmark import BenchmarkDrivers
from hardware.setup.diagnose import PartStatus, examine
from hardware.setup.new_robot import ListModels, NewRobot
from hardware.setup.procedures import Ask, Jog, ManualAction, calibrate, rest, set_ids
from hardware.setup.scan import scan_network, scan_port, serial_ports, usb_cameras
from hardware.setup.session import RobotSession, open_session

MARKS = {PartStatus.GOOD: "ok  ", PartStatus.WARNING: "WARN", PartStatus.BAD: "BAD "}
KEYS = {b"l": 1, b"+": 1, b"h": -1, b"-": -1}


@dataclass(frozen=True)
class RobotOptions:
    """Options that select the robot."""

    robot: str = "limb_p1"
    """Name or path of a robot description."""
    backend: Literal["described", "emulated"] = "described"
    """`emulated`: rehearse with servos and cameras that are not there."""
    family: str = "dynamixel"
    """Servos to emulate: dynamixel, feetech, udp, or a family of an installed package."""

    def limb_number(self, robot: RobotDescription, name: str) -> int:
        """Return the number of the limb with this name; empty: the first.

        Raises:
            HardwareError: there is no such limb.
        """
        names = [limb.name for limb in robot.limbs]
        if name and name not in names:
            raise HardwareError(f"--limb {name}: the limbs are {', '.join(names)}.")
        return names.index(name) if name else 0


Options = Annotated[RobotOptions, tyro.conf.arg(name="")]


@dataclass(frozen=True)
class ScanDevices:
    """List serial ports with their servos, boards on the network, and USB cameras."""

    ports: tuple[str, ...] = ()
    """Ports to ask; empty: all USB adapters."""
    most_id: int = 20
    """Highest id that is asked; 253 takes some seconds per port."""
    interface: str = ""
    """Own address on a network with boards, for example 192.168.4.2."""
    udp_port: int = 1200
    """Port on which boards listen."""
    key: str = ""
    """Secret shared with the boards."""
    options: Options = RobotOptions()

    def run(self) -> int:
        """Return 0, after printing the devices found."""
        if self.options.backend == "emulated":
            with _session(self.options) as here:
                return self._scan_described(here.robot)
        ports = [(port, "") for port in self.ports] or serial_ports()
        for port, title in ports:
            print(f"{port}  {title}".rstrip())
            self._print_servos(port)
        if self.interface:
            self._print_boards(self.interface, "", self.udp_port)
        cameras = usb_cameras()
        for device, title in cameras:
            print(f"{device}  {title}")
        if not ports and not cameras and not self.interface:
            print("Nothing is plugged in: no USB adapter, no USB camera.")
        return 0

    def _scan_described(self, robot: RobotDescription) -> int:
        for name, devices in devices_of(robot).limbs.items():
            bus = devices.bus
            if isinstance(bus, UdpSettings):
                self._print_boards(bus.interface, bus.broadcast, bus.port)
            else:
                print(f"{bus.port}  bus of {name}")
                self._print_servos(bus.port, (bus.type,), (bus.baud_rate,), bus.answer_timeout_s)
            for camera, settings in devices.cameras.items():
                place = without_password(getattr(settings, "url", settings.type))
                print(f"{place}  camera {camera} of {name}")
        return 0

    def _print_servos(
        self,
        port: str,
        families: Sequence[str] = (),
        baud_rates: Sequence[int] = (),
        answer_timeout_s: float = 0.02,
    ) -> None:
        ids, count = range(self.most_id + 1), 0
        for found in scan_port(port, ids, families, baud_rates, answer_timeout_s):
            for servo in found.servos:
                count += 1
                print(
                    f"  id {servo.id:3d}  {servo.model}  firmware {servo.firmware}  "
                    f"({found.family}, {found.baud_rate} bits/s)"
                )
        if not count:
            print(f"  no servo answers at ids 0 to {self.most_id}")

    def _print_boards(self, interface: str, broadcast: str, port: int) -> None:
        print(f"network {interface}")
        for board in scan_network(interface, broadcast, port, self.key):
            print(f"  board {board.id}  {board.name}  firmware {board.firmware}")


@dataclass(frozen=True)
class Doctor:
    """Say in words what is wrong with each bus, servo and camera, and what to do; moves nothing."""

    options: Options = RobotOptions()

    def run(self) -> int:
        """Return 1 where a part is bad, else 0, after printing one line per part."""
        worst = 0
        with _session(self.options) as here:
            for diagnosis in examine(here.robot):
                print(f"{MARKS[diagnosis.status]}  {diagnosis.part}: {diagnosis.text}", flush=True)
                worst = max(worst, int(diagnosis.status is PartStatus.BAD))
        return worst


@dataclass(frozen=True)
class SetId:
    """Give the servos of a limb their ids, one by one."""

    limb: str = ""
    """Name of the limb; empty: the first."""
    most_id: int = 253
    """Highest id that a new servo may have."""
    options: Options = RobotOptions()

    def run(self) -> int:
        """Ask for one servo after the other, and set its id.

        Returns:
            0.

        Raises:
            HardwareError: the limb has boards on a network.
        """
        with _session(self.options) as here:
            number = self.options.limb_number(here.robot, self.limb)
            bus = make_limb_bus(here.robot, number)
            if not isinstance(bus, SerialBus):
                raise HardwareError("Boards on a network have their number in their firmware.")
            here.unplug_servos(number)
            with open_bus(bus):
                for sentence in set_ids(bus, _asker(here, number), self.most_id):
                    print(sentence)
        return 0


@dataclass(frozen=True)
class Calibrate:
    """Find zero, direction and range of each joint while you move the limb by hand."""

    limb: str = ""
    """Name of the limb; empty: the first."""
    out: Path | None = None
    """File to write; empty: where the drivers look for it."""
    options: Options = RobotOptions()

    def run(self) -> int:
        """Return 0, after measuring, checking and writing the calibration."""
        with _session(self.options) as here:
            number = self.options.limb_number(here.robot, self.limb)
            limb = here.robot.limbs[number]
            devices = devices_of(here.robot).limbs[limb.name]
            with open_bus(make_limb_bus(here.robot, number)) as bus:
                bus.handshake()
                done = calibrate(here.robot.name, limb.name, limb.joints, bus, _asker(here, number))
            place = self.out or calibration_path(here.robot.name, limb.name, devices)
            if place is None and here.emulated is not None:
                print("All joints are calibrated; a rehearsal writes no file without --out.")
                return 0
            path = place or default_path(here.robot.name, limb.name)
            save(done, path)
            print(f"All joints are calibrated; wrote {path}.")
        return 0


@dataclass(frozen=True)
class JogJoint:
    """Move one joint while you hold a key: l or + up, h or - down, q to end."""

    joint: str
    """Name of the joint."""
    limb: str = ""
    """Name of the limb; empty: the first."""
    speed: float = 0.1
    """Share of the joint's velocity limit, 0 to 1."""
    options: Options = RobotOptions()

    def run(self) -> int:
        """Move the joint while a key is held.

        Returns:
            0.

        Raises:
            HardwareError: an option is wrong, or the input is no terminal.
        """
        if not 0.0 < self.speed <= 1.0:
            raise HardwareError(f"--speed takes more than 0 and at most 1, not {self.speed:g}.")
        if not sys.stdin.isatty():
            raise HardwareError("Jogging needs a terminal: a key must be held down.")
        with _session(self.options) as here:
            number = self.options.limb_number(here.robot, self.limb)
            limb = make_limb(here.robot, number)
            if self.joint not in limb.joint_names:
                names = ", ".join(limb.joint_names)
                raise HardwareError(f"--joint {self.joint}: the joints are {names}.")
            with limb:
                jog = Jog(limb, limb.joint_names.index(self.joint), self.speed)
                print("Hold l or + to move up, h or - to move down; q ends.")
                _while_keys(jog, 1.0 / here.robot.control_rate_hz)
        print()
        return 0


@dataclass(frozen=True)
class Rest:
    """Bring a limb to its rest position slowly, then take the torque off."""

    limb: str = ""
    """Name of the limb; empty: the first."""
    options: Options = RobotOptions()

    def run(self) -> int:
        """Return 0, after moving to rest and switching the torque off."""
        with _session(self.options) as here:
            number = self.options.limb_number(here.robot, self.limb)
            limb = make_limb(here.robot, number)
            left = rest(limb, 1.0 / here.robot.control_rate_hz)
            print(f"{limb.name} is at rest ({left:.3f} rad off at most) and without torque.")
        return 0


@dataclass(frozen=True)
class WriteUrdf:
    """Write the URDF of a robot: links, joints, shapes, inertia, cameras with optical frames."""

    robot: tyro.conf.Positional[str] = "limb_p1"
    """Name or path of a robot description."""
    out: Path | None = None
    """File to write; none: standard output."""

    def run(self) -> int:
        """Return 0, after writing the URDF.

        Raises:
            DescriptionError: two links or two joints would have one name.
        """
        robot = load_robot(self.robot)
        try:
            text = urdf_of(robot)
        except ValueError as error:
            raise DescriptionError(f"{self.robot}: {error}.") from error
        if self.out is None:
            print(text, end="")
        else:
            write_text(self.out, text)
            print(f"Wrote {self.out}.")
        return 0


COMMANDS: dict[str, type] = {
    "scan": ScanDevices,
    "new": NewRobot,
    "models": ListModels,
    "doctor": Doctor,
    "set-id": SetId,
    "calibrate": Calibrate,
    "jog": JogJoint,
    "rest": Rest,
    "bench": BenchmarkDrivers,
    "urdf": WriteUrdf,
}


def _session(options: RobotOptions) -> AbstractContextManager[RobotSession]:
    return open_session(options.robot, options.backend, options.family)


def _asker(here: RobotSession, limb: int) -> Ask:
    """Return a function that asks a person; an emulated limb acts itself when Enter is pressed."""

    def ask(text: str, action: ManualAction, joint: int) -> None:
        print(f"{text} Then press Enter.", end=" ", flush=True)
        if not sys.stdin.readline():
            raise HardwareError("There is nobody to answer: the input has ended.")
        here.apply_manual_action(limb, action, joint)
        if here.emulated is not None:
            print("(done by the emulated hand)")

    return ask


def _while_keys(jog: Jog, period_s: float) -> None:
    """Feed a jog with the keys of the terminal until q."""
    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    tty.setcbreak(file)
    try:
        while True:
            angle = jog.tick()
            print(f"\r{angle:+.3f} rad ", end="", flush=True)
            if not select.select([file], [], [], period_s)[0]:
                continue
            key = os.read(file, 64)[-1:]
            if key in (b"q", b""):
                return
            if key in KEYS:
                jog.press(KEYS[key])
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)


def main(arguments: Sequence[str] | None = None, program: str = "python -m hardware") -> int:
    """Return the exit code of one command; a user error ends in one sentence and code 2."""
    return run_command(COMMANDS, program, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
