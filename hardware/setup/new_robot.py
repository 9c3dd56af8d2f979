"""``python -m hardware new``: a description of the servos and cameras that are plugged in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from asterias.errors import HardwareError
from hardware.buses.bus import Identity
from hardware.buses.families import SERVO_FAMILIES, servo_models
from hardware.buses.ratings import rpm
from hardware.description.buses import SerialBusSettings
from hardware.description.fields import choices_hint
from hardware.description.robot import RobotDescription, parse_robot
from hardware.factory import devices_of
from hardware.setup.scan import ServosOnPort, scan_port, serial_ports, usb_cameras
from hardware.setup.session import open_session

MOST_SERVOS = 32
NOTES = """\
# {title}
# What is not said here (limits, speed, torque, gains) is that of the servo's data sheet; without a
# body, the simulation draws boxes. Rename the joints: pan and yaw turn about z, tilt, pitch and
# finger about y, roll about x. Next: `python -m hardware doctor --robot FILE`, then `calibrate`.
"""


@dataclass(frozen=True)
class NewRobot:
    """Write a robot description to stdout: of what is plugged in, or of servos that you name."""

    from_scan: bool = False
    """Scan ports and cameras, and describe what answers."""
    name: str = "my_limb"
    """Name of the robot."""
    servo: str = "sts3215"
    """Model of the servos, without --from-scan; `python -m hardware models` lists them."""
    servos: int = 4
    """Number of servos, without --from-scan."""
    ports: tuple[str, ...] = ()
    """Ports to scan; empty: all USB adapters. Without --from-scan, the port of the servos."""
    most_id: int = 20
    """Highest id that is asked; 253 takes some seconds per port."""
    backend: Literal["described", "emulated"] = "described"
    """`emulated`: rehearse the scan with the servos and cameras of --robot, which are not there."""
    robot: str = "limb_p1"
    """Robot that a rehearsal emulates."""
    family: str = "dynamixel"
    """Servos that a rehearsal emulates."""

    def run(self) -> int:
        """Print the description; what is left out, and why, goes to stderr.

        A HardwareError says so where nothing answers, or a model or name is none.

        Returns:
            0.
        """
        if not self.from_scan:
            text = describe(self.name, [self._asked()], [], "Servos as they come, not scanned.")
        elif self.backend == "emulated":
            with open_session(self.robot, self.backend, self.family) as here:
                text = self._scanned(*_emulated(here.robot, range(self.most_id + 1)))
        else:
            ports = self.ports or tuple(port for port, _ in serial_ports())
            found = [one for port in ports for one in self._scan(port)]
            cameras = [{"type": "usb", "device": device} for device, _ in usb_cameras()]
            text = self._scanned(found, cameras)
        print(text, end="")
        return 0

    def _scan(self, port: str) -> list[ServosOnPort]:
        """Return the servos of the first family and rate that answer: a bus has one of each."""
        print(f"Scanning {port} ...", file=sys.stderr)
        first = next(scan_port(port, range(self.most_id + 1)), None)
        return [] if first is None else [first]

    def _scanned(self, found: Sequence[ServosOnPort], cameras: Sequence[dict[str, Any]]) -> str:
        if not any(one.servos for one in found):
            raise HardwareError(
                f"No servo answers at ids 0 to {self.most_id}: check power, cable and --ports, or "
                "try --most-id 253."
            )
        title = f"Found by `python -m hardware new --from-scan`: {_told(found, cameras)}."
        return describe(self.name, found, cameras, title)

    def _asked(self) -> ServosOnPort:
        """Return servos of one model, as if they had been found.

        Raises:
            HardwareError: the model is unknown, or there are too many.
        """
        models = sorted(servo_models())
        if self.servo not in models:
            hint = choices_hint(self.servo, models)
            raise HardwareError(f"--servo {self.servo}: this model is unknown; {hint}")
        if not 1 <= self.servos <= MOST_SERVOS:
            raise HardwareError(f"--servos takes 1 to {MOST_SERVOS}, not {self.servos}.")
        family = next(f for _, f in SERVO_FAMILIES.items() if self.servo in f.models)
        servos = tuple(Identity(id, self.servo, 0) for id in range(1, self.servos + 1))
        port = self.ports[0] if self.ports else "/dev/ttyUSB0"
        return ServosOnPort(port, family.name, family.baud_rates[0], servos)


@dataclass(frozen=True)
class ListModels:
    """List the servo models, and what a joint gets of their data sheets."""

    def run(self) -> int:
        """Return 0, after printing one line per model."""
        heads = (
            "family",
            "model",
            "stall N m",
            "no load rpm",
            "steps",
            "limits rad",
            "N m",
            "rad/s",
        )
        rows = [heads]
        for family_name, family in SERVO_FAMILIES.items():
            for name, model in family.models.items():
                figures: tuple[str, ...] = ("",) * 6
                if model.rating is not None:
                    joint = model.rating.joint_defaults()
                    figures = (
                        f"{model.rating.stall_torque_nm:g}",
                        f"{model.rating.no_load_rad_s / rpm(1):.0f}",
                        f"{model.ticks_per_turn:.0f}",
                        f"{joint.limits_rad[0]:.2f} to {joint.limits_rad[1]:.2f}",
                        f"{joint.torque_limit_nm:g}",
                        f"{joint.velocity_limit_rad_s:.2f}",
                    )
                rows.append((family_name, name, *figures))  # type: ignore[arg-type]
        widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
        for row in rows:
            print("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)))
        return 0


def describe(
    name: str, found: Sequence[ServosOnPort], cameras: Sequence[dict[str, Any]], title: str
) -> str:
    """Return the text of a description: a limb for each bus, all cameras on the first.

    Servos of an unknown model are left out, and named on stderr.

    Args:
        name: of the robot.
        found: servos by bus.
        cameras: settings of a camera each, by the keys of a description.
        title: first line of the comment above.

    Passes on the DescriptionError of a name that is none, or of two buses on one port.
    """
    models = servo_models()
    limbs: list[dict[str, Any]] = []
    wiring: dict[str, Any] = {}
    for bus in found:
        known = [servo for servo in bus.servos if servo.model in models]
        for servo in bus.servos:
            if servo not in known:
                print(f"Left out: id {servo.id} on {bus.port}, {servo.model}.", file=sys.stderr)
        if not known:
            continue
        limb = f"limb_{len(limbs)}"
        joints = {f"joint_{i}": servo for i, servo in enumerate(known, start=1)}
        views = {f"camera_{i}": one for i, one in enumerate(cameras)} if not limbs else {}
        about: dict[str, Any] = {
            "name": limb,
            "joints": [_Line(name=joint, servo=servo.model) for joint, servo in joints.items()],
        }
        limbs.append(about | ({"cameras": [_Line(name=view) for view in views]} if views else {}))
        wiring[limb] = {
            "bus": _Line(type=bus.family, port=bus.port, baud_rate=bus.baud_rate),
            "servos": _Line({joint: {"id": servo.id} for joint, servo in joints.items()}),
        } | ({"cameras": {view: _Line(one) for view, one in views.items()}} if views else {})
    data = {"name": name, "limbs": limbs, "backend": {"type": "devices", "limbs": wiring}}
    text = NOTES.format(title=title) + yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=100)
    parse_robot(yaml.safe_load(text), source=f"the description of {name}")
    return text


class _Line(dict[str, Any]):
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Writes :class:`_Line` on one line, and all else in blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_line(dumper: yaml.SafeDumper, data: _Line) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=True)


_Dumper.add_representer(_Line, _represent_line)


def _emulated(
    robot: RobotDescription, ids: Sequence[int]
) -> tuple[list[ServosOnPort], list[dict[str, Any]]]:
    """Return what a scan of an emulated robot finds.

    Raises:
        HardwareError: its servos are boards on a network, which have no ports.
    """
    found: list[ServosOnPort] = []
    cameras: list[dict[str, Any]] = []
    for devices in devices_of(robot).limbs.values():
        if not isinstance(devices.bus, SerialBusSettings):
            raise HardwareError(
                "Boards on a network are no serial servos; choose --family feetech."
            )
        bus = devices.bus
        found += scan_port(bus.port, ids, (bus.type,), (bus.baud_rate,), bus.answer_timeout_s)
        for camera in devices.cameras.values():
            cameras.append(camera.model_dump(mode="json", include={"type", "url"}))
    return found, cameras


def _told(found: Sequence[ServosOnPort], cameras: Sequence[Any]) -> str:
    servos = sum(len(one.servos) for one in found)
    ports = ", ".join(one.port for one in found)
    return f"{servos} servos on {ports}, {len(cameras)} cameras"
