"""A serial servo by its registers: memory, torque, limits, errors and its own watchdog."""

from __future__ import annotations

from hardware.buses.registers import Register, ServoModel
from hardware.emulated.motor import FailingMotor
from hardware.limbs.driver import Clock

MEMORY_BYTES = 256
ACCESS_ERROR = 7


class EmulatedServo:
    """The memory of one servo, and the effects of writing to it.

    Args:
        model: the product.
        id: on the bus; may be changed by writing its register.
        motor: that it turns.
        clock: seconds, for the watchdog.
    """

    def __init__(self, model: ServoModel, id: int, motor: FailingMotor, clock: Clock) -> None:
        self.model = model
        self.motor = motor
        self.temperature_c = 31
        self.voltage_v = 12.0 if model.table.watchdog else 7.4
        self.error_status = 0
        self._clock = clock
        self._memory = bytearray(MEMORY_BYTES)
        self._heard_s = clock()
        table = model.table
        self._set(table.model_number, model.number)
        self._set(table.firmware, 45)
        self._set(table.id, id)
        self._set(table.speed_limit, 0)
        self._set(model.torque_limit, model.torque_limit_max)
        if table.answer_level is not None:
            self._set(table.answer_level, table.answer_level_all)
        if model.angle_limits is not None:
            self._set(model.angle_limits[1], round(model.ticks_per_turn) - 1)
        if table.operating_mode is not None:
            self._set(table.operating_mode, model.operating_mode)
        if table.lock is not None:
            self._set(table.lock, 1)

    @property
    def id(self) -> int:
        """Present id."""
        return self.get(self.model.table.id)

    def set_id(self, id: int) -> None:
        """Take an id that was set elsewhere."""
        self._set(self.model.table.id, id)

    @property
    def has_torque(self) -> bool:
        """Whether the torque is on."""
        return bool(self.get(self.model.table.torque_enable))

    @property
    def goal_rad(self) -> float:
        """Goal as a shaft angle."""
        goal = self.get(self.model.table.goal_position)
        if self.model.angle_limits is not None:
            low, high = map(self.get, self.model.angle_limits)
            goal = min(max(goal, low), high) if low < high else goal
        return (goal - self.model.middle_tick) * self.model.tick_rad

    @property
    def is_stopped(self) -> bool:
        """Whether the watchdog has stopped the servo."""
        table = self.model.table
        return table.watchdog is not None and self.get(table.watchdog) == table.watchdog_tripped

    @property
    def return_delay_s(self) -> float:
        """Delay before an answer."""
        register = self.model.table.return_delay
        return 2e-6 * self.get(register) if register is not None else 0.0

    def get(self, register: Register) -> int:
        """Return the number in a register."""
        block = bytes(self._memory[register.address : register.end])
        return register.decode(block, register.address, self.model.table.protocol)

    def feed_watchdog(self) -> None:
        """Restart the watchdog, after any request on the bus."""
        self.watch()
        self._heard_s = self._clock()

    def watch(self) -> None:
        """Stop when no request came for the watchdog time; called often."""
        table = self.model.table
        if table.watchdog is None or not self.has_torque:
            return
        units = self.get(table.watchdog)
        if units > 0 and self._clock() - self._heard_s > units * table.watchdog_unit_s:
            self._set(table.watchdog, table.watchdog_tripped)
            self.motor.drive(self.motor.motion().position_rad, self._speed_limit())

    def read(self, address: int, size: int) -> bytes:
        """Return ``size`` bytes of registers as they are now."""
        table, model = self.model.table, self.model
        motion = self.motor.motion()
        self._set(table.position, self._ticks(motion.position_rad))
        self._set(table.velocity, round(motion.velocity_rad_s / model.velocity_unit_rad_s))
        self._set(table.effort, round(motion.effort_nm / model.effort_unit_nm))
        self._set(table.voltage, round(10 * self.voltage_v))
        self._set(table.temperature, self.temperature_c)
        self._set(table.error_status, self.error_status)
        return bytes(self._memory[address : address + size])

    def write(self, address: int, data: bytes) -> int:
        """Write registers and act on them.

        Returns:
            The error of the answer, 0 when all is well.
        """
        table = self.model.table
        end = address + len(data)
        touches_goal = address < table.goal_position.end and end > table.goal_position.address
        if self.is_stopped and touches_goal:
            return ACCESS_ERROR
        if self._is_permanent(address) and self._is_locked():
            return ACCESS_ERROR
        if end > MEMORY_BYTES:
            return ACCESS_ERROR
        had_torque = self.has_torque
        self._memory[address:end] = data
        self._act(had_torque)
        return 0

    def _act(self, had_torque: bool) -> None:
        """Drive the motor according to the memory."""
        if not self.has_torque:
            self.motor.drive(None, self._speed_limit())
            return
        if not had_torque:
            self._heard_s = self._clock()
        if not self.is_stopped:
            self.motor.drive(self.goal_rad, self._speed_limit())

    def _speed_limit(self) -> float:
        table = self.model.table
        units = self.get(table.speed_limit)
        if table.drive_mode is not None and self.get(table.drive_mode) & table.drive_mode_unwanted:
            return float("inf")  # then it is a time, and next to none
        return units * self.model.velocity_unit_rad_s if units else float("inf")

    def _is_permanent(self, address: int) -> bool:
        return address < self.model.table.torque_enable.address

    def _is_locked(self) -> bool:
        lock = self.model.table.lock
        return self.has_torque if lock is None else bool(self.get(lock))

    def _ticks(self, position_rad: float) -> int:
        ticks = round(position_rad / self.model.tick_rad) + self.model.middle_tick
        return ticks if self.model.table.position.sign.value != "none" else max(ticks, 0)

    def _set(self, register: Register, value: int) -> None:
        data = register.encode(value, self.model.table.protocol)
        self._memory[register.address : register.end] = data

    @property
    def confirms_writes(self) -> bool:
        """Whether the servo answers write requests."""
        table = self.model.table
        return table.answer_level is None or self.get(table.answer_level) == table.answer_level_all

    @property
    def is_silent(self) -> bool:
        """Whether the servo fails to answer this time: no power, or a loose wire."""
        return self.motor.is_silent()
