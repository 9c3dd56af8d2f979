"""A serial port for exactly one program: raw bytes, with deadlines."""

from __future__ import annotations

import contextlib
import os
import select
import time

import serial

from asterias.errors import DeviceError


class SerialLine:
    """A half-duplex line; pyserial sets it up, bytes go by its file descriptor.

    Args:
        port: device file.
        baud_rate: bits/s.
    """

    def __init__(self, port: str, baud_rate: int) -> None:
        self.port = port
        self.baud_rate = baud_rate
        self._serial: serial.Serial | None = None
        self._file = -1

    def open(self) -> None:
        """Open the port exclusively.

        Raises:
            DeviceError: it is missing, busy or forbidden; the message says what to do.
        """
        try:
            self._serial = serial.Serial(
                self.port, self.baud_rate, timeout=0, write_timeout=0.2, exclusive=True
            )
        except (OSError, ValueError) as error:
            raise DeviceError(f"{self.port} cannot be opened: {_cure(error)}.") from error
        self._file = self._serial.fileno()
        self.flush()

    def close(self) -> None:
        """Close the port; harmless when it is closed or gone."""
        if self._serial is not None:
            with contextlib.suppress(OSError):  # the cable is out
                self._serial.close()
            self._serial, self._file = None, -1

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            os.write(self._file, data)
        except OSError as error:
            raise self._gone(error) from error

    def read(self, deadline_s: float) -> bytes:
        """Return received bytes; wait for the first until ``deadline_s`` (monotonic), else none."""
        try:
            wait_s = deadline_s - time.monotonic()
            ready, _, _ = select.select([self._file], [], [], max(wait_s, 0.0))
            data = os.read(self._file, 4096) if ready else b""
        except (OSError, ValueError) as error:
            raise self._gone(error) from error
        if ready and not data:
            raise self._gone(None)
        return data

    def flush(self) -> None:
        """Discard the bytes received so far."""
        while self.read(0.0):
            pass

    def wire_s(self, size: int) -> float:
        """Return the time in s that ``size`` bytes take on the wire, at ten bits each."""
        return 10.0 * size / self.baud_rate

    def _gone(self, error: Exception | None) -> DeviceError:
        reason = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
        return DeviceError(f"{self.port} is gone{reason}: check the adapter's cable.")


def _cure(error: Exception) -> str:
    text = str(error)
    number = getattr(error, "errno", None)
    if number == 2 or "No such file" in text:
        return "there is no such port; plug in the adapter, or see `python -m hardware scan`"
    if number == 13 or "Permission" in text:
        return "no permission; add yourself to the group dialout and log in again (see README)"
    if number in (11, 16) or "lock" in text or "busy" in text.lower():
        return "another program uses it; stop that one first"
    return " ".join(text.split()).rstrip(".")
