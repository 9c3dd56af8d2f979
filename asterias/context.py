"""Objects that are used in a ``with`` block and closed at its end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

from asterias.errors import NotConnectedError

_Own = TypeVar("_Own", bound="Closeable")


class Closeable(ABC):
    """Mix-in that calls ``close()`` at the end of a ``with`` block."""

    @abstractmethod
    def close(self) -> None:
        """Release everything; a second call does nothing."""

    def __enter__(self: _Own) -> _Own:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


_Device = TypeVar("_Device", bound="ConnectedDevice")


class ConnectedDevice(ABC):
    """Device that is connected, used in a ``with`` block, and disconnected at its end."""

    def __init__(self) -> None:
        self._connected = False

    @property
    @abstractmethod
    def title(self) -> str:
        """Kind and name, as messages begin."""

    @property
    def is_connected(self) -> bool:
        """Whether the device is open."""
        return self._connected

    def connect(self) -> None:
        """Open the device; harmless when already open."""
        if not self._connected:
            self._open()
            self._connected = True

    def disconnect(self) -> None:
        """Close the device; harmless when already closed."""
        if self._connected:
            self._connected = False
            self._close()

    @abstractmethod
    def _open(self) -> None:
        """Open the device."""

    @abstractmethod
    def _close(self) -> None:
        """Make the device safe and close it."""

    def _begin(self) -> None:  # noqa: B027 - most devices have nothing to do
        """Do what a ``with`` block does once connected."""

    def _require_connected(self) -> None:
        if not self._connected:
            raise NotConnectedError(f"{self.title} is not connected; call connect() first.")

    def __enter__(self: _Device) -> _Device:
        self.connect()
        try:
            self._begin()
        except BaseException:
            self.disconnect()  # Python calls __exit__ only after a successful __enter__
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.disconnect()
