"""A line of emulated servos behind a pty: bytes in, bytes out, and faults of the wire."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import select
import threading
import time
import tty
from collections.abc import Sequence
from dataclasses import dataclass

from hardware.buses.protocol import BROADCAST_ID, BusPacket, PacketReader
from hardware.emulated.servo import EmulatedServo

WATCH_S = 0.005


@dataclass
class LineTrouble:
    """Faults of the wire; probabilities are per answer.

    Attributes:
        corrupt: one bit of the answer is flipped.
        lose: one byte of the answer is lost.
        noise: random bytes come before the answer.
        late_s: delay of the answers.
        echo: the adapter sends back what it is sent.
        lead: bytes that come before each answer.
    """

    corrupt: float = 0.0
    lose: float = 0.0
    noise: float = 0.0
    late_s: float = 0.0
    echo: bool = False
    lead: bytes = b""


class EmulatedLine:
    """A pty on which servos answer; its ``port`` is opened like any serial port.

    Args:
        servos: on the line.
        baud_rate: bytes take their time at this rate; 0: no time at all.
        seed: of the trouble.
    """

    def __init__(self, servos: Sequence[EmulatedServo], baud_rate: int = 0, seed: int = 0) -> None:
        self.servos = list(servos)
        self.baud_rate = baud_rate
        self.trouble = LineTrouble()
        self._protocol = self.servos[0].model.table.protocol
        self._reader = PacketReader(self._protocol)
        self._random = random.Random(seed)
        self._ours, theirs = pty.openpty()
        tty.setraw(theirs)
        self.port = os.ttyname(theirs)
        # Kept open, so that a driver may come and go.
        self._theirs = theirs
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="servo line", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def unplug(self) -> None:
        """Pull the cable: the port vanishes, the servos stay powered."""
        for file in (self._ours, self._theirs):
            if file >= 0:
                os.close(file)
        self._ours = self._theirs = -1

    def close(self) -> None:
        """Stop answering and remove the port."""
        self._is_closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self.unplug()

    def _serve(self) -> None:
        while not self._is_closing.is_set():
            data = self._receive()
            if data and self.trouble.echo:
                with contextlib.suppress(OSError):  # unplugged in the middle
                    os.write(self._ours, data)
            for servo in self.servos:
                servo.watch()
            for packet in self._reader.feed(data):
                self._obey(packet)

    def _receive(self) -> bytes:
        file = self._ours
        if file < 0:
            time.sleep(WATCH_S)
            return b""
        try:
            ready, _, _ = select.select([file], [], [], WATCH_S)
            return os.read(file, 4096) if ready else b""
        except (OSError, ValueError):
            return b""  # unplugged in the middle

    # -- requests -------------------------------------------------------------------------------

    def _obey(self, packet: BusPacket) -> None:
        for servo in self.servos:
            servo.feed_watchdog()
        protocol = self._protocol
        if packet.code == protocol.SYNC_WRITE:
            address, data = protocol.parse_sync_write(packet.body)
            for servo in self.servos:
                if servo.id in data:
                    servo.write(address, data[servo.id])
        elif packet.code == protocol.SYNC_READ and protocol.has_sync_read:
            address, size, ids = protocol.parse_sync_read(packet.body)
            by_id = {servo.id: servo for servo in self.servos}
            self._say([self._read(by_id[id], address, size) for id in ids if id in by_id])
        else:
            self._say([self._single(servo, packet) for servo in self._named(packet.id)])

    def _named(self, id: int) -> list[EmulatedServo]:
        return [servo for servo in self.servos if id in (servo.id, BROADCAST_ID)]

    def _single(self, servo: EmulatedServo, packet: BusPacket) -> bytes:
        protocol = self._protocol
        if packet.code == protocol.READ:
            return self._read(servo, *protocol.parse_read(packet.body))
        if packet.code == protocol.WRITE:
            id = servo.id
            error = servo.write(*protocol.parse_write(packet.body))
            if packet.id != BROADCAST_ID and not servo.is_silent and servo.confirms_writes:
                return protocol.encode(protocol.answer(id, error, b""))
        return b""

    def _read(self, servo: EmulatedServo, address: int, size: int) -> bytes:
        if servo.is_silent:
            return b""
        return self._protocol.encode(self._protocol.answer(servo.id, 0, servo.read(address, size)))

    # -- answers --------------------------------------------------------------------------------

    def _say(self, answers: list[bytes]) -> None:
        data = b"".join(self._spoiled(answer) for answer in answers if answer)
        if not data:
            return
        wait_s = self.trouble.late_s
        if self.baud_rate:
            wait_s += 10.0 * len(data) / self.baud_rate
            wait_s += sum(servo.return_delay_s for servo in self.servos[: len(answers)])
        if wait_s > 0:
            time.sleep(wait_s)
        with contextlib.suppress(OSError):  # unplugged in the middle
            os.write(self._ours, data)

    def _spoiled(self, answer: bytes) -> bytes:
        trouble, chance = self.trouble, self._random.random
        data = bytearray(answer)
        if chance() < trouble.corrupt:
            data[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)
        if chance() < trouble.lose:
            del data[self._random.randrange(len(data))]
        noise = self._random.randbytes(7) if chance() < trouble.noise else b""
        return noise + trouble.lead + bytes(data)
