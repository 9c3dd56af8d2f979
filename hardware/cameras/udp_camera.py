"""The camera of a board on the network; packets as in :mod:`hardware.buses.udp_packets`."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from pydantic import Field

from asterias.errors import DeviceError
from asterias.images.decode import ImageError
from hardware.buses.udp_link import UdpLink
from hardware.buses.udp_packets import PacketError, PacketKind, PicturePart, unpack_picture
from hardware.cameras.jpeg import decode_jpeg
from hardware.cameras.settings import CameraSettings
from hardware.cameras.stream import FrameSource, Grab
from hardware.description.buses import BusSettings, UdpSettings
from hardware.description.limb import CameraDescription

LOOK_S = 1.0  # a board is asked again so often
KEEP_S = 3  # and sends for so long


class UdpSource(FrameSource):
    """Pictures of one board.

    Args:
        description: gives the size that pictures must have.
        settings: the network.
        board: its number.
    """

    def __init__(self, description: CameraDescription, settings: UdpSettings, board: int) -> None:
        self.board = board
        self._about = description
        self._link = UdpLink(settings.interface, settings.broadcast, settings.port, settings.key)
        self._parts: dict[int, bytes] = {}
        self._number = -1
        self._looked_s = 0.0
        self._coming: list[PicturePart] = []

    def open(self) -> None:
        """Find the board and ask for pictures.

        Raises:
            DeviceError: the board does not announce itself.
        """
        self._link.open()
        self._link.find({self.board}, LOOK_S)
        if self.board not in self._link.boards:
            raise DeviceError(f"board {self.board} does not announce itself")
        self._parts, self._number, self._looked_s, self._coming = {}, -1, 0.0, []

    def grab(self, timeout_s: float) -> Grab | None:
        """Return the next whole picture, or None after ``timeout_s``."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            self._look()
            while self._coming:
                part = self._coming.pop(0)
                jpeg = self._joined(part)
                if jpeg is not None:
                    image = decode_jpeg(jpeg, self._about.width_px, self._about.height_px)
                    return Grab(image, part.time_s)
            if time.monotonic() >= deadline_s:
                return None
            self._receive(deadline_s)

    def close(self) -> None:
        """End the session."""
        self._link.close()

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked_s > LOOK_S:
            self._looked_s = now
            self._link.call()
            self._link.send(PacketKind.LOOK, self.board, bytes([KEEP_S]))

    def _receive(self, deadline_s: float) -> None:
        for packet in self._link.receive(deadline_s):
            if packet.kind is not PacketKind.PICTURE or packet.board != self.board:
                self._link.dropped["kind"] += 1
                continue
            try:
                self._coming.append(unpack_picture(packet.payload))
            except PacketError as error:
                self._link.dropped[str(error)] += 1

    def _joined(self, part: PicturePart) -> bytes | None:
        """Return the JPEG file when its last part has come; else None.

        Raises:
            ImageError: a part of the picture before was lost; that picture is dropped.
        """
        is_lost = part.number != self._number and bool(self._parts)
        if part.number != self._number:
            self._number, self._parts = part.number, {}
        self._parts[part.part] = part.data
        if is_lost:
            raise ImageError("a picture of which a part was lost")
        if len(self._parts) < part.parts:
            return None
        jpeg = b"".join(self._parts[i] for i in sorted(self._parts))
        self._parts = {}
        return jpeg


class UdpCameraSettings(CameraSettings):
    """The camera of a board on the limb's ``udp`` bus.

    Attributes:
        id: number of the board.
    """

    type: Literal["udp"] = "udp"
    id: Annotated[int, Field(ge=0, le=65535)]

    def check_bus(self, bus: BusSettings) -> None:
        """Refuse a bus without boards.

        Raises:
            ValueError: it is one.
        """
        if not isinstance(bus, UdpSettings):
            raise ValueError("cameras of type udp need a bus of type udp")

    def open(self, description: CameraDescription, bus: BusSettings) -> FrameSource:
        """Return the source of the pictures, closed."""
        assert isinstance(bus, UdpSettings)  # as the description was checked
        return UdpSource(description, bus, self.id)
