"""A bus of serial servos; Dynamixel and Feetech differ in protocol and register table only."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asterias.arrays import FloatArray
from asterias.errors import DescriptionError, DeviceError
from hardware.buses.bus import BusState, Identity, Servo, ServoBus, ServoHealth
from hardware.buses.protocol import BROADCAST_ID, PacketReader
from hardware.buses.registers import Register, ServoModel
from hardware.buses.serial_port import SerialLine

OVERHEAD_BYTES = 12  # of an answer, beside the registers


@dataclass(frozen=True)
class RetryPolicy:
    """How often servos are asked, and how long they may take beyond the time on the wire."""

    tries: int
    timeout_s: float


GLANCE = RetryPolicy(1, 0.004)
# A thorough search asks twice, and waits for this share of the time that an answer may take.
SEARCH_TRIES, SEARCH_SHARE = 2, 0.6


class SerialBus(ServoBus):
    """The servos of a limb on one serial port.

    Args:
        line: the port, closed.
        servos: in joint order.
        models: the family's models by name.
        answer_timeout_s: how long servos may take beyond the time on the wire.
        retries: further attempts when an answer is missing or broken.
        watchdog_s: silence after which the servos stop, where they can.
    """

    def __init__(
        self,
        line: SerialLine,
        servos: Sequence[Servo],
        models: Mapping[str, ServoModel],
        *,
        answer_timeout_s: float = 0.02,
        retries: int = 2,
        watchdog_s: float = 0.2,
    ) -> None:
        super().__init__(servos, watchdog_s)
        self.line = line
        self.models = models
        self._retry = RetryPolicy(retries + 1, answer_timeout_s)
        self._search = RetryPolicy(SEARCH_TRIES, SEARCH_SHARE * answer_timeout_s)
        self._of_servo = [models[servo.model] for servo in self.servos]
        self.table = (self._of_servo or list(models.values()))[0].table
        if any(model.table is not self.table for model in self._of_servo):
            raise DescriptionError(
                f"{line.port}: servos of different series cannot share a bus; use one port each."
            )
        self._protocol = self.table.protocol
        self._reader = PacketReader(self._protocol)
        self._ids = [servo.id for servo in self.servos]
        self._tick = np.array([model.tick_rad for model in self._of_servo])
        self._middle = np.array([model.middle_tick for model in self._of_servo])
        self._velocity = np.array([model.velocity_unit_rad_s for model in self._of_servo])
        self._effort = np.array([model.effort_unit_nm for model in self._of_servo])
        self._is_requested = False
        # They lie in permanent memory: once read, they are known until the port is opened anew.
        self._angle_limits: dict[int, tuple[float, float] | None] = {}
        self.has_echo = False
        self._echo = b""
        self._echo_begun = b""

    @property
    def place(self) -> str:
        """The port."""
        return self.line.port

    @property
    def has_watchdog(self) -> bool:
        """Whether all servos stop by themselves when no request arrives for the watchdog time."""
        return self.table.watchdog is not None and all(m.watchdog_stops for m in self._of_servo)

    def open(self) -> None:
        """Open the port; raises DeviceError with what to do."""
        self.line.open()
        self._angle_limits.clear()
        self._is_requested = False

    def close(self) -> None:
        """Close the port; the servos keep their state."""
        self.line.close()

    # -- who is there ---------------------------------------------------------------------------

    def scan(self, ids: Sequence[int], *, thorough: bool = False) -> list[Identity]:
        """Return the servos that answer at these ids; ``thorough`` waits longer at unknown ones."""
        found = []
        for id in ids:
            # At most ids nobody will answer: time spent there is lost.
            search = self._search if thorough else GLANCE
            retry = self._retry if id in self._ids else search
            number = self.read_register(id, self.table.model_number, retry)
            if number is not None:
                firmware = self.read_register(id, self.table.firmware)
                found.append(Identity(id, self._name(number), firmware or 0))
        return found

    def _name(self, number: int) -> str:
        names = [m.name for m in self.models.values() if m.number == number]
        return names[0] if names else f"unknown model {number}"

    def _cure_of_silence(self) -> str:
        if self._reader.foreign_bytes:
            return "damaged bytes come instead: check baud rate, ground wire and adapter"
        return super()._cure_of_silence()

    # -- motion ---------------------------------------------------------------------------------

    def arm(self, position_rad: FloatArray) -> None:
        """Clear stops, write limits, set ``(n,)`` goals in rad, switch torque and watchdog on.

        Raises:
            DeviceError: a servo does not switch its torque on.
        """
        table = self.table
        if table.watchdog is not None:
            self._write_all(table.watchdog, [0] * len(self._ids))
        self._write_setup()
        self._check_angle_limits(position_rad)
        self.write(position_rad)
        # The watchdog first: it counts from the moment the torque is on.
        if table.watchdog is not None:
            ticks = max(round(self.watchdog_s / table.watchdog_unit_s), 1)
            self._write_all(table.watchdog, [ticks] * len(self._ids))
        self._write_all(table.torque_enable, [1] * len(self._ids))
        for servo in self.servos:
            if self.read_register(servo.id, table.torque_enable) != 1:
                self.disarm()
                raise DeviceError(
                    f"{self.place}: servo {servo.id} ({servo.name}) does not take torque; "
                    "see `python -m hardware doctor`."
                )

    def _write_setup(self) -> None:
        """Write mode, answer delay, speed and torque limits."""
        for servo, model in zip(self.servos, self._of_servo, strict=True):
            wanted = {self.table.operating_mode: model.operating_mode, self.table.return_delay: 0}
            for register, value in wanted.items():
                if register is not None:
                    self._keep(servo, register, value)
            self._clear_drive_mode(servo)
            limit = round(servo.torque_limit_nm / model.torque_limit_unit_nm)
            self.write_register(
                servo.id, model.torque_limit, int(np.clip(limit, 1, model.torque_limit_max))
            )
        speeds = [
            max(round(servo.speed_limit_rad_s / model.velocity_unit_rad_s), 1)
            for servo, model in zip(self.servos, self._of_servo, strict=True)
        ]
        self._write_all(self.table.speed_limit, speeds)

    def _clear_drive_mode(self, servo: Servo) -> None:
        """Clear mode bits that give registers another meaning, such as times for speeds."""
        register = self.table.drive_mode
        if register is None:
            return
        mode = self.read_register(servo.id, register)
        if mode is not None and mode & self.table.drive_mode_unwanted:
            self._keep(servo, register, mode & ~self.table.drive_mode_unwanted)

    def read_angle_limits(self, number: int) -> tuple[float, float] | None:
        """Return the ends in rad of the range set in servo ``number``; None: no limits."""
        if number not in self._angle_limits:
            self._angle_limits[number] = self._read_angle_limits(number)
        return self._angle_limits[number]

    def _read_angle_limits(self, number: int) -> tuple[float, float] | None:
        model, id = self._of_servo[number], self._ids[number]
        if model.angle_limits is None:
            return None
        low, high = (self.read_register(id, register) for register in model.angle_limits)
        if low is None or high is None or low >= high:
            return None
        return (
            (low - model.middle_tick) * model.tick_rad,
            (high - model.middle_tick) * model.tick_rad,
        )

    def _check_angle_limits(self, position_rad: FloatArray) -> None:
        """Check that no servo ignores its goal because of its own angle limits.

        Raises:
            DeviceError: a goal lies outside the limits that are set in its servo.
        """
        for number, (servo, goal) in enumerate(zip(self.servos, position_rad, strict=True)):
            limits = self.read_angle_limits(number)
            model = self._of_servo[number]
            if limits is None or model.angle_limits is None:
                continue
            slack = 2.0 * model.tick_rad
            if not limits[0] - slack <= goal <= limits[1] + slack:
                low, high = model.angle_limits
                raise DeviceError(
                    f"{self.place}: servo {servo.id} ({servo.name}) is to hold {goal:.3f} rad, but "
                    f"turns only from {limits[0]:.3f} to {limits[1]:.3f} rad by the limits in its "
                    f"registers {low.address} and {high.address}; widen those."
                )

    def _keep(self, servo: Servo, register: Register, value: int) -> None:
        """Write a permanent register only where its value differs, since it wears out."""
        if self.read_register(servo.id, register) != value:
            self.write_register(servo.id, self.table.torque_enable, 0)
            self.write_permanent(servo.id, register, value)

    def disarm(self) -> None:
        """Switch the torque off, all at once and without waiting for answers; sent twice."""
        off = self.table.torque_enable.encode(0, self._protocol)
        packet = self._protocol.write(BROADCAST_ID, self.table.torque_enable.address, off)
        self._is_requested = False
        self.line.write(packet)
        self.line.write(packet)

    def write(self, position_rad: FloatArray) -> None:
        """Send ``(n,)`` goals in rad to armed servos, without answers."""
        ticks = np.rint(position_rad / self._tick).astype(np.int64) + self._middle
        self._write_all(self.table.goal_position, ticks.tolist())

    def _write_all(self, register: Register, values: Sequence[int]) -> None:
        data = {
            id: register.encode(value, self._protocol)
            for id, value in zip(self._ids, values, strict=True)
        }
        self.counters.requests += 1
        self.line.write(self._protocol.sync_write(register.address, data))

    # -- readings -------------------------------------------------------------------------------

    def request(self) -> None:
        """Ask all servos for their state; :meth:`read` receives the answers."""
        if self._protocol.has_sync_read:
            self._ask(self._ids, *self.table.state_span)
            self._is_requested = True

    def read(self) -> BusState:
        """Return the states of all servos now, or as of an earlier :meth:`request`."""
        start, size = self.table.state_span
        if self._is_requested:
            self._is_requested = False
            blocks = self._collect(self._ids, size, self._retry)
        else:
            blocks = {}
        blocks |= self._read_blocks([id for id in self._ids if id not in blocks], start, size)
        table, protocol = self.table, self._protocol
        raw = np.full((3, len(self._ids)), np.nan)
        for i, id in enumerate(self._ids):
            block = blocks.get(id)
            if block is not None:
                raw[0, i] = table.position.decode(block, start, protocol)
                raw[1, i] = table.velocity.decode(block, start, protocol)
                raw[2, i] = table.effort.decode(block, start, protocol)
        return BusState(
            (raw[0] - self._middle) * self._tick, raw[1] * self._velocity, raw[2] * self._effort
        )

    def read_health(self, number: int) -> ServoHealth | None:
        """Return the health of servo ``number``, in joint order; None when it does not answer."""
        table, protocol = self.table, self._protocol
        start, size = table.health_span
        id = self._ids[number]
        block = self._read_blocks([id], start, size).get(id)
        if block is None:
            return None
        watchdog = table.watchdog
        return ServoHealth(
            voltage_v=0.1 * table.voltage.decode(block, start, protocol),
            temperature_c=float(table.temperature.decode(block, start, protocol)),
            errors=table.errors(table.error_status.decode(block, start, protocol)),
            is_stopped=watchdog is not None
            and watchdog.decode(block, start, protocol) == table.watchdog_tripped,
        )

    # -- single registers -----------------------------------------------------------------------

    def read_register(
        self, id: int, register: Register, retry: RetryPolicy | None = None
    ) -> int | None:
        """Return one register of one servo; None when it does not answer."""
        block = self._read_blocks([id], register.address, register.size, retry).get(id)
        return None if block is None else register.decode(block, register.address, self._protocol)

    def write_register(self, id: int, register: Register, value: int) -> None:
        """Write one number and wait until the servo confirms it.

        Raises:
            DeviceError: it does not answer, or refuses.
        """
        packet = self._protocol.write(id, register.address, register.encode(value, self._protocol))
        for _ in range(self._retry.tries):
            self._send(packet)
            answer = self._answers([id], 0, self._retry).get(id)
            if answer is not None:
                refusal = self._protocol.refusal(answer[0])
                if refusal:
                    raise DeviceError(
                        f"{self.place}: servo {id} refuses {value} in register "
                        f"{register.address}: {refusal}."
                    )
                return
            self.counters.retries += 1
        cure = self._cure_of_writing(id)
        raise DeviceError(f"{self.place}: servo {id} does not confirm; {cure}.")

    def _cure_of_writing(self, id: int) -> str:
        """Return what to do where a servo does not confirm what is written."""
        register = self.table.answer_level
        level = None if register is None else self.read_register(id, register)
        if register is None or level is None or level == self.table.answer_level_all:
            return "check power and cable"
        return (
            f"it answers reads only, for its register {register.address} (status return level) is "
            f"{level}; set it to {self.table.answer_level_all}"
        )

    def write_permanent(self, id: int, register: Register, value: int, new_id: int = -1) -> None:
        """Write a register that outlasts power; ``new_id`` is the servo's id afterwards."""
        lock = self.table.lock
        if lock is not None:
            self.write_register(id, lock, 0)
        self.write_register(id, register, value)
        if lock is not None:
            self.write_register(new_id if new_id >= 0 else id, lock, 1)

    def set_id(self, old: int, new: int) -> None:
        """Give the servo at ``old`` the id ``new``; its torque goes off.

        Raises:
            DeviceError: it does not answer, or another servo has that id.
        """
        if not 0 <= new <= self._protocol.max_id:
            raise DeviceError(f"An id is 0 to {self._protocol.max_id}, not {new}.")
        if self.read_register(new, self.table.id) is not None:
            raise DeviceError(f"{self.place}: id {new} is taken; unplug that servo first.")
        self.write_register(old, self.table.torque_enable, 0)
        lock = self.table.lock
        if lock is not None:
            self.write_register(old, lock, 0)
        # The answer may come from either id, so it is the new one that is asked.
        data = self.table.id.encode(new, self._protocol)
        self._send(self._protocol.write(old, self.table.id.address, data))
        time.sleep(0.05)
        if self.read_register(new, self.table.id) != new:
            raise DeviceError(f"{self.place}: servo {old} did not take the id {new}; try again.")
        if lock is not None:
            self.write_register(new, lock, 1)

    # -- requests and answers -------------------------------------------------------------------

    def _read_blocks(
        self, ids: list[int], start: int, size: int, retry: RetryPolicy | None = None
    ) -> dict[int, bytes]:
        """Return registers by id, with bounded retries for those that are missing."""
        retry = retry or self._retry
        groups = [ids] if self._protocol.has_sync_read else [[id] for id in ids]
        blocks: dict[int, bytes] = {}
        for group in groups:
            for attempt in range(retry.tries):
                waiting = [id for id in group if id not in blocks]
                if not waiting:
                    break
                self.counters.retries += attempt > 0
                self._ask(waiting, start, size)
                blocks |= self._collect(waiting, size, retry)
        self.counters.missing += len(set(ids) & set(self._ids) - set(blocks))
        return blocks

    def _ask(self, ids: list[int], start: int, size: int) -> None:
        one = len(ids) == 1
        packet = (
            self._protocol.read(ids[0], start, size)
            if one
            else self._protocol.sync_read(ids, start, size)
        )
        self._send(packet)

    def _send(self, packet: bytes) -> None:
        """Send a request; late answers to an earlier one are dropped first."""
        self.line.flush()
        self._reader.clear()
        self._echo, self._echo_begun = packet, b""
        self.counters.requests += 1
        self.line.write(packet)

    def _without_echo(self, data: bytes) -> bytes:
        """Return the received bytes without the echo of the request that some adapters send."""
        data, self._echo_begun = self._echo_begun + data, b""
        if not self._echo:
            return data
        if data.startswith(self._echo):
            data, self._echo, self.has_echo = data[len(self._echo) :], b"", True
        elif self._echo.startswith(data):
            data, self._echo_begun = b"", data  # more of it may come
        else:
            self._echo = b""
        return data

    def _collect(self, ids: list[int], size: int, retry: RetryPolicy) -> dict[int, bytes]:
        return {id: data for id, (_, data) in self._answers(ids, size, retry).items()}

    def _answers(
        self, ids: list[int], size: int, retry: RetryPolicy
    ) -> dict[int, tuple[int, bytes]]:
        """Return error and data by id, of the asked servos that answered with ``size`` bytes."""
        expected = len(ids) * (size + OVERHEAD_BYTES)
        deadline_s = time.monotonic() + retry.timeout_s + self.line.wire_s(expected)
        answers: dict[int, tuple[int, bytes]] = {}
        protocol, noise_before = self._protocol, self._reader.foreign_bytes
        while len(answers) < len(ids):
            data = self.line.read(deadline_s)
            if not data:
                break
            for packet in self._reader.feed(self._without_echo(data)):
                if packet.id not in ids or not protocol.is_answer(packet):
                    continue
                error, content = protocol.error_of(packet), protocol.data_of(packet)
                if len(content) == size and (size == 0 or not protocol.refusal(error)):
                    answers[packet.id] = (error, content)
        self.counters.broken = self._reader.broken_packets
        return {} if self._is_doubtful(noise_before) else answers

    def _is_doubtful(self, noise_before: int) -> bool:
        """Return whether an exchange was damaged and the checksum is too weak to trust it."""
        is_damaged = self._reader.foreign_bytes > noise_before or self._reader.is_within_packet
        return is_damaged and not self._protocol.has_strong_checksum
