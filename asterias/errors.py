"""Errors of the hardware room. Each message is one sentence that names the thing and the cure."""

from __future__ import annotations


class HardwareError(Exception):
    """Base of all errors that a robot, a camera or a description raises."""


class DescriptionError(HardwareError, ValueError):
    """A robot description cannot be used; the message names file, key and expectation."""


class NotConnectedError(HardwareError):
    """A device was used before ``connect()`` or after ``disconnect()``."""


class NotActiveError(HardwareError):
    """A command was sent to a limb that is not active."""


class CommandError(HardwareError, ValueError):
    """A command has the wrong length or holds a value that is not a finite number."""


class FaultError(HardwareError, ValueError):
    """A fault cannot be injected: unknown word or component, or a value out of range."""


class DeviceError(HardwareError):
    """A device did not answer, or answered nonsense."""


class StaleFrameError(HardwareError):
    """The newest frame is older than the caller allows, or there is none yet."""
