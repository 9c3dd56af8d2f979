"""Find connected devices: serial ports with their servos, boards on the network, USB cameras."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports

from hardware.buses.bus import Identity, open_bus
from hardware.buses.families import SERVO_FAMILIES, serial_families
from hardware.buses.serial_bus import SerialBus
from hardware.buses.serial_port import SerialLine
from hardware.buses.udp_link import Board, UdpLink

FIND_S = 1.5


@dataclass(frozen=True)
class ServosOnPort:
    """Servos of one family that answer on a port at a rate."""

    port: str
    family: str
    baud_rate: int
    servos: tuple[Identity, ...]


def serial_ports() -> list[tuple[str, str]]:
    """Return device file, by id where there is a link, and the adapter's description per port."""
    links = {}
    for link in Path("/dev/serial/by-id").glob("*"):
        links[str(link.resolve())] = str(link)
    return [
        (links.get(port.device, port.device), port.description)
        for port in sorted(list_ports.comports())
        if port.vid is not None or port.device in links
    ]


def scan_port(
    port: str,
    ids: Sequence[int],
    families: Sequence[str] = (),
    baud_rates: Sequence[int] = (),
    answer_timeout_s: float = 0.02,
) -> Iterator[ServosOnPort]:
    """Find the servos on a port, family by family and rate by rate.

    DeviceError is raised when the port cannot be opened.

    Args:
        port: device file.
        ids: that are asked.
        families: that are tried; empty: all.
        baud_rates: that are tried; empty: each family's usual ones.
        answer_timeout_s: how long servos may take; a scan waits for a little less.

    Yields:
        The servos of one family at one rate, where any answer.
    """
    for family in families or serial_families():
        about = SERVO_FAMILIES.get(family)
        for baud_rate in baud_rates or about.baud_rates:
            with open_bus(SerialBus(SerialLine(port, baud_rate), [], about.models)) as bus:
                servos = tuple(bus.scan(ids, thorough=True))
            if servos:
                yield ServosOnPort(port, family, baud_rate, servos)


def scan_network(interface: str, broadcast: str, port: int, key: str) -> list[Board]:
    """Return the boards that answer a call on an interface.

    DeviceError is raised when this machine has no such address.
    """
    link = UdpLink(interface, broadcast, port, key)
    link.open()
    try:
        # No board has the number -1: the whole time is waited for.
        link.find({-1}, FIND_S)
    finally:
        link.close()
    return sorted(link.boards.values(), key=lambda board: board.id)


def usb_cameras() -> list[tuple[str, str]]:
    """Return device file, by id where there is a link, and name of each V4L2 camera."""
    links = {}
    for link in Path("/dev/v4l/by-id").glob("*"):
        links[str(link.resolve())] = str(link)
    found = []
    for folder in sorted(Path("/sys/class/video4linux").glob("video*")):
        device = f"/dev/{folder.name}"
        index, name = folder / "index", folder / "name"
        # A camera has further device files for its metadata.
        if index.is_file() and index.read_text().strip() != "0":
            continue
        title = name.read_text().strip() if name.is_file() else "camera"
        found.append((links.get(device, device), title))
    return found
