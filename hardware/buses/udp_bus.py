"""A limb of boards on a network, one servo each, by :mod:`hardware.buses.udp_packets`."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import DeviceError
from hardware.buses.bus import BusState, Identity, Servo, ServoBus, ServoHealth
from hardware.buses.families import UDP_MODEL
from hardware.buses.udp_link import UdpLink
from hardware.buses.udp_packets import (
    BoardCommand,
    BoardState,
    PacketError,
    PacketKind,
    pack_command,
    unpack_state,
)

FIND_S = 1.0
ERRORS = {0: "its supply voltage is out of range", 2: "it is too hot", 5: "it is overloaded"}


class UdpBus(ServoBus):
    """The boards of one limb.

    Args:
        link: closed.
        servos: in joint order; their ids are the boards' numbers.
        answer_timeout_s: how long boards may take to answer.
        retries: further attempts when answers are missing.
        watchdog_s: silence after which a board stops its servo.
    """

    has_watchdog = True

    def __init__(
        self,
        link: UdpLink,
        servos: Sequence[Servo],
        *,
        answer_timeout_s: float = 0.05,
        retries: int = 2,
        watchdog_s: float = 0.2,
    ) -> None:
        super().__init__(servos, watchdog_s)
        self.link = link
        self.answer_timeout_s = answer_timeout_s
        self.retries = retries
        self._ids = [servo.id for servo in self.servos]
        self._states: dict[int, BoardState] = {}
        self._asked: dict[int, int] = {}
        self._is_requested = False

    @property
    def place(self) -> str:
        """The interface."""
        return f"network {self.link.interface}"

    def open(self) -> None:
        """Bind to the interface, and call the boards."""
        self.link.open()
        self._states, self._asked, self._is_requested = {}, {}, False
        self.link.find(set(self._ids), FIND_S)

    def close(self) -> None:
        """End the session."""
        self.link.close()

    def scan(self, ids: Sequence[int], *, thorough: bool = False) -> list[Identity]:
        """Return the boards that have announced themselves, of these ids; of all ids if empty."""
        boards = [b for b in self.link.boards.values() if not ids or b.id in ids]
        return [Identity(board.id, UDP_MODEL, board.firmware) for board in boards]

    def handshake(self) -> None:
        """Check that the described boards are present, each once; others may be another limb's.

        Raises:
            DeviceError: two boards announce the same number.
        """
        super().handshake()
        twice = self.link.duplicates & set(self._ids)
        if twice:
            raise DeviceError(
                f"{self.place}: two boards say that they are number {min(twice)}; change one."
            )

    def _handshake_ids(self) -> list[int]:
        return self._ids

    # -- motion ---------------------------------------------------------------------------------

    def arm(self, position_rad: FloatArray) -> None:
        """Clear stops, write limits, set ``(n,)`` goals in rad, switch torque and watchdog on.

        Raises:
            DeviceError: a board does not switch its torque on.
        """
        for _ in range(self.retries + 1):
            self._command(position_rad, torque=True, clear=True)
            self.read()
            states = self._states
            lazy = [s for s in self.servos if s.id not in states or not states[s.id].torque]
            if not lazy:
                return
        self.disarm()
        raise DeviceError(f"{self.place}: board {lazy[0].id} ({lazy[0].name}) takes no torque.")

    def disarm(self) -> None:
        """Switch the torque off; sent twice."""
        for _ in range(2):
            self._command(np.zeros(len(self._ids)), torque=False, clear=False)

    def write(self, position_rad: FloatArray) -> None:
        """Send ``(n,)`` goals to armed boards."""
        self._command(position_rad, torque=True, clear=False)

    def _command(self, goal: FloatArray, *, torque: bool, clear: bool) -> None:
        self.counters.requests += 1
        for servo, position in zip(self.servos, goal.tolist(), strict=True):
            command = BoardCommand(
                torque,
                clear,
                self.watchdog_s,
                position,
                servo.speed_limit_rad_s,
                servo.torque_limit_nm,
            )
            self.link.send(PacketKind.COMMAND, servo.id, pack_command(command))

    # -- readings -------------------------------------------------------------------------------

    def request(self) -> None:
        """Ask all boards for their state; :meth:`read` receives the answers."""
        self._states = {}
        self._ask(self._ids)
        self._is_requested = True

    def read(self) -> BusState:
        """Return the states of all boards now, or as of an earlier :meth:`request`."""
        if not self._is_requested:
            self.request()
        self._is_requested = False
        self._collect()
        for _ in range(self.retries):
            waiting = [id for id in self._ids if id not in self._states]
            if not waiting:
                break
            self.counters.retries += 1
            self.link.call()
            self._ask(waiting)
            self._collect()
        self.counters.missing += len(self._ids) - len(self._states)
        rows = np.full((3, len(self._ids)), np.nan)
        for i, id in enumerate(self._ids):
            state = self._states.get(id)
            if state is not None:
                rows[:, i] = state.position_rad, state.velocity_rad_s, state.effort_nm
        return BusState(rows[0], rows[1], rows[2])

    def read_health(self, number: int) -> ServoHealth | None:
        """Return the health of servo ``number`` from its last state; None when there is none."""
        state = self._states.get(self._ids[number])
        if state is None:
            return None
        errors = tuple(text for bit, text in ERRORS.items() if state.error_bits & 1 << bit)
        return ServoHealth(state.voltage_v, state.temperature_c, errors, state.stopped)

    def _ask(self, ids: Sequence[int]) -> None:
        self.counters.requests += 1
        self._asked |= {id: self.link.send(PacketKind.QUERY, id) for id in ids}

    def _collect(self) -> None:
        """Receive the states that answer the newest request to each board."""
        deadline_s = time.monotonic() + self.answer_timeout_s
        while len(self._states) < len(self._ids):
            packets = self.link.receive(deadline_s)
            if not packets and time.monotonic() >= deadline_s:
                break
            for packet in packets:
                if packet.kind is not PacketKind.STATE:
                    self.link.dropped["kind"] += 1
                elif self._asked.get(packet.board) != packet.sequence:
                    self.link.dropped["sequence"] += 1
                else:
                    del self._asked[packet.board]
                    self._take(packet.board, packet.payload)
        self.counters.broken = sum(self.link.dropped.values())

    def _take(self, board: int, payload: bytes) -> None:
        try:
            self._states[board] = unpack_state(payload)
        except PacketError as error:
            self.link.dropped[str(error)] += 1
