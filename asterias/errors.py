"""Errors of the house. Each message is one sentence that names the thing and the cure."""

from __future__ import annotations


class AsteriasError(Exception):
    """Base of all errors that the house raises on purpose."""


class UserError(AsteriasError, ValueError):
    """Something that a person can cure: an option, a file, a value."""


class HardwareError(AsteriasError):
    """Base of all errors that a robot, a camera or a description raises."""


class DescriptionError(HardwareError, UserError):
    """A robot description cannot be used; the message names file, key and expectation."""


class NotConnectedError(HardwareError):
    """A device was used before ``connect()`` or after ``disconnect()``."""


class NotActiveError(HardwareError):
    """A command was sent to a limb that is not active."""


class CommandError(HardwareError, UserError):
    """A command has the wrong length or holds a value that is not a finite number."""


class FaultError(HardwareError, UserError):
    """A fault cannot be injected: unknown word or component, or a value out of range."""


class DeviceError(HardwareError):
    """A device did not answer, or answered nonsense."""


class StaleFrameError(HardwareError):
    """The newest frame is older than the caller allows, or there is none yet."""


def describe_os_error(error: OSError) -> str:
    """Return one sentence that names the file, where the system names one, and the reason."""
    if error.filename is None:
        return f"{str(error).rstrip('.')}." if str(error) else f"{type(error).__name__}."
    if isinstance(error, FileNotFoundError):
        return f"{error.filename}: there is no such file or folder."
    if isinstance(error, PermissionError):
        return f"{error.filename}: you may not read or write it."
    return f"{error.filename} cannot be used: {error.strerror or error}."
