"""The contract of a servo bus: the servos of one limb, in joint order, in radians of the shaft."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from asterias.arrays import FloatArray
from asterias.errors import DeviceError


@dataclass(frozen=True)
class Servo:
    """Parameters of one servo that a bus needs.

    Attributes:
        name: of the joint it drives, for messages.
        id: on the bus.
        model: as in the description.
        torque_limit_nm, speed_limit_rad_s: written into the servo.
    """

    name: str
    id: int
    model: str
    torque_limit_nm: float
    speed_limit_rad_s: float


@dataclass(frozen=True)
class BusState:
    """One reading of all servos, ``(n,)`` each; NaN where a servo did not answer.

    Attributes:
        position_rad: shaft angle, 0 at the middle of the servo's range.
        velocity_rad_s, effort_nm: at the shaft; effort is coarse, from load or current.
    """

    position_rad: FloatArray
    velocity_rad_s: FloatArray
    effort_nm: FloatArray


@dataclass(frozen=True)
class ServoHealth:
    """Health that a servo reports.

    Attributes:
        voltage_v, temperature_c: supply and case.
        errors: what its error status means, in words.
        is_stopped: its own watchdog has stopped it.
    """

    voltage_v: float
    temperature_c: float
    errors: tuple[str, ...] = ()
    is_stopped: bool = False


@dataclass
class BusCounters:
    """Counters of the traffic on a bus; published in diagnostics."""

    requests: int = 0
    retries: int = 0
    missing: int = 0
    broken: int = 0


@dataclass(frozen=True)
class Identity:
    """Id, model and firmware of a servo that answers."""

    id: int
    model: str
    firmware: int


class ServoBus(ABC):
    """The servos of one limb.

    No method raises for a single servo that does not answer: its values are NaN. ``DeviceError``
    means that the whole bus is lost, or that a servo refused a setting needed for safety.
    """

    def __init__(self, servos: Sequence[Servo], watchdog_s: float) -> None:
        self.servos = tuple(servos)
        self.watchdog_s = watchdog_s
        self.counters = BusCounters()

    @property
    @abstractmethod
    def place(self) -> str:
        """Port or interface of the bus, for messages."""

    @property
    @abstractmethod
    def has_watchdog(self) -> bool:
        """Whether all servos stop by themselves when no request arrives for the watchdog time."""

    @abstractmethod
    def open(self) -> None:
        """Open the port; raises DeviceError with what to do."""

    @abstractmethod
    def close(self) -> None:
        """Close the port; the servos keep their state."""

    @abstractmethod
    def scan(self, ids: Sequence[int], *, thorough: bool = False) -> list[Identity]:
        """Return the servos that answer at these ids.

        Args:
            ids: to ask; on a network, empty means all boards.
            thorough: wait longer at ids that are not described.
        """

    @abstractmethod
    def arm(self, position_rad: FloatArray) -> None:
        """Clear stops, write limits, set ``(n,)`` goals in rad, switch torque and watchdog on."""

    @abstractmethod
    def disarm(self) -> None:
        """Switch the torque off, all at once and without waiting for answers."""

    @abstractmethod
    def write(self, position_rad: FloatArray) -> None:
        """Send ``(n,)`` goals in rad to armed servos, without answers."""

    @abstractmethod
    def request(self) -> None:
        """Ask all servos for their state; :meth:`read` receives the answers."""

    @abstractmethod
    def read(self) -> BusState:
        """Return the states of all servos now, or as of an earlier :meth:`request`."""

    def read_angle_limits(self, number: int) -> tuple[float, float] | None:
        """Return the ends in rad of the range set in servo ``number``; None: no limits."""
        return None

    @abstractmethod
    def read_health(self, number: int) -> ServoHealth | None:
        """Return the health of servo ``number``, in joint order; None when it does not answer."""

    def handshake(self) -> None:
        """Check that exactly the described servos are there.

        Raises:
            DeviceError: some are missing, unexpected, or of another model.
        """
        expected = {servo.id: servo for servo in self.servos}
        found = {one.id: one for one in self.scan(self._handshake_ids())}
        complaints = []
        missing = [servo for id, servo in expected.items() if id not in found]
        if missing:
            names = ", ".join(f"{servo.id} ({servo.name})" for servo in missing)
            complaints.append(f"no answer from id {names}: {self._cure_of_silence()}")
        strangers = [one for id, one in found.items() if id not in expected]
        if strangers:
            names = ", ".join(f"{one.id} ({one.model})" for one in strangers)
            complaints.append(f"unexpected id {names}: add it to the description or unplug it")
        for id, one in found.items():
            servo = expected.get(id)
            if servo is not None and one.model != servo.model:
                complaints.append(
                    f"id {id} ({servo.name}) is a {one.model}, not a {servo.model}: "
                    "correct the description"
                )
        if complaints:
            raise DeviceError(f"{self.place}: {'; '.join(complaints)}.")

    def _cure_of_silence(self) -> str:
        """Return what to do where a servo does not answer."""
        return "check power, cable, baud rate and id"

    def _handshake_ids(self) -> list[int]:
        """Return the ids asked at a handshake: the described ones, and 1 to 12 for others."""
        return sorted({*range(1, 13), *(servo.id for servo in self.servos)})


BusT = TypeVar("BusT", bound=ServoBus)


@contextmanager
def open_bus(bus: BusT) -> Iterator[BusT]:
    """Open a bus without arming its servos, for scans, ids and calibration.

    DeviceError is raised when the port cannot be opened.

    Yields:
        The bus, which is closed at the end.
    """
    bus.open()
    try:
        yield bus
    finally:
        bus.close()
